"""Time of day and day of week: what they lead to expect of a point, and how far to trust them.

In: event time and value.  State: mean, deviation and visits of 96 slots of a quarter of an hour; offsets of 42 blocks
of four hours of a week; a fast correction, the bias by which the last points differed.  Out: two residuals, without
and with the bias, each in units of what it usually is, and a trust of 0..1.

A slot is learned once a visit, when it is over, so a day counts once whatever the cadence.  The week enters by
evidence: only as far as its offsets make the errors of whole slots smaller than they are without it.  The bias handles
what no calendar knows: a holiday, daylight saving, a weekend before the week is learned.  Trust in the plain residual
sinks where the last two hours were far off.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from aiops.bank import columns as c

DAY = 86_400_000_000_000  # ns
SLOTS, BLOCKS = 96, 42  # of a day, of a week
SLOT, BLOCK = DAY // SLOTS, 7 * DAY // BLOCKS  # ns
GAIN = 0.2  # least gain of a slot's mean and deviation: five days
FLOOR = 0.25  # share of the overall deviation added to a slot's own
SLOW = 0.003  # least gain of the overall errors
BIASED = 0.3  # least gain of the bias
CLIP, CLIP_SLOT = 6.0, 4.0  # mean errors that a residual counts at most, deviations that a slot may move by
SETTLED = 300  # residuals after which they are clipped
LEAST = 50  # residuals before the day is trusted at all
TRUST_FROM, TRUST_FULL = 0.2, 0.4  # share of the spread that the day must explain: trust 0, trust 1
FORECAST_FULL = 0.2  # share by which the forecast must beat a moving mean to be trusted fully
MEASURED = 0.1  # share by which it must beat the last value for small effects to be discounted
RECENT = 0.12  # gain of the errors of the last slots: two hours
DOUBT, DOUBT_FULL = 2.0, 4.0  # times their usual size at which the last slots' errors take trust away, and all of it
WEEK_GAIN, WEEK_ERRORS = (
    0.02,
    0.01,
)  # least gains of a block's offset (three weeks) and of the errors with and without it
BLOCK_VISITS = 16  # slots of a block: before it is over once, it knows nothing of a week
WEEK_FROM, WEEK_FULL = 0.2, 0.4  # share of the slots' errors that the week must explain


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def ramp(x: Any, start: Any, full: Any) -> Any:
    """0 up to `start`, 1 from `full` on."""
    return min(max((x - start) / (full - start), 0.0), 1.0)


@njit(nogil=True, cache=True, error_model="numpy")
def trust(number: Any, integer: Any, r: Any) -> Any:
    """How far the time of day explains the series: 0 where its residuals are as large as those of the slow level."""
    if integer[r, c.DAY_POINTS] <= LEAST:
        return 0.0
    return ramp(1.0 - number[r, c.DAY_ERROR] / (number[r, c.SPREAD] + 1e-12), TRUST_FROM, TRUST_FULL)


@njit(nogil=True, cache=True, error_model="numpy")
def doubt(number: Any, r: Any) -> Any:
    """How far the last two hours speak against the day: a shifted or odd day must not cry all day."""
    return ramp(number[r, c.RECENT_ERROR] / (number[r, c.DAY_ERROR] + 1e-12), DOUBT, DOUBT_FULL)


@njit(nogil=True, cache=True, error_model="numpy")
def forecast_trust(number: Any, r: Any) -> Any:
    """How far the forecast beats a moving mean."""
    return ramp(1.0 - number[r, c.FORECAST_ERROR] / (number[r, c.MIDDLE_ERROR] + 1e-12), 0.0, FORECAST_FULL)


@njit(nogil=True, cache=True, error_model="numpy")
def measured(number: Any, r: Any) -> Any:
    """How far the forecast beats the last value: then the size of an effect can be measured against it."""
    return ramp(1.0 - number[r, c.FORECAST_ERROR] / (number[r, c.STEP] + 1e-12), 0.0, MEASURED)


@njit(nogil=True, cache=True, error_model="numpy")
def week_offset(number: Any, week: Any, r: Any, time: Any) -> Any:
    """What the day of week adds, as far as it is believed."""
    without = number[r, c.NO_WEEK_ERROR]
    if without <= 0:
        return 0.0
    return ramp(1.0 - number[r, c.WEEK_ERROR] / without, WEEK_FROM, WEEK_FULL) * week[r, time // BLOCK % BLOCKS]


@njit(nogil=True, cache=True, error_model="numpy")
def enter(number: Any, integer: Any, slots: Any, visits: Any, week: Any, week_visits: Any, r: Any, slot: Any) -> None:
    """Enter a slot, counted from 1970; the one that is left is learned.

    Parameters
    ----------
    slots : float32[n, SLOTS, 2]
        Mean and deviation.
    visits : uint8[n, SLOTS]
    week : float32[n, BLOCKS]
    week_visits : uint8[n, BLOCKS]
    """
    before, points = int(integer[r, c.SLOT_NOW]), integer[r, c.SLOT_POINTS]
    total, error = number[r, c.SLOT_SUM], number[r, c.SLOT_ERROR]
    integer[r, c.SLOT_NOW], integer[r, c.SLOT_POINTS] = slot, 0
    number[r, c.SLOT_SUM], number[r, c.SLOT_ERROR] = 0, 0
    if points == 0:
        return
    k = before % SLOTS
    x, v = total / points, int(visits[r, k])
    visits[r, k] = min(v + 1, 255)
    if v == 0:
        slots[r, k, 0] = x
        return
    mean, deviation, g = slots[r, k, 0], slots[r, k, 1], number[r, c.DAY_ERROR]
    offset = week_offset(number, week, r, before * SLOT)
    _week(number, week, week_visits, r, before * SLOT // BLOCK % BLOCKS, x - mean)
    e, off = x - mean - offset, error / points
    number[r, c.RECENT_ERROR] += RECENT * (min(off, 2.0 * DOUBT_FULL * g) - number[r, c.RECENT_ERROR])
    if v >= 3:
        most = CLIP_SLOT * max(deviation, FLOOR * g)
        e, off = min(max(e, -most), most), min(off, most)
    gain = max(GAIN, 1.0 / (v + 1))
    slots[r, k, 0] = mean + gain * e
    slots[r, k, 1] = off if v == 1 else deviation + gain * (off - deviation)


@njit(nogil=True, cache=True, error_model="numpy")
def _week(number: Any, week: Any, week_visits: Any, r: Any, j: Any, e: Any) -> None:
    """Learn by how much a slot of block `j` of the week was off its mean."""
    v = int(week_visits[r, j])
    if v >= BLOCK_VISITS:
        with_it, without = abs(e - week[r, j]), abs(e)
        if number[r, c.NO_WEEK_ERROR] == 0:
            number[r, c.WEEK_ERROR], number[r, c.NO_WEEK_ERROR] = with_it, without
        number[r, c.WEEK_ERROR] += WEEK_ERRORS * (with_it - number[r, c.WEEK_ERROR])
        number[r, c.NO_WEEK_ERROR] += WEEK_ERRORS * (without - number[r, c.NO_WEEK_ERROR])
    week[r, j] += max(WEEK_GAIN, 1.0 / (v + 1)) * (e - week[r, j])
    week_visits[r, j] = min(v + 1, 255)


@njit(nogil=True, cache=True, error_model="numpy")
def learn(number: Any, integer: Any, r: Any, known: Any, residual: Any, x: Any) -> None:
    """Learn a point of the slot that was entered; `residual` to its mean where that is known."""
    number[r, c.SLOT_SUM] += x
    integer[r, c.SLOT_POINTS] += 1
    if not known:
        return
    n = int(integer[r, c.DAY_POINTS]) + 1
    integer[r, c.DAY_POINTS] = min(n, 1 << 30)
    a, e = abs(residual), residual - number[r, c.BIAS]
    number[r, c.SLOT_ERROR] += a
    day, innovation = number[r, c.DAY_ERROR], number[r, c.FORECAST_ERROR]
    gain = max(SLOW, 1.0 / n)
    number[r, c.DAY_ERROR] = day + gain * ((min(a, CLIP * day) if n > SETTLED else a) - day)
    number[r, c.FORECAST_ERROR] = innovation + gain * (
        (min(abs(e), CLIP * innovation) if n > SETTLED else abs(e)) - innovation
    )
    number[r, c.BIAS] += max(BIASED, 1.0 / n) * e
