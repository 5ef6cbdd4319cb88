"""A partition of the signals topic -> findings, for the findings topic."""

from __future__ import annotations

from collections.abc import Iterator

from aiops.config import EngineConfig
from aiops.detect.stage import Detect
from aiops.findings import Findings, portions
from aiops.signals import Clocks
from streams import codec, routing
from streams.chunks import Joiner
from streams.layout import ClockOut, Layout
from streams.records import FINDINGS, ROWS, Out, Record, Refused, headers_of
from streams.tasks.base import LogTask

MOST_ANOMALIES = 2_000  # of a record: some kB each


class DetectTask(LogTask):
    """One partition; its own source is named like it."""

    name = "detect"
    held_kinds = frozenset({ROWS})

    def __init__(self, partition: int, layout: Layout, config: EngineConfig | None = None) -> None:
        super().__init__(partition, layout)
        self.source = layout.source("signals", partition)
        self.stage = Detect(None, layout.tenant, (config or EngineConfig()).detect)
        self._parts = Joiner()
        self._below = ClockOut(layout.topic("findings"), layout.findings, self.source)

    @property
    def clocks(self) -> Clocks:
        """Clocks of the raw sources and of the traces partitions."""
        return self.stage.clocks

    @property
    def done_until(self) -> int:
        """Start of the first window that has not been processed, Unix ns."""
        return self.stage.done_until

    def data(self, record: Record) -> list[Out]:
        """Take in a part of the rows of a source for a window."""
        if record.kind != ROWS:
            raise Refused(f"a record of kind {record.kind!r} at offset {record.offset} does not belong here")
        try:
            window = int(record.headers.get("window", b""))
        except ValueError:
            raise Refused(f"rows at offset {record.offset} name no window") from None
        if window < self.stage.done_until:
            self.stage.late += 1
            return []
        value = self._parts.add((record.source, window), record.headers, record.value)
        self.hold(window, record.offset)
        if value is not None:
            rows = codec.decode_rows(value)
            if (rows.source, rows.window) != (record.source, window):
                raise Refused(f"rows at offset {record.offset}: headers and value name another source or window")
            self.stage.process(rows)
        return []

    def advance(self, source: str, clock: int) -> list[Out]:
        """Process the windows that are due."""
        found = self.stage.advance(source, clock)
        done = self.stage.done_until
        self._parts.forget([key for key in self._parts if key[1] < done])
        return [out for f in found for out in self._sent(f)] + self._below.reached(self.stage.clock)

    def _sent(self, found: Findings) -> Iterator[Out]:
        """A record; of an outage that thousands of signals show, several: one would be more than a broker takes."""
        layout = self.layout
        place = routing.findings_partition(found.tenant, found.environment, layout.findings, layout.key)
        time = ("time", b"%d" % found.time)
        for part, some in enumerate(portions(found, MOST_ANOMALIES)):
            headers = headers_of(FINDINGS, self.source, [time, ("portion", b"%d" % part)] if part else [time])
            yield Out(layout.topic("findings"), place, codec.encode_findings(some), headers)

    def stage_snapshot(self) -> bytes:
        """State of the stage."""
        return self.stage.snapshot()

    def stage_restore(self, snapshot: bytes) -> None:
        """Take over the state of a stage."""
        self.stage.restore(snapshot)
        self._parts = Joiner()

    def gauges(self) -> dict[str, float]:
        """Sizes and counts."""
        evicted = {
            "detect_evicted_parts_total": float(self._parts.evicted),
            "detect_waiting_parts": float(self._parts.waiting),
        }
        return {**self.stage.gauges(), **evicted}
