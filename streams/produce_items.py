"""Typed OTLP/JSON items -> protobuf bytes that decode to the same columns.

What the JSON decoder refuses is refused here by the same functions (``aiops.wire.json_values``): a ``MalformedError``.
What it does not look at is sent where protobuf can hold it, else left out, so that the item is not lost over it.

Messages are written with the generated classes; attributes, which repeat, are appended as bytes from a memo.
"""

from __future__ import annotations

from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb
from opentelemetry.proto.trace.v1 import trace_pb2

from aiops.wire import json_schema as js
from aiops.wire.json_values import (
    Canonical,
    MalformedError,
    double,
    double_list,
    identifier,
    integer,
    signed32,
    unsigned,
    unsigned_list,
    write,
)

# Their stubs let enums have the numbers of this release only, and fields no None, which leaves them out.
LogRecord: Any = logs_pb2.LogRecord
Span: Any = trace_pb2.Span
Metric: Any = pb.Metric

_INT64 = (-(1 << 63), 1 << 63)
_NUMBERS, _POINTS = ("gauge", "sum"), 1  # field number of the points in each kind of metric
_KINDS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")


def varint(value: int) -> bytes:
    """Base-128 encoding of a whole number from 0 on.

    >>> varint(300).hex()
    'ac02'
    """
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, payload: bytes) -> bytes:
    """A field of bytes, text or a message."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def number_of(message: Any, name: str) -> int:
    """Number of a field of a generated class."""
    number: int = message.DESCRIPTOR.fields_by_name[name].number
    return number


_ATTRIBUTES = {
    c: number_of(c, "attributes")
    for c in (
        InstrumentationScope, LogRecord, Span, Span.Event, Span.Link, pb.NumberDataPoint, pb.HistogramDataPoint,
        pb.ExponentialHistogramDataPoint, pb.SummaryDataPoint,
    )
}  # fmt: skip
_DATA = {kind: number_of(Metric, kind) for kind in _KINDS}
_BODY, _EVENTS, _LINKS = number_of(LogRecord, "body"), number_of(Span, "events"), number_of(Span, "links")


class Items:
    """Encoders of items; the memos are a cache, never state."""

    def __init__(self) -> None:
        self._canonical = Canonical()

    def resource(self, raw: bytes) -> bytes:
        """A resource that the request left undecoded."""
        return self._canonical.resource(raw, "")

    def scope(self, x: js.Scope | None) -> bytes:
        """The instrumentation scope, empty where there is none."""
        if x is None:
            return b""
        message = InstrumentationScope(
            name=x.name or "", version=x.version or "", dropped_attributes_count=_unread32(x.dropped_attributes_count)
        )
        return self._with(message, x.attributes)

    def log(self, x: js.LogRecord) -> tuple[bytes, bytes]:
        """A log record and its trace id, empty where it has none."""
        trace = identifier(x.trace_id, 32, "") if x.trace_id else b""
        message = LogRecord(
            time_unix_nano=unsigned(x.time_unix_nano, ""),
            observed_time_unix_nano=unsigned(x.observed_time_unix_nano, ""),
            severity_number=signed32(x.severity_number, ""),
            severity_text=x.severity_text,
            dropped_attributes_count=_unread32(x.dropped_attributes_count),
            flags=_unread32(x.flags),
            trace_id=trace,
            span_id=identifier(x.span_id, 16, "") if x.span_id else b"",
            event_name=x.event_name,
        )
        out = self._with(message, x.attributes)
        if x.body is not None:
            if x.body.string_value is not None:
                body = AnyValue(string_value=x.body.string_value)
            else:
                write(x.body, body := AnyValue())
            out += field(_BODY, body.SerializeToString())
        return out, trace

    def span(self, x: js.Span) -> tuple[bytes, bytes]:
        """A span and its trace id, empty where it has none."""
        trace = identifier(x.trace_id, 32, "") if x.trace_id else b""
        message = Span(
            trace_id=trace,
            span_id=identifier(x.span_id, 16, "") if x.span_id else b"",
            trace_state=x.trace_state,
            parent_span_id=identifier(x.parent_span_id, 16, "") if x.parent_span_id else b"",
            name=x.name,
            kind=signed32(x.kind, ""),
            start_time_unix_nano=unsigned(x.start_time_unix_nano, ""),
            end_time_unix_nano=unsigned(x.end_time_unix_nano, ""),
            flags=_unread32(x.flags),
        )
        if (status := x.status) is not None:
            message.status.SetInParent()
            message.status.code = signed32(status.code, "")
            message.status.message = status.message or ""
        out = self._with(message, x.attributes)
        for event in x.events or ():
            about = Span.Event(time_unix_nano=unsigned(event.time_unix_nano, ""), name=event.name)
            out += field(_EVENTS, self._with(about, event.attributes))
        for link in x.links or ():
            other = Span.Link(
                trace_id=identifier(link.trace_id, 32, "") if link.trace_id else b"",
                span_id=identifier(link.span_id, 16, "") if link.span_id else b"",
            )
            out += field(_LINKS, self._with(other, link.attributes))
        return out, trace

    def metric(self, x: js.Metric, limit: int) -> list[tuple[bytes, int]]:
        """A metric as messages of at most about `limit` bytes, and how many points each holds; none without points.

        Protobuf holds one kind of data a metric, JSON may name several: each becomes a metric of the same name.
        """
        about = Metric(name=x.name, description=x.description, unit=x.unit).SerializeToString()
        out = []
        for kind in _KINDS:
            if (data := getattr(x, kind)) is None:
                continue
            settings = _settings(kind, data)
            points = [field(_POINTS, self._point(kind, p)) for p in data.data_points or ()]
            chunks = _chunks(points, limit - len(about) - len(settings))
            out += [(about + field(_DATA[kind], settings + b"".join(some)), len(some)) for some in chunks]
        return out

    def _point(self, kind: str, x: Any) -> bytes:
        common: dict[str, Any] = {
            "time_unix_nano": unsigned(x.time_unix_nano, ""),
            "start_time_unix_nano": unsigned(x.start_time_unix_nano, ""),
            "flags": integer(x.flags, 0, 1 << 32, "") if x.flags is not None else 0,
        }
        if kind in _NUMBERS:
            if x.as_double is not None:
                common["as_double"] = double(x.as_double, "")
            elif x.as_int is not None:
                common["as_int"] = integer(x.as_int, *_INT64, "")
            return self._with(pb.NumberDataPoint(**common), x.attributes)
        common["count"] = unsigned(x.count, "")
        if x.sum is not None:
            common["sum"] = double(x.sum, "")
        if kind == "summary":
            message = pb.SummaryDataPoint(**common)
            for q in x.quantile_values or ():
                message.quantile_values.add(quantile=_unread_double(q.quantile), value=_unread_double(q.value))
            return self._with(message, x.attributes)
        common["min"], common["max"] = _unread_double(x.min), _unread_double(x.max)
        if kind == "histogram":
            message = pb.HistogramDataPoint(
                **common,
                bucket_counts=unsigned_list(x.bucket_counts, "") if x.bucket_counts else (),
                explicit_bounds=double_list(x.explicit_bounds, "") if x.explicit_bounds else (),
            )
            return self._with(message, x.attributes)
        message = pb.ExponentialHistogramDataPoint(
            **common, scale=signed32(x.scale, ""), zero_count=unsigned(x.zero_count, "")
        )
        for side in ("positive", "negative"):
            if (buckets := getattr(x, side)) is not None:
                target = getattr(message, side)
                target.offset = signed32(buckets.offset, "")
                target.bucket_counts.extend(unsigned_list(buckets.bucket_counts, "") if buckets.bucket_counts else ())
        return self._with(message, x.attributes)

    def _with(self, message: Any, attributes: list[js.KeyValue] | None) -> bytes:
        """Bytes of the message, the attributes after its other fields: protobuf's fields may come in any order."""
        out: bytes = message.SerializeToString()
        if attributes:
            number, pair = _ATTRIBUTES[type(message)], self._canonical.pair
            out += b"".join([field(number, pair(a, "", i)) for i, a in enumerate(attributes)])
        return out


