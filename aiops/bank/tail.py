"""Calibrated surprise: any non-negative feature of a series becomes -log10 of its own tail probability.

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

BINS, PER_OCTAVE, LOWEST_OCTAVE = 48, 4.0, -3  # 2^-3 .. 2^9 in units of the feature's own mean
LOWEST = 2.0**LOWEST_OCTAVE
QUARTERS = (0.5 * 2.0**0.25, 0.5 * 2.0**0.5, 0.5 * 2.0**0.75)  # of an octave, as mantissas
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


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def bin_of(feature: Any) -> Any:
    """Bin of a feature: its octave, and the quarter of it by three comparisons, because a logarithm costs more than all else."""
    if feature < LOWEST:
        return 0
    mantissa, exponent = math.frexp(feature)
    quarter = (mantissa >= QUARTERS[0]) + (mantissa >= QUARTERS[1]) + (mantissa >= QUARTERS[2])
    return min(4 * (exponent - 1 - LOWEST_OCTAVE) + quarter, BINS - 1)


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def surprises(counts: Any, place: Any, bins: Any, r: Any, features: Any, spoke: Any) -> None:
    """Score all terms of row `r`, then learn; one loop, because a call with arrays costs as much as its work.

    Parameters
    ----------
    counts : uint16[n, CALIBRATED, BINS]
    place : uint16[n, CALIBRATED, 3]
    bins : uint8[n, CALIBRATED]
        Remembers the bin of the newest point, for feedback.
    features : float64[CALIBRATED]
        What a term has measured; below 0 = nothing.
    spoke : float64[CALIBRATED or more], filled
        -log10 P of each.
    """
    for t in range(len(features)):
        spoke[t] = 0.0
        feature = features[t]
        if feature < 0:
            continue
        b = bin_of(feature)
        total, top, above = int(place[r, t, TOTAL]), int(place[r, t, PLACE]), int(place[r, t, ABOVE])
        if b >= top and total >= WARM_UP * ONE:
            spoke[t] = upper(counts, r, t, b, feature, total)
        bins[r, t] = b
        counts[r, t, b] += ONE
        total += ONE
        if b >= top:
            above += ONE
        if total >= FORGET * ONE or above > TOP * total or (top > 0 and above + counts[r, t, top - 1] <= TOP * total):
            follow(counts, place, r, t, total, top, above)
        else:
            place[r, t, TOTAL], place[r, t, ABOVE] = total, above


@njit(nogil=True, cache=True, error_model="numpy")
def upper(counts: Any, r: Any, t: Any, b: Any, feature: Any, total: Any) -> Any:
    """-log10 P of a feature in bin `b`, which is in the top tenth."""
    most = max(int(FITTED * total), FITTED_LEAST * ONE)
    c, beyond, u = 0, 0, BINS
    while u > 0 and c + counts[r, t, u - 1] <= most:
        u -= 1
        c += counts[r, t, u]
        beyond += counts[r, t, u] * u
    if b < u:
        for k in range(b, u):
            c += counts[r, t, k]
        return min(-math.log10((c + 0.5 * ONE) / (total + ONE)), MOST)
    mean = ((beyond - c * (u - 0.5)) / PER_OCTAVE + PRIOR_WEIGHT * ONE * PRIOR_EXCESS) / (c + PRIOR_WEIGHT * ONE)
    y = min((math.log2(feature) - LOWEST_OCTAVE) * PER_OCTAVE, FARTHEST) if feature >= LOWEST else 0.0
    s = -math.log10((c + 0.5 * ONE) / (total + ONE)) + _LOG10_E * max(y - u, 0.0) / PER_OCTAVE / mean
    return min(s, MOST)


@njit(nogil=True, cache=True, error_model="numpy")
def count(counts: Any, place: Any, r: Any, t: Any, b: Any, weight: Any) -> None:
    """Add `weight` to bin `b`."""
    counts[r, t, b] += weight
    above = int(place[r, t, ABOVE]) + (weight if b >= place[r, t, PLACE] else 0)
    follow(counts, place, r, t, int(place[r, t, TOTAL]) + weight, int(place[r, t, PLACE]), above)


@njit(nogil=True, cache=True, error_model="numpy")
def follow(counts: Any, place: Any, r: Any, t: Any, total: Any, top: Any, above: Any) -> None:
    """Halve what is full, and move the 90 % point to where it is."""
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
    place[r, t, TOTAL], place[r, t, PLACE], place[r, t, ABOVE] = total, top, above
