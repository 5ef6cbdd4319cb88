"""Items of a batch -> the rows of each window, those that come too late left out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.signals import LATENESS, WINDOW

I64 = NDArray[np.int64]

_DUE = WINDOW + LATENESS


def rows_by_window(
    time: I64, before: I64, message: NDArray[np.int32], fresh: NDArray[np.bool_], usable: NDArray[np.bool_]
) -> tuple[list[tuple[int, I64]], int]:
    """Windows of the items that are on time, ascending, with their rows in order; and how many items are late.

    Parameters
    ----------
    time : int64 array, shape (n,), Unix ns, not negative
    before : int64 array, shape (n_messages,), the clock when each message arrives
    message : int32 array, shape (n,)
    fresh, usable : bool arrays, shape (n,)
        Only fresh items count as late; of these only usable ones are wanted.
    """
    number = np.empty(len(time), np.int64)
    kept, first, last, late = map(int, _numbers(time, before, message, fresh, usable, number))
    if not kept:
        return [], late
    if last - first <= 4 * len(time) + 1024:
        starts = np.zeros(last - first + 2, np.int64)
        rows = np.empty(kept, np.int64)
        _sort(number, first, starts, rows)
        used = np.flatnonzero(np.diff(starts))
        edges = zip(used.tolist(), starts[used].tolist(), starts[used + 1].tolist(), strict=True)
        return [((first + k) * WINDOW, rows[a:b]) for k, a, b in edges], late
    # Days apart, as where a queue is read again: a table of all windows between would be mostly empty.
    windows = np.unique(number[number >= 0])
    return [(window * WINDOW, np.flatnonzero(number == window)) for window in windows.tolist()], late


@njit(nogil=True, cache=True)
def _numbers(time: Any, before: Any, message: Any, fresh: Any, usable: Any, number: Any) -> Any:
    """Number of each item's window, -1 where it is not wanted; how many are, the first and last window, late items."""
    kept, late, first, last = 0, 0, np.int64(1) << 62, np.int64(-1)
    for row in range(len(time)):
        number[row] = -1
        if not fresh[row]:
            continue
        window = time[row] // WINDOW
        if window * WINDOW + _DUE <= before[message[row]]:
            late += 1
        elif usable[row]:
            number[row] = window
            first, last = min(first, window), max(last, window)
            kept += 1
    return kept, first, last, late


@njit(nogil=True, cache=True)
def _sort(number: Any, first: Any, starts: Any, rows: Any) -> None:
    """Counting sort; `starts` becomes where the rows of each window begin."""
    for n in number:
        if n >= 0:
            starts[n - first + 1] += 1
    for k in range(1, len(starts)):
        starts[k] += starts[k - 1]
    at = starts[:-1].copy()
    for row in range(len(number)):
        if number[row] >= 0:
            k = number[row] - first
            rows[at[k]] = row
            at[k] += 1
