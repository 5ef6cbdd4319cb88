"""Evidence that is too weak, or pauses too often, for the rules of strong evidence: it adds up over time."""

from __future__ import annotations

import pytest

from aiops.detect.contrast import LENGTHS
from aiops.incidents.lifecycle import Policy
from aiops.incidents.stage import Respond
from aiops.records import unix_ns
from aiops.signals import SECOND
from tests.incidents.world import DETECT, T, World

P = Policy()
LASTING = P.lasting / SECOND
WEAK = {"cart": {"errors": 4.0}}
NEEDED = LASTING * (P.open - P.close) / (4.0 - P.close)  # seconds for which WEAK must last
SLOW = {"cart": {"own": 5.4}}
FAILING = {"cart": {"errors": 5.5}}
STRONG = {"cart": {"own": 8.0, "lost": 7.0, "loss": 7.0}}


def quiet() -> World:
    world = World()
    world.last_for(120)
    return world


def test_weak_evidence_opens_an_incident_when_it_has_added_up():
    world = quiet()
    world.last_for(NEEDED - 10, WEAK)
    assert world.said == []
    world.last_for(20, WEAK)
    assert world.only.services == ("cart",)
    assert world.only.causes[0].service == "cart"


def test_the_onset_is_when_it_began_to_add_up():
    world = quiet()
    world.last_for(
        NEEDED + 10, {"cart": {"errors": 2.9, "metric": 3.0}, "web": {"errors": 2.2}}
    )  # neither is active by itself
    assert unix_ns(world.only.onset_at) == T + 130 * SECOND


@pytest.mark.parametrize("strength", [P.close - 0.1, P.close])
def test_what_is_too_weak_never_adds_up(strength: float):
    world = quiet()
    world.last_for(7200, {"cart": {"errors": strength, "metric": 8.0}})
    assert world.said == []


def test_strong_evidence_that_pauses_adds_up():
    world = quiet()
    for _ in range(5):  # the rule of strong evidence wants slowness without a pause
        world.last_for(50, SLOW)
        world.last_for(20, {"cart": {"own": 1.0}})
    assert world.only.services == ("cart",)


def test_calm_takes_off_what_has_added_up():
    world = quiet()
    for _ in range(10):
        world.last_for(NEEDED - 10, WEAK)
        world.last_for(LASTING)
    assert world.said == []


def test_calm_takes_it_off_however_long_it_lasted():
    world = quiet()
    world.last_for(3600, {"cart": {"own": 4.0}})  # nothing explains it: no cause scores enough
    world.last_for(LASTING)
    world.last_for(60, WEAK)
    assert world.said == []


def test_a_window_counts_as_one_at_open_however_strong_it_is():
    world = quiet()
    world.last_for(LASTING - 20, {"cart": {"own": 8.0}})
    world.last_for(300)
    assert world.said == []


def test_slowness_opens_nothing_while_it_may_be_over_and_still_be_counted():
    counted = max(LENGTHS) / SECOND  # for so long detect counts what happened at once
    world = quiet()
    world.last_for(counted - 10, {"cart": {"own": 8.0}})
    assert world.said == []
    world = quiet()
    world.last_for(counted + 20, {"cart": {"own": 8.0}})
    assert world.only.services == ("cart",)


def test_what_is_only_a_remainder_opens_nothing():
    world = quiet()
    world.last_for(NEEDED - 10, WEAK)
    world.last_for(1200, {"cart": {"errors": P.hold * P.open - 0.1, "metric": 8.0}})
    assert world.said == []


def test_weak_evidence_beside_an_open_incident_adds_up_to_nothing():
    world = quiet()
    world.last_for(P.settle / SECOND + 90, FAILING)
    assert world.only.settled
    world.last_for(NEEDED + 60, {**FAILING, "pay": {"errors": 4.0}})
    assert world.only.services == ("cart",)
    world.last_for(60, {**FAILING, "pay": {"errors": 6.0}})  # strong evidence does open one
    assert [i.services for i in world.latest.values()] == [("cart",), ("cart", "pay")]


def test_it_begins_anew_when_that_incident_is_over():
    world = quiet()
    world.last_for(P.settle / SECOND + 90, STRONG)
    pay = {"pay": {"errors": 4.0}}
    after = (P.quiet + P.cool) / SECOND
    world.last_for(after + NEEDED - 20, pay)
    assert [i.services for i in world.latest.values()] == [("cart",)]
    world.last_for(60, pay)
    assert [i.services for i in world.latest.values()] == [("cart",), ("pay",)]


def test_weak_evidence_far_from_an_open_incident_adds_up():
    world = quiet()
    world.last_for(NEEDED + 60, {**STRONG, "spam": {"errors": 4.0}})
    assert sorted(i.services for i in world.latest.values()) == [("cart",), ("spam",)]


def test_what_has_added_up_survives_a_restart():
    plain, restarted = quiet(), quiet()
    plain.last_for(NEEDED + 20, WEAK)
    restarted.last_for(NEEDED / 2, WEAK)
    snapshot = restarted.respond.snapshot()
    restarted.respond = Respond([DETECT])
    restarted.respond.restore(snapshot)
    restarted.last_for(plain.now / SECOND - restarted.now / SECOND, WEAK)
    assert restarted.bytes() == plain.bytes() != []


NEWS = {"cart": {"plain": 5.6, "chatter": 4.0}}


def test_new_lines_that_are_no_errors_open_nothing_by_themselves_however_long_they_last():
    world = quiet()
    world.last_for(1800, NEWS)
    assert world.said == []


@pytest.mark.parametrize("symptom", [{"cart": {**NEWS["cart"], "own": 3.0}}, {**NEWS, "web": {"errors": 3.0}}])
def test_beside_a_symptom_of_the_service_or_a_neighbour_they_are_evidence_like_any_other(symptom):
    world = quiet()
    world.last_for(130, symptom)
    assert "cart" in world.only.services
    assert "plain" in {e.ref for cause in world.only.causes for e in cause.evidence}


def test_what_comes_every_five_minutes_and_is_soon_over_opens_an_incident_the_first_time():
    world = quiet()
    for _ in range(8):
        world.last_for(60, FAILING)
        world.last_for(240)
    assert len(world.latest) == 1
    world.last_for(60 + P.confirm / SECOND + 20, FAILING)
    assert "open" in {i.state for i in world.latest.values()}, "it has lasted longer than it ever did"
