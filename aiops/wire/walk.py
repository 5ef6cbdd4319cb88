"""OTLP protobuf bytes -> where the resources and items of each payload stand, and the steps of a walk over fields.

The three requests have one outer form, ``{1: {1: resource, 2: {2: item}}}``; what is inside an item is walked by the
module of its signal.  The kernels allocate nothing and do not recurse, so hostile bytes can neither exhaust a stack nor
memory; a position of -1 stands for bytes that are no protobuf.  Fields that are unknown, or known but of another wire
type, are skipped as protobuf demands; groups, which OTLP does not have, are refused.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.columns import Slices
from aiops.wire.layout import frozen

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

_U7, _U127 = np.uint64(7), np.uint64(127)
_SLACK = bytes(8)


class Items(NamedTuple):
    """The outer form of some payloads.

    fault : int64 (n_payloads,), where a payload stops being protobuf, -1 where it does not
    resource : Slices, one a resource;  items : Slices, one an item
    owner : int32 (n_items,), resource of each item;  message : int32 (n_items,), payload of each item
    """

    fault: I64
    resource: Slices
    items: Slices
    owner: I32
    message: I32


@njit(inline="always")
def varint64(data: Any, i: Any, end: Any) -> Any:
    """Varint of up to ten bytes at `i` -> (value as uint64, next position or -1)."""
    value, shift = np.uint64(0), np.uint64(0)
    while i < end and shift < np.uint64(70):
        byte = np.uint64(data[i])
        i += 1
        value |= (byte & _U127) << shift
        if byte <= _U127:
            return value, (i if shift < np.uint64(63) or byte < np.uint64(2) else -1)
        shift += _U7
    return value, -1


@njit(inline="always")
def fixed64(data: Any, i: Any) -> Any:
    """The eight bytes at `i` as a little-endian integer; the caller has seen that they are there."""
    value = np.uint64(0)
    for k in range(8):
        value |= np.uint64(data[i + k]) << np.uint64(8 * k)
    return value


@njit(inline="always")
def id_half(data: Any, i: Any) -> Any:
    """The eight bytes at `i` as a big-endian integer, half a trace id; the caller has seen that they are there."""
    value = np.uint64(0)
    for k in range(8):
        value = value << np.uint64(8) | np.uint64(data[i + k])
    return value


@njit(inline="always")
def int32_of(value: Any) -> Any:
    """The int32 or enum that a varint stands for: its low 32 bits."""
    return np.int32(value & np.uint64(0xFFFF_FFFF))


@njit(inline="always")
def read_tag(data: Any, i: Any, end: Any) -> Any:
    """Tag at `i` -> (tag, next position or -1): field number * 8 + wire type."""
    if i < end and data[i] < 128:
        return np.int64(data[i]), (i + 1 if data[i] > 7 else -1)
    value, i = varint64(data, i, end)
    if value > np.uint64(0xFFFF_FFFF) or value < np.uint64(8):
        i = -1
    return np.int64(value & np.uint64(0xFFFF_FFFF)), i


@njit(inline="always")
def read_length(data: Any, i: Any, end: Any) -> Any:
    """Length at `i` -> (begin, end) of what it measures, (-1, -1) where that goes beyond `end`."""
    if i < end and data[i] < 128:
        begin, length = i + 1, np.int64(data[i])
    else:
        value, begin = varint64(data, i, end)
        length = np.int64(min(value, np.uint64(0x7FFF_FFFF)))
    if begin < 0 or length > end - begin:
        return -1, -1
    return begin, begin + length


@njit(nogil=True, cache=True)
def skip_field(data: Any, i: Any, end: Any, tag: Any) -> Any:
    """Position behind the value of a field, -1 where it goes beyond `end` or is a group."""
    wire = tag & 7
    if wire == 2:
        _, i = read_length(data, i, end)
    elif wire == 0:
        _, i = varint64(data, i, end)
    elif wire == 1:
        i += 8
    elif wire == 5:
        i += 4
    else:
        return -1
    return i if i <= end else -1


@njit(nogil=True, cache=True)
def _outer(
    data: Any, edges: Any, fault: Any, resource_start: Any, resource_end: Any, start: Any, end: Any, owner: Any,
    message: Any,
) -> Any:  # fmt: skip
    """Fill the columns as far as they reach and return how many resources and items there are."""
    n_resources, n_items = 0, 0
    for m in range(len(fault)):
        fault[m] = -1
        i, stop = edges[m], edges[m + 1]
        at = i
        while 0 <= i < stop:
            at = i
            tag, i = read_tag(data, i, stop)
            if i < 0:
                break
            if tag != 10:
                i = skip_field(data, i, stop, tag)
                continue
            i, resource_stop = read_length(data, i, stop)
            if i < 0:
                break
            r = n_resources
            n_resources += 1
            if r < len(resource_start):
                resource_start[r] = resource_end[r] = 0
            while 0 <= i < resource_stop:
                at = i
                tag, i = read_tag(data, i, resource_stop)
                if i < 0:
                    break
                if tag == 10:
                    begin, i = read_length(data, i, resource_stop)
                    if r < len(resource_start) and i >= 0:
                        resource_start[r], resource_end[r] = begin, i
                    continue
                if tag != 18:
                    i = skip_field(data, i, resource_stop, tag)
                    continue
                i, scope_stop = read_length(data, i, resource_stop)
                while 0 <= i < scope_stop:
                    at = i
                    tag, i = read_tag(data, i, scope_stop)
                    if i < 0:
                        break
                    if tag != 18:
                        i = skip_field(data, i, scope_stop, tag)
                        continue
                    begin, i = read_length(data, i, scope_stop)
                    if i < 0:
                        break
                    if n_items < len(start):
                        start[n_items], end[n_items] = begin, i
                        owner[n_items], message[n_items] = r, m
                    n_items += 1
        if i < 0:
            fault[m] = at - edges[m]
    return n_resources, n_items


def walk_items(payloads: list[bytes]) -> tuple[Items, I64]:
    """Lay the payloads out in one buffer and find their resources and items; those of a faulty payload count too.

    Returns
    -------
    items : Items
    base : int64 array, shape (n_payloads,), where each payload begins in the buffer
    """
    edges = np.zeros(len(payloads) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, payloads), np.int64, len(payloads)), out=edges[1:])
    data = np.frombuffer(b"".join([*payloads, _SLACK]), np.uint8)
    fault = np.empty(len(payloads), np.int64)
    n_resources, n_items = int(edges[-1]) // 512 + 64, int(edges[-1]) // 128 + 64  # of most payloads more than enough
    while True:
        resource = np.empty((2, n_resources), np.int32)
        item = np.empty((4, n_items), np.int32)
        r, n = _outer(data, edges, fault, resource[0], resource[1], item[0], item[1], item[2], item[3])
        if r <= n_resources and n <= n_items:
            break
        n_resources, n_items = max(r, n_resources), max(n, n_items)
    frozen(resource), frozen(item)
    found = Items(
        fault,
        Slices(data, resource[0, :r], resource[1, :r]),
        Slices(data, item[0, :n], item[1, :n]),
        item[2, :n],
        item[3, :n],
    )
    return found, edges[:-1]
