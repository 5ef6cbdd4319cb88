"""Values of the internal topics: microseconds a row to encode for one or many partitions and to decode, and bytes a row.

A row is a metric series of a window, a log row, a span, a row of trace statistics, a service or an edge.  Encode and
decode are timed for one partition's value that holds all rows, but for `items, 200 a message`; split is the choice of the
partition and the values for all 12.
A second is a second of ``process_time`` of this single-threaded process, and the best pass counts.  ``lz4`` and ``zstd``
(level 1) are what a producer's compression would leave of a value alone; topics are compressed in batches, so a little less.

    python -m benchmarks.internal_records [--seconds S] [--json FILE] [--only WORD]
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import Any, NamedTuple

import cramjam
import numpy as np

from aiops.findings import EDGE_TERMS, TERMS, Findings, Note
from aiops.ingest.stage import Ingest, Message
from aiops.records import Anomaly, Window
from aiops.signals import END_OF_TIME, LogRow, TraceRows, WindowRows
from aiops.traces.assemble import Assemble
from aiops.traces.items import TraceItems
from aiops.wire import keep_memory
from benchmarks import payloads, results
from streams import codec, routing

PARTITIONS = 12
SERIES, SPANS, SMALL, LOG_ROWS, SERVICES = 100_000, 15_000, 200, 5_000, 50


class Case(NamedTuple):
    """One line of the table; `id` is permanent."""

    id: str
    title: str
    target: float  # us a row to encode, 0 = none
    make: Callable[[], tuple[list[Any], int]]  # values and how many rows they hold
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    split: Callable[[Any], Any] | None


def metric_rows() -> tuple[list[WindowRows], int]:
    ingest = Ingest("bench/0", "metrics")
    rows, offset = [], 0
    for poll in payloads.metrics(SERIES, 500, 20_000):
        messages = list(map(Message, range(offset, offset + len(poll.payloads)), poll.arrival, poll.payloads))
        rows += ingest.process(messages).rows
        offset += len(messages)
    rows += ingest.advance(END_OF_TIME).rows
    assert sum(len(part.series) for window in rows for part in window.metrics) == SERIES
    return rows, SERIES


def log_rows() -> tuple[list[WindowRows], int]:
    row = "order <*> placed by user <*> in <*> ms via gateway stripe; retry=<*> upstream=<*> step {:04d}"
    line = (
        "order 482911 placed by user 0a4f2217 in 112 ms via gateway stripe; retry=3 upstream=10.0.7.9:8443 step {:04d}"
    )
    logs = [
        LogRow(
            "production", f"shop/service-{k % SERVICES:02d}", row.format(k // SERVICES).encode(), 1 + k % 700, k % 3,
            9 + k % 2 * 8, payloads.T0 + k * 1_900_000, line.format(k // SERVICES),
        )
        for k in range(LOG_ROWS)
    ]  # fmt: skip
    totals = {("production", "logs"): sum(r.lines for r in logs)}
    return [WindowRows("bench/0", "default", payloads.T0, totals, logs=sorted(logs))], LOG_ROWS


def items() -> tuple[list[TraceItems], int]:
    ingest = Ingest("bench/0", "traces")
    (poll,) = payloads.spans(500, SPANS)
    out = ingest.process(list(map(Message, range(len(poll.payloads)), poll.arrival, poll.payloads)))
    assert out.items is not None
    assert out.items.spans is not None
    return [out.items], len(out.items.spans.end)


def small_items() -> tuple[list[TraceItems], int]:
    (whole,), n = items()
    return [codec.decode_items(value) for value in routing.items_values(whole, n // SMALL) if value is not None], n


def trace_rows() -> tuple[list[WindowRows], int]:
    (whole,), _ = items()
    assemble = Assemble("traces/0", ["bench/0"])
    assemble.process(whole)
    rows = assemble.advance("bench/0", END_OF_TIME).rows
    return rows, sum(_size(window.traces) for window in rows)


def _size(rows: TraceRows | None) -> int:
    assert rows is not None
    return sum(len(getattr(rows, f.name)) for f in fields(rows) if f.name.endswith("_counts"))


def findings() -> tuple[list[Findings], int]:
    draw = np.random.default_rng(4)
    services = [f"shop/service-{k:02d}" for k in range(SERVICES)]
    edges = sorted({(services[k], services[(k * step + step) % SERVICES]) for k in range(SERVICES) for step in (1, 3)})
    window = Window(start="2025-08-01T12:00:00Z", end="2025-08-01T12:00:10Z")
    statement = (
        'surging log line "charge <*> of <*> EUR authorised by acquirer in <*> ms": 40 lines, expected about 3.1'
    )
    anomalies = [
        Anomaly(
            anomaly_id=f"{k:032x}", version=1, state="open", tenant="default", environment="production", service=services[k],
            kind="metric", signal="http.server.duration p95", onset=window.start, window=window, observed=draw.random(),
            expected=draw.random(), score=4.5, detector="levels", detector_version="1", statement=statement,
        )
        for k in range(5)
    ]  # fmt: skip
    found = Findings(
        "default", "production", payloads.T0, services, np.round(draw.random((SERVICES, len(TERMS))), 4),
        np.round(draw.random(SERVICES) * 9e3), np.zeros(SERVICES), edges, np.round(draw.random((len(edges), len(EDGE_TERMS))), 4),
        np.round(draw.random(len(edges)) * 9e3), {(services[k], "metric"): Note(statement, "metric") for k in range(20)},
        anomalies, {"logs": 200_000, "metrics": 100_000, "traces": 200_000},
    )  # fmt: skip
    return [found], SERVICES + len(edges)


def _rows_split(rows: WindowRows) -> Any:
    return routing.rows_values(rows, PARTITIONS)


def _items_split(some: TraceItems) -> Any:
    return routing.items_values(some, PARTITIONS)


rows_case = partial(Case, encode=codec.encode_rows, decode=codec.decode_rows, split=_rows_split)
items_case = partial(Case, encode=codec.encode_items, decode=codec.decode_items)

CASES = (
    rows_case("metrics", f"metric rows, {SERIES // 1000} k series", 0.5, metric_rows),
    rows_case("logs", f"log rows, {LOG_ROWS // 1000} k shapes", 0.0, log_rows),
    items_case("items_15k", f"trace items, {SPANS // 1000} k spans", 0.15, items, split=_items_split),
    items_case("items_200", f"trace items, {SMALL} spans a message", 0.0, small_items, split=None),
    rows_case("traces", "trace rows", 0.0, trace_rows),
    Case(
        "findings", f"findings, {SERVICES} services", 0.0, findings, codec.encode_findings, codec.decode_findings, None
    ),
)


def best(work: Callable[[Any], Any], values: list[Any], seconds: float) -> float:
    """CPU seconds of the best pass over all values."""
    least, spent, passes = float("inf"), 0.0, 0
    gc.collect()
    gc.disable()
    while passes < 3 or spent < seconds:
        begin = time.process_time()
        for value in values:
            work(value)
        took = time.process_time() - begin
        least, spent, passes = min(least, took), spent + took, passes + 1
    gc.enable()
    return least


def main() -> None:
    arguments = results.options(__doc__, [case.id for case in CASES], 1.0, "a figure")
    keep_memory()
    found: dict[str, Any] = {}
    results.introduce(
        "Columns split, encode, target (of encode) and decode: CPU microseconds a row, best pass; raw, lz4 and zstd: bytes a row."
    )
    columns = {"split": 8, "encode": 8, "target": 8, "decode": 8, "raw": 9, "lz4": 8, "zstd": 8}
    print(f"{'values of internal topics':34s}" + "".join(f"{name:>{width}s}" for name, width in columns.items()))
    for case in CASES:
        if case.id not in arguments.cases:
            continue
        values, n = case.make()
        encoded = [case.encode(value) for value in values]
        if [case.encode(case.decode(data)) for data in encoded] != encoded:
            raise SystemExit(f"{case.id}: what was decoded is not what was encoded")
        figures = {
            "split_us": best(case.split, values, arguments.seconds) / n * 1e6 if case.split else None,
            "encode_us": best(case.encode, values, arguments.seconds) / n * 1e6,
            "decode_us": best(case.decode, encoded, arguments.seconds) / n * 1e6,
            "bytes": sum(map(len, encoded)) / n,
            "lz4_bytes": sum(len(cramjam.lz4.compress(data)) for data in encoded) / n,
            "zstd_bytes": sum(len(cramjam.zstd.compress(data, level=1)) for data in encoded) / n,
        }
        found[f"internal.{case.id}"] = {k: v if v is None else round(v, 4) for k, v in figures.items()}
        split, encode, decode, *sizes = figures.values()
        target = f"{case.target:8.2f}" if case.target else f"{'':8s}"
        print(
            f"{case.title:34s}" + (f"{'':8s}" if split is None else f"{split:8.3f}") + f"{encode:8.3f}{target}{decode:8.3f}"
            + f"{sizes[0]:9.1f}{sizes[1]:8.1f}{sizes[2]:8.1f}",
            flush=True,
        )  # fmt: skip
    results.write(arguments.json, found)


if __name__ == "__main__":
    main()
