"""Time of day: distance from what this time of day usually brings, trusted only as far as the day explains the series.

In: event time and value.  State: mean, deviation and visits of 144 slots of ten minutes, and an overall deviation.
Out: residual in units of the slot's deviation, and a trust of 0..1.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from aiops.bank.columns import DAY_DEVIATION, SLOT_POINTS, SPREAD

DAY = 86_400_000_000_000  # ns
SLOTS = 144
SLOT = DAY // SLOTS  # ns
GAIN = 0.1  # least gain of a slot's mean and deviation
FLOOR = 0.25  # share of the overall deviation added to a slot's own
SLOW = 0.003  # least gain of the overall deviation
CLIP = 6.0  # deviations that a residual counts at most when it is learned
SETTLED = 600  # points after which the overall deviation is clipped
LEAST = 50  # points before the day is trusted at all
TRUST_FROM, TRUST_FULL = 0.2, 0.4  # share of the deviation that the day must explain: trust 0, trust 1


@njit(nogil=True, cache=True)
def residual(slots: Any, visits: Any, number: Any, integer: Any, r: Any, k: Any, x: Any) -> Any:
    """Residual of `x` to slot `k` of row `r` in deviations, or -1 where the slot is new; then learn.

    Parameters
    ----------
    slots : float32[n, SLOTS, 2]
        Mean and deviation.
    visits : uint8[n, SLOTS]
    number, integer : float32[n, ...], int32[n, ...]
        Their columns DAY_DEVIATION, the overall deviation, and SLOT_POINTS, how many residuals were learned.
    """
    f, v = -1.0, int(visits[r, k])
    if v == 0:
        slots[r, k, 0] = x
        visits[r, k] = 1
        return f
    mean, deviation, g = slots[r, k, 0], slots[r, k, 1], number[r, DAY_DEVIATION]
    e = x - mean
    a = abs(e)
    if g > 0:
        f = a / (deviation + FLOOR * g + 1e-9) if v >= 2 else a / (2 * g + 1e-9)
    gain = max(GAIN, 1.0 / (v + 1))
    if v >= 3:
        most = CLIP * max(deviation, FLOOR * g)
        e, learned = min(max(e, -most), most), min(a, most)
    else:
        learned = a
    slots[r, k, 0] = mean + gain * e
    slots[r, k, 1] = deviation + gain * (learned - deviation)
    visits[r, k] = min(v + 1, 255)
    n = integer[r, SLOT_POINTS] + 1
    number[r, DAY_DEVIATION] = g + max(SLOW, 1.0 / n) * ((min(a, CLIP * g) if n > SETTLED else a) - g)
    integer[r, SLOT_POINTS] = min(n, 1 << 30)
    return f


@njit(nogil=True, cache=True)
def trust(number: Any, integer: Any, r: Any) -> Any:
    """How far the time of day explains the series: 0 where its residuals are as large as those of the slow level."""
    if integer[r, SLOT_POINTS] <= LEAST:
        return 0.0
    explained = 1.0 - number[r, DAY_DEVIATION] / (number[r, SPREAD] + 1e-12)
    return min(max((explained - TRUST_FROM) / (TRUST_FULL - TRUST_FROM), 0.0), 1.0)
