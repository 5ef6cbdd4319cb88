"""Trace items of all sources -> complete traces -> rows of a window: operations, own times, edges, gaps, calls, visits.

A trace is complete when a whole window has passed in which no item of it ended, or when it is ``HORIZON`` old: a rule
about event times alone, so neither batches nor the order of arrival nor a restart can change it.  What is complete when
window ``w`` is due is stamped with the window before ``w``; the stage's clock therefore stands one window behind its
sources'.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops import state
from aiops.signals import LATENESS, SECOND, WINDOW, Clocks, WindowRows, due
from aiops.traces.complete import split_traces
from aiops.traces.items import LogColumns, SpanColumns, TraceItems
from aiops.traces.join import RECORD, SPAN
from aiops.traces.names import operation, peer
from aiops.traces.rows import Tables, forget, trace_rows
from aiops.traces.tally import tally

HORIZON = 6 * WINDOW  # a trace that lasts longer is cut
FORGET_EVERY = 3600 * SECOND  # of event time: so often names that no waiting item holds are dropped
SOONER, MANY = 300 * SECOND, 200_000  # or so often, where there are so many of them


@dataclass(slots=True)
class AssembleOutput:
    """What a step sends on; ``clock`` (Unix ns) comes after the data."""

    clock: int
    rows: list[WindowRows] = field(default_factory=list)


@dataclass(slots=True)
class Counters:
    """Totals since the start of the instance."""

    spans: int = 0
    records: int = 0
    traces: int = 0
    repeated_spans: int = 0
    cut_traces: int = 0
    cut_visits: int = 0
    late: int = 0
    forgotten_names: int = 0


class Assemble:
    """One partition of the traces topic.

    Parameters
    ----------
    source : str
        Name of the partition, such as ``"aiops.traces/0"``.
    sources : list of str, optional
        The raw sources that route items here; where they are not given they come with a record.
    """

    def __init__(self, source: str, sources: list[str] | None = None, tenant: str = "default") -> None:
        self.source, self.tenant = source, tenant
        self.clocks = Clocks(sources)
        self.counters = Counters()
        self.tables = Tables()
        self._offset: dict[str, int] = {}  # greatest offset seen of each source: what comes again is a repeat
        self._done = -1  # windows that end by then have been processed; never goes back, as the merged clock may
        self._next = -1  # window that is due next, -1 before the first item
        self._spans: dict[int, list[NDArray[np.void]]] = {}  # window of the end -> chunks
        self._records: dict[int, list[NDArray[np.void]]] = {}
        self._open_spans: NDArray[np.void] = np.empty(0, SPAN)
        self._open_records: NDArray[np.void] = np.empty(0, RECORD)
        self._maps = _Maps()
        self._forgot = -SOONER  # window at which names were dropped last

    @property
    def clock(self) -> int:
        """What this source has reached for those behind it, Unix ns."""
        return self.clocks.merged - WINDOW

    @property
    def open_items(self) -> int:
        """Spans and log records that wait: a gauge."""
        waiting = sum(len(c) for chunks in (*self._spans.values(), *self._records.values()) for c in chunks)
        return waiting + len(self._open_spans) + len(self._open_records)

    def process(self, items: TraceItems) -> None:
        """Take in items of one source, in the order of its offsets."""
        service = self._maps.services(items, self.tables)
        if items.spans is not None:
            spans = _span_records(items.spans, service, *self._maps.operations(items, self.tables))
            spans = self._on_time(self._fresh(items.source, items.spans.offset, spans), "end")
            self.counters.spans += len(spans)
            _by_window(self._spans, spans, spans["end"])
        if items.logs is not None:
            records = _log_records(items.logs, service, self._maps.shapes(items.source, items.logs, self.tables))
            records = self._on_time(self._fresh(items.source, items.logs.offset, records), "time")
            self.counters.records += len(records)
            _by_window(self._records, records, records["time"])

    def advance(self, source: str, clock: int) -> AssembleOutput:
        """Source `source` has reached `clock` (Unix ns): complete what is due."""
        self.clocks.set(source, clock)
        self._done = max(self._done, self.clocks.merged - LATENESS)
        out = AssembleOutput(-1)
        while (window := self._due_window()) is not None:
            rows = self._step(window)
            if rows is not None:
                out.rows.append(rows)
        out.clock = self.clock
        return out

    def _due_window(self) -> int | None:
        """The next window with something to do that is due."""
        waiting = [*self._spans, *self._records]
        window = min(waiting, default=None)
        if len(self._open_spans) or len(self._open_records):
            window = self._next if window is None else min(window, self._next)
        if window is None or due(window) > self.clocks.merged:
            return None
        return window

    def _step(self, window: int) -> WindowRows | None:
        """Window `window` is complete: split off the traces that nothing can be added to."""
        self._forget(window)
        spans = [self._open_spans, *self._spans.pop(window, [])]
        records = [self._open_records, *self._records.pop(window, [])]
        split = split_traces(spans, records, window, window + WINDOW - HORIZON)
        self.counters.cut_traces += split.cut
        self.counters.traces += split.traces
        self._open_spans, self._open_records = split.open_spans, split.open_records
        self._next = window + WINDOW
        if not len(split.spans):
            return None
        rows = trace_rows(split.spans, split.records, self.tables, self.counters)
        return WindowRows(self.source, self.tenant, window - WINDOW, traces=rows)

    def _forget(self, window: int) -> None:
        """Drop names that are not in use: names that hold data, and services that are gone, would fill the memory."""
        before = len(self.tables)
        sooner = before > MANY and window - self._forgot >= SOONER
        if window // FORGET_EVERY == (self._next - WINDOW) // FORGET_EVERY and not sooner:
            return
        self._forgot = window
        spans = [chunk for chunks in self._spans.values() for chunk in chunks]
        records = [chunk for chunks in self._records.values() for chunk in chunks]
        forget(self.tables, [*spans, self._open_spans], [*records, self._open_records])
        self.counters.forgotten_names += before - len(self.tables)
        self._maps = _Maps()  # of senders' codes to own ones

    def gauges(self) -> dict[str, float]:
        """Fill of every table, and what was cut or dropped since the process began (``_total``)."""
        tables = self.tables
        sizes = {
            "open_items": self.open_items, "waiting_windows": len({*self._spans, *self._records}),
            "services": len(tables.services), "operations": len(tables.operations), "shapes": len(tables.shapes),
            "cached_visits": len(tables.visits), "cached_events": len(tables.events),
        }  # fmt: skip
        totals = {f"{name}_total": getattr(self.counters, name) for name in Counters.__slots__}
        return {f"assemble_{name}": float(n) for name, n in {**sizes, **totals}.items()}

    def _fresh(self, source: str, offset: NDArray[np.int64], rows: NDArray[np.void]) -> NDArray[np.void]:
        """Rows whose offset has not been seen: a restarted ingest sends some again."""
        seen = self._offset.get(source, -1)
        if len(offset):
            self._offset[source] = max(seen, int(offset.max()))
        return rows if not len(offset) or offset[0] > seen else rows[offset > seen]

    def _on_time(self, rows: NDArray[np.void], time: str) -> NDArray[np.void]:
        """Rows of windows that are not due yet: a source that was let go is late."""
        late = rows[time] - rows[time] % WINDOW + WINDOW <= self._done
        n = int(np.count_nonzero(late))
        self.counters.late += n
        return rows[~late] if n else rows

    def snapshot(self) -> bytes:
        """Everything that the future depends on."""
        return state.pack(
            {
                "clocks": self.clocks.state(),
                "offset": self._offset,
                "next": self._next,
                "done": self._done,
                "spans": {str(w): np.concatenate(c) for w, c in sorted(self._spans.items())},
                "records": {str(w): np.concatenate(c) for w, c in sorted(self._records.items())},
                "open_spans": self._open_spans,
                "open_records": self._open_records,
                "tables": self.tables.state(),
            }
        )

    def restore(self, snapshot: bytes) -> None:
        """Take over the state of a snapshot; the future is the same as that of the instance that wrote it."""
        read = state.unpack(snapshot)
        self.clocks.restore(read["clocks"])
        self._offset, self._next, self._done = read["offset"], read["next"], read["done"]
        self._spans = {int(w): [a.astype(SPAN)] for w, a in read["spans"].items()}
        self._records = {int(w): [a.astype(RECORD)] for w, a in read["records"].items()}
        self._open_spans, self._open_records = read["open_spans"].astype(SPAN), read["open_records"].astype(RECORD)
        self.tables.restore(read["tables"])
        self._maps = _Maps()


class _Maps:
    """Codes of the senders' tables -> own codes; only what is new in a table is looked up."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, str], tuple[object, NDArray[np.int32]]] = {}

    def _extended(self, source: str, what: str, table: object, size: int) -> tuple[NDArray[np.int32], int]:
        known, codes = self._of.get((source, what), (None, np.empty(0, np.int32)))
        if known is not table:
            codes = np.empty(0, np.int32)
        return codes, min(len(codes), size)

    def services(self, items: TraceItems, tables: Tables) -> NDArray[np.int32]:
        codes, known = self._extended(items.source, "services", items.services, len(items.services))
        new = [tables.service(name) for name in items.services[known:]]
        return self._keep(items.source, "services", items.services, codes, new)

    def operations(self, items: TraceItems, tables: Tables) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Own operation codes of the sender's span names, and of each span the service that it says it calls or -1."""
        spans, source = items.spans, items.source
        assert spans is not None
        names = spans.operations
        codes, known = self._extended(source, "operations", names, len(names.raw))
        new = [tables.operation(operation(raw)) for raw in names.raw[known:]]
        return self._keep(source, "operations", names, codes, new), self._callees(items, spans, tables)

    def _callees(self, items: TraceItems, spans: SpanColumns, tables: Tables) -> NDArray[np.int32]:
        """A peer is a service of the caller's environment."""
        out = np.full(len(spans.end), -1, np.int32)
        named = np.flatnonzero(spans.peer >= 0)
        pairs, _, place = tally(
            spans.service[named].astype(np.uint64) << np.uint64(32) | spans.peer[named].astype(np.uint64)
        )
        callees = np.empty(len(pairs), np.int32)
        for i, pair in enumerate(pairs.tolist()):
            service, code = pair >> 32, pair & 0xFFFFFFFF
            environment, name = items.services[service][0], peer(spans.peers.raw[code])
            callees[i] = tables.service((environment, name)) if name and name != items.services[service][1] else -1
        out[named] = callees[place]
        return out

    def shapes(self, source: str, logs: LogColumns, tables: Tables) -> NDArray[np.int32]:
        table = logs.shapes
        codes, known = self._extended(source, "shapes", table, len(table))
        new = [tables.shape(table.texts[i], table.stems[i]) for i in range(known, len(table))]
        return self._keep(source, "shapes", table, codes, new)

    def _keep(
        self, source: str, what: str, table: object, codes: NDArray[np.int32], new: list[int]
    ) -> NDArray[np.int32]:
        if new:
            codes = np.concatenate([codes, np.array(new, np.int32)])
        self._of[source, what] = (table, codes)
        return codes


