"""What comes and goes all day counts little; what comes for the first time, is stronger or lasts longer counts in full."""

from __future__ import annotations

import numpy as np
import pytest

from aiops import state
from aiops.incidents.habits import BEGINS, KEPT, LONGEST, MEMORY, PAUSE, Habits, words
from aiops.signals import SECOND, WINDOW

T = 1_700_000_000 * SECOND
MINUTE = 60 * SECOND


class Life:
    """One service with one term."""

    def __init__(self) -> None:
        self.habits, self.now = Habits(), T

    def window(self, value: float) -> float:
        """Weight of the evidence."""
        self.now += WINDOW
        habit = self.habits.take(self.now, np.array([[value]])).get((0, 0))
        return 1.0 if habit is None else habit.weight

    def burst(self, value: float = 6.0, seconds: int = 60, quiet: int = 240) -> list[float]:
        weights = [self.window(value) for _ in range(seconds // 10)]
        for _ in range(quiet // 10):
            self.window(0.0)
        return weights


def test_the_first_time_is_news_and_every_further_time_is_less():
    life = Life()
    assert set(life.burst()) == {1.0}
    assert [life.burst()[0] for _ in range(3)] == [pytest.approx(1 / n) for n in (2, 3, 4)]


def test_what_outlasts_all_earlier_times_counts_in_full():
    life = Life()
    for _ in range(5):
        life.burst(seconds=60)
    weights = [life.window(6.0) for _ in range(12)]
    assert weights[0] == pytest.approx(1 / 6)
    assert weights[-1] == 1.0
    assert weights == sorted(weights)


def test_what_is_much_stronger_than_ever_counts_in_full():
    life = Life()
    for _ in range(5):
        life.burst(3.0)
    assert life.window(3.2) < 0.2
    assert life.window(7.0) == 1.0


def test_what_lasted_long_was_a_fault_and_the_next_one_is_news_like_the_first():
    life = Life()
    for _ in range(3):
        assert set(life.burst(seconds=LONGEST // SECOND + 60)) == {1.0}


def test_a_pause_within_a_burst_does_not_end_it():
    life = Life()
    life.burst(seconds=60, quiet=PAUSE // SECOND - 20)
    assert life.window(6.0) == 1.0
    assert len(life.habits) == 0


def test_noise_below_the_bound_is_no_burst():
    life = Life()
    for _ in range(20):
        life.burst(BEGINS - 0.1)
    assert len(life.habits) == 0
    assert life.window(6.0) == 1.0


def test_habits_are_forgotten_and_bounded():
    life = Life()
    for _ in range(KEPT + 5):
        life.burst()
    assert life.window(6.0) == pytest.approx(1 / (KEPT + 1))
    life.now += MEMORY
    life.habits.forget(life.now, set())
    assert len(life.habits) == 0
    life.burst()
    life.habits.forget(life.now, {0})
    assert len(life.habits) == 0
    assert life.window(6.0) == 1.0


def test_another_term_and_another_service_have_habits_of_their_own():
    habits, now = Habits(), T
    for _ in range(4):
        for value in [6.0] * 6 + [0.0] * 24:
            now += WINDOW
            habits.take(now, np.array([[value, 0.0], [0.0, 0.0]]))
    assert set(habits.take(now + WINDOW, np.full((2, 2), 6.0))) == {(0, 0)}


def test_a_snapshot_restores_the_same_future():
    one = Life()
    for _ in range(3):
        one.burst()
    one.window(6.0)
    two = Life()
    two.habits.restore(state.unpack(state.pack(one.habits.state())))
    two.now = one.now
    for value in [6.0] * 4 + [0.0] * 12 + [5.0] * 30:
        assert one.window(value) == two.window(value)
    assert state.pack(one.habits.state()) == state.pack(two.habits.state())


def test_a_habit_is_told_in_words_once_it_is_one():
    life = Life()
    life.burst()
    (habit,) = life.habits.take(life.now + WINDOW, np.array([[6.0]])).values()
    assert words(habit) == ""
    life.burst()
    (habit,) = life.habits.take(life.now + WINDOW, np.array([[6.0]])).values()
    assert words(habit) == "; 2 of 2 earlier times like this it was over soon: it counts 33 %"
