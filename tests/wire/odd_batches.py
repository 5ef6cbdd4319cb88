"""Random OTLP requests, odd in every way that a valid one may be, and their OTLP JSON; seeded by the caller."""

from __future__ import annotations

import base64
import json
import math
import random
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

T0 = 1_754_049_600_000_000_000
KEYS = ["http.response.status_code", "http.status_code", "server.address", "peer.service", "k", "", "é", "x" * 200]
KEYS.append("service.name")
RESOURCE_KEYS = [*KEYS, "service.namespace", "service.version", "process.pid", "host.name", "deployment.environment"]
KINDS = ["gauge", "sum", "histogram", "exponential_histogram", "summary", None]


def any_value(rnd: random.Random, value: Any, depth: int = 0) -> None:
    kind = rnd.randrange(9 if depth < 2 else 7)
    if kind in (0, 1):
        texts = ["", "GET", "503", "0499", "ümlaut", "x" * rnd.choice([1, 127, 128, 300]), str(rnd.random())]
        value.string_value = rnd.choice(texts)
    elif kind == 2:
        value.int_value = rnd.choice([0, 1, -1, 127, 128, 200, 500, 599, 2**31, -(2**63), 2**63 - 1])
    elif kind == 3:
        value.double_value = rnd.choice([0.0, -0.0, 1.5, 503.0, math.inf, math.nan])
    elif kind == 4:
        value.bool_value = rnd.random() < 0.5
    elif kind == 5:
        value.bytes_value = rnd.randbytes(rnd.randrange(5))
    elif kind == 7:
        value.array_value.SetInParent()
        for _ in range(rnd.randrange(3)):
            any_value(rnd, value.array_value.values.add(), depth + 1)
    elif kind == 8:
        value.kvlist_value.SetInParent()
        for _ in range(rnd.randrange(3)):
            any_value(rnd, value.kvlist_value.values.add(key="k").value, depth + 1)


def attributes(rnd: random.Random, target: Any, keys: list[str] = KEYS) -> None:
    for key in rnd.sample(keys, rnd.randrange(5)):
        pair = target.add(key=key)
        if rnd.random() < 0.95:
            any_value(rnd, pair.value)


def stamp(rnd: random.Random) -> int:
    return rnd.choice([0, 1, T0 + rnd.randrange(10**12), 2**64 - 1])


def identifier(rnd: random.Random, size: int, odd_ids: bool) -> bytes:
    return (
        rnd.randbytes(rnd.choice([size] * 6 + [0, 0] + [1, size - 1] * odd_ids)) if rnd.random() < 0.95 else bytes(size)
    )


def items_of(rnd: random.Random, request: Any, resource_field: str, scope_field: str, item_field: str) -> Any:
    for _ in range(rnd.randrange(4)):
        resource = getattr(request, resource_field).add()
        if rnd.random() < 0.8:
            attributes(rnd, resource.resource.attributes, RESOURCE_KEYS)
            resource.schema_url = "https://opentelemetry.io/schemas/1.30.0"
        for _ in range(rnd.randrange(3)):
            scope = getattr(resource, scope_field).add()
            scope.scope.name = "io.example"
            for _ in range(rnd.randrange(6)):
                yield getattr(scope, item_field).add()


def logs(rnd: random.Random, odd_ids: bool = True) -> Any:
    request = ExportLogsServiceRequest()
    for x in items_of(rnd, request, "resource_logs", "scope_logs", "log_records"):
        x.time_unix_nano, x.observed_time_unix_nano = stamp(rnd), stamp(rnd)
        x.severity_number = rnd.choice([0, 1, 9, 24])
        if rnd.random() < 0.9:
            any_value(rnd, x.body)
        attributes(rnd, x.attributes)
        x.trace_id, x.span_id = identifier(rnd, 16, odd_ids), identifier(rnd, 8, odd_ids)
        x.flags, x.event_name = rnd.randrange(3), rnd.choice(["", "e"])
    return request


