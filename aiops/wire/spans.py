"""Spans -> ``SpanBatch``.  Attributes are not decoded but for the HTTP status that makes a span an error."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.columns import ERROR_STATUS, Slices, SpanBatch
from aiops.wire.attributes import varint
from aiops.wire.metrics import clamped
from aiops.wire.tables import Tables
from aiops.wire.values import pair

STATUS_KEYS = ("http.response.status_code", "http.status_code")
LONG_KEY = np.frombuffer(STATUS_KEYS[0].encode(), np.uint8)
SHORT_KEY = np.frombuffer(STATUS_KEYS[1].encode(), np.uint8)


class RawSpans(NamedTuple):
    """``n`` spans as an encoding delivers them.

    ``owner`` is the row of each one's resource; ids are as in ``SpanBatch``; ``failed`` says that the HTTP status is 500 or more,
    ``peer`` names whom a client span calls, empty where it does not say.
    """

    resource: Slices
    owner: NDArray[np.int32]
    message: NDArray[np.int32]
    trace: NDArray[np.uint64]
    span: NDArray[np.uint64]
    parent: NDArray[np.uint64]
    bad_id: NDArray[np.bool_]
    name: Slices
    kind: NDArray[np.int32]
    status: NDArray[np.int32]
    start: NDArray[np.uint64]
    end: NDArray[np.uint64]
    failed: NDArray[np.bool_]
    peer: Slices


def finish_spans(raw: RawSpans, tables: Tables) -> SpanBatch:
    """Codes and times of the spans, in the order in which they came."""
    return SpanBatch(
        message=raw.message,
        trace=raw.trace,
        span=raw.span,
        parent=raw.parent,
        bad_id=raw.bad_id,
        name=tables.operations.codes(raw.name),
        resource=tables.resources.codes(raw.resource)[raw.owner],
        peer=_peer_codes(raw.peer, tables),
        kind=raw.kind,
        error=raw.failed | (raw.status == ERROR_STATUS),
        start=clamped(raw.start),
        end=clamped(raw.end),
    )


def _peer_codes(peer: Slices, tables: Tables) -> NDArray[np.int32]:
    out: NDArray[np.int32] = np.full(len(peer.start), -1, np.int32)
    named = np.flatnonzero(peer.end > peer.start)
    if len(named):
        out[named] = tables.peers.codes(Slices(peer.data, peer.start[named], peer.end[named]))
    return out


def server_error(value: object) -> bool:
    """Whether the value of an HTTP status attribute (a number or its text) is 500 or more."""
    if isinstance(value, str):
        return value.isascii() and value.isdecimal() and len(value) <= 9 and int(value) >= 500
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 500


def failed_http(attributes: Slices, offsets: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which spans carry an HTTP status of 500 or more: bool, shape (n,).

    Span ``i`` owns the KeyValue bytes ``attributes[offsets[i]:offsets[i + 1]]``.
    """
    failed: NDArray[np.bool_] = np.zeros(len(offsets) - 1, np.bool_)
    odd: NDArray[np.int32] = np.empty((len(attributes.start), 2), np.int32)
    n_odd = _failed(attributes.data, attributes.start, attributes.end, offsets, LONG_KEY, SHORT_KEY, failed, odd)
    for row, i in odd[:n_odd].tolist():
        failed[row] |= odd_failure(attributes.raw(i))
    return failed


def odd_failure(raw: bytes) -> bool:
    """Whether KeyValue bytes in an unusual encoding are an HTTP status of 500 or more."""
    decoded = pair(raw)
    return decoded is not None and decoded[0] in STATUS_KEYS and server_error(decoded[1])


@njit(inline="always")
def _equal(data: Any, at: Any, key: Any) -> Any:
    same = True
    for j in range(len(key)):
        same = same and data[at + j] == key[j]
    return same


@njit(nogil=True, cache=True)
def http_failure(data: Any, at: Any, last: Any, long: Any, short: Any) -> Any:
    """Whether one attribute is an HTTP status of 500 or more: 1 yes, 0 no, -1 where the slow path must tell."""
    if last - at < len(short) + 2:
        return 0
    size = np.int64(data[at + 1])
    if data[at] != 10:  # the value before the key
        return -1
    if last - at < size + 2:
        return 0
    if size == len(long):
        found = _equal(data, at + 2, long)
    elif size == len(short):
        found = _equal(data, at + 2, short)
    else:
        return 0
    if not found:
        return 0
    # key, then the value's tag, length and its own tag
    value = at + 2 + size + 2
    if value >= last or data[value - 2] != 18 or np.int64(data[value - 1]) != last - value:
        return -1
    number, text = varint(data, value + 1, last)
    if data[value] == 24:
        return 1 if text >= 0 and number >= 500 else 0  # a negative number is ten bytes long
    if data[value] != 10 or text < 0 or number != last - text:
        return -1
    if not 3 <= number <= 9:
        return 0
    status, digits = np.int64(0), True
    for j in range(text, last):
        digits = digits and 48 <= data[j] <= 57
        status = status * 10 + (np.int64(data[j]) - 48)
    return 1 if digits and status >= 500 else 0


@njit(nogil=True, cache=True)
def _failed(data: Any, start: Any, end: Any, offsets: Any, long: Any, short: Any, failed: Any, odd: Any) -> Any:
    n_odd = 0
    for row in range(len(offsets) - 1):
        for i in range(offsets[row], offsets[row + 1]):
            failure = http_failure(data, np.int64(start[i]), np.int64(end[i]), long, short)
            failed[row] |= failure > 0
            if failure < 0:
                odd[n_odd, 0], odd[n_odd, 1] = row, i
                n_odd += 1
    return n_odd
