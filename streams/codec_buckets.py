"""Bucket vectors of histograms <-> columns: counts as whole numbers of as many bytes as the greatest of a value needs.

Where any number of a value is no whole one from 0 to 2**53, all are written as doubles.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numba import njit
from numpy.typing import NDArray

from streams import codec_columns as columns
from streams import codec_frame as frame
from streams.codec_columns import Column
from streams.codec_frame import CodecError

I64 = NDArray[np.int64]

_MOST = 1 << 53  # beyond it not every whole number is a double
_NOTHING = memoryview(b"")


class BucketsBody(msgspec.Struct, array_like=True):
    """The vectors of the rows that have any, one behind the other: how long each is, and `n` counts or doubles."""

    lengths: Column
    n: int
    counts: Column | None
    doubles: memoryview


def buckets_body(buckets: NDArray[np.float64], offsets: I64, at: I64) -> BucketsBody | None:
    """The vectors of the rows `at`; None where none of them has any."""
    rows, total = _sizes(offsets, at)
    if not total:
        return None
    lengths, doubles = np.empty(rows, np.int64), np.empty(total)
    _gather(buckets, offsets, at, lengths, doubles)
    counts = np.empty(total, np.int64)
    if _whole(doubles, doubles.view(np.int64), counts):
        return BucketsBody(columns.few(lengths), total, columns.close(counts, 1), _NOTHING)
    return BucketsBody(columns.few(lengths), total, None, frame.raw(doubles, "<f8"))


def read_buckets(body: BucketsBody | None, flags: NDArray[np.uint8], flag: int) -> tuple[NDArray[np.float64], I64]:
    """The vectors of the rows that have a `flag`, and the offsets of all rows.

    Raises
    ------
    CodecError
    """
    offsets = np.zeros(len(flags) + 1, np.int64)
    rows = int(_offsets(flags, flag, np.empty(0, np.int64), offsets))
    if body is None:
        if rows:
            raise CodecError(f"metrics.buckets are missing of {rows} rows")
        return np.empty(0), offsets
    lengths = columns.numbers("metrics.buckets: lengths", body.lengths, rows, 1, 1 << 31)
    if int(lengths.sum()) != body.n:
        raise CodecError(f"metrics.buckets: lengths add up to {int(lengths.sum())}, not {body.n}")
    _offsets(flags, flag, lengths, offsets)
    if body.counts is None:
        return frame.array("metrics.buckets: doubles", body.doubles, "<f8", body.n), offsets
    if not body.counts.width:
        raise CodecError("metrics.buckets: counts take no bytes, which would not say how many they are")
    counts = columns.numbers("metrics.buckets: counts", body.counts, body.n, 0, _MOST)
    return counts.astype(np.float64), offsets


# ---- kernels ------------------------------------------------------------------------------------------------------------
@njit(nogil=True, cache=True)
def _sizes(offsets: Any, at: Any) -> Any:
    """How many of the rows have a vector, and how many numbers there are."""
    rows, total = 0, 0
    for row in at:
        length = offsets[row + 1] - offsets[row]
        rows += length > 0
        total += length
    return rows, total


@njit(nogil=True, cache=True)
def _gather(buckets: Any, offsets: Any, at: Any, lengths: Any, out: Any) -> None:
    """Lengths and numbers of the vectors."""
    rows, used = 0, 0
    for row in at:
        low, high = offsets[row], offsets[row + 1]
        if low == high:
            continue
        lengths[rows] = high - low
        rows += 1
        for place in range(low, high):
            out[used] = buckets[place]
            used += 1


@njit(nogil=True, cache=True)
def _whole(doubles: Any, bits: Any, out: Any) -> Any:
    """The numbers as counts; whether all of them are some.  `bits`: of the doubles, as -0.0 is none and equals 0.0."""
    for k in range(len(doubles)):
        x = doubles[k]
        if not (bits[k] >= 0 and x < _MOST):
            return False
        count = np.int64(x)
        if np.float64(count) != x:
            return False
        out[k] = count
    return True


@njit(nogil=True, cache=True)
def _offsets(flags: Any, flag: Any, lengths: Any, out: Any) -> Any:
    """How many rows have a `flag`; with their lengths, the offsets of all rows."""
    rows = 0
    for row in range(len(flags)):
        out[row + 1] = out[row]
        if flags[row] & flag:
            if len(lengths):
                out[row + 1] += lengths[rows]
            rows += 1
    return rows
