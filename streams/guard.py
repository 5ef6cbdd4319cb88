"""Between a deliverer that may skip and repeat records, and a task that must see each once and in order.

Faust delivers, and loses some at crashes and rebalances; here a repeat is skipped, and a hole is read from the log by a
plain consumer.  What a task does to a record is applied whole or not at all: after a failure the task is made again from
its snapshot and the log, and a record that fails twice is set aside, with its reason, and counted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaException, TopicPartition

from aiops.incidents.stage import StepFailedError
from streams.messages import patiently, record_of
from streams.past import begin_at, past
from streams.progress import WorkerError
from streams.records import Out, Record
from streams.roles import Kept, LogRole
from streams.sender import Sender
from streams.tasks.respond import RespondTask

log = logging.getLogger(__name__)

ASK = 10.0  # seconds for the broker to say where a log begins and ends
MOST_ASIDE = 20  # findings that may fail in one step
LASTING = 1_000  # records and findings of a partition that may fail; beyond it something is wrong with us


class Reader(Protocol):
    """Reads the log itself; see ``LogReader``."""

    def begin(self, partition: int, start: int) -> int:
        """Offset at which reading begins where progress was saved at `start`."""

    def read(self, partition: int, start: int, end: int | None = None) -> Iterator[Record]:
        """Records from `start` on, before `end`."""


class Guard:
    """The partitions that this process owns.

    Parameters
    ----------
    role : LogRole
        Opens tasks from their snapshots, and saves them.
    log_ : Reader
        The log itself.
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

    def __init__(self, role: LogRole[RespondTask], log_: Reader, send: Callable[[list[Out]], None]) -> None:
        self.role, self._log, self._send = role, log_, send
        self.kept: dict[int, Kept[RespondTask]] = {}
        self.repeats = self.holes = self.aside = self.taken = 0
        self.moved = time.monotonic()
        self._aside: dict[int, set[int]] = {}  # offsets of records that failed twice
        self._bad_findings: dict[int, set[tuple[int, str, str]]] = {}  # (time, tenant, environment), likewise

    def open(self, partition: int) -> None:
        """Take over a partition: its state, and the log up to where it stands now."""
        if partition in self.kept:
            return
        kept = self._opened(partition)
        for record in self._log.read(partition, kept.task.position):
            self._take(partition, record)

    def _opened(self, partition: int) -> Kept[RespondTask]:
        """The task as it was when it was saved."""
        kept, start = self.role.open(TopicPartition(self.role.topics[0], partition), TopicPartition("", 0))
        self.role.begin(kept, self._log.begin(partition, start))
        kept.task.aside = self._bad_findings.get(partition, set())
        self.kept[partition] = kept
        return kept

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
            log.warning(
                "Faust left records out: they are read from the log",
                extra={"partition": partition, "first": task.position, "end": record.offset},
            )
            self.fill(partition, record.offset)
            if (position := self.kept[partition].task.position) < record.offset:
                raise WorkerError(
                    f"{self.role.topics[0]}/{partition}: offsets {position} to {record.offset - 1} cannot be read"
                )
        self._take(partition, record)

    def fill(self, partition: int, end: int | None = None) -> int:
        """Read from the log what was not delivered, before `end`; returns how many records."""
        kept, filled = self.kept[partition], 0
        self.role.begin(kept, self._log.begin(partition, kept.task.position))  # what was deleted is lost, and logged
        for record in self._log.read(partition, kept.task.position, end):
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
            log.exception(
                "a record failed: it is tried once more on a state made anew",
                extra={"partition": partition, "offset": record.offset},
            )
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
        if len(self._aside[partition]) + len(self._bad_findings.get(partition, ())) > LASTING:
            raise WorkerError(
                f"{self.role.topics[0]}/{partition}: more than {LASTING} records failed twice: this is a defect"
            )
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
        kept = self._opened(partition)
        for record in self._log.read(partition, kept.task.position, end):
            if record.offset in self._aside.get(partition, ()):
                kept.task.position = record.offset + 1
            else:
                self.role.handled(kept, record)
        return kept


class LogReader:
    """Reads the log of a topic; each time with a consumer of its own: holes are rare and a catch-up is long.

    Parameters
    ----------
    properties : dict
        Of a consumer.
    """

    def __init__(self, properties: dict[str, Any], topic: str) -> None:
        self._properties, self._topic = properties, topic
        self._bounds = self._new_bounds()

    def _new_bounds(self) -> Consumer:
        return Consumer({**self._properties, "enable.auto.commit": False, "log_level": "0"})

    def begin(self, partition: int, start: int) -> int:
        """Offset at which reading begins where progress was saved at `start`.

        Raises
        ------
        ReadError
        """
        place = TopicPartition(self._topic, partition)
        low, high = patiently(lambda: self._ends(place))
        return begin_at(self._topic, partition, start, low, high)

    def end(self, partition: int) -> int:
        """Where the log ends now.

        Raises
        ------
        KafkaException
            The broker does not say.
        """
        return self._ends(TopicPartition(self._topic, partition))[1]

    def _ends(self, place: TopicPartition) -> tuple[int, int]:
        try:
            low, high = self._bounds.get_watermark_offsets(place, timeout=ASK)
        except KafkaException:
            self._bounds = self._new_bounds()  # this one may have forgotten all brokers: see streams.known_brokers
            raise
        return int(low), int(high)

    def read(self, partition: int, start: int, end: int | None = None) -> Iterator[Record]:
        """Records from `start` on, before `end`; None: to the end as it is now."""
        if end is not None and start >= end:
            return
        for message in past(self._properties, self._topic, {partition: start}):
            record = record_of(message)
            if end is None or record.offset < end:
                yield record
            if end is not None and record.offset + 1 >= end:
                return


def sending(sender: Sender) -> Callable[[list[Out]], None]:
    """What a guard sends goes to a sender, as fast as that takes it."""

    def send(out: list[Out]) -> None:
        sender.send(out)
        while not sender.pump():
            pass

    return send