def _span_records(
    s: SpanColumns, service: NDArray[np.int32], name: NDArray[np.int32], peer: NDArray[np.int32]
) -> NDArray[np.void]:
    out = np.empty(len(s.end), SPAN)
    _fill_spans(s.trace, s.span, s.parent, s.start, s.end, service, s.service, name, s.name, peer, s.kind, s.error, out)
    return out


@njit(nogil=True, cache=True)
def _fill_spans(
    trace: Any, span: Any, parent: Any, start: Any, end: Any, services: Any, service: Any, names: Any, name: Any,
    peer: Any, kind: Any, error: Any, out: Any,
) -> None:  # fmt: skip
    for row in range(len(out)):
        s = out[row]
        s.trace_high, s.trace_low, s.span, s.parent = trace[row, 0], trace[row, 1], span[row], parent[row]
        s.start, s.end, s.service, s.name = start[row], end[row], services[service[row]], names[name[row]]
        s.peer, s.kind, s.error = peer[row], kind[row], error[row]


def _log_records(r: LogColumns, service: NDArray[np.int32], shape: NDArray[np.int32]) -> NDArray[np.void]:
    out = np.empty(len(r.time), RECORD)
    out["trace_high"], out["trace_low"] = r.trace[:, 0], r.trace[:, 1]
    out["span"], out["time"], out["service"], out["shape"] = r.span, r.time, service[r.service], shape[r.shape]
    out["error"] = r.error
    return out


def _by_window(waiting: dict[int, list[NDArray[np.void]]], rows: NDArray[np.void], time: NDArray[np.int64]) -> None:
    if not len(rows):
        return
    window = time - time % WINDOW
    first, last = int(window.min()), int(window.max())
    if first == last:
        waiting.setdefault(first, []).append(rows)
        return
    for start in np.unique(window).tolist():
        waiting.setdefault(start, []).append(rows[window == start])
