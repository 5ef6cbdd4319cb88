"""The roles that are plain Kafka workers: ingest, and the two stages that keep snapshots, assemble and detect."""

from __future__ import annotations

import contextlib
import gc
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from confluent_kafka import OFFSET_BEGINNING, Message, TopicPartition

from aiops.signals import END_OF_TIME, SECOND, WINDOW
from streams import snapshots
from streams.layout import Layout
from streams.messages import place_of, raw_of, record_of
from streams.metrics_reading import Observer, SnapshotReading, TaskReading, wall_lag
from streams.past import past
from streams.progress import Committer, Saving, WorkerError
from streams.records import CLOCK, Out, Record, Refused
from streams.settings import RawTopic
from streams.stragglers import Stragglers
from streams.tasks.base import LogTask
from streams.tasks.ingest import IngestTask, Progress

log = logging.getLogger(__name__)

AHEAD = 60 * SECOND  # by which a message may be later than now
SAVE_EVERY = 2.0  # seconds between commits of ingest


@dataclass(slots=True)
class _Raw:
    """An ingest task, and what its worker knows of it."""

    task: IngestTask
    newest: int = -1  # arrival of the last message, Unix ns
    ahead: int = 0  # messages whose timestamp was in the future
    heard: float = field(default_factory=time.monotonic)  # wall seconds, when the last message came that held anything
    saved: float = field(default_factory=time.monotonic)
    said: tuple[int, Progress] | None = None


class IngestRole:
    """Raw topics -> traces, signals, findings.

    Parameters
    ----------
    idle_after, tick_every : float or None
        Seconds after which a source without messages ticks, None: never; and how often.
    sources : callable, optional
        Sources that those downstream wait for, as they are now; what another one sent would be refused there.
    observer : Observer
        Is told of clocks that move.
    """

    name = "ingest"

    def __init__(
        self, raw: list[RawTopic], layout: Layout, group: str, idle_after: float | None, tick_every: float,
        now: Callable[[], int] = time.time_ns, sources: Callable[[], frozenset[str]] | None = None,
        observer: Observer | None = None,
    ) -> None:  # fmt: skip
        self._observer = observer or Observer()
        self.topics, self.group = [spec.topic for spec in raw], group
        self._raw = {spec.topic: spec for spec in raw}
        self._layout, self._now, self._sources = layout, now, sources
        self._idle_after, self._tick_every = idle_after, tick_every

    def open(self, place: TopicPartition, committed: TopicPartition) -> tuple[_Raw, int]:
        """Progress travels with the committed offset."""
        source = f"{place.topic}/{place.partition}"
        if self._sources is not None and source not in self._sources():
            raise WorkerError(
                f"source {source} is new: aiops topics sync --config FILE tells those that wait for "
                "it; then start this again"
            )
        spec, progress = self._raw[place.topic], Progress.of(committed.metadata)
        task = IngestTask(spec.topic, place.partition, spec.signal, spec.encoding, self._layout, progress)
        return _Raw(task), committed.offset

    def begin(self, kept: _Raw, offset: int) -> None:
        """The first message will have this offset."""
        kept.task.position = offset

    def take(self, kept: _Raw, messages: list[Message]) -> Iterator[Out]:
        """Window rows, trace items, clocks, dead letters."""
        raw, before, items = [raw_of(message) for message in messages], kept.task.clock, _items(kept.task)
        now = END_OF_TIME
        if self._idle_after is not None:  # live: no producer may take its partition into the future
            now = self._now()
            if max(m.arrival for m in raw) > now + AHEAD:
                kept.ahead += sum(m.arrival > now + AHEAD for m in raw)
                raw = [m if m.arrival <= now + AHEAD else m._replace(arrival=now) for m in raw]
        yield from kept.task.process(raw, now)
        if (held := _items(kept.task)) is None or held != items:
            kept.heard = time.monotonic()
        kept.newest = raw[-1].arrival
        self._observer.reached(before, kept.task.clock)

    def beat(self, kept: _Raw, idle: Callable[[], bool]) -> Iterator[Out]:
        """A source that is idle ticks; of what the engine is told, mostly nothing, one that has been read to its end."""
        if self._idle_after is None:
            return
        if kept.task.stage is None:
            clock = self._now() // WINDOW * WINDOW  # whatever comes later has come later
        elif time.monotonic() - kept.heard < self._idle_after:
            return
        else:
            every = round(self._tick_every * SECOND)
            clock = (self._now() - round(self._idle_after * SECOND)) // every * every  # before the broker is asked
        if clock > kept.task.clock and idle():
            yield from kept.task.tick(clock)

    def position(self, kept: _Raw) -> int:
        """Offset of the next message."""
        return kept.task.position

    def reading(self, kept: _Raw, at_end: bool) -> TaskReading:
        """What the task says of itself; it is its own and only source."""
        of, stage = kept.task, kept.task.stage
        gauges = {**(stage.gauges() if stage is not None else {}), "ingest_messages_ahead_total": float(kept.ahead)}
        lag = wall_lag(kept.newest, at_end)
        return TaskReading(gauges, of.clock, {of.source: of.clock}, lag=lag, dead_letters=of.dead_letters)

    def due(self, kept: _Raw) -> bool:
        """Every few seconds, if anything moved."""
        if time.monotonic() - kept.saved < SAVE_EVERY:
            return False
        return kept.said != (kept.task.needed_from, kept.task.progress)

    def save(self, kept: _Raw, worker: Committer, place: TopicPartition) -> Saving:
        """Commit, once everything that was made of the messages before has been acknowledged."""
        kept.saved = time.monotonic()
        said = (kept.task.needed_from, kept.task.progress)
        if said != kept.said:
            yield worker.sender.mark()
            worker.commit(place, said[0], said[1].text())
            kept.said = said


