"""Incidents and the truth of a recorded day -> which faults were found, whether their cause was named, what was false.

Rules.  Times of faults are late by up to ``LABEL``, and an incident answers for a fault until ``WINDOW`` after it.  A
fault is found by an incident that opens in between and holds its service or a direct caller of it; one incident answers
for one fault, the true service before a caller, then the earlier fault.  Top k: the true service is among the first k
services of the causes; shares are of all faults, found or not.  An incident that opens outside of all such spans is
false, one inside that answers for nothing is extra.  Every episode of an incident counts as one.

Simulated days say more.  Faults of one group are one problem, for which one incident answers with any of their services.
Where a host is the cause, the host itself and all services on it count as the true service where finding is concerned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

import msgspec

from aiops.errors import UserError
from aiops.records import Incident, RecordError, decode_incident, unix_ns

T = TypeVar("T")

LABEL = 90.0  # seconds
WINDOW = 300.0
EARLY = 300.0  # what the early view sees of an incident
AFTERMATH = 300.0  # seconds after the end of a fault in which an incident may still come of it
TOGETHER = "together"  # in the place of a kind: several faults that are one problem

_RESOURCE, _CODE = ("resource",), ("code",)
# Kinds of cause that are right for a kind of fault; what is not listed (``silent_metric``) is not judged.
KINDS_OF: dict[str, tuple[str, ...]] = {
    # recorded
    "cpu_contention": _RESOURCE, "cpu_consumed": _RESOURCE, "network_delay": ("network",), "exception": _CODE,
    "return": _CODE,
    # simulated
    "cpu": _RESOURCE, "memory_leak": _RESOURCE, "edge_latency": ("network",), "code_error": _CODE,
    "dependency_down": ("dependency",), "bad_deploy": ("change",), "lost_pod": _RESOURCE, "log_storm": _CODE,
    "gc_pause": _RESOURCE, "quiet_edge": ("network",), "retry_storm": _RESOURCE, "pool_exhausted": ("resource", "code"),
    "cascade": _RESOURCE, "overload": _RESOURCE, "third_party": ("dependency", "external"), "slow_dns": ("network",),
    "noisy_neighbour": _RESOURCE, "host_down": ("resource", "dependency"), "partition": ("network", "dependency"),
    "certificate_expired": ("dependency", "code"), "disk_full": ("resource", "code"), "late_leak": ("resource", "change"),
}  # fmt: skip


class ScoreError(UserError):
    """A file that is needed for a score and cannot be read; the message names it."""


class Fault(msgspec.Struct, frozen=True):
    """One injected fault of ``truth.json``; what comes after the kind is told of simulated ones (docs/simulator.md)."""

    time_unix: float
    service: str
    kind: str
    duration_s: float = 0.0
    services: tuple[str, ...] = ()
    incident_group: str = ""
    cause_external: str = ""


class Decoy(msgspec.Struct, frozen=True):
    """What happened beside the faults and must not be blamed; ``change_id`` where it is a change."""

    time_unix: float
    service: str
    kind: str
    duration_s: float = 0.0
    change_id: str = ""


class Truth(msgspec.Struct, frozen=True):
    """What was injected, in any order."""

    faults: tuple[Fault, ...]
    decoys: tuple[Decoy, ...] = ()


class Context(msgspec.Struct, frozen=True):
    """``context.json``: the span recorded (Unix seconds), the services, and who calls whom."""

    start_unix: float
    end_unix: float
    services: tuple[str, ...]
    calls: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """What one incident should tell: a fault, or several of one group, in order of time.

    Attributes
    ----------
    culprits : frozenset of str
        The services of the faults.
    hit : frozenset of str
        They, an external cause itself (hosts send metrics of their own), and all that it hits, unless that is everything.
    near : frozenset of str
        They, and the direct callers of any.
    named : frozenset of str
        What a first cause may name: whom it hits; of an external service also its callers, who alone tell of it.
    """

    faults: tuple[Fault, ...]
    culprits: frozenset[str]
    hit: frozenset[str]
    near: frozenset[str]
    named: frozenset[str]

    @property
    def begin(self) -> float:
        """Unix seconds of the first fault."""
        return self.faults[0].time_unix

    @property
    def external(self) -> bool:
        """Is no service to blame for it?"""
        return any(fault.cause_external for fault in self.faults)

    def in_span(self, at: float) -> bool:
        """May an incident that opens then (Unix seconds) answer for it?"""
        return any(_in_span(fault, at) for fault in self.faults)

    def lasts(self, at: float) -> bool:
        """May an incident that opens then (Unix seconds) come of it, be it too late to answer?"""
        return any(
            fault.time_unix - LABEL <= at <= fault.time_unix + max(WINDOW, fault.duration_s + AFTERMATH)
            for fault in self.faults
        )

    def names(self, incident: Incident) -> bool:
        """Is the first cause of an incident right?"""
        return bool(incident.causes) and incident.causes[0].service in self.named


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one problem: the incident that answers for it, if any.

    ``fault`` is its first.  ``rank`` is the place of the true service among the causes, None where it is not among
    them; ``delay``: seconds.
    """

    fault: Fault
    incident: Incident | None = None
    rank: int | None = None
    delay: float | None = None
    problem: Problem | None = None

    @property
    def found(self) -> bool:
        """Does an incident answer for it?"""
        return self.incident is not None

    @property
    def true_service(self) -> bool:
        """Does that incident hold the true service itself?"""
        culprits = self.problem.culprits if self.problem is not None else {self.fault.service}
        return self.incident is not None and bool(culprits & set(self.incident.services))

    @property
    def kind(self) -> str:
        """Kind of the fault, or ``TOGETHER``."""
        return TOGETHER if self.problem is not None and len(self.problem.faults) > 1 else self.fault.kind

    @property
    def right(self) -> bool:
        """Is what the incident says first right: a true service; of an external cause also that there is no confident cause?"""
        if self.incident is None or self.problem is None:
            return self.rank == 1
        return self.problem.names(self.incident) or (self.problem.external and self.incident.no_confident_cause)

    @property
    def kind_right(self) -> bool | None:
        """Where the first cause is the true service: is its kind right; None where that is not so, or not judged."""
        if self.incident is None or self.rank != 1 or self.kind not in KINDS_OF:
            return None
        return self.incident.causes[0].kind in KINDS_OF[self.kind]


