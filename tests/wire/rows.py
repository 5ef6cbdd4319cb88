"""Batches of columns -> one tuple a row, so that they can be compared with what is expected and with each other."""

from __future__ import annotations

from typing import Any

from aiops.columns import LogBatch, MetricBatch, SpanBatch
from aiops.wire import Tables, decode_logs, decode_metrics, decode_spans

DECODE: dict[str, Any] = {"logs": decode_logs, "traces": decode_spans, "metrics": decode_metrics}


def log_rows(x: LogBatch, tables: Tables) -> list[tuple[Any, ...]]:
    entities = tables.resources.entities
    return [
        (
            int(x.time[i]),
            int(x.severity[i]),
            entities[x.resource[i]][:2],
            x.text.raw(i),
            *x.trace[i].tolist(),
            int(x.span[i]),
        )
        for i in range(len(x))
    ]


def span_rows(x: SpanBatch, tables: Tables) -> list[tuple[Any, ...]]:
    return [
        (
            *x.trace[i].tolist(), int(x.span[i]), int(x.parent[i]), bool(x.bad_id[i]),
            tables.operations.raw[x.name[i]],
            tables.peers.raw[x.peer[i]] if x.peer[i] >= 0 else b"", int(x.kind[i]), bool(x.error[i]),
            int(x.start[i]), int(x.end[i]),
            tables.resources.entities[x.resource[i]][:2],
        )
        for i in range(len(x))
    ]  # fmt: skip


def metric_rows(x: MetricBatch, tables: Tables) -> list[tuple[Any, ...]]:
    out = []
    for i, code in enumerate(x.series.tolist()):
        info = tables.series.describe(code)
        out.append(
            (
                int(tables.series.identity[code]),
                (info.name, info.kind, info.temporality, info.monotonic),
                info.attributes,
                int(x.time[i]), int(x.start[i]), repr(float(x.value[i])), float(x.count[i]), bool(x.stale[i]),
                x.buckets[x.bucket_offsets[i] : x.bucket_offsets[i + 1]].tolist(),
            )
        )  # fmt: skip
    return out


ROWS: dict[str, Any] = {"logs": log_rows, "traces": span_rows, "metrics": metric_rows}
