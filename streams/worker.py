"""The loop of a worker: poll, hand the records to the tasks of their partitions, send what comes out, save progress.

Crash-only: whatever is wrong ends the process with one clear line, and what is not saved is read again.  Nothing waits
inside the loop but the poll, so that a worker whose broker is away still answers, and is not taken for dead.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from aiops.wire import keep_memory
from streams.log_format import LIBRDKAFKA
from streams.messages import ALL_BROKERS_DOWN, END_OF_PARTITION, PASSING, TRANSPORT, offset_of, patiently, place_of
from streams.metrics_reading import Observer, PlaceReading, Reading, TaskReading
from streams.records import Out
from streams.sender import Fence, Sender

log = logging.getLogger(__name__)

BATCH = 2_000  # messages of a poll
GATHER = 0.01  # seconds for others to come after the first message: a step of many costs little more than one of few
ASK = 1.0  # seconds for the broker to say where a partition ends
STALL = 120.0  # seconds without progress of a position that has lag, after which a worker leaves

TaskT = TypeVar("TaskT")
Saving = Generator[int, None, None]
"""Saves the progress of a task: yields marks (``Sender.mark``) and goes on when they have been acknowledged."""


class WorkerError(RuntimeError):
    """The worker cannot go on; the message says why."""


class Role(Protocol[TaskT]):
    """What a worker does: which topics it reads, and what becomes of their records."""

    name: str
    topics: list[str]
    group: str

    def open(self, place: TopicPartition, committed: TopicPartition) -> tuple[TaskT, int]:
        """A task for a partition, and the offset from which it reads; negative: from the beginning."""

    def begin(self, task: TaskT, offset: int) -> None:
        """The first message will have this offset: what is before it has been read, or was deleted."""

    def take(self, task: TaskT, messages: list[Message]) -> Iterator[Out]:
        """Records to be sent, of messages in the order of their offsets."""

    def beat(self, task: TaskT, idle: Callable[[], bool]) -> Iterator[Out]:
        """Called about once a second; `idle` asks the broker whether the partition stands at its end."""

    def due(self, task: TaskT) -> bool:
        """Is it time to save the progress of the task?"""

    def save(self, task: TaskT, worker: Any, place: TopicPartition) -> Saving:
        """Save the progress of a task."""

    def position(self, task: TaskT) -> int:
        """Offset of the next message."""

    def reading(self, task: TaskT, at_end: bool) -> TaskReading:
        """What the task says of itself."""


class Worker(Generic[TaskT]):
    """One process of a role.

    Parameters
    ----------
    consumer, producer : dict
        Properties of librdkafka.
    stall : float
        Seconds without progress of a position that has lag, after which the worker leaves.
    observer : Observer
        Is told of steps, and about once a second of everything.
    """

    def __init__(
        self, role: Role[TaskT], consumer: dict[str, Any], producer: dict[str, Any], stall: float = STALL,
        observer: Observer | None = None,
    ) -> None:  # fmt: skip
        self.role, self.stall, self.observer = role, stall, observer or Observer()
        self.session = float(consumer.get("session.timeout.ms", 45_000)) / 1000
        self.fence = Fence(self.session)
        self.sender = Sender(producer, self.fence)
        self.tasks: dict[tuple[str, int], TaskT] = {}
        self.rebalances = self.received = 0
        self.loops = 0
        self.looped = time.monotonic()
        self._saving: dict[tuple[str, int], tuple[Saving, int]] = {}
        self._progress: dict[tuple[str, int], tuple[int, float]] = {}  # position, and since when it stands there
        self._ends: dict[tuple[str, int], int] = {}  # offset at which a partition was found to end
        self._asked_in_vain = False
        self._early: list[Message] = []
        self._paused = False
        self._stopping = False
        self._finishing = False
        self._beaten = 0.0
        self.consumer = Consumer({**consumer, "enable.partition.eof": True, "error_cb": _noted, "logger": LIBRDKAFKA})

    # ---- life ---------------------------------------------------------------------------------------------------------
    def stop(self) -> None:
        """Leave after the messages in hand, progress saved."""
        self._stopping = True

    def handle_signals(self) -> None:
        """SIGTERM and SIGINT: drain, save and leave; the second one: leave at once."""

        def asked(number: int, _frame: object) -> None:
            if self._stopping:
                log.warning("leaving at once, progress not saved", extra={"signal": number})
                os._exit(128 + number)  # an exception would close the consumer, which saves
            log.info("stopping", extra={"signal": number})
            self.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, asked)

    def run(self) -> None:
        """Until ``stop``.

        Raises
        ------
        WorkerError, DeliveryError
        """
        keep_memory()
        self.fence.watch()
        self.consumer.subscribe(self.role.topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)
        try:
            while not self._stopping:
                self.step()
            self._finish(list(self.tasks))
        except BaseException:
            # A task may have taken a record in by half: closing would give its partition up, and save that.
            self.tasks.clear()
            self._saving.clear()
            raise
        finally:
            self.consumer.close()

    def step(self, timeout: float = 0.1) -> None:
        """One turn of the loop."""
        room = self.sender.pump()
        self._throttle(room)
        if room and self._early:
            messages, self._early = self._early, []
        elif room:
            messages = self._batch(timeout)
        else:
            messages = self.consumer.consume(1, 0.01)
        self.loops += 1
        self.looped = time.monotonic()
        if not room:
            self._early += messages
        else:
            for place, batch in self._by_partition(messages):
                begun = time.monotonic()
                self.sender.send(self.role.take(self.tasks[place], batch))
                self.received += len(batch)
                self.observer.stepped(time.monotonic() - begun)
        now = time.monotonic()
        if now - self._beaten >= 1.0:
            self._beaten = now
            self._beat(now)
            self.observer.publish(self.reading())
        self._save()

    def _batch(self, timeout: float) -> list[Message]:
        """What has come, as soon as anything has: who asks for many at once waits until they are there or time is up.

        The first stands with the early ones meanwhile, where it is found when its partition is taken away.
        """
        self._early = self.consumer.consume(1, timeout)
        if self._early:
            more = self.consumer.consume(BATCH - 1, GATHER)
            messages, self._early = self._early + more, []
            return messages
        return []

    def _throttle(self, room: bool) -> None:
        """Records that nobody can take are not fetched for long."""
        if not room and not self._paused:
            self.consumer.pause(self.consumer.assignment())
            self._paused = True
        elif room and self._paused and not self._early:
            self.consumer.resume(self.consumer.assignment())
            self._paused = False

    def _by_partition(self, messages: list[Message]) -> Iterator[tuple[tuple[str, int], list[Message]]]:
        of: dict[tuple[str, int], list[Message]] = {}
        for message in messages:
            if (error := message.error()) is not None:
                self._failed(error, message)
                continue
            of.setdefault(place_of(message), []).append(message)
        for place, batch in of.items():
            if place in self.tasks:
                yield place, batch

    def _failed(self, error: KafkaError, message: Message) -> None:
        if error.code() == END_OF_PARTITION:
            self._ends[place_of(message)] = offset_of(message)
            return
        if error.code() in {ALL_BROKERS_DOWN, TRANSPORT}:
            return
        if (error.retriable() or error.code() in PASSING) and not error.fatal():
            log.warning("consuming: %s", error.str())
            return
        raise WorkerError(f"{message.topic() or self.role.name}: {error.str()}")

    # ---- assignment ---------------------------------------------------------------------------------------------------
    def _assigned(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self.rebalances += 1
        if not places:
            consumer.incremental_assign([])
            return
        begun, starts = time.monotonic(), list[TopicPartition]()
        for committed in patiently(lambda: consumer.committed(places, timeout=self.session)):
            if committed.error is not None:
                raise WorkerError(f"{committed.topic}/{committed.partition}: {committed.error.str()}")
            key = (committed.topic, committed.partition)
            task, start = self.role.open(TopicPartition(*key), committed)
            low, high = patiently(partial(consumer.get_watermark_offsets, TopicPartition(*key), timeout=self.session))
            if start > high:
                raise WorkerError(
                    f"{key[0]}/{key[1]}: progress was saved at offset {start}, but the topic ends at {high}: it was made "
                    "anew; delete the consumer group and the snapshots of this prefix to begin again"
                )
            if 0 <= start < low:
                log.error("%s/%d: offsets %d to %d were deleted before they were read", *key, start, low - 1)
            start = max(low, start)
            self.role.begin(task, start)
            self.tasks[key] = task
            self._progress[key] = (start, time.monotonic())
            starts.append(TopicPartition(*key, start))
        consumer.incremental_assign(starts)
        if self._paused:
            consumer.pause(places)
        log.info("assigned", extra={"partitions": _names(places), "seconds": round(time.monotonic() - begun, 3)})

    def _revoked(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self.rebalances += 1
        self._finish([(p.topic, p.partition) for p in places])
        consumer.incremental_unassign(places)
        log.info("revoked", extra={"partitions": _names(places)})

    def _lost(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        """Another worker may own them: nothing is saved.  What has been queued may still go out; it is only repeated."""
        self.rebalances += 1
        keys = [(p.topic, p.partition) for p in places]
        self._early = [m for m in self._early if m.error() is not None or place_of(m) not in keys]
        for key in keys:
            self._drop(key)
        consumer.incremental_unassign(places)
        log.warning("lost: the group went on without this worker", extra={"partitions": _names(places)})

    def _finish(self, keys: list[tuple[str, int]]) -> None:
        """Save the progress of tasks that are given up, if the broker answers in time."""
        self._finishing = True
        keys = [key for key in keys if key in self.tasks]
        self._early = [m for m in self._early if m.error() is not None or place_of(m) not in keys]
        for key in keys:
            begun = [self._saving[key][0]] if key in self._saving else []  # a snapshot on its way is not begun again
            for saving in [*begun, self.role.save(self.tasks[key], self, TopicPartition(*key))]:
                if not self._saved(saving):
                    log.warning("progress was not saved in time", extra={"partition": f"{key[0]}/{key[1]}"})
                    break
            self._drop(key)
        self._finishing = False

    def _saved(self, saving: Saving) -> bool:
        """Go through with it, waiting for each acknowledgement; False where that takes too long."""
        wait = self.session / 2
        with contextlib.closing(saving):  # the mark at which one that is on its way stands comes first
            return self.sender.flush(wait) and all(self.sender.flush(wait) for _ in saving)

    def _drop(self, key: tuple[str, int]) -> None:
        for table in (self.tasks, self._saving, self._progress, self._ends):
            table.pop(key, None)

    # ---- progress -----------------------------------------------------------------------------------------------------
    def _beat(self, now: float) -> None:
        self._asked_in_vain = False
        for key, task in self.tasks.items():
            position = self.role.position(task)
            _, high = self.consumer.get_watermark_offsets(TopicPartition(*key), cached=True)
            at_end = 0 <= high <= self._reached(key, position)
            if position != self._progress[key][0] or at_end or self._paused or len(self.sender):
                self._progress[key] = (position, now)
            elif now - self._progress[key][1] > self.stall:
                raise WorkerError(
                    f"{key[0]}/{key[1]}: stands at offset {position} of {high} for {self.stall:g} s although there is more"
                )
            self.sender.send(self.role.beat(task, partial(self._idle, key, position) if at_end else _busy))

    def reading(self) -> Reading:
        """The worker as it is now, for other threads."""
        places = {}
        for key, task in self.tasks.items():
            position = self.role.position(task)
            _, end = self.consumer.get_watermark_offsets(TopicPartition(*key), cached=True)
            places[key] = PlaceReading(self.role.reading(task, 0 <= end <= self._reached(key, position)), position, end)
        totals = {"records_in": self.received, "rebalances": self.rebalances, **self.sender.totals()}
        queues = {"early": (len(self._early), BATCH), **self.sender.queues()}
        return Reading(places, queues, totals, self._paused)

    def _idle(self, key: tuple[str, int], position: int) -> bool:
        """What was fetched last may be old: while the broker is away, nobody knows what waits there."""
        if self._asked_in_vain:
            return False
        try:
            _, high = self.consumer.get_watermark_offsets(TopicPartition(*key), timeout=ASK)
        except KafkaException:
            self._asked_in_vain = True  # one second is enough for all partitions of a turn
            return False
        return high <= self._reached(key, position)

    def _reached(self, key: tuple[str, int], position: int) -> int:
        """Offset up to which there is nothing more: a topic may end in marks of transactions, which are no messages."""
        return max(position, self._ends.get(key, -1))

    def _save(self) -> None:
        for key, task in self.tasks.items():
            if key not in self._saving and self.role.due(task):
                self._step_of(key, self.role.save(task, self, TopicPartition(*key)))
            elif key in self._saving and self.sender.acknowledged(self._saving[key][1]):
                self._step_of(key, self._saving[key][0])

    def _step_of(self, key: tuple[str, int], saving: Saving) -> None:
        try:
            self._saving[key] = saving, next(saving)
        except StopIteration:
            self._saving.pop(key, None)

    def commit(self, place: TopicPartition, offset: int, metadata: str) -> None:
        """Commit an offset; waits for the answer only where the partition is given up."""
        offsets = [TopicPartition(place.topic, place.partition, offset, metadata)]
        try:
            if self._finishing:
                self.consumer.commit(offsets=offsets, asynchronous=False)
            else:
                self.consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:  # the next one will do, or the successor reads a little more
            log.warning("commit: %s", error.args[0].str())


def _busy() -> bool:
    return False


def _noted(error: KafkaError) -> None:
    log.warning("kafka: %s", error.str(), extra={"code": error.code()})  # not every code has a name


def _names(places: list[TopicPartition]) -> str:
    return ", ".join(f"{p.topic}/{p.partition}" for p in places)
