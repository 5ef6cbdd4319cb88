"""Calibrated surprise: any non-negative feature of a series, given as log2, becomes -log10 of its own tail probability.

In: one feature value a point.  State per series and term: ``BINS`` log-spaced counters and three numbers.  Out: -log10
P(feature as high as this), 0 while the value is outside the top tenth.  O(1) a point, amortised; the counters are integers.

Nine points in ten lie below the 90 % point and cost one comparison; only the others walk the bins.  Within the top 2 % the
tail is not counted but fitted: excesses over the 98 % point are exponential in log2 (a Pareto tail, as in peaks over
threshold), their mean is drawn towards a prior.  Counting alone cannot tell a record from a far record, and a fixed
slope overrates series with heavy tails.
"""

from __future__ import annotations

import math
from typing import Any

from numba import njit

BINS, PER_OCTAVE, LOWEST_OCTAVE = 48, 4.0, -3.0  # 2^-3 .. 2^9 in units of the feature's own mean
ONE = 8  # weight of one point: lets a single count fade through three halvings
FORGET = 8000  # points; at this total every count is halved, so the memory is 4000-8000 points
WARM_UP = 50  # points without a score
TOP = 0.10  # below this share the surprise is reported as 0
FITTED, FITTED_LEAST = 0.02, 8  # share of the fitted tail, and the fewest points in it
PRIOR_EXCESS, PRIOR_WEIGHT = 0.25, 10.0  # octaves, points
MOST = 8.0  # no single term may claim more than 10^-8
FARTHEST = 4.0 * BINS  # bins: beyond this a feature is as high as can be
TOTAL, PLACE, ABOVE = range(3)  # columns of `place`: weight of all, bin of the 90 % point, weight at or above it
_LOG10_E = 0.4342944819032518


@njit(nogil=True, cache=True, inline="always")
def log2(x: Any) -> Any:
    """The logarithm to base 2, cut at -40."""
    return math.log2(x) if x > 1e-12 else -40.0


@njit(nogil=True, cache=True, inline="always")
def excess(s: Any, quiet: Any) -> Any:
    """What a surprise is beyond `quiet` decades."""
    return s - quiet if s > quiet else 0.0


@njit(nogil=True, cache=True)
def surprise(counts: Any, place: Any, bins: Any, r: Any, t: Any, log2_feature: Any) -> Any:
    """Score term `t` of row `r`, then learn.

    Parameters
    ----------
    counts : uint16[n, TERMS, BINS]
    place : uint16[n, TERMS, 3]
    bins : uint8[n, TERMS]
        Remembers the bin of the newest point, for feedback.
    """
    y = (log2_feature - LOWEST_OCTAVE) * PER_OCTAVE
    b = min(max(int(y), 0), BINS - 1)
    total, top = int(place[r, t, TOTAL]), int(place[r, t, PLACE])
    s = 0.0
    if b >= top and total >= WARM_UP * ONE:
        most = max(int(FITTED * total), FITTED_LEAST * ONE)
        c, beyond, u = 0, 0, BINS
        while u > 0 and c + counts[r, t, u - 1] <= most:
            u -= 1
            c += counts[r, t, u]
            beyond += counts[r, t, u] * u
        if b >= u:
            mean = ((beyond - c * (u - 0.5)) / PER_OCTAVE + PRIOR_WEIGHT * ONE * PRIOR_EXCESS) / (
                c + PRIOR_WEIGHT * ONE
            )
            s = (
                -math.log10((c + 0.5 * ONE) / (total + ONE))
                + _LOG10_E * max(min(y, FARTHEST) - u, 0.0) / PER_OCTAVE / mean
            )
        else:
            for k in range(b, u):
                c += counts[r, t, k]
            s = -math.log10((c + 0.5 * ONE) / (total + ONE))
        s = min(s, MOST)
    bins[r, t] = b
    count(counts, place, r, t, b, ONE)
    return s


@njit(nogil=True, cache=True)
def count(counts: Any, place: Any, r: Any, t: Any, b: Any, weight: Any) -> None:
    """Add `weight` to bin `b`, halve what is full, and follow the 90 % point."""
    total, top, above = int(place[r, t, 0]), int(place[r, t, 1]), int(place[r, t, 2])
    counts[r, t, b] += weight
    total += weight
    if b >= top:
        above += weight
    if total >= FORGET * ONE:
        total, above = 0, 0
        for k in range(BINS):
            counts[r, t, k] >>= 1
            total += counts[r, t, k]
            if k >= top:
                above += counts[r, t, k]
    while above > TOP * total:
        above -= counts[r, t, top]
        top += 1
    while top > 0 and above + counts[r, t, top - 1] <= TOP * total:
        top -= 1
        above += counts[r, t, top]
    place[r, t, 0], place[r, t, 1], place[r, t, 2] = total, top, above
