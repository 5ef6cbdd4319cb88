"""Sums of doubles that are the same, bit for bit, in whatever order the values come and sums are merged.

A value is cut at fixed places into slices of ``WIDTH`` bits; a sum holds the three highest slices in use, each as an
integer.  Integers add up in any order, and what is cut off below the third slice is cut off value by value, so it is
the same too: less than 2**-80 of the greatest value, for each value.  A slice has room for 8 million values.

After Demmel and Nguyen, "Parallel Reproducible Summation", IEEE Transactions on Computers 64 (2015): theirs holds
slices as doubles, which must be carried on before they overflow.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

WIDTH = 40  # bits of a slice
EMPTY = -64  # grid of a sum of nothing: below that of every double
ABSENT = 64  # grid of a sum of which a part is not finite: beyond that of every double
_MASK = (1 << WIDTH) - 1


@njit(nogil=True, cache=True)
def clear_sum(cell: Any) -> None:
    """Nothing has been added yet."""
    cell.sum_high = cell.sum_mid = cell.sum_low = 0
    cell.sum_grid = EMPTY


@njit(nogil=True, cache=True)
def _raise_grid(cell: Any, grid: Any) -> None:
    steps = grid - cell.sum_grid
    if steps == 1:
        cell.sum_low, cell.sum_mid, cell.sum_high = cell.sum_mid, cell.sum_high, 0
    elif steps == 2:
        cell.sum_low, cell.sum_mid, cell.sum_high = cell.sum_high, 0, 0
    else:
        cell.sum_low = cell.sum_mid = cell.sum_high = 0
    cell.sum_grid = grid


@njit(nogil=True, cache=True)
def _slice(whole: Any, shift: Any) -> Any:
    """Bits 0 .. WIDTH - 1 of `whole` shifted left by `shift`, which may be negative."""
    if shift >= WIDTH or shift <= -53:
        return np.int64(0)
    return (whole << shift if shift >= 0 else whole >> -shift) & np.int64(_MASK)


@njit(nogil=True, cache=True)
def add_to_sum(cell: Any, value: Any) -> None:
    """Add one value; one that is not finite makes the sum NaN for ever."""
    if value == 0.0 or cell.sum_grid == ABSENT:
        return
    if not math.isfinite(value):
        _raise_grid(cell, ABSENT)
        return
    fraction, power = math.frexp(abs(value))
    exponent = np.int64(power)
    whole = np.int64(fraction * 9007199254740992.0)  # 53 bits; the last one stands for 2**(exponent - 53)
    grid = (exponent - 1) // WIDTH
    if grid > cell.sum_grid:
        _raise_grid(cell, grid)
    sign = np.int64(1) if value > 0.0 else np.int64(-1)
    shift = exponent - 53 - WIDTH * (cell.sum_grid - 2)
    cell.sum_low += sign * _slice(whole, shift)
    cell.sum_mid += sign * _slice(whole, shift - WIDTH)
    cell.sum_high += sign * _slice(whole, shift - 2 * WIDTH)


@njit(nogil=True, cache=True)
def merge_sum(cell: Any, other: Any) -> None:
    """Add the sum of `other` to that of `cell`; `other` may be raised to the grid of `cell`."""
    if other.sum_grid > cell.sum_grid:
        _raise_grid(cell, other.sum_grid)
    elif cell.sum_grid > other.sum_grid:
        _raise_grid(other, cell.sum_grid)
    cell.sum_low += other.sum_low
    cell.sum_mid += other.sum_mid
    cell.sum_high += other.sum_high


@njit(nogil=True, cache=True)
def total(cell: Any) -> Any:
    """The sum as a double: NaN where a part was not finite."""
    if cell.sum_grid == ABSENT:
        return np.nan
    high, mid, low = cell.sum_high, cell.sum_mid, cell.sum_low
    sign = 1.0
    for _ in range(2):
        mid += low >> WIDTH
        low &= np.int64(_MASK)
        high += mid >> WIDTH
        mid &= np.int64(_MASK)
        if high >= 0:
            break
        high, mid, low, sign = -high, -mid, -low, -1.0  # without cancellation the slices add up to nearly the last bit
    scaled = float(high) + (float(mid) + float(low) * 2.0**-WIDTH) * 2.0**-WIDTH
    return sign * math.ldexp(scaled, WIDTH * cell.sum_grid)
