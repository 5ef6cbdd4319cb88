"""What grows steadily towards its limit is told before it is there; what swings, slows down or has room is not."""

from __future__ import annotations

import numpy as np
import pytest

from aiops import state
from aiops.detect.exhaustion import BLOCK, Exhaustion, Filling
from aiops.detect.metric_values import Values
from aiops.detect.retention import Kept
from aiops.signals import SECOND

T = 1_000_000 * SECOND // BLOCK * BLOCK
EVERY = 10  # seconds


class Lives:
    """Signals with a value every ten seconds; the first is not watched."""

    def __init__(self, n: int = 2) -> None:
        self.exhaustion, self.whole, self.k = Exhaustion(), np.ones(n), 0
        self.exhaustion.grow(np.array([False] + [True] * (n - 1)))

    def live(self, *series: list[float], every: int = EVERY) -> list[Filling]:
        found: list[Filling] = []
        for values in zip(*series, strict=True):
            self.k += 1
            time = T + self.k * every * SECOND
            signals = np.arange(len(values))
            self.exhaustion.add(Values(signals, np.full(len(values), time), np.array(values)))
            found += self.exhaustion.evidence(time + EVERY * SECOND, self.whole)
        return found


def saw(seconds: int, a_minute: float, begin: float = 0.42, every: int = EVERY) -> list[float]:
    """Memory of a process: what is in use grows, and above it lies what a collector takes away every 50 s."""
    return [begin + a_minute * t / 60.0 + 0.16 * (t % 50) / 50.0 for t in range(0, seconds, every)]


def still(seconds: int, every: int = EVERY) -> list[float]:
    return [0.9] * len(range(0, seconds, every))


def test_memory_that_leaks_is_told_within_four_minutes_of_the_process_and_when_it_will_be_full():
    lives = Lives()
    assert lives.live(still(170), saw(170, 0.06)) == []
    found = lives.live(still(120), saw(290, 0.06)[17:])
    assert {one.signal for one in found} == {1}
    assert found[0].last - found[0].first == pytest.approx(0.18, abs=0.05)
    assert 4.0 < found[0].left < 10.0


def test_one_point_a_minute_is_enough():
    found = Lives().live(still(600, 60), saw(600, 0.05, 0.45, 60), every=60)
    assert found


@pytest.mark.parametrize(
    "series",
    [
        pytest.param(saw(1800, 0.0), id="a saw"),
        pytest.param(saw(1800, 0.01, 0.3), id="hours are left"),
        pytest.param(saw(600, 0.04, 0.05), id="there is room"),
        pytest.param([0.9 - 0.5 * 0.45 ** (t / 60.0) for t in range(0, 1200, EVERY)], id="a cache that fills"),
        pytest.param([0.5 if t < 300 else 0.8 for t in range(0, 900, EVERY)], id="one step"),
        pytest.param([0.9 - 0.05 * t / 60.0 for t in range(0, 900, EVERY)], id="it empties"),
    ],
)
def test_what_has_time_is_not_told(series):
    assert Lives().live([0.5] * len(series), series) == []


def test_noise_is_not_told(rng):
    walks = 0.6 + 0.02 * rng.standard_normal((50, 720))
    lives = Lives(51)
    assert lives.live([0.0] * 720, *walks.tolist()) == []


def test_a_metric_in_per_cent_has_a_whole_of_its_own():
    lives = Lives()
    lives.whole[1] = 100.0
    assert lives.live(still(300), [100.0 * v for v in saw(300, 0.06)])


def test_what_is_silent_is_not_told():
    lives = Lives()
    lives.live(still(240), saw(240, 0.06))
    assert lives.exhaustion.evidence(T + 600 * SECOND, lives.whole) == []


def test_it_outlives_an_eviction_and_a_snapshot():
    lives = Lives(3)
    lives.live(still(200), saw(200, 0.0), saw(200, 0.06))
    lives.exhaustion.keep(Kept(np.array([True, False, True])))
    again = Exhaustion()
    again.restore(state.unpack(state.pack(lives.exhaustion.state())), 2)
    for exhaustion in (lives.exhaustion, again):
        exhaustion.grow(np.array([True]))
    assert len(again) == len(lives.exhaustion) == 2
    other = Lives(3)
    other.exhaustion, other.k = again, lives.k
    later = saw(290, 0.06)[20:]
    found = lives.live(later, later, later)
    assert found
    assert found == other.live(later, later, later)
