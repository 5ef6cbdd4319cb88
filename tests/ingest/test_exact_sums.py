"""Sums that no order changes, and how near they are to the true sum."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from aiops.ingest.exact_sums import add_to_sum, clear_sum, merge_sum, total
from aiops.signals import CELL

doubles = st.floats(allow_nan=False, allow_infinity=False) | st.floats(-1e6, 1e6) | st.integers(-9, 9).map(float)


@njit
def _sum(cells, values):
    clear_sum(cells[0])
    for value in values:
        add_to_sum(cells[0], value)


@njit
def _merge(cells, others):
    merge_sum(cells[0], others[0])


@njit
def _total(cells):
    return total(cells[0])


def summed(values: list[float]):
    cells = np.zeros(1, CELL)
    _sum(cells, np.array(values, np.float64))
    return cells


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.lists(doubles, max_size=20).flatmap(lambda v: st.tuples(st.just(v), st.permutations(v))), st.integers(0, 20))
def test_neither_order_nor_split_changes_a_bit(values, cut):
    given_order, other_order = values
    whole, merged = summed(given_order), summed(other_order[:cut])
    _merge(merged, summed(other_order[cut:]))
    assert whole.tobytes() == summed(other_order).tobytes() == merged.tobytes()


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.lists(doubles, max_size=20))
def test_a_sum_is_the_true_sum_to_80_bits_below_its_greatest_value(values):
    truth = math.fsum(values) if abs(sum(v / 2**10 for v in values)) < 2.0**1013 else None
    if truth is not None:
        slack = len(values) * max((abs(v) for v in values), default=0.0) * 2.0**-80 + abs(truth) * 2.0**-52
        assert abs(_total(summed(values)) - truth) <= slack


@settings(derandomize=True, max_examples=100, deadline=None)
@given(doubles)
def test_a_single_value_comes_back_as_it_is(value):
    assert _total(summed([value])) == value


@pytest.mark.parametrize("distance", range(0, 200, 7))
def test_values_of_any_distance_add_up_in_either_order(distance):
    for small, great in ((3.0, 5.0 * 2.0**distance), (-3.0, 5.0 * 2.0**distance)):
        one, other = summed([small, great]), summed([great, small])
        assert one.tobytes() == other.tobytes()
        assert _total(one) == math.fsum([small, great])


def test_small_values_survive_a_great_one_that_cancels():
    assert _total(summed([1e15, 0.125, -1e15])) == 0.125
    assert _total(summed([-(2.0**52), 2.0**-20])) == math.fsum([-(2.0**52), 2.0**-20])


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_what_is_not_finite_makes_the_sum_absent_whatever_comes_before_or_after(bad):
    cells = [summed(v) for v in ([bad, 1.0], [1.0, bad], [1e300, bad, bad])]
    assert len({c.tobytes() for c in cells}) == 1
    assert math.isnan(_total(cells[0]))
    sound = summed([1.0])
    _merge(sound, cells[0])
    assert math.isnan(_total(sound))


def test_nothing_sums_to_zero():
    assert _total(summed([])) == 0.0
    assert _total(summed([0.0, -0.0])) == 0.0
