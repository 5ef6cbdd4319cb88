"""Batches of what the engine said -> rows; of several versions of a thing the greatest stays, whatever the order.

The store holds nothing that the public topics do not say again, but for the audit trail of commands and the numbers of
transitions.  One writer, any number of readers.
"""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Table, create_engine, delete, event, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from aiops.codec import encode
from aiops.errors import UserError
from aiops.records import Anomaly, Incident, Notice, unix_ns
from streams.history import commands, tables, words
from streams.history.batch import Batch, window_of
from streams.history.migrate import migrate

SUPPORTED = ("sqlite", "postgresql")
PATIENCE = 30.0  # seconds for another process to let go of the database
ROWS = 500  # ids in one statement: databases bound the number of parameters


class Store:
    """A database, brought up to date when it is opened.

    Parameters
    ----------
    url : str
        As SQLAlchemy writes it: ``sqlite:///history.db``, ``postgresql+psycopg://user:password@host/name``.

    Raises
    ------
    UserError
        There is no such database, it cannot be opened, or a newer release has written it.
    """

    def __init__(self, url: str) -> None:
        self.engine = _opened(url)
        self.dialect = self.engine.dialect.name
        try:
            with self.writing() as connection:
                migrate(connection)
        except SQLAlchemyError as error:
            self.close()
            raise UserError(f"history: {self.engine.url!r} cannot be opened: {_reason(error)}") from None
        except UserError:
            self.close()
            raise

    def close(self) -> None:
        """Give up the connections."""
        self.engine.dispose()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to ask with."""
        with self.engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction: all of it is written, or nothing."""
        with self.engine.connect() as connection, connection.execution_options(aiops_writes=True).begin():
            yield connection

    def positions(self) -> dict[tuple[str, int], int]:
        """How far topics were read: (topic, partition) -> offset of the next message."""
        table = tables.positions
        with self.reading() as connection:
            rows = connection.execute(select(table.c.topic, table.c.partition, table.c.offset))
            return {(topic, partition): offset for topic, partition, offset in rows}

    def clock(self) -> int:
        """The greatest event time that the store was told, Unix ns; 0 before anything."""
        with self.reading() as connection:
            return _clock(connection)

    # ---- writing --------------------------------------------------------------------------------------------------------
    def apply(self, batch: Batch) -> None:
        """Write a batch whole or not at all; what is known already changes nothing."""
        if batch.empty:
            return
        with self.writing() as connection:
            self._incidents(connection, batch.incidents)
            self._anomalies(connection, batch.anomalies)
            self._others(connection, batch)
            self._clocks(connection, batch)

    def _incidents(self, connection: Connection, given: Sequence[tuple[Incident, str]]) -> None:
        if not given:
            return
        self._new(connection, tables.transitions, [_transition(i, kind) for i, kind in given], "incident_id", "version")
        newest: dict[str, Incident] = {}
        for incident, _ in given:
            if incident.version > (known.version if (known := newest.get(incident.incident_id)) else 0):
                newest[incident.incident_id] = incident
        table, names = tables.incidents, sorted(newest)
        stored: dict[str, int] = {}
        for some in _parts(names):
            rows = connection.execute(select(table.c.incident_id, table.c.version).where(table.c.incident_id.in_(some)))
            stored |= {row.incident_id: row.version for row in rows}
        fresh = [newest[name] for name in names if newest[name].version > stored.get(name, 0)]
        if not fresh:
            return
        self._newer(connection, table, [_incident(incident) for incident in fresh], "incident_id")
        services = tables.incident_services
        for some in _parts([incident.incident_id for incident in fresh]):
            connection.execute(delete(services).where(services.c.incident_id.in_(some)))
        of = [{"service": s, "incident_id": i.incident_id} for i in fresh for s in sorted({*i.services, *_blamed(i)})]
        if of:
            connection.execute(services.insert(), of)
        words.write(connection, fresh)
        commands.settle(connection, fresh)

    def _anomalies(self, connection: Connection, given: Sequence[Anomaly]) -> None:
        if not given:
            return
        newest: dict[str, Anomaly] = {}
        points: dict[tuple[str, int], dict[str, Any]] = {}
        for anomaly in sorted(given, key=lambda a: a.version):
            newest[anomaly.anomaly_id] = anomaly
            if anomaly.observed is not None:
                point = _point(anomaly)
                points[anomaly.anomaly_id, point["at"]] = point
        self._newer(connection, tables.anomalies, [_anomaly(newest[name]) for name in sorted(newest)], "anomaly_id")
        self._newer(connection, tables.anomaly_points, [points[key] for key in sorted(points)], "anomaly_id", "at")

    def _others(self, connection: Connection, batch: Batch) -> None:
        of_topology = {(t.topology_id, t.version): t for t in batch.topology}
        rows = [
            {
                "topology_id": name, "version": version, "environment": t.environment, "last_seen": unix_ns(t.last_seen),
                "record": encode(t),
            }
            for (name, version), t in sorted(of_topology.items())
        ]  # fmt: skip
        self._new(connection, tables.topology, rows, "topology_id", "version")
        reports = {(r.environment, unix_ns(r.until)): r for r in batch.noise}
        rows = [{"environment": e, "until": until, "record": encode(r)} for (e, until), r in sorted(reports.items())]
        self._new(connection, tables.noise, rows, "environment", "until")
        changes = {(c.change_id, c.state or ""): c for c in batch.changes}
        rows = [
            {
                "change_id": name, "state": state, "environment": c.environment, "service": c.service, "at": unix_ns(c.time),
                "record": encode(c),
            }
            for (name, state), c in sorted(changes.items())
        ]  # fmt: skip
        self._new(connection, tables.changes, rows, "change_id", "state")
        rows = [
            {
                "environment": found.environment, "at": found.time, "part": part,
                "data": zlib.compress(msgspec.json.encode(window_of(found)), 6),
            }
            for part, found in batch.findings
        ]  # fmt: skip
        self._new(connection, tables.evidence, rows, "environment", "at", "part")
        self._notices(connection, batch.notices)

    def _notices(self, connection: Connection, given: Sequence[Notice]) -> None:
        table = tables.notices
        for notice in given:  # few; one that is over takes the place of the same while it lasted
            row = _notice(notice)
            statement = self._insert(table).values(row)
            excluded = statement.excluded
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["notice_id"],
                    set_={"until": excluded.until, "record": excluded.record},
                    where=table.c.until.is_(None),
                )
            )

    def _clocks(self, connection: Connection, batch: Batch) -> None:
        times = [unix_ns(i.updated_at) for i, _ in batch.incidents]
        times += [unix_ns(a.window.end) for a in batch.anomalies] + [found.time for _, found in batch.findings]
        times += [unix_ns(r.until) for r in batch.noise]
        if times:
            table = tables.meta
            statement = self._insert(table).values(name="clock", value=max(times))
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["name"],
                    set_={"value": statement.excluded.value},
                    where=statement.excluded.value > table.c.value,
                )
            )
        if batch.positions:
            rows = [{"topic": t, "partition": p, "offset": at} for (t, p), at in sorted(batch.positions.items())]
            statement = self._insert(tables.positions)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["topic", "partition"], set_={"offset": statement.excluded.offset}
                ),
                rows,
            )

    def _insert(self, table: Table) -> Any:
        """An insert that can say what to do where the row is there."""
        return sqlite.insert(table) if self.dialect == "sqlite" else postgresql.insert(table)

    def _new(self, connection: Connection, table: Table, rows: list[dict[str, Any]], *key: str) -> None:
        """Add the rows that are not there."""
        if rows:
            connection.execute(self._insert(table).on_conflict_do_nothing(index_elements=list(key)), rows)

    def _newer(self, connection: Connection, table: Table, rows: list[dict[str, Any]], *key: str) -> None:
        """Add rows, or let them take the place of rows of lesser versions."""
        if not rows:
            return
        statement = self._insert(table)
        columns = {c.name: statement.excluded[c.name] for c in table.c if c.name not in key}
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=list(key), set_=columns, where=statement.excluded.version > table.c.version
            ),
            rows,
        )


