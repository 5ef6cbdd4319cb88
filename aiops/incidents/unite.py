"""Open incidents that a tie relates by now -> one of them, by the command with which a person would merge them.

What is tied from the beginning opens one incident.  Where it is seen later, as when a machine is found out only by its third
service, the later incident is merged into the earlier one.
"""

from __future__ import annotations

from aiops.incidents.commanded import Commanded
from aiops.incidents.lifecycle import Case
from aiops.incidents.overlay import ENGINE
from aiops.incidents.regroup import Groups
from aiops.records import Command, Incident, Notice, rfc3339


def unite(now: int, commanded: Commanded, groups: Groups) -> tuple[list[Incident], list[Notice]]:
    """Merge what is tied at event time `now` (Unix ns) and has not settled, unless a person took it apart."""
    incidents: list[Incident] = []
    notices: list[Notice] = []
    for _, tie in groups.environment.ties.all():
        services = tie.services - {tie.hub}
        cases = [c for c in groups.lifecycle.open if services & c.present and c.version]
        cases.sort(key=lambda c: (c.opened, c.incident_id))
        for case in cases[1:]:
            if case.settled or _taken_apart(case, cases[0]):
                continue
            if not commanded.can_merge(case.incident_id, cases[0].incident_id):
                continue
            command = Command(
                command="merge", incident_id=case.incident_id, author=ENGINE, time=rfc3339(now),
                arguments={"into": cases[0].incident_id, "reason": tie.statement}, environment=groups.environment.name,
            )  # fmt: skip
            said, refused = commanded.obey(now, command, groups)
            incidents += said
            notices += refused
    return incidents, notices


def _taken_apart(one: Case, other: Case) -> bool:
    return bool(one.split_off & other.services or other.split_off & one.services)