@dataclass(frozen=True, slots=True)
class View:
    """Outcomes as one reads them at one time: ``final``, or ``early`` at ``EARLY`` seconds after opening."""

    outcomes: list[Outcome]
    extra: int

    @property
    def delay(self) -> float | None:
        """Median seconds from a fault to its incident."""
        delays = [o.delay for o in self.outcomes if o.delay is not None]
        return median(delays) if delays else None

    def kinds(self) -> Iterator[tuple[str, list[Outcome]]]:
        """Outcomes of all faults, then by kind."""
        yield "ALL", self.outcomes
        for kind in sorted({o.kind for o in self.outcomes}):
            yield kind, [o for o in self.outcomes if o.kind == kind]


@dataclass(frozen=True, slots=True)
class Score:
    """The score of a day; ``hours`` are those outside the spans of the faults."""

    incidents: int
    false: list[Incident]
    hours: float
    chance: float
    final: View
    early: View


def found(outcomes: Sequence[Outcome]) -> float:
    """Share of faults that were found."""
    return _share(outcomes, lambda o: o.found)


def top(outcomes: Sequence[Outcome], k: int) -> float:
    """Share of faults whose service is among the first `k` causes."""
    return _share(outcomes, lambda o: o.rank is not None and o.rank <= k)


def true_service(outcomes: Sequence[Outcome]) -> float:
    """Share of faults that were found with their own service in the incident."""
    return _share(outcomes, lambda o: o.true_service)


def right(outcomes: Sequence[Outcome]) -> float:
    """Share of faults of which the first thing said is right (``Outcome.right``)."""
    return _share(outcomes, lambda o: o.right)


def average(outcomes: Sequence[Outcome], k: int = 5) -> float:
    """Mean of top 1 to top `k`."""
    return sum(top(outcomes, i) for i in range(1, k + 1)) / k


def problems(truth: Truth, context: Context) -> list[Problem]:
    """What there is to tell, in order of time."""
    callers: dict[str, set[str]] = {}
    for caller, callee in context.calls:
        callers.setdefault(callee, set()).add(caller)
    groups: dict[str, list[Fault]] = {}
    for number, fault in enumerate(sorted(truth.faults, key=lambda one: one.time_unix)):
        groups.setdefault(fault.incident_group or f"alone {number}", []).append(fault)
    out = []
    for faults in groups.values():
        culprits = {fault.service for fault in faults}
        wide = [f.services for f in faults if f.cause_external and len(f.services) < len(context.services)]
        hit = culprits.union(*wide, (f.cause_external for f in faults if f.cause_external))
        named = hit.union(*(callers.get(f.service, set()) for f in faults if f.cause_external == f.service))
        near = hit.union(*(callers.get(service, set()) for service in hit))
        out.append(Problem(tuple(faults), frozenset(culprits), frozenset(hit), frozenset(near), frozenset(named)))
    return sorted(out, key=lambda problem: problem.begin)


