"""A partition of the traces topic -> window rows of assembled traces, for the signals topic."""

from __future__ import annotations

from aiops.signals import Clocks
from aiops.traces.assemble import Assemble, AssembleOutput
from streams import codec
from streams.layout import ClockOut, Layout
from streams.records import ITEMS, Out, Record, Refused
from streams.tasks.base import LogTask
from streams.tasks.ingest import rows_out


class AssembleTask(LogTask):
    """One partition; its own source is named like it."""

    name = "assemble"

    def __init__(self, partition: int, layout: Layout) -> None:
        super().__init__(partition, layout)
        self.source = layout.source("traces", partition)
        self.stage = Assemble(self.source, None, layout.tenant)
        self._below = ClockOut(layout.topic("signals"), layout.signals, self.source)

    @property
    def clocks(self) -> Clocks:
        """Clocks of the raw sources."""
        return self.stage.clocks

    @property
    def done_until(self) -> int:
        """Nothing is held: what waits is in the state."""
        return -1

    def data(self, record: Record) -> list[Out]:
        """Take in trace items."""
        if record.kind != ITEMS:
            raise Refused(f"a record of kind {record.kind!r} at offset {record.offset} does not belong here")
        self.stage.process(codec.decode_items(record.value))
        return []

    def advance(self, source: str, clock: int) -> list[Out]:
        """Complete the traces that are due."""
        return self._sent(self.stage.advance(source, clock))

    def _sent(self, done: AssembleOutput) -> list[Out]:
        layout, out = self.layout, list[Out]()
        for rows in done.rows:
            out += rows_out(layout, rows)
        return out + self._below.reached(done.clock)

    def stage_snapshot(self) -> bytes:
        """State of the stage."""
        return self.stage.snapshot()

    def stage_restore(self, snapshot: bytes) -> None:
        """Take over the state of a stage."""
        self.stage.restore(snapshot)

    def gauges(self) -> dict[str, float]:
        """Sizes and counts."""
        return self.stage.gauges()
