"""Transition surprise: -log10 P(level now | level six points ago), levels over a range that follows the data.

In: the value and that six points before, and the running extremes.  State: 32 x 32 byte counters, row sums, the range.
Out: -log10 of the smoothed conditional probability.  The range is the extremes and half their distance on both sides;
it is set at 32 points, looked at again at each doubling up to 1024 and every 1024 points from there; counts move to
the new levels (amortised O(1)).  A row is halved when one of its bytes is full: frequent transitions fade, rare ones are kept.
"""

from __future__ import annotations

import math
from typing import Any

from numba import njit

LEVELS, LAG = 32, 6
MARGIN = 0.5  # of the range, on either side
BACK_OFF = 2.0  # weight of the marginal distribution, in points
FIRST, STEADY = 32, 1024  # points: first range, longest time between two looks at it
WARM_UP = 256  # points without a score
FULL = 250


@njit(nogil=True, cache=True, error_model="numpy")
def level(x: Any, low: Any, width: Any) -> Any:
    """Level 0 .. LEVELS - 1 of a value; what is outside of the range has the outermost."""
    return int(min(max((x - low) / width * LEVELS, 0.0), LEVELS - 1.0))


@njit(nogil=True, cache=True, error_model="numpy")
def transition(counts: Any, sums: Any, i: Any, c: Any, k: Any) -> Any:
    """Score the step from level `c` to level `k` of row `i` of counts and their row sums; then learn."""
    num, den = 0.0, 0.0
    for a in range(-1, 2):
        r = c + a
        if 0 <= r < LEVELS:
            w = 1.0 if a == 0 else 0.5
            x = 0.5 * counts[i, r, k]
            if k > 0:
                x += 0.25 * counts[i, r, k - 1]
            if k < LEVELS - 1:
                x += 0.25 * counts[i, r, k + 1]
            num += w * x
            den += w * sums[i, r]
    m, n = 0.5 * sums[i, k] + 0.5 / LEVELS, 0.5
    if k > 0:
        m += 0.25 * sums[i, k - 1]
    if k < LEVELS - 1:
        m += 0.25 * sums[i, k + 1]
    for j in range(LEVELS):
        n += sums[i, j]
    s = -math.log10((num + BACK_OFF * m / n) / (den + BACK_OFF))
    learn(counts, sums, i, c, k)
    return s


@njit(nogil=True, cache=True, error_model="numpy")
def learn(counts: Any, sums: Any, i: Any, c: Any, k: Any) -> None:
    """Count the step from level `c` to level `k`."""
    counts[i, c, k] += 1
    sums[i, c] += 1
    if counts[i, c, k] >= FULL:
        t = 0
        for j in range(LEVELS):
            counts[i, c, j] >>= 1
            t += counts[i, c, j]
        sums[i, c] = t


@njit(nogil=True, cache=True, error_model="numpy")
def move(counts: Any, sums: Any, i: Any, low: Any, width: Any, new_low: Any, new_width: Any) -> None:
    """Move the counts of row `i` to the levels of a new range."""
    old = counts[i].copy()
    counts[i] = 0
    sums[i] = 0
    for c in range(LEVELS):
        to = level(low + (c + 0.5) / LEVELS * width, new_low, new_width)
        for k in range(LEVELS):
            if old[c, k]:
                at = level(low + (k + 0.5) / LEVELS * width, new_low, new_width)
                x = min(int(counts[i, to, at]) + int(old[c, k]), FULL - 1)
                sums[i, to] += x - counts[i, to, at]
                counts[i, to, at] = x
