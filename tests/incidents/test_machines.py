"""Trouble that services have on one machine alone, and are well elsewhere, is that machine's; anything else is not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from scipy.stats import hypergeom

from aiops.incidents.machines import look, running, surprise
from aiops.incidents.stage import Respond
from aiops.records import Incident
from tests.incidents.world import DETECT, SERVICES, Placed, T, Terms, World, command, findings

NODES = [f"node-{k}" for k in range(1, 6)]
FAR = {"cart": {"errors": 6.0}, "mta": {"errors": 6.0}}  # no call relates them


def spread(*gone: str, everywhere: tuple[str, ...] = (), deviating: bool = False, zone: bool = False) -> list[Placed]:
    """Each service runs once on every machine; `gone` are in trouble on the first one, `everywhere` on all."""
    rows = []
    for service in SERVICES:
        for k, node in enumerate(NODES):
            bad = int(service in everywhere or (service in gone and k == 0))
            gone_, deviates = (0, bad) if deviating else (bad, 0)
            rows.append(Placed(service, node, 1, gone_, deviates, f"zone-{k % 2}" if zone else ""))
    return rows


def suspects(placed: list[Placed], services: list[str] | None = None) -> dict[str, float]:
    return {s.name: s.score for s in look(findings(T, {}, placed=placed, services=services)).suspects}


# ---- who is suspect ----------------------------------------------------------------------------------------------------------
def test_nobody_is_suspect_where_nothing_is_in_trouble():
    assert suspects(spread()) == {}
    assert suspects([]) == {}


def test_one_service_has_nothing_in_common_with_itself():
    assert suspects(spread("cart")) == {}


@pytest.mark.parametrize("deviating", [False, True])
def test_a_machine_on_which_many_services_are_in_trouble_and_well_elsewhere_is_suspect(deviating: bool):
    assert list(suspects(spread(*SERVICES, deviating=deviating))) == ["node-1"]


def test_the_more_of_them_the_more_suspect():
    five, six = (suspects(spread(*SERVICES[:n]))["node-1"] for n in (5, 6))
    assert five < six


def test_services_that_are_in_trouble_elsewhere_as_well_speak_against_it():
    assert suspects(spread(*SERVICES[:3], everywhere=tuple(SERVICES[3:]))) == {}


def test_trouble_everywhere_is_no_machines():
    assert suspects(spread(everywhere=tuple(SERVICES))) == {}


def test_what_the_machine_says_of_itself_adds_to_it():
    own = Placed("node-1", "node-1", gone=1, host=True)
    services = [*SERVICES, "node-1"]
    assert suspects(spread("cart", "db", "mta"), services) == {}
    assert list(suspects([*spread("cart", "db", "mta"), own], services)) == ["node-1"]
    assert suspects([*spread("cart"), own], services) == {}, "not without services"


def test_where_all_machines_of_a_zone_are_in_trouble_it_is_the_zone():
    rows = [
        Placed(service, f"node-{k}", gone=int(k < 2), zone=f"zone-{k // 2}") for service in SERVICES for k in range(10)
    ]
    found = look(findings(T, {}, placed=rows)).suspects
    assert [(s.name, s.kind) for s in found] == [("zone-0", "zone")]


def test_a_machine_alone_is_no_zone():
    found = look(findings(T, {}, placed=spread(*SERVICES, zone=True))).suspects
    best = max(found, key=lambda s: s.score)
    assert best.name == "node-1"


def test_the_surprise_is_the_tail_of_the_hypergeometric_distribution():
    for n, there, troubled, k in ((27, 5, 5, 5), (88, 11, 9, 6), (24, 9, 12, 8)):
        expected = -float(hypergeom.logsf(k - 1, n, there, troubled)) / 2.302585092994046
        assert surprise(n, there, troubled, k) == pytest.approx(min(8.0, expected), rel=1e-6)


# ---- what becomes of it ------------------------------------------------------------------------------------------------------
def lost(world: World, seconds: float, terms: Terms, *gone: str, **more: Any) -> list[Incident]:
    return world.last_for(seconds, terms, placed=spread(*gone, **more))


def opened(world: World | None = None) -> World:
    world = world or World()
    lost(world, 60, {})
    lost(world, 20, {}, *SERVICES)
    lost(world, 60, FAR, *SERVICES)
    return world


def test_services_without_calls_between_them_that_share_a_suspect_machine_are_one_incident():
    world = opened()
    assert world.only.services == ("cart", "mta")
    apart = World()
    apart.last_for(140, FAR)
    assert len(apart.latest) == 2


def test_the_machine_is_the_cause_and_the_record_says_what_it_is():
    first = opened().only.causes[0]
    assert (first.service, first.scope, first.kind) == ("node-1", "host", "resource")
    assert "on node-1 alone" in first.evidence[0].statement
    assert first.evidence[0].type == "topology"


def test_the_incident_says_why_it_is_one():
    reasons = opened().only.correlation.reasons
    assert any(r.type == "topology" and "node-1 alone" in r.statement for r in reasons)


def test_whom_the_machine_touches_are_those_on_it_and_their_callers():
    assert {"cart", "mta", "web"} <= set(opened().only.impact.services)


def test_it_stays_the_cause_when_the_instances_are_replaced():
    world = opened()
    lost(world, 60, FAR)
    assert world.only.causes[0].service == "node-1"


def test_it_loses_when_instances_elsewhere_fail_as_well():
    world = opened()
    lost(world, 30, FAR, everywhere=("cart", "mta", "db", "pay"))
    assert world.only.causes[0].service != "node-1"
    assert all(cause.service != "node-1" for cause in world.only.causes)


def test_a_machine_that_sends_metrics_of_its_own_takes_part_under_its_name():
    world, services = World(), [*SERVICES, "node-1"]
    rows = [*spread(*SERVICES), Placed("node-1", "node-1", gone=1, host=True)]
    world.last_for(20, {}, placed=rows, services=services)
    world.last_for(60, FAR, placed=rows, services=services)
    assert world.only.services == ("cart", "mta", "node-1")
    assert world.only.causes[0].service == "node-1"


def test_a_service_that_is_called_like_the_machine_is_not_taken_for_it():
    world = World()
    services = [*SERVICES, "node-1"]
    world.last_for(20, {}, placed=spread(*SERVICES), services=services)
    world.last_for(60, FAR, placed=spread(*SERVICES), services=services)
    assert world.only.causes[0].service == "host node-1"


def test_incidents_that_opened_before_the_machine_was_suspect_become_one():
    world = World()
    lost(world, 60, FAR)
    assert len(world.latest) == 2
    lost(world, 20, FAR, *SERVICES)
    states = sorted(i.state for i in world.latest.values())
    assert states == ["merged", "open"]
    (merged,) = (i for i in world.latest.values() if i.state == "merged")
    assert merged.log[-1].author == "engine"
    assert "node-1 alone" in merged.log[-1].asked


def test_what_a_person_took_apart_stays_apart():
    world = opened()
    world.tell(command("split", world.only.incident_id, services="mta"))
    lost(world, 30, FAR, *SERVICES)
    assert sorted(i.state for i in world.latest.values()) == ["open", "open"]


def test_a_restart_at_any_window_changes_nothing():
    plain, restarted = World(), World()
    for k in range(24):
        rows = spread(*SERVICES) if 6 <= k < 18 else spread(everywhere=("cart", "mta", "db", "pay") if k > 20 else ())
        for world in (plain, restarted):
            world.window(FAR if k > 7 else {}, placed=rows)
        state = restarted.respond.snapshot()
        restarted.respond = Respond([DETECT])
        restarted.respond.restore(state)
    assert plain.bytes() == restarted.bytes()
    assert len(plain.said) > 1


def test_records_of_before_are_still_read():
    record = msgspec.json.decode(msgspec.json.encode(opened().only))
    for cause in record["causes"]:
        del cause["scope"]
    assert msgspec.convert(record, Incident).causes[0].scope == "service"


# ---- topology --------------------------------------------------------------------------------------------------------------
def test_what_runs_where_is_known_without_what_is_gone():
    rows = [Placed("cart", "node-1", zone="zone-a"), Placed("pay", "node-2", gone=1), Placed("web", "", zone="zone-b")]
    found = dict(running(findings(T, {}, placed=rows)))
    assert found == {
        ("node-1", ""): "node", ("zone-a", ""): "zone", ("node-1", "zone-a"): "runs_on", ("cart", "node-1"): "runs_on",
        ("zone-b", ""): "zone", ("web", "zone-b"): "runs_on",
    }  # fmt: skip


def test_machines_and_what_they_bear_are_in_the_topology():
    world = World()
    for _ in range(66):
        world.window({}, placed=[Placed("cart", "node-1", zone="zone-a")])
    told = {(r.service or f"{r.caller} on {r.callee}"): (r.entity, r.relation) for r in world.topology}
    assert told["node-1"] == ("node", "calls")
    assert told["zone-a"] == ("zone", "calls")
    assert told["cart on node-1"] == ("service", "runs_on")
    assert told["node-1 on zone-a"] == ("service", "runs_on")
    assert told["cart"] == ("service", "calls")
