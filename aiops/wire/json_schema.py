"""OTLP JSON as typed structs: what a payload may contain, field by field; what is not declared here is ignored.

Attributes of the structs are named as the fields of the protobuf messages, so that a struct can be written into its
message by name (see ``json_values``).  Every field may be absent or null.  64-bit integers may be numbers or text,
doubles may be text, enums are integers only.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

Integer = int | str | None  # 64 bits: JavaScript's numbers cannot hold them
Double = float | str | None
NOTHING = Raw(b"null")


class AnyValue(Struct, rename="camel", gc=False):
    """One of the values; where several are given, the first of them in this order."""

    string_value: str | None = None
    bool_value: bool | None = None
    int_value: Integer = None
    double_value: Double = None
    array_value: ArrayValue | None = None
    kvlist_value: KeyValueList | None = None
    bytes_value: str | None = None


class KeyValue(Struct, rename="camel", gc=False):
    """An attribute."""

    key: str | None = None
    value: AnyValue | None = None


class ArrayValue(Struct, rename="camel", gc=False):
    """A list of values."""

    values: list[AnyValue] | None = None


class KeyValueList(Struct, rename="camel", gc=False):
    """A map."""

    values: list[KeyValue] | None = None


class Resource(Struct, rename="camel", gc=False):
    """What telemetry comes from."""

    attributes: list[KeyValue] | None = None
    dropped_attributes_count: Integer = None


class Scope(Struct, rename="camel", gc=False):
    """The instrumentation that made it."""

    name: str | None = None
    version: str | None = None
    attributes: list[KeyValue] | None = None
    dropped_attributes_count: Integer = None


class LogRecord(Struct, rename="camel", gc=False):
    """``opentelemetry.proto.logs.v1.LogRecord``."""

    time_unix_nano: Integer = None
    observed_time_unix_nano: Integer = None
    severity_number: int | None = None
    severity_text: str | None = None
    body: AnyValue | None = None
    attributes: list[KeyValue] | None = None
    dropped_attributes_count: Integer = None
    flags: Integer = None
    trace_id: str | None = None
    span_id: str | None = None
    event_name: str | None = None


class Status(Struct, rename="camel", gc=False):
    """How an operation ended."""

    code: int | None = None
    message: str | None = None


class Event(Struct, rename="camel", gc=False):
    """Something that happened during a span."""

    time_unix_nano: Integer = None
    name: str | None = None
    attributes: list[KeyValue] | None = None


class Link(Struct, rename="camel", gc=False):
    """A span of another trace that has to do with this one."""

    trace_id: str | None = None
    span_id: str | None = None
    attributes: list[KeyValue] | None = None


class Span(Struct, rename="camel", gc=False):
    """``opentelemetry.proto.trace.v1.Span``."""

    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    name: str | None = None
    kind: int | None = None
    start_time_unix_nano: Integer = None
    end_time_unix_nano: Integer = None
    attributes: list[KeyValue] | None = None
    events: list[Event] | None = None
    links: list[Link] | None = None
    flags: Integer = None
    trace_state: str | None = None
    status: Status | None = None


class NumberDataPoint(Struct, rename="camel", gc=False):
    """A point of a gauge or a sum."""

    start_time_unix_nano: Integer = None
    time_unix_nano: Integer = None
    as_double: Double = None
    as_int: Integer = None
    attributes: list[KeyValue] | None = None
    flags: Integer = None


class HistogramDataPoint(Struct, rename="camel", gc=False):
    """A point of a histogram with explicit bounds."""

    start_time_unix_nano: Integer = None
    time_unix_nano: Integer = None
    count: Integer = None
    sum: Double = None
    bucket_counts: list[int | str] | None = None
    explicit_bounds: list[float | str] | None = None
    attributes: list[KeyValue] | None = None
    flags: Integer = None
    min: Double = None
    max: Double = None


class Buckets(Struct, rename="camel", gc=False):
    """Consecutive buckets of an exponential histogram."""

    offset: Integer = None
    bucket_counts: list[int | str] | None = None


class ExponentialHistogramDataPoint(Struct, rename="camel", gc=False):
    """A point of an exponential histogram."""

    start_time_unix_nano: Integer = None
    time_unix_nano: Integer = None
    count: Integer = None
    sum: Double = None
    scale: Integer = None
    zero_count: Integer = None
    positive: Buckets | None = None
    negative: Buckets | None = None
    attributes: list[KeyValue] | None = None
    flags: Integer = None
    min: Double = None
    max: Double = None


class ValueAtQuantile(Struct, rename="camel", gc=False):
    """A quantile that a summary states."""

    quantile: Double = None
    value: Double = None


class SummaryDataPoint(Struct, rename="camel", gc=False):
    """A point of a summary."""

    start_time_unix_nano: Integer = None
    time_unix_nano: Integer = None
    count: Integer = None
    sum: Double = None
    quantile_values: list[ValueAtQuantile] | None = None
    attributes: list[KeyValue] | None = None
    flags: Integer = None


class Gauge(Struct, rename="camel", gc=False):
    """Points of a gauge."""

    data_points: list[NumberDataPoint] | None = None


class Sum(Struct, rename="camel", gc=False):
    """Points of a sum."""

    data_points: list[NumberDataPoint] | None = None
    aggregation_temporality: int | None = None
    is_monotonic: bool | None = None


class Histogram(Struct, rename="camel", gc=False):
    """Points of a histogram."""

    data_points: list[HistogramDataPoint] | None = None
    aggregation_temporality: int | None = None


class ExponentialHistogram(Struct, rename="camel", gc=False):
    """Points of an exponential histogram."""

    data_points: list[ExponentialHistogramDataPoint] | None = None
    aggregation_temporality: int | None = None


class Summary(Struct, rename="camel", gc=False):
    """Points of a summary."""

    data_points: list[SummaryDataPoint] | None = None


class Metric(Struct, rename="camel", gc=False):
    """``opentelemetry.proto.metrics.v1.Metric``."""

    name: str | None = None
    description: str | None = None
    unit: str | None = None
    gauge: Gauge | None = None
    sum: Sum | None = None
    histogram: Histogram | None = None
    exponential_histogram: ExponentialHistogram | None = None
    summary: Summary | None = None


class ScopeLogs(Struct, rename="camel", gc=False):
    """Records of one scope."""

    scope: Scope | None = None
    schema_url: str | None = None
    log_records: list[LogRecord] | None = None


class ScopeSpans(Struct, rename="camel", gc=False):
    """Spans of one scope."""

    scope: Scope | None = None
    schema_url: str | None = None
    spans: list[Span] | None = None


class ScopeMetrics(Struct, rename="camel", gc=False):
    """Metrics of one scope."""

    scope: Scope | None = None
    schema_url: str | None = None
    metrics: list[Metric] | None = None


class ResourceLogs(Struct, rename="camel", gc=False):
    """Records of one resource, which stays undecoded: most are known already."""

    resource: Raw = NOTHING
    schema_url: str | None = None
    scope_logs: list[ScopeLogs] | None = None


class ResourceSpans(Struct, rename="camel", gc=False):
    """Spans of one resource."""

    resource: Raw = NOTHING
    schema_url: str | None = None
    scope_spans: list[ScopeSpans] | None = None


class ResourceMetrics(Struct, rename="camel", gc=False):
    """Metrics of one resource."""

    resource: Raw = NOTHING
    schema_url: str | None = None
    scope_metrics: list[ScopeMetrics] | None = None


class LogsRequest(Struct, rename="camel", gc=False):
    """``ExportLogsServiceRequest``."""

    resource_logs: list[ResourceLogs] | None = None


class TracesRequest(Struct, rename="camel", gc=False):
    """``ExportTraceServiceRequest``."""

    resource_spans: list[ResourceSpans] | None = None


class MetricsRequest(Struct, rename="camel", gc=False):
    """``ExportMetricsServiceRequest``."""

    resource_metrics: list[ResourceMetrics] | None = None


LOGS = msgspec.json.Decoder(LogsRequest)
TRACES = msgspec.json.Decoder(TracesRequest)
METRICS = msgspec.json.Decoder(MetricsRequest)
RESOURCE = msgspec.json.Decoder(Resource | None)
