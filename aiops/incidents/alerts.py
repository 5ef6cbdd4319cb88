"""Alerts and incidents of an environment: which alert belongs to which incident, and which opens one by itself.

An alert joins the nearest open incident within two calls of its service.  One without such an incident waits: an incident that
opens within minutes takes it along.  A critical one does not wait, it opens an incident whose cause is ``external``, and
keeps it open while it fires.  Everything is decided window by window, in the order of onset and id.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from aiops.causes.rank import Ranked
from aiops.incidents.alert_kin import Kinship
from aiops.incidents.alert_names import Names
from aiops.incidents.environment import Environment
from aiops.incidents.external import DETECTOR, SCORES, External, Standing
from aiops.incidents.lifecycle import Case, Lifecycle
from aiops.records import Anomaly, Notice, rfc3339
from aiops.signals import SECOND

WAIT = 300 * SECOND  # an alert that nobody claims waits for so long
MOST_OPENED = 50  # open incidents of an environment that alerts opened; further critical ones wait until one closes
REPORTED = 3.0  # score of a service as a cause because an alert named it, and nothing else speaks for it
FLOOR = ("critical", "high")  # an incident is at least as severe as an alert of its that is so
MOST_REMARKS = 5  # of a case, about alerts that joined by what they say

Reach = dict[int, tuple[int, int, str, Case]]


class Owners(Protocol):
    """To which incident an anomaly belongs, by their ids."""

    def owner(self, anomaly_id: str) -> str:
        """Id of the incident; empty where there is none."""

    def move(self, keys: Iterable[str], incident: str) -> None:
        """These anomalies belong to this incident from now on; those that nobody knows are passed over."""

    def join(self, anomaly_id: str, incident: str) -> None:
        """One that belongs to no incident joins this one; one that nobody knows is passed over."""

    def give(self, source: str, target: str) -> None:
        """All that belongs to one incident belongs to another one."""


class Alerts:
    """The alerts of one environment, and whose they are.

    Attributes
    ----------
    external : External
        The alerts themselves.
    waiting : int
        Those that fire, and that no incident has, as of the last window.
    full : int
        Since when critical ones open nothing, because alerts have opened so much, Unix ns; -1 = they do.
    """

    def __init__(self, tenant: str, environment: str) -> None:
        self.external = External(tenant, environment)
        self.waiting = 0
        self.full = -1
        self._order: list[Standing] = []  # of this window, by onset and id
        self._names = Names(Environment(tenant, environment))
        self._left = 0  # critical alerts that would have opened an incident in this window

    # ---- before the window is taken in ----------------------------------------------------------------------------
    def begin(self, now: int, open_: list[Case], environment: Environment, owners: Owners) -> list[Anomaly]:
        """Event time is `now`: returns what ended by itself; critical alerts hold their incidents open."""
        ended = self.external.expire(now)
        room = MOST_OPENED - sum(case.reported >= 0 for case in open_)
        held: set[str] = set()
        floors: dict[str, str] = {}
        self._order = self.external.ordered()
        if self._order:
            self._names = Names(environment)
        for alert in self._order:
            owner = owners.owner(alert.anomaly.anomaly_id)
            if owner and alert.severity in FLOOR:
                floors[owner] = worse(floors.get(owner, ""), alert.severity)
            if not _urgent(alert):
                continue
            if owner:
                held.add(owner)
            elif room > 0 and self._service(alert) is None and alert.named:
                self._names.add(alert.named)  # it may open an incident, which needs a service to be about
                room -= 1
        for case in open_:
            case.held = case.incident_id in held
            case.floor = worse(case.floor, floors.get(case.incident_id, ""))
        return ended

    def fresh(self) -> list[Anomaly]:
        """Versions that no window has taken in yet."""
        out = list(self.external.fresh)
        self.external.fresh.clear()
        return out

    def crowded(self, now: int, environment: Environment) -> list[Notice]:
        """What is to be said where critical alerts begin, or cease, to open nothing."""
        if (self._left > 0) == (self.full >= 0):
            return []
        since, self.full = self.full, now if self._left else -1
        text = f"{self._left} critical alerts wait: alerts have opened {MOST_OPENED} incidents that are still open"
        if since >= 0:
            text = "critical alerts open incidents again"
        place = f"environment {environment.name!r}: {text}"
        return [
            Notice(
                kind="overload", tenant=environment.tenant, environment=environment.name, text=place,
                since=rfc3339(now if since < 0 else since), until=None if since < 0 else rfc3339(now),
            )
        ]  # fmt: skip

    # ---- after evidence has opened what it opens ----------------------------------------------------------------------
    def openings(self, now: int, lifecycle: Lifecycle, environment: Environment, owners: Owners) -> list[Case]:
        """Incidents that critical alerts open, without id and causes."""
        out: list[Case] = []
        self._left = 0
        urgent = [a for a in self._order if _urgent(a) and not owners.owner(a.anomaly.anomaly_id)]
        if not urgent:
            return out
        reach = _reach(lifecycle.open, environment)
        opened = sum(case.reported >= 0 for case in lifecycle.open)
        for alert in urgent:
            service = self._service(alert)
            if opened >= MOST_OPENED and (alert.named or service is not None) and service not in reach:
                self._left += 1
                continue
            if service is None or service in reach:
                continue
            if now - alert.arrived < WAIT and _just_closed(alert, service, lifecycle.closed, environment):
                continue  # most likely the late alert of what is over; if it still fires when it has waited, it is not
            case = Case("", now, alert.onset, {service}, environment.evidence.copy(), environment.first.copy())
            case.notes, case.seed = dict(environment.notes), service
            case.reported, case.alert = service, alert.anomaly.anomaly_id
            lifecycle.open.append(case)
            out.append(case)
            opened += 1
            for other, place in _reach([case], environment).items():
                reach.setdefault(other, place)
        return out

    def claim(self, now: int, lifecycle: Lifecycle, environment: Environment, owners: Owners) -> None:
        """Alerts that belong to nobody join the open incidents that they are near to.

        Those of a service that an incident has by that name are claimed with all other anomalies of it.
        """
        free = [a for a in self._order if not owners.owner(a.anomaly.anomaly_id)]
        recent = [a for a in free if now - a.arrived <= WAIT or _urgent(a)]
        reach = _reach(lifecycle.open, environment) if recent else {}
        joined, kinship = 0, Kinship(lifecycle.open, environment)
        for alert in recent:
            service = self._service(alert)
            if service is None and not alert.named:
                joined += self._akin(alert, kinship, owners)
            if service is None or service not in reach:
                continue
            joined += alert.firing
            distance, _, incident, _ = reach[service]
            if distance or environment.services[service] != alert.anomaly.service:
                owners.join(alert.anomaly.anomaly_id, incident)
        self.waiting = sum(a.firing for a in free) - joined

    def _akin(self, alert: Standing, kinship: Kinship, owners: Owners) -> bool:
        """One that names no service joins the incident that it can only mean; has it done so, and does it still fire?"""
        kin = kinship.of(alert.anomaly)
        if kin is None:
            return False
        owners.join(alert.anomaly.anomaly_id, kin.case.incident_id)
        if owners.owner(alert.anomaly.anomaly_id) != kin.case.incident_id:
            return False  # nobody knows it any more
        if sum(name.startswith("kin/") for name in kin.case.remarks) < MOST_REMARKS:
            kin.case.remarks[f"kin/{alert.anomaly.anomaly_id}"] = [kin.type, kin.statement]
        return alert.firing

    def known(self, name: str) -> int | None:
        """Number of a service by what an alert calls it, as of this window."""
        return self._names.known(name)

    def _service(self, alert: Standing) -> int | None:
        return self._names.known(alert.named) if alert.named else self._names.meant(alert.anomaly)

    # ---- life -------------------------------------------------------------------------------------------------------------
    def gauges(self) -> dict[str, int]:
        """Sizes and counts."""
        e = self.external
        return {
            "alerts": len(e.of), "waiting_alerts": self.waiting, "alert_repeats_total": e.repeats,
            "alert_unmatched_ends_total": e.unmatched, "evicted_alerts_total": e.evicted,
            "alerts_without_service_total": e.nowhere,
        }  # fmt: skip

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {**self.external.state(), "full": self.full}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self.external.restore(state)
        self.full = state["full"]


def with_reported(case: Case, ranked: list[Ranked]) -> list[Ranked]:
    """The causes of a case, among them the service that the alert named which opened it, if nothing else speaks for that."""
    if case.reported < 0 or any(cause.service == case.reported for cause in ranked):
        return ranked
    reported = Ranked(case.reported, REPORTED, "external", {"external": REPORTED})
    return sorted([*ranked, reported], key=lambda r: (-round(r.score, 6), r.service))


def raise_severity(case: Case) -> None:
    """An incident is at least as severe as the critical and high alerts among its members."""
    case.floor = worse(case.floor, floor_of(case.members.values()))
    if worse(case.severity, case.floor) != case.severity:
        case.severity, case.severity_reason = case.floor, f"another tool calls it {case.floor}"


def worse(a: str, b: str) -> str:
    """The worse of two severities; '' is none.

    >>> worse("high", "critical"), worse("", "high")
    ('critical', 'high')
    """
    return max(a, b, key=lambda severity: SCORES.get(severity, 0.0))


def floor_of(members: Iterable[Anomaly]) -> str:
    """The floor that the alerts among the members of a case put under its severity; '' for none."""
    floor = ""
    for member in members:
        if member.detector == DETECTOR and (severity := member.attributes.get("severity", "")) in FLOOR:
            floor = worse(floor, severity)
    return floor


def _urgent(alert: Standing) -> bool:
    return alert.firing and alert.severity == "critical"


def _reach(cases: Iterable[Case], environment: Environment) -> Reach:
    """For each service within two calls of an open case the nearest one; of equally near ones the earliest."""
    out: Reach = {}
    for case in cases:
        frontier, seen = set(case.services), set[int]()
        for distance in range(3):
            for service in frontier:
                place = (distance, case.opened, case.incident_id, case)
                if service not in out or place[:3] < out[service][:3]:
                    out[service] = place
            seen |= frontier
            frontier = {near for service in frontier for near in environment.near(service)} - seen
    return out


def _just_closed(alert: Standing, service: int, closed: Iterable[Case], environment: Environment) -> bool:
    around = environment.around(service)
    recent = (case for case in closed if alert.arrived - case.closed < WAIT)
    return any(alert.onset <= case.closed and around & case.services for case in recent)
