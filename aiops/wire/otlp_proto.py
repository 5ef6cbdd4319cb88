"""OTLP protobuf bytes -> raw columns, for a list of messages at once.

A poison payload never takes its neighbours with it: its fault is found on the way, and the others are walked again.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from aiops.columns import Refusal
from aiops.wire.log_fields import log_fields
from aiops.wire.logs import RawLogs, body_text
from aiops.wire.metrics import RawMetrics
from aiops.wire.peers import peers
from aiops.wire.point_fields import metric_fields
from aiops.wire.span_fields import span_fields
from aiops.wire.spans import RawSpans
from aiops.wire.walk import I64, Items, walk_items

I32 = NDArray[np.int32]

MAX_BYTES = 2**31 - 64  # slices have int32 edges
_REQUESTS = {
    "logs": "ExportLogsServiceRequest",
    "traces": "ExportTraceServiceRequest",
    "metrics": "ExportMetricsServiceRequest",
}

Fields = TypeVar("Fields")


def keep_memory() -> None:
    """Tell glibc to keep the buffers of one decode for the next one; call once when the process starts.

    Without it glibc maps and unmaps tens of MB at every call, and the page faults cost 20-45 % of the whole hot path.
    32 MiB is the largest mmap threshold that glibc accepts.  No effect on musl, macOS and Windows.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-3, 32 << 20)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, 1 << 30)  # M_TRIM_THRESHOLD
    except (OSError, AttributeError):
        pass


def _walk(
    signal: str, payloads: list[bytes], message: I32, fields: Callable[[Items, I64], Fields]
) -> tuple[Items, Fields, I32, list[Refusal]]:
    """Items of the payloads that are protobuf, their fields, the number of each one's message, and the other payloads."""
    if sum(map(len, payloads)) > MAX_BYTES:
        raise ValueError(f"{len(payloads)} payloads are more than 2 GiB together: decode fewer at a time")
    refused: list[Refusal] = []
    found, base = walk_items(payloads)
    out = fields(found, base)
    if found.fault.max(initial=-1) >= 0:
        refused = [
            Refusal(int(message[i]), f"not an OTLP protobuf {_REQUESTS[signal]}: malformed at byte {found.fault[i]}")
            for i in np.flatnonzero(found.fault >= 0).tolist()
        ]
        good = np.flatnonzero(found.fault < 0)
        message = message[good]
        found, base = walk_items([payloads[i] for i in good.tolist()])
        out = fields(found, base)
    return found, out, message[found.message], refused


def raw_logs(payloads: list[bytes], message: I32) -> tuple[RawLogs, list[Refusal]]:
    """Columns of the records of all payloads, and the payloads that do not decode.  `message`: the number of each."""
    found, records, of_item, refused = _walk("logs", payloads, message, log_fields)
    return RawLogs(
        resource=found.resource,
        owner=found.owner,
        message=of_item,
        time=records.time,
        observed=records.observed,
        severity=records.severity,
        text=body_text(records.body),
        trace=records.trace,
        span=records.span,
    ), refused


def raw_spans(payloads: list[bytes], message: I32) -> tuple[RawSpans, list[Refusal]]:
    """Columns of the spans of all payloads, and the payloads that do not decode.  `message`: the number of each."""
    found, spans, of_item, refused = _walk("traces", payloads, message, span_fields)
    return RawSpans(
        resource=found.resource,
        owner=found.owner,
        message=of_item,
        trace=spans.trace,
        span=spans.span,
        parent=spans.parent,
        bad_id=spans.bad_id,
        name=spans.name,
        kind=spans.kind,
        status=spans.status,
        start=spans.start,
        end=spans.end,
        failed=spans.failed,
        peer=peers(spans.attributes, spans.attribute_offsets, spans.kind),
    ), refused


def raw_metrics(payloads: list[bytes], message: I32) -> tuple[RawMetrics, list[Refusal]]:
    """Columns of the points of all payloads, and the payloads that do not decode.  `message`: the number of each."""
    found, metrics, of_item, refused = _walk("metrics", payloads, message, metric_fields)
    return RawMetrics(
        resource=found.resource,
        owner=found.owner,
        message=of_item,
        name=metrics.name,
        unit=metrics.unit,
        points=metrics.points,
    ), refused
