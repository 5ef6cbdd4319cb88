"""The fused pass: columns (row of the series, event time, value) in; evidence, score, term, expected values and alert out.

Every point is scored first and learned after, and is a function of its series' earlier points only: batches may be cut anywhere
and series interleaved in any way.

numba keeps what it compiled by the time of this file alone: after a change in a module that it calls, clear the cache.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from aiops.bank import changes, fusion, origin, seasons, shapes, tail
from aiops.bank import columns as c
from aiops.bank import transitions as tr

SLOW, CLIP, CLIP_AFTER = 0.002, 8.0, 20  # slow level and spread: least gain; cut in spreads, after so many points
NOVELTY_WARM_UP = 50  # points before a value can be beyond all seen
BLOCK = 8192  # points: extremes are those of this block and the one before, so an absurd value is forgotten
RELATIVE_WIDTH = 0.05  # of the value: range of a series that was constant
SMALLEST_WIDTH = 1e-6  # units
NOVELTY_UNIT = 32.0  # of the range: in these units new extremes fall into the bins of a tail
BOUND = 4.0  # usual errors on either side of what is expected: 3.2 standard deviations where errors are normal


@njit(nogil=True, cache=True, error_model="numpy")
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


@njit(nogil=True, cache=True, error_model="numpy")
def _levels(s: Any, r: Any, n: Any, x: Any, y: Any) -> None:
    """At each doubling of the points, and every 1024 from there: a new range of levels, and a new origin where it is far."""
    number, integer = s.number, s.integer
    integer[r, c.RANGE_AT] = (n + 1) * 2 if n + 1 < tr.STEADY else n + 1 + tr.STEADY
    low, high = min(number[r, c.LOW], number[r, c.LOW_BEFORE]), max(number[r, c.HIGH], number[r, c.HIGH_BEFORE])
    width = high - low
    if width <= 0:
        width = np.float32(max(abs(s.origin[r, 0] * s.origin[r, 1] + high) * RELATIVE_WIDTH, SMALLEST_WIDTH))
    old_low, old_width = number[r, c.RANGE_LOW], number[r, c.RANGE_WIDTH]
    number[r, c.RANGE_LOW], number[r, c.RANGE_WIDTH] = low - tr.MARGIN * width, (1 + 2 * tr.MARGIN) * width
    new_low, new_width = number[r, c.RANGE_LOW], number[r, c.RANGE_WIDTH]
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


@njit(nogil=True, cache=True, error_model="numpy")
def run(s: Any, row: Any, time: Any, value: Any, place: Any, out: Any, term: Any, alert: Any, detail: Any) -> None:
    """Feed a batch, grouped by series or not.

    Parameters
    ----------
    s : Rows
    row : int64[k]
    time : int64[k], Unix ns
    value : float64[k]
        Not finite = no value: nothing is learned, every output is NaN, no term, no alert.
    place : int64[k]
        Where in the outputs each point belongs: what is written in random order does not wait, what is read does.
    out : float64[k, 5], filled
        Score, evidence, expected value, lower and upper bound.
    term : int8[k], filled
    alert : bool[k], filled
    detail : float64[k or 0, 2, c.TERMS], filled
        Surprise of each term and how far it is believed, for research.
    """
    origins, number, integer, ring = s.origin, s.number, s.integer, s.ring
    tails, places, bins = s.tail, s.tail_place, s.tail_bin
    slots, visits, week, week_visits = s.slot, s.slot_visits, s.week, s.week_visits
    wide, long, short, used = s.wide, s.long, s.short, s.used
    steps, step_sums = s.transition, s.transition_sum
    d, q = np.empty(48, np.float32), np.empty(8, np.float32)
    features, spoke, believed = np.empty(c.CALIBRATED), np.zeros(len(c.TERMS)), np.empty(len(c.TERMS))
    wanted = len(detail) > 0
    for i in range(len(row)):
        r, x, o = row[i], value[i], place[i]
        out[o, 0], out[o, 1], out[o, 2], out[o, 3], out[o, 4] = np.nan, np.nan, np.nan, np.nan, np.nan
        term[o], alert[o] = -1, False
        if not math.isfinite(x):
            continue
        n = int(integer[r, c.POINTS])
        if n > 0:
            y = origin.relative(origins, number, integer, r, x)
            if integer[r, c.ABSURD_RUN] >= origin.ABSURD_LEAST:
                origin.begin(s, r)
                n = 0
        if n == 0:
            y = origin.first(origins, number, integer, r, x)
        for j in range(len(features)):
            features[j] = -1.0
        if n == 0:
            shapes.forget(wide, used, r, c.WIDE)
            shapes.forget(long, used, r, c.LONG)
            shapes.forget(short, used, r, c.SHORT)
            number[r, c.LOW], number[r, c.HIGH], number[r, c.LOW_BEFORE], number[r, c.HIGH_BEFORE] = y, y, y, y
        lent = int(integer[r, c.BORROWED])
        m, spread = number[r, c.LEVEL], number[r, c.SPREAD]
        ring[r, 0, n & 31] = y
        ring[r, 1, n & 31] = math.asinh((y - m) / (shapes.SQUASH * spread + 1e-9)) if n else 0.0
        k = max(SLOW, 1.0 / (n + 1))
        most = CLIP * spread if n > CLIP_AFTER else 1e30
        number[r, c.LEVEL] = m + k * min(max(y - m, -most), most)
        k = max(SLOW, 1.0 / (n + 1 + lent))
        number[r, c.SPREAD] = spread + k * (min(abs(y - m), most) - spread)

        if n >= shapes.FIRST[0]:
            for j in range(8):
                q[j] = ring[r, 1, (n - shapes.LAGS_WIDE[j]) & 31]
            features[c.WIDE] = shapes.distance(
                wide, used, number, c.MEAN_WIDE, r, 0, n, n - shapes.FIRST[0] + lent, q, d
            )
        if n >= shapes.FIRST[1]:
            for j in range(6):
                q[j] = ring[r, 0, (n - shapes.LAGS_LONG[j]) & 31]
            features[c.LONG] = shapes.distance(
                long, used, number, c.MEAN_LONG, r, 1, n, n - shapes.FIRST[1] + lent, q, d
            )
        if n >= shapes.FIRST[2]:
            for j in range(4):
                q[j] = ring[r, 0, (n - shapes.LAGS_SHORT[j]) & 31]
            features[c.SHORT] = shapes.distance(
                short, used, number, c.MEAN_SHORT, r, 2, n, n - shapes.FIRST[2] + lent, q, d
            )

        low, high = min(number[r, c.LOW], number[r, c.LOW_BEFORE]), max(number[r, c.HIGH], number[r, c.HIGH_BEFORE])
        beyond = max(y - high, low - y, np.float32(0)) if n >= NOVELTY_WARM_UP else np.float32(0)
        features[c.NOVELTY] = beyond / (high - low + 1e-9) * NOVELTY_UNIT
        if n > 0 and n % BLOCK == 0:
            number[r, c.LOW_BEFORE], number[r, c.HIGH_BEFORE] = number[r, c.LOW], number[r, c.HIGH]
            number[r, c.LOW], number[r, c.HIGH] = y, y
        number[r, c.LOW], number[r, c.HIGH] = min(number[r, c.LOW], y), max(number[r, c.HIGH], y)

        if n >= tr.FIRST:
            now = tr.level(y, number[r, c.RANGE_LOW], number[r, c.RANGE_WIDTH])
            then = tr.level(ring[r, 0, (n - tr.LAG) & 31], number[r, c.RANGE_LOW], number[r, c.RANGE_WIDTH])
            f = tr.transition(steps, step_sums, r, then, now)
            if n >= tr.WARM_UP:
                features[c.TRANSITION] = f

        step = abs(y - ring[r, 0, (n - 1) & 31]) if n > 0 else np.float32(0)
        slot = time[i] // seasons.SLOT
        if slot != integer[r, c.SLOT_NOW]:
            seasons.enter(number, integer, slots, visits, week, week_visits, r, slot)
        slot %= seasons.SLOTS
        known = visits[r, slot] > 0
        trust, doubt, measured = seasons.trust(number, integer, r), 0.0, 0.0
        if trust > 0:
            doubt, measured = seasons.doubt(number, r), seasons.measured(number, r)
        forecast = seasons.forecast_trust(number, r)
        usual_step, usual_error = number[r, c.STEP], number[r, c.FORECAST_ERROR]
        day, error = 0.0, 0.0
        middle, width = ring[r, 0, (n - 1) & 31], usual_step
        if number[r, c.MIDDLE_ERROR] < usual_step:
            middle, width = number[r, c.MIDDLE], number[r, c.MIDDLE_ERROR]
        if known:
            usual = slots[r, slot, 0] + seasons.week_offset(number, week, r, time[i])
            day = y - usual
            error = day - number[r, c.BIAS]
            if trust > 0 and usual_error < width:
                middle, width = usual + number[r, c.BIAS], usual_error
            g = number[r, c.DAY_ERROR]
            if g > 0:
                if visits[r, slot] > 1:
                    g = slots[r, slot, 1] + seasons.FLOOR * g
                features[c.TIME_OF_DAY] = abs(day) / (g + 1e-12)
            if usual_error > 0:
                features[c.FORECAST] = abs(error) / (usual_error + 1e-12)
        effect = max(abs(error) / (usual_error + 1e-9), step / (usual_step + 1e-9))
        seasons.learn(number, integer, r, known, day, y)

        features[c.SHIFT] = changes.shift(number, r, y, n)
        features[c.VARIANCE] = changes.swing(number, r, step, n)
        features[c.TREND] = changes.trend(number, r, y, n)
        spoke[c.STUCK] = 0.0
        if n > 0:
            spoke[c.STUCK] = changes.stuck(integer, r, step == 0)
        changes.errors(number, r, y, step, n)

        tail.surprises(tails, places, bins, r, features, spoke)
        fusion.belief(believed, trust, doubt, forecast, measured, effect)
        e, most_of = fusion.fuse(spoke, believed, fusion.WEIGHTS, fusion.QUIET)
        out[o, 0], out[o, 1], term[o] = fusion.score(e), e, most_of
        if fusion.may_alert(n - integer[r, c.ALERT_AT], number[r, c.LAST_ALERT], e):
            integer[r, c.ALERT_AT], number[r, c.LAST_ALERT] = n, e
            alert[o] = True
        if n > 0:
            unit = 1.0 / origins[r, 1]
            expected, half = origins[r, 0] + unit * middle, unit * BOUND * width
            out[o, 2], out[o, 3], out[o, 4] = expected, expected - half, expected + half
        if wanted:
            for j in range(len(spoke)):
                detail[o, 0, j], detail[o, 1, j] = spoke[j], believed[j]
        integer[r, c.POINTS] = n + 1
        if n + 1 >= integer[r, c.RANGE_AT] and n + 1 >= tr.FIRST:
            _levels(s, r, n, x, y)
