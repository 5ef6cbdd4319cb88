"""Counts and ratios of small numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from aiops import state
from aiops.bank.counts import MOST, Counts, count_tail


def lived(ratio: bool, hits: list[float], trials: float, n: int = 300) -> Counts:
    counts = Counts(ratio=ratio)
    counts.grow(1)
    repeated = np.resize(np.array(hits), n)
    counts.feed(np.zeros(n, np.int64), repeated, np.full(n, trials))
    return counts


def say(counts: Counts, hits: float, trials: float) -> float:
    return float(counts.feed(np.zeros(1, np.int64), np.array([hits]), np.array([trials])).score[0])


@pytest.mark.parametrize("mean", [0.3, 3.0, 30.0, 3000.0])
@pytest.mark.parametrize("shape", [2.0, 20.0, 400.0])
def test_the_tail_is_that_of_the_negative_binomial(mean, shape):
    exact = stats.nbinom(shape, shape / (shape + mean))
    for x in {0, 1, int(mean + 1), int(2 * mean + 3), int(4 * mean + 5), int(mean / 3)}:
        found = count_tail(float(x), mean, shape)
        p = exact.sf(x - 1) if x > mean else exact.cdf(x)
        if 1e-7 < p < 0.2:
            assert abs(found) == pytest.approx(-math.log10(p), abs=0.1)
            assert found > 0 if x > mean else found < 0


def test_three_failures_of_three_are_news_and_of_three_thousand_none():
    assert say(lived(True, [0.0], 3.0), 3.0, 3.0) > 4.0
    assert say(lived(True, [3.0], 3000.0), 3.0, 3000.0) < 1.0


def test_a_rate_that_swings_by_itself_needs_more_to_stand_out():
    steady, swings = lived(False, [20.0, 19.0, 21.0], 10.0), lived(False, [2.0, 45.0, 13.0, 60.0, 5.0], 10.0)
    assert say(steady, 70.0, 10.0) == MOST
    assert say(swings, 70.0, 10.0) < 4.0


def test_a_silence_is_news_where_many_were_expected_and_none_where_few_were():
    assert say(lived(False, [40.0, 38.0, 43.0], 60.0), 0.0, 60.0) == -MOST
    assert abs(say(lived(False, [0.0, 1.0, 0.0], 60.0), 0.0, 60.0)) < 1.0


def test_an_outage_hardly_teaches_its_own_normality():
    counts = lived(True, [1.0, 0.0], 100.0)
    scores = [say(counts, 60.0, 100.0) for _ in range(20)]
    assert min(scores) >= 4.0


def test_what_is_no_count_is_left_out():
    counts = lived(True, [1.0], 10.0)
    before = state.pack(counts.state())
    assert all(
        np.isnan(say(counts, *pair)) for pair in ((np.nan, 5.0), (5.0, np.inf), (-1.0, 5.0), (1.0, 0.0), (6.0, 5.0))
    )
    assert state.pack(counts.state()) == before


def test_false_alarms_are_as_rare_as_the_score_says():
    rng = np.random.default_rng(1)
    for ratio, hits, trials in (
        (False, rng.poisson(0.3, 400_000), 1.0), (False, rng.poisson(30.0, 400_000), 1.0),
        (True, rng.binomial(40, 0.02, 400_000), 40.0), (True, rng.binomial(500, 0.3, 400_000), 500.0),
    ):  # fmt: skip
        counts = Counts(ratio=ratio)
        counts.grow(400)
        row = np.repeat(np.arange(400), 1000)
        score = counts.feed(row, hits.astype(float), np.full(400_000, trials)).score.reshape(400, 1000)[:, 200:]
        for x in (2, 3, 4):
            assert (np.abs(score) >= x).mean() * 10**x <= 3.0


def test_a_restored_state_has_the_same_future():
    rng = np.random.default_rng(2)
    one, other = Counts(ratio=False), Counts(ratio=False)
    one.grow(3)
    rows, hits = rng.integers(0, 3, 500), rng.poisson(4.0, 500).astype(float)
    one.feed(rows, hits, np.ones(500))
    other.restore(state.unpack(state.pack(one.state())))
    after = [c.feed(rows, hits, np.ones(500)).score.tobytes() for c in (one, other)]
    assert after[0] == after[1]
