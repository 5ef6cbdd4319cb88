"""Tail probabilities: against SciPy, and as monotone as evidence must be."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from scipy import stats
from scipy.special import betaln, gammaln, logsumexp

from aiops.detect.tails import BOUND, CAP, EFFECTIVE, at_least, count_bounds, count_excess, share_bounds

GRID = [
    (n, p, weight, effective)
    for n in (1, 2, 5, 7, 8, 30, 400)
    for p in (0.0, 0.01, 0.3, 0.9, 1.0)
    for weight, effective in ((0.0, 50.0), (5.0, 50.0), (1e6, 50.0), (1e6, 15.0))
]


def brute(k: int, n: int, a: float, b: float) -> float:
    """-log10 P(K >= k), summed term by term in log space."""
    terms = [
        gammaln(n + 1) - gammaln(i + 1) - gammaln(n - i + 1) + betaln(i + a, n - i + b) - betaln(a, b)
        for i in range(k, n + 1)
    ]
    return float(-logsumexp(terms) / math.log(10))


@pytest.mark.parametrize(("n", "p", "weight", "effective"), GRID)
def test_the_tail_is_that_of_a_beta_binomial(n, p, weight, effective):
    w = min(weight, effective)
    a, b = p * w + 0.5, (1 - p) * w + 0.5
    for k in sorted({0, 1, 2, n // 2, n - 1, n} & set(range(n + 1))):
        found = at_least(float(k), float(n), p, weight, effective)
        if k == 0 or (k / n <= a / (a + b) and n >= 8):
            assert found == 0.0
            continue
        assert found == pytest.approx(min(CAP, max(0.0, brute(k, n, a, b))), abs=1e-6)
        tail = stats.betabinom.sf(k - 1, n, a, b)
        if tail > 1e-7:
            assert 10.0**-found == pytest.approx(min(1.0, tail), rel=1e-4)


@pytest.mark.parametrize(("n", "p", "weight", "effective"), GRID)
def test_more_hits_are_never_less_surprising(n, p, weight, effective):
    scores = [at_least(float(k), float(n), p, weight, effective) for k in range(n + 1)]
    assert all(a <= b + 1e-12 for a, b in pairwise(scores))
    assert 0.0 <= scores[0] <= scores[-1] <= CAP


def test_a_share_that_was_rarer_is_more_surprising():
    scores = [at_least(6.0, 20.0, p, 1e6, EFFECTIVE) for p in (0.25, 0.1, 0.02, 0.0)]
    assert all(a < b for a, b in pairwise(scores))


def test_a_longer_baseline_is_more_certain_up_to_its_effective_length():
    scores = [at_least(8.0, 20.0, 0.05, weight, EFFECTIVE) for weight in (0.0, 5.0, 20.0, 50.0)]
    assert all(a < b for a, b in pairwise(scores))
    assert at_least(8.0, 20.0, 0.05, 1e9, EFFECTIVE) == scores[-1]


@pytest.mark.parametrize("mean", [0.0, 0.5, 3.0, 1e4])
@pytest.mark.parametrize("shape", [5.0, 20.0])
def test_a_count_scores_positive_above_its_mean_and_negative_below(mean, shape):
    counts = sorted({0.0, mean / 3, mean, mean + 1, 2 * mean + 5, 50 * mean + 50})
    scores = [count_excess(x, mean, shape) for x in counts]
    assert all(a <= b for a, b in pairwise(scores))
    for x, score in zip(counts, scores, strict=True):
        assert score >= 0 if x > mean else score <= 0
        assert abs(score) <= CAP
    assert scores[-1] > 4


def test_a_count_at_its_mean_is_no_news():
    assert abs(count_excess(40.0, 40.0, 5.0)) < 1e-9


def test_a_factor_of_two_is_no_news_however_large_the_counts():
    assert count_excess(2e6, 1e6, 5.0) < 1.0
    assert count_excess(2e6, 1e6, 1e9) == CAP


def test_a_steadier_count_is_more_surprising():
    scores = [count_excess(30.0, 10.0, shape) for shape in (1.0, 5.0, 50.0, 1e6)]
    assert all(a < b for a, b in pairwise(scores))


@pytest.mark.parametrize(
    ("n", "p", "weight"), [(1, 0.0, 100.0), (7, 0.3, 10.0), (60, 0.02, 1e4), (60, 0.98, 1e4), (400, 0.5, 1e4)]
)
def test_bounds_of_a_share_hold_what_is_no_news_and_nothing_else(n, p, weight):
    low, high = share_bounds(n, p, weight, EFFECTIVE)
    assert 0.0 <= low <= p <= high <= 1.0
    least, most = round(low * n), round(high * n)
    assert at_least(float(most), float(n), p, weight, EFFECTIVE) <= BOUND
    assert most == n or at_least(most + 1.0, float(n), p, weight, EFFECTIVE) > BOUND
    assert at_least(float(n - least), float(n), 1.0 - p, weight, EFFECTIVE) <= BOUND
    assert least == 0 or at_least(n - least + 1.0, float(n), 1.0 - p, weight, EFFECTIVE) > BOUND


@pytest.mark.parametrize("mean", [0.2, 5.0, 300.0])
@pytest.mark.parametrize("shape", [1.0, 20.0])
def test_bounds_of_a_count_are_where_it_becomes_news(mean, shape):
    low, high = count_bounds(mean, shape)
    assert low <= mean < high
    assert count_excess(high, mean, shape) == pytest.approx(BOUND, abs=1e-6)
    assert low < 1e-9 or count_excess(low, mean, shape) == pytest.approx(-BOUND, abs=1e-6)
