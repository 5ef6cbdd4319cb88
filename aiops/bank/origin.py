"""Origin and unit of a series: what makes values of any size fit float32, whatever the first value was.

A value is kept as (value - origin) / unit.  The origin is the first value, the unit a power of two near the first value that is
not 0, so nothing is lost in the division.  A series whose level leaves its origin far behind gets a new one, and one that turns
out to have begun with an absurd value begins anew.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from aiops.bank import columns as c
from aiops.bank.shapes import EMPTY, PROTOTYPES

ABSURD = 1e17  # units: greater distances from the origin are cut, because 8 squares of them must fit float32
ABSURD_LEAST = 16  # points in a row that are cut: then the unit is wrong, not the values
FAR = 1024.0  # spreads between level and origin beyond which float32 would round what matters
TINY = 2.0**-30  # of the unit: values so small cannot be told apart
SMALL = 2.0**-10


@njit(nogil=True, cache=True, error_model="numpy")
def inverse_unit(x: Any) -> Any:
    """1 / unit for values of the size of `x`."""
    if x == 0.0:
        return 1.0
    return 2.0 ** -min(max(math.floor(math.log2(abs(x))), -900.0), 900.0)


@njit(nogil=True, cache=True, error_model="numpy")
def begin(s: Any, r: Any) -> None:
    """Row `r` is a series without a point again."""
    for j in range(c.NUMBERS):
        s.number[r, j] = 0
    for j in range(c.INTEGERS):
        s.integer[r, j] = 0
    s.transition[r] = 0
    s.transition_sum[r] = 0
    s.slot[r] = 0
    s.slot_visits[r] = 0
    s.week[r] = 0
    s.week_visits[r] = 0
    s.tail[r] = 0
    s.tail_place[r] = 0


@njit(nogil=True, cache=True, error_model="numpy")
def fits(s: Any, r: Any, x: Any) -> Any:
    """Can values like `x` still be told apart in the unit of row `r`?"""
    unit = 1.0 / s.origin[r, 1]
    seems = s.origin[r, 0] + s.number[r, c.MIDDLE] * unit
    return x == 0.0 or abs(x) >= TINY * unit or abs(seems) >= SMALL * unit


@njit(nogil=True, cache=True, error_model="numpy")
def shift(s: Any, r: Any, y: Any, x: Any) -> None:
    """Make `x`, until now `y` units from the origin, the origin of row `r`."""
    s.origin[r, 0] = x
    for column in (
        c.LEVEL,
        c.LOW,
        c.HIGH,
        c.LOW_BEFORE,
        c.HIGH_BEFORE,
        c.RANGE_LOW,
        c.MIDDLE,
        c.SLOW_MEAN,
        c.FAST_MEAN,
        c.TREND_LEVEL,
    ):
        s.number[r, column] -= y
    s.number[r, c.SLOT_SUM] -= y * s.integer[r, c.SLOT_POINTS]
    for k in range(s.ring.shape[2]):
        s.ring[r, 0, k] -= y
    for memory in (s.long, s.short):
        for p in range(PROTOTYPES):
            if memory[r, 0, p] != EMPTY:
                for j in range(memory.shape[1]):
                    memory[r, j, p] -= y
    for k in range(s.slot.shape[1]):
        if s.slot_visits[r, k]:
            s.slot[r, k, 0] -= y


@njit(nogil=True, cache=True, error_model="numpy")
def is_far(s: Any, r: Any) -> Any:
    """Is the level so far from the origin that float32 rounds what matters?"""
    spread = s.number[r, c.SPREAD]
    return spread > 0 and abs(s.number[r, c.LEVEL]) > FAR * spread


@njit(nogil=True, cache=True, error_model="numpy")
def relative(origin: Any, number: Any, integer: Any, r: Any, x: Any) -> Any:
    """Value `x` in units from the origin, as float32, cut at ``ABSURD``; what is cut is counted in ABSURD_RUN."""
    if origin[r, 0] == 0.0 and x != 0.0 and number[r, c.HIGH] == 0 and number[r, c.LOW] == 0:
        origin[r, 1] = inverse_unit(x)  # the first value that is not 0: everything so far is 0 in any unit
    y = (x - origin[r, 0]) * origin[r, 1]
    if abs(y) <= ABSURD:
        integer[r, c.ABSURD_RUN] = 0
    else:
        integer[r, c.ABSURD_RUN] += 1
        y = min(max(y, -ABSURD), ABSURD)
    return np.float32(y)


@njit(nogil=True, cache=True, error_model="numpy")
def first(origin: Any, number: Any, integer: Any, r: Any, x: Any) -> Any:
    """Begin row `r` with value `x`, its origin: 0 units."""
    unit = inverse_unit(x)
    if integer[r, c.BORROWED]:  # what was borrowed is in the lender's unit
        for column in (c.SPREAD, c.MEAN_LONG, c.MEAN_SHORT):
            number[r, column] *= unit / origin[r, 1]
    origin[r, 0], origin[r, 1] = x, unit
    return np.float32(0.0)