def _settings(kind: str, data: Any) -> bytes:
    """What a kind of metric says beside its points."""
    settings: dict[str, Any] = {}
    if kind in ("sum", "histogram", "exponential_histogram"):
        settings["aggregation_temporality"] = signed32(data.aggregation_temporality, "")
    if kind == "sum":
        settings["is_monotonic"] = bool(data.is_monotonic)
    message = Metric()
    getattr(message, kind).MergeFrom(type(getattr(message, kind))(**settings))
    out: bytes = getattr(message, kind).SerializeToString()
    return out


def _chunks(points: list[bytes], limit: int) -> list[list[bytes]]:
    """Consecutive points in lists of at most `limit` bytes; a point that is larger stands alone."""
    out: list[list[bytes]] = []
    size = limit + 1
    for point in points:
        size += len(point)
        if size > limit:
            out.append([])
            size = len(point)
        out[-1].append(point)
    return out


def _unread32(value: int | str | None) -> int:
    """A uint32 that the engine does not read: 0 where it is none."""
    try:
        return 0 if value is None else integer(value, 0, 1 << 32, "")
    except MalformedError:
        return 0


def _unread_double(value: float | str | None) -> float | None:
    """A double that the engine does not read: absent where it is none."""
    try:
        return None if value is None else double(value, "")
    except MalformedError:
        return None
