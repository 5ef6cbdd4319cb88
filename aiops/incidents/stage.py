"""Findings, changes, alerts and commands -> versions of incidents, and notices; the last stage.

Everything is taken in due-time order: what somebody tells counts once the clock has reached its arrival, before every window
that is due later.  The same input gives the same incidents, byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from aiops import __version__, state
from aiops.causes.changes import of_services
from aiops.causes.rank import Weights, rank
from aiops.findings import Findings, merged
from aiops.incidents import impact
from aiops.incidents.alerts import Alerts, raise_severity, with_reported
from aiops.incidents.commanded import Commanded
from aiops.incidents.criticality import Criticalities, ServicesConfig
from aiops.incidents.environment import Environment
from aiops.incidents.gaps import Gaps
from aiops.incidents.hearing import Hearing
from aiops.incidents.lifecycle import Case, Lifecycle, Policy
from aiops.incidents.members import MAX_MEMBERS
from aiops.incidents.noise import Noise
from aiops.incidents.regroup import Groups
from aiops.incidents.report import incident
from aiops.incidents.similar import Memory, past_of
from aiops.incidents.topology import TopologyTracker
from aiops.noise_report import NoiseReport
from aiops.records import (
    Alert,
    Anomaly,
    Change,
    Incident,
    Notice,
    Told,
    anomaly_id,
    decode_change,
    encode,
    incident_id,
    rfc3339,
    unix_ns,
)
from aiops.signals import LATENESS, SECOND, WINDOW, Clocks, due
from aiops.topology import Topology

CHANGE_BEFORE = 1800 * SECOND  # a change counts when it came so long before the onset at most
CHANGE_AFTER = 60 * SECOND  # or so long after: clocks and windows are not exact
MAX_CHANGES = 1_000  # kept of an environment
MAX_ENVIRONMENTS = 1_000  # beyond them, what is told of one without telemetry is not heard
UPDATE_EVERY = 60 * SECOND


@dataclass(slots=True)
class Output:
    """What a step of respond publishes; ``forgotten`` are ids of the topology that nothing will be said of any more."""

    incidents: list[Incident] = field(default_factory=list)
    anomalies: list[Anomaly] = field(default_factory=list)  # of alerts; those of detect are public before
    notices: list[Notice] = field(default_factory=list)
    topology: list[Topology] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    noise: list[NoiseReport] = field(default_factory=list)


class StepFailedError(RuntimeError):
    """The findings of a window of an environment could not be taken in; the state is half changed and of no use any more."""

    def __init__(self, time: int, tenant: str, environment: str) -> None:
        super().__init__(f"window until {rfc3339(time)} of environment {environment!r}")
        self.place = (time, tenant, environment)


class Respond:
    """One partition of the findings topic; environments do not influence each other.

    Parameters
    ----------
    sources : list of str, optional
        Detect partitions and the raw sources of what is told; where they are not given they come with a record.
    """

    def __init__(
        self,
        sources: list[str] | None = None,
        policy: Policy | None = None,
        weights: Weights | None = None,
        config_hash: str = "",
        tenant: str = "default",
        services: ServicesConfig | None = None,
    ) -> None:
        self.clocks = Clocks(sources)
        self.tenant = tenant  # of what is told, which does not name one
        self.policy, self.weights = policy or Policy(), weights or Weights()
        self.criticality = Criticalities(services)
        self.about = (__version__, config_hash)
        self.late = 0  # findings of a source that was let go, or repeats
        self._done = -1
        self._findings: dict[int, dict[tuple[str, str, str], Findings]] = {}  # time -> (source, tenant, environment) ->
        self.unheard = 0  # told of environments that nobody knows, when there are too many
        self._hearing = Hearing()
        self._of: dict[tuple[str, str], _State] = {}

    @property
    def open(self) -> int:
        """Open incidents: a gauge."""
        return sum(len(s.lifecycle.open) for s in self._of.values())

    @property
    def done_until(self) -> int:
        """Findings of windows that end by this clock (Unix ns) have been taken in; -1 before the first.

        It never goes back, as the merged clock does when a source is added or joins again.
        """
        return self._done

    def process(self, source: str, findings: list[Findings]) -> None:
        """Take in findings of a detect partition; what comes again is ignored, and so is what comes too late."""
        done = self.done_until
        for found in findings:
            if found.time <= done:
                self.late += 1
                continue
            self._findings.setdefault(found.time, {})[source, found.tenant, found.environment] = found

    def tell(self, source: str, offset: int, signal: str, told: Told, arrival: int) -> None:
        """Take in what arrived at `arrival` (Unix ns) as number `offset` of its source; it is never late."""
        self._hearing.tell(source, offset, signal, told, arrival)

    def advance(self, source: str, clock: int) -> Output:
        """Source `source` has reached `clock` (Unix ns)."""
        self.clocks.set(source, clock)
        out, reached = Output(), self.clocks.merged
        self._done = max(self._done, reached - LATENESS if reached >= 0 else -1)
        for time in sorted(t for t in self._findings if due(t - WINDOW) <= reached):
            self._hear(due(time - WINDOW), out)
            parts: dict[tuple[str, str], list[Findings]] = {}
            for (_, *key), found in sorted(self._findings.pop(time).items(), key=lambda item: item[0]):
                parts.setdefault((key[0], key[1]), []).append(found)
            for place in sorted(parts):
                try:
                    self._state(*place).step(merged(parts[place]), self, out)
                except Exception as error:
                    raise StepFailedError(time, *place) from error
        self._hear(reached, out)
        return out

    def gauges(self) -> dict[str, float]:
        """Fill of every table, and what was evicted or refused since the process began (``_total``)."""
        states = self._of.values()
        noise = Noise("", "").gauges()
        for s in states:
            noise.update(s.noise.gauges())
        sizes = {
            "environments": len(states), "services": sum(s.environment.sizes[0] for s in states),
            "edges": sum(s.environment.sizes[1] for s in states), "open_incidents": self.open,
            "closed_incidents": sum(len(s.lifecycle.closed) for s in states),
            "anomalies": sum(len(s.noise.ledger) for s in states), "changes": sum(len(s.changes) for s in states),
            "waiting_windows": len(self._findings), "waiting_told": len(self._hearing), "unheard_total": self.unheard,
            "remembered_incidents": sum(len(s.memory) for s in states),
            "remembered_evicted_total": sum(s.memory.evicted for s in states),
            "topology_rows": sum(len(s.topology) for s in states),
            "topology_evicted_total": sum(s.topology.evicted for s in states),
            "topology_refused_total": sum(s.topology.refused for s in states),
            "evicted_services_total": sum(s.environment.evicted for s in states), "late_findings_total": self.late,
            **{f"noise_{name}": n for name, n in noise.items()},
        }  # fmt: skip
        parts = (Alerts("", ""), Commanded(), *(part for s in states for part in (s.alerts, s.commanded)))
        for part in parts:  # the first two are empty: a gauge is there before the first environment is
            for name, n in part.gauges().items():
                sizes[name] = sizes.get(name, 0) + n
        return {f"respond_{name}": float(n) for name, n in sizes.items()}

    def _hear(self, until: int, out: Output) -> None:
        """What was told has arrived by `until`, Unix ns: it is in force."""
        for heard in self._hearing.until(until):
            place = (self.tenant, heard.told.environment)
            if place not in self._of and len(self._of) >= MAX_ENVIRONMENTS:
                self.unheard += 1
            else:
                self._state(*place).hear(heard.arrival, heard.told, self, out)

    def _state(self, tenant: str, environment: str) -> _State:
        key = (tenant, environment)
        if key not in self._of:
            self._of[key] = _State(tenant, environment, self.policy)
        return self._of[key]

    def snapshot(self) -> bytes:
        """Everything that the future depends on but findings not yet due, which are read again."""
        return state.pack(
            {
                "clocks": self.clocks.state(),
                "done": self._done,
                "told": self._hearing.state(),
                "states": [s.state() for _, s in sorted(self._of.items())],
            }
        )

    def restore(self, snapshot: bytes) -> None:
        """Take over the state of a snapshot; findings after ``done_until`` are read again."""
        read = state.unpack(snapshot)
        self.clocks.restore(read["clocks"])
        self._hearing.restore(read["told"])
        self._findings, self._of = {}, {}
        self._done = read["done"]
        for value in read["states"]:
            restored = _State.of(value, self.policy)
            self._of[restored.environment.tenant, restored.environment.name] = restored


class _State:
    """One environment."""

    def __init__(self, tenant: str, name: str, policy: Policy) -> None:
        self.environment = Environment(tenant, name)
        self.lifecycle = Lifecycle(policy)
        self.gaps = Gaps(tenant, name)
        self.topology = TopologyTracker(tenant, name)
        self.memory = Memory()
        self.changes: list[Change] = []
        self.noise = Noise(tenant, name)
        self.alerts = Alerts(tenant, name)
        self.commanded = Commanded()

    def hear(self, arrival: int, told: Told, respond: Respond, out: Output) -> None:
        """Somebody tells something of the environment."""
        if isinstance(told, Change):
            if all(c.change_id != told.change_id or c.state != told.state for c in self.changes):
                self.changes.append(told)
                del self.changes[:-MAX_CHANGES]
        elif isinstance(told, Alert):
            out.anomalies.extend(self.alerts.external.take(arrival, told))
        else:
            groups = Groups(
                self.environment, self.lifecycle, self.noise, partial(self._rank, weights=respond.weights),
                partial(self._regrouped, about=respond.about), MAX_MEMBERS,
            )  # fmt: skip
            incidents, notices = self.commanded.obey(arrival, told, groups)
            for said in incidents:
                if said.resolution:
                    self.memory.resolved(said.incident_id, said.resolution)
            out.incidents.extend(incidents)
            out.notices.extend(notices)

    def step(self, found: Findings, respond: Respond, out: Output) -> None:
        now, environment = found.time, self.environment
        out.notices.extend(self.gaps.advance(now, found.totals))
        out.anomalies.extend(self.alerts.begin(now, self.lifecycle.open, environment, self.noise))
        environment.update(found)
        records, forgotten = self.topology.advance(found)
        out.topology.extend(records)
        out.forgotten.extend(forgotten)
        anomalies, cases = [*found.anomalies, *self.alerts.fresh()], (*self.lifecycle.open, *self.lifecycle.closed)
        out.notices.extend(self.noise.take(now, anomalies, sum(found.totals.values()), cases))
        closed, going, opened = self.lifecycle.advance(now, environment)
        for case in list(opened):
            self._rank(case, respond.weights)
            unexplained = (
                not case.causes or case.causes[0].score < respond.policy.cause or self.lifecycle.same_cause(case)
            )
            if unexplained or self.noise.holds_back(now, case, environment):
                self.lifecycle.withdraw(case)
                opened.remove(case)
                continue
            self._name(case)
        for case in self.alerts.openings(now, self.lifecycle, environment, self.noise):
            self._rank(case, respond.weights)
            self._name(case)
            opened.append(case)
        out.notices.extend(self.alerts.crowded(now, environment))
        self.alerts.claim(now, self.lifecycle, environment, self.noise, MAX_MEMBERS)
        impact.share_out(self.lifecycle.open, environment)
        ended = []
        for case in sorted(closed + going + opened, key=lambda c: (c.opened, c.incident_id)):
            self.noise.members(now, case, environment)
            if not case.settled:
                self._rank(case, respond.weights)
            impact.assess(case, self.lifecycle.open, environment, respond.criticality)
            self.memory.recall(case, environment, self._relevant(case))
            raise_severity(case)
            self.noise.judge(case, environment)
            if self._news(now, case) or self.commanded.restless(case.incident_id, now):
                case.version += 1
                if case.closed >= 0:
                    case.episodes[-1][1] = case.closed
                record = self.commanded.published(self._record(case, now, respond.about), now)
                out.incidents.append(record)
                if case.closed >= 0:
                    ended.append(past_of(case, record, environment, self._relevant(case)))
        for past in ended:
            self.memory.remember(past)
        out.incidents.extend(self.commanded.forget(now, self.lifecycle))
        self.noise.end(now, closed)
        if (report := self.noise.report(now)) is not None:
            out.noise.append(report)
        self._forget(now)

    def _record(self, case: Case, now: int, about: tuple[str, str]) -> Incident:
        case.said_at = now
        shown = self.commanded.ordered(case, self.environment.services)
        return incident(shown, self.environment, self._relevant(case), now, about)

    def _regrouped(self, case: Case, now: int, about: tuple[str, str]) -> Incident:
        """The record of a case that a person has merged or split; the next window has no news of it but its own."""
        self._news(now, case)
        return self._record(case, now, about)

    def _rank(self, case: Case, weights: Weights) -> None:
        """Causes are sought within two calls, and not among services that only another incident has."""
        within = {k for s in case.services for k in self.environment.around(s)}
        for other in self.lifecycle.open:
            within -= other.services - case.services
        first = case.first.copy()
        first[[s for s in range(len(first)) if s not in within]] = np.inf
        names = self.environment.services
        began = {names[s]: float(case.first[s] if case.first[s] < np.inf else case.onset) for s in within}
        said = (note.statement for (s, _), note in case.notes.items() if s in case.services)
        plausible = of_services(self._relevant(case), began, said)
        changed = {self.environment.index[name]: value for name, value in plausible.items()}
        case.causes = with_reported(case, rank(case.peak, first, self.environment.callees, changed, weights, within))

    def _relevant(self, case: Case) -> list[Change]:
        return [c for c in self.changes if -CHANGE_AFTER <= case.onset - unix_ns(c.time) <= CHANGE_BEFORE]

    def _name(self, case: Case) -> None:
        """Identity of a new case: that of its first anomaly, or of the incident of which it is another episode."""
        environment = self.environment
        first = case.causes[0]
        for old in reversed(self.lifecycle.closed):
            same = old.causes and (old.causes[0].service, old.causes[0].kind) == (first.service, first.kind)
            if same and all(old.incident_id != c.incident_id for c in self.lifecycle.open):
                case.incident_id, case.version = old.incident_id, old.version
                case.episode, case.episodes = old.episode + 1, [*old.episodes, [case.opened, None]]
                return
        mine = self.noise.ledger.free(environment.services[s] for s in case.services)
        mine = [a for a in mine if a.kind != "external"]  # what other tools say names no incident that evidence opens
        if mine:
            anomaly = min(mine, key=lambda a: (a.onset, a.service, a.signal, a.anomaly_id)).anomaly_id
        elif case.alert:
            anomaly = case.alert
        else:  # evidence that adds up although no single signal was an anomaly
            service = environment.services[first.service]
            anomaly = anomaly_id(
                environment.tenant, environment.name, service, "evidence", "neighbourhood", case.opened
            )
        case.incident_id = incident_id(environment.tenant, environment.name, anomaly)
        case.episodes = [[case.opened, None]]

    def _news(self, now: int, case: Case) -> bool:
        """Is there something to publish?"""
        causes = tuple((c.service, c.kind) for c in case.causes[:5])
        told = (case.severity, case.flapping, tuple(by for by, _ in case.muted))
        say = (tuple(sorted(case.services)), causes, told, case.settled, case.closed >= 0, case.episode)
        detail = (len(case.members), round(case.causes[0].score, 1) if case.causes else 0.0)
        if say == case.said and (case.settled or now - case.said_at < UPDATE_EVERY or detail == case.detail):
            return False
        case.said, case.detail = say, detail
        return True

    def _forget(self, now: int) -> None:
        cases = (*self.lifecycle.open, *self.lifecycle.closed)
        self.environment.forget(
            now, {s for c in cases for s in (*c.services, *c.split_off, *(cause.service for cause in c.causes))}
        )

    def state(self) -> dict[str, Any]:
        return {
            "environment": self.environment.state(), "lifecycle": self.lifecycle.state(), "gaps": self.gaps.state(),
            "changes": [encode(c) for c in self.changes], "noise": self.noise.state(),
            "topology": self.topology.state(), "memory": self.memory.state(),
            "alerts": self.alerts.state(), "commanded": self.commanded.state(),
        }  # fmt: skip

    @classmethod
    def of(cls, value: dict[str, Any], policy: Policy) -> _State:
        environment = Environment.of(value["environment"])
        out = cls(environment.tenant, environment.name, policy)
        out.environment = environment
        out.lifecycle.restore(value["lifecycle"])
        out.gaps.restore(value["gaps"])
        out.changes = [decode_change(c) for c in value["changes"]]
        out.alerts.restore(value["alerts"])
        out.commanded.restore(value["commanded"])
        out.topology.restore(value["topology"])
        out.memory.restore(value["memory"])
        out.noise.restore(value["noise"], [case.incident_id for case in out.lifecycle.open])
        return out
