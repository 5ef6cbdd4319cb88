"""Findings and changes -> versions of incidents, and notices about collection; the last stage.

Everything is taken in due-time order: a change is known before the first window that is due after its arrival.  The same
findings give the same incidents, byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aiops import __version__, state
from aiops.causes.rank import Weights, rank
from aiops.findings import Findings, merged
from aiops.incidents import impact
from aiops.incidents.criticality import Criticalities, ServicesConfig
from aiops.incidents.environment import Environment
from aiops.incidents.gaps import Gaps
from aiops.incidents.lifecycle import Case, Lifecycle, Policy
from aiops.incidents.report import incident
from aiops.incidents.similar import Memory, past_of
from aiops.incidents.topology import TopologyTracker
from aiops.records import (
    Anomaly,
    Change,
    Incident,
    Notice,
    anomaly_id,
    decode_anomaly,
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
MAX_MEMBERS = 500  # kept of a case; the rest is counted
UPDATE_EVERY = 60 * SECOND
RECENT = 300 * SECOND  # closed anomalies that a new case may still claim


@dataclass(slots=True)
class Output:
    """What a step of respond publishes; ``forgotten`` are ids of the topology that nothing will be said of any more."""

    incidents: list[Incident] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    topology: list[Topology] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)


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
        Detect partitions and the raw sources whose changes are forwarded; where they are not given they come with a record.
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
        self.tenant = tenant  # of changes, which do not name one
        self.policy, self.weights = policy or Policy(), weights or Weights()
        self.criticality = Criticalities(services)
        self.about = (__version__, config_hash)
        self.late = 0  # findings of a source that was let go, or repeats
        self._done = -1
        self._findings: dict[int, dict[tuple[str, str, str], Findings]] = {}  # time -> (source, tenant, environment) ->
        self._changes: list[tuple[int, Change]] = []  # (arrival, change), not in force yet
        self._offset: dict[str, int] = {}  # greatest offset of a change from each source: what comes again is a repeat
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

    def change(self, source: str, offset: int, change: Change, arrival: int) -> None:
        """Take in a change that arrived at `arrival` (Unix ns) as number `offset` of its source; it is never late."""
        if offset > self._offset.get(source, -1):
            self._offset[source] = offset
            self._changes.append((arrival, change))

    def advance(self, source: str, clock: int) -> Output:
        """Source `source` has reached `clock` (Unix ns)."""
        self.clocks.set(source, clock)
        out, reached = Output(), self.clocks.merged
        self._done = max(self._done, reached - LATENESS if reached >= 0 else -1)
        for time in sorted(t for t in self._findings if due(t - WINDOW) <= reached):
            self._known_by(due(time - WINDOW))
            parts: dict[tuple[str, str], list[Findings]] = {}
            for (_, *key), found in sorted(self._findings.pop(time).items(), key=lambda item: item[0]):
                parts.setdefault((key[0], key[1]), []).append(found)
            for place in sorted(parts):
                try:
                    self._state(*place).step(merged(parts[place]), self, out)
                except Exception as error:
                    raise StepFailedError(time, *place) from error
        return out

    def gauges(self) -> dict[str, float]:
        """Fill of every table, and what was evicted or refused since the process began (``_total``)."""
        states = self._of.values()
        sizes = {
            "environments": len(states), "services": sum(s.environment.sizes[0] for s in states),
            "edges": sum(s.environment.sizes[1] for s in states), "open_incidents": self.open,
            "closed_incidents": sum(len(s.lifecycle.closed) for s in states),
            "anomalies": sum(len(s.anomalies) for s in states), "changes": sum(len(s.changes) for s in states),
            "waiting_windows": len(self._findings), "waiting_changes": len(self._changes),
            "remembered_incidents": sum(len(s.memory) for s in states),
            "remembered_evicted_total": sum(s.memory.evicted for s in states),
            "topology_rows": sum(len(s.topology) for s in states),
            "topology_evicted_total": sum(s.topology.evicted for s in states),
            "topology_refused_total": sum(s.topology.refused for s in states),
            "evicted_services_total": sum(s.environment.evicted for s in states), "late_findings_total": self.late,
        }  # fmt: skip
        return {f"respond_{name}": float(n) for name, n in sizes.items()}

    def _known_by(self, arrival: int) -> None:
        ready = sorted(
            (c for c in self._changes if c[0] <= arrival), key=lambda c: (c[0], c[1].change_id, encode(c[1]))
        )
        self._changes = [c for c in self._changes if c[0] > arrival]
        for _, change in ready:
            changes = self._state(self.tenant, change.environment).changes
            if all(c.change_id != change.change_id or c.state != change.state for c in changes):
                changes.append(change)
                del changes[:-MAX_CHANGES]

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
                "changes": [[arrival, encode(change)] for arrival, change in self._changes],
                "offset": dict(sorted(self._offset.items())),
                "states": [s.state() for _, s in sorted(self._of.items())],
            }
        )

    def restore(self, snapshot: bytes) -> None:
        """Take over the state of a snapshot; findings after ``done_until`` are read again."""
        read = state.unpack(snapshot)
        self.clocks.restore(read["clocks"])
        self._changes = [(arrival, decode_change(change)) for arrival, change in read["changes"]]
        self._offset, self._findings, self._of = read["offset"], {}, {}
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
        self.anomalies: dict[str, Anomaly] = {}  # open ones, and those closed of late
        self.claimed: dict[str, str] = {}  # anomaly id -> incident id

    def step(self, found: Findings, respond: Respond, out: Output) -> None:
        now, environment = found.time, self.environment
        out.notices.extend(self.gaps.advance(now, found.totals))
        environment.update(found)
        records, forgotten = self.topology.advance(found)
        out.topology.extend(records)
        out.forgotten.extend(forgotten)
        for anomaly in found.anomalies:
            self.anomalies[anomaly.anomaly_id] = anomaly
        closed, going, opened = self.lifecycle.advance(now, environment)
        for case in list(opened):
            self._rank(case, respond.weights)
            if not case.causes or case.causes[0].score < respond.policy.cause or self.lifecycle.same_cause(case):
                self.lifecycle.withdraw(case)
                opened.remove(case)
                continue
            self._name(case)
        impact.share_out(self.lifecycle.open, environment)
        ended = []
        for case in sorted(closed + going + opened, key=lambda c: (c.opened, c.incident_id)):
            self._members(case)
            if not case.settled:
                self._rank(case, respond.weights)
            impact.assess(case, self.lifecycle.open, environment, respond.criticality)
            self.memory.recall(case, environment, self._relevant(case))
            if self._news(now, case):
                case.version += 1
                case.said_at = now
                if case.closed >= 0:
                    case.episodes[-1][1] = case.closed
                out.incidents.append(incident(case, environment, self._relevant(case), now, respond.about))
                if case.closed >= 0:
                    ended.append(past_of(case, out.incidents[-1].title, environment, self._relevant(case)))
        for past in ended:
            self.memory.remember(past)
        self._forget(now)

    def _rank(self, case: Case, weights: Weights) -> None:
        """Causes are sought within two calls, and not among services that only another incident has."""
        within = {k for s in case.services for k in self.environment.around(s)}
        for other in self.lifecycle.open:
            within -= other.services - case.services
        first = case.first.copy()
        first[[s for s in range(len(first)) if s not in within]] = np.inf
        changed: dict[int, float] = {}
        for change in self._relevant(case):
            service = self.environment.index.get(change.service)
            if service is not None:
                before = max(0.0, (case.onset - unix_ns(change.time)) / SECOND)
                changed[service] = max(changed.get(service, 0.0), 1.0 / (1.0 + before / 300.0))
        ranked = rank(case.peak, first, self.environment.callees, changed, weights)
        case.causes = [cause for cause in ranked if cause.service in within]

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
        names = {environment.services[s] for s in case.services}
        mine = [a for a in self.anomalies.values() if a.service in names and a.anomaly_id not in self.claimed]
        if mine:
            anomaly = min(mine, key=lambda a: (a.onset, a.service, a.signal, a.anomaly_id)).anomaly_id
        else:  # evidence that adds up although no single signal was an anomaly
            service = environment.services[first.service]
            anomaly = anomaly_id(
                environment.tenant, environment.name, service, "evidence", "neighbourhood", case.opened
            )
        case.incident_id = incident_id(environment.tenant, environment.name, anomaly)
        case.episodes = [[case.opened, None]]

    def _members(self, case: Case) -> None:
        names = {self.environment.services[s] for s in case.services}
        for key, anomaly in self.anomalies.items():
            owner = self.claimed.get(key)
            if owner is None and anomaly.service in names and case.closed < 0:
                owner = self.claimed[key] = case.incident_id
                if len(case.members) >= MAX_MEMBERS:
                    case.more_members += 1
            if owner == case.incident_id and (key in case.members or len(case.members) < MAX_MEMBERS):
                case.members[key] = anomaly

    def _news(self, now: int, case: Case) -> bool:
        """Is there something to publish?"""
        causes = tuple((c.service, c.kind) for c in case.causes[:5])
        say = (tuple(sorted(case.services)), causes, case.severity, case.settled, case.closed >= 0, case.episode)
        detail = (len(case.members), round(case.causes[0].score, 1) if case.causes else 0.0)
        if say == case.said and (case.settled or now - case.said_at < UPDATE_EVERY or detail == case.detail):
            return False
        case.said, case.detail = say, detail
        return True

    def _forget(self, now: int) -> None:
        gone = [k for k, a in self.anomalies.items() if a.state == "closed" and now - unix_ns(a.window.end) > RECENT]
        for key in gone:
            del self.anomalies[key]
            self.claimed.pop(key, None)
        cases = (*self.lifecycle.open, *self.lifecycle.closed)
        self.environment.forget(now, {s for c in cases for s in (*c.services, *(cause.service for cause in c.causes))})

    def state(self) -> dict[str, Any]:
        return {
            "environment": self.environment.state(), "lifecycle": self.lifecycle.state(), "gaps": self.gaps.state(),
            "changes": [encode(c) for c in self.changes], "anomalies": [encode(a) for a in self.anomalies.values()],
            "claimed": self.claimed, "topology": self.topology.state(), "memory": self.memory.state(),
        }  # fmt: skip

    @classmethod
    def of(cls, value: dict[str, Any], policy: Policy) -> _State:
        environment = Environment.of(value["environment"])
        out = cls(environment.tenant, environment.name, policy)
        out.environment = environment
        out.lifecycle.restore(value["lifecycle"])
        out.gaps.restore(value["gaps"])
        out.changes = [decode_change(c) for c in value["changes"]]
        anomalies = [decode_anomaly(a) for a in value["anomalies"]]
        out.anomalies = {a.anomaly_id: a for a in anomalies}
        out.claimed = value["claimed"]
        out.topology.restore(value["topology"])
        out.memory.restore(value["memory"])
        return out
