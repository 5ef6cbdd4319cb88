"""OTLP protobuf bytes -> raw columns, in one native call for a list of messages.

A poison payload never takes its neighbours with it: it is found by bisection and left out.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from ptars import HandlerPool

from aiops.columns import EXPONENTIAL, GAUGE, HISTOGRAM, SUM, SUMMARY, Refusal, Slices
from aiops.wire.arrow import booleans, children, numbers, owners, present, slices
from aiops.wire.logs import RawLogs, body_text
from aiops.wire.metrics import NO_RECORDED_VALUE, Explicit, Exponential, Points, RawMetrics
from aiops.wire.peers import peers
from aiops.wire.schema import POOL
from aiops.wire.span_fields import span_fields
from aiops.wire.spans import RawSpans, failed_http
from aiops.wire.walk import walk_items

I32 = NDArray[np.int32]

MAX_BYTES = 2**31 - 64  # Arrow's offsets are 32 bits wide
_REQUESTS = {
    "logs": "ExportLogsServiceRequest",
    "traces": "ExportTraceServiceRequest",
    "metrics": "ExportMetricsServiceRequest",
}
_FIELDS = ((GAUGE, "gauge"), (SUM, "sum"), (HISTOGRAM, "histogram"), (EXPONENTIAL, "exponential"), (SUMMARY, "summary"))


def _handler(signal: str) -> object:
    descriptor = POOL.FindMessageTypeByName(f"shadow.{signal}")
    return HandlerPool([descriptor.file]).get_for_message(descriptor)


_HANDLERS = {signal: _handler(signal) for signal in _REQUESTS}


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


class _Rows:
    """Resources and items of the payloads that decode."""

    __slots__ = ("item_message", "item_owner", "items", "resource")

    def __init__(self, resources: pa.Array, offsets: I32, message: I32) -> None:
        scopes, scope_offsets = children(resources.field("scopes"))
        self.items, item_offsets = children(scopes.field("items"))
        per_resource = item_offsets[scope_offsets]
        self.resource: Slices = slices(resources.field("resource"))
        self.item_owner = owners(per_resource)
        self.item_message = message[owners(per_resource[offsets])]


def _check_size(payloads: list[bytes]) -> None:
    if sum(map(len, payloads)) > MAX_BYTES:
        raise ValueError(f"{len(payloads)} payloads are more than 2 GiB together: decode fewer at a time")


def _decode(signal: str, payloads: list[bytes], message: I32) -> tuple[_Rows, list[Refusal]]:
    _check_size(payloads)
    refused: dict[int, str] = {}
    parts = list(_attempt(_HANDLERS[signal], payloads, 0, refused))
    if not parts:
        parts = [_HANDLERS[signal].list_to_record_batch([]).column(0)]  # type: ignore[attr-defined]
    column = parts[0] if len(parts) == 1 else pa.concat_arrays(parts)
    good = message[[i for i in range(len(payloads)) if i not in refused]] if refused else message
    return _Rows(column.values, column.offsets.to_numpy(), good), [
        Refusal(int(message[i]), f"not an OTLP protobuf {_REQUESTS[signal]}: {refused[i]}") for i in sorted(refused)
    ]


def _attempt(native: object, payloads: list[bytes], first: int, refused: dict[int, str]) -> Iterator[pa.Array]:
    try:
        yield native.list_to_record_batch(payloads).column(0)  # type: ignore[attr-defined]
    except BaseException as error:
        # A length prefix near 2**64 overflows inside the decoder and surfaces as pyo3's PanicException, which is no
        # subclass of Exception: `except ValueError` or `except Exception` would let one payload kill the worker.
        panic = type(error).__name__ == "PanicException"
        if not (panic or isinstance(error, ValueError)):
            raise
        if len(payloads) == 1:
            refused[first] = "a length that overflows" if panic else str(error)
            return
        half = len(payloads) // 2
        yield from _attempt(native, payloads[:half], first, refused)
        yield from _attempt(native, payloads[half:], first + half, refused)


def raw_logs(payloads: list[bytes], message: I32) -> tuple[RawLogs, list[Refusal]]:
    """Columns of the records of all payloads, and the payloads that do not decode.  `message`: the number of each."""
    rows, refused = _decode("logs", payloads, message)
    records = rows.items
    return RawLogs(
        resource=rows.resource,
        owner=rows.item_owner,
        message=rows.item_message,
        time=numbers(records.field("time"), np.uint64),
        observed=numbers(records.field("observed"), np.uint64),
        severity=numbers(records.field("severity"), np.int32),
        text=body_text(slices(records.field("body"))),
        trace_id=slices(records.field("trace_id")),
        span_id=slices(records.field("span_id")),
    ), refused


def raw_spans(payloads: list[bytes], message: I32) -> tuple[RawSpans, list[Refusal]]:
    """Columns of the spans of all payloads, and the payloads that do not decode.  `message`: the number of each."""
    _check_size(payloads)
    found, base = walk_items(payloads)
    spans = span_fields(found, base)
    refused: list[Refusal] = []
    if found.fault.max(initial=-1) >= 0:  # without the faulty ones: all that is left is good
        refused = [
            Refusal(int(message[i]), f"not an OTLP protobuf {_REQUESTS['traces']}: malformed at byte {found.fault[i]}")
            for i in np.flatnonzero(found.fault >= 0).tolist()
        ]
        good = np.flatnonzero(found.fault < 0)
        payloads, message = [payloads[i] for i in good.tolist()], message[good]
        found, base = walk_items(payloads)
        spans = span_fields(found, base)
    return RawSpans(
        resource=found.resource,
        owner=found.owner,
        message=message[found.message],
        trace_id=spans.trace_id,
        span_id=spans.span_id,
        parent_id=spans.parent_id,
        name=spans.name,
        kind=spans.kind,
        status=spans.status,
        start=spans.start,
        end=spans.end,
        failed=failed_http(spans.attributes, spans.attribute_offsets),
        peer=peers(spans.attributes, spans.attribute_offsets, spans.kind),
    ), refused


def raw_metrics(payloads: list[bytes], message: I32) -> tuple[RawMetrics, list[Refusal]]:
    """Columns of the points of all payloads, and the payloads that do not decode.  `message`: the number of each."""
    rows, refused = _decode("metrics", payloads, message)
    metrics = rows.items
    return RawMetrics(
        resource=rows.resource,
        owner=rows.item_owner,
        message=rows.item_message,
        name=slices(metrics.field("name")),
        unit=slices(metrics.field("unit")),
        points=[_points(kind, metrics.field(field)) for kind, field in _FIELDS],
    ), refused


def _points(kind: int, data: pa.Array) -> Points:
    rows, offsets = children(data.field("points"))
    attributes, attribute_offsets = children(rows.field("attributes"))
    n = len(rows)
    stale = (numbers(rows.field("flags"), np.uint32) & np.uint32(NO_RECORDED_VALUE)).astype(np.bool_)
    if kind in (GAUGE, SUM):
        double, integer = rows.field("as_double"), rows.field("as_int")
        value, count = numbers(double, np.float64), np.ones(n)
        if double.null_count:
            value = np.where(present(double), value, numbers(integer, np.int64))
        if double.null_count + integer.null_count > n:  # some point has neither value
            stale |= ~(present(double) | present(integer))
    else:
        total = rows.field("sum")
        value, count = numbers(total, np.float64), numbers(rows.field("count"), np.uint64).astype(np.float64)
        if total.null_count:
            value = np.where(present(total), value, np.nan)
    timeless = kind in (GAUGE, SUMMARY)
    return Points(
        kind=kind,
        metric=owners(offsets),
        time=numbers(rows.field("time"), np.uint64),
        start=numbers(rows.field("start"), np.uint64),
        value=value,
        count=count,
        stale=stale,
        attributes=slices(attributes),
        attribute_offsets=attribute_offsets,
        temporality=np.zeros(len(data), np.int32) if timeless else numbers(data.field("temporality"), np.int32),
        monotonic=booleans(data.field("monotonic")) if kind == SUM else np.zeros(len(data), np.bool_),
        buckets=_explicit(rows) if kind == HISTOGRAM else _exponential(rows) if kind == EXPONENTIAL else None,
    )


def _explicit(rows: pa.Array) -> Explicit:
    counts, count_offsets = children(rows.field("bucket_counts"))
    bounds, bound_offsets = children(rows.field("explicit_bounds"))
    return Explicit(numbers(counts, np.uint64), count_offsets, numbers(bounds, np.float64), bound_offsets)


def _exponential(rows: pa.Array) -> Exponential:
    plus, minus = rows.field("positive"), rows.field("negative")
    positive, positive_offsets = children(plus.field("counts"))
    negative, negative_offsets = children(minus.field("counts"))
    return Exponential(
        scale=numbers(rows.field("scale"), np.int32),
        zero=numbers(rows.field("zero_count"), np.uint64),
        positive=numbers(positive, np.uint64),
        positive_offsets=positive_offsets,
        positive_first=numbers(plus.field("offset"), np.int32),
        negative=numbers(negative, np.uint64),
        negative_offsets=negative_offsets,
    )
