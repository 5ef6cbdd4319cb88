"""Bytes of spans -> where their ids and names stand, their numbers, and the few attributes that anybody looks at."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.columns import Slices
from aiops.wire.arrow import frozen
from aiops.wire.peers import PEER_KEYS
from aiops.wire.spans import STATUS_KEYS
from aiops.wire.walk import I32, I64, Items, read_length, read_tag, skip_field, varint64

U64 = NDArray[np.uint64]

_WANTED = np.zeros(256, np.bool_)  # lengths of the keys that are looked at: what has another length is passed over
_WANTED[[len(key) for key in (*STATUS_KEYS, *PEER_KEYS)]] = True


class SpanFields(NamedTuple):
    """Fields of ``n`` spans.

    trace_id, span_id, parent_id, name : Slices, n rows;  kind, status : int32 (n,);  start, end : uint64 (n,)
    attributes : Slices, KeyValue bytes of all attributes that may be one of ``STATUS_KEYS`` or ``PEER_KEYS``
    attribute_offsets : int32 (n + 1,), those of span i are from [i] to [i + 1]
    """

    trace_id: Slices
    span_id: Slices
    parent_id: Slices
    name: Slices
    kind: I32
    status: I32
    start: U64
    end: U64
    attributes: Slices
    attribute_offsets: I32


@njit(inline="always")
def _fixed64(data: Any, i: Any) -> Any:
    value = np.uint64(0)
    for k in range(8):
        value |= np.uint64(data[i + k]) << np.uint64(8 * k)
    return value


@njit(inline="always")
def _int32(value: Any) -> Any:
    return np.int32(value & np.uint64(0xFFFF_FFFF))


@njit(nogil=True, cache=True)
def _spans(
    data: Any, start: Any, end: Any, owner: Any, base: Any, fault: Any, wanted: Any, slices: Any, kind: Any,
    status: Any, time: Any, attribute: Any, offsets: Any,
) -> Any:  # fmt: skip
    n = 0
    for row in range(len(start)):
        i, stop = np.int64(start[row]), np.int64(end[row])
        at = i
        for k in range(8):
            slices[k, row] = 0
        kind[row] = status[row] = 0
        time[0, row] = time[1, row] = np.uint64(0)
        offsets[row] = n
        while 0 <= i < stop:
            at = i
            tag, i = read_tag(data, i, stop)
            if i < 0:
                break
            if tag == 74:  # attributes
                begin, i = read_length(data, i, stop)
                if i - begin >= 2 and (data[begin] != 10 or wanted[data[begin + 1]]):
                    if n < attribute.shape[1]:
                        attribute[0, n], attribute[1, n] = begin, i
                    n += 1
            elif tag == 10 or tag == 18 or tag == 34 or tag == 42:  # ids and name
                begin, i = read_length(data, i, stop)
                k = 0 if tag == 10 else 2 if tag == 18 else 4 if tag == 34 else 6
                slices[k, row], slices[k + 1, row] = begin, i
            elif tag == 57 or tag == 65:  # times
                if i + 8 > stop:
                    i = -1
                    break
                time[(tag - 57) >> 3, row] = _fixed64(data, i)
                i += 8
            elif tag == 48:
                value, i = varint64(data, i, stop)
                kind[row] = _int32(value)
            elif tag == 122:  # status
                i, inner = read_length(data, i, stop)
                while 0 <= i < inner:
                    tag, i = read_tag(data, i, inner)
                    if i < 0:
                        break
                    if tag == 24:
                        value, i = varint64(data, i, inner)
                        status[row] = _int32(value)
                    else:
                        i = skip_field(data, i, inner, tag)
            else:
                i = skip_field(data, i, stop, tag)
        if i < 0 and fault[owner[row]] < 0:
            fault[owner[row]] = at - base[owner[row]]
    offsets[len(start)] = n
    return n


def span_fields(found: Items, base: I64) -> SpanFields:
    """Fields of the items of `found`; where one is no span, the fault of its payload is noted there.

    Parameters
    ----------
    base : int64 array, shape (n_payloads,), where each payload begins in the buffer
    """
    data, start, end = found.items
    n, room = len(start), 4 * len(start) + 64
    slices, numbers = np.empty((8, n), np.int32), np.empty((2, n), np.int32)
    time, offsets = np.empty((2, n), np.uint64), np.empty(n + 1, np.int32)
    while True:
        attribute = np.empty((2, room), np.int32)
        used = _spans(
            data, start, end, found.message, base, found.fault, _WANTED, slices, numbers[0], numbers[1], time,
            attribute, offsets,
        )  # fmt: skip
        if used <= room:
            break
        room = used
    frozen(slices), frozen(attribute), frozen(numbers), frozen(time), frozen(offsets)
    return SpanFields(
        *(Slices(data, slices[k], slices[k + 1]) for k in (0, 2, 4, 6)),
        numbers[0], numbers[1], time[0], time[1], Slices(data, attribute[0, :used], attribute[1, :used]), offsets,
    )  # fmt: skip