def _opened(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() not in SUPPORTED:
            raise UserError(f"history: {parsed.get_backend_name()} is not supported: {' or '.join(SUPPORTED)}")
        if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
            folder = Path(str(parsed.database)).parent
            if not folder.is_dir():
                raise UserError(f"history: {folder} is no directory: the store cannot be made in it")
        engine = create_engine(parsed, pool_pre_ping=parsed.get_backend_name() == "postgresql")
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError, ValueError) as error:
        # The text of the address is left out: it may hold a password.
        raise UserError(f"history: not the address of a database that can be used: {_reason(error)}") from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepared)
        event.listen(engine, "begin", _begun)
    return engine


def _prepared(connection: sqlite3.Connection, _record: object) -> None:
    """Readers do not wait for the writer; what is lost at a power cut is read from the topics again."""
    connection.isolation_level = None  # sqlite3 would begin transactions by its own rules
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute(f"PRAGMA busy_timeout={round(1000 * PATIENCE)}")
    cursor.close()


def _begun(connection: Connection) -> None:
    """Who will write waits for the writer at once: a reader that turns into one would fail where another has written."""
    writes = connection.get_execution_options().get("aiops_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _reason(error: Exception) -> str:
    if isinstance(error, UserError):
        return str(error)
    inner = getattr(error, "orig", None) or error
    return str(inner).splitlines()[0] if str(inner) else type(inner).__name__


def _clock(connection: Connection) -> int:
    value = connection.scalar(select(func.max(tables.meta.c.value)).where(tables.meta.c.name == "clock"))
    return int(value or 0)


def _parts(names: list[str]) -> Iterator[list[str]]:
    for begin in range(0, len(names), ROWS):
        yield names[begin : begin + ROWS]


# ---- rows ---------------------------------------------------------------------------------------------------------------
def _blamed(incident: Incident) -> list[str]:
    return [] if incident.no_confident_cause else [cause.service for cause in incident.causes[:1]]


def _transition(incident: Incident, kind: str) -> dict[str, Any]:
    return {
        "incident_id": incident.incident_id, "version": incident.version, "kind": kind, "at": unix_ns(incident.updated_at),
        "environment": incident.environment, "state": incident.state, "severity": incident.severity, "title": incident.title,
    }  # fmt: skip


def _incident(incident: Incident) -> dict[str, Any]:
    first = incident.causes[0] if incident.causes and not incident.no_confident_cause else None
    seen = [unix_ns(d.time) for d in incident.log if d.command == "acknowledge" and not d.refused]
    return {
        "incident_id": incident.incident_id, "version": incident.version, "episode": incident.episode,
        "tenant": incident.tenant, "environment": incident.environment, "state": incident.state,
        "severity": incident.severity, "title": incident.title,
        "cause_service": first and first.service, "cause_kind": first and first.kind,
        "confidence": first and first.confidence, "team": incident.team, "assignee": incident.assignee,
        "onset_at": unix_ns(incident.onset_at), "opened_at": unix_ns(incident.opened_at),
        "updated_at": unix_ns(incident.updated_at), "acknowledged_at": min(seen, default=None),
        "resolved_at": None if incident.resolved_at is None else unix_ns(incident.resolved_at),
        "record": encode(incident),
    }  # fmt: skip


def _anomaly(anomaly: Anomaly) -> dict[str, Any]:
    return {
        "anomaly_id": anomaly.anomaly_id, "version": anomaly.version, "environment": anomaly.environment,
        "service": anomaly.service, "kind": anomaly.kind, "state": anomaly.state, "signal": anomaly.signal,
        "score": anomaly.score, "onset": unix_ns(anomaly.onset), "until": unix_ns(anomaly.window.end),
        "template_id": anomaly.attributes.get("template_id_now") or anomaly.attributes.get("template_id"),
        "template": anomaly.attributes.get("template"), "record": encode(anomaly),
    }  # fmt: skip


def _point(anomaly: Anomaly) -> dict[str, Any]:
    return {
        "anomaly_id": anomaly.anomaly_id, "at": unix_ns(anomaly.window.end), "version": anomaly.version,
        "observed": anomaly.observed, "expected": anomaly.expected, "lower": anomaly.lower, "upper": anomaly.upper,
        "score": anomaly.score,
    }  # fmt: skip


def _notice(notice: Notice) -> dict[str, Any]:
    about: list[str] = [
        notice.kind,
        notice.tenant,
        notice.environment,
        notice.source or "",
        notice.signal or "",
        notice.since,
    ]
    if notice.kind == "command":  # several may be refused at once
        about.append(notice.text)
    return {
        "notice_id": blake2b("\0".join(about).encode(), digest_size=16).hexdigest(), "environment": notice.environment,
        "kind": notice.kind, "since": unix_ns(notice.since), "until": None if notice.until is None else unix_ns(notice.until),
        "record": encode(notice),
    }  # fmt: skip
