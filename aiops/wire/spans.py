"""Spans -> ``SpanBatch``.  Attributes are not decoded but for the HTTP status that makes a span an error."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.columns import ERROR_STATUS, Slices, SpanBatch
from aiops.wire.attributes import varint
from aiops.wire.ids import id64
from aiops.wire.metrics import clamped
from aiops.wire.tables import Tables
from aiops.wire.values import pair

STATUS_KEYS = ("http.response.status_code", "http.status_code")
_LONG = np.frombuffer(STATUS_KEYS[0].encode(), np.uint8)
_SHORT = np.frombuffer(STATUS_KEYS[1].encode(), np.uint8)


class RawSpans(NamedTuple):
    """``n`` spans as an encoding delivers them.

    ``owner`` is the row of each one's resource; ``failed`` says that the HTTP status is 500 or more,
    ``peer`` names whom a client span calls, empty where it does not say.
    """

    resource: Slices
    owner: NDArray[np.int32]
    message: NDArray[np.int32]
    trace_id: Slices
    span_id: Slices
    parent_id: Slices
    name: Slices
    kind: NDArray[np.int32]
    status: NDArray[np.int32]
    start: NDArray[np.uint64]
    end: NDArray[np.uint64]
    failed: NDArray[np.bool_]
    peer: Slices


def finish_spans(raw: RawSpans, tables: Tables) -> SpanBatch:
    """Codes, ids and times of the spans, in the order in which they came."""
    trace, bad_trace = id64(raw.trace_id, 16)
    span, bad_span = id64(raw.span_id, 8)
    parent, _ = id64(raw.parent_id, 8)
    return SpanBatch(
        message=raw.message,
        trace=trace,
        span=span[:, 0],
        parent=parent[:, 0],
        bad_id=bad_trace | bad_span,
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
    n_odd = _failed(attributes.data, attributes.start, attributes.end, offsets, _LONG, _SHORT, failed, odd)
    for row, i in odd[:n_odd].tolist():
        decoded = pair(attributes.raw(i))
        failed[row] |= decoded is not None and decoded[0] in STATUS_KEYS and server_error(decoded[1])
    return failed


@njit(inline="always")
def _equal(data: Any, at: Any, key: Any) -> Any:
    same = True
    for j in range(len(key)):
        same = same and data[at + j] == key[j]
    return same


@njit(nogil=True, cache=True)
def _failed(data: Any, start: Any, end: Any, offsets: Any, long: Any, short: Any, failed: Any, odd: Any) -> Any:
    n_odd = 0
    for row in range(len(offsets) - 1):
        for i in range(offsets[row], offsets[row + 1]):
            at, last = start[i], end[i]
            if last - at < len(short) + 2:
                continue
            size = np.int64(data[at + 1])
            if data[at] != 10:  # the value before the key
                odd[n_odd, 0], odd[n_odd, 1] = row, i
                n_odd += 1
                continue
            if last - at < size + 2:
                continue
            if size == len(long):
                found = _equal(data, at + 2, long)
            elif size == len(short):
                found = _equal(data, at + 2, short)
            else:
                continue
            if not found:
                continue
            # key, then the value's tag, length and its own tag
            value = at + 2 + size + 2
            if value >= last or data[value - 2] != 18 or np.int64(data[value - 1]) != last - value:
                odd[n_odd, 0], odd[n_odd, 1] = row, i
                n_odd += 1
            elif data[value] == 24:
                number, after = varint(data, value + 1, last)
                if after < 0:  # a negative number, ten bytes long
                    number = np.int64(0)
                failed[row] |= number >= 500
            else:
                number, text = varint(data, value + 1, last)
                if data[value] != 10 or text < 0 or number != last - text:
                    odd[n_odd, 0], odd[n_odd, 1] = row, i
                    n_odd += 1
                elif 3 <= number <= 9:
                    status, digits = np.int64(0), True
                    for j in range(text, last):
                        digits = digits and 48 <= data[j] <= 57
                        status = status * 10 + (np.int64(data[j]) - 48)
                    failed[row] |= digits and status >= 500
    return n_odd
