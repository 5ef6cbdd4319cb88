"""A line of recorded telemetry -> the newest event time of each resource in it: what arrival times are made from.

Only times are read, everything else is skipped: it must cost little beside the decoding of the line.  A line that
cannot be read has no times; whoever decodes it says why.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
import xxhash

from aiops.records import RecordError
from aiops.telling import decode_all, latest
from aiops.told import TOLD

LATEST = 1 << 62  # 2116: what is later is no time but a bad number, and the engine's int64 clocks must not overflow

Ns = int | None
"""Unix ns; decoded leniently, since OTLP/JSON writes 64-bit integers as text and some producers as numbers."""


class _Log(msgspec.Struct, rename="camel", gc=False):
    time_unix_nano: Ns = None
    observed_time_unix_nano: Ns = None


class _Span(msgspec.Struct, rename="camel", gc=False):
    end_time_unix_nano: Ns = None


class _Point(msgspec.Struct, rename="camel", gc=False):
    time_unix_nano: Ns = None


class _Data(msgspec.Struct, rename="camel", gc=False):
    data_points: list[_Point] | None = None


class _Metric(msgspec.Struct, rename="camel", gc=False):
    gauge: _Data | None = None
    sum: _Data | None = None
    histogram: _Data | None = None
    exponential_histogram: _Data | None = None
    summary: _Data | None = None


class _ScopeLogs(msgspec.Struct, rename="camel", gc=False):
    log_records: list[_Log] | None = None


class _ScopeSpans(msgspec.Struct, rename="camel", gc=False):
    spans: list[_Span] | None = None


class _ScopeMetrics(msgspec.Struct, rename="camel", gc=False):
    metrics: list[_Metric] | None = None


class _ResourceLogs(msgspec.Struct, rename="camel", gc=False):
    resource: msgspec.Raw = msgspec.Raw()
    scope_logs: list[_ScopeLogs] | None = None


class _ResourceSpans(msgspec.Struct, rename="camel", gc=False):
    resource: msgspec.Raw = msgspec.Raw()
    scope_spans: list[_ScopeSpans] | None = None


class _ResourceMetrics(msgspec.Struct, rename="camel", gc=False):
    resource: msgspec.Raw = msgspec.Raw()
    scope_metrics: list[_ScopeMetrics] | None = None


class _Logs(msgspec.Struct, rename="camel", gc=False):
    resource_logs: list[_ResourceLogs] | None = None


class _Traces(msgspec.Struct, rename="camel", gc=False):
    resource_spans: list[_ResourceSpans] | None = None


class _Metrics(msgspec.Struct, rename="camel", gc=False):
    resource_metrics: list[_ResourceMetrics] | None = None


def event_times(signal: str) -> Callable[[bytes], dict[str, int]]:
    """The reader of lines of a signal; it yields a dict, resource -> Unix ns, and never raises.

    >>> event_times("traces")(b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"endTimeUnixNano": "17"}]}]}]}')
    {'': 17}
    """
    if signal in TOLD:
        return functools.partial(_told_times, signal)
    return {"metrics": _metric_times, "traces": _span_times, "logs": _log_times}[signal]


def _log_times(line: bytes) -> dict[str, int]:
    request = _read(_LOGS, line)
    return {} if request is None else _newest((r.resource, _of_logs(r)) for r in request.resource_logs or ())


def _span_times(line: bytes) -> dict[str, int]:
    request = _read(_TRACES, line)
    return {} if request is None else _newest((r.resource, _of_spans(r)) for r in request.resource_spans or ())


def _metric_times(line: bytes) -> dict[str, int]:
    request = _read(_METRICS, line)
    return {} if request is None else _newest((r.resource, _of_metrics(r)) for r in request.resource_metrics or ())


def _told_times(signal: str, line: bytes) -> dict[str, int]:
    try:
        who, time = latest(decode_all(signal, line))
    except RecordError:
        return {}
    return {who: time} if time < LATEST else {}


def _of_logs(resource: _ResourceLogs) -> Iterator[int]:
    for scope in resource.scope_logs or ():
        for log in scope.log_records or ():
            yield log.time_unix_nano or log.observed_time_unix_nano or 0


def _of_spans(resource: _ResourceSpans) -> Iterator[int]:
    for scope in resource.scope_spans or ():
        for span in scope.spans or ():
            yield span.end_time_unix_nano or 0


def _of_metrics(resource: _ResourceMetrics) -> Iterator[int]:
    for scope in resource.scope_metrics or ():
        for metric in scope.metrics or ():
            data = metric.gauge or metric.sum or metric.histogram or metric.exponential_histogram or metric.summary
            if data is not None:
                for point in data.data_points or ():
                    yield point.time_unix_nano or 0


def _newest(resources: Iterable[tuple[msgspec.Raw, Iterator[int]]]) -> dict[str, int]:
    newest: dict[str, int] = {}
    for raw, times in resources:
        resource = xxhash.xxh3_64_hexdigest(raw) if raw else ""
        time = max(times, default=0)
        if newest.get(resource, 0) < time < LATEST:
            newest[resource] = time
    return newest


def _read(decoder: msgspec.json.Decoder[Any], line: bytes) -> Any:
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:  # Python writes NaN and infinities, which JSON has not; the engine's decoder reads them
        return decoder.decode(json.dumps(_finite(json.loads(line))).encode())
    except (ValueError, RecursionError, msgspec.DecodeError):
        return None


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


_LOGS = msgspec.json.Decoder(_Logs, strict=False)
_TRACES = msgspec.json.Decoder(_Traces, strict=False)
_METRICS = msgspec.json.Decoder(_Metrics, strict=False)
