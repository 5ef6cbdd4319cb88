"""Flapping is a state: entered by changes, left by calm, and told once."""

from __future__ import annotations

import pytest

from aiops.incidents import flapping
from aiops.incidents.flapping import CALM, ENTER, SPAN, Flapping
from aiops.incidents.noise_bounds import NoiseConfig
from aiops.incidents.noise_names import Identity
from aiops.signals import SECOND
from tests.incidents.world import T

CPU = Identity("cart", "metric", "cpu", "", "")
MINUTE = 60 * SECOND


def flipped(times: int, every: int, begin: int = T) -> Flapping:
    found = Flapping()
    for k in range(times):
        found.advance(begin + k * every)
        found.turn(begin + k * every, CPU, k % 2 == 0)
    return found


@pytest.mark.parametrize(("changes", "flaps"), [(ENTER - 1, False), (ENTER, True), (ENTER + 4, True)])
def test_it_is_entered_by_so_many_changes(changes: int, flaps: bool):
    assert (CPU in flipped(changes, 3 * MINUTE).now) is flaps


def test_changes_that_lie_further_apart_do_not_count():
    assert CPU not in flipped(20, SPAN // (ENTER - 1) + MINUTE).now


def test_it_is_entered_once_and_left_when_it_has_been_calm_and_may_be_entered_again():
    found, began = Flapping(), 0
    for k in range(9):
        began += found.turn(T + k * MINUTE, CPU, k % 2 == 0)
    assert began == 1
    last = T + 8 * MINUTE
    found.advance(last + CALM - SECOND)
    assert CPU in found.now
    found.advance(last + CALM)
    assert CPU not in found.now
    assert not found.turn(last + CALM + MINUTE, CPU, False), "one more change is no flapping"
    assert [found.turn(last + CALM + k * MINUTE, CPU, k % 2 == 0) for k in range(2, 2 + ENTER)].count(True) == 1


def test_several_anomalies_of_one_identity_are_open_once():
    found = Flapping()
    for k in range(20):  # the second opens before the first has closed: that is no change
        found.turn(T + k * MINUTE, CPU, True)
        if k:
            found.turn(T + k * MINUTE, CPU, False)
    assert CPU not in found.now


def test_it_says_how_often():
    assert flipped(7, MINUTE).words(CPU) == "cpu of cart flaps: 7 changes between open and closed"


def test_what_has_not_changed_for_long_is_forgotten():
    found = flipped(2, MINUTE)
    found.advance(T + SPAN)
    assert len(found) == 1
    found.advance(T + SPAN + 2 * MINUTE)
    assert len(found) == 0


def test_identities_without_end_take_bounded_memory_and_the_longest_calm_go_first(monkeypatch):
    monkeypatch.setattr(flapping, "MAX_IDENTITIES", 100)
    found = flipped(ENTER, MINUTE)
    for k in range(1000):
        found.turn(T + 10 * MINUTE, CPU._replace(signal=f"s{k}"), True)
        assert len(found) <= 100
    assert (found.evicted, found.now) == (901, {})
    found.advance(T + 20 * MINUTE)


def test_it_goes_on_after_a_restart_as_if_nothing_had_been():
    plain, restarted = Flapping(), Flapping()
    for k in range(40):
        now, identity = T + k * 7 * MINUTE, CPU._replace(signal="ab"[k % 2])
        for found in (plain, restarted):
            found.advance(now)
            found.turn(now, identity, k % 4 < 2)
        state = restarted.state()
        restarted = Flapping()
        restarted.restore(state)
        assert restarted.state() == plain.state() == state
        assert restarted.now == plain.now


def test_its_bounds_can_be_others():
    few = Flapping(NoiseConfig(flapping_changes=2, flapping_calm=MINUTE))
    for k in range(2):
        few.advance(T + k * MINUTE)
        few.turn(T + k * MINUTE, CPU, k % 2 == 0)
    assert CPU in few.now
    few.advance(T + 2 * MINUTE)
    assert CPU not in few.now
