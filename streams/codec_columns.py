"""Columns of whole numbers <-> bytes: as many bytes a number as their range needs, or each distinct number once.

A number is written as what it exceeds the least by, byte by byte: first the low bytes of all numbers, then the next ones.
So high bytes, which are mostly alike, lie together for the producer's compression, and to write or read them is a loop that
the compiler turns into vector instructions.  A column of one number takes no bytes.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.identity import mix
from streams import codec_frame as frame
from streams.codec_frame import CodecError

I64 = NDArray[np.int64]

_U1, _U8 = np.uint64(1), np.uint64(8)
_NOTHING = memoryview(b"")
LEAST, MOST = -1 << 63, 1 << 63
MOST_DISTINCT = 1 << 16  # numbers written once each: their places take two bytes at most


class Column(msgspec.Struct, frozen=True, array_like=True):
    """Whole numbers (int64): ``base`` plus what `planes` hold, `width` bytes a number.

    `places` are empty, or say of each row which of the numbers it has.
    """

    base: int
    width: int
    planes: memoryview
    places: memoryview


def close(values: I64, width: int = 0) -> Column:
    """Numbers that lie close together, such as times; of `width` bytes each at least."""
    base, width, planes = _planes(values, width)
    return Column(base, width, planes.data, _NOTHING)


def few(values: I64) -> Column:
    """Numbers of which few are distinct, such as the times at which processes began; others are written as by ``close``."""
    base, width, planes = _planes(values, 0)
    if width < 2:
        return Column(base, width, planes.data, _NOTHING)
    distinct, place = _distinct(values, min(len(values) // 4, MOST_DISTINCT))
    narrow = 1 if len(distinct) <= 1 << 8 else 2
    if not len(distinct) or len(distinct) * width + len(values) * narrow >= len(planes):
        return Column(base, width, planes.data, _NOTHING)
    base, width, planes = _planes(distinct, 0)
    return Column(base, width, planes.data, frame.raw_codes(place, len(distinct)))


def numbers(field: str, column: Column, n: int, low: int = LEAST, high: int = MOST) -> I64:
    """The `n` numbers of a column, each of which must be one of `low` .. `high` - 1.

    A column of one number says nothing of how many there are: the caller knows `n` from one that takes bytes.
    """
    base, width, planes, places = column.base, column.width, column.planes, column.places
    size = len(planes) // width if len(places) and width else n
    if not (0 <= width <= 8 and LEAST <= base < MOST):
        raise CodecError(f"{field} has numbers of {width} bytes above {base}")
    if size < 0 or len(planes) != size * width or (len(places) and not width):
        raise CodecError(f"{field} has {len(planes)} bytes, not the {n * width} of {n} rows")
    out: I64
    out, least, greatest = _numbers(np.frombuffer(planes, np.uint8), size, width, base)
    if size and not low <= least <= greatest < high:
        raise CodecError(f"{field} holds {least} .. {greatest}, not {low} .. {high - 1}")
    return out.take(frame.codes(field, places, n, size)) if len(places) else out


# ---- kernels ------------------------------------------------------------------------------------------------------------
@njit(nogil=True, cache=True)
def _planes(values: Any, width: Any) -> Any:
    """The least of some numbers, how many bytes the others exceed it by, and these (uint8, shape (width * n,))."""
    n = len(values)
    if n == 0:
        return np.int64(0), width, np.empty(0, np.uint8)
    low = high = values[0]
    for value in values:
        low, high = min(low, value), max(high, value)
    span = np.uint64(high) - np.uint64(low)
    while width < 8 and span >> (_U8 * np.uint64(width)) != 0:
        width += 1
    out = np.empty(width * n, np.uint8)
    for k in range(width):
        plane, shift = out[k * n : (k + 1) * n], _U8 * np.uint64(k)
        for row in range(n):
            plane[row] = np.uint8((np.uint64(values[row]) - np.uint64(low)) >> shift & np.uint64(255))
    return low, width, out


@njit(nogil=True, cache=True)
def _numbers(planes: Any, n: Any, width: Any, base: Any) -> Any:
    """What ``_planes`` took apart, with the least and the greatest of the numbers."""
    out = np.full(n, base, np.int64)
    for k in range(width):
        plane, shift = planes[k * n : (k + 1) * n], np.int64(8 * k)
        for row in range(n):
            out[row] += np.int64(plane[row]) << shift
    least = greatest = np.int64(base)
    if n:
        least = greatest = out[0]
    for value in out:
        least, greatest = min(least, value), max(greatest, value)
    return out, least, greatest


@njit(nogil=True, cache=True)
def _distinct(values: Any, limit: Any) -> Any:
    """Distinct numbers in order of first sight (int64), and the place of each row's among them (int32).

    None where there are more than `limit`, or where finding them takes long: who knows the hash can send such numbers.
    """
    n, tries = len(values), 4 * len(values) + 64
    size = 64
    while size < 2 * limit:
        size *= 2
    mask = np.uint64(size - 1)
    table = np.full(size, -1, np.int32)
    distinct, place = np.empty(limit, np.int64), np.empty(n, np.int32)
    found = 0
    for row in range(n):
        value = values[row]
        slot = mix(np.uint64(value) + _U1) & mask
        while table[slot] >= 0 and distinct[table[slot]] != value:
            slot = (slot + _U1) & mask
            tries -= 1
        if table[slot] < 0:
            if found == limit or tries < 0:
                return distinct[:0], place
            table[slot] = found
            distinct[found] = value
            found += 1
        place[row] = table[slot]
    return distinct[:found], place
