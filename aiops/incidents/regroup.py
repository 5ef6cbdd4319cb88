"""Two cases made one, and one made two, because a person said so: services, evidence, members and their owners.

What a person took apart stays apart: neither of the two takes the other's services again, however close they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from aiops.incidents.alerts import Owners, floor_of, worse
from aiops.incidents.environment import Environment
from aiops.incidents.lifecycle import Case, Lifecycle
from aiops.records import Incident


@dataclass(slots=True)
class Groups:
    """What an environment lends to whoever regroups its cases.

    Attributes
    ----------
    owners : Owners
        Whose an anomaly is.
    rank : callable
        Ranks the causes of a case anew.
    record : callable
        (case, event time) -> the engine's record of it.
    most : int
        Members kept of a case.
    """

    environment: Environment
    lifecycle: Lifecycle
    owners: Owners
    rank: Callable[[Case], None]
    record: Callable[[Case, int], Incident]
    most: int

    def is_open(self, incident: str) -> bool:
        """Does the engine follow it as open?"""
        return any(c.incident_id == incident for c in self.lifecycle.open)

    def close(self, incident: str) -> None:
        """The incident is another's from now on: it cannot come back as an episode."""
        self.lifecycle.open = [c for c in self.lifecycle.open if c.incident_id != incident]
        self.lifecycle.closed = [c for c in self.lifecycle.closed if c.incident_id != incident]

    def merge(self, source: str, services: Iterable[str], target: Case) -> None:
        """The target takes all that the source has, and is ranked anew.

        Of a source that was over so long ago that the engine has no case of it any more, that is the names of its services.
        """
        given = self.lifecycle.case(source)
        target.fit(len(self.environment.services))  # one that has settled has seen no service that came since
        if given is not None:
            given.fit(len(self.environment.services))
            _take(target, given, self.most)
        else:
            known = {self.environment.index[name] for name in services if name in self.environment.index}
            target.left |= known - target.services
            target.services |= known
        self.close(source)
        self.owners.give(source, target.incident_id)
        self.rank(target)

    def split(self, case: Case, services: set[int], incident: str, now: int) -> Case:
        """Some services of an open case leave it into a new one; both are ranked anew."""
        case.fit(len(self.environment.services))
        names = {self.environment.services[s] for s in services}
        members = {key: m for key, m in case.members.items() if m.service in names}
        first = min(float(case.first[s]) for s in services)
        new = Case(
            incident, now, int(first) if np.isfinite(first) else case.onset, set(services), case.peak.copy(),
            case.first.copy(), dict(case.notes), members=members, seed=min(services), episodes=[[now, None]],
            quiet={s: since for s, since in case.quiet.items() if s in services}, left=case.left & services,
            affected=case.affected, split_off=case.split_off | (case.services - services),
            runs_on=dict(case.runs_on), unreached=list(case.unreached),
        )  # fmt: skip
        case.members = {key: m for key, m in case.members.items() if key not in members}
        case.services -= services
        case.split_off |= services
        case.left -= services
        case.quiet = {s: since for s, since in case.quiet.items() if s not in services}
        if case.reported in services:
            new.reported, new.alert = case.reported, case.alert
            case.reported, case.alert = -1, ""
        for each in (case, new):
            each.floor = floor_of(each.members.values())
        new.severity, new.severity_reason = worse(case.severity, new.floor), case.severity_reason
        self.owners.move(members, incident)
        self.lifecycle.open.append(new)
        self.rank(new)
        self.rank(case)
        return new


def _take(target: Case, given: Case, most: int) -> None:
    target.take(given.peak, given.notes)
    target.first = np.minimum(target.first, given.first)
    over = given.services if given.closed >= 0 else given.left
    target.left |= over - target.services  # what is over there must not hold the target open
    for service, since in given.quiet.items():
        if service not in target.services:
            target.quiet[service] = since
    target.services |= given.services
    target.split_off = (target.split_off | given.split_off) - target.services
    for key, member in given.members.items():
        if len(target.members) < most or key in target.members:
            target.members[key] = member
        else:
            target.more_members += 1
    target.more_members += given.more_members
    target.onset = min(target.onset, given.onset)
    for service, machines in given.runs_on.items():
        target.runs_on[service] = sorted({*target.runs_on.get(service, ()), *machines})
    target.unreached += [pair for pair in given.unreached if pair not in target.unreached]
    target.called = target.called or given.called
    for reason, n in given.suppressed.items():
        target.suppressed[reason] = target.suppressed.get(reason, 0) + n
    target.affected = max(target.affected, given.affected)
    target.floor, target.severity = worse(target.floor, given.floor), worse(target.severity, given.severity)
    if target.reported < 0:
        target.reported, target.alert = given.reported, given.alert
