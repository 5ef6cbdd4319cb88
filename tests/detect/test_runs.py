"""A sequential test of shares: early, patient, silent about noise, and forgetful in time."""

from __future__ import annotations

import numpy as np
import pytest

from aiops import state
from aiops.detect.retention import Kept
from aiops.detect.runs import CHANCES, HOLD, LONGEST_HOLD, Run, Runs
from aiops.detect.tails import CAP, EFFECTIVE
from aiops.signals import SECOND, WINDOW

T = 1_000_000 * SECOND
LOUD = 4.0


def runs(keys: int = 1) -> Runs:
    out = Runs(EFFECTIVE)
    out.grow(keys)
    return out


def feed(
    of: Runs, k: int, trials: float, hits: float, normal: float = 0.1, weight: float = 1000.0, key: int = 0
) -> None:
    of.advance(
        T + k * WINDOW, np.array([key]), np.array([trials]), np.array([hits]), np.array([normal]), np.array([weight]),
        np.array([2.0 * hits]),
    )  # fmt: skip


def told(of: Runs, k: int, least: float = LOUD) -> list[Run]:
    return of.found(T + k * WINDOW, least)


def test_a_share_that_jumps_is_told_within_four_windows_with_its_beginning_and_counts():
    of = runs()
    for k in range(10):
        feed(of, k, 20, 2)
    for k in range(10, 14):
        feed(of, k, 20, 18)
    (run,) = told(of, 14)
    assert (run.hits, run.trials, run.normal, run.since) == (72, 80, 0.1, T + 10 * WINDOW)
    assert run.effect == pytest.approx(2.0 * 72 / 80)


def test_a_burst_within_one_window_is_no_run():
    of = runs()
    feed(of, 0, 500, 500)
    assert told(of, 1, 0.5) == []


def test_one_trial_in_ten_minutes_adds_up():
    of, at = runs(), []
    for k in range(6):
        feed(of, 60 * k, 1, 1, normal=0.0)
        at.append(max((run.score for run in told(of, 60 * k + 30, 0.1)), default=0.0))
    assert at == sorted(at)
    assert at[1] < LOUD < at[-1], "twice is not enough, six times is"
    assert told(of, 60 * 5 + 30)[0].trials == 6


def test_what_a_baseline_of_few_trials_says_weighs_less():
    scores = []
    for weight in (10.0, 20.0, 50.0):
        of = runs()
        for k in range(3):
            feed(of, k, 1, 1, normal=0.0, weight=weight)
        scores.append(told(of, 3, 0.1)[0].score)
    assert scores == sorted(scores)
    of = runs()
    for k in range(9):
        feed(of, k, 1, 1, normal=0.0, weight=9.0)
    assert told(of, 9, 0.1) == [], "too little is known to judge"


def test_the_usual_share_is_no_run_however_long_and_however_it_swings():
    of, draw, worst = runs(200), np.random.default_rng(1), 0.0
    everyone, usual = np.arange(200), np.full(200, 0.1)
    for k in range(500):
        share = np.clip(draw.normal(0.1, 0.03, 200), 0.0, 1.0)
        hits = draw.binomial(12, share).astype(float)
        of.advance(T + k * WINDOW, everyone, np.full(200, 12.0), hits, usual, np.full(200, 1e4), hits)
        worst = max(worst, max((run.score for run in of.found(T + (k + 1) * WINDOW, 0.1)), default=0.0))
    assert worst < LOUD


def test_a_share_that_falls_is_no_run():
    of = runs()
    for k in range(30):
        feed(of, k, 20, 0, normal=0.5)
    assert told(of, 30, 0.1) == []


def test_a_run_ends_when_the_share_is_usual_again():
    of = runs()
    for k in range(30):
        feed(of, k, 20, 20)
    assert told(of, 30)[0].score == CAP - CHANCES
    for k in range(30, 40):
        feed(of, k, 20, 2)
    assert told(of, 40, 0.5) == []


def test_a_run_says_nothing_any_more_after_its_key_fell_silent():
    of = runs(2)
    for k in range(4):
        feed(of, k, 20, 20)
        feed(of, 120 * k, 1, 1, normal=0.0, key=1)
    busy, rare = 3 + HOLD // WINDOW, 360 + LONGEST_HOLD // WINDOW
    assert [run.key for run in told(of, busy + 1, 2.0) if run.key == 0] == [0]
    assert [run.key for run in told(of, busy + 2, 2.0) if run.key == 0] == []
    assert [run.key for run in told(of, rare + 1, 2.0)] == [1]
    assert told(of, rare + 2, 2.0) == []


def test_what_a_run_teaches_does_not_excuse_it_until_it_has_lasted_an_hour():
    of = runs()
    for k in range(6):
        feed(of, 60 * k, 1, 1, normal=0.2 * k)
    assert told(of, 301)[0].normal == 0.0
    for k in range(6, 14):
        feed(of, 60 * k, 1, 1, normal=1.0)
    late = told(of, 60 * 13 + 1, 0.1)[0].score
    for k in range(14, 18):
        feed(of, 60 * k, 1, 1, normal=1.0)
    assert told(of, 60 * 17 + 1, 0.1)[0].score < late < CAP - CHANCES, "what has become usual is none"


def test_keys_that_go_leave_the_others_as_they_are():
    of = runs(3)
    for k in range(4):
        for key in range(3):
            feed(of, k, 20, 6 * key, key=key)
    before = {run.key: run for run in told(of, 4, 0.1)}
    of.keep(Kept(np.array([True, False, True])))
    assert [run[1:] for run in told(of, 4, 0.1)] == [before[2][1:]]
    of.grow(100)
    assert [run.key for run in told(of, 4, 0.1)] == [1]


def test_a_restored_run_has_the_same_future():
    one, two, draw = runs(5), runs(), np.random.default_rng(2)
    for k in range(60):
        for key in range(5):
            feed(one, k, 8, int(draw.integers(9)), key=key)
        packed = state.pack(one.state())
        two.restore(state.unpack(packed))
        assert state.pack(two.state()) == packed
        assert told(two, k + 1, 0.1) == told(one, k + 1, 0.1)
        one, two = two, one
