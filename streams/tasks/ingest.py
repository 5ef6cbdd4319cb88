"""A partition of a raw topic -> its window rows, trace items and clock."""

from __future__ import annotations

import msgspec

from aiops.ingest.stage import Ingest, IngestOutput, Message
from aiops.records import RecordError, encode
from aiops.signals import END_OF_TIME, SECOND, WindowRows
from aiops.telling import decode_all, number
from aiops.told import TOLD
from streams import routing
from streams.chunks import split
from streams.layout import ClockOut, Layout
from streams.records import CONTROL, END, ITEMS, KIND_OF, ROWS, TRACED, Headers, Out, Raw, headers_of

STEP = 2_000_000  # bytes taken in at once: what becomes of them must fit a record
FURTHEST = 3600 * SECOND  # by which an end of input may move a clock beyond its arrival
DEAD_VALUE, DEAD_HEADERS = 8 << 20, 64 << 10  # bytes of a dead letter: with what it says of itself it must fit a record


class Progress(msgspec.Struct, frozen=True):
    """Travels as the metadata of a committed offset.

    Attributes
    ----------
    closed_until : int
        Clock (Unix ns) up to which windows have been sent.
    position : int
        Offset of the next message when this was committed; those before it have been read once, dead letters sent.
    """

    closed_until: int = -1
    position: int = 0

    def text(self) -> str:
        """For the commit."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def of(cls, text: str | None) -> Progress:
        """Of what a commit says; a foreign text is no progress."""
        try:
            return msgspec.json.decode((text or "").encode(), type=cls)
        except msgspec.DecodeError:
            return cls()


class IngestTask:
    """One partition of a raw topic of telemetry, or of what the engine is told beside it.

    Parameters
    ----------
    topic : str
        Name of the raw topic.
    signal : {'metrics', 'logs', 'traces'} or one of ``aiops.told.TOLD``
    encoding : str
    progress : Progress
        Of the predecessor.
    """

    def __init__(
        self, topic: str, partition: int, signal: str, encoding: str, layout: Layout, progress: Progress | None = None
    ) -> None:
        progress = progress or Progress()
        self.source, self.signal = f"{topic}/{partition}", signal
        self.position = -1  # offset of the next message
        self.dead_letters = 0
        self._topic, self._layout = topic, layout
        self._dead_from = progress.position
        self._stage = None
        if signal not in TOLD:
            self._stage = Ingest(self.source, signal, layout.tenant, encoding, layout.key, progress.closed_until)
        self._clock = progress.closed_until
        self._traces = ClockOut(layout.topic("traces"), layout.traces, self.source) if signal in TRACED else None
        below = ("findings", layout.findings) if signal in TOLD else ("signals", layout.signals)
        self._below = ClockOut(layout.topic(below[0]), below[1], self.source)

    @property
    def clock(self) -> int:
        """What this source has reached, Unix ns."""
        return self._stage.clock if self._stage is not None else self._clock

    @property
    def stage(self) -> Ingest | None:
        """The stage, for its counters; None where the topic holds no telemetry."""
        return self._stage

    @property
    def needed_from(self) -> int:
        """Offset from which a successor must read."""
        needed = self._stage.needed_from if self._stage is not None else None
        return self.position if needed is None else needed

    @property
    def progress(self) -> Progress:
        """For the commit that goes with ``needed_from``."""
        return Progress(self.clock, max(self.position, self._dead_from))

    def process(self, messages: list[Raw], latest: int = END_OF_TIME) -> list[Out]:
        """Take in messages in the order of their offsets; returns what is to be sent, in this order.

        No end of input moves the clock beyond `latest` (Unix ns).
        """
        out: list[Out] = []
        step: list[Raw] = []
        size = 0
        for message in messages:
            if message.headers and (control := _control(message)) is not None:
                out += self._step(step) + self._advance(min(control, latest))
                step, size = [], 0
            elif size + len(message.value) > STEP and step:
                out += self._step(step)
                step, size = [message], len(message.value)
            else:
                step.append(message)
                size += len(message.value)
        out += self._step(step)
        if messages:
            self.position = messages[-1].offset + 1
        return out

    def tick(self, clock: int) -> list[Out]:
        """Nothing came for so long that `clock` (Unix ns) is reached: what it closes is to be sent."""
        return self._advance(clock)

    def _step(self, messages: list[Raw]) -> list[Out]:
        if not messages:
            return []
        if self._stage is None:
            return self._told(messages)
        done = self._stage.process([Message(m.offset, m.arrival, m.value) for m in messages])
        refused = {r.message: r.reason for r in done.refused}
        dead = [self._dead_letter(m, refused[m.offset]) for m in messages if m.offset in refused] if refused else []
        return [o for o in dead if o is not None] + self._sent(done)

    def _advance(self, clock: int) -> list[Out]:
        if self._stage is not None:
            return self._sent(self._stage.advance(clock))
        self._clock = max(self._clock, clock)
        return self._below.reached(self._clock)

    def _sent(self, done: IngestOutput) -> list[Out]:
        layout, out = self._layout, list[Out]()
        if done.items is not None:
            for p, value in enumerate(routing.items_values(done.items, layout.traces, layout.key)):
                if value is not None:
                    out.append(Out(layout.topic("traces"), p, value, headers_of(ITEMS, self.source)))
        for rows in done.rows:
            out += rows_out(layout, rows)
        if self._traces is not None:
            out += self._traces.reached(done.clock)
        return out + self._below.reached(done.clock)

    def _told(self, messages: list[Raw]) -> list[Out]:
        layout, out = self._layout, list[Out]()
        for message in messages:
            try:
                several = decode_all(self.signal, message.value)
            except RecordError as error:
                dead = self._dead_letter(message, str(error))
                out += [] if dead is None else [dead]
                continue
            for k, told in enumerate(several):
                place = routing.findings_partition(layout.tenant, told.environment, layout.findings, layout.key)
                at: Headers = [("offset", b"%d" % number(message.offset, k)), ("arrival", b"%d" % message.arrival)]
                headers = headers_of(KIND_OF[self.signal], self.source, at)
                out.append(Out(layout.topic("findings"), place, encode(told), headers))
        # Not to the last arrival itself: the next message may have the same.
        self._clock = max(self._clock, max(m.arrival for m in messages) - 1)
        return out + self._below.reached(self._clock)

    def _dead_letter(self, message: Raw, reason: str) -> Out | None:
        """A message that is read again, after a restart, has been sent there already."""
        if message.offset < self._dead_from:
            return None
        self.dead_letters += 1
        about: Headers = [
            ("dlq.reason", reason.encode()[:1000]),
            ("dlq.source", self.source.encode()),
            ("dlq.offset", b"%d" % message.offset),
            ("dlq.timestamp", b"%d" % (message.arrival // 1_000_000)),
        ]
        value, key, headers = message.value, message.key, message.headers
        if len(value) > DEAD_VALUE:
            value = value[:DEAD_VALUE]
            about.append(("dlq.cut", b"%d" % len(message.value)))
        if sum(len(name) + len(text) for name, text in headers) + len(key or b"") > DEAD_HEADERS:
            key, headers = None, []
        return Out(f"{self._topic}.dlq", None, value, [*headers, *about], key)


def rows_out(layout: Layout, rows: WindowRows) -> list[Out]:
    """Window rows, one value a signals partition, as records."""
    out: list[Out] = []
    for p, value in enumerate(routing.rows_values(rows, layout.signals, layout.key)):
        for part_headers, part in split(value, layout.part):
            headers = headers_of(ROWS, rows.source, [("window", b"%d" % rows.window), *part_headers])
            out.append(Out(layout.topic("signals"), p, part, headers))
    return out


def _control(message: Raw) -> int | None:
    """Clock (Unix ns) to which an end-of-input record moves the source; None where the message is none."""
    for name, value in message.headers:
        if name == CONTROL and value == END and message.value.isdigit() and len(message.value) < 20:
            # It cannot reach further than the engine waits for what is open to close.
            return min(int(message.value), message.arrival + FURTHEST)
    return None
