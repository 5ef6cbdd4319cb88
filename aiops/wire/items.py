"""OTLP payloads -> one plain dictionary an item, as the engine understands it: what ``aiops decode`` prints.

For people, one at a time; the hot path makes columns (``aiops.wire``) and no dictionaries.  All values are valid JSON:
bytes are base64, and NaN and infinities are the texts "NaN", "Infinity", "-Infinity".
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from aiops.columns import KINDS
from aiops.times import rfc3339
from aiops.wire import ENCODINGS, SIGNALS, recognise
from aiops.wire.files import UNREADABLE, payloads_of, signal_of
from aiops.wire.json_values import MalformedError, write
from aiops.wire.lenient import REQUESTS, STRICT, utf8
from aiops.wire.metrics import NO_RECORDED_VALUE
from aiops.wire.otlp_json import request
from aiops.wire.resources import entity
from aiops.wire.spans import STATUS_KEYS, server_error
from aiops.wire.values import pairs, scalar, text

_SPAN_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUS = ("unset", "ok", "error")
_TEMPORALITY = (None, "delta", "cumulative")
_END_OF_TIME = 2**63 - 1


def items(signal: str, payloads: list[bytes], encoding: str = "auto") -> Iterator[dict[str, object]]:
    """One dictionary an item, in order.

    A payload that does not decode yields one dictionary with ``error``, the reason, and ``message``, its place in the
    list.

    Parameters
    ----------
    signal : {'logs', 'metrics', 'traces'}
    payloads : list of bytes
        One request each.
    encoding : {'auto', 'otlp_proto', 'otlp_json'}
    """
    if signal not in SIGNALS:
        raise ValueError(f"signal {signal!r} is not one of {', '.join(map(repr, SIGNALS))}")
    if encoding not in ENCODINGS:
        raise ValueError(f"encoding {encoding!r} is not one of {', '.join(map(repr, ENCODINGS))}")
    for number, payload in enumerate(payloads):
        try:
            message = _message(signal, payload, recognise(payload) if encoding == "auto" else encoding)
        except (MalformedError, DecodeError) as error:
            path = f" - at `${error.field}`" if isinstance(error, MalformedError) else ""
            yield {"error": f"not OTLP {signal}: {error}{path}", "message": number}
            continue
        yield from _WALKS[signal](message)


def decode_files(
    paths: Iterable[str | Path], encoding: str = "auto", signal: str | None = None
) -> Iterator[dict[str, object]]:
    """The items of all files, each with ``file`` (and ``line``); what cannot be read or decoded has ``error`` instead.

    Parameters
    ----------
    paths : of files (``aiops.wire.files``)
    encoding : {'auto', 'otlp_proto', 'otlp_json'}
    signal : {'logs', 'metrics', 'traces'} or None
        None: what the payload itself tells.
    """
    for path in map(Path, paths):
        at: dict[str, object] = {"file": str(path)}
        try:
            for line, payload in payloads_of(path):
                if line:
                    at["line"] = line
                try:
                    found = signal or signal_of(payload, encoding)
                except ValueError as error:
                    yield {**at, "error": str(error)}
                    continue
                for item in items(found, [payload], encoding):
                    yield {**at, "error": item["error"]} if "error" in item else {**at, **item}
        except UNREADABLE as error:
            yield {**at, "error": f"cannot read: {error}"}


def _message(signal: str, payload: bytes, encoding: str) -> Any:
    if encoding == "otlp_json":
        message = STRICT[signal]()
        write(request(signal, payload), message)
        return message
    return REQUESTS[signal].FromString(payload)


def _logs(request: Any) -> Iterator[dict[str, object]]:
    for group in request.resource_logs:
        about = _about("logs", group.resource)
        for scope in group.scope_logs:
            for x in scope.log_records:
                time = x.time_unix_nano or x.observed_time_unix_nano
                item = {**_when(time), **about, "severity": x.severity_number}
                if x.observed_time_unix_nano not in (0, time):
                    item["observed_time_unix_nano"] = _ns(x.observed_time_unix_nano)
                _put(item, severity_text=utf8(x.severity_text), event_name=utf8(x.event_name))
                _put(item, trace_id=x.trace_id.hex(), span_id=x.span_id.hex())
                item["body"] = text(scalar(x.body))
                item["attributes"] = _plain(pairs(x.attributes))
                yield item


def _spans(request: Any) -> Iterator[dict[str, object]]:
    for group in request.resource_spans:
        about = _about("traces", group.resource)
        for scope in group.scope_spans:
            for x in scope.spans:
                start, end, attributes = _ns(x.start_time_unix_nano), _ns(x.end_time_unix_nano), pairs(x.attributes)
                item = {
                    **_when(x.end_time_unix_nano),
                    **about,
                    "name": utf8(x.name),
                    "kind": _name(_SPAN_KINDS, x.kind),
                }
                _put(item, trace_id=x.trace_id.hex(), span_id=x.span_id.hex(), parent_span_id=x.parent_span_id.hex())
                item["start_time_unix_nano"], item["duration_ns"] = start, max(end - start, 0)
                item["status"] = _name(_STATUS, x.status.code)
                _put(item, status_message=utf8(x.status.message))
                item["is_error"] = x.status.code == 2 or any(server_error(attributes.get(key)) for key in STATUS_KEYS)
                item["attributes"] = _plain(attributes)
                if x.events:
                    item["events"] = [
                        {**_when(e.time_unix_nano), "name": utf8(e.name), "attributes": _plain(pairs(e.attributes))}
                        for e in x.events
                    ]
                yield item


def _metrics(request: Any) -> Iterator[dict[str, object]]:
    for group in request.resource_metrics:
        about = _about("metrics", group.resource)
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                if kind is None:
                    continue
                data = getattr(metric, kind)
                for x in data.data_points:
                    item = {**_when(x.time_unix_nano), **about, "name": utf8(metric.name), "kind": kind}
                    _put(item, unit=utf8(metric.unit), start_time_unix_nano=_ns(x.start_time_unix_nano))
                    if kind in KINDS[1:4]:
                        item["temporality"] = _name(_TEMPORALITY, data.aggregation_temporality)
                    if kind == "sum":
                        item["monotonic"] = data.is_monotonic
                    _point(item, kind, x)
                    item["attributes"] = _plain(pairs(x.attributes))
                    yield item


def _point(item: dict[str, object], kind: str, x: Any) -> None:
    stale = bool(x.flags & NO_RECORDED_VALUE)
    if kind in KINDS[:2]:
        which = x.WhichOneof("value")
        stale = stale or which is None
        item["value"], item["count"] = None if stale else _plain(getattr(x, which)), 1
    else:
        item["value"] = _plain(x.sum) if kind == "summary" or x.HasField("sum") else None
        item["count"] = x.count
    item["stale"] = stale
    if kind == "histogram":
        item["bounds"], item["buckets"] = _plain(list(x.explicit_bounds)), list(x.bucket_counts)
    elif kind == "exponential_histogram":
        item["scale"], item["zero_count"] = x.scale, x.zero_count
        for side in ("positive", "negative"):
            part = getattr(x, side)
            item[side] = {"offset": part.offset, "buckets": list(part.bucket_counts)}
    elif kind == "summary":
        item["quantiles"] = [[_plain(q.quantile), _plain(q.value)] for q in x.quantile_values]


def _about(signal: str, resource: Any) -> dict[str, object]:
    attributes = pairs(resource.attributes)
    return {"signal": signal, **entity(attributes)._asdict(), "resource": _plain(attributes)}


def _when(ns: int) -> dict[str, object]:
    return {"time": rfc3339(_ns(ns)) if ns else None, "time_unix_nano": _ns(ns)}


def _ns(ns: int) -> int:
    return min(ns, _END_OF_TIME)


def _name(names: tuple[str | None, ...], number: int) -> str | int | None:
    return names[number] if 0 <= number < len(names) else number


def _put(item: dict[str, object], **fields: object) -> None:
    """Add what is given; an empty text, id or time is not."""
    item.update((name, value) for name, value in fields.items() if value)


def _plain(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    return value


_WALKS: dict[str, Callable[[Any], Iterator[dict[str, object]]]] = {"logs": _logs, "traces": _spans, "metrics": _metrics}
