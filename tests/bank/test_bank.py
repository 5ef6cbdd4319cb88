"""The bank: what it finds, what it says of it, how it is saved, and how it is taught."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aiops import state
from aiops.bank import BYTES, TERMS, Bank, kernel
from aiops.bank.columns import CALIBRATED, FORECAST, STUCK, TIME_OF_DAY
from aiops.detect.retention import Kept

MINUTE = 60_000_000_000
DAY = 1440
LOUD = 4.0


def feed(bank: Bank, values: Any, row: int = 0, at: int = 0, every: int = 1) -> Any:
    """Feed values of one series, one every so many minutes from minute `at` on."""
    time = (at + every * np.arange(len(values))) * MINUTE
    return bank.feed(np.full(len(values), row), time, np.asarray(values, float), detail=True)


def one(values: Any, **how: Any) -> Any:
    bank = Bank()
    bank.grow(1)
    return feed(bank, values, **how)


def noise(n: int, seed: int = 1) -> Any:
    return 100.0 + np.random.default_rng(seed).standard_normal(n)


def test_a_series_has_no_more_than_it_may():
    assert BYTES <= 6500


def test_a_jump_is_found_once_and_what_was_expected_is_told():
    value = noise(1000)
    value[900:] += 40.0
    out = one(value)
    loud = np.flatnonzero((out.score >= LOUD) & out.alert)
    assert loud.tolist() == [900]
    assert out.lower[900] <= out.expected[900] <= out.upper[900] < value[900]
    assert abs(out.expected[900] - 100.0) < 2.0
    assert np.isnan(out.expected[0])


def test_a_series_that_always_varies_and_stands_still_is_stuck():
    value = noise(800)
    value[700:] = value[700]
    out = one(value)
    assert (out.detail[:700, 0, STUCK] == 0).all()
    assert out.detail[710:, 0, STUCK].max() >= LOUD
    assert TERMS[STUCK] == "stuck at one value"


def test_a_series_that_often_repeats_itself_is_not_stuck():
    value = np.random.default_rng(2).poisson(0.3, 2000).astype(float)
    value[1900:] = 0.0
    assert one(value).detail[:1910, 0, STUCK].max() < LOUD


def test_what_lasts_for_longer_than_it_is_remembered_is_no_news_any_more():
    value = noise(2000)
    value[600:] = value[600]
    stuck = one(value).detail[:, 0, STUCK]
    assert stuck[700] >= LOUD
    assert (stuck[600 + 256 :] == 0).all()


def test_an_absurd_value_is_forgotten_by_the_extremes():
    value = noise(3 * kernel.BLOCK)
    value[100] = 1e9
    value[-1] = 200.0
    young, old = one(np.concatenate([value[:8000], value[-1:]])), one(value)
    beyond = 3
    assert young.detail[-1, 0, beyond] == 0
    assert old.detail[-1, 0, beyond] >= LOUD


def test_a_weekend_is_expected_once_it_was_seen_and_a_holiday_speaks_only_for_hours():
    rng = np.random.default_rng(4)
    every = 15
    minute = np.arange(0, 7 * 7 * DAY, every)
    weekend = (minute // DAY + 3) % 7 >= 5
    daily = 100.0 + 30.0 * np.sin(2 * np.pi * minute / DAY)
    value = np.where(weekend, 0.6, 1.0) * daily + rng.standard_normal(len(minute))
    out = one(value, every=every)
    week = 7 * DAY // every
    spoke = (out.detail[:, 0, TIME_OF_DAY] * out.detail[:, 1, TIME_OF_DAY]).reshape(7, week)
    assert (spoke[6] >= 2.0).sum() <= 0.02 * week
    forecast = np.abs(out.expected - value)
    assert np.nanmean(forecast[6 * week :]) < np.nanmean(forecast[week : 2 * week])


def test_the_forecast_speaks_of_a_point_that_the_time_of_day_alone_would_allow():
    minute = np.arange(0, 6 * DAY, 5)
    value = (
        100.0 + 50.0 * np.sin(2 * np.pi * minute / DAY) + 0.5 * np.random.default_rng(5).standard_normal(len(minute))
    )
    value[-1] += 6.0
    out = one(value, every=5)
    assert out.detail[-1, 0, FORECAST] >= 2.0


def test_a_new_series_says_that_it_learns_and_borrows_from_a_sibling():
    bank = Bank()
    bank.grow(1)
    feed(bank, noise(2000))
    bank.grow(2, np.array([0, -1]))
    assert bank.learning(np.array([0, 1, 2])).tolist() == [1.0, pytest.approx(30 / 306), 0.0]
    value = noise(60, seed=9)
    value[55] += 30.0
    lent, alone = feed(bank, value, row=1), feed(bank, value, row=2)
    assert lent.score[55] >= LOUD > alone.score[55]
    assert (lent.score[20:55] < LOUD).all()


def test_what_a_person_calls_ordinary_scores_less_the_next_time():
    def twice(kind: str | None) -> float:
        bank = Bank()
        bank.grow(1)
        value = noise(1200)
        value[1000] += 12.0
        feed(bank, value[:1001])
        if kind:
            bank.learn(0, kind)
        value[1100] += 12.0
        return float(feed(bank, value[1001:], at=1001).evidence[99])

    assert twice("ordinary") < 0.5 * twice(None)


def test_a_new_trend_is_the_level_at_once():
    def later(kind: str | None) -> float:
        bank = Bank()
        bank.grow(1)
        value = noise(1100)
        value[1000:] += 30.0
        feed(bank, value[:1001])
        if kind:
            bank.learn(0, kind)
        out = feed(bank, value[1001:1002], at=1001)
        return float(abs(out.expected[0] - 130.0))

    assert later("new trend") < later(None)


def test_feedback_of_an_unknown_kind_is_refused_by_name():
    bank = Bank()
    bank.grow(1)
    with pytest.raises(ValueError, match="'perhaps' is none of ordinary, new trend"):
        bank.learn(0, "perhaps")


def test_only_what_changed_is_saved_and_restores_to_the_same():
    rng = np.random.default_rng(3)
    bank, other = Bank(), Bank()
    bank.grow(6)
    for row in range(6):
        feed(bank, noise(200, row), row=row)
    other.restore(state.unpack(state.pack(bank.state())))
    bank.grow(2)
    feed(bank, rng.standard_normal(50), row=2, at=200)
    feed(bank, rng.standard_normal(50), row=7)
    changed = bank.changed()
    assert changed["rows"].tolist() == [2, 6, 7]
    other.restore(state.unpack(state.pack(changed)))
    assert state.pack(other.state()) == state.pack(bank.state())
    assert bank.changed()["rows"].tolist() == []


def test_rows_that_go_leave_no_trace_and_the_next_save_is_whole():
    stays = np.array([True, False, True, True])
    bank, never = Bank(), Bank()
    bank.grow(4)
    never.grow(3)
    for row, new in ((0, 0), (1, None), (2, 1), (3, 2)):
        feed(bank, noise(300, row), row=row)
        if new is not None:
            feed(never, noise(300, row), row=new)
    bank.state()
    bank.keep(Kept(stays))
    changed = bank.changed()
    assert "rows" not in changed
    assert state.pack(changed) == state.pack(never.state())
    bank.grow(1)
    assert feed(bank, noise(5, 9), row=3).score.tolist() == [0.0] * 5


def test_a_shuffled_batch_with_many_points_a_series_gives_the_same():
    rng = np.random.default_rng(6)
    rows = rng.integers(0, 40, 4000)
    time, value = np.arange(4000) * MINUTE, rng.standard_normal(4000)
    shuffled, sorted_ = Bank(), Bank()
    shuffled.grow(40)
    sorted_.grow(40)
    order = np.argsort(rows, kind="stable")
    out = shuffled.feed(rows, time, value)
    again = sorted_.feed(rows[order], time[order], value[order])
    assert out.evidence[order].tobytes() == again.evidence.tobytes()
    assert state.pack(shuffled.state()) == state.pack(sorted_.state())


def test_every_term_but_what_is_stuck_has_a_tail():
    assert CALIBRATED == len(TERMS) - 1 == STUCK
