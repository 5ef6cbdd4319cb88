"""Changes of how a series moves: its level, its swing, its trend, and that it stands still.

In: a value.  State: a few moving means.  Out: for each a feature that is large where something has changed, in units of what it
usually is; for a value that is stuck, -log10 of the probability of so long a run, by how often this series repeats itself.
"""

from __future__ import annotations

import math
from typing import Any

from numba import njit

from aiops.bank import columns as c

MEMORY = 0.003  # least gain of what is usual: 330 points
SLOW_GAIN, FAST_GAIN = 0.03, 0.3  # least gains of the two means whose distance is a shift of the level
SWING_GAIN = 1.0 / 12.0  # least gain of the mean step
TREND_GAIN = 0.05  # least gain of the level and of its slope
MIDDLE_GAIN = 0.1  # least gain of the moving mean that a forecast must beat
CLIP, CLIP_ERROR = 6.0, 8.0  # usual sizes that a feature and an error count at most when they are learned
SETTLED, SWING_SETTLED, TREND_SETTLED = 20, 60, 100  # points after which they are clipped
SWING_START = 20  # points before the swing is compared
STUCK_LEAST = 4  # repeats of a value before they can be news
STUCK_LONGEST = 255  # repeats after which standing still is what the series does
STUCK_KNOWN = 100  # changes and runs before anything is known of them
STUCK_USUAL = 0.5  # share of repeats from which a series is one that stands still
MOST = 8.0  # decades


@njit(nogil=True, cache=True, error_model="numpy")
def shift(number: Any, r: Any, y: Any, n: Any) -> Any:
    """Distance of a slow mean from a fast one, in units of what it usually is, or -1; then learn."""
    if n == 0:
        number[r, c.SLOW_MEAN], number[r, c.FAST_MEAN] = y, y
        return -1.0
    k = 1.0 / (n + 1)
    number[r, c.SLOW_MEAN] += max(SLOW_GAIN, k) * (y - number[r, c.SLOW_MEAN])
    q, g = abs(number[r, c.SLOW_MEAN] - number[r, c.FAST_MEAN]), number[r, c.SHIFT_SCALE]
    number[r, c.SHIFT_SCALE] = g + max(MEMORY, 1.0 / n) * ((min(q, CLIP * g) if n > SETTLED else q) - g)
    number[r, c.FAST_MEAN] += max(FAST_GAIN, k) * (y - number[r, c.FAST_MEAN])
    return q / (g + 1e-12) if g > 0 else -1.0


@njit(nogil=True, cache=True, error_model="numpy")
def swing(number: Any, r: Any, step: Any, n: Any) -> Any:
    """How far the mean step is from its usual size, up or down, in units of what it usually is, or -1; then learn."""
    if n == 0:
        return -1.0
    number[r, c.SWING] += max(SWING_GAIN, 1.0 / n) * (step - number[r, c.SWING])
    z = math.log2(number[r, c.SWING] + 1e-12)
    if n <= SWING_START:
        number[r, c.SWING_LOG] = z
        return -1.0
    e, g = z - number[r, c.SWING_LOG], number[r, c.SWING_SCALE]
    k = max(MEMORY, 1.0 / (n - SWING_START + 1))
    number[r, c.SWING_LOG] += k * e
    number[r, c.SWING_SCALE] = g + k * ((min(abs(e), CLIP * g) if n > SWING_SETTLED else abs(e)) - g)
    return abs(e) / (g + 1e-9) if g > 0 else -1.0


@njit(nogil=True, cache=True, error_model="numpy")
def trend(number: Any, r: Any, y: Any, n: Any) -> Any:
    """How far the slope of the level is from its usual one, in units of what that usually is, or -1; then learn."""
    if n == 0:
        number[r, c.TREND_LEVEL] = y
        return -1.0
    k = max(TREND_GAIN, 1.0 / (n + 1))
    move = k * (y - number[r, c.TREND_LEVEL])
    number[r, c.TREND_LEVEL] += move
    number[r, c.TREND_NOW] += k * (move - number[r, c.TREND_NOW])
    e, g = number[r, c.TREND_NOW] - number[r, c.TREND_SLOW], number[r, c.TREND_SCALE]
    q, k = abs(e), max(MEMORY, 1.0 / n)
    number[r, c.TREND_SCALE] = g + k * ((min(q, CLIP * g) if n > TREND_SETTLED else q) - g)
    number[r, c.TREND_SLOW] += k * e
    return q / (g + 1e-15) if g > 0 else -1.0


@njit(nogil=True, cache=True, error_model="numpy")
def errors(number: Any, r: Any, y: Any, step: Any, n: Any) -> None:
    """Follow the mean step and the moving mean with its error: what a forecast must beat."""
    if n == 0:
        number[r, c.MIDDLE] = y
        return
    g, e, k = number[r, c.STEP], y - number[r, c.MIDDLE], max(MEMORY, 1.0 / n)
    number[r, c.STEP] = g + k * ((min(step, CLIP_ERROR * g) if n > SETTLED else step) - g)
    g = number[r, c.MIDDLE_ERROR]
    number[r, c.MIDDLE_ERROR] = g + k * ((min(abs(e), CLIP_ERROR * g) if n > SETTLED else abs(e)) - g)
    number[r, c.MIDDLE] += max(MIDDLE_GAIN, 1.0 / (n + 1)) * e


@njit(nogil=True, cache=True, error_model="numpy")
def stuck(integer: Any, r: Any, same: Any) -> Any:
    """-log10 P of a run of equal values as long as this one; a run is learned when it is over."""
    run = int(integer[r, c.RUN])
    if not same:
        if run > 0:
            _learn_run(integer, r, run)
        integer[r, c.CHANGES] = min(integer[r, c.CHANGES] + 1, 1 << 30)
        integer[r, c.RUN] = 0
        return 0.0
    run = min(run + 1, 1 << 30)
    integer[r, c.RUN] = run
    if run == STUCK_LONGEST:
        _learn_run(integer, r, run)
    changes, runs = float(integer[r, c.CHANGES]), float(integer[r, c.RUNS])
    if run < STUCK_LEAST or run >= STUCK_LONGEST or changes + runs < STUCK_KNOWN:
        return 0.0
    first = (runs + 0.5) / (changes + 1.0)
    again = (float(integer[r, c.REPEATED]) + 1.0) / (float(integer[r, c.REPEATS]) + 2.0)
    if first >= STUCK_USUAL:
        return 0.0
    return min(MOST, -math.log10(first) - (run - 1) * math.log10(again))


@njit(nogil=True, cache=True, error_model="numpy")
def _learn_run(integer: Any, r: Any, run: Any) -> None:
    integer[r, c.RUNS] = min(integer[r, c.RUNS] + 1, 1 << 30)
    integer[r, c.REPEATS] = min(integer[r, c.REPEATS] + run, 1 << 30)
    integer[r, c.REPEATED] = min(integer[r, c.REPEATED] + run - 1, 1 << 30)
