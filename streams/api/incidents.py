"""Operations about incidents: the list, one with what is known of it, its series, its neighbourhood, figures."""

from __future__ import annotations

import msgspec

from aiops.errors import UserError
from aiops.records import Anomaly, Change, Incident, rfc3339, unix_ns
from aiops.signals import SECOND
from aiops.topology_graph import Edge, Graph, Node
from streams.api import overlay
from streams.api.operations import Call, Operation
from streams.api.problem import RefusedError
from streams.api.requests import FiguresQuery, IncidentsQuery, SeriesQuery, moment
from streams.history import commands, incident_queries, queries
from streams.history.batch import Window
from streams.history.incident_queries import Figures, Filter, Item, Transition

MOST_POINTS = 500  # of a signal
MOST_WINDOWS = 2_000  # of evidence
MOST_NODES = 200  # of a neighbourhood
MOST_CHANGES = 50
CHANGES_BEFORE = 1_800 * SECOND  # as a change counts for a cause


class IncidentPage(msgspec.Struct, frozen=True, kw_only=True):
    """Incidents, newest first; ``next``: the cursor of the following page, null on the last one."""

    items: list[Item]
    next: str | None


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A command that the engine has not said anything of yet; it is laid over the incident."""

    command_id: int
    at: str
    author: str
    command: str


class IncidentAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An incident: the record with commands that wait laid over it, its versions, changes nearby, anomalies that are kept."""

    incident: Incident
    waiting: list[Waiting]
    versions: list[Transition]
    changes: list[Change]
    anomalies: list[Anomaly]


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """A signal while it deviated."""

    anomaly_id: str
    service: str
    signal: str
    kind: str
    direction: str
    onset: str
    statement: str
    score: float
    points: list[queries.Point]


class ServiceSeries(msgspec.Struct, frozen=True, kw_only=True):
    """A service by windows of 10 s, before the incident too: requests of the last minute, failed ones, evidence by term.

    Arrays are as long as ``at`` (Unix seconds); a term that is never evident is left out.
    """

    service: str
    at: list[int]
    requests: list[float]
    failed: list[float]
    terms: dict[str, list[float]]


class SeriesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What to plot: signals that deviate with what was expected of them, services with their evidence, changes."""

    since: str
    until: str
    onset: str
    signals: list[Signal]
    services: list[ServiceSeries]
    changes: list[Change]


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A service near an incident and what it has to do with it.

    ``role``: ``cause`` (the first), ``member``, ``felt``, ``may_feel`` or ``near``.
    """

    service: str
    role: str
    requests_per_minute: float | None
    error_ratio: float | None


class Neighbourhood(msgspec.Struct, frozen=True, kw_only=True):
    """The services of an incident, those that may feel it, and their neighbours, as they were when it opened."""

    at: str
    services: list[Placed]
    edges: list[Edge]
    not_listed: int


def listed(call: Call) -> IncidentPage:
    """A page of the list."""
    query: IncidentsQuery = call.query
    with call.store.reading() as connection:
        try:
            items, following = incident_queries.page(connection, _filter(query), query.limit, query.cursor)
        except UserError as error:
            raise RefusedError(400, str(error)) from None
        waiting = commands.waiting(connection, [item.incident_id for item in items])
        for name in sorted({said.command.incident_id for said in waiting}):
            if (incident := incident_queries.one(connection, name)) is not None:
                over = overlay.laid_over(incident, [said for said in waiting if said.command.incident_id == name])
                items = [_laid_over(item, over) if item.incident_id == name else item for item in items]
    return IncidentPage(items=items, next=following)


def one(call: Call) -> IncidentAnswer:
    """One incident."""
    name = call.path["incident_id"]
    with call.store.reading() as connection:
        incident = found(incident_queries.one(connection, name), name)
        waiting = commands.waiting(connection, [name])
        anomalies = queries.named(connection, [member.anomaly_id for member in incident.members])
        onset, end = unix_ns(incident.onset_at), unix_ns(incident.updated_at)
        changes = queries.changes(
            connection, MOST_CHANGES, environment=incident.environment, since=onset - CHANGES_BEFORE, until=end + SECOND
        )
        return IncidentAnswer(
            incident=overlay.laid_over(incident, waiting),
            waiting=[
                Waiting(command_id=w.command_id, at=rfc3339(w.at), author=w.author, command=w.command.command) for w in waiting
            ],
            versions=incident_queries.versions(connection, name),
            changes=changes,
            anomalies=[anomalies[m.anomaly_id] for m in incident.members if m.anomaly_id in anomalies],
        )  # fmt: skip


def series(call: Call) -> SeriesAnswer:
    """What to plot of one incident."""
    name, query = call.path["incident_id"], call.query
    assert isinstance(query, SeriesQuery)
    with call.store.reading() as connection:
        incident = found(incident_queries.one(connection, name), name)
        onset = unix_ns(incident.onset_at)
        since = max(0, onset - query.before * SECOND)
        until = unix_ns(incident.updated_at) + query.after * SECOND
        strongest = sorted(incident.members, key=lambda m: (-m.score, m.anomaly_id))
        known = queries.named(connection, [m.anomaly_id for m in strongest[: 2 * query.limit]])
        points = queries.points(connection, sorted(known), MOST_POINTS)
        # Two points make a line; of those that have none only the statement is worth its place.
        order = sorted(known.values(), key=lambda a: (not points[a.anomaly_id], -a.score, a.anomaly_id))[: query.limit]
        windows = queries.evidence(connection, incident.environment, since, until + 1, MOST_WINDOWS)
        changes = queries.changes(
            connection,
            MOST_CHANGES,
            environment=incident.environment,
            services=_about(incident),
            since=since,
            until=until,
        )
    return SeriesAnswer(
        since=rfc3339(since), until=rfc3339(until), onset=incident.onset_at,
        signals=[_signal(anomaly, points[anomaly.anomaly_id]) for anomaly in order],
        services=[_service(service, windows) for service in _about(incident)[: query.limit]],
        changes=changes,
    )  # fmt: skip


