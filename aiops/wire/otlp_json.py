"""OTLP JSON bytes -> the raw columns that OTLP protobuf gives; attributes have the same bytes, hence the same hashes.

One plain loop over typed structs a payload.  A payload is taken whole or refused whole, with the path of its fault.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from opentelemetry.proto.common.v1.common_pb2 import AnyValue as AnyValueMessage

from aiops.columns import CLIENT, EXPONENTIAL, GAUGE, HISTOGRAM, PRODUCER, SUM, SUMMARY, Refusal
from aiops.wire.ids import id64
from aiops.wire.json_points import PointColumns
from aiops.wire.json_schema import LOGS, METRICS, TRACES, AnyValue, KeyValue, Span
from aiops.wire.json_values import (
    BOM,
    Canonical,
    MalformedError,
    check,
    double,
    encoded,
    identifier,
    integer,
    signed32,
    typed,
    unsigned,
    write,
)
from aiops.wire.layout import packed
from aiops.wire.logs import RawLogs
from aiops.wire.metrics import RawMetrics
from aiops.wire.peers import PEER_KEYS, peer_of
from aiops.wire.spans import STATUS_KEYS, RawSpans, server_error
from aiops.wire.values import scalar, text

I32 = NDArray[np.int32]

_CANONICAL = Canonical()
_CALLERS = (CLIENT, PRODUCER)
_STATUS_KEYS = frozenset(STATUS_KEYS)
_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {"logs": LOGS, "traces": TRACES, "metrics": METRICS}
_KEYS = {"logs": "resourceLogs", "traces": "resourceSpans", "metrics": "resourceMetrics"}
_KINDS = (
    (GAUGE, "gauge"),
    (SUM, "sum"),
    (HISTOGRAM, "histogram"),
    (EXPONENTIAL, "exponential_histogram"),
    (SUMMARY, "summary"),
)


def request(signal: str, payload: bytes) -> Any:
    """The typed request (``json_schema``) of a payload.

    Raises
    ------
    MalformedError
        What is wrong and at which JSON path.
    """
    found = typed(_DECODERS[signal], payload, "")
    if getattr(found, found.__struct_fields__[0]) is None:
        _refuse_foreign(signal, payload)
    return found


def _refuse_foreign(signal: str, payload: bytes) -> None:
    """Unknown keys are ignored, but a document of nothing else is no empty request: its data would vanish unseen."""
    if f'"{_KEYS[signal]}"'.encode() in payload or payload.removeprefix(BOM).translate(None, b" \t\r\n") == b"{}":
        return
    other = next((key for key in _KEYS.values() if f'"{key}"'.encode() in payload), None)
    raise MalformedError(f"no {_KEYS[signal]!r}" + (f" but {other!r}, which is another signal" if other else ""), "")


def _each(
    signal: str, payloads: list[bytes], message: I32, lists: list[list[Any]], take: Callable[[Any, int], None]
) -> list[Refusal]:
    """Give every request to `take`; of a refused one, cut off what it has left in `lists`."""
    refused = []
    for number, payload in zip(message.tolist(), payloads, strict=True):
        marks = [len(column) for column in lists]
        try:
            take(request(signal, payload), number)
        except MalformedError as error:
            for column, mark in zip(lists, marks, strict=True):
                del column[mark:]
            refused.append(Refusal(number, f"not OTLP JSON {signal}: {error} - at `${error.field}`"))
    return refused


def raw_logs(payloads: list[bytes], message: I32) -> tuple[RawLogs, list[Refusal]]:
    """Columns of the records of all payloads, and the payloads that are refused.  `message`: the number of each."""
    columns: list[list[Any]] = [[] for _ in range(9)]
    resource, owner, number, time, observed, severity, body, trace_id, span_id = columns

    def take(found: Any, at: int) -> None:
        for r, group in enumerate(found.resource_logs or ()):
            resource.append(_CANONICAL.resource(bytes(group.resource), f".resourceLogs[{r}].resource"))
            row = len(resource) - 1
            for s, scope in enumerate(group.scope_logs or ()):
                if scope.scope is not None and scope.scope.attributes:
                    check(scope.scope.attributes, f".resourceLogs[{r}].scopeLogs[{s}].scope")
                first = len(owner)
                try:
                    for x in scope.log_records or ():
                        owner.append(row)
                        number.append(at)
                        time.append(unsigned(x.time_unix_nano, ".timeUnixNano"))
                        observed.append(unsigned(x.observed_time_unix_nano, ".observedTimeUnixNano"))
                        severity.append(signed32(x.severity_number, ".severityNumber"))
                        body.append(_body(x.body) if x.body is not None else b"")
                        if x.attributes:
                            check(x.attributes, "")
                        trace_id.append(identifier(x.trace_id, 32, ".traceId") if x.trace_id else b"")
                        span_id.append(identifier(x.span_id, 16, ".spanId") if x.span_id else b"")
                except MalformedError as error:
                    raise error.under(
                        f".resourceLogs[{r}].scopeLogs[{s}].logRecords[{len(owner) - 1 - first}]"
                    ) from None

    refused = _each("logs", payloads, message, columns, take)
    return RawLogs(
        resource=packed(resource),
        owner=np.array(owner, np.int32),
        message=np.array(number, np.int32),
        time=np.array(time, np.uint64),
        observed=np.array(observed, np.uint64),
        severity=np.array(severity, np.int32),
        text=packed(body),
        trace=id64(packed(trace_id), 16)[0],
        span=id64(packed(span_id), 8)[0][:, 0],
    ), refused


def _body(body: AnyValue) -> bytes:
    if body.string_value is not None:
        return body.string_value.encode()
    message = AnyValueMessage()
    write(body, message, ".body")
    return text(scalar(message)).encode()


def raw_spans(payloads: list[bytes], message: I32) -> tuple[RawSpans, list[Refusal]]:
    """Columns of the spans of all payloads, and the payloads that are refused.  `message`: the number of each."""
    columns: list[list[Any]] = [[] for _ in range(13)]
    resource, owner, number, trace_id, span_id, parent_id, name, kind, status, start, end, failed, peer = columns

    def take(found: Any, at: int) -> None:
        for r, group in enumerate(found.resource_spans or ()):
            resource.append(_CANONICAL.resource(bytes(group.resource), f".resourceSpans[{r}].resource"))
            row = len(resource) - 1
            for s, scope in enumerate(group.scope_spans or ()):
                if scope.scope is not None and scope.scope.attributes:
                    check(scope.scope.attributes, f".resourceSpans[{r}].scopeSpans[{s}].scope")
                first = len(owner)
                try:
                    for x in scope.spans or ():
                        owner.append(row)
                        number.append(at)
                        trace_id.append(identifier(x.trace_id, 32, ".traceId") if x.trace_id else b"")
                        span_id.append(identifier(x.span_id, 16, ".spanId") if x.span_id else b"")
                        parent_id.append(identifier(x.parent_span_id, 16, ".parentSpanId") if x.parent_span_id else b"")
                        name.append(x.name.encode() if x.name else b"")
                        kind.append(signed32(x.kind, ".kind"))
                        status.append(signed32(x.status.code, ".status.code") if x.status else 0)
                        start.append(unsigned(x.start_time_unix_nano, ".startTimeUnixNano"))
                        end.append(unsigned(x.end_time_unix_nano, ".endTimeUnixNano"))
                        failed.append(_failed(x.attributes) if x.attributes else False)
                        peer.append(_peer(x.attributes) if x.attributes and kind[-1] in _CALLERS else b"")
                        if x.events or x.links:
                            _check_below(x)
                except MalformedError as error:
                    raise error.under(f".resourceSpans[{r}].scopeSpans[{s}].spans[{len(owner) - 1 - first}]") from None

    refused = _each("traces", payloads, message, columns, take)
    trace, bad_trace = id64(packed(trace_id), 16)
    span, bad_span = id64(packed(span_id), 8)
    return RawSpans(
        resource=packed(resource),
        owner=np.array(owner, np.int32),
        message=np.array(number, np.int32),
        trace=trace,
        span=span[:, 0],
        parent=id64(packed(parent_id), 8)[0][:, 0],
        bad_id=bad_trace | bad_span,
        name=packed(name),
        kind=np.array(kind, np.int32),
        status=np.array(status, np.int32),
        start=np.array(start, np.uint64),
        end=np.array(end, np.uint64),
        failed=np.array(failed, np.bool_),
        peer=packed(peer),
    ), refused


def _check_below(span: Span) -> None:
    """Refuse malformed events and links, though no column needs them: the payload is not what it claims to be."""
    for i, event in enumerate(span.events or ()):
        unsigned(event.time_unix_nano, f".events[{i}].timeUnixNano")
        check(event.attributes, f".events[{i}]")
    for i, link in enumerate(span.links or ()):
        if link.trace_id:
            identifier(link.trace_id, 32, f".links[{i}].traceId")
        if link.span_id:
            identifier(link.span_id, 16, f".links[{i}].spanId")
        check(link.attributes, f".links[{i}]")


def _peer(attributes: list[KeyValue]) -> bytes:
    """Whom the span calls; empty where it does not say."""
    return peer_of([(a.key, a.value.string_value) for a in attributes if a.value is not None and a.key in PEER_KEYS])


def _failed(attributes: list[KeyValue]) -> bool:
    """Whether one of them is an HTTP status of 500 or more; and what ``check`` does, in the same loop for speed."""
    failed = False
    for i, attribute in enumerate(attributes):
        value = attribute.value
        if value is None:
            continue
        given: object = value.string_value
        if given is None:
            if value.bool_value is not None:
                continue
            if value.int_value is not None:
                given = integer(value.int_value, -(1 << 63), 1 << 63, f".attributes[{i}].value.intValue")
            elif value.double_value is not None:
                given = double(value.double_value, f".attributes[{i}].value.doubleValue")
            else:
                encoded(attribute, "", i)
        if attribute.key in _STATUS_KEYS and server_error(given):
            failed = True
    return failed


def raw_metrics(payloads: list[bytes], message: I32) -> tuple[RawMetrics, list[Refusal]]:
    """Columns of the points of all payloads, and the payloads that are refused.  `message`: the number of each."""
    columns: list[list[Any]] = [[] for _ in range(5)]
    resource, owner, number, name, unit = columns
    points = [(PointColumns(kind, _CANONICAL), field) for kind, field in _KINDS]
    for part, _ in points:
        columns.extend(part.lists)

    def take(found: Any, at: int) -> None:
        for r, group in enumerate(found.resource_metrics or ()):
            resource.append(_CANONICAL.resource(bytes(group.resource), f".resourceMetrics[{r}].resource"))
            row = len(resource) - 1
            for s, scope in enumerate(group.scope_metrics or ()):
                if scope.scope is not None and scope.scope.attributes:
                    check(scope.scope.attributes, f".resourceMetrics[{r}].scopeMetrics[{s}].scope")
                for i, x in enumerate(scope.metrics or ()):
                    owner.append(row)
                    number.append(at)
                    name.append(x.name.encode() if x.name else b"")
                    unit.append(x.unit.encode() if x.unit else b"")
                    for part, field in points:
                        if (data := getattr(x, field)) is not None:
                            try:
                                part.take(len(name) - 1, data)
                            except MalformedError as error:
                                camel = "exponentialHistogram" if part.kind == EXPONENTIAL else field
                                path = f".resourceMetrics[{r}].scopeMetrics[{s}].metrics[{i}].{camel}"
                                raise error.under(path) from None

    refused = _each("metrics", payloads, message, columns, take)
    return RawMetrics(
        resource=packed(resource),
        owner=np.array(owner, np.int32),
        message=np.array(number, np.int32),
        name=packed(name),
        unit=packed(unit),
        points=[part.columns(len(name)) for part, _ in points],
    ), refused
