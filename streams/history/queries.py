"""Questions about everything but incidents -> records of the store."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, desc, func, select

from aiops.noise_report import NoiseReport, decode_noise_report
from aiops.records import Anomaly, Change, Notice, decode_anomaly, decode_change, decode_notice, rfc3339
from aiops.topology import decode_topology
from aiops.topology_graph import History
from streams.history import tables
from streams.history.batch import Window

MOST_TOPOLOGY = 200_000  # records that a graph is made of


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A window of a signal that deviates; numbers in the unit of the signal, null: not known."""

    at: str
    observed: float | None
    expected: float | None
    lower: float | None
    upper: float | None
    score: float


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A template of log lines that was evident; ``anomalies``: how many of them it opened that are kept."""

    template_id: str
    template: str
    service: str
    environment: str
    anomalies: int
    first_seen: str
    last_seen: str


def anomalies(
    connection: Connection, limit: int, *, environment: str | None = None, service: str | None = None, kind: str | None = None,
    state: str | None = None, template: str | None = None, since: int | None = None, until: int | None = None,
) -> list[Anomaly]:  # fmt: skip
    """The newest by onset; times in Unix ns, those that overlap."""
    c = tables.anomalies.c
    statement = select(c.record)
    given = (
        ("environment", environment),
        ("service", service),
        ("kind", kind),
        ("state", state),
        ("template_id", template),
    )
    for name, value in given:
        if value is not None:
            statement = statement.where(c[name] == value)
    if since is not None:
        statement = statement.where(c.until >= since)
    if until is not None:
        statement = statement.where(c.onset < until)
    statement = statement.order_by(c.onset.desc(), c.anomaly_id.desc()).limit(limit)
    return [decode_anomaly(record) for (record,) in connection.execute(statement)]


def anomaly(connection: Connection, name: str) -> Anomaly | None:
    """The last version of an anomaly."""
    c = tables.anomalies.c
    value = connection.scalar(select(c.record).where(c.anomaly_id == name))
    return None if value is None else decode_anomaly(value)


def named(connection: Connection, names: Sequence[str]) -> dict[str, Anomaly]:
    """Anomalies by their ids, those that are kept."""
    c = tables.anomalies.c
    rows = connection.execute(select(c.anomaly_id, c.record).where(c.anomaly_id.in_(names)))
    return {name: decode_anomaly(record) for name, record in rows}


def points(connection: Connection, names: Sequence[str], most: int) -> dict[str, list[Point]]:
    """How the signals of anomalies went while they deviated, oldest first, at most `most` of each (the last ones)."""
    c = tables.anomaly_points.c
    statement = select(tables.anomaly_points).where(c.anomaly_id.in_(names)).order_by(c.anomaly_id, c.at)
    out: dict[str, list[Point]] = {name: [] for name in names}
    for row in connection.execute(statement):
        out[row.anomaly_id].append(
            Point(
                at=rfc3339(row.at), observed=row.observed, expected=row.expected, lower=row.lower, upper=row.upper,
                score=row.score,
            )
        )  # fmt: skip
    return {name: found[-most:] for name, found in out.items()}


def evidence(connection: Connection, environment: str, since: int, until: int, most: int) -> list[tuple[int, Window]]:
    """What detect found in windows that end from `since` until before `until` (Unix ns), oldest first, at most `most`."""
    c = tables.evidence.c
    chosen = (c.environment == environment, c.at >= since, c.at < until)
    statement = select(c.at, c.data).where(*chosen).order_by(c.at, c.part).limit(most)
    out: list[tuple[int, Window]] = []
    for at, data in connection.execute(statement):
        window = _WINDOW.decode(zlib.decompress(data))
        if out and out[-1][0] == at:  # another partition's part of the same window
            services, edges = {**out[-1][1].services, **window.services}, {**out[-1][1].edges, **window.edges}
            out[-1] = at, Window(services, edges)
        else:
            out.append((at, window))
    return out


def changes(
    connection: Connection, limit: int, *, environment: str | None = None, services: Sequence[str] | None = None,
    since: int | None = None, until: int | None = None,
) -> list[Change]:  # fmt: skip
    """What was changed from `since` until before `until` (Unix ns), newest first."""
    c = tables.changes.c
    statement = select(c.record)
    if environment is not None:
        statement = statement.where(c.environment == environment)
    if services is not None:
        statement = statement.where(c.service.in_(services))
    if since is not None:
        statement = statement.where(c.at >= since)
    if until is not None:
        statement = statement.where(c.at < until)
    rows = connection.execute(statement.order_by(c.at.desc(), c.change_id).limit(limit))
    return [decode_change(record) for (record,) in rows]


def history(connection: Connection, environment: str | None = None) -> History:
    """The topology of all times that are kept."""
    c = tables.topology.c
    statement = select(c.record)
    if environment is not None:
        statement = statement.where(c.environment == environment)
    rows = connection.execute(statement.order_by(c.version.desc(), c.topology_id).limit(MOST_TOPOLOGY))
    return History(decode_topology(record) for (record,) in rows)


def noise(
    connection: Connection,
    limit: int,
    environment: str | None = None,
    since: int | None = None,
    until: int | None = None,
) -> list[NoiseReport]:
    """Noise figures that end from `since` until before `until` (Unix ns), newest first."""
    rows = connection.execute(_between(tables.noise, tables.noise.c.until, environment, since, until).limit(limit))
    return [decode_noise_report(record) for (record,) in rows]


def notices(
    connection: Connection,
    limit: int,
    environment: str | None = None,
    since: int | None = None,
    until: int | None = None,
) -> list[Notice]:
    """Notices that begin from `since` until before `until` (Unix ns), newest first."""
    rows = connection.execute(_between(tables.notices, tables.notices.c.since, environment, since, until).limit(limit))
    return [decode_notice(record) for (record,) in rows]


def templates(connection: Connection, limit: int, environment: str | None, service: str | None) -> list[Template]:
    """Templates that opened anomalies, those seen last first."""
    c = tables.anomalies.c
    seen = func.max(c.until)
    about = (c.template_id, c.service, c.environment)
    statement = select(*about, func.max(c.template), func.count(), func.min(c.onset), seen).where(
        c.template_id.is_not(None)
    )
    if environment is not None:
        statement = statement.where(c.environment == environment)
    if service is not None:
        statement = statement.where(c.service == service)
    rows = connection.execute(statement.group_by(*about).order_by(desc(seen), c.template_id).limit(limit))
    return [
        Template(
            template_id=name, template=text or "", service=of, environment=where, anomalies=n, first_seen=rfc3339(first),
            last_seen=rfc3339(last),
        )
        for name, of, where, text, n, first, last in rows
    ]  # fmt: skip


def environments(connection: Connection) -> list[str]:
    """Environments of which anything is known, sorted."""
    of = [select(table.c.environment).distinct() for table in (tables.incidents, tables.topology, tables.noise)]
    return sorted({name for statement in of for (name,) in connection.execute(statement)})


def sizes(connection: Connection) -> dict[str, int]:
    """Rows of each table."""
    return {
        table.name: int(connection.scalar(select(func.count()).select_from(table)) or 0)
        for table in (tables.incidents, tables.transitions, tables.anomalies, tables.evidence, tables.topology)
    }


def _between(table: Any, time: Any, environment: str | None, since: int | None, until: int | None) -> Any:
    statement = select(table.c.record)
    if environment is not None:
        statement = statement.where(table.c.environment == environment)
    if since is not None:
        statement = statement.where(time >= since)
    if until is not None:
        statement = statement.where(time < until)
    return statement.order_by(time.desc(), table.c.environment)


_WINDOW = msgspec.json.Decoder(Window)
