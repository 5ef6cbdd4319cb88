"""Bucket counts of histogram points -> flat float columns; exponential histograms -> counts in one fixed grid.

Exponential histograms of one series may change scale and offset from point to point.  In the fixed grid all their
bucket vectors have one length and can be added; at two cells an octave a quantile is off by a factor of sqrt(2) at
most.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

_HALF_OCTAVES = 64  # grid exponents run from -64 to 64 half octaves: 2**-32 .. 2**32
CELLS = 2 * _HALF_OCTAVES + 2  # one for zero and what is below 2**-32 first, one for what is above 2**32 last

GRID: NDArray[np.float64] = 2.0 ** (np.arange(-_HALF_OCTAVES, _HALF_OCTAVES + 1) / 2.0)
"""Upper bounds of the cells of the fixed grid but the last: float64, shape (129,); a cell holds (lower, upper]."""
GRID.flags.writeable = False


@njit(inline="always")
def grid_cell(index: Any, scale: Any) -> Any:
    """Cell that holds the upper bound of exponential bucket `index`, which is ``2 ** ((index + 1) * 2 ** -scale)``.

    In integers: from scale 1 on a source bucket lies within one cell.
    """
    upper = np.int64(index) + 1
    if scale >= 1:
        half = ((upper - 1) >> min(np.int64(scale) - 1, np.int64(62))) + 1
    else:
        shift = 1 - np.int64(scale)
        half = upper << shift if shift < 24 and abs(upper) < (1 << 38) else upper * (1 << 24)
    return min(max(half + _HALF_OCTAVES, 0), CELLS - 1)


@njit(nogil=True, cache=True)
def exponential_buckets(
    scale: Any, zero: Any, plus: Any, plus_at: Any, plus_first: Any, minus: Any, minus_at: Any, keep: Any, out: Any
) -> Any:
    """Counts of exponential points in the grid.

    Parameters
    ----------
    scale : int32 array, shape (n,)
    zero : uint64 array, shape (n,)
    plus, plus_at, plus_first : counts (uint64), their offsets (int32, shape (n + 1,)), index of the first (int32, (n,))
    minus, minus_at : the same for negative values, which count as zero
    keep : bool array, shape (n,)
    out : float64 array of zeros, shape (number kept, CELLS)
    """
    row = 0
    for i in range(len(scale)):
        if not keep[i]:
            continue
        out[row, 0] += np.float64(zero[i])
        for j in range(minus_at[i], minus_at[i + 1]):
            out[row, 0] += np.float64(minus[j])
        for j in range(plus_at[i], plus_at[i + 1]):
            if plus[j]:
                out[row, grid_cell(np.int64(plus_first[i]) + (j - plus_at[i]), scale[i])] += np.float64(plus[j])
        row += 1


@njit(nogil=True, cache=True)
def well_formed(count_at: Any, bounds: Any, bound_at: Any, stale: Any) -> Any:
    """Which histogram points have usable buckets: bool, shape (n,).

    Usable: bounds that rise, one count more than bounds, and at least one bound (a single bucket only repeats `count`).
    """
    keep = np.zeros(len(stale), np.bool_)
    for i in range(len(stale)):
        n_bounds = bound_at[i + 1] - bound_at[i]
        good = not stale[i] and n_bounds > 0 and count_at[i + 1] - count_at[i] == n_bounds + 1
        if good:
            good = bounds[bound_at[i]] == bounds[bound_at[i]]
            for j in range(bound_at[i] + 1, bound_at[i + 1]):
                good = good and bounds[j - 1] < bounds[j]
        keep[i] = good
    return keep


@njit(nogil=True, cache=True)
def explicit_buckets(counts: Any, count_at: Any, keep: Any, offsets: Any) -> Any:
    """Counts of the points that are kept, as floats, one after the other; fills `offsets` (int64, shape (n + 1,))."""
    offsets[0] = 0
    for i in range(len(keep)):
        offsets[i + 1] = offsets[i] + (count_at[i + 1] - count_at[i] if keep[i] else 0)
    out = np.empty(offsets[-1], np.float64)
    for i in range(len(keep)):
        at = offsets[i]
        for j in range(offsets[i + 1] - at):
            out[at + j] = np.float64(counts[count_at[i] + j])
    return out
