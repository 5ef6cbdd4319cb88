"""One environment: a window of findings, or what somebody tells -> versions of its incidents, and notices.

A window passes through in this order: silence of signals, alerts, topology, noise, life of incidents, members, causes, impact,
similar ones, and what people said.  Environments do not influence each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from aiops.causes.changes import of_services
from aiops.causes.rank import Weights, rank
from aiops.findings import Findings
from aiops.incidents import impact
from aiops.incidents.alerts import Alerts, raise_severity, with_reported
from aiops.incidents.commanded import Commanded
from aiops.incidents.criticality import Criticalities
from aiops.incidents.environment import Environment
from aiops.incidents.explain import explain, remark
from aiops.incidents.flapping import USUAL
from aiops.incidents.gaps import Gaps
from aiops.incidents.learning import Learning
from aiops.incidents.lifecycle import Case, Lifecycle, Policy
from aiops.incidents.members import MAX_MEMBERS
from aiops.incidents.noise import Noise
from aiops.incidents.noise_bounds import NoiseConfig
from aiops.incidents.regroup import Groups
from aiops.incidents.report import incident
from aiops.incidents.rule_ties import Compiled, RuleTies
from aiops.incidents.similar import Memory, past_of
from aiops.incidents.topology import TopologyTracker
from aiops.incidents.unite import unite
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
    unix_ns,
)
from aiops.signals import SECOND
from aiops.status import Status
from aiops.topology import Topology

CHANGE_BEFORE = 1800 * SECOND  # a change counts when it came so long before the onset at most
CHANGE_AFTER = 60 * SECOND  # or so long after: clocks and windows are not exact
MAX_CHANGES = 1_000  # kept of an environment
UPDATE_EVERY = 60 * SECOND
SETTLED_EVERY = 300 * SECOND  # of an incident that has settled: who joins one that stays open for days is seen


@dataclass(slots=True)
class Output:
    """What a step of respond publishes; ``forgotten`` are ids of the topology that nothing will be said of any more."""

    incidents: list[Incident] = field(default_factory=list)
    anomalies: list[Anomaly] = field(default_factory=list)  # of alerts; those of detect are public before
    notices: list[Notice] = field(default_factory=list)
    topology: list[Topology] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    noise: list[NoiseReport] = field(default_factory=list)
    status: list[Status] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for all environments; `about` is (engine version, configuration hash)."""

    policy: Policy
    weights: Weights
    criticality: Criticalities
    about: tuple[str, str]
    correlation: Compiled
    noise: NoiseConfig


