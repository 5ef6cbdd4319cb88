"""A file of incidents -> sinks, with the state in SQLite: for replays, for engines without Kafka, and to try a configuration.

The state and the place in the file are one transaction, and what is due is saved before it is sent: the file may be read
again, from the start too, and the process may be killed; everything due is delivered, under the same id.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import IO

import msgspec

from aiops.errors import UserError
from aiops.notify.config import HOUR, NotifyConfig
from aiops.notify.desk import CLOCKS, Desk
from aiops.notify.notification import Notification
from aiops.records import RecordError, decode_incident, encode, unix_ns
from aiops.status import decode_status
from streams.sinks.couriers import Couriers

BATCH = 200  # lines of a transaction
TURN = 0.05  # seconds
MAX_LINE = 8 << 20  # bytes: an incident is at most 2 MiB


class Store:
    """Tracks by key in a file of SQLite, and how far the incidents have been read."""

    def __init__(self, path: Path) -> None:
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = full")  # what is due must be there after a power cut as well
            self._db.execute(
                "create table if not exists kept (key text primary key, value blob not null) without rowid"
            )
        except sqlite3.Error as error:
            raise UserError(f"{path}: {error}") from None

    def values(self) -> Iterator[tuple[str, bytes]]:
        """All that is kept, clocks first."""
        yield from self._db.execute("select key, value from kept order by key != ?, key", [CLOCKS])

    def save(self, desk: Desk) -> None:
        """What has changed at a desk."""
        self._db.execute("begin immediate")
        try:
            for key, value in desk.changes():
                if value is None:
                    self._db.execute("delete from kept where key = ?", [key])
                else:
                    self._db.execute("insert or replace into kept values (?, ?)", [key, value])
            self._db.execute("commit")
        except BaseException:
            self._db.execute("rollback")
            raise

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def deliver(
    config: NotifyConfig, incidents: Path, state: Path, couriers: Couriers, records: IO[bytes], statuses: Path | None = None,
    patience: float | None = None, clock: Callable[[], float] = time.monotonic,
) -> int:  # fmt: skip
    """Read a file of incidents to its end, and deliver what is due; returns how many notifications are left over.

    Parameters
    ----------
    records : binary file
        Takes the decisions and what became of them, one JSON object a line.
    statuses : Path, optional
        What ``aiops replay --status`` wrote: how long environments have been known.
    patience : float, optional
        Seconds without any delivery after which what is left stays for the next run; None: for ever.

    Raises
    ------
    UserError
        A file cannot be read, or a line is no incident.
    """
    desk = Desk(config)
    with closing(Store(state)) as store:
        for key, value in store.values():
            with suppress(msgspec.DecodeError):  # of another release: the incident is as new
                desk.restore(key, value)
        couriers.bring(desk, desk.waiting())
        couriers.show(desk)
        if statuses is not None:
            for line in _lines(statuses):
                status = decode_status(line)
                desk.policy.known_since((status.tenant, status.environment), unix_ns(status.since))

        def save() -> None:
            store.save(desk)
            couriers.bring(desk, desk.unsaved())
            _write(records, desk)

        for n, line in enumerate(_lines(incidents), 1):
            try:
                desk.take(decode_incident(line))
            except (RecordError, ValueError) as error:
                raise UserError(f"{incidents}: line {n}: {error}") from None
            if n % BATCH == 0:
                couriers.collect()
                save()
        for place, at in sorted(
            desk.policy.clocks.items()
        ):  # nothing else comes: what is due within the hour is decided
            desk.advance(place, at + HOUR)
        save()
        heard = clock()
        while any(map(len, couriers.of.values())) and (patience is None or clock() - heard < patience):
            if couriers.collect():
                heard = clock()
                save()
            time.sleep(TURN)
        couriers.collect()
        save()
    return sum(map(len, couriers.of.values()))


def decisions(config: NotifyConfig, incidents: Path, statuses: Path | None = None) -> Iterator[Notification]:
    """What would be decided of a file of incidents; nothing is sent or kept.

    Raises
    ------
    UserError
    """
    desk = Desk(config)
    if statuses is not None:
        for line in _lines(statuses):
            status = decode_status(line)
            desk.policy.known_since((status.tenant, status.environment), unix_ns(status.since))
    for n, line in enumerate(_lines(incidents), 1):
        try:
            desk.take(decode_incident(line))
        except (RecordError, ValueError) as error:
            raise UserError(f"{incidents}: line {n}: {error}") from None
        yield from desk.records
        desk.records = []
    for place, at in sorted(desk.policy.clocks.items()):
        desk.advance(place, at + HOUR)
    yield from desk.records


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE):
            if len(line) == MAX_LINE:
                raise UserError(f"{path}: a line is longer than {MAX_LINE >> 20} MiB, and no incident")
            if stripped := line.strip():
                yield stripped


def _write(records: IO[bytes], desk: Desk) -> None:
    for record in desk.records:
        records.write(encode(record) + b"\n")
    records.flush()
    desk.records = []
