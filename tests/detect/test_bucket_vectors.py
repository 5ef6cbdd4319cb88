"""Last bucket vectors of histogram series: increases, resets, changed bounds, many at once, eviction, snapshots."""

from __future__ import annotations

import numpy as np
import pytest

from aiops import state
from aiops.detect.bucket_vectors import BucketVectors
from aiops.detect.retention import Kept
from aiops.detect.values import percentile

BOUNDS = (1.0, 2.0, 4.0)


def asked(vectors, of, whole=()):
    """Medians of series -> vector, the increase since the last time."""
    codes = np.array(list(of), np.int32)
    parts = [np.array(v, float) for v in of.values()]
    offsets = np.cumsum([0, *map(len, parts)])
    flags = np.array([code in whole for code in of])
    out = vectors.percentiles(codes, flags, offsets, np.concatenate([*parts, []]), np.arange(len(of)), 0.5)
    return dict(zip(of, out.tolist(), strict=True))


def of_increase(counts):
    return float(percentile(np.array(counts, float), np.array(BOUNDS), 0.5))


@pytest.fixture
def vectors():
    """Series 0 is cumulative, 1 says increases, 2 has no buckets."""
    v = BucketVectors()
    v.learn(BOUNDS, True)
    v.learn(BOUNDS, False)
    v.learn((), True)
    return v


def test_a_cumulative_series_is_compared_with_its_last_vector(vectors):
    assert np.isnan(asked(vectors, {0: [5, 0, 0, 0]})[0])
    assert asked(vectors, {0: [5, 0, 8, 0]})[0] == of_increase([0, 0, 8, 0])


def test_an_increase_is_judged_as_it_is(vectors):
    assert asked(vectors, {1: [5, 0, 0, 0]})[1] == of_increase([5, 0, 0, 0])


def test_after_a_reset_the_vector_is_the_increase(vectors):
    asked(vectors, {0: [50, 0, 0, 0]})
    assert asked(vectors, {0: [1, 0, 9, 0]}, whole={0})[0] == of_increase([1, 0, 9, 0])
    assert asked(vectors, {0: [1, 4, 9, 0]})[0] == of_increase([0, 4, 0, 0])


@pytest.mark.parametrize("odd", [[], [1.0], [1.0, 2.0, 3.0, 4.0, 5.0]])
def test_vectors_of_another_length_are_compared_with_nothing_and_judged_by_no_bounds(vectors, odd):
    asked(vectors, {0: [50, 0, 0, 0]})
    assert np.isnan(asked(vectors, {0: odd})[0])
    assert np.isnan(asked(vectors, {0: [50, 7, 0, 0]})[0])
    assert asked(vectors, {0: [50, 7, 3, 0]})[0] == of_increase([0, 0, 3, 0])


def test_nothing_measured_and_no_buckets_make_no_percentile(vectors):
    asked(vectors, {0: [5, 0, 0, 0], 2: []})
    found = asked(vectors, {0: [5, 0, 0, 0], 2: []})
    assert np.isnan(found[0])
    assert np.isnan(found[2])


def test_lengths_that_change_in_every_window_do_not_fill_the_memory(vectors):
    for n in range(2_000):
        asked(vectors, {0: [1.0] * (3 + n % 5), 1: [1.0] * 4})
    assert len(vectors._data) < 100


def test_many_series_are_judged_as_each_alone(rng):
    n, rounds = 300, 4
    bounds = [tuple(np.sort(rng.normal(size=rng.integers(1, 6))).tolist()) for _ in range(n)]
    cumulative = rng.random(n) < 0.7
    together = BucketVectors()
    alone = [BucketVectors() for _ in range(n)]
    for k in range(n):
        together.learn(bounds[k], bool(cumulative[k]))
        alone[k].learn(bounds[k], bool(cumulative[k]))
    total = [np.zeros(len(b) + 1) for b in bounds]
    for _ in range(rounds):
        some = rng.permutation(n)[: n // 2].tolist()
        for k in some:
            total[k] += rng.integers(0, 5, len(total[k]))
        found = asked(together, {k: total[k].tolist() for k in some})
        for k in some:
            np.testing.assert_equal(found[k], asked(alone[k], {0: total[k].tolist()})[0])


def test_eviction_keeps_the_vectors_of_those_that_stay(rng):
    v = BucketVectors()
    for k in range(200):
        v.learn((1.0, 2.0) if k % 2 else BOUNDS, True)
    first = {k: rng.integers(0, 9, 3 if k % 2 else 4).astype(float).tolist() for k in range(200)}
    asked(v, first)
    stays = np.arange(200) % 3 == 0
    v.keep(Kept(stays))
    assert len(v) == stays.sum()
    later = {new: [x + 1 for x in first[old]] for new, old in enumerate(np.flatnonzero(stays).tolist())}
    assert not np.isnan(list(asked(v, later).values())).any()
    v.learn(BOUNDS, False)
    assert asked(v, {len(v) - 1: [0, 4, 0, 0]})[len(v) - 1] == of_increase([0, 4, 0, 0])


def test_a_snapshot_goes_on_where_it_was_taken(vectors):
    asked(vectors, {0: [5, 0, 0, 0]})
    again = BucketVectors()
    for bounds, cumulative in ((BOUNDS, True), (BOUNDS, False), ((), True)):
        again.learn(bounds, cumulative)
    again.restore(state.unpack(state.pack(vectors.state())))
    assert asked(again, {0: [5, 0, 8, 0]}) == asked(vectors, {0: [5, 0, 8, 0]})
    assert asked(again, {0: [5, 1, 9, 0]}) == asked(vectors, {0: [5, 1, 9, 0]})
