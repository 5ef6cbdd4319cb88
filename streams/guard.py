"""Between a deliverer that may skip and repeat records, and a task that must see each once and in order.

Faust delivers, and loses some at crashes and rebalances; here a repeat is skipped, and a hole is read from the log by a
plain consumer.  What a task does to a record is applied whole or not at all: after a failure the task is made again from
its snapshot and the log, and a record that fails twice is set aside, with its reason, and counted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

from confluent_kafka import Consumer, Message, TopicPartition

from aiops.incidents.stage import StepFailedError
from streams.log_format import LIBRDKAFKA
from streams.messages import END_OF_PARTITION, offset_of, record_of
from streams.records import Out, Record
from streams.roles import Kept, LogRole
from streams.sender import Sender
from streams.tasks.respond import RespondTask
from streams.worker import WorkerError

log = logging.getLogger(__name__)

MOST_ASIDE = 20  # findings that may fail in one step

Reader = Callable[[int, int, int | None], Iterator[Record]]
"""(partition, first offset, end or None for the end as it is now) -> records of the log."""


class Guard:
    """The partitions that this process owns.

    Parameters
    ----------
    role : LogRole
        Opens tasks from their snapshots, and saves them.
    read : Reader
        Reads the log itself.
    send : callable
        Takes what is to be sent.

    Attributes
    ----------
    repeats, holes, aside : int
        Records delivered again; records that were not delivered; records that failed twice.
    taken : int
        Records taken in.
    moved : float
        When the last one was, by ``time.monotonic``: catching up takes long, and is no standstill.
    """

    def __init__(self, role: LogRole[RespondTask], read: Reader, send: Callable[[list[Out]], None]) -> None:
        self.role, self._read, self._send = role, read, send
        self.kept: dict[int, Kept[RespondTask]] = {}
        self.repeats = self.holes = self.aside = self.taken = 0
        self.moved = time.monotonic()
        self._aside: dict[int, set[int]] = {}  # offsets of records that failed twice
        self._bad_findings: dict[int, set[tuple[int, str, str]]] = {}  # (time, tenant, environment), likewise

    def open(self, partition: int) -> None:
        """Take over a partition: its state, and the log up to where it stands now."""
        if partition in self.kept:
            return
        kept, start = self.role.open(TopicPartition(self.role.topics[0], partition), TopicPartition("", 0))
        kept.task.position = max(0, start)
        self.kept[partition] = kept
        for record in self._read(partition, start, None):
            self._take(partition, record)

    def drop(self, partition: int) -> None:
        """Give a partition up."""
        self.kept.pop(partition, None)
        self._aside.pop(partition, None)
        self._bad_findings.pop(partition, None)

    def deliver(self, partition: int, record: Record) -> None:
        """A record from the deliverer."""
        self.open(partition)
        task = self.kept[partition].task
        if record.offset < task.position:
            self.repeats += 1
            return
        if record.offset > task.position:
            log.warning("hole", extra={"partition": partition, "first": task.position, "end": record.offset})
            self.fill(partition, record.offset)
            if (position := self.kept[partition].task.position) < record.offset:
                raise WorkerError(
                    f"{self.role.topics[0]}/{partition}: offsets {position} to {record.offset - 1} cannot be read"
                )
        self._take(partition, record)

    def fill(self, partition: int, end: int | None = None) -> int:
        """Read from the log what was not delivered, before `end`; returns how many records."""
        filled = 0
        for record in self._read(partition, self.kept[partition].task.position, end):
            self._take(partition, record)
            filled += 1
        self.holes += filled
        return filled

    def _take(self, partition: int, record: Record) -> None:
        kept = self.kept[partition]
        self.taken += 1
        self.moved = time.monotonic()
        try:
            out = self.role.handled(kept, record)
        except Exception as error:
            log.exception("a record failed", extra={"partition": partition, "offset": record.offset})
            out = self._again(partition, record, error)
        self._send(out)

    def _again(self, partition: int, record: Record, error: Exception) -> list[Out]:
        """The same record on a state that is sure to be whole; what fails again is set aside."""
        dead: list[Out] = []
        for _ in range(MOST_ASIDE):
            kept = self._rebuilt(partition, record.offset)
            try:
                return dead + self.role.handled(kept, record)
            except StepFailedError as failed:  # not this record, but findings that were taken in before
                self._bad_findings.setdefault(partition, set()).add(failed.place)
                error = failed
            except Exception as second:  # noqa: BLE001 - whatever it is, it came twice
                error = second
                break
            dead.append(self._dead_letter(partition, record, error))
        self._aside.setdefault(partition, set()).add(record.offset)
        kept = self._rebuilt(partition, record.offset)
        kept.task.position = record.offset + 1
        return [*dead, self._dead_letter(partition, record, error)]

    def _dead_letter(self, partition: int, record: Record, error: Exception) -> Out:
        self.aside += 1
        log.error("set aside, it failed twice: %s", error, extra={"partition": partition, "offset": record.offset})
        cause = error.__cause__
        reason = f"{type(error).__name__}: {error}" + (
            f": {type(cause).__name__}: {cause}" if cause is not None else ""
        )
        about = [("dlq.reason", reason.encode()[:1000]), ("dlq.offset", b"%d" % record.offset)]
        return Out(f"{self.role.topics[0]}.dlq", None, record.value, [*record.headers.items(), *about])

    def _rebuilt(self, partition: int, end: int) -> Kept[RespondTask]:
        """The task as it was before offset `end`: from its snapshot and the log; nothing is sent again."""
        kept, start = self.role.open(TopicPartition(self.role.topics[0], partition), TopicPartition("", 0))
        kept.task.position = max(0, start)
        kept.task.aside = self._bad_findings.get(partition, set())
        self.kept[partition] = kept
        for record in self._read(partition, start, end):
            if record.offset in self._aside.get(partition, ()):
                kept.task.position = record.offset + 1
            else:
                self.role.handled(kept, record)
        return kept


def log_reader(properties: dict[str, Any], topic: str) -> Reader:
    """A reader with a consumer of its own for each call; holes are rare and a catch-up is long."""

    def read(partition: int, start: int, end: int | None) -> Iterator[Record]:
        settings = {"group.id": "unused", "enable.auto.commit": False, "enable.partition.eof": True}
        consumer = Consumer({**properties, **settings, "logger": LIBRDKAFKA})
        try:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
            stop = high if end is None else min(end, high)
            if start > high:
                raise WorkerError(
                    f"{topic}/{partition}: progress was saved at offset {start}, but the topic ends at {high}: it was "
                    "made anew; delete the snapshots of this prefix to begin again"
                )
            if 0 <= start < low:
                log.error(
                    "%s/%d: offsets %d to %d were deleted before they were read", topic, partition, start, low - 1
                )
            if max(start, low) >= stop:
                return
            consumer.assign([TopicPartition(topic, partition, max(start, low))])
            while True:
                for message in consumer.consume(1000, 0.2):
                    if not _usable(message, topic):
                        return
                    if offset_of(message) >= stop:
                        return
                    yield record_of(message)
                    if offset_of(message) + 1 >= stop:
                        return
        finally:
            consumer.close()

    return read


def _usable(message: Message, topic: str) -> bool:
    """False at the end of the partition."""
    error = message.error()
    if error is None:
        return True
    if error.code() == END_OF_PARTITION:
        return False
    raise WorkerError(f"{topic}: {error.str()}")


def sending(sender: Sender) -> Callable[[list[Out]], None]:
    """What a guard sends goes to a sender, as fast as that takes it."""

    def send(out: list[Out]) -> None:
        sender.send(out)
        while not sender.pump():
            pass

    return send
