"""Two troubles at once: what has a cause of its own and no call to the other is another incident."""

from __future__ import annotations

import pytest

from aiops.incidents.lifecycle import Policy
from aiops.signals import SECOND
from tests.incidents.world import Terms, World

P = Policy()
CART = {"cart": {"errors": 8.0, "lost": 8.0}, "web": {"errors": 6.0, "lost": 4.0}}
PAY = {"pay": {"own": 8.0, "resource": 6.0}}  # web calls both
LATER = P.apart / SECOND + 30


def broken(first: Terms, second: Terms, after: float = LATER) -> World:
    world = World()
    world.last_for(120)
    world.last_for(after, first)
    world.last_for(120, {**first, **second})
    return world


def services(world: World) -> list[tuple[str, ...]]:
    return sorted(incident.services for incident in world.latest.values())


@pytest.mark.parametrize("term", ["own", "resource", "heartbeat"])
def test_what_has_a_cause_of_its_own_is_another_incident(term: str):
    world = broken(CART, {"pay": {term: 8.0}})
    assert services(world) == [("cart", "web"), ("pay",)]
    assert {i.causes[0].service for i in world.latest.values()} == {"cart", "pay"}


def test_neither_takes_in_what_the_other_holds_later():
    world = broken(CART, PAY)
    world.last_for(60, {**CART, **PAY, "db": {"errors": 5.0}})
    assert services(world) == [("cart", "db", "web"), ("pay",)]


def test_what_begins_at_the_same_time_is_one_incident():
    assert services(broken(CART, PAY, after=0)) == [("cart", "pay", "web")]


def test_what_calls_lead_to_is_the_same_incident():
    assert services(broken(CART, {"db": {"own": 8.0, "resource": 6.0}})) == [("cart", "db", "web")]


def test_who_only_fails_takes_part():
    assert services(broken(CART, {"pay": {"errors": 8.0, "lost": 8.0}})) == [("cart", "pay", "web")]


def test_of_two_the_bytes_are_the_same_after_a_restart_at_every_point():
    whole = broken(CART, PAY).bytes()
    for cut in range(0, 330, 50):
        world = World()
        for second in range(0, 120 + round(LATER) + 120, 10):
            terms = {} if second < 120 else CART if second < 120 + LATER else {**CART, **PAY}
            if second == cut:
                snapshot = world.respond.snapshot()
                world.respond = type(world.respond)([])
                world.respond.restore(snapshot)
            world.window(terms)
        assert world.bytes() == whole
