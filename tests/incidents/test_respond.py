"""Findings -> incidents: when they open, whom they take in, how they settle, close and come back."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import pytest

from aiops.findings import GAP, UNREACHABLE, Findings
from aiops.incidents.lifecycle import Policy
from aiops.incidents.stage import Respond
from aiops.records import rfc3339, unix_ns
from aiops.signals import SECOND, WINDOW, due
from tests.incidents.world import DETECT, T, World, anomaly, change, findings

P = Policy()
CART = {"cart": {"own": 8.0, "lost": 7.0, "loss": 7.0}}
MAIL = {"spam": {"own": 8.0, "lost": 7.0, "loss": 7.0}}
CONFIRM, QUIET = P.confirm / SECOND + 20, P.quiet / SECOND + 30


def lived(*terms, seconds: float = CONFIRM) -> World:
    world = World()
    world.last_for(120)
    for of in terms:
        world.last_for(seconds, of)
    return world


# ---- opening -------------------------------------------------------------------------------------------------


def test_a_quiet_world_has_no_incidents():
    assert lived().said == []


def test_evidence_that_lasts_opens_one_incident():
    world = lived(CART)
    found = world.only
    assert (found.state, found.episode, found.services) == ("open", 1, ("cart",))
    assert unix_ns(found.onset_at) == T + 130 * SECOND
    assert unix_ns(found.opened_at) >= unix_ns(found.onset_at) + P.confirm
    assert found.causes[0].service == "cart"
    assert "own of cart is 8.0" in " ".join(e.statement for e in found.causes[0].evidence)


def test_evidence_that_is_over_before_it_is_confirmed_opens_nothing():
    assert lived(CART, {}, seconds=P.confirm / SECOND).said == []


def test_weak_evidence_opens_nothing_however_long_it_lasts():
    assert lived({"cart": {"own": P.open * 0.6}}, seconds=1200).said == []


@pytest.mark.parametrize("term", ["resource", "heartbeat"])
def test_resources_and_heartbeats_have_waited_already(term):
    world = lived()
    assert len(world.window({"db": {term: 8.0}})) == 1


def test_weak_evidence_of_two_neighbours_adds_up():
    half = P.open * 0.75
    assert lived({"web": {"errors": half}, "cart": {"errors": half}}).only.services == ("cart", "web")
    assert lived({"spam": {"errors": half}, "cart": {"errors": half}}).said == []


# ---- who belongs together ------------------------------------------------------------------------------------


def test_symptoms_of_neighbours_join_the_incident():
    world = lived(CART)
    world.last_for(60, {**CART, "web": {"errors": 6.0, "novel": 6.0}})
    assert world.only.services == ("cart", "web")
    assert world.only.causes[0].service == "cart"
    assert any("web calls cart" in r.statement for r in world.only.correlation.reasons)
    assert "web" in world.only.impact.services


def test_a_service_two_calls_away_joins_as_well():
    world = lived({"db": {"resource": 8.0}})
    world.last_for(30, {"db": {"resource": 8.0}, "web": {"errors": 6.0}})
    assert world.only.services == ("db", "web")


def test_weak_neighbours_do_not_join():
    world = lived(CART)
    world.last_for(60, {**CART, "web": {"own": 1.5}})
    assert world.only.services == ("cart",)


def test_two_unrelated_faults_at_once_are_two_incidents():
    world = lived({**CART, **MAIL})
    assert sorted(i.services for i in world.latest.values()) == [("cart",), ("spam",)]


def test_each_of_two_incidents_has_causes_of_its_own():
    world = lived({**CART, "spam": {"own": 8.0, "lost": 8.0, "loss": 7.0, "resource": 8.0}})
    assert {i.services: i.causes[0].service for i in world.latest.values()} == {("cart",): "cart", ("spam",): "spam"}


def test_unrelated_incidents_close_on_their_own():
    world = lived({**CART, **MAIL})
    world.last_for(QUIET, CART)
    assert {i.services[0]: i.state for i in world.latest.values()} == {"cart": "open", "spam": "resolved"}


def test_environments_do_not_influence_each_other():
    alone, both = lived(CART), World()
    for k in range(12 + round(CONFIRM / 10)):
        both.respond.process(DETECT, [findings(both.now + WINDOW, MAIL, environment="test")])
        both.window(CART if k >= 12 else {})
    assert [i for i in both.bytes() if b'"environment":"prod"' in i] == alone.bytes()


def test_a_neighbours_fault_that_begins_after_an_incident_has_settled_is_another_one():
    world = lived(CART, seconds=P.settle / SECOND + 90)
    assert world.only.settled
    world.last_for(CONFIRM, {**CART, "db": {"resource": 8.0}})
    first, second = world.latest.values()
    assert first.services == ("cart",)
    assert "db" in second.services


# ---- versions ------------------------------------------------------------------------------------------------


def test_versions_rise_one_by_one_and_only_when_there_is_news():
    world = lived(CART)
    world.last_for(900, CART)
    versions = [i.version for i in world.said]
    assert versions == list(range(1, len(versions) + 1))
    assert len(versions) < 10
    assert all(a != b for a, b in pairwise(world.bytes()))


def test_a_settled_incident_changes_no_causes():
    world = lived(CART)
    world.last_for(P.settle / SECOND + 30, CART)
    causes = world.only.causes
    assert world.only.settled
    world.last_for(120, {**CART, "db": {"own": 2.9}, "web": {"own": 2.9}})
    assert world.only.causes == causes


def test_anomalies_of_its_services_become_members_and_those_of_others_do_not():
    world = lived()
    late = T + 130 * SECOND
    world.last_for(
        CONFIRM, CART, anomalies=[anomaly("cart", late), anomaly("cart", late, signal="mem"), anomaly("mta", late)]
    )
    assert {(m.service, m.signal) for m in world.only.members} == {("cart", "cpu"), ("cart", "mem")}
    assert (world.only.counts.anomalies, world.only.counts.signals) == (2, 2)
    assert world.only.models == {"levels": "1"}


def test_an_anomaly_belongs_to_one_incident():
    world = lived()
    late = T + 130 * SECOND
    world.last_for(CONFIRM, {**CART, **MAIL}, anomalies=[anomaly("cart", late), anomaly("spam", late)])
    members = [m.anomaly_id for i in world.latest.values() for m in i.members]
    assert len(members) == len(set(members)) == 2


def test_its_id_is_that_of_its_first_anomaly():
    early, late = T + 125 * SECOND, T + 135 * SECOND
    ids = set()
    for others in ([], [anomaly("cart", late, signal="a")]):
        world = lived()
        world.last_for(CONFIRM, CART, anomalies=[anomaly("cart", early), *others])
        ids.add(world.only.incident_id)
    assert len(ids) == 1


# ---- closing and coming back ---------------------------------------------------------------------------------


def test_an_incident_is_resolved_after_a_quiet():
    world = lived(CART)
    end = world.now
    world.last_for(P.quiet / SECOND)
    assert world.only.state == "open"
    world.last_for(30)
    found = world.only
    assert found.state == "resolved"
    assert found.resolved_at is not None
    assert unix_ns(found.resolved_at) >= end + P.quiet
    assert found.episodes[-1].resolved_at == found.resolved_at
    assert world.respond.open == 0


def test_a_pause_shorter_than_the_quiet_does_not_resolve_it():
    world = lived(CART)
    for _ in range(4):
        world.last_for(P.quiet / SECOND - 10)
        world.last_for(10, CART)
    assert world.only.state == "open"


def test_what_lasts_too_long_is_the_new_normal():
    world = lived(CART)
    world.last_for(P.longest / SECOND, CART)
    first = next(iter(world.latest.values()))
    assert first.state == "resolved"
    assert unix_ns(first.resolved_at or "") - unix_ns(first.opened_at) == P.longest


def test_what_has_just_closed_opens_nothing_for_a_while():
    world = lived(CART)
    world.last_for(QUIET)
    closed = unix_ns(world.only.resolved_at or "")
    while world.now + WINDOW < closed + P.cool:
        assert world.window({"cart": {"resource": 8.0}}) == []
    assert world.last_for(20, {"cart": {"resource": 8.0}}) != []


def test_the_same_cause_soon_again_is_another_episode():
    world = lived(CART)
    world.last_for(QUIET + P.cool / SECOND)
    before = world.only
    world.last_for(CONFIRM, CART)
    again = world.only
    assert (again.episode, again.state) == (2, "open")
    assert again.version > before.version
    assert [e.resolved_at is None for e in again.episodes] == [False, True]
    assert again.episodes[0] == before.episodes[0]
    assert again.opened_at == again.episodes[1].opened_at


def test_another_cause_soon_after_is_another_incident():
    world = lived(CART)
    world.last_for(QUIET + P.cool / SECOND)
    world.last_for(CONFIRM, {"cart": {"resource": 8.0, "own": 3.0}})
    world.last_for(QUIET + P.cool / SECOND)
    world.last_for(CONFIRM, {"pay": {"own": 8.0, "lost": 7.0, "loss": 7.0}})
    assert len(world.latest) == 3
    assert {i.episode for i in world.latest.values()} == {1}


def test_the_same_cause_much_later_is_another_incident():
    world = lived(CART)
    world.last_for(QUIET + P.episode / SECOND + 60)
    world.last_for(CONFIRM, CART)
    assert len(world.latest) == 2
    assert {i.episode for i in world.latest.values()} == {1}


# ---- changes -------------------------------------------------------------------------------------------------


def with_change(service: str, before: int, arrival: int | None = None) -> World:
    """A change so many seconds before the onset of the fault of `cart`."""
    world = World()
    time = T + (130 - before) * SECOND
    world.respond.tell("changes/0", 0, "changes", change(service, time), time if arrival is None else arrival)
    world.last_for(120)
    world.last_for(CONFIRM, CART)
    return world


def test_a_change_shortly_before_is_the_cause_and_is_named():
    found = with_change("cart", 60).only
    assert (found.causes[0].service, found.causes[0].kind) == ("cart", "change")
    assert [e.ref for e in found.causes[0].evidence if e.type == "change"] == ["deploy-1"]
    assert [c.change_id for c in found.changes] == ["deploy-1"]
    assert found.causes[0].caveats


def test_a_change_of_a_service_without_evidence_is_no_cause():
    found = with_change("pay", 60).only
    assert [c.service for c in found.causes] == ["cart"]
    assert found.causes[0].kind != "change"


@pytest.mark.parametrize("before", [3600, -300])
def test_a_change_long_before_or_after_the_onset_has_nothing_to_do_with_it(before):
    found = with_change("cart", before, T).only
    assert found.changes == ()
    assert found.causes[0].kind != "change"


def test_a_change_is_known_from_its_arrival_on():
    late = with_change("cart", 60, arrival=T + 100_000 * SECOND)
    assert late.only.changes == ()


def test_a_change_belongs_to_the_tenant_of_its_source():
    world = World(Respond([DETECT], tenant="acme"))
    world.respond.tell("changes/0", 0, "changes", change("cart", T + 100 * SECOND), T + 100 * SECOND)
    world.last_for(120, tenant="acme")
    world.last_for(CONFIRM, CART, tenant="acme")
    assert world.only.causes[0].kind == "change"


def test_a_change_that_is_told_twice_counts_once():
    world = World()
    for offset in (0, 1, 1):
        world.respond.tell("changes/0", offset, "changes", change("cart", T + 100 * SECOND), T + 100 * SECOND)
    world.last_for(120)
    world.last_for(CONFIRM, CART)
    assert len(world.only.changes) == 1


# ---- determinism ---------------------------------------------------------------------------------------------


def story(world: World, k: int) -> None:
    """Faults that come, join, change, go and come again."""
    quiet = k % 60 < 20 or k % 60 > 50
    terms = {} if quiet else {**CART, **(MAIL if k > 90 else {}), **({"web": {"errors": 6.0}} if k % 60 > 30 else {})}
    found = [anomaly("cart", world.now, signal=f"s{k % 7}")] if not quiet and k % 3 == 0 else []
    if k % 50 == 18:
        world.respond.tell("changes/0", k, "changes", change("cart", world.now, f"c{k}"), world.now + 15 * SECOND)
    totals = {"logs": 5, "metrics": 5, "traces": 0 if 70 < k < 100 else 5}
    world.window(terms, anomalies=found, edges={("web", "cart"): {"gap": 4.0 if k % 60 > 25 else 0.0}}, totals=totals)


def test_a_restart_after_every_window_changes_no_byte():
    plain, restarted = World(), World()
    for k in range(250):
        story(plain, k)
        story(restarted, k)
        snapshot = restarted.respond.snapshot()
        restarted.respond = Respond([DETECT])
        restarted.respond.restore(snapshot)
        assert restarted.respond.snapshot() == snapshot
    assert restarted.bytes() == plain.bytes()
    assert restarted.notices == plain.notices
    assert restarted.topology == plain.topology
    assert len(plain.latest) >= 2
    assert max(i.episode for i in plain.latest.values()) >= 2
    assert plain.notices
    assert plain.topology


def test_findings_handed_over_together_give_what_they_give_one_by_one():
    plain, together = World(), Respond([DETECT])
    for k in range(40):
        terms = CART if 12 <= k < 20 else {}
        plain.window(terms)
        together.process(DETECT, [findings(T + (k + 1) * WINDOW, terms)])
    out = together.advance(DETECT, due(T + 40 * WINDOW))
    assert out.incidents == plain.said


def part(found: Findings, services: list[str]) -> Findings:
    """What the detect partition of these services says: edges into them, and calls of theirs that reach nobody."""
    rows, pairs = (
        [found.services.index(s) for s in services],
        [k for k, e in enumerate(found.edges) if set(e) & set(services)],
    )
    terms, calls = found.edge_terms.copy(), found.calls.copy()
    for k, (caller, callee) in enumerate(found.edges):
        if callee not in services:
            terms[k, GAP], calls[k] = np.nan, 0.0
        if caller not in services:
            terms[k, UNREACHABLE] = 0.0
    return Findings(
        found.tenant, found.environment, found.time, services, found.terms[rows], found.visits[rows], found.failed[rows],
        [found.edges[k] for k in pairs], terms[pairs], calls[pairs],
        {key: note for key, note in found.notes.items() if key[0] in services},
        [a for a in found.anomalies if a.service in services], found.totals,
    )  # fmt: skip


@pytest.mark.parametrize("swapped", [False, True])
def test_how_services_are_spread_over_detect_partitions_changes_no_byte(swapped):
    whole, halves = World(), World(Respond([DETECT, "findings/1"]))
    for k in range(60):
        time = T + (k + 1) * WINDOW
        terms = {**CART, "web": {"errors": 6.0}} if 12 <= k < 40 else {}
        edges = {("web", "cart"): {"gap": 4.0, "unreachable": 3.0}} if 12 <= k < 40 else {}
        found = [anomaly("web", time, signal="b"), anomaly("cart", time, signal="a")] if k == 13 else []
        whole.window(terms, edges=edges, anomalies=found)
        all_ = findings(time, terms, edges, found)
        parts = [part(all_, ["cart", "mta", "pay"]), part(all_, ["db", "spam", "web"])]
        for source, p in zip((DETECT, "findings/1"), parts[::-1] if swapped else parts, strict=True):
            for _ in range(2):  # a repeat, as after a crash of the sender
                halves.respond.process(source, [p])
        halves.respond.advance("findings/1", due(time))
        halves.said += halves.respond.advance(DETECT, due(time - WINDOW)).incidents
    assert halves.bytes() == whole.bytes()
    assert whole.only.state == "resolved"


def test_nothing_is_taken_before_it_is_due():
    respond = Respond([DETECT, "changes/0"])
    for k in range(60):
        respond.process(DETECT, [findings(T + k * WINDOW, CART)])
    assert respond.advance(DETECT, T + 10_000 * SECOND).incidents == []
    assert respond.advance("changes/0", T + 10_000 * SECOND).incidents != []


def test_times_are_event_times():
    found = lived(CART).said[0]
    assert found.updated_at == found.opened_at
    assert found.opened_at <= rfc3339(T + 130 * SECOND + P.confirm + 2 * WINDOW)


def test_of_very_many_changes_the_nearest_are_named():
    world = World()
    world.last_for(120)
    onset = world.now
    for k in range(300):
        said = change("cart", onset - (900 - k) * SECOND, f"flag-{k}")
        world.tell(msgspec.structs.replace(said, summary=f"{k} " * 1_000))
    world.last_for(60, {"cart": {"own": 8.0, "lost": 7.0, "loss": 7.0}})
    named = [f"flag-{k}" for k in range(290, 300)]
    assert [c.change_id for c in world.only.changes] == named
    assert [e.ref for e in world.only.causes[0].evidence if e.type == "change"] == named
    assert max(map(len, world.bytes())) < 200_000
