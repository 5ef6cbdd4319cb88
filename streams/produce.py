"""A recording -> the raw topics, as an OpenTelemetry Collector's Kafka exporter would have sent it.

Messages go out in the order of their arrivals, which are their Kafka timestamps.  A line that does not decode is sent as
it stands, so that the engine refuses it as a replay does.  Memory is that of the look-ahead of the recording and of
librdkafka's queue, which is bounded.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from aiops.engine import TICK
from aiops.errors import UserError
from aiops.recording import MS, Recording, RecordingError, Sourced
from aiops.records import rfc3339
from aiops.replay import Pace
from streams.clients_common import Connection
from streams.produce_split import LIMIT, Part, Split
from streams.produce_topics import targets, unfit
from streams.records import CONTROL, END
from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class Options:
    """What to send.

    Attributes
    ----------
    end : bool
        Write an end of input to every partition of every raw topic, after everything else.
    begin, until : int
        Arrivals (Unix ns) sent: from `begin` on, before `until`.
    speed : float
        Times real time; 0: as fast as possible.
    """

    end: bool = False
    begin: int = 0
    until: int = 1 << 63
    speed: float = 0.0


@dataclass(slots=True)
class Total:
    """Of a topic; `refused` are lines that do not decode, sent as they stand."""

    lines: int = 0
    messages: int = 0
    items: int = 0
    bytes: int = 0
    refused: int = 0


@dataclass(slots=True)
class Summary:
    """What was sent; times in seconds, arrivals in Unix ns."""

    topics: dict[str, Total] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    begin: int = 0
    until: int = 0
    ends: int = 0
    clock: int = 0
    wall: float = 0.0

    @property
    def items(self) -> int:
        """Items of all topics."""
        return sum(total.items for total in self.topics.values())


Watch = Callable[[Summary], None]
"""Called after every line with the totals so far."""


def produce(
    recording: Recording,
    settings: Settings,
    options: Options | None = None,
    watch: Watch = lambda _summary: None,
    warn: Callable[[str], None] = lambda _text: None,
) -> Summary:
    """Send a recording; returns when all of it has been acknowledged.

    Parameters
    ----------
    warn : callable
        Takes what the user should know before it is too late, in words.

    Raises
    ------
    UserError
        The cluster, a topic or a message is at fault: which, and why.
    RecordingError
        A file cannot be read to its end (what came before has been sent), or nothing arrived in the span of time.
    """
    options = options or Options()
    sending = _Sending(settings, set(recording.sources.values()), options.end)
    began = time.monotonic()
    pace = Pace(options.speed) if options.speed else None
    try:
        for source, message in _between(recording, options):
            if not sending.summary.begin:
                for text in unfit(sending.targets, message.arrival):
                    sending.summary.warnings.append(text)
                    warn(text)
            if pace is not None:
                sending.poll()
                pace.wait(message.arrival)
            where = f"line {message.offset + 1} of {recording.files[source].name}"
            sending.send(recording.sources[source], message.value, message.arrival, where)
            watch(sending.summary)
    except RecordingError:
        sending.flush()
        raise
    if not sending.summary.begin:
        begin = f" from {rfc3339(options.begin)}" if options.begin else ""
        until = f" until {rfc3339(options.until)}" if options.until < 1 << 63 else ""
        raise RecordingError(f"{recording.folder}: nothing arrived{begin}{until}")
    sending.flush()  # an end must not overtake what is not yet acknowledged
    if options.end:
        sending.end(settings.engine_config().drain)
        sending.flush()
    sending.summary.wall = time.monotonic() - began
    return sending.summary


def _between(recording: Recording, options: Options) -> Iterator[Sourced]:
    for sourced in recording.messages():
        if sourced.message.arrival >= options.until:
            return
        if sourced.message.arrival >= options.begin:
            yield sourced


def stamp(arrival: int) -> int:
    """Kafka timestamp, ms: arrivals are whole ms.  0 would mean "now" to librdkafka: without any time it is 1 ms."""
    return max(1, -(-arrival // MS))


class _Sending:
    """A producer and the topics it sends to."""

    def __init__(self, settings: Settings, signals: set[str], end: bool) -> None:
        properties = settings.producer_properties()
        self._connection = Connection(Producer, properties)
        self._producer: Producer = self._connection.client
        self.targets = targets(settings, signals, self._connection, everything=end)
        self._target = {t.signal: t for t in self.targets if t.takes}
        self._split = {
            signal: Split(signal, t.partitions, min(LIMIT, t.max_bytes * 9 // 10)) for signal, t in self._target.items()
        }
        self.summary = Summary({t.topic: Total() for t in self._target.values()})
        self._failed: UserError | None = None

    def send(self, signal: str, line: bytes, arrival: int, where: str) -> None:
        """Send a line."""
        topic = self._target[signal].topic
        total = self.summary.topics[topic]
        for part in self._split[signal].parts(line):
            self._put(topic, part, arrival, where)
            total.messages += 1
            total.items += part.items
            total.bytes += len(part.value)
            total.refused += part.refused
        total.lines += 1
        self.summary.begin = self.summary.begin or stamp(arrival) * MS
        self.summary.until = arrival
        self.poll()

    def end(self, drain: int) -> None:
        """Write an end of input to every partition."""
        last = self.summary.until
        self.summary.clock = last // TICK * TICK + drain
        value = b"%d" % self.summary.clock
        for target in self.targets:
            for partition in range(target.partitions):
                where = "the end of input"
                self._put(target.topic, Part(partition, None, value, 0), last, where, [(CONTROL, END)])
                self.summary.ends += 1

    def poll(self) -> None:
        """Take in acknowledgements.

        Raises
        ------
        UserError
            A message was not taken.
        """
        self._producer.poll(0)
        if self._failed is not None:
            raise self._failed

    def flush(self) -> None:
        """Wait until everything has been acknowledged; a message that waits for too long fails."""
        while self._producer.flush(1.0):
            self.poll()
        self.poll()

    def _put(
        self,
        topic: str,
        part: Part,
        arrival: int,
        where: str,
        headers: list[tuple[str, str | bytes | None]] | None = None,
    ) -> None:
        delivered = functools.partial(self._delivered, where)
        while True:
            try:
                self._producer.produce(
                    topic,
                    part.value,
                    part.key,
                    partition=part.partition,
                    timestamp=stamp(arrival),
                    on_delivery=delivered,
                    headers=headers or [],
                )
            except BufferError:  # the queue is full: wait until the broker has taken some of it
                self._producer.poll(0.1)
                self.poll()
            except KafkaException as error:
                raise self._refusal(where, f"{topic}/{part.partition}", len(part.value), error.args[0]) from None
            else:
                return

    def _delivered(self, where: str, error: KafkaError | None, message: Message) -> None:
        if error is not None and self._failed is None:
            to = f"{message.topic()}/{message.partition()}"
            self._failed = self._refusal(where, to, len(message), error)

    def _refusal(self, where: str, to: str, size: int, error: KafkaError) -> UserError:
        hint = ""
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            hint = f": {size:,d} bytes; see max.message.bytes of the topic and message.max.bytes of the producer"
        elif error.code() == KafkaError.INVALID_TIMESTAMP:
            hint = ": see message.timestamp.after.max.ms and message.timestamp.before.max.ms of the topic"
        failed = self._connection.failed(f"{where} was not taken by {to}", error)
        return UserError(f"{failed}{hint}")
