"""The fused pass: columns (row of the series, event time, value) in; evidence, score, term, expected values and alert out.

Every point is scored first and learned after, and is a function of its series' earlier points only: batches may be cut anywhere
and series interleaved in any way.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from aiops.bank import calendar, forecast, fusion, origin, shapes, tail
from aiops.bank import transitions as tr
from aiops.bank.columns import (
    ALERT_AT,
    BIAS,
    BORROWED,
    DAY_ERROR,
    FAST,
    FAST_ERROR,
    HIGH,
    HIGH_BEFORE,
    LAST_ALERT,
    LEVEL,
    LONG,
    LOW,
    LOW_BEFORE,
    MEAN_LONG,
    MEAN_SHORT,
    MEAN_WIDE,
    NOVELTY,
    POINTS,
    RANGE_AT,
    RANGE_LOW,
    RANGE_WIDTH,
    SHORT,
    SLOT_POINTS,
    SPREAD,
    TERMS,
    TIME_OF_DAY,
    TRANSITION,
    WIDE,
)  # fmt: skip

SLOW, CLIP, CLIP_AFTER = 0.002, 8.0, 20  # slow level and spread: least gain; cut in spreads, after so many points
NOVELTY_WARM_UP = 50  # points before a value can be beyond all seen
BLOCK = 8192  # points: extremes are those of this block and the one before, so an absurd value is forgotten
RELATIVE_WIDTH = 0.05  # of the value: range of a series that was constant
SMALLEST_WIDTH = 1e-6  # units
WEIGHTS = np.array([1.0, 1.0, 0.5, 1.0, 0.5, 1.0])
RING = 32


@njit(nogil=True, cache=True)
def by_series(row: Any, n: Any) -> Any:
    """Order that groups a batch by series and keeps the order within each: a series' state is fetched once a batch."""
    start = np.zeros(n + 1, np.int64)
    for r in row:
        start[r + 1] += 1
    for r in range(n):
        start[r + 1] += start[r]
    order = np.empty(len(row), np.int64)
    for i in range(len(row)):
        order[start[row[i]]] = i
        start[row[i]] += 1
    return order


@njit(nogil=True, cache=True)
def _levels(s: Any, r: Any, n: Any, x: Any, y: Any) -> None:
    """At each doubling of the points, and every 1024 from there: a new range of levels, and a new origin where it is far."""
    number, integer = s.number, s.integer
    if n + 1 < integer[r, RANGE_AT] or n + 1 < tr.FIRST:
        return
    integer[r, RANGE_AT] = (n + 1) * 2 if n + 1 < tr.STEADY else n + 1 + tr.STEADY
    low, high = min(number[r, LOW], number[r, LOW_BEFORE]), max(number[r, HIGH], number[r, HIGH_BEFORE])
    width = high - low
    if width <= 0:
        width = np.float32(max(abs(s.origin[r, 0] * s.origin[r, 1] + high) * RELATIVE_WIDTH, SMALLEST_WIDTH))
    old_low, old_width = number[r, RANGE_LOW], number[r, RANGE_WIDTH]
    number[r, RANGE_LOW], number[r, RANGE_WIDTH] = low - tr.MARGIN * width, (1 + 2 * tr.MARGIN) * width
    new_low, new_width = number[r, RANGE_LOW], number[r, RANGE_WIDTH]
    if n + 1 == tr.FIRST:
        for j in range(tr.LAG, tr.FIRST):
            tr.learn(
                s.transition, s.transition_sum, r, tr.level(s.ring[r, 0, j - tr.LAG], new_low, new_width),
                tr.level(s.ring[r, 0, j], new_low, new_width),
            )  # fmt: skip
    elif new_low != old_low or new_width != old_width:
        tr.move(s.transition, s.transition_sum, r, old_low, old_width, new_low, new_width)
    if not origin.fits(s, r, x):
        origin.begin(s, r)
    elif origin.is_far(s, r):
        origin.shift(s, r, y, x)


