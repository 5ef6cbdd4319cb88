"""Worlds with incidents that are commanded, and how that is done."""

from __future__ import annotations

from typing import Any

from aiops.incidents.lifecycle import Policy
from aiops.records import Incident, rfc3339
from aiops.signals import SECOND
from tests.incidents.world import World, anomaly, command

P = Policy()
CART = {"cart": {"own": 8.0, "lost": 7.0, "loss": 7.0}}
MAIL = {"spam": {"own": 8.0, "lost": 7.0, "loss": 7.0}}
BOTH = {**CART, **MAIL}
CONFIRM, QUIET = P.confirm / SECOND + 20, P.quiet / SECOND + 30


def broken(terms: Any = CART, **more: Any) -> World:
    world = World()
    world.last_for(120)
    world.last_for(CONFIRM, terms, **more)
    assert world.said
    return world


def ids(world: World) -> dict[str, str]:
    """Service -> id of the incident that holds it."""
    return {service: i.incident_id for i in world.latest.values() for service in i.services}


def tell(world: World, name: str, about: str = "cart", **arguments: str) -> Incident:
    """A command about the incident of a service, and what becomes of that."""
    incident = ids(world)[about]
    world.tell(command(name, incident, **arguments))
    return world.latest[incident]


def refused(world: World, said: str, name: str, incident: str, **arguments: str) -> None:
    before = len(world.notices)
    world.tell(command(name, incident, **arguments))
    (notice,) = world.notices[before:]
    assert (notice.kind, notice.source, notice.environment) == ("command", "ann", "prod")
    assert notice.text.startswith(f"{name}")
    assert said in notice.text
    if incident in world.latest:
        last = world.latest[incident].log[-1]
        assert last.refused
        assert said in last.effect


def both() -> World:
    world = World()
    world.last_for(120)
    found = [anomaly("cart", world.now), anomaly("spam", world.now)]
    world.last_for(CONFIRM, BOTH, anomalies=found)
    world.last_for(60, BOTH, anomalies=found)
    assert len(world.latest) == 2
    return world


def wide() -> World:
    terms = {**CART, "web": {"errors": 6.0, "own": 5.0}}
    world = World()
    world.last_for(120)
    found = [anomaly("cart", world.now), anomaly("web", world.now)]
    world.last_for(CONFIRM + 60, terms, anomalies=found)
    assert world.only.services == ("cart", "web")
    return world


def until(world: World, seconds: float) -> str:
    return rfc3339(world.now + int(seconds * SECOND))
