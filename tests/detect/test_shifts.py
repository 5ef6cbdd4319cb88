"""Durations, shares and rates: a change is found, noise is not, little data is not judged, numbers do not matter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from aiops import state
from aiops.detect.rates import Rates
from aiops.detect.shares import Shares
from aiops.detect.shifts import LEAST_NORMAL, Durations, Shift, Slow
from aiops.detect.suspicion import Suspicion
from aiops.signals import SECOND, WINDOW
from aiops.traces.durations import duration_bin

T = 1_000_000 * SECOND
QUIET = 60  # windows of normal life
LOUD = 4.0  # evidence beyond doubt
NOISE = 2.5  # below it nothing is reported as anything


def calm(n: int = 8) -> Suspicion:
    out = Suspicion()
    out.grow(n)
    return out


# ---- durations -----------------------------------------------------------------------------------------------


def drawn_bins(rng: np.random.Generator, n: int, ms: float) -> np.ndarray[Any, Any]:
    return np.array([duration_bin(int(ms * 1e6 * np.exp(0.3 * x))) for x in rng.normal(size=n)], np.int64)


def put(durations: Durations, k: int, bins: dict[int, Any]) -> None:
    keys, values, counts = [], [], []
    for key in sorted(bins):
        found, n = np.unique(bins[key], return_counts=True)
        keys += [key] * len(found)
        values += found.tolist()
        counts += n.tolist()
    durations.add(
        T + k * WINDOW, np.array(keys, np.int64), np.array(values, np.int64), np.array(counts, np.int64), True
    )
    durations.contrast.advance(T + (k + 1) * WINDOW)


def durations(keys: int = 1, least: int = 5) -> Durations:
    out = Durations(calm(keys), least, 1.5)
    out.grow(list(range(keys)))
    return out


def after(k: int) -> int:
    return T + k * WINDOW


def scored(rng: np.random.Generator, then: float, n: int = 10, windows: int = 4) -> list[Shift]:
    """A key with 20 ms as normal, and a few windows of something else."""
    found = durations()
    for k in range(QUIET):
        put(found, k, {0: drawn_bins(rng, 10, 20.0)})
    for k in range(QUIET, QUIET + windows):
        put(found, k, {0: drawn_bins(rng, n, then)})
    return found.evidence(after(QUIET + windows))


def test_a_service_that_slows_down_is_found(rng):
    (shift,) = scored(rng, 60.0)
    assert shift.score >= LOUD
    assert shift.recent_p50 > shift.normal_p90
    assert shift.durations >= 40


def test_the_slower_the_more_evidence():
    scores = [scored(np.random.default_rng(5), ms)[0].score for ms in (20.0, 28.0, 40.0, 80.0)]
    assert scores == sorted(scores)
    assert scores[0] < NOISE < scores[-1]


def test_noise_is_no_shift():
    scores = [scored(np.random.default_rng(k), 21.0)[0].score for k in range(40)]
    assert 0.0 <= min(scores) <= max(scores) < NOISE


def test_a_service_that_becomes_faster_is_no_shift(rng):
    assert scored(rng, 5.0)[0].score == 0.0


def test_too_few_recent_durations_are_not_judged(rng):
    assert scored(rng, 500.0, n=1, windows=4) != []
    found = durations(least=50)
    for k in range(QUIET):
        put(found, k, {0: drawn_bins(rng, 3, 20.0)})
    assert found.evidence(after(QUIET)) == []


def test_a_key_without_a_past_is_not_judged(rng):
    found = durations()
    for k in range(4):
        put(found, k, {0: drawn_bins(rng, LEAST_NORMAL, 900.0)})
    assert found.evidence(after(4)) == []


@pytest.mark.parametrize("order", [(2, 0, 1), (1, 2, 0)])
def test_the_numbering_of_keys_does_not_change_their_evidence(order):
    def run(numbers: tuple[int, ...]) -> dict[int, Any]:
        rng, found = np.random.default_rng(3), durations(3)
        for k in range(QUIET + 5):
            ms = (20.0, 5.0, 20.0 if k < QUIET else 70.0)
            bins = [drawn_bins(rng, 6, m) for m in ms]
            put(found, k, {numbers[i]: bins[i] for i in range(3)})
        return {numbers.index(shift.key): shift[1:] for shift in found.evidence(after(QUIET + 5))}

    assert run(order) == run((0, 1, 2))


# ---- runs of little traffic ----------------------------------------------------------------------------------


def rare(then: float, every: int, least: int = 5) -> list[Slow]:
    """A key with a duration every so many windows, 20 ms at first; what is told after eight of something else."""
    rng, found, told = np.random.default_rng(7), durations(least=least), list[Slow]()
    for k in range(30 * every + 8 * every):
        ms = 20.0 if k < 30 * every else then
        if k % every == 0:
            put(found, k, {0: drawn_bins(rng, 1, ms)})
        else:
            found.contrast.advance(after(k + 1))
        told = found.runs(after(k + 1), 2.0)
    return told


def test_one_slow_request_in_five_minutes_adds_up():
    (slow,) = rare(200.0, every=30)
    assert slow.score >= LOUD
    assert (slow.hits, slow.trials) == (8, 8)
    assert slow.since >= T + 900 * WINDOW
    assert slow.recent_p90 == -1, "nothing came within the last two minutes"


def test_one_usual_request_in_five_minutes_adds_up_to_nothing():
    assert rare(20.0, every=30) == []


def test_where_the_last_minutes_hold_enough_no_run_is_told():
    assert rare(200.0, every=1) == []
    assert rare(200.0, every=1, least=20) != []


# ---- shares --------------------------------------------------------------------------------------------------


def shares(normal: tuple[int, int], then: tuple[int, int], windows: int = 5, keys: int = 1) -> list[Any]:
    """(trials, hits) a window, for a while and then."""
    found = Shares(calm(keys))
    found.grow(list(range(keys)))
    everyone = np.arange(keys)
    for k in range(QUIET + windows):
        trials, hits = normal if k < QUIET else then
        found.add(T + k * WINDOW, everyone, np.full(keys, trials), np.full(keys, hits), True)
        found.contrast.advance(T + (k + 1) * WINDOW)
    return found.evidence(after(QUIET + windows))


def test_errors_that_appear_are_found_with_their_counts():
    (share,) = shares((20, 0), (20, 10))
    assert share.score >= LOUD
    assert (share.hits, share.trials, share.normal) in {(50, 100, 0.0), (60, 120, 0.0), (50, 120, 0.0)}


def test_a_share_that_stays_as_it_was_is_no_evidence():
    assert all(share.score < NOISE for share in shares((20, 4), (20, 4)))


def test_a_share_that_falls_is_no_evidence():
    assert shares((20, 15), (20, 1)) == []


def test_one_failure_is_no_pattern():
    assert shares((20, 0), (1, 1), windows=1) == []
    assert shares((1, 0), (1, 1), windows=1) == []
    assert shares((1, 0), (1, 1), windows=2) != []


def test_shares_without_a_past_are_not_judged():
    found = Shares(calm())
    found.grow([0])
    found.add(T, np.array([0]), np.array([50]), np.array([50]), True)
    found.contrast.advance(T + WINDOW)
    assert found.evidence(T + WINDOW) == []


def test_random_errors_at_the_usual_rate_are_no_evidence():
    worst = 0.0
    for k in range(30):
        rng, found = np.random.default_rng(k), Shares(calm(1))
        found.grow([0])
        for w in range(QUIET + 10):
            found.add(T + w * WINDOW, np.array([0]), np.array([30]), np.array([int(rng.binomial(30, 0.05))]), True)
            found.contrast.advance(T + (w + 1) * WINDOW)
        worst = max(worst, *(s.score for s in found.evidence(after(QUIET + 10))), 0.0)
    assert worst < NOISE


# ---- rates ---------------------------------------------------------------------------------------------------


def rates(normal: int, then: int, quiet: int = QUIET * 2, active: bool = True, least: float = 2.0) -> list[Any]:
    found = Rates(calm(), 5.0, 60.0)
    found.add_group()
    found.grow([0], [0])
    end = quiet + 6
    for k in range(end):
        n = normal if k < quiet else then
        said = active or k < quiet
        key = np.array([0] if n and said else [], np.int64)
        found.add(
            T + k * WINDOW, key, np.full(len(key), n), np.array([0] if said else [], np.int64), np.ones(int(said)), said
        )
        found.advance(T + (k + 1) * WINDOW)
    return found.evidence(after(end), least)


def test_a_rate_that_surges_is_found_with_what_was_expected():
    (rate,) = rates(2, 80)
    assert rate.score >= LOUD
    assert rate.times >= 480
    assert rate.expected < 30


def test_a_rate_that_collapses_scores_negative():
    (rate,) = rates(300, 0)
    assert rate.score <= -LOUD


def test_a_rate_that_doubles_or_stays_is_no_news():
    assert rates(10, 20, least=NOISE) == []
    assert rates(10, 10, least=0.5) == []


def test_silence_of_the_whole_environment_moves_no_rate():
    assert rates(300, 0, active=False, least=NOISE) == []


def test_a_rate_without_a_past_is_not_judged():
    assert rates(2, 80, quiet=20) == []


class Restorable(NamedTuple):
    """How each of them is fed, asked and saved."""

    make: Callable[[Suspicion], Any]
    grow: Callable[[Any], None]
    add: Callable[[Any, int, Any], None]
    ask: Callable[[Any, int], Any]
    saved: Callable[[Any], Any] = lambda x: x.contrast


def _grow_rates(rates: Rates) -> None:
    rates.add_group()
    rates.grow([0, 1], [0, 0])


BOTH = np.arange(2)
PARTS = {
    "rates": Restorable(
        lambda suspicion: Rates(suspicion, 5.0, 5.0),
        _grow_rates,
        lambda x, start, n: x.add(start, BOTH, n, np.array([0]), np.ones(1), True),
        lambda x, now: x.evidence(now, 2.0),
        lambda x: x,
    ),
    "shares": Restorable(
        Shares,
        lambda x: x.grow([0, 1]),
        lambda x, start, n: x.add(start, BOTH, n + 5, n, True),
        lambda x, now: x.evidence(now),
    ),
    "durations": Restorable(
        lambda suspicion: Durations(suspicion, 5, 1.5),
        lambda x: x.grow([0, 1]),
        lambda x, start, n: x.add(start, BOTH, n, np.array([9, 8]), True),
        lambda x, now: x.evidence(now),
    ),
}


@pytest.mark.parametrize("kind", sorted(PARTS))
def test_what_is_restored_has_the_same_future(kind, rng):
    part, suspicion = PARTS[kind], calm(2)
    one = part.make(suspicion)
    part.grow(one)
    for k in range(80):
        two = part.make(suspicion)
        part.saved(two).restore(state.unpack(state.pack(part.saved(one).state())))
        n = rng.integers(1, 20 if k < 60 else 200, 2)
        for x in (one, two):
            part.add(x, T + k * WINDOW, n)
            part.saved(x).advance(T + (k + 1) * WINDOW)
        assert part.ask(one, T + (k + 1) * WINDOW) == part.ask(two, T + (k + 1) * WINDOW)
        one = two
