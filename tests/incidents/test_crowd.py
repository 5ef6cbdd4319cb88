"""More users make everything slower: that is explained, and what fails or is slow without them is not."""

from __future__ import annotations

import pytest

from aiops import state
from aiops.incidents.crowd import LEAST, SPAN, Crowd, weight
from aiops.signals import SECOND, WINDOW
from tests.incidents.world import World

T = 1_700_000_000 * SECOND // SPAN * SPAN


class Day:
    def __init__(self) -> None:
        self.crowd, self.now = Crowd(), T

    def live(self, minutes: int, requests: float) -> float:
        for _ in range(6 * minutes):
            self.now += WINDOW
            times = self.crowd.take(self.now, requests)
        return times


def test_nothing_is_known_at_first():
    assert Day().live(9, 100.0) == 1.0


def test_a_crowd_is_told_by_what_was_usual_and_stays_one_while_it_lasts():
    day = Day()
    day.live(60, 100.0)
    assert day.live(1, 160.0) == pytest.approx(1.6)
    assert day.live(20, 160.0) == pytest.approx(1.6)


def test_a_sampler_that_passes_everything_again_brings_no_crowd():
    day = Day()
    day.live(90, 100.0)
    day.live(30, 30.0)
    assert day.live(1, 100.0) == pytest.approx(1.0)


def test_of_few_requests_nothing_is_said():
    day = Day()
    day.live(60, LEAST - 1.0)
    assert day.live(1, 10 * LEAST) == 1.0


def test_the_more_come_the_more_is_explained():
    weights = [weight(times) for times in (0.5, 1.0, 1.2, 1.3, 1.6, 2.0)]
    assert weights[:3] == [1.0, 1.0, 1.0]
    assert weights[2:] == sorted(weights[2:], reverse=True)
    assert weights[-1] < 0.2


def test_a_snapshot_restores_the_same_future():
    day, other = Day(), Day()
    day.live(47, 100.0)
    other.crowd.restore(state.unpack(state.pack(day.crowd.state())))
    other.now = day.now
    assert day.live(30, 120.0) == other.live(30, 120.0)


SLOW = {"web": {"own": 6.0}, "cart": {"own": 6.0}}
USUAL, MANY = {"web": 100.0}, {"web": 170.0}


def test_what_is_slow_in_a_crowd_opens_nothing_and_what_is_slow_without_one_does():
    world = World()
    world.last_for(1800, visits=USUAL)
    world.last_for(600, SLOW, visits=MANY)
    assert world.said == []
    world.last_for(180, visits=USUAL)
    world.last_for(180, SLOW, visits=USUAL)
    assert world.only.causes


def test_what_fails_in_a_crowd_opens_an_incident():
    world = World()
    world.last_for(1800, visits=USUAL)
    world.last_for(60, {"cart": {"own": 6.0, "errors": 6.0}}, visits=MANY)
    assert world.only.causes[0].service == "cart"
