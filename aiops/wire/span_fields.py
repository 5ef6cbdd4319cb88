"""Bytes of spans -> where their ids and names stand, their numbers, and the few attributes that anybody looks at."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.columns import Slices
from aiops.wire.layout import frozen
from aiops.wire.peers import PEER_KEYS
from aiops.wire.spans import LONG_KEY, SHORT_KEY, STATUS_KEYS, http_failure, odd_failure
from aiops.wire.walk import I32, I64, Items, fixed64, id_half, int32_of, read_length, read_tag, skip_field, varint64

U64 = NDArray[np.uint64]

# What a key of a length may be, whoever it is; keys of other lengths are passed over.
_PEER, _STATUS = 1, 2
_LENGTHS = np.zeros(256, np.int8)
_LENGTHS[[len(key) for key in PEER_KEYS]] |= _PEER
_LENGTHS[[len(key) for key in STATUS_KEYS]] |= _STATUS


class SpanFields(NamedTuple):
    """Fields of ``n`` spans.

    trace : uint64 (n, 2);  span, parent : uint64 (n,);  bad_id : bool (n,), as in ``SpanBatch``
    name : Slices, n rows;  kind, status : int32 (n,);  start, end : uint64 (n,)
    failed : bool (n,), whether the HTTP status is 500 or more
    attributes : Slices, KeyValue bytes of all attributes that may be one of ``PEER_KEYS``
    attribute_offsets : int32 (n + 1,), those of span i are from [i] to [i + 1]
    """

    trace: U64
    span: U64
    parent: U64
    bad_id: NDArray[np.bool_]
    name: Slices
    kind: I32
    status: I32
    start: U64
    end: U64
    failed: NDArray[np.bool_]
    attributes: Slices
    attribute_offsets: I32


@njit(nogil=True, cache=True)
def _spans(
    data: Any, start: Any, end: Any, message: Any, base: Any, fault: Any, lengths: Any, long: Any, short: Any,
    trace: Any, span: Any, bad: Any, name: Any, kind: Any, status: Any, time: Any, failed: Any, attribute: Any,
    offsets: Any, odd: Any,
) -> Any:  # fmt: skip
    """Fill the columns; return how many attributes may name a peer, and how many only the slow path understands."""
    n, n_odd = 0, 0
    for row in range(len(start)):
        i: Any = np.int64(start[row])
        at, stop = i, np.int64(end[row])
        trace[row, 0] = trace[row, 1] = span[0, row] = span[1, row] = np.uint64(0)
        name[0, row] = name[1, row] = 0
        kind[row] = status[row] = 0
        time[0, row] = time[1, row] = np.uint64(0)
        failed[row] = False
        offsets[row] = n
        while 0 <= i < stop:
            at = i
            tag, i = read_tag(data, i, stop)
            if i < 0:
                break
            if tag == 74:  # attributes
                begin, i = read_length(data, i, stop)
                if i - begin < 2:
                    continue
                what = lengths[data[begin + 1]]
                if what & _STATUS or data[begin] != 10:
                    failure = http_failure(data, begin, i, long, short)
                    failed[row] |= failure > 0
                    if failure < 0:
                        if n_odd < odd.shape[1]:
                            odd[0, n_odd], odd[1, n_odd], odd[2, n_odd] = row, begin, i
                        n_odd += 1
                if what & _PEER:
                    if n < attribute.shape[1]:
                        attribute[0, n], attribute[1, n] = begin, i
                    n += 1
            elif tag == 10:
                begin, i = read_length(data, i, stop)
                good = i - begin == 16
                trace[row, 0] = id_half(data, begin) if good else np.uint64(0)
                trace[row, 1] = id_half(data, begin + 8) if good else np.uint64(0)
            elif tag == 18 or tag == 34:
                begin, i = read_length(data, i, stop)
                span[0 if tag == 18 else 1, row] = id_half(data, begin) if i - begin == 8 else np.uint64(0)
            elif tag == 42:
                begin, i = read_length(data, i, stop)
                name[0, row], name[1, row] = begin, i
            elif tag == 57 or tag == 65:  # times
                if i + 8 > stop:
                    i = -1
                    break
                time[(tag - 57) >> 3, row] = fixed64(data, i)
                i += 8
            elif tag == 48:
                value, i = varint64(data, i, stop)
                kind[row] = int32_of(value)
            elif tag == 122:  # status
                i, inner = read_length(data, i, stop)
                while 0 <= i < inner:
                    tag, i = read_tag(data, i, inner)
                    if i < 0:
                        break
                    if tag == 24:
                        value, i = varint64(data, i, inner)
                        status[row] = int32_of(value)
                    else:
                        i = skip_field(data, i, inner, tag)
            else:
                i = skip_field(data, i, stop, tag)
        bad[row] = (trace[row, 0] | trace[row, 1]) == np.uint64(0) or span[0, row] == np.uint64(0)
        if i < 0 and fault[message[row]] < 0:
            fault[message[row]] = at - base[message[row]]
    offsets[len(start)] = n
    return n, n_odd


def span_fields(found: Items, base: I64) -> SpanFields:
    """Fields of the items of `found`; where one is no span, the fault of its payload is noted there.

    Parameters
    ----------
    base : int64 array, shape (n_payloads,), where each payload begins in the buffer
    """
    data, start, end = found.items
    n, room, odd_room = len(start), 2 * len(start) + 64, 64
    trace, span, bad = np.empty((n, 2), np.uint64), np.empty((2, n), np.uint64), np.empty(n, np.bool_)
    name, numbers, failed = np.empty((2, n), np.int32), np.empty((2, n), np.int32), np.empty(n, np.bool_)
    time, offsets = np.empty((2, n), np.uint64), np.empty(n + 1, np.int32)
    while True:
        attribute, odd = np.empty((2, room), np.int32), np.empty((3, odd_room), np.int32)
        used, n_odd = _spans(
            data, start, end, found.message, base, found.fault, _LENGTHS, LONG_KEY, SHORT_KEY, trace, span, bad, name,
            numbers[0], numbers[1], time, failed, attribute, offsets, odd,
        )  # fmt: skip
        if used <= room and n_odd <= odd_room:
            break
        room, odd_room = max(room, used), max(odd_room, n_odd)
    for row, begin, stop in odd[:, :n_odd].T.tolist():
        failed[row] |= odd_failure(data[begin:stop].tobytes())
    frozen(attribute), frozen(numbers), frozen(offsets)
    return SpanFields(
        trace, span[0], span[1], bad, Slices(data, *frozen(name)), numbers[0], numbers[1], time[0], time[1], failed,
        Slices(data, attribute[0, :used], attribute[1, :used]), offsets,
    )  # fmt: skip
