"""The loop of a worker: poll, hand the records to the tasks of their partitions, send what comes out, save progress.

Crash-only: whatever is wrong ends the process with one clear line, and what is not saved is read again.  Nothing waits
inside the loop but the poll, so that a worker whose broker is away still answers, and is not taken for dead.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from aiops.signals import WINDOW
from aiops.wire import keep_memory
from streams.known_brokers import KnownBrokers
from streams.log_format import LIBRDKAFKA
from streams.messages import ALL_BROKERS_DOWN, END_OF_PARTITION, PASSING, TRANSPORT, offset_of, patiently, place_of
from streams.metrics_reading import Observer, PlaceReading, Reading, TaskReading
from streams.past import begin_at
from streams.progress import Committer, Saving, Savings, Standstill, WorkerError
from streams.records import Out
from streams.sender import Fence, Sender

log = logging.getLogger(__name__)

BATCH = 2_000  # messages of a poll
GATHER = 0.1  # seconds for others to come after the first message: a step of many costs little more than one of few
MANY = 64  # messages that are worth a step without waiting for others
ASK = 1.0  # seconds for the broker to say where a partition ends

TaskT = TypeVar("TaskT")


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

    def save(self, task: TaskT, worker: Committer, place: TopicPartition) -> Saving:
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
    observer : Observer
        Is told of steps, and about once a second of everything.
    """

    def __init__(
        self, role: Role[TaskT], consumer: dict[str, Any], producer: dict[str, Any], observer: Observer | None = None
    ) -> None:
        self.role, self.observer = role, observer or Observer()
        self.session = float(consumer.get("session.timeout.ms", 45_000)) / 1000
        self.fence = Fence(self.session)
        self._properties = consumer, producer
        self.tasks: dict[tuple[str, int], TaskT] = {}
        self.rebalances = self.received = 0
        self.looped = time.monotonic()
        self._standstill = Standstill()
        self._ends: dict[tuple[str, int], int] = {}  # offset at which a partition was found to end
        self._asked_in_vain = False
        self._early: list[Message] = []
        self._paused = False
        self._stopping = False
        self._finishing = False
        self._beaten, self._window = 0.0, 0  # seconds; the window of that moment
        self._new_sender()
        self._new_consumer()

    def _new_consumer(self) -> None:
        self._reading_from = KnownBrokers(self._properties[0])
        own = {"enable.partition.eof": True, "error_cb": _noted, "logger": LIBRDKAFKA}
        self.consumer = Consumer(self._reading_from.watched({**self._properties[0], **own}))

    def _new_sender(self) -> None:
        self._sending_to = KnownBrokers(self._properties[0])
        self.sender = Sender(self._sending_to.watched(self._properties[1]), self.fence)
        self._savings = Savings(self.sender, self.session / 2)

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
        self._subscribe()
        try:
            while not self._stopping:
                self.step()
            self._finish(list(self.tasks))
        except BaseException:
            # A task may have taken a record in by half: closing would give its partition up, and save that.
            self.tasks.clear()
            self._savings.clear()
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
        self.looped = time.monotonic()
        if not room:
            self._early += messages
        else:
            for place, batch in self._by_partition(messages):
                begun = time.monotonic()
                self.sender.send(self.role.take(self.tasks[place], batch))
                self.received += len(batch)
                self.observer.stepped(time.monotonic() - begun)
        now, window = time.monotonic(), time.time_ns() // WINDOW
        if (
            now - self._beaten >= 1.0 or window > self._window
        ):  # what is due when a window ends waits for who has to say so
            self._beaten, self._window = now, window
            self._beat()
            self.observer.publish(self.reading())
            self._look_for_brokers()
        self._save()

    def _batch(self, timeout: float) -> list[Message]:
        """What has come; where that is little, with what follows it within a moment.

        Messages stand with the early ones meanwhile, where they are found when their partition is taken away.
        """
        self._early = self.consumer.consume(1, timeout)
        for wait in (0.0, GATHER) if self._early else ():
            more = self.consumer.consume(BATCH - len(self._early), wait)
            self._early += more  # asking may have taken some away
            if len(self._early) >= MANY:
                break
        messages, self._early = self._early, []
        return messages

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

    # ---- clients that know nobody any more ----------------------------------------------------------------------------
    def _subscribe(self) -> None:
        self.consumer.subscribe(self.role.topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)

    def _look_for_brokers(self) -> None:
        """Replace clients that have forgotten all brokers for good."""
        topic = self.role.topics[0]
        silenced = self._sending_to.forgotten(self.sender, topic)
        if silenced or self._reading_from.forgotten(self.consumer, topic):
            self._begin_again(silenced)

    def _begin_again(self, silenced: bool) -> None:
        """As a process would that is started again: with new clients, from what has been saved."""
        names = _names([TopicPartition(*key) for key in self.tasks])
        log.warning("no broker is known any more: beginning again with bootstrap.servers", extra={"partitions": names})
        for key in list(self.tasks):
            self._drop(key)
        self._early, self._paused = [], False
        self.consumer.close()
        if silenced:
            totals = self.sender.sent, self.sender.bytes
            self._new_sender()
            self.sender.sent, self.sender.bytes = totals
        self._new_consumer()
        self._subscribe()

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
            start = begin_at(*key, start, low, high)
            self.role.begin(task, start)
            self.tasks[key] = task
            starts.append(TopicPartition(*key, start))
            self.looped = time.monotonic()  # to restore many takes long, and is no standstill
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
            self._savings.finish(key, partial(self.role.save, self.tasks[key], self, TopicPartition(*key)))
            self._drop(key)
        self._finishing = False

    def _drop(self, key: tuple[str, int]) -> None:
        self._savings.drop(key)
        self._standstill.drop(key)
        self._ends.pop(key, None)
        self.tasks.pop(key, None)

    # ---- progress -----------------------------------------------------------------------------------------------------
    def _beat(self) -> None:
        self._asked_in_vain = False
        for key, task in self.tasks.items():
            position = self.role.position(task)
            _, high = self.consumer.get_watermark_offsets(TopicPartition(*key), cached=True)
            at_end = 0 <= high <= self._reached(key, position)
            self._standstill.look(key, position, high, at_end or self._paused or len(self.sender) > 0)
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
            save = partial(self.role.save, task, self, TopicPartition(*key))
            self._savings.step(key, partial(self.role.due, task), save)

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
    LIBRDKAFKA.warning("kafka: %s", error.str(), extra={"code": error.code()})  # not every code has a name


def _names(places: list[TopicPartition]) -> str:
    return ", ".join(f"{p.topic}/{p.partition}" for p in places)