def score(truth: Truth, context: Context, incidents: Iterable[Incident]) -> Score:
    """Score incidents; of each, all versions or the last only, in any order."""
    faults = sorted(truth.faults, key=lambda fault: fault.time_unix)
    told = problems(truth, context)
    episodes = episodes_of(incidents)
    opened = [_seconds(versions[0].opened_at) for versions in episodes]
    inside = [any(_in_span(fault, at) for fault in faults) for at in opened]

    def view(pick: Callable[[list[Incident], float], Incident | None]) -> View:
        answers: dict[int, Outcome] = {}
        for versions, at, within in zip(episodes, opened, inside, strict=True):
            incident = pick(versions, at) if within else None
            if incident is None:
                continue
            has = set(incident.services)
            fit = [
                (not has & problem.hit, k)
                for k, problem in enumerate(told)
                if k not in answers and problem.in_span(at) and has & problem.near
            ]
            if fit:
                k = min(fit)[1]
                problem = told[k]
                ranking = list(dict.fromkeys(cause.service for cause in incident.causes))
                rank = min((ranking.index(s) + 1 for s in problem.culprits if s in ranking), default=None)
                answers[k] = Outcome(problem.faults[0], incident, rank, at - problem.begin, problem)
        outcomes = [answers.get(k, Outcome(p.faults[0], problem=p)) for k, p in enumerate(told)]
        return View(outcomes, inside.count(True) - len(answers))

    return Score(
        incidents=len(episodes),
        false=[versions[-1] for versions, within in zip(episodes, inside, strict=True) if not within],
        hours=(context.end_unix - context.start_unix - _covered(faults, context)) / 3600,
        chance=1 / max(1, len(context.services)),
        final=view(lambda versions, _: versions[-1]),
        early=view(_early),
    )


def episodes_of(incidents: Iterable[Incident]) -> list[list[Incident]]:
    """Versions of each episode in order, episodes in order of opening."""
    of: dict[tuple[str, int], list[Incident]] = {}
    for incident in incidents:
        of.setdefault((incident.incident_id, incident.episode), []).append(incident)
    for versions in of.values():
        versions.sort(key=lambda incident: incident.version)
    return sorted(of.values(), key=lambda versions: _seconds(versions[0].opened_at))


def table(result: Score) -> str:
    """The score in lines of text, as ``aiops score`` prints it."""
    rate = f" = {len(result.false) / result.hours:.3f}/h over {result.hours:.2f} h" if result.hours > 0 else ""
    totals = f"faults {len(result.final.outcomes)}  incidents {result.incidents}  false {len(result.false)}{rate}"
    lines = [f"{totals}  chance of top-1 {result.chance:.3f}"]
    for name, view in (("final", result.final), (f"{EARLY:.0f} s after opening", result.early)):
        delay = "none" if view.delay is None else f"{view.delay:.1f} s"
        lines.append(f"[{name}]  extra in spans {view.extra}  median delay {delay}")
        lines.append(f"  {'kind':16s} {'n':>3s} {'found':>6s} {'(true)':>6s} {'top-1':>6s} {'top-3':>6s} {'Avg@5':>6s}")
        for kind, some in view.kinds():
            shares = (found(some), true_service(some), top(some, 1), top(some, 3), average(some))
            lines.append(f"  {kind:16s} {len(some):3d} " + " ".join(f"{share:6.3f}" for share in shares))
    return "\n".join(lines)


def read_day(folder: str | Path) -> tuple[Truth, Context]:
    """``truth.json`` and ``context.json`` of a folder."""
    return _read(Path(folder) / "truth.json", Truth), _read(Path(folder) / "context.json", Context)


def read_incidents(path: str | Path) -> Iterator[Incident]:
    """The incidents of a file of JSON lines."""
    try:
        with Path(path).open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    try:
                        yield decode_incident(line)
                    except RecordError as error:
                        raise ScoreError(f"{path}: line {number}: {error}") from None
    except OSError as error:
        raise ScoreError(f"{path}: {error.strerror}") from None


def _read(path: Path, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise ScoreError(f"{path}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise ScoreError(f"{path}: {error}") from None


def _share(outcomes: Sequence[Outcome], what: Callable[[Outcome], bool]) -> float:
    return sum(map(what, outcomes)) / len(outcomes) if outcomes else 0.0


def _seconds(text: str) -> float:
    return unix_ns(text) / 1e9


def _in_span(fault: Fault, at: float) -> bool:
    return fault.time_unix - LABEL <= at <= fault.time_unix + WINDOW


def _early(versions: list[Incident], opened: float) -> Incident | None:
    seen = [incident for incident in versions if _seconds(incident.updated_at) <= opened + EARLY]
    return seen[-1] if seen else None


def _covered(faults: Sequence[Fault], context: Context) -> float:
    """Seconds of the recording inside the spans of the faults, which may overlap."""
    covered, last = 0.0, context.start_unix
    for fault in faults:
        begin, end = max(fault.time_unix - LABEL, last), min(fault.time_unix + WINDOW, context.end_unix)
        covered += max(0.0, end - begin)
        last = max(last, end)
    return covered
