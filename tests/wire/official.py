"""What the columns must hold, read one item at a time from the official opentelemetry-proto objects."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec

KINDS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")
END_OF_TIME = 2**63 - 1
VOLATILE = ("service.version", "process.pid")


def scalar(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [scalar(v) for v in value.array_value.values]
    if kind == "kvlist_value":
        return {p.key: scalar(p.value) for p in value.kvlist_value.values}
    return getattr(value, kind) if kind else None


def text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value)
    out = msgspec.json.encode(value, order="deterministic").decode()
    return out.strip('"') if isinstance(value, bytes) else out


def halves(raw: bytes, size: int) -> list[int]:
    return [int.from_bytes(raw[i : i + 8]) for i in range(0, size, 8)] if len(raw) == size else [0] * (size // 8)


def service(resource: Any) -> tuple[str, str]:
    given = {p.key: text(scalar(p.value)) for p in resource.attributes}
    name = given.get("service.name") or given.get("host.name") or "unknown_service"
    environment = given.get("deployment.environment") or "default"
    full = f"{given['service.namespace']}/{name}" if given.get("service.namespace") else name
    return environment[:255], full[:255]


def canonical(pairs: Any) -> tuple[bytes, ...]:
    return tuple(sorted(p.SerializeToString(deterministic=True) for p in pairs))


def logs(request: Any) -> Iterator[tuple[Any, ...]]:
    for r in request.resource_logs:
        for s in r.scope_logs:
            for x in s.log_records:
                time = min(x.time_unix_nano or x.observed_time_unix_nano, END_OF_TIME)
                body = text(scalar(x.body)).encode()
                yield time, x.severity_number, service(r.resource), body, *halves(x.trace_id, 16), *halves(x.span_id, 8)


def server_error(pairs: Any) -> bool:
    for pair in pairs:
        if pair.key in ("http.response.status_code", "http.status_code"):
            value = scalar(pair.value)
            if isinstance(value, str):
                value = int(value) if value.isascii() and value.isdecimal() else 0
            if isinstance(value, int | float) and not isinstance(value, bool) and value >= 500:
                return True
    return False


def peer(span: Any) -> bytes:
    if span.kind not in (3, 4):
        return b""
    for key in ("peer.service", "server.address"):
        for pair in span.attributes:
            if pair.key == key and pair.value.WhichOneof("value") == "string_value" and pair.value.string_value:
                return str(pair.value.string_value).encode()
    return b""


def traces(request: Any) -> Iterator[tuple[Any, ...]]:
    for r in request.resource_spans:
        for s in r.scope_spans:
            for x in s.spans:
                ids = (*halves(x.trace_id, 16), *halves(x.span_id, 8), *halves(x.parent_span_id, 8))
                bad = not any(ids[:2]) or not ids[2]
                times = min(x.start_time_unix_nano, END_OF_TIME), min(x.end_time_unix_nano, END_OF_TIME)
                error = x.status.code == 2 or server_error(x.attributes)
                yield *ids, bad, x.name.encode(), peer(x), x.kind, error, *times, service(r.resource)


def grid(p: Any) -> list[float]:
    """Counts in the fixed grid, by the powers of two themselves."""
    out = [0.0] * 130
    out[0] = float(p.zero_count + sum(p.negative.bucket_counts))
    for j, count in enumerate(p.positive.bucket_counts):
        exponent = (p.positive.offset + j + 1) * 2.0**-p.scale  # of the bucket's upper bound
        out[min(max(math.ceil(2 * exponent) + 64, 0), 129)] += count
    return out


def metrics(request: Any) -> Iterator[tuple[Any, ...]]:
    for kind in KINDS:
        for r in request.resource_metrics:
            identity = canonical(
                p for p in r.resource.attributes if p.key not in VOLATILE or nameless(r.resource, p.key)
            )
            for s in r.scope_metrics:
                for m in s.metrics:
                    if m.WhichOneof("data") == kind:
                        for p in getattr(m, kind).data_points:
                            yield point(kind, identity, m, p)


def nameless(resource: Any, key: str) -> bool:
    return key == "process.pid" and not any(p.key == "service.name" and scalar(p.value) for p in resource.attributes)


def point(kind: str, identity: Any, m: Any, p: Any) -> tuple[Any, ...]:
    data, stale, buckets = getattr(m, kind), bool(p.flags & 1), []
    if kind in ("gauge", "sum"):
        which = p.WhichOneof("value")
        value, stale = float(getattr(p, which)) if which else 0.0, stale or which is None
    else:
        value = p.sum if kind == "summary" or p.HasField("sum") else math.nan
    bounds = tuple(p.explicit_bounds) if kind == "histogram" else ()
    if kind == "histogram" and not stale and len(p.bucket_counts) == len(bounds) + 1 > 1:
        rising = all(a < b for a, b in pairwise(bounds)) and bounds[0] == bounds[0]
        buckets = [float(c) for c in p.bucket_counts] if rising else []
    if kind == "exponential_histogram" and not stale:
        buckets = grid(p)
    temporality = data.aggregation_temporality if kind in KINDS[1:4] else 0
    monotonic = kind == "sum" and data.is_monotonic
    attributes = canonical(p.attributes)
    series = (identity, kind, m.name, temporality, monotonic, repr(bounds), attributes)
    about = (m.name, KINDS.index(kind), temporality, monotonic)
    return (
        series,
        about,
        tuple(sorted((a.key, text(scalar(a.value))) for a in p.attributes)),
        min(p.time_unix_nano, END_OF_TIME),
        min(p.start_time_unix_nano, END_OF_TIME),
        repr(value),
        1.0 if kind in ("gauge", "sum") else float(p.count),
        stale,
        buckets,
    )