@njit(nogil=True, cache=True)
def run(
    s: Any, row: Any, time: Any, value: Any, score: Any, evidence: Any, term: Any, alert: Any, expected: Any, lower: Any,
    upper: Any, detail: Any,
) -> None:  # fmt: skip
    """Feed a batch, grouped by series or not.

    Parameters
    ----------
    s : Rows
    row : int64[k]
    time : int64[k], Unix ns
    value : float64[k]
        Not finite = no value: nothing is learned, every output is NaN, no term, no alert.
    score, evidence, expected, lower, upper : float64[k], filled
    term : int8[k], filled
    alert : bool[k], filled
    detail : float64[k or 0, TERMS + 1], filled
        Surprise of each term and the trust in the time of day, for research.
    """
    number, integer, ring = s.number, s.integer, s.ring
    d, q = np.empty(48, np.float32), np.empty(8, np.float32)
    spoke = np.empty(len(TERMS))
    wanted = len(detail) > 0
    for i in range(len(row)):
        r, x = row[i], value[i]
        score[i], evidence[i], expected[i], lower[i], upper[i] = np.nan, np.nan, np.nan, np.nan, np.nan
        term[i], alert[i] = -1, False
        if not math.isfinite(x):
            continue
        y = origin.relative(s, r, x)
        n = int(integer[r, POINTS])
        spoke[:] = 0.0
        if n == 0:
            shapes.forget(s.wide, s.used, r, WIDE)
            shapes.forget(s.long, s.used, r, LONG)
            shapes.forget(s.short, s.used, r, SHORT)
            number[r, LOW], number[r, HIGH], number[r, LOW_BEFORE], number[r, HIGH_BEFORE] = y, y, y, y
        lent = int(integer[r, BORROWED])
        m, spread = number[r, LEVEL], number[r, SPREAD]
        ring[r, 0, n & 31] = y
        ring[r, 1, n & 31] = math.asinh((y - m) / (shapes.SQUASH * spread + 1e-9)) if n else 0.0
        k = max(SLOW, 1.0 / (n + 1))
        most = CLIP * spread if n > CLIP_AFTER else 1e30
        number[r, LEVEL] = m + k * min(max(y - m, -most), most)
        k = max(SLOW, 1.0 / (n + 1 + lent))
        number[r, SPREAD] = spread + k * (min(abs(y - m), most) - spread)

        if n >= shapes.FIRST[0]:
            for j in range(8):
                q[j] = ring[r, 1, (n - shapes.LAGS_WIDE[j]) & 31]
            f = shapes.distance(s.wide, s.used, number, MEAN_WIDE, r, 0, n, n - shapes.FIRST[0] + lent, q, d)
            if f >= 0:
                spoke[WIDE] = tail.surprise(s.tail, s.tail_place, s.tail_bin, r, WIDE, tail.log2(f))
        if n >= shapes.FIRST[1]:
            for j in range(6):
                q[j] = ring[r, 0, (n - shapes.LAGS_LONG[j]) & 31]
            f = shapes.distance(s.long, s.used, number, MEAN_LONG, r, 1, n, n - shapes.FIRST[1] + lent, q, d)
            if f >= 0:
                spoke[LONG] = tail.surprise(s.tail, s.tail_place, s.tail_bin, r, LONG, tail.log2(f))
        if n >= shapes.FIRST[2]:
            for j in range(4):
                q[j] = ring[r, 0, (n - shapes.LAGS_SHORT[j]) & 31]
            f = shapes.distance(s.short, s.used, number, MEAN_SHORT, r, 2, n, n - shapes.FIRST[2] + lent, q, d)
            if f >= 0:
                spoke[SHORT] = tail.surprise(s.tail, s.tail_place, s.tail_bin, r, SHORT, tail.log2(f))

        low, high = min(number[r, LOW], number[r, LOW_BEFORE]), max(number[r, HIGH], number[r, HIGH_BEFORE])
        beyond = max(y - high, low - y, np.float32(0)) if n >= NOVELTY_WARM_UP else np.float32(0)
        spoke[NOVELTY] = tail.surprise(
            s.tail, s.tail_place, s.tail_bin, r, NOVELTY, tail.log2(beyond / (high - low + 1e-9)) + 5.0
        )
        if n > 0 and n % BLOCK == 0:
            number[r, LOW_BEFORE], number[r, HIGH_BEFORE] = number[r, LOW], number[r, HIGH]
            number[r, LOW], number[r, HIGH] = y, y
        number[r, LOW], number[r, HIGH] = min(number[r, LOW], y), max(number[r, HIGH], y)

        if n >= tr.FIRST:
            now = tr.level(y, number[r, RANGE_LOW], number[r, RANGE_WIDTH])
            then = tr.level(ring[r, 0, (n - tr.LAG) & 31], number[r, RANGE_LOW], number[r, RANGE_WIDTH])
            f = tr.transition(s.transition, s.transition_sum, r, then, now)
            if n >= tr.WARM_UP:
                spoke[TRANSITION] = tail.surprise(s.tail, s.tail_place, s.tail_bin, r, TRANSITION, tail.log2(f))

        trust = calendar.trust(number, integer, r)
        slot = time[i] % calendar.DAY // calendar.SLOT
        known = s.slot_visits[r, slot] > 0
        usual = s.slot[r, slot, 0]
        f = calendar.residual(s.slot, s.slot_visits, number, integer, r, slot, y)
        if f >= 0:
            spoke[TIME_OF_DAY] = tail.surprise(s.tail, s.tail_place, s.tail_bin, r, TIME_OF_DAY, tail.log2(f))

        e, loudest = 0.0, 0.0
        for j in range(len(TERMS)):
            part = WEIGHTS[j] * tail.excess(spoke[j], fusion.QUIET)
            if j == TIME_OF_DAY:
                part *= trust
            e += part
            if part > loudest:
                loudest, term[i] = part, j
        evidence[i], score[i] = e, fusion.score(e)
        if fusion.may_alert(n - integer[r, ALERT_AT], number[r, LAST_ALERT], e):
            integer[r, ALERT_AT], number[r, LAST_ALERT] = n, e
            alert[i] = True

        error = number[r, FAST_ERROR]
        middle = forecast.follow(number, r, FAST, FAST_ERROR, y, n)
        if known:
            day_error = number[r, DAY_ERROR]
            bias = forecast.follow(number, r, BIAS, DAY_ERROR, y - usual, int(integer[r, SLOT_POINTS]) - 1)
            if trust > 0 and day_error < error:
                middle, error = usual + bias, day_error
        if n > 0:
            unit = 1.0 / s.origin[r, 1]
            expected[i] = s.origin[r, 0] + unit * middle
            lower[i], upper[i] = (
                expected[i] - unit * forecast.BOUND * error,
                expected[i] + unit * forecast.BOUND * error,
            )
        if wanted:
            detail[i, : len(TERMS)] = spoke
            detail[i, len(TERMS)] = trust
        integer[r, POINTS] = n + 1
        _levels(s, r, n, x, y)
