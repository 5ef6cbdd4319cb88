"""Bytes of metrics -> the columns of their points, one set a kind.

A metric holds one of five kinds of data.  Bytes may name several: then the last counts, and data of one kind that comes
in parts is put together, as protobuf demands.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.columns import EXPONENTIAL, GAUGE, HISTOGRAM, KINDS, SUM, SUMMARY, Slices
from aiops.wire.layout import frozen
from aiops.wire.metrics import NO_RECORDED_VALUE, Explicit, Exponential, Points
from aiops.wire.walk import I32, I64, Items, fixed64, int32_of, read_length, read_tag, skip_field, varint64

U64 = NDArray[np.uint64]

# What a field of a point is, whatever number it has in its kind.
(
    _SKIP, _START, _TIME, _DOUBLE, _INT, _COUNT, _SUM, _ATTRIBUTE, _FLAGS, _COUNTS, _ONE_COUNT, _BOUNDS, _ONE_BOUND,
    _SCALE, _ZERO, _POSITIVE, _NEGATIVE,
) = range(17)  # fmt: skip
_FIXED, _VARINT, _BYTES = 1, 0, 2


def _actions() -> NDArray[np.int8]:
    """By kind and tag; all tags of points are below 128."""
    table = np.zeros((len(KINDS), 128), np.int8)
    number = [(2, _FIXED, _START), (3, _FIXED, _TIME)]
    measured = [*number, (4, _FIXED, _COUNT), (5, _FIXED, _SUM)]
    scalar = [*number, (4, _FIXED, _DOUBLE), (6, _FIXED, _INT), (7, _BYTES, _ATTRIBUTE), (8, _VARINT, _FLAGS)]
    fields = {
        GAUGE: scalar,
        SUM: scalar,
        HISTOGRAM: [
            *measured, (6, _BYTES, _COUNTS), (6, _FIXED, _ONE_COUNT), (7, _BYTES, _BOUNDS), (7, _FIXED, _ONE_BOUND),
            (9, _BYTES, _ATTRIBUTE), (10, _VARINT, _FLAGS),
        ],
        EXPONENTIAL: [
            *measured, (1, _BYTES, _ATTRIBUTE), (6, _VARINT, _SCALE), (7, _FIXED, _ZERO), (8, _BYTES, _POSITIVE),
            (9, _BYTES, _NEGATIVE), (10, _VARINT, _FLAGS),
        ],
        SUMMARY: [*measured, (7, _BYTES, _ATTRIBUTE), (8, _VARINT, _FLAGS)],
    }  # fmt: skip
    for kind, listed in fields.items():
        for field, wire, action in listed:
            table[kind, field << 3 | wire] = action
    return table


_ACTIONS = _actions()


class MetricFields(NamedTuple):
    """Fields of ``n`` metrics, and their points by kind."""

    name: Slices
    unit: Slices
    points: list[Points]


@njit(nogil=True, cache=True)
def _kind_of(tag: Any) -> Any:
    """Kind of the data that a field of a metric is, -1 where it is none."""
    return 0 if tag == 42 else 1 if tag == 58 else 2 if tag == 74 else 3 if tag == 82 else 4 if tag == 90 else -1


@njit(nogil=True, cache=True)
def _metrics(
    data: Any, start: Any, end: Any, message: Any, base: Any, fault: Any, slices: Any, temporality: Any,
    monotonic: Any, room: Any, counts: Any, point: Any,
) -> None:  # fmt: skip
    """Fill the columns of the metrics, and for each kind metric, begin and end of its points as far as `room` reaches."""
    for row in range(len(start)):
        i: Any = np.int64(start[row])
        at, stop = i, np.int64(end[row])
        slices[0, row] = slices[1, row] = slices[2, row] = slices[3, row] = 0
        temporality[row] = 0
        monotonic[row] = False
        kind, since = -1, i  # the data that counts is of this kind and begins here
        while 0 <= i < stop:
            at = i
            tag, i = read_tag(data, i, stop)
            if i < 0:
                break
            found = _kind_of(tag)
            if tag == 10 or tag == 26:
                begin, i = read_length(data, i, stop)
                k = 0 if tag == 10 else 2
                slices[k, row], slices[k + 1, row] = begin, i
            else:
                i = skip_field(data, i, stop, tag)
                if found >= 0 and found != kind:
                    kind, since = found, at
        if i >= 0 and kind >= 0:
            i = since
            while 0 <= i < stop:
                at = i
                tag, i = read_tag(data, i, stop)
                if _kind_of(tag) != kind:
                    i = skip_field(data, i, stop, tag)
                    continue
                i, inner = read_length(data, i, stop)
                while 0 <= i < inner:
                    at = i
                    tag, i = read_tag(data, i, inner)
                    if i < 0:
                        break
                    if tag == 10:
                        begin, i = read_length(data, i, inner)
                        if i < 0:
                            break
                        n = counts[kind]
                        if n < room:
                            point[kind, 0, n], point[kind, 1, n], point[kind, 2, n] = row, begin, i
                        counts[kind] = n + 1
                    elif tag == 16 and 0 < kind < 4:
                        value, i = varint64(data, i, inner)
                        temporality[row] = int32_of(value)
                    elif tag == 24 and kind == 1:
                        value, i = varint64(data, i, inner)
                        monotonic[row] = value != np.uint64(0)
                    else:
                        i = skip_field(data, i, inner, tag)
        if i < 0 and fault[message[row]] < 0:
            fault[message[row]] = at - base[message[row]]


@njit(nogil=True, cache=True)
def _append(data: Any, i: Any, end: Any, out: Any, n: Any) -> Any:
    """Append packed 64-bit numbers -> (how many there are now, `end` or -1)."""
    if i < 0 or (end - i) & 7:
        return n, -1
    while i < end:
        out[n] = fixed64(data, i)
        n += 1
        i += 8
    return n, end


@njit(nogil=True, cache=True)
def _buckets(data: Any, i: Any, end: Any, first: Any, out: Any, n: Any) -> Any:
    """Read one side of an exponential histogram -> (its first index, how many numbers there are now, `end` or -1)."""
    first = np.int32(first)
    while 0 <= i < end:
        tag, i = read_tag(data, i, end)
        if i < 0:
            break
        if tag == 8:
            value, i = varint64(data, i, end)
            first = _zigzag(value)
        elif tag == 16:
            value, i = varint64(data, i, end)
            if i >= 0:
                out[n] = value
                n += 1
        elif tag == 18:
            i, stop = read_length(data, i, end)
            while 0 <= i < stop:
                value, i = varint64(data, i, stop)
                if i >= 0:
                    out[n] = value
                    n += 1
        else:
            i = skip_field(data, i, end, tag)
    return first, n, i


@njit(inline="always")
def _zigzag(value: Any) -> Any:
    low = np.int64(value & np.uint64(0xFFFF_FFFF))
    return np.int32((low >> 1) ^ -(low & 1))


@njit(nogil=True, cache=True)
def _points(
    data: Any, metric: Any, start: Any, end: Any, message: Any, base: Any, fault: Any, actions: Any, absent: Any,
    no_value: Any, time: Any, bits: Any, count: Any, stale: Any, attribute: Any, attribute_offsets: Any, first: Any,
    zero: Any, a: Any, a_offsets: Any, b: Any, b_offsets: Any,
) -> Any:  # fmt: skip
    """Fill the columns of the points of one kind; return how many attributes, first and second numbers they have.

    `a` are bucket counts or those of the positive side, `b` are bounds or the counts of the negative side.
    """
    n, n_a, n_b = 0, 0, 0
    double = np.empty(1)
    double_bits = double.view(np.uint64)
    for row in range(len(start)):
        i: Any = np.int64(start[row])
        at, stop = i, np.int64(end[row])
        time[0, row] = time[1, row] = np.uint64(0)
        bits[row], count[row] = absent, 1.0 if no_value else 0.0
        given, flags = not no_value, np.uint64(0)
        first[0, row] = first[1, row] = 0
        zero[row] = np.uint64(0)
        attribute_offsets[row], a_offsets[row], b_offsets[row] = n, n_a, n_b
        while 0 <= i < stop:
            at = i
            tag, i = read_tag(data, i, stop)
            if i < 0:
                break
            action = actions[tag] if tag < 128 else _SKIP
            if action == _ATTRIBUTE:
                begin, i = read_length(data, i, stop)
                if n < attribute.shape[1]:
                    attribute[0, n], attribute[1, n] = begin, i
                n += 1
            elif action == _SKIP:
                i = skip_field(data, i, stop, tag)
            elif tag & 7 == _FIXED:
                if i + 8 > stop:
                    i = -1
                    break
                value = fixed64(data, i)
                i += 8
                if action == _TIME:
                    time[0, row] = value
                elif action == _START:
                    time[1, row] = value
                elif action in (_DOUBLE, _SUM):
                    bits[row], given = value, True
                elif action == _INT:
                    double[0] = np.float64(np.int64(value))
                    bits[row], given = double_bits[0], True
                elif action == _COUNT:
                    count[row] = np.float64(value)
                elif action == _ZERO:
                    zero[row] = value
                elif action == _ONE_COUNT:
                    a[n_a] = value
                    n_a += 1
                else:
                    b[n_b] = value
                    n_b += 1
            elif action == _FLAGS:
                flags, i = varint64(data, i, stop)
            elif action == _SCALE:
                value, i = varint64(data, i, stop)
                first[0, row] = _zigzag(value)
            else:
                begin, i = read_length(data, i, stop)
                if action == _COUNTS:
                    n_a, i = _append(data, begin, i, a, n_a)
                elif action == _BOUNDS:
                    n_b, i = _append(data, begin, i, b, n_b)
                elif action == _POSITIVE:
                    first[1, row], n_a, i = _buckets(data, begin, i, first[1, row], a, n_a)
                else:
                    _, n_b, i = _buckets(data, begin, i, 0, b, n_b)
        stale[row] = (flags & np.uint64(NO_RECORDED_VALUE)) != np.uint64(0) or not given
        if i < 0 and fault[message[metric[row]]] < 0:
            fault[message[metric[row]]] = at - base[message[metric[row]]]
    attribute_offsets[len(start)], a_offsets[len(start)], b_offsets[len(start)] = n, n_a, n_b
    return n, n_a, n_b


def metric_fields(found: Items, base: I64) -> MetricFields:
    """Fields of the items of `found`; where one is no metric, the fault of its payload is noted there.

    Parameters
    ----------
    base : int64 array, shape (n_payloads,), where each payload begins in the buffer
    """
    data, start, end = found.items
    n = len(start)
    slices, temporality = np.empty((4, n), np.int32), np.empty(n, np.int32)
    monotonic = np.empty(n, np.bool_)
    room = 16 * n + 64
    while True:
        counts, point = np.zeros(len(KINDS), np.int64), np.empty((len(KINDS), 3, room), np.int32)
        _metrics(
            data, start, end, found.message, base, found.fault, slices, temporality, monotonic, room, counts, point
        )
        most = int(counts.max())
        if most <= room:
            break
        room = most
    frozen(slices), frozen(point)
    points = [
        _of_kind(kind, data, point[kind, :, :size], found, base, temporality, monotonic)
        for kind, size in enumerate(counts.tolist())
        if size
    ]
    return MetricFields(Slices(data, slices[0], slices[1]), Slices(data, slices[2], slices[3]), points)


def _of_kind(
    kind: int, data: NDArray[np.uint8], point: I32, found: Items, base: I64, temporality: I32,
    monotonic: NDArray[np.bool_],
) -> Points:  # fmt: skip
    n = point.shape[1]
    size = int((point[2] - point[1]).sum(dtype=np.int64))  # bytes: a packed double has 8, a packed varint 1 at least
    numbers = size // 8 + 1 if kind == HISTOGRAM else size + 1 if kind == EXPONENTIAL else 1
    time, bits, zero = np.empty((2, n), np.uint64), np.empty(n, np.uint64), np.empty(n, np.uint64)
    count, stale, first = np.empty(n), np.empty(n, np.bool_), np.empty((2, n), np.int32)
    offsets = np.empty((3, n + 1), np.int32)
    a, b = np.empty(numbers, np.uint64), np.empty(numbers, np.uint64)
    absent = np.array([np.nan if kind in (HISTOGRAM, EXPONENTIAL) else 0.0]).view(np.uint64)[0]
    room = 8 * n + 64
    while True:
        attribute = np.empty((2, room), np.int32)
        used, n_a, n_b = _points(
            data, point[0], point[1], point[2], found.message, base, found.fault, _ACTIONS[kind], absent,
            kind in (GAUGE, SUM), time, bits, count, stale, attribute, offsets[0], first, zero, a, offsets[1], b,
            offsets[2],
        )  # fmt: skip
        if used <= room:
            break
        room = used
    frozen(attribute), frozen(offsets)
    buckets: Explicit | Exponential | None = None
    if kind == HISTOGRAM:
        buckets = Explicit(a[:n_a], offsets[1], b[:n_b].view(np.float64), offsets[2])
    elif kind == EXPONENTIAL:
        buckets = Exponential(first[0], zero, a[:n_a], offsets[1], first[1], b[:n_b], offsets[2])
    timeless = kind in (GAUGE, SUMMARY)
    return Points(
        kind=kind,
        metric=point[0],
        time=time[0],
        start=time[1],
        value=bits.view(np.float64),
        count=count,
        stale=stale,
        attributes=Slices(data, attribute[0, :used], attribute[1, :used]),
        attribute_offsets=offsets[0],
        temporality=np.zeros_like(temporality) if timeless else temporality,
        monotonic=monotonic if kind == SUM else np.zeros_like(monotonic),
        buckets=buckets,
    )