class Place:
    """One environment; its state is saved and restored whole."""

    def __init__(self, tenant: str, name: str, policy: Policy, noise: NoiseConfig = USUAL) -> None:
        self.environment = Environment(tenant, name)
        self.lifecycle = Lifecycle(policy)
        self.gaps = Gaps(tenant, name)
        self.topology = TopologyTracker(tenant, name)
        self.memory = Memory()
        self.changes: list[tuple[int, Change]] = []  # when it took effect (Unix ns), and what
        self.noise = Noise(tenant, name, noise)
        self.alerts = Alerts(tenant, name)
        self.rule_ties = RuleTies()
        self.commanded = Commanded()
        self.learning = Learning()

    def hear(self, arrival: int, told: Told, rules: Rules, out: Output) -> None:
        """Somebody tells something of the environment."""
        if isinstance(told, Change):
            if all(c.change_id != told.change_id or c.state != told.state for _, c in self.changes):
                self.changes.append((unix_ns(told.time), told))
                del self.changes[:-MAX_CHANGES]
        elif isinstance(told, Alert):
            out.anomalies.extend(self.alerts.external.take(arrival, told))
        else:
            incidents, notices = self.commanded.obey(arrival, told, self._groups(rules))
            for said in incidents:
                if said.resolution:
                    self.memory.resolved(said.incident_id, said.resolution)
            out.incidents.extend(incidents)
            out.notices.extend(notices)

    def _groups(self, rules: Rules) -> Groups:
        return Groups(
            self.environment, self.lifecycle, self.noise, partial(self._rank, weights=rules.weights),
            partial(self._regrouped, about=rules.about), MAX_MEMBERS,
        )  # fmt: skip

    def step(self, found: Findings, rules: Rules, out: Output) -> None:
        """A window of the environment is due."""
        now, environment = found.time, self.environment
        out.notices.extend(self.gaps.advance(now, found.totals))
        out.anomalies.extend(self.alerts.begin(now, self.lifecycle.open, environment, self.noise))
        environment.update(found)
        records, forgotten = self.topology.advance(found)
        out.topology.extend(records)
        out.forgotten.extend(forgotten)
        anomalies, cases = [*found.anomalies, *self.alerts.fresh()], (*self.lifecycle.open, *self.lifecycle.closed)
        out.notices.extend(self.noise.take(now, anomalies, sum(found.totals.values()), cases))
        new = (a for a in anomalies if a.version == 1)
        out.notices.extend(self.rule_ties.take(now, new, rules.correlation, environment, self._known))
        closed, going, opened = self.lifecycle.advance(now, environment)
        for case in list(opened):
            self._rank(case, rules.weights)
            unexplained = (
                not case.causes
                or case.causes[0].score < rules.policy.cause
                or self.lifecycle.same_cause(case, environment.machines.kind)
            )
            if unexplained or self.noise.holds_back(now, case, environment):
                self.lifecycle.withdraw(case)
                opened.remove(case)
                continue
            self._name(case)
        for case in self.alerts.openings(now, self.lifecycle, environment, self.noise):
            self._rank(case, rules.weights)
            self._name(case)
            opened.append(case)
        out.notices.extend(self.alerts.crowded(now, environment))
        self.alerts.claim(now, self.lifecycle, environment, self.noise)
        self.rule_ties.claim(self.lifecycle.open, environment, self.noise)
        impact.share_out(self.lifecycle.open, environment)
        ended = []
        for case in sorted(closed + going + opened, key=lambda c: (c.opened, c.incident_id)):
            self.noise.members(now, case, environment)
            remark(case, environment)
            if not case.settled:
                self._rank(case, rules.weights)
            impact.assess(case, self.lifecycle.open, environment, rules.criticality)
            self.memory.recall(case, environment, self._relevant(case))
            raise_severity(case)
            self.noise.judge(case, environment)
            if self._news(now, case) or self.commanded.restless(case.incident_id, now):
                case.version += 1
                if case.closed >= 0:
                    case.episodes[-1][1] = case.closed
                record = self.commanded.published(self._record(case, now, rules.about), now)
                out.incidents.append(record)
                if case.closed >= 0:
                    ended.append(past_of(case, record, environment, self._relevant(case)))
        for past in ended:
            self.memory.remember(past)
        if len(self.environment.ties):
            united, refused = unite(now, self.commanded, self._groups(rules))
            out.incidents.extend(united)
            out.notices.extend(refused)
        out.incidents.extend(self.commanded.forget(now, self.lifecycle))
        self.noise.end(now, closed)
        if (report := self.noise.report(now)) is not None:
            out.noise.append(report)
        known = environment.index
        out.status.append(self.learning.advance(found, known, self.gaps.silent, len(self.lifecycle.open)))
        self._forget(now)

    def _known(self, name: str) -> int | None:
        """Number of the service that a record names; alerts may leave out its namespace."""
        code = self.environment.index.get(name)
        return self.alerts.known(name) if code is None else code

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
        within |= {m for s in case.services for m in case.runs_on.get(s, ())}
        first = case.first.copy()
        first[[s for s in range(len(first)) if s not in within]] = np.inf
        names = self.environment.services
        began = {names[s]: float(case.first[s] if case.first[s] < np.inf else case.onset) for s in within}
        said = (note.statement for (s, _), note in case.notes.items() if s in case.services)
        plausible = of_services(self._relevant(case), began, said)
        changed = {self.environment.index[name]: value for name, value in plausible.items()}
        explain(case, within, self.environment)
        ranked = rank(case.peak, first, self.environment.callees, changed, weights, within, case.runs_on)
        case.causes = with_reported(case, ranked)

    def _relevant(self, case: Case) -> list[Change]:
        return [change for at, change in self.changes if -CHANGE_AFTER <= case.onset - at <= CHANGE_BEFORE]

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
        if case.incident_id in self.commanded:  # an alert that was forgotten since fires on: this is another incident
            anomaly = f"{anomaly} {case.opened}"
            case.incident_id = incident_id(environment.tenant, environment.name, anomaly)
        case.episodes = [[case.opened, None]]

    def _news(self, now: int, case: Case) -> bool:
        """Is there something to publish?"""
        causes = tuple((c.service, c.kind) for c in case.causes[:5])
        told = (case.severity, case.flapping, tuple(by for by, _ in case.muted))
        say = (tuple(sorted(case.services)), causes, told, case.settled, case.closed >= 0, case.episode)
        detail = (len(case.members), round(case.causes[0].score, 1) if case.causes else 0.0)
        every = SETTLED_EVERY if case.settled else UPDATE_EVERY
        if say == case.said and (now - case.said_at < every or detail == case.detail):
            return False
        case.said, case.detail = say, detail
        return True

    def _forget(self, now: int) -> None:
        cases = (*self.lifecycle.open, *self.lifecycle.closed)
        self.environment.forget(
            now,
            {
                s
                for c in cases
                for s in (
                    *c.services,
                    *c.split_off,
                    *(x.service for x in c.causes),
                    *c.runs_on,
                    *chain(*c.runs_on.values()),
                )
            },
        )

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {
            "environment": self.environment.state(), "lifecycle": self.lifecycle.state(), "gaps": self.gaps.state(),
            "changes": [encode(change) for _, change in self.changes], "noise": self.noise.state(),
            "topology": self.topology.state(), "memory": self.memory.state(),
            "alerts": self.alerts.state(), "commanded": self.commanded.state(),
            "learning": self.learning.state(), "rules": self.rule_ties.state(),
        }  # fmt: skip

    @classmethod
    def of(cls, value: dict[str, Any], policy: Policy, noise: NoiseConfig = USUAL) -> Place:
        """The place of a snapshot."""
        environment = Environment.of(value["environment"])
        out = cls(environment.tenant, environment.name, policy, noise)
        out.environment = environment
        out.lifecycle.restore(value["lifecycle"])
        out.gaps.restore(value["gaps"])
        changes = [decode_change(change) for change in value["changes"]]
        out.changes = [(unix_ns(change.time), change) for change in changes]
        out.alerts.restore(value["alerts"])
        out.commanded.restore(value["commanded"])
        out.learning.restore(value.get("learning"))
        out.rule_ties.restore(value["rules"])
        out.topology.restore(value["topology"])
        out.memory.restore(value["memory"])
        out.noise.restore(value["noise"], [case.incident_id for case in out.lifecycle.open])
        return out