def traces(rnd: random.Random, odd_ids: bool = True) -> Any:
    request = ExportTraceServiceRequest()
    for x in items_of(rnd, request, "resource_spans", "scope_spans", "spans"):
        x.trace_id, x.span_id = identifier(rnd, 16, odd_ids), identifier(rnd, 8, odd_ids)
        x.parent_span_id, x.name, x.kind = identifier(rnd, 8, odd_ids), rnd.choice(["", "GET /", "é"]), rnd.randrange(6)
        x.start_time_unix_nano, x.end_time_unix_nano = stamp(rnd), stamp(rnd)
        attributes(rnd, x.attributes)
        if rnd.random() < 0.5:
            x.status.code, x.status.message = rnd.randrange(3), "m"
        for _ in range(rnd.randrange(2)):
            attributes(rnd, x.events.add(name="e").attributes)
            x.links.add(trace_id=b"1" * 16)
    return request


def metrics(rnd: random.Random, odd_ids: bool = True) -> Any:  # noqa: ARG001 (metrics have no ids)
    request = ExportMetricsServiceRequest()
    for m in items_of(rnd, request, "resource_metrics", "scope_metrics", "metrics"):
        m.name, m.unit, kind = rnd.choice(["", "a", "b", "é"]), rnd.choice(["s", "s", ""]), rnd.choice(KINDS)
        if kind is None:
            continue
        data = getattr(m, kind)
        data.SetInParent()
        if kind in KINDS[1:4]:
            data.aggregation_temporality = rnd.randrange(3)
        if kind == "sum":
            data.is_monotonic = rnd.random() < 0.5
        for _ in range(rnd.randrange(4)):
            point(rnd, data.data_points.add(), str(kind))
    return request


def point(rnd: random.Random, p: Any, kind: str) -> None:
    attributes(rnd, p.attributes)
    p.time_unix_nano, p.start_time_unix_nano, p.flags = stamp(rnd), stamp(rnd), rnd.choice([0, 0, 0, 1, 2])
    number = rnd.choice([0.0, 1.5, -2.25, math.nan, math.inf])
    if kind in ("gauge", "sum"):
        which = rnd.randrange(5)
        if which < 2:
            p.as_double = number
        elif which < 4:
            p.as_int = rnd.choice([0, -1, 7, 2**53, -(2**63)])
        return
    p.count = rnd.choice([0, 5, 2**40])
    if kind == "summary":
        p.sum = number
        for _ in range(rnd.randrange(3)):
            p.quantile_values.add(quantile=rnd.random(), value=rnd.random())
        return
    if rnd.random() < 0.8:
        p.sum = number
    if rnd.random() < 0.5:
        p.min, p.max = 0.0, rnd.random()
    if kind == "histogram":
        bounds = rnd.choice([[], [], [1.0], [0.5, 1.0, 2.5], [0.5, 1.0, 7.5], [2.0, 1.0], [math.nan, 1.0], [1.0, 1.0]])
        n = rnd.choice([0, *[len(bounds) + 1] * 6, len(bounds)])
        p.explicit_bounds.extend(bounds)
        p.bucket_counts.extend(rnd.choice([0, 1, 2**40]) for _ in range(n))
        return
    p.scale, p.zero_count = rnd.choice([-12, -10, -2, -1, 0, 1, 2, 3, 20]), rnd.choice([0, 3])
    for side in (p.positive, p.negative):
        if rnd.random() < 0.7:
            side.offset = rnd.choice([0, -1, 5, -70, 300, -(2**31), 2**31 - 1])
            side.bucket_counts.extend(rnd.choice([0, 1, 9]) for _ in range(rnd.randrange(8)))


def otlp_json(request: Any) -> dict[str, Any]:
    """The request as OTLP JSON: protobuf's own JSON mapping, but ids in hex and enums as numbers."""
    document: dict[str, Any] = json_format.MessageToDict(request, use_integers_for_enums=True)
    _hex_ids(document)
    return document


def json_bytes(request: Any) -> bytes:
    return json.dumps(otlp_json(request)).encode()


def _hex_ids(value: Any) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("traceId", "spanId", "parentSpanId"):
                value[key] = base64.b64decode(inner).hex()
            else:
                _hex_ids(inner)
    elif isinstance(value, list):
        for inner in value:
            _hex_ids(inner)
