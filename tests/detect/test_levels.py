"""Levels of metrics: what is learned, what is unusual, and when it stops being news."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aiops import state
from aiops.detect.levels import CONSTANT_CAP, FEW, FEW_TAILS, LEARN_EVERY, OLD, OWN_FLOOR, RING, Levels
from aiops.detect.suspicion import Suspicion
from aiops.signals import SECOND

T = 1_000_000 * SECOND
MINUTE = 60 * SECOND
LOUD, WEAK = 4.0, 2.0


class Life:
    """Series that get one value each every `cadence`; after each, event time is the end of its 10 s window."""

    def __init__(self, series: int = 1, cadence: int = 10 * SECOND) -> None:
        self.suspicion = Suspicion()
        self.suspicion.grow(series)
        self.levels: Any = Levels(self.suspicion)
        self.levels.grow(list(range(series)))
        self.cadence, self.now = cadence, T

    def give(self, *values: float) -> Life:
        """Values of the one series."""
        for value in values:
            self.give_all([value])
        return self

    def give_all(self, values: list[float]) -> None:
        n = len(values)
        self.levels.add(np.arange(n), np.full(n, self.now), np.array(values))
        self.now += self.cadence
        self.levels.advance(self.now)

    @property
    def score(self) -> float:
        return float(self.levels.evidence(self.now)[0])


def ordered(life: Life) -> list[float]:
    """Learned values, ascending, as the levels believe."""
    n = min(int(life.levels.head["count"][0]), RING)
    return [float(x) for x in life.levels.ring[0][life.levels.order[0, :n]]]


def noisy(rng: np.random.Generator, n: int, level: float = 100.0, spread: float = 5.0) -> list[float]:
    return [float(x) for x in level + spread * rng.normal(size=n)]


def lived(rng: np.random.Generator, cadence: int = 10 * SECOND, hours: float = 1.0) -> Life:
    return Life(cadence=cadence).give(*noisy(rng, int(hours * 3600 * SECOND / cadence)))


def test_level_and_spread_are_percentiles_of_the_last_learned_values(rng):
    life = Life(cadence=MINUTE)
    values = rng.choice([1.0, 2.0, 2.0, 3.5, 7.0, -4.0, 0.0], 3 * RING).tolist()
    for k, value in enumerate(values, 1):
        life.give(value)
        assert ordered(life) == sorted(values[max(0, k - RING) : k])
    expected = np.percentile(values[-RING - 1 : -1], 50, method="inverted_cdf")
    assert life.levels.head["expected"][0] == expected


def test_values_are_learned_at_most_so_often_whatever_the_cadence(rng):
    for cadence in (10 * SECOND, 30 * SECOND, MINUTE):
        life = lived(rng, cadence, 0.5)
        most = 1 + 1800 * SECOND // LEARN_EVERY
        assert most / 2 < life.levels.head["count"][0] <= most


def test_noise_is_no_evidence():
    for k in range(20):
        rng = np.random.default_rng(k)
        life = lived(rng)
        for value in noisy(rng, 60):
            assert abs(life.give(value).score) < LOUD


def test_one_odd_point_is_no_evidence(rng):
    life = lived(rng)
    assert life.give(900.0).score == 0.0
    for value in noisy(rng, 20):
        assert abs(life.give(value).score) < LOUD


def test_a_deviation_counts_when_it_has_lasted(rng):
    life = lived(rng)
    early = [abs(life.give(value).score) for value in noisy(rng, 5, 400.0)]
    late = [life.give(value).score for value in noisy(rng, 5, 400.0)]
    assert max(early) < WEAK
    assert min(late) >= LOUD
    assert life.levels.head["value"][0] > life.levels.head["expected"][0] + life.levels.head["spread"][0]


def test_deviations_are_found_both_ways(rng):
    assert lived(rng).give(*noisy(rng, 10, -200.0)).score <= -LOUD
    assert lived(rng).give(*noisy(rng, 10, 400.0)).score >= LOUD


def test_a_deviation_that_swings_from_side_to_side_is_none(rng):
    life = lived(rng)
    for _ in range(20):
        assert life.give(400.0).score == 0.0
        assert life.give(-200.0).score == 0.0


def test_a_series_scraped_once_a_minute_is_judged_as_well(rng):
    life = lived(rng, MINUTE, 2.0)
    assert life.give(400.0).score == 0.0
    assert life.give(400.0).score >= LOUD


def test_a_series_that_often_deviates_is_hard_to_impress():
    def score(odd: float) -> float:
        rng = np.random.default_rng(4)
        values = noisy(rng, 3600)
        for k in range(0, 3600, 90):
            values[k : k + 8] = noisy(rng, 8, 100.0 + odd)
        return Life().give(*values).give(*noisy(rng, 10, 200.0)).score

    assert score(100.0) < score(0.0) - 1.0


def test_a_series_that_was_constant_may_change_once():
    life = Life().give(*[5.0] * 300)
    for _ in range(10):
        assert life.give(50.0).score <= CONSTANT_CAP


def test_a_constant_series_scores_nothing():
    assert Life().give(*[5.0] * 300).score == 0.0
    assert Life().give(*[0.0] * 300).score == 0.0


def test_a_level_that_has_lasted_is_no_news(rng):
    life = lived(rng, hours=2.0)
    life.suspicion.advance(life.now, np.array([8.0]))  # so that it is not learned
    news = [life.give(value).score for value in noisy(rng, OLD // (10 * SECOND), 400.0)]
    assert min(news[6:]) >= LOUD
    assert life.give(400.0, 400.0).score == 0.0
    assert life.give(*noisy(rng, 8)).give(*noisy(rng, 8, 400.0)).score >= LOUD, "a return and another deviation is news"


def test_a_level_that_was_learned_is_normal(rng):
    life = lived(rng, hours=2.0).give(*noisy(rng, 700, 400.0))
    assert life.levels.head["expected"][0] == pytest.approx(400.0, rel=0.05)
    assert max(abs(life.give(value).score) for value in noisy(rng, 30, 400.0)) < WEAK


def test_a_series_that_falls_silent_gives_no_evidence_any_more(rng):
    life = lived(rng).give(*noisy(rng, 10, 400.0))
    assert life.score >= LOUD
    life.now += 10 * MINUTE
    assert life.score == 0.0


def test_points_far_apart_are_no_lasting_deviation(rng):
    life = lived(rng)
    for _ in range(6):
        life.now += 4 * MINUTE
        assert abs(life.give(400.0).score) < WEAK


@pytest.mark.parametrize("suspect", [False, True])
def test_a_suspect_owner_teaches_no_unusual_values(rng, suspect):
    life = lived(rng)
    if suspect:
        life.suspicion.advance(life.now, np.array([8.0]))
    life.give(*noisy(rng, 60, 400.0))
    assert bool(max(ordered(life)) > 300.0) is not suspect


def test_a_suspect_owner_still_teaches_usual_values(rng):
    life = lived(rng)
    life.suspicion.advance(life.now, np.array([8.0]))
    before = int(life.levels.head["count"][0])
    life.give(*noisy(rng, 60))
    assert life.levels.head["count"][0] > before


def test_a_suspect_owner_adds_nothing_to_its_own_tail(rng):
    calm, suspect = lived(rng), lived(rng)
    suspect.suspicion.advance(suspect.now, np.array([8.0]))
    for life in (calm, suspect):
        life.give(*noisy(rng, 60, 400.0))
    assert calm.levels.head["own"][0] > 2 * suspect.levels.head["own"][0]


def test_series_are_judged_by_themselves_alone(rng):
    """However many there are, and in whatever order they come."""
    values = [noisy(rng, 400, level, spread) for level, spread in [(100, 5), (0, 1), (7, 0), (1e6, 1e3)] * 30]
    for s in (1, 3, 70):
        values[s][390:] = noisy(rng, 10, 5e6)
    many = Life(len(values))
    many.give_all([v[0] for v in values[:50]])
    for k in range(1, 400):
        order = rng.permutation(len(values))
        many.levels.add(order, np.full(len(order), many.now), np.array([values[s][k] for s in order]))
        many.now += many.cadence
        many.levels.advance(many.now)
    together = many.levels.evidence(many.now)
    for s in (0, 1, 2, 3, 49):
        assert Life().give(*values[s]).score == together[s]
    assert together[1] >= LOUD


def test_when_a_deviation_enters_the_tail_does_not_depend_on_the_times_of_other_series():
    """Both series are of one window; one is scraped at its start, the other 5 s later."""

    def own(both: bool) -> list[Any]:
        life, out = Life(2), []
        for k in range(120):
            window = T + k * 10 * SECOND
            n = 2 if both else 1
            life.levels.add(
                np.arange(n), np.array([window, window + 5 * SECOND])[:n], np.array([(k * 37 % 11) ** 2.0, 1.0])[:n]
            )
            life.levels.advance(window + 10 * SECOND)
            out.append((float(life.levels.head["own"][0]), int(life.levels.head["tails"][0])))
        return out

    assert own(True) == own(False)


def test_restored_levels_have_the_same_future(rng):
    life = Life(3)
    for k in range(200):
        if k % 20 == 0:
            other = Levels(life.suspicion)
            other.restore(state.unpack(state.pack(life.levels.state())))
            assert state.pack(other.state()) == state.pack(life.levels.state())
            twin, twin.levels = Life(3), other
            twin.suspicion, twin.now = life.suspicion, life.now
            future = rng.normal(size=(40, 3)) * 5 + 100
            future[20:] += 300
            copy = Levels(life.suspicion)
            copy.restore(state.unpack(state.pack(life.levels.state())))
            for values in future:
                twin.give_all(values.tolist())
            held, begun = life.levels, life.now
            for values in future:
                life.give_all(values.tolist())
            assert state.pack(life.levels.state()) == state.pack(twin.levels.state())
            assert life.levels is held
            life.levels, life.now = copy, begun
        life.give_all((rng.normal(size=3) * 5 + 100).tolist())


def test_the_sign_of_a_zero_does_not_tell_that_levels_were_restored(rng):
    life, restored = Life(), Life()
    for value in rng.permutation([0.0] * 40 + [-0.0] * 40 + [1.0] * 20).tolist():
        life.give(value)
        restored.give(value)
        restored.levels.restore(state.unpack(state.pack(restored.levels.state())))
        assert state.pack(restored.levels.state()) == state.pack(life.levels.state())


def test_a_series_takes_two_kilobytes_at_most_with_all_that_the_metric_path_keeps_of_it():
    levels = Levels(Suspicion())
    held = sum(getattr(levels, name)[0].nbytes for name, *_ in Levels._FIELDS) + levels.owner.itemsize
    assert held <= 1_400


def test_a_new_series_is_judged_by_what_siblings_lend_until_it_has_learned_enough(rng):
    """Siblings that swing by a third make a new one swing unsuspected; calm ones make it suspect sooner."""

    def early(lent: tuple[float, float] | None, odd: float) -> float:
        life = Life()
        life.levels.head["lent_spread"][0], life.levels.head["lent_own"][0] = lent or (0.0, 0.0)
        life.levels.head["own"][0] = max(OWN_FLOOR, lent[1]) if lent else OWN_FLOOR
        life.give(*noisy(np.random.default_rng(3), 40))
        return abs(life.give(*[odd] * 7).score)

    assert early((0.33, 4.0), 180.0) < WEAK < early((0.05, 3.0), 180.0)
    assert early(None, 180.0) == pytest.approx(early((0.25, 3.0), 180.0), abs=0.3)
    life = lived(rng, hours=2.0)
    assert life.levels.learned()[0] == 1.0
    assert life.levels.head["count"][0] >= FEW
    assert life.levels.head["tails"][0] >= FEW_TAILS


def test_what_siblings_lend_is_taken_over_when_series_are_added():
    levels: Any = Levels(Suspicion())
    levels.grow([0, 0], (np.array([0.2, 0.0]), np.array([7.0, 0.0])))
    assert levels.head["own"][:2].tolist() == [7.0, OWN_FLOOR]
    assert levels.learned().tolist() == [0.0, 0.0]


def test_a_tail_keeps_three_digits_of_a_deviation():
    from aiops.detect.levels import _halved, _whole

    values = np.array([0.0, 1e-3, 0.7, 3.0, 3.1, 47.3, 1e9, 1e300])
    halves = _halved(values)
    assert (np.diff(halves.astype(int)) > 0).all()
    back = [_whole(int(half)) for half in halves]
    assert back[:-1] == pytest.approx(values[:-1].tolist(), rel=0.004)
