"""What was expected of a point, and between which bounds: for people, not for the score.

Two forecasts run beside each other: a fast level, and what this time of day usually brings, corrected by how the last points
differed from it.  The one that has erred less lately is told; the bounds lie ``BOUND`` of its mean errors on either side.
"""

from __future__ import annotations

from typing import Any

from numba import njit

FAST = 0.3  # least gain of the fast level and of the correction
MEMORY = 0.01  # least gain of the mean errors
BOUND = 4.0  # mean errors; 3.2 standard deviations where errors are normal
CLIP = 8.0  # mean errors that an error counts at most, from ``SETTLED`` points on
SETTLED = 20


@njit(nogil=True, cache=True)
def follow(number: Any, r: Any, level: Any, error: Any, x: Any, n: Any) -> Any:
    """Move the level in column `level` and the mean error in column `error` of row `r` towards `x`; the level before."""
    before = number[r, level]
    e, mean = x - before, number[r, error]
    learned = min(abs(e), CLIP * mean) if n > SETTLED and mean > 0 else abs(e)
    if n > 0:
        number[r, error] = mean + max(MEMORY, 1.0 / n) * (learned - mean)
    number[r, level] = before + max(FAST, 1.0 / (n + 1)) * e
    return before
