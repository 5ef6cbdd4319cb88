"""Cells -> values: increases over resets and gaps, means, and percentiles of buckets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numba import njit

from aiops.columns import CUMULATIVE, DELTA, EXPONENTIAL, GAUGE, HISTOGRAM, SUM, SUMMARY
from aiops.detect.values import LEVEL, MEAN, P95, PREVIOUS, RATE, STALE, facets, increases, percentile
from aiops.ingest.exact_sums import add_to_sum, clear_sum
from aiops.signals import CELL, SECOND

T = 1_000_000 * SECOND


@njit
def _put(cells, value):
    clear_sum(cells[0])
    add_to_sum(cells[0], value)


class Series:
    """One series; each call is a window."""

    def __init__(self, temporality: int = CUMULATIVE) -> None:
        self.previous = np.zeros(1, PREVIOUS)
        self.temporality = np.array([temporality])

    def __call__(
        self, seconds: float, value: float, count: float = 0.0, start: float = 0.0
    ) -> tuple[float, float, float, bool]:
        cell = np.zeros(1, CELL)
        cell["points"], cell["last"], cell["last_count"], cell["count"] = 1, value, count, count
        cell["last_time"] = T + int(seconds * SECOND)
        cell["start"] = T + int(start * SECOND) if start else 0
        _put(cell, value)
        out = np.empty(1), np.empty(1), np.empty(1), np.empty(1, bool)
        increases(cell, np.zeros(1, np.int32), self.previous, self.temporality, *out)
        return float(out[0][0]), float(out[1][0]), round(float(out[2][0]), 9), bool(out[3][0])


def nothing(found: Any) -> bool:
    return all(math.isnan(x) for x in found[:3])


def test_the_first_point_makes_no_increase():
    assert nothing(Series()(0, 100.0))


def test_an_increase_is_since_the_previous_window_with_points():
    series = Series()
    series(0, 100.0, 10)
    assert series(30, 160.0, 25) == (60.0, 15.0, 30.0, False)
    assert series(40, 160.0, 25) == (0.0, 0.0, 10.0, False)


def test_a_value_that_falls_is_a_reset_and_what_it_reached_is_the_increase():
    series = Series()
    series(0, 1000.0, 100)
    assert series(10, 40.0, 4) == (40.0, 4.0, 10.0, True)
    assert series(20, 60.0, 6) == (20.0, 2.0, 10.0, False)


def test_a_count_that_falls_is_a_reset_as_well():
    series = Series()
    series(0, 10.0, 100)
    assert series(10, 40.0, 4)[3] is True


def test_a_new_start_time_is_a_reset_even_where_the_value_rose():
    series = Series()
    series(0, 100.0, start=-500)
    assert series(60, 150.0, start=50) == (150.0, 0.0, 10.0, True)


def test_a_start_time_that_was_known_is_no_reset():
    series = Series()
    series(0, 100.0, start=-500)
    assert series(60, 150.0, start=-500) == (50.0, 0.0, 60.0, False)


def test_a_start_time_in_the_past_that_differs_is_no_reset():
    """Some producers give a start that wobbles; only one after the previous point can have begun anew."""
    series = Series()
    series(0, 100.0, start=-500)
    assert series(60, 150.0, start=-400)[3] is False


def test_a_counter_of_32_bits_that_wraps_goes_on_counting_where_its_start_says_that_it_is_the_same():
    series = Series()
    series(0, 2.0**32 - 100, start=-50)
    assert series(10, 400.0, start=-50) == (500.0, 0.0, 10.0, False)
    assert series(20, 100.0, start=-50) == (100.0, 0.0, 10.0, True), "a fall within the lower half is no wrap"


def test_a_fall_from_near_32_bits_without_a_start_or_with_a_new_one_is_a_reset():
    for start in (0.0, 5.0):
        series = Series()
        series(0, 2.0**32 - 100)
        value, _, _, whole = series(10, 400.0, start=start)
        assert (value, whole) == (400.0, True)


def test_a_gap_too_long_makes_no_increase_and_counting_goes_on_after_it():
    series = Series()
    series(0, 100.0)
    gap = STALE / SECOND
    assert series(gap, 150.0)[0] == 50.0
    assert nothing(series(2 * gap + 1, 900.0))
    assert series(2 * gap + 11, 910.0)[0] == 10.0


def test_delta_points_are_their_own_increase():
    series = Series(DELTA)
    assert series(0, 7.0, 3) == (7.0, 3.0, 10.0, True)
    assert series(30, 5.0, 2) == (5.0, 2.0, 30.0, True)
    assert series(1000, 5.0, 2)[2] == 10.0


@pytest.mark.parametrize(
    ("kind", "monotonic", "expected"),
    [
        (GAUGE, False, (LEVEL,)), (SUM, False, (LEVEL,)), (SUM, True, (RATE,)), (HISTOGRAM, False, (RATE, MEAN, P95)),
        (EXPONENTIAL, False, (RATE, MEAN, P95)), (SUMMARY, False, (RATE, MEAN)),
    ],
)  # fmt: skip
def test_each_kind_has_its_facets(kind, monotonic, expected):
    assert facets(kind, monotonic) == expected


@pytest.mark.parametrize("q", [0.5, 0.9, 0.95, 0.99])
def test_a_percentile_of_fine_buckets_is_that_of_the_measurements(rng, q):
    drawn = rng.gamma(2.0, 50.0, 20_000)
    bounds = tuple(np.linspace(1.0, 1000.0, 1000).tolist())
    counts = np.bincount(np.searchsorted(bounds, drawn), minlength=len(bounds) + 1).astype(float)
    assert percentile(counts, np.array(bounds), q) == pytest.approx(np.percentile(drawn, 100 * q), abs=1.0)


@pytest.mark.parametrize(
    ("counts", "bounds", "q", "expected"),
    [
        ([10, 0, 0], (5.0, 10.0), 0.5, 2.5), ([0, 10, 0], (5.0, 10.0), 0.5, 7.5), ([0, 0, 9], (5.0, 10.0), 0.5, 10.0),
        ([5, 5, 0], (5.0, 10.0), 0.5, 5.0), ([2, 0, 2], (-3.0, 10.0), 0.25, -3.0), ([1, 0, 0], (5.0, 10.0), 1.0, 5.0),
    ],
)  # fmt: skip
def test_a_percentile_lies_on_a_straight_line_inside_its_bucket(counts, bounds, q, expected):
    assert percentile(np.array(counts, float), np.array(bounds, float), q) == expected


def test_an_empty_vector_has_no_percentile():
    assert math.isnan(percentile(np.zeros(3), np.array([1.0, 2.0]), 0.95))
    assert math.isnan(percentile(np.ones(1), np.empty(0), 0.95))
