"""Cells of metric rows <-> columns: one flag byte a row, and only what its flags say that there is.

Most series have one point in a window.  A cell that one point explains to the last bit is written as that point; a value
of 0, a count of 0 and a start time of 0 take nothing, a value that is a whole number of 32 bits as many bytes as the column
needs.  Other cells are written as the 16 columns of ``CELL``.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.ingest.exact_sums import ABSENT, EMPTY, WIDTH
from aiops.ingest.metric_windows import MOST
from aiops.signals import CELL, WINDOW
from streams import codec_columns as columns
from streams import codec_frame as frame
from streams.codec_columns import Column
from streams.codec_frame import CodecError

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]

# What a flag byte says of its row.
POINT, COUNTED, STARTED, BUCKETS = 1, 2, 4, 8  # one point explains it; with a count; with a start time; it has buckets
WHOLE, DOUBLE = 16, 32  # the value is a whole number, or any; neither: it is 0

_WORDS = CELL.itemsize // 8
_PLACE = {name: k for k, name in enumerate(CELL.names or ())}
_POINTS, _HIGH, _MID, _LOW, _GRID = (_PLACE[n] for n in ("points", "sum_high", "sum_mid", "sum_low", "sum_grid"))
_MIN, _MAX, _FIRST_TIME, _FIRST = (_PLACE[n] for n in ("min", "max", "first_time", "first"))
_LAST_TIME, _LAST, _FIRST_COUNT, _LAST_COUNT = (_PLACE[n] for n in ("last_time", "last", "first_count", "last_count"))
_COUNT, _START, _STALE = (_PLACE[n] for n in ("count", "start", "stale_time"))

_LONGEST_COUNT = float(1 << 53)  # beyond it not every whole number is a double
_LARGEST_WHOLE = float(1 << 31)
_MASK = np.uint64((1 << WIDTH) - 1)
_FRACTION = np.uint64((1 << 52) - 1)
_U1 = np.uint64(1)


class CellsBody(msgspec.Struct, array_like=True):
    """Cells of ``n`` rows; what is of points comes in the order of their rows, times as ns from the start of the window.

    `others` are the columns of ``CELL``, none where every cell is a point.
    """

    flags: memoryview
    times: Column
    wholes: Column
    doubles: memoryview
    counts: Column
    starts: Column
    others: list[Column]


def _words_of(cells: NDArray[np.void]) -> U64:
    """Cells as rows of 64-bit words: uint64, shape (n, 16)."""
    return np.ascontiguousarray(cells).view(np.uint64).reshape(len(cells), _WORDS)


def cells_body(cells: NDArray[np.void], at: I64, offsets: I64, window: int) -> CellsBody:
    """The cells of the rows `at`, of which those with buckets are marked: row k has them at ``offsets[k : k + 2]``."""
    words = _words_of(cells)
    flags, times, wholes, doubles, counts, starts, others = _split(words, words.view(np.float64), at, offsets, window)
    return CellsBody(
        flags.data, columns.few(times), columns.close(wholes), doubles.data, columns.close(counts),
        columns.few(starts), [columns.close(column) for column in others] if others.shape[1] else [],
    )  # fmt: skip


def read_cells(body: CellsBody, n: int, window: int) -> tuple[NDArray[np.void], NDArray[np.uint8]]:
    """The cells of `n` rows of the window that starts at `window` (Unix ns), and their flags.

    Raises
    ------
    CodecError
    """
    flags = frame.array("metrics.flags", body.flags, "<u1", n)
    bad, points, counted, started, wholes, doubles = _tally(flags)
    if bad >= 0:
        raise CodecError(f"metrics.flags holds {flags[bad]}, which no row can be")
    if len(body.others) not in ((_WORDS,) if points < n else (0,)):
        raise CodecError(f"metrics.others has {len(body.others)} columns, not the {_WORDS} of a cell")
    others = np.empty((_WORDS, n - points), np.int64)
    for k, (name, column) in enumerate(zip(_PLACE, body.others, strict=False)):
        others[k] = columns.numbers(f"metrics.others: {name}", column, n - points)
    times = columns.numbers("metrics.times", body.times, points, 0, WINDOW)
    counts = columns.numbers("metrics.counts", body.counts, counted, 1, int(_LONGEST_COUNT))
    largest = int(_LARGEST_WHOLE)
    whole = columns.numbers("metrics.wholes", body.wholes, wholes, -largest, largest)
    cells = np.empty(n, CELL)
    words = cells.view(np.uint64).reshape(n, _WORDS)
    _join(
        flags, times, whole, frame.array("metrics.doubles", body.doubles, "<f8", doubles), counts,
        columns.numbers("metrics.starts", body.starts, started), others, window, words, words.view(np.float64),
    )  # fmt: skip
    if points < n:
        _check_others(others, window)
    return cells, flags


def _check_others(others: NDArray[np.int64], window: int) -> None:
    """What kernels behind compute with: numbers of points, and times within the window."""
    points, stale = others[_POINTS], others[_STALE]
    frame.least("metrics.others: points", points, 0)
    for name in ("first_time", "last_time"):
        frame.between(f"metrics.others: {name}", others[_PLACE[name]][points > 0], window, window + WINDOW)
    frame.between("metrics.others: stale_time", stale[stale != 0], window, window + WINDOW)


# ---- kernels ------------------------------------------------------------------------------------------------------------
@njit(inline="always")
def _sum_of(bits: Any) -> Any:
    """The exact sum of one value, given by the bits of the double: what ``add_to_sum`` makes of an empty sum."""
    zero = np.int64(0)
    exponent, whole = np.int64(bits >> np.uint64(52) & np.uint64(2047)), bits & _FRACTION
    if exponent == 2047:
        return zero, zero, zero, np.int64(ABSENT)
    if exponent:
        whole |= _FRACTION + _U1
    elif not whole:
        return zero, zero, zero, np.int64(EMPTY)
    else:
        exponent = np.int64(1)
        while whole <= _FRACTION:
            whole, exponent = whole << _U1, exponent - 1
    exponent -= 1022
    grid = (exponent - 1) // WIDTH
    shift = exponent - WIDTH * grid + 27  # 28 .. 67: by how much the slices of the sum are finer than the value
    low = np.int64(whole << np.uint64(shift) & _MASK) if shift < WIDTH else zero
    mid = whole << np.uint64(shift - WIDTH) if shift >= WIDTH else whole >> np.uint64(WIDTH - shift)
    middle, high = np.int64(mid & _MASK), np.int64(whole >> np.uint64(2 * WIDTH - shift))
    if bits >> np.uint64(63):
        return -high, -middle, -low, grid
    return high, middle, low, grid


@njit(nogil=True, cache=True)
def _tally(flags: Any) -> Any:
    """First row whose flags contradict each other, -1 where none do; how many have each flag that goes with numbers."""
    points, counted, started, wholes, doubles = 0, 0, 0, 0, 0
    for row in range(len(flags)):
        flag = np.int64(flags[row])
        if flag & POINT:
            points += 1
            counted += flag & COUNTED != 0
            started += flag & STARTED != 0
            wholes += flag & WHOLE != 0
            doubles += flag & DOUBLE != 0
            if flag >= 2 * DOUBLE or flag & (WHOLE | DOUBLE) == WHOLE | DOUBLE:
                return row, points, counted, started, wholes, doubles
        elif flag & ~BUCKETS:
            return row, points, counted, started, wholes, doubles
    return -1, points, counted, started, wholes, doubles


@njit(nogil=True, cache=True)
def _split(words: Any, numbers: Any, at: Any, offsets: Any, window: Any) -> Any:
    n = len(at)
    flags, times = np.empty(n, np.uint8), np.empty(n, np.int64)
    wholes, doubles = np.empty(n, np.int64), np.empty(n, np.float64)
    counts, starts = np.empty(n, np.int64), np.empty(n, np.int64)
    other = np.empty(n, np.int64)
    n_points, n_whole, n_double, n_counts, n_starts, n_other = 0, 0, 0, 0, 0, 0
    for k in range(n):
        row = at[k]
        flag = BUCKETS if offsets[row + 1] > offsets[row] else 0
        value, count = words[row, _LAST], numbers[row, _LAST_COUNT]
        high, mid, low, grid = _sum_of(value)
        if not (
            words[row, _POINTS] == 1
            and words[row, _STALE] == 0
            and words[row, _FIRST] == value
            and words[row, _MIN] == value
            and words[row, _MAX] == value
            and words[row, _FIRST_TIME] == words[row, _LAST_TIME]
            and words[row, _FIRST_COUNT] == words[row, _LAST_COUNT]
            and 0.0 <= count < _LONGEST_COUNT
            and count == np.floor(count)
            and numbers[row, _COUNT] == min(count, MOST)
            and (count > 0.0 or (words[row, _COUNT] == 0 and words[row, _LAST_COUNT] == 0))
            and words[row, _HIGH] == np.uint64(high)
            and words[row, _MID] == np.uint64(mid)
            and words[row, _LOW] == np.uint64(low)
            and words[row, _GRID] == np.uint64(grid)
        ):
            flags[k], other[n_other] = flag, row
            n_other += 1
            continue
        flag |= POINT
        times[n_points] = np.int64(words[row, _LAST_TIME]) - window
        n_points += 1
        if value != 0:
            x = numbers[row, _LAST]
            if abs(x) < _LARGEST_WHOLE and np.float64(np.int64(x)) == x and x != 0.0:
                flag |= WHOLE
                wholes[n_whole] = np.int64(x)
                n_whole += 1
            else:
                flag |= DOUBLE
                doubles[n_double] = x
                n_double += 1
        if count > 0.0:
            flag |= COUNTED
            counts[n_counts] = np.int64(count)
            n_counts += 1
        if words[row, _START] != 0:
            flag |= STARTED
            starts[n_starts] = np.int64(words[row, _START])
            n_starts += 1
        flags[k] = flag
    others = np.empty((words.shape[1], n_other), np.int64)
    for k in range(n_other):
        for word in range(words.shape[1]):
            others[word, k] = np.int64(words[other[k], word])
    return flags, times[:n_points], wholes[:n_whole], doubles[:n_double], counts[:n_counts], starts[:n_starts], others


@njit(nogil=True, cache=True)
def _join(
    flags: Any, times: Any, wholes: Any, doubles: Any, counts: Any, starts: Any, others: Any, window: Any, words: Any,
    numbers: Any,
) -> None:  # fmt: skip
    """What ``_split`` took apart."""
    n_points, n_whole, n_double, n_counts, n_starts, n_other = 0, 0, 0, 0, 0, 0
    for row in range(len(flags)):
        flag = flags[row]
        if not flag & POINT:
            for word in range(words.shape[1]):
                words[row, word] = np.uint64(others[word, n_other])
            n_other += 1
            continue
        x, count, start = 0.0, 0.0, np.int64(0)
        if flag & WHOLE:
            x = np.float64(wholes[n_whole])
            n_whole += 1
        elif flag & DOUBLE:
            x = doubles[n_double]
            n_double += 1
        if flag & COUNTED:
            count = np.float64(counts[n_counts])
            n_counts += 1
        if flag & STARTED:
            start = starts[n_starts]
            n_starts += 1
        time = np.uint64(times[n_points] + window)
        n_points += 1
        numbers[row, _LAST] = x
        value = words[row, _LAST]
        high, mid, low, grid = _sum_of(value)
        words[row, _POINTS], words[row, _STALE], words[row, _START] = 1, 0, np.uint64(start)
        words[row, _HIGH], words[row, _MID] = np.uint64(high), np.uint64(mid)
        words[row, _LOW], words[row, _GRID] = np.uint64(low), np.uint64(grid)
        words[row, _FIRST], words[row, _MIN], words[row, _MAX] = value, value, value
        words[row, _FIRST_TIME], words[row, _LAST_TIME] = time, time
        numbers[row, _FIRST_COUNT], numbers[row, _LAST_COUNT] = count, count
        numbers[row, _COUNT] = min(count, MOST)