def neighbourhood(call: Call) -> Neighbourhood:
    """The topology around one incident."""
    name = call.path["incident_id"]
    with call.store.reading() as connection:
        incident = found(incident_queries.one(connection, name), name)
        history = queries.history(connection, incident.environment)
    try:
        graph = history.at(unix_ns(incident.opened_at))
    except UserError:  # nothing is known of that time, or at all: services without calls
        graph = Graph(at=incident.opened_at, services=(), edges=())
    roles = _roles(incident)
    for edge in graph.edges:
        for mine, other in ((edge.caller, edge.callee), (edge.callee, edge.caller)):
            if roles.get(mine, "near") != "near":
                roles.setdefault(other, "near")
    nodes = {node.service: node for node in graph.services}
    kept = sorted(roles, key=lambda service: (_ROLES.index(roles[service]), service))[:MOST_NODES]
    shown = set(kept)
    return Neighbourhood(
        at=graph.at,
        services=[_placed(service, roles[service], nodes.get(service)) for service in kept],
        edges=[edge for edge in graph.edges if edge.caller in shown and edge.callee in shown],
        not_listed=len(roles) - len(kept),
    )


def figures(call: Call) -> Figures:
    """How incidents went."""
    query: FiguresQuery = call.query
    wanted = Filter(
        environment=query.environment, service=query.service, team=query.team, since=moment("since", query.since),
        until=moment("until", query.until),
    )  # fmt: skip
    with call.store.reading() as connection:
        return incident_queries.figures(connection, wanted)


def found(incident: Incident | None, name: str) -> Incident:
    """The incident, or 404."""
    if incident is None:
        raise RefusedError(404, f"there is no incident {name}")
    return incident


OPERATIONS = (
    Operation(
        "GET", "/incidents", "listIncidents", "Incidents by filters, newest first", listed, IncidentPage,
        query=IncidentsQuery,
    ),
    Operation(
        "GET", "/incidents/{incident_id}", "getIncident", "One incident with evidence, versions, changes, anomalies", one,
        IncidentAnswer, refusals=(404,),
    ),
    Operation(
        "GET", "/incidents/{incident_id}/series", "getSeries", "What to plot of one incident", series, SeriesAnswer,
        query=SeriesQuery, refusals=(404,),
    ),
    Operation(
        "GET", "/incidents/{incident_id}/topology", "getNeighbourhood", "Services around one incident, and what they feel",
        neighbourhood, Neighbourhood, refusals=(404,),
    ),
    Operation(
        "GET", "/figures", "getFigures", "How many incidents, how soon detected, acknowledged, resolved", figures, Figures,
        query=FiguresQuery,
    ),
)  # fmt: skip
_ROLES = ("cause", "member", "felt", "may_feel", "near")


def _filter(query: IncidentsQuery) -> Filter:
    return Filter(
        states=query.state, severities=query.severity, environment=query.environment, service=query.service,
        cause_service=query.cause_service, cause_kind=query.cause_kind, team=query.team, assignee=query.assignee,
        question=query.q, since=moment("since", query.since), until=moment("until", query.until),
    )  # fmt: skip


def _laid_over(item: Item, incident: Incident) -> Item:
    first = incident.causes[0] if incident.causes and not incident.no_confident_cause else None
    return msgspec.structs.replace(
        item, state=incident.state, assignee=incident.assignee, team=incident.team, title=incident.title,
        resolved_at=incident.resolved_at, cause_service=first and first.service, cause_kind=first and first.kind,
        confidence=first and first.confidence,
    )  # fmt: skip


def _about(incident: Incident) -> list[str]:
    """Services that it is about: that of the first cause, then those that take part."""
    first = [cause.service for cause in incident.causes[:1]]
    return list(dict.fromkeys([*first, *incident.services]))


def _roles(incident: Incident) -> dict[str, str]:
    roles: dict[str, str] = {}
    if incident.causes and not incident.no_confident_cause:
        roles[incident.causes[0].service] = "cause"
    for role, services in (
        ("member", incident.services), ("felt", incident.impact.felt), ("may_feel", incident.impact.services)
    ):  # fmt: skip
        for service in services:
            roles.setdefault(service, role)
    return roles


def _placed(service: str, role: str, node: Node | None) -> Placed:
    rate, errors = (None, None) if node is None else (node.requests_per_minute, node.error_ratio)
    return Placed(service=service, role=role, requests_per_minute=rate, error_ratio=errors)


def _signal(anomaly: Anomaly, points: list[queries.Point]) -> Signal:
    return Signal(
        anomaly_id=anomaly.anomaly_id, service=anomaly.service, signal=anomaly.signal, kind=anomaly.kind,
        direction=anomaly.direction, onset=anomaly.onset, statement=anomaly.statement, score=anomaly.score, points=points,
    )  # fmt: skip


def _service(service: str, windows: list[tuple[int, Window]]) -> ServiceSeries:
    mine = [(at, window.services[service]) for at, window in windows if service in window.services]
    names = sorted({name for _, quantities in mine for name in quantities.terms})
    return ServiceSeries(
        service=service, at=[at // SECOND for at, _ in mine], requests=[q.count for _, q in mine],
        failed=[q.failed for _, q in mine],
        terms={name: [q.terms.get(name, 0.0) for _, q in mine] for name in names},
    )  # fmt: skip
