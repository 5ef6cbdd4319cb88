"""Raw messages of one source -> its window rows and, of traces, the items that assemble joins.

State is the open windows and nothing else: a worker that restarts re-reads from the oldest message with an item in an
open window and ignores what belongs to windows that were sealed before (``Ingest(closed_until=...)``).

A Collector retries without idempotence, and OTLP carries its own ns times: so a message whose bytes equal those of one
with an item in an open window is a repeat, unless a time of it had to be replaced.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray

from aiops.columns import LogBatch, MetricBatch, Refusal, SpanBatch
from aiops.identity import DEFAULT_KEY, combined, hash_bytes
from aiops.ingest.by_window import rows_by_window
from aiops.ingest.log_windows import LogWindow
from aiops.ingest.message import messages as message_text
from aiops.ingest.metric_windows import MetricWindow
from aiops.ingest.normalise import plausible_times
from aiops.ingest.repeats import SeenMessages
from aiops.ingest.shape_table import MAX_SHAPE_BYTES, MAX_SHAPES, ShapeTable
from aiops.signals import MetricRows, WindowRows, due
from aiops.traces.items import TraceItems, trace_logs, trace_spans
from aiops.wire import decode_logs, decode_metrics, decode_spans
from aiops.wire.tables import Tables

# Distinct series, resources and names of one instance, and their bytes; beyond that, or beyond four times what a window shows
# where that is less, new tables are begun: what is gone, as the series of pods that were replaced, goes with the old ones.
LEAST_TABLE, MAX_TABLE, MAX_TABLE_BYTES = 500_000, 4_000_000, 256 << 20


class Message(NamedTuple):
    """A message as it stands in its partition.

    ``offset`` rises by one a message; ``arrival`` is Unix ns.
    """

    offset: int
    arrival: int
    value: bytes


@dataclass(slots=True)
class IngestOutput:
    """What a step of ingest sends on; ``clock`` (Unix ns) comes after the data."""

    clock: int
    rows: list[WindowRows] = field(default_factory=list)
    items: TraceItems | None = None
    refused: list[Refusal] = field(default_factory=list)


@dataclass(slots=True)
class Counters:
    """Totals since the start of the instance."""

    messages: int = 0
    items: int = 0
    refused: int = 0
    late: int = 0
    replaced_times: int = 0
    repeats: int = 0
    not_finite: int = 0
    bad_ids: int = 0


class _Open:
    """What is open of one window, and the parts of it whose codes belong to earlier tables."""

    __slots__ = ("logs", "metric_parts", "metrics", "oldest", "totals")

    def __init__(self) -> None:
        self.metrics: MetricWindow | None = None
        self.metric_parts: list[MetricRows] = []
        self.logs: LogWindow | None = None
        self.totals: dict[tuple[str, str], int] = {}
        self.oldest = 1 << 62  # offset of the oldest message with an item in it

    def fold(self) -> None:
        """Turn what refers to the tables into rows; log rows never do."""
        if self.metrics is not None:
            self.metric_parts.append(self.metrics.rows())
            self.metrics = None


class Ingest:
    """One source of one signal.

    Parameters
    ----------
    source : str
        Name of the partition, such as ``"otlp_logs/3"``.
    signal : {'logs', 'metrics', 'traces'}
    tenant, encoding : str
        From the topic map, never from what a producer writes.
    key : int
        Key of the identities; the same on every worker.
    closed_until : int
        Clock (Unix ns) at which a predecessor stopped; its windows that were due by then are not made again.
    """

    def __init__(
        self,
        source: str,
        signal: str,
        tenant: str = "default",
        encoding: str = "auto",
        key: int = DEFAULT_KEY,
        closed_until: int = -1,
    ) -> None:
        if signal not in ("logs", "metrics", "traces"):
            raise ValueError(f"signal {signal!r} is not one of 'logs', 'metrics', 'traces'")
        self.source, self.signal, self.tenant, self.encoding = source, signal, tenant, encoding
        self.clock = closed_until
        self.counters = Counters()
        self._key = key
        self._tables, self._shapes = Tables(key), ShapeTable()
        self._open: dict[int, _Open] = {}
        self._expected = 0  # series in a window, by the last one
        self._seen = SeenMessages()
        self._digests: NDArray[np.uint64] = np.empty(0, np.uint64)  # of the messages in hand
        self._service_codes: dict[tuple[str, str], int] = {}
        self._service_names: list[tuple[str, str]] = []
        self._resource_service: NDArray[np.int32] = np.empty(0, np.int32)
        self._service_identity: NDArray[np.uint64] = np.empty(0, np.uint64)

    @property
    def needed_from(self) -> int | None:
        """Offset of the oldest message with an item in an open window; None where no window is open."""
        return min((w.oldest for w in self._open.values()), default=None)

    def process(self, messages: list[Message]) -> IngestOutput:
        """Take in messages in the order of their offsets."""
        self.counters.messages += len(messages)
        if self._crowded():
            self._new_tables()
        out = IngestOutput(self.clock)
        if not messages:
            return out
        # No Python line a message: some Collectors send messages of a handful of spans.
        n = len(messages)
        offset, arrived, values = zip(*messages, strict=True)
        offsets, arrival = np.fromiter(offset, np.int64, n), np.fromiter(arrived, np.int64, n)
        payloads: list[bytes] = list(values)
        self._digests = np.fromiter(map(xxhash.xxh3_64_intdigest, payloads), np.uint64, n)
        if self.signal == "metrics":
            points, out.refused = decode_metrics(payloads, self._tables, self.encoding)
            self._metrics(points, arrival, offsets)
        elif self.signal == "logs":
            records, out.refused = decode_logs(payloads, self._tables, self.encoding)
            out.items = self._logs(records, arrival, offsets)
        else:
            spans, out.refused = decode_spans(payloads, self._tables, self.encoding)
            out.items = self._spans(spans, arrival, offsets)
        out.refused = [Refusal(int(offsets[r.message]), r.reason) for r in out.refused]
        self.counters.refused += len(out.refused)
        return self._seal(out)

    def advance(self, clock: int) -> IngestOutput:
        """A tick or an end of input: the source's clock is at least `clock`."""
        self.clock = max(self.clock, clock)
        return self._seal(IngestOutput(self.clock))

    def gauges(self) -> dict[str, float]:
        """Fill of every table, and what was counted since the instance was made (``_total``)."""
        open_ = self._open.values()
        sizes = {
            "open_windows": len(open_),
            "open_series": sum(w.metrics.size for w in open_ if w.metrics is not None),
            "seen_messages": self._seen.size,
            "table_rows": self._tables.size, "shapes": len(self._shapes), "services": len(self._service_names),
        }  # fmt: skip
        totals = {f"{name}_total": getattr(self.counters, name) for name in Counters.__slots__}
        return {f"ingest_{name}": float(n) for name, n in {**sizes, **totals}.items()}

    # ---- signals ----------------------------------------------------------------------------------------------------
    def _metrics(self, batch: MetricBatch, arrival: NDArray[np.int64], offsets: NDArray[np.int64]) -> None:
        time, before, fresh = self._times(batch.time, batch.message, arrival)
        finite = np.isfinite(batch.value) | batch.stale | (self._tables.series.kind[batch.series] > 1)
        self.counters.not_finite += int(np.count_nonzero(fresh & ~finite))
        service = self._services(self._tables.series.resource[batch.series])
        for window, rows in self._windows(time, before, batch.message, fresh, finite):
            open_ = self._window(window, offsets[batch.message[rows]])
            if open_.metrics is None:
                expected = max(len(rows), min(self._expected, 16 * len(rows)))
                open_.metrics = MetricWindow(self._tables.series, max(256, min(len(self._tables.series), expected)))
            open_.metrics.add(batch, time, rows)
            self._count(open_, service[rows])

    def _logs(self, batch: LogBatch, arrival: NDArray[np.int64], offsets: NDArray[np.int64]) -> TraceItems | None:
        time, before, fresh = self._times(batch.time, batch.message, arrival)
        service = self._services(batch.resource)
        text = message_text(batch.text)
        shape = self._shapes.codes(text)
        pair = combined(self._service_identity[service], self._shapes.identity[shape])
        everything = np.ones(len(batch), bool)
        names = self._service_names
        on_time = np.zeros(len(batch), bool)
        for window, rows in self._windows(time, before, batch.message, fresh, everything):
            open_ = self._window(window, offsets[batch.message[rows]])
            if open_.logs is None:
                open_.logs = LogWindow()
            on_time[rows] = True
            chosen = type(text)(text.data, text.start[rows], text.end[rows])
            some, texts = rows, self._shapes.texts

            def about(row: int, some: NDArray[np.int64] = some, texts: list[bytes] = texts) -> tuple[str, str, bytes]:
                return (*names[service[some[row]]], texts[shape[some[row]]])

            open_.logs.add(pair[rows], time[rows], batch.severity[rows], chosen, about)
            self._count(open_, service[rows])
        return trace_logs(self.source, self.tenant, batch, time, service, names, shape, self._shapes, on_time, offsets)

    def _spans(self, batch: SpanBatch, arrival: NDArray[np.int64], offsets: NDArray[np.int64]) -> TraceItems | None:
        time, before, fresh = self._times(batch.end, batch.message, arrival)
        self.counters.bad_ids += int(np.count_nonzero(fresh & batch.bad_id))
        service = self._services(batch.resource)
        on_time = np.zeros(len(batch), bool)
        for window, rows in self._windows(time, before, batch.message, fresh, ~batch.bad_id):
            on_time[rows] = True
            self._count(self._window(window, offsets[batch.message[rows]]), service[rows])
        tables = self._tables
        return trace_spans(
            self.source,
            self.tenant,
            batch,
            time,
            service,
            self._service_names,
            tables.operations,
            tables.peers,
            on_time,
            offsets,
        )

    # ---- times and windows ------------------------------------------------------------------------------------------
    def _times(
        self, time: NDArray[np.int64], message: NDArray[np.int32], arrival: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Event times, the clock when each message arrives, and which items are of no repeat."""
        times = plausible_times(time, message, arrival)
        before, repeat, self.clock = self._seen.admit(self._digests, times, self.clock)
        fresh = ~repeat[message]
        self.counters.repeats += int(np.count_nonzero(repeat))
        self.counters.replaced_times += int(times.replaced.sum())
        self.counters.items += int(np.count_nonzero(fresh))
        return times.time, before, fresh

    def _windows(
        self,
        time: NDArray[np.int64],
        before: NDArray[np.int64],
        message: NDArray[np.int32],
        fresh: NDArray[np.bool_],
        usable: NDArray[np.bool_],
    ) -> list[tuple[int, NDArray[np.int64]]]:
        """Windows of the items that are on time, with their rows in order."""
        windows, late = rows_by_window(time, before, message, fresh, usable)
        self.counters.late += late
        return windows

    def _window(self, window: int, offsets: NDArray[np.int64]) -> _Open:
        open_ = self._open.get(window)
        if open_ is None:
            open_ = self._open[window] = _Open()
        open_.oldest = min(open_.oldest, int(offsets.min()))  # points come by kind, not by message
        return open_

    def _count(self, open_: _Open, service: NDArray[np.int32]) -> None:
        for code, n in enumerate(np.bincount(service).tolist()):
            if n:
                key = (self._service_names[code][0], self.signal)
                open_.totals[key] = open_.totals.get(key, 0) + n

    def _seal(self, out: IngestOutput) -> IngestOutput:
        out.clock = self.clock
        for window in sorted(w for w in self._open if due(w) <= self.clock):
            open_ = self._open.pop(window)
            open_.fold()
            if open_.metric_parts:
                self._expected = sum(len(part.series) for part in open_.metric_parts)
            out.rows.append(
                WindowRows(
                    self.source,
                    self.tenant,
                    window,
                    open_.totals,
                    open_.metric_parts,
                    open_.logs.rows() if open_.logs is not None else [],
                )
            )
        if out.rows:
            self._seen.forget(self.clock)
        return out

    # ---- what is kept across batches --------------------------------------------------------------------------------
    def _services(self, resource: NDArray[np.int32]) -> NDArray[np.int32]:
        """Service code of every row."""
        known = len(self._resource_service)
        entities = self._tables.resources.entities
        if len(entities) > known:
            codes = [self._service_code((e.environment, e.service)) for e in entities[known:]]
            self._resource_service = np.concatenate([self._resource_service, np.array(codes, np.int32)])
        out: NDArray[np.int32] = self._resource_service[resource]
        return out

    def _service_code(self, name: tuple[str, str]) -> int:
        code = self._service_codes.get(name)
        if code is None:
            code = self._service_codes[name] = len(self._service_names)
            self._service_names.append(name)
            identity = np.array([hash_bytes("\0".join(name).encode(), self._key)], np.uint64)
            self._service_identity = np.concatenate([self._service_identity, identity])
        return code

    def _crowded(self) -> bool:
        """Do the tables hold more than is worth keeping?"""
        tables, shapes = self._tables, self._shapes
        most = min(MAX_TABLE, max(LEAST_TABLE, 4 * self._expected))
        if tables.size > most or tables.text_bytes > MAX_TABLE_BYTES:
            return True
        return len(shapes) > MAX_SHAPES or shapes.text_bytes > MAX_SHAPE_BYTES

    def _new_tables(self) -> None:
        """Begin new tables; what is open becomes rows, which need no tables."""
        for open_ in self._open.values():
            open_.fold()
        self._tables, self._shapes = Tables(self._key), ShapeTable()
        self._service_codes, self._service_names = {}, []
        self._service_identity, self._resource_service = np.empty(0, np.uint64), np.empty(0, np.int32)
