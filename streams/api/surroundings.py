"""Operations about everything around incidents: anomalies, templates, topology, noise, notices, changes, the pipeline."""

from __future__ import annotations

from typing import Any

import msgspec

from aiops.errors import UserError
from aiops.noise_report import NoiseReport
from aiops.records import Anomaly, Change, Notice, rfc3339
from aiops.topology_graph import Difference, Graph
from streams.api.operations import Call, Operation, Status
from streams.api.problem import RefusedError
from streams.api.requests import (
    AnomaliesQuery,
    DifferenceQuery,
    SpanQuery,
    TemplatesQuery,
    TopologyQuery,
    moment,
)
from streams.api.tokens import Role
from streams.history import queries

MOST_POINTS = 500


class AnomalyPage(msgspec.Struct, frozen=True, kw_only=True):
    """Anomalies, newest first by onset."""

    items: list[Anomaly]


class AnomalyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An anomaly and how its signal went while it deviated."""

    anomaly: Anomaly
    points: list[queries.Point]


class TemplatePage(msgspec.Struct, frozen=True, kw_only=True):
    """Templates of log lines, those seen last first."""

    items: list[queries.Template]


class NoisePage(msgspec.Struct, frozen=True, kw_only=True):
    """Noise figures, newest first, and their sums."""

    items: list[NoiseReport]
    totals: dict[str, int]
    suppressed: dict[str, int]


class NoticePage(msgspec.Struct, frozen=True, kw_only=True):
    """Notices, newest first."""

    items: list[Notice]


class ChangePage(msgspec.Struct, frozen=True, kw_only=True):
    """Changes, newest first."""

    items: list[Change]


class Pipeline(msgspec.Struct, frozen=True, kw_only=True):
    """How what fills the store stands, how far the store is (``clock``, event time), and what it holds."""

    status: Status
    clock: str
    environments: list[str]
    rows: dict[str, int]
    notices: list[Notice]


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls."""

    name: str
    role: Role


def anomalies(call: Call) -> AnomalyPage:
    """A list of anomalies."""
    q: AnomaliesQuery = call.query
    with call.store.reading() as connection:
        items = queries.anomalies(
            connection, q.limit, environment=q.environment, service=q.service, kind=q.kind, state=q.state,
            template=q.template_id, since=moment("since", q.since), until=moment("until", q.until),
        )  # fmt: skip
    return AnomalyPage(items=items)


def anomaly(call: Call) -> AnomalyAnswer:
    """One anomaly."""
    name = call.path["anomaly_id"]
    with call.store.reading() as connection:
        found = queries.anomaly(connection, name)
        if found is None:
            raise RefusedError(404, f"there is no anomaly {name}")
        return AnomalyAnswer(anomaly=found, points=queries.points(connection, [name], MOST_POINTS)[name])


def templates(call: Call) -> TemplatePage:
    """Templates that were evident."""
    q: TemplatesQuery = call.query
    with call.store.reading() as connection:
        return TemplatePage(items=queries.templates(connection, q.limit, q.environment, q.service))


def topology(call: Call) -> Graph:
    """The graph at a time."""
    q: TopologyQuery = call.query
    with call.store.reading() as connection:
        history = queries.history(connection, q.environment)
    try:
        return history.at(moment("at", q.at))
    except UserError as error:
        raise RefusedError(404, str(error)) from None


def difference(call: Call) -> Difference:
    """What differs between two times."""
    q: DifferenceQuery = call.query
    since, until = moment("since", q.since), moment("until", q.until)
    if since is None or (until is not None and since >= until):
        raise RefusedError(400, "since is not before until")
    with call.store.reading() as connection:
        history = queries.history(connection, q.environment)
    try:
        return history.difference(since, until)
    except UserError as error:
        raise RefusedError(404, str(error)) from None


def noise(call: Call) -> NoisePage:
    """How much became how little."""
    items = _span(call, queries.noise)
    names = ("items", "records", "anomalies", "incidents")
    suppressed: dict[str, int] = {}
    for report in items:
        for reason, n in report.suppressed.items():
            suppressed[reason] = suppressed.get(reason, 0) + n
    totals = {name: sum(getattr(report, name) for report in items) for name in names}
    return NoisePage(items=items, totals=totals, suppressed=dict(sorted(suppressed.items())))


def notices(call: Call) -> NoticePage:
    """What is wrong with the telemetry."""
    return NoticePage(items=_span(call, queries.notices))


def changes(call: Call) -> ChangePage:
    """What was changed."""
    q: SpanQuery = call.query
    with call.store.reading() as connection:
        items = queries.changes(
            connection,
            q.limit,
            environment=q.environment,
            since=moment("since", q.since),
            until=moment("until", q.until),
        )
    return ChangePage(items=items)


def pipeline(call: Call) -> Pipeline:
    """How it all stands."""
    with call.store.reading() as connection:
        recent = queries.notices(connection, 50)
        environments, rows = queries.environments(connection), queries.sizes(connection)
    return Pipeline(
        status=call.backend.status(), clock=rfc3339(call.store.clock()), environments=environments, rows=rows,
        notices=[notice for notice in recent if notice.until is None],
    )  # fmt: skip


def me(call: Call) -> Me:
    """Who calls."""
    return Me(name=call.caller.name, role=call.caller.role)


def _span(call: Call, ask: Any) -> Any:
    q: SpanQuery = call.query
    with call.store.reading() as connection:
        return ask(connection, q.limit, q.environment, moment("since", q.since), moment("until", q.until))


OPERATIONS = (
    Operation("GET", "/me", "getMe", "Who the token belongs to, and what it may", me, Me),
    Operation("GET", "/anomalies", "listAnomalies", "Anomalies, newest first", anomalies, AnomalyPage, query=AnomaliesQuery),
    Operation(
        "GET", "/anomalies/{anomaly_id}", "getAnomaly", "One anomaly and its signal", anomaly, AnomalyAnswer, refusals=(404,)
    ),
    Operation(
        "GET", "/templates", "listTemplates", "Templates of log lines that opened anomalies", templates, TemplatePage,
        query=TemplatesQuery,
    ),
    Operation(
        "GET", "/topology", "getTopology", "Services and calls at a time", topology, Graph, query=TopologyQuery,
        refusals=(404,),
    ),
    Operation(
        "GET", "/topology/difference", "getTopologyDifference", "What differs between two times", difference, Difference,
        query=DifferenceQuery, refusals=(404,),
    ),
    Operation("GET", "/noise", "listNoise", "How much telemetry became how few incidents", noise, NoisePage, query=SpanQuery),
    Operation("GET", "/notices", "listNotices", "What is wrong with the telemetry", notices, NoticePage, query=SpanQuery),
    Operation("GET", "/changes", "listChanges", "Changes of services", changes, ChangePage, query=SpanQuery),
    Operation("GET", "/pipeline", "getPipeline", "How what fills the store stands", pipeline, Pipeline),
)  # fmt: skip