def _items(task: IngestTask) -> int | None:
    """Items taken in; None where the topic holds no telemetry, and every message moves the clock."""
    return None if task.stage is None else task.stage.counters.items + task.stage.counters.repeats


TaskT = TypeVar("TaskT", bound=LogTask)


@dataclass(slots=True, weakref_slot=True, eq=False)
class Kept(Generic[TaskT]):
    """A task with state, and what its worker knows of it."""

    task: TaskT
    stragglers: Stragglers
    manifest: snapshots.Manifest | None = None
    older: snapshots.Manifest | None = None
    stale: list[bytes] = field(default_factory=list)  # keys of parts that no snapshot needs that counts
    position: int = 0  # of the last snapshot
    clock: int = -1  # merged clock at the last snapshot, Unix ns
    cost: float = 0.0  # CPU seconds since then
    saving_cost: float = 0.0  # CPU seconds that it took
    saved: float = field(default_factory=time.monotonic)
    size: int = 0


class LogRole(Generic[TaskT]):
    """An internal topic -> the next one, with snapshots.

    Parameters
    ----------
    make : callable
        Partition -> a new task.
    topic : str
        Short name of the topic that is read: 'traces' or 'signals'.
    every : int
        Ns of event time between snapshots.
    replay_limit : float
        CPU seconds of work, of all partitions together, after which snapshots are due all the same: who takes over one
        partition of a process takes over all of them, one after the other.
    reader : dict
        Properties of the consumer that reads snapshots.
    observer : Observer
        Is told of clocks that move.
    """

    def __init__(
        self, make: Callable[[int], TaskT], topic: str, layout: Layout, group: str, every: int, replay_limit: float,
        hold_limit: float | None, reader: dict[str, Any], observer: Observer | None = None,
    ) -> None:  # fmt: skip
        self._observer = observer or Observer()
        self.name = make(0).name
        self.topics, self.group = [layout.topic(topic)], group
        self._make, self._layout = make, layout
        self._every, self._replay_limit, self._hold_limit, self._reader = every, replay_limit, hold_limit, reader
        self._snapshots = layout.topic(f"snapshots.{self.name}")
        self._tasks = WeakSet[Kept[TaskT]]()

    def open(self, place: TopicPartition, committed: TopicPartition) -> tuple[Kept[TaskT], int]:
        """State from the snapshot that counts, else from the beginning of the log."""
        del committed  # tells how far lag is, no more
        task = self._make(place.partition)
        kept = Kept(task, Stragglers(self._hold_limit))
        self._tasks.add(kept)
        written = past(self._reader, self._snapshots, {place.partition: OFFSET_BEGINNING})
        found = snapshots.newest(((message.key(), message.value()) for message in written), self.name)
        if found is None:
            return kept, -1
        snapshot, kept.manifest, kept.stale = found
        with _uncollected():
            task.restore(snapshot)
        kept.position, kept.clock, kept.size = snapshot.position, task.clocks.merged, kept.manifest.size
        return kept, snapshot.read_from

    def begin(self, kept: Kept[TaskT], offset: int) -> None:
        """The first record will have this offset."""
        kept.task.position = offset

    def take(self, kept: Kept[TaskT], messages: list[Message]) -> Iterator[Out]:
        """What the task makes of the records."""
        for message in messages:
            record = record_of(message)
            if record.offset > kept.task.position:
                # Nothing compacts an internal topic, and no transaction leaves marks in it: records were lost on the way.
                topic, partition = place_of(message)
                missing = f"{kept.task.position} to {record.offset - 1}"
                raise WorkerError(
                    f"{topic}/{partition}: offsets {missing} are missing: is the topic compacted, or written in transactions?"
                )
            yield from self.handled(kept, record)

    def handled(self, kept: Kept[TaskT], record: Record) -> list[Out]:
        """What the task makes of a record; one that cannot be read is logged and passed over."""
        begun = time.process_time()
        before = kept.task.clocks.merged if record.kind == CLOCK else -1
        try:
            out = kept.task.handle(record)
            if before >= 0:
                self._observer.reached(before, kept.task.clocks.merged)
            return out
        except Refused as error:
            log.error("%s: %s", kept.task.name, error, extra={"partition": kept.task.partition})
            return []
        finally:
            kept.cost += time.process_time() - begun

    def beat(self, kept: Kept[TaskT], idle: Callable[[], bool] | None = None) -> Iterator[Out]:
        """Let go of sources that hold everybody up."""
        del idle
        yield from kept.stragglers.decide(kept.task.clocks, self.topics[0], kept.task.partition)

    def position(self, kept: Kept[TaskT]) -> int:
        """Offset of the next record."""
        return kept.task.position

    def reading(self, kept: Kept[TaskT], at_end: bool = False) -> TaskReading:
        """What the task says of itself."""
        del at_end  # what is far behind shows by its clocks
        of, clocks = kept.task, kept.task.clocks
        merged, each = clocks.merged, clocks.each()
        behind = of.position - kept.position
        snapshot = SnapshotReading(time.monotonic() - kept.saved, behind, kept.size, kept.saving_cost)
        furthest = max((c for c in each.values() if c < END_OF_TIME), default=-1)
        lag = (furthest - merged) / SECOND if 0 <= merged < furthest else 0.0
        away = frozenset(clocks.away)
        return TaskReading(of.gauges(), merged, each, away, lag, of.refused, snapshot=snapshot)

    def due(self, kept: Kept[TaskT]) -> bool:
        """After so much event time, or when reading again what came since would take too long."""
        if kept.task.position <= kept.position:
            return False
        clock = kept.task.clocks.merged
        dear = kept.cost > max(self._replay_limit / max(1, len(self._tasks)), 5 * kept.saving_cost)
        return dear or (clock >= 0 and (kept.clock < 0 or clock - kept.clock >= self._every))

    def save(self, kept: Kept[TaskT], worker: Committer, place: TopicPartition) -> Saving:
        """A snapshot: outputs acknowledged, then the parts, then the manifest."""
        if kept.task.position <= kept.position:
            return
        begun = time.process_time()
        snapshot = kept.task.snapshot()
        parts, head, manifest = snapshots.records(self._snapshots, place.partition, snapshot, self._layout.part)
        kept.saving_cost = time.process_time() - begun
        kept.position, kept.clock, kept.cost = snapshot.position, kept.task.clocks.merged, 0.0
        worker.sender.send(parts)
        yield worker.sender.mark()
        worker.sender.send([head])
        yield worker.sender.mark()
        if kept.older is not None and kept.older.digest not in {
            manifest.digest,
            kept.manifest and kept.manifest.digest,
        }:
            kept.stale += snapshots.keys(kept.older)
        worker.sender.send(snapshots.deletions(self._snapshots, place.partition, kept.stale))
        kept.stale = []
        kept.older, kept.manifest = kept.manifest, manifest
        kept.saved, kept.size = time.monotonic(), manifest.size
        worker.commit(place, snapshot.position, "")


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector, which would look through a growing state again and again: half of the time of it."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
