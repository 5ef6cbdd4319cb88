"""Strength of evidence -> incidents that open, take in their neighbours, settle, and close; all in event time.

Open: the neighbourhood of a service stays at ``open`` for ``confirm``, or what is weaker or pauses adds up to ``lasting`` at
``open``, or resources or heartbeat alone reach it, which have waited already.  Join: active services within two calls, while
the incident is not settled; later ones open their own.  Close: all its services below ``close`` for ``quiet``, or ``longest``
reached: what lasts so long is the new normal.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from aiops.causes.rank import N_TERMS, Ranked
from aiops.findings import HEARTBEAT, RESOURCE, Note
from aiops.incidents.environment import ACTIVE, Environment
from aiops.incidents.terms import OF_ONES_OWN
from aiops.records import Anomaly
from aiops.signals import SECOND, WINDOW

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Policy:
    """When incidents open and close; strengths in -log10 of a tail probability, times in ns."""

    open: float = 5.0
    hold: float = 0.6  # share of `open` to which strength may sink meanwhile
    slow: float = 0.85  # share of `open` that slowness alone must still have when an incident opens
    cause: float = 3.0  # score that the first cause of a new incident must have
    symptom: float = 0.5  # share of the first cause's score below which a service is a symptom of it
    close: float = 2.5
    confirm: int = 30 * SECOND
    # Where nothing but slowness is seen: much that is slow heals by itself, and stays in what detect counts for 120 s.
    confirm_slow: int = 120 * SECOND
    # At `open`, in all; weaker evidence counts by its part above `close`, and what is below is taken off.
    lasting: int = 120 * SECOND
    quiet: int = 60 * SECOND
    cool: int = 60 * SECOND  # after closing, the same neighbourhood opens nothing
    longest: int = 900 * SECOND
    apart: int = 30 * SECOND  # what begins so much later, and no calls lead there, is another incident
    settle: int = 300 * SECOND  # services and causes change until then
    episode: int = 1800 * SECOND  # the same cause within this time after closing is the same incident again


@dataclass(slots=True)
class Case:
    """An incident as the engine follows it; ``aiops.incidents.report`` makes the public record of it."""

    incident_id: str
    opened: int
    onset: int
    services: set[int]
    peak: F64  # shape (n_services, N_TERMS)
    first: F64  # shape (n_services,)
    notes: dict[tuple[int, int], Note] = field(default_factory=dict)
    causes: list[Ranked] = field(default_factory=list)
    members: dict[str, Any] = field(default_factory=dict)  # anomaly id -> Anomaly
    more_members: int = 0
    seed: int = -1  # service whose neighbourhood opened it
    beside: bool = False  # opened beside another that has nothing to do with it: what that holds is no part of this
    episode: int = 1
    episodes: list[list[int | None]] = field(default_factory=list)
    version: int = 0
    quiet: dict[int, int] = field(default_factory=dict)  # service -> since when it has been quiet
    left: set[int] = field(default_factory=set)  # services that were quiet for so long that they are over this incident
    closed: int = -1
    settled: bool = False
    said: tuple[Any, ...] = ()  # what the last published version said
    detail: tuple[Any, ...] = ()
    said_at: int = -1
    severity: str = "medium"
    severity_reason: str = ""
    affected: float = -1.0  # share of requests that failed because of it in its worst minute, -1 = not known
    felt: list[str] = field(default_factory=list)  # callers of the first cause with evidence of their own
    similar: list[Any] = field(default_factory=list)  # what looked alike, as plain values
    matched: int = 0  # when that was looked for last: 1 at its opening, 2 when its causes were settled or it closed
    split_off: set[int] = field(default_factory=set)  # services that a person split off: they never join again
    reported: int = -1  # service named by the alert that opened it, -1 = evidence did
    alert: str = ""  # id of the anomaly of that alert
    floor: str = ""  # least severity, that of its alerts
    held: bool = False  # a critical alert of its still fires
    symptom: bool = False  # something failed, was slow or got lost, at its services or their callers
    flapping: bool = False
    suppressed: dict[str, int] = field(default_factory=dict)  # reason -> anomalies that belong to it and are no members
    muted: list[list[str]] = field(default_factory=list)  # [by, reason]: what keeps it from being told aloud
    remarks: dict[str, list[str]] = field(default_factory=dict)  # about what -> [type of reason, statement]
    runs_on: dict[int, list[int]] = field(default_factory=dict)  # service -> machines that explain its trouble
    unreached: list[list[int]] = field(default_factory=list)  # pairs of services between which calls reached nobody
    called: str = ""  # by a rule

    @property
    def present(self) -> set[int]:
        """Services that still take part."""
        return self.services - self.left

    def fit(self, services: int) -> None:
        """Make room for so many services: others may have come."""
        if (more := services - len(self.peak)) > 0:
            self.peak = np.concatenate([self.peak, np.zeros((more, N_TERMS))])
            self.first = np.concatenate([self.first, np.full(more, np.inf)])

    def observe(self, environment: Environment) -> None:
        """Keep the greatest evidence, and what it said."""
        self.fit(len(environment.services))
        self.take(environment.evidence, environment.notes)
        self.first = np.minimum(self.first, environment.first)

    def take(self, evidence: F64, notes: dict[tuple[int, int], Note]) -> None:
        """Raise the peaks to `evidence`; its rows may be fewer than the services known by now."""
        n = len(evidence)
        for (service, term), note in notes.items():
            if evidence[service, term] >= self.peak[service, term] or (service, term) not in self.notes:
                self.notes[service, term] = note
        self.peak[:n] = np.maximum(self.peak[:n], evidence)


class Lifecycle:
    """Open and recently closed cases of one environment."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.open: list[Case] = []
        self.closed: list[Case] = []
        self._since: dict[int, int] = {}  # service -> since when its neighbourhood is strong
        self._failed: set[int] = set()  # those of them in whose neighbourhood anything failed since then
        self._sums: dict[int, tuple[int, float]] = {}  # service -> since when, and to what, its evidence adds up (ns)

    def advance(self, now: int, environment: Environment) -> tuple[list[Case], list[Case], list[Case]]:
        """Event time is `now`: cases that closed, that go on, and that opened (without id and causes)."""
        p = self.policy
        closed, going = [], []
        for case in list(self.open):
            self._follow(now, case, environment)
            over = case.services <= case.left or now - case.opened >= p.longest
            if over and not case.held:
                case.closed = now
                self.open.remove(case)
                self.closed.append(case)
                closed.append(case)
            else:
                going.append(case)
        self.closed = [c for c in self.closed if now - c.closed <= p.episode]
        return closed, going, self._new(now, environment)

    def _follow(self, now: int, case: Case, environment: Environment) -> None:
        strength = environment.strength
        if now <= case.opened + self.policy.settle:
            members = set(case.services)  # as of now: who joins in this window brings its neighbours in the next
            active = np.flatnonzero(environment.takes_part).tolist()
            out = members | case.split_off
            if case.beside:
                out.update(*(c.services for c in self.open))
            case.services.update(
                s
                for s in active
                if s not in out and environment.around(s) & members and not self._apart(s, case, environment)
            )
            case.observe(environment)
        else:
            case.settled = True
        for s in sorted(case.services):
            if strength[s] >= self.policy.close:
                case.quiet.pop(s, None)
                if not case.settled or s not in case.left:
                    case.left.discard(s)
            elif now - case.quiet.setdefault(s, now) >= self.policy.quiet:
                case.left.add(s)

    def _new(self, now: int, environment: Environment) -> list[Case]:
        p, _strength, around = self.policy, environment.strength, environment.neighbourhood
        for s in range(len(around)):
            if around[s] >= p.open:
                self._since.setdefault(s, now)
            elif around[s] < p.hold * p.open:
                self._since.pop(s, None)
        self._add(now, environment)
        at_once = np.maximum(environment.evidence[:, RESOURCE], environment.evidence[:, HEARTBEAT])
        # What failed meanwhile is an incident even if it pauses; what was slow and is so no longer is none.
        fails = environment.fails()
        self._failed = {s for s in self._since if s in self._failed or fails[s]}
        ready = [
            s
            for s, since in self._since.items()
            if (s in self._failed and now - since >= p.confirm)
            or (now - since >= p.confirm_slow and around[s] >= p.slow * p.open)
            or at_once[s] >= p.open
        ]
        enough = p.lasting * (p.open - p.close)
        lasts = (s for s, (_, total) in self._sums.items() if total >= enough and around[s] >= p.hold * p.open)
        ready += [s for s in lasts if s not in ready]
        ready.sort(key=lambda s: (-around[s], environment.services[s]))
        out: list[Case] = []
        for s in ready:
            near = environment.around(s)
            # Beside an incident nothing opens until that has settled; then only what it does not hold yet, or what began
            # after that.  Whether it is another problem is seen when its causes are ranked.
            others = [c for c in self.open if near & c.present]
            apart = all(s not in c.services and self._apart(s, c, environment) for c in others)
            if not apart and any(not self._beside(now, s, c, environment) for c in others):
                continue
            if any(now - c.closed < p.cool and near & c.services for c in self.closed):
                continue
            since = self._since[s] if s in self._since else self._sums[s][0]
            onset = int(min(since, environment.first[s]))
            group = {k for k in near if environment.takes_part[k]} | {s}
            if apart:
                group.difference_update(*(c.services for c in others))
            case = Case("", now, onset, group, environment.evidence.copy(), environment.first.copy())
            case.seed, case.beside = s, apart and bool(others)
            case.notes = dict(environment.notes)
            for time, evidence, notes in environment.history:
                if time >= onset:
                    case.take(evidence, notes)
            self.open.append(case)
            out.append(case)
        return out

    def _add(self, now: int, environment: Environment) -> None:
        """Evidence that is weak, or pauses, adds up while it lasts: a CUSUM of the strength over `close`.

        A window counts at most as one at `open`, for what is strong but short has rules of its own.  Beside an incident
        nothing adds up: weak evidence there is most likely its effect.
        """
        p = self.policy
        taken: set[int] = set()
        for case in self.open:
            taken.update(*(environment.around(s) for s in case.present))
        for case in self.closed:
            if now - case.closed < p.cool:
                taken.update(*(environment.around(s) for s in case.services))
        for s, strength in enumerate(environment.neighbourhood.tolist()):
            since, total = self._sums.get(s, (now, 0.0))
            total += (min(strength, p.open) - p.close) * WINDOW
            if total > 0.0 and s not in taken:
                self._sums[s] = (since, min(total, p.lasting * (p.open - p.close)))
            else:
                self._sums.pop(s, None)

    def _beside(self, now: int, service: int, case: Case, environment: Environment) -> bool:
        """May the service open an incident of its own beside an open one?"""
        settled = case.opened + self.policy.settle
        new = service not in case.present and environment.strength[service] >= ACTIVE
        return now > settled and (new or environment.began_after(service, settled))

    def _apart(self, service: int, case: Case, environment: Environment) -> bool:
        """Has a service trouble of its own that has nothing to do with an open incident?

        It is short of a resource, slow by itself, down or lost instances; that began later than the incident's first
        cause; and no calls lead from one to the other.
        """
        own = environment.evidence[service, OF_ONES_OWN].max()
        if own < ACTIVE or not case.causes or case.causes[0].score < self.policy.cause:
            return False
        cause = case.causes[0].service
        return bool(
            service != cause
            and environment.first[service] >= case.first[cause] + self.policy.apart
            and not environment.calls_lead(service, cause)
            and not environment.calls_lead(cause, service)
            and not environment.ties.tied(service, cause)
        )

    def same_cause(self, case: Case, machines: Container[int] = ()) -> bool:
        """Is this only another symptom of an open case: the same first cause, beside which its own part is small?

        Or is that cause one of the `machines`, which explains the trouble of the service that would open it?
        """
        first = case.causes[0]
        own = max((c.score for c in case.causes if c.service == case.seed), default=0.0)
        same = any(c is not case and c.causes and c.causes[0].service == first.service for c in self.open)
        on = {machine for s in (case.seed, first.service) for machine in case.runs_on.get(s, ()) if machine in machines}
        explained = any(c is not case and c.causes and c.causes[0].service in on for c in self.open)
        return explained or (same and own < self.policy.symptom * first.score)

    def case(self, incident: str) -> Case | None:
        """The case of an incident, the open one or that of its last episode; None where it was over long ago."""
        return next((c for c in (*self.open, *reversed(self.closed)) if c.incident_id == incident), None)

    def withdraw(self, case: Case) -> None:
        """Take back a case that was opened in this step: on a closer look nothing explains it yet."""
        self.open.remove(case)

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {
            "open": [_case(c) for c in self.open],
            "closed": [_case(c) for c in self.closed],
            "since": self._since,
            "failed": sorted(self._failed),
            "sums": [[s, *of] for s, of in self._sums.items()],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self.open = [_of(c) for c in state["open"]]
        self.closed = [_of(c) for c in state["closed"]]
        self._since, self._failed = state["since"], set(state["failed"])
        self._sums = {s: (since, total) for s, since, total in state["sums"]}


_SETS = ("services", "left", "split_off")


def _case(case: Case) -> dict[str, Any]:
    out = {name: getattr(case, name) for name in Case.__slots__}
    out |= {name: sorted(getattr(case, name)) for name in _SETS}
    out["notes"] = [[*key, *note] for key, note in case.notes.items()]
    out["causes"] = [list(c) for c in case.causes]
    out["members"] = [msgspec.to_builtins(m) for m in case.members.values()]
    return out


def _of(state: dict[str, Any]) -> Case:
    case = Case(
        **{
            **state,
            **{name: set(state[name]) for name in _SETS},
            "said": _tuples(state["said"]),
            "detail": tuple(state["detail"]),
        }
    )
    case.notes = {(s, k): Note(text, type_) for s, k, text, type_ in state["notes"]}
    case.causes = [Ranked(*c) for c in state["causes"]]
    members = [msgspec.convert(m, Anomaly) for m in state["members"]]
    case.members = {m.anomaly_id: m for m in members}
    return case


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
