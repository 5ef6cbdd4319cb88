"""A burst of anomalies becomes storylines with honest counts; what is critical stays; its begin and its end are told."""

from __future__ import annotations

import msgspec

from aiops.incidents import members, storm
from aiops.incidents.storm import CALM, ENTER, FIRST, LEAVE, LIFE, Storm
from aiops.records import Anomaly
from aiops.signals import SECOND, WINDOW
from tests.incidents.noise_world import MINUTE, NoisyWorld, alert, closed
from tests.incidents.world import SERVICES, T, anomaly

CART = {"cart": {"own": 8.0, "lost": 7.0, "loss": 7.0}}


def burst(world: NoisyWorld, each: int, service: str = "cart", name: str = "Slow", begin: int = 0) -> list[Anomaly]:
    """Alerts of medium severity of one service and name."""
    return [alert(service, world.now, "medium", name, begin + k) for k in range(each)]


def stormy(restarted: bool = False) -> NoisyWorld:
    """A storm over three services, two minutes into an incident of `cart`."""
    world = NoisyWorld(restarted)
    world.last_for(120)
    world.last_for(120, CART)
    for k in range(3):
        found = [a for i, s in enumerate(SERVICES[:3]) for a in burst(world, 40, s, begin=1000 * i + 100 * k)]
        found += [alert("cart", world.now, "critical", "Down", 5000 + 10 * k + j) for j in range(4)]
        found.append(alert("db", world.now, "high", "Down", 6000 + k))
        world.window(CART, anomalies=found)
    return world


def test_a_burst_begins_a_storm_and_calm_ends_it_and_both_are_told():
    world = stormy()
    (begin,) = world.notices
    assert (begin.kind, begin.until, begin.environment) == ("overload", None, "prod")
    assert "anomalies opened within a minute" in begin.text
    assert world.noise.gauges()["storms"] == 1
    world.last_for((CALM + MINUTE) / SECOND + 10, CART)
    begin, end = world.notices
    assert (end.kind, end.since) == ("overload", begin.since)
    assert end.until is not None
    assert "were counted in 3 storylines" in end.text
    assert world.noise.gauges()["storms"] == 0


def test_fewer_than_that_are_no_storm():
    world = NoisyWorld()
    for k in range(20):
        world.window(anomalies=burst(world, ENTER // 6 - 1, begin=1000 * k))
    assert world.notices == []
    assert not world.noise.storm.stories


def test_the_first_of_a_kind_are_members_and_the_rest_is_counted_where_it_belongs():
    world = stormy()
    found = world.last_for(60, CART)[-1]
    gauges = world.noise.gauges()
    of_cart, urgent = 3 * 40, 3 * 4
    before = 40  # in the first window it was no storm yet
    assert found.counts.anomalies == before + FIRST + urgent
    assert found.counts.suppressed == of_cart - before - FIRST
    assert any("storyline: " in r.statement and "Slow" in r.statement for r in found.correlation.reasons)
    others = {story.owner for key, story in world.noise.storm.stories.items() if key[0] != "cart"}
    assert others == {""}, "services that no incident holds have storylines of their own"
    assert gauges["suppressed_storm_total"] == sum(s.told for s in world.noise.storm.stories.values())


def test_every_urgent_alert_is_accounted_for():
    world = stormy()
    world.last_for(60, CART)
    gauges = world.noise.gauges()
    assert sum(m.signal == "Down" for m in world.only.members) == 12
    assert gauges["urgent_anomalies_total"] == 15
    assert (gauges["urgent_joined_total"], gauges["urgent_waiting"], gauges["urgent_storyline_total"]) == (12, 3, 0)


def test_urgent_alerts_beyond_all_room_are_counted_as_such(monkeypatch):
    monkeypatch.setattr(members, "MAX_ANOMALIES", 30)
    monkeypatch.setattr(members, "RESERVED", 10)
    world = NoisyWorld()
    world.window(anomalies=[alert("cart", world.now, number=k) for k in range(300)])
    (story,) = world.noise.storm.stories.values()
    assert (story.told, story.urgent) == (270, 270)
    gauges = world.noise.gauges()
    assert gauges["urgent_waiting"] + gauges["urgent_storyline_total"] == gauges["urgent_anomalies_total"] == 300
    assert gauges["suppressed_full_total"] == 270


def test_later_records_of_what_was_counted_are_no_further_anomalies():
    world = stormy()
    before = world.noise.gauges()
    known = [closed(a, world.now + WINDOW) for a in burst(world, 40, begin=100)]
    world.window(CART, anomalies=known)
    world.window(
        CART, anomalies=[msgspec.structs.replace(a, state="update", version=5) for a in burst(world, 40, begin=200)]
    )
    after = world.noise.gauges()
    assert after["anomalies_total"] == before["anomalies_total"]
    assert after["suppressed_storm_total"] == before["suppressed_storm_total"]


def test_what_an_incident_of_a_storm_is_called_and_ranked_by_does_not_depend_on_the_storm():
    calm = NoisyWorld()
    calm.last_for(120)
    calm.last_for(150, CART)
    loud = stormy()
    assert [c.service for c in loud.only.causes] == [c.service for c in calm.only.causes]
    assert loud.only.opened_at == calm.only.opened_at


def test_storylines_end_when_they_say_nothing_any_more():
    world = stormy()
    world.last_for((CALM + MINUTE) / SECOND + 20)
    assert world.noise.storm.stories
    world.last_for(LIFE / SECOND)
    assert not world.noise.storm.stories
    assert not world.noise.storm._by_service


def test_storylines_without_end_share_one_in_bounded_memory(monkeypatch):
    monkeypatch.setattr(storm, "MAX_STORIES", 10)
    found = Storm()
    found.advance(T, ENTER)
    kept = 0
    for k in range(1000):
        one = anomaly(f"service-{k}", T, signal=f"{chr(97 + k % 26)}{k}")
        if found.keeps(one):
            found.keep(T, one)
            kept += 1
        else:
            found.tell(T, one)
        assert len(found.stories) <= 11
    assert kept == 10 + FIRST
    assert sum(s.told for s in found.stories.values()) == 1000 - kept


def test_it_ends_only_after_a_lasting_calm():
    found, now = Storm(), T
    assert found.advance(now, ENTER) is not None
    said = []
    for k in range(40):
        now += WINDOW
        said.append(found.advance(now, LEAVE if k == 12 else 0))
    ended = [k for k, text in enumerate(said) if text]
    assert len(ended) == 1
    assert ended[0] * WINDOW >= 12 * WINDOW + MINUTE + CALM - 2 * WINDOW


def test_a_storm_is_the_same_with_a_restart_after_every_window():
    plain, restarted = stormy(), stormy(restarted=True)
    for world in (plain, restarted):
        world.last_for(400, CART)
    assert plain.all_bytes() == restarted.all_bytes()
    assert len(plain.notices) == 2
    assert any(report.storylines for report in plain.reports)
