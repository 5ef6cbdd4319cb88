"""A task whose stage has state: it reads an internal topic, and starts again from a snapshot and the log after it."""

from __future__ import annotations

from abc import ABC, abstractmethod

import msgspec

from aiops.records import Notice, encode
from aiops.signals import Clocks
from aiops.times import rfc3339
from streams.control import decode_sources
from streams.layout import Layout
from streams.records import (
    CLOCK,
    JOIN,
    NOTICE,
    SOURCES,
    STRAGGLER,
    Out,
    Record,
    Refused,
    clock_of,
    headers_of,
)

SNAPSHOT_VERSION = 2  # 2: arrays lie behind the head


class Snapshot(msgspec.Struct, frozen=True):
    """State of a task and where it stood.

    Attributes
    ----------
    position : int
        Offset of the next record when it was taken.
    read_from : int
        Offset from which a successor reads: that of the oldest record whose content is not in the state yet.
    """

    stage: str
    position: int
    read_from: int
    generation: int
    state: bytes
    layout: str
    version: int = SNAPSHOT_VERSION

    def encode(self) -> bytes:
        """For the snapshots topic."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def decode(cls, data: bytes, stage: str) -> Snapshot:
        """Read a snapshot of stage `stage`.

        Raises
        ------
        Refused
        """
        try:
            snapshot = msgspec.msgpack.decode(data, type=cls)
        except msgspec.DecodeError as error:
            raise Refused(f"snapshot of {stage}: {error}") from None
        if snapshot.version != SNAPSHOT_VERSION or snapshot.stage != stage:
            found = f"version {snapshot.version} of stage {snapshot.stage!r}"
            raise Refused(f"snapshot: {found}, not version {SNAPSHOT_VERSION} of {stage!r}, which this release reads")
        return snapshot


class LogTask(ABC):
    """One partition of an internal topic, as ``assemble``, ``detect`` and ``respond`` read it.

    Attributes
    ----------
    position : int
        Offset of the next record to be taken in.
    refused : int
        Records that could not be read.
    """

    name: str
    held_kinds: frozenset[str] = frozenset()  # kinds whose records are held

    def __init__(self, partition: int, layout: Layout) -> None:
        self.partition, self.layout = partition, layout
        self.position = 0
        self.refused = 0
        self._generation = 0
        self._in_state = 0  # offset up to which the state knows everything but what is held
        self._held: dict[int, int] = {}  # time that is not processed yet -> offset of the first record that says of it

    # ---- what a stage says of itself ----------------------------------------------------------------------------------
    @property
    @abstractmethod
    def clocks(self) -> Clocks:
        """Clocks of the sources."""

    @property
    @abstractmethod
    def done_until(self) -> int:
        """Everything that is held for a time (Unix ns) before this has been processed."""

    @abstractmethod
    def data(self, record: Record) -> list[Out]:
        """Take in a record that is no control record."""

    @abstractmethod
    def advance(self, source: str, clock: int) -> list[Out]:
        """`source` has reached `clock`, Unix ns."""

    @abstractmethod
    def stage_snapshot(self) -> bytes:
        """State of the stage."""

    @abstractmethod
    def stage_restore(self, snapshot: bytes) -> None:
        """Take over the state of a stage."""

    @abstractmethod
    def gauges(self) -> dict[str, float]:
        """Sizes and counts, by name."""

    # ---- records ------------------------------------------------------------------------------------------------------
    def handle(self, record: Record) -> list[Out]:
        """Take in the next record; returns what is to be sent.

        A record before ``position`` has been taken in and is ignored.

        Raises
        ------
        Refused
            It cannot be read; it has been passed over and counted.
        """
        if record.offset < self.position:
            return []
        self.position = record.offset + 1
        try:
            return self._handle(record)
        except Refused:
            self.refused += 1
            raise

    def _handle(self, record: Record) -> list[Out]:
        kind, clocks = record.kind, self.clocks
        if record.offset < self._in_state:
            if kind in self.held_kinds and record.source in clocks:
                self.data(record)
            return []
        if kind == SOURCES:
            return self._sources(record)
        if kind in (STRAGGLER, JOIN):
            source = record.value.decode("utf-8", "replace")
            return self._straggler(source, kind == JOIN) if source in clocks else []
        if kind == NOTICE:
            return [self.notice(record.value)]
        if record.source not in clocks:
            what = f"a {kind} record of source {record.source!r}" if kind else "a record that does not say what it is"
            raise Refused(
                f"{what} at offset {record.offset}: no sources record names it; aiops topics sync writes them"
            )
        if kind == CLOCK:
            out = self.advance(record.source, clock_of(record))
            self._release()
            return out
        return self.data(record)

    def _sources(self, record: Record) -> list[Out]:
        sources, generation = decode_sources(record.value)
        if generation < self._generation:
            return []
        self._generation = generation
        self.clocks.sources(sources)
        return [] if not sources else self._moved(sources[0])

    def _straggler(self, source: str, back: bool) -> list[Out]:
        """A source is no longer waited for, or is again; somebody should know."""
        clocks = self.clocks
        if back == (source not in clocks.away):
            return []
        others = clocks.merged if back else max(clocks.each().values())
        if back:
            clocks.join(source)
        else:
            clocks.let_go(source)
        since, until = rfc3339(max(0, clocks[source])), rfc3339(max(0, others))
        text = f"source {source} is waited for again by {self.name}; it stands at {since}"
        if not back:
            text = f"source {source} is no longer waited for by {self.name}: it stands at {since}, the others are at {until}"
        notice = Notice(
            kind="straggler", tenant=self.layout.tenant, environment="", source=source, since=since,
            until=until if back else None, text=text,
        )  # fmt: skip
        return [self.notice(encode(notice)), *self._moved(source)]

    def notice(self, value: bytes) -> Out:
        """A notice on its way to the public topic: those of other stages go through respond, which owns it."""
        return Out(self.layout.topic("findings"), 0, value, headers_of(NOTICE, self.name))

    def _moved(self, source: str) -> list[Out]:
        """The merged clock may have moved without a source having."""
        out = self.advance(source, self.clocks[source])
        self._release()
        return out

    # ---- where a successor begins -------------------------------------------------------------------------------------
    def hold(self, time: int, offset: int) -> None:
        """A record at `offset` says something of `time` that stays outside the state until that is processed."""
        self._held.setdefault(time, offset)

    def _release(self) -> None:
        done = self.done_until
        for time in [t for t in self._held if t < done]:
            del self._held[time]

    @property
    def read_from(self) -> int:
        """Offset from which a successor reads."""
        return min(self._held.values(), default=self.position)

    def snapshot(self) -> Snapshot:
        """State and position, which belong together."""
        return Snapshot(
            self.name, self.position, self.read_from, self._generation, self.stage_snapshot(), self.layout.digest()
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Take over from a predecessor; reading goes on at ``snapshot.read_from``.

        Raises
        ------
        Refused
            It was taken with another tenant, another key of identities, or other numbers of partitions.
        """
        if snapshot.layout != self.layout.digest():
            raise Refused(
                f"snapshot of {self.name}: it was taken with another tenant, identity_key or numbers of partitions; go back "
                "to those, or begin anew with another prefix"
            )
        self.stage_restore(snapshot.state)
        self._generation = snapshot.generation
        self._held = {}  # filled again by reading
        self._in_state, self.position = snapshot.position, snapshot.read_from
