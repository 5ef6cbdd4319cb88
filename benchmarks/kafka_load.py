"""What the benchmarks of the engine on Kafka send: payloads of `benchmarks.payloads` at any rate, preloaded or paced."""

from __future__ import annotations

import heapq
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from confluent_kafka import Producer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from aiops.signals import SECOND, WINDOW
from benchmarks import payloads
from benchmarks.kafka_site import PARTITIONS, PRODUCER, Sent, Site, produce, recent
from benchmarks.payloads import T0, TRACES, Poll

FAULTY = "payment"
_SLOW = 5  # times as long as it was


class Mix(NamedTuple):
    """Items a second of event time."""

    points: int
    records: int
    spans: int

    @property
    def items(self) -> int:
        """Of all three."""
        return sum(self)

    def times(self, factor: float) -> Mix:
        """More or less of the same."""
        return Mix(*(round(n * factor / 50) * 50 for n in self))


@dataclass(slots=True)
class Load:
    """Polls of each signal, repeated for ever, later and later.

    Attributes
    ----------
    polls : dict
        Signal -> polls that follow each other.
    faulty : list of Poll
        Spans as they are while a service fails.
    """

    polls: dict[str, list[Poll]]
    faulty: list[Poll]

    @classmethod
    def of(cls, mix: Mix, per_message: int, fault: bool = False) -> Load:
        """Build payloads; takes about 50 us an item of two seconds of logs and spans, and of 10 s of points."""
        polls, faulty = {}, list[Poll]()
        if mix.points:
            polls["metrics"] = payloads.metrics(mix.points * 10, min(per_message, mix.points * 10), mix.points * 10)
        if mix.records:
            polls["logs"] = payloads.logs(min(per_message, mix.records * 2), mix.records * 2, mix.records)
        if mix.spans:
            polls["traces"] = payloads.spans(per_message, mix.spans * 2, mix.spans)
            if fault:
                faulty = [_failing(poll) for poll in polls["traces"]]
        return cls(polls, faulty)

    def messages(self, start: int, until: int, fault: tuple[int, int] = (0, 0)) -> Iterator[Sent]:
        """Messages from `start` on, before `until` (Unix ns), in the order of their arrivals; `fault`: when it fails."""
        return heapq.merge(*(self._of(signal, start, until, fault) for signal in self.polls), key=lambda m: m.time)

    def items(self, span: int) -> int:
        """How many items `messages` gives for so many ns."""
        count = 0
        for polls in self.polls.values():
            each, passed = sum(poll.span for poll in polls), 0
            while passed < span:
                count += sum(poll.items for poll in polls)
                passed += each
        return count

    def _of(self, signal: str, start: int, until: int, fault: tuple[int, int]) -> Iterator[Sent]:
        at, number, sent = start, 0, 0
        while at < until:
            polls = self.polls[signal]
            if signal == "traces" and self.faulty and fault[0] <= at < fault[1]:
                polls = self.faulty
            for poll in polls:
                raw, arrival = poll.later(at - T0, number * TRACES)
                number += 1
                for value, time_ in zip(raw, arrival, strict=True):
                    yield Sent(signal, sent % PARTITIONS, value, time_)
                    sent += 1
                if len(polls) == 1:
                    at += poll.span
            if len(polls) > 1:
                at += polls[0].span


def _failing(poll: Poll) -> Poll:
    """The same spans, but every one of a service fails and takes longer."""
    out = []
    for raw in poll.payloads:
        request = ExportTraceServiceRequest.FromString(raw)
        for resource in request.resource_spans:
            names = {a.value.string_value for a in resource.resource.attributes if a.key == "service.name"}
            for span in (s for scope in resource.scope_spans for s in scope.spans if FAULTY in names):
                span.status.code, span.status.message = 2, "connection pool exhausted"
                length = span.end_time_unix_nano - span.start_time_unix_nano
                span.start_time_unix_nano = span.end_time_unix_nano - _SLOW * length
        out.append(request.SerializeToString())
    return Poll(out, poll.arrival, poll.items, poll.span)


def preload(site: Site, load: Load, windows: int, end: bool = True) -> int:
    """Send so many windows, which end about now; returns how many items."""
    span = windows * WINDOW
    start = recent(span)
    site.send(load.messages(start, start + span), start + span + 60 * SECOND if end else 0)
    return load.items(span)


class Paced(threading.Thread):
    """Sends messages when their time has come, those of the past at once; ``stop`` ends it.

    Attributes
    ----------
    last : int
        Time (Unix ns) of the last message sent.
    late : float
        The longest that a message was sent after its time, seconds.
    """

    def __init__(self, site: Site, messages: Iterator[Sent]) -> None:
        super().__init__(name="paced", daemon=True)
        self.late = 0.0
        self.last = -1
        self.failed: BaseException | None = None
        self._site, self._source = site, messages
        self._ready: queue.Queue[Sent | None] = queue.Queue(20_000)
        self._stop_asked = threading.Event()
        self._maker = threading.Thread(target=self._make, name="maker", daemon=True)

    def stop(self) -> None:
        """End it, and wait for it."""
        self._stop_asked.set()
        self.join()
        if self.failed is not None:
            raise self.failed

    def _make(self) -> None:
        """Making two seconds of messages takes a moment, for which nobody should wait."""
        try:
            for message in self._source:
                while not self._stop_asked.is_set():
                    try:
                        self._ready.put(message, timeout=0.5)
                        break
                    except queue.Full:
                        continue
                if self._stop_asked.is_set():
                    return
            self._ready.put(None)
        except BaseException as error:  # noqa: BLE001 - whoever stops this thread hears of it
            self.failed = error

    def run(self) -> None:
        """Send."""
        self._maker.start()
        producer, begun = Producer({**self._site.kafka, **PRODUCER}), time.time_ns()
        while not self._stop_asked.is_set() and self.failed is None:
            try:
                message = self._ready.get(timeout=0.5)
            except queue.Empty:
                continue
            if message is None:
                break
            early = message.time / 1e9 - time.time()
            if early > 0:
                producer.poll(0)
                self._stop_asked.wait(early)
            elif message.time >= begun:
                self.late = max(self.late, -early)
            topic = self._site.raw[message.signal]
            produce(producer, topic, message.partition, message.value, time.time_ns() // 1_000_000)
            self.last = message.time
        producer.flush(30)
