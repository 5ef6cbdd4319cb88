"""What people say of causes, and which incidents they merge and split: each effect, and what follows for members and episodes."""

from __future__ import annotations

import pytest

from aiops.incidents.members import RECENT
from aiops.records import rfc3339
from aiops.signals import SECOND
from tests.incidents.commanding import BOTH, CART, CONFIRM, MAIL, QUIET, P, both, broken, ids, refused, tell, wide
from tests.incidents.world import alert, command

# ---- causes and feedback ----------------------------------------------------------------------------------------------
TWO = {"cart": {"own": 8.0, "lost": 7.0, "loss": 7.0}, "web": {"errors": 6.0, "own": 3.0}}


def test_a_confirmed_cause_comes_first_with_confidence_1_and_says_by_whom():
    world = broken(TWO)
    assert [c.service for c in world.only.causes][:2] == ["cart", "web"]
    found = tell(world, "confirm", service="web")
    first = found.causes[0]
    assert (first.service, first.rank, first.confidence, first.verdict, first.verdict_by) == (
        "web", 1, 1.0, "confirmed", "ann",
    )  # fmt: skip
    assert not found.no_confident_cause
    assert found.title.startswith("web: ")
    assert "confidence 1.00" in found.summary
    assert [c.rank for c in found.causes] == list(range(1, len(found.causes) + 1))
    world.last_for(120, TWO)
    assert world.only.causes[0].service == "web"


def test_a_rejected_cause_comes_last_and_says_so():
    world = broken(TWO)
    last = tell(world, "reject", service="cart").causes[-1]
    assert (last.service, last.confidence, last.verdict) == ("cart", 0.0, "rejected")
    assert "rejected as the cause by ann" in last.caveats
    world.last_for(120, TWO)
    assert world.only.causes[-1].service == "cart"
    assert world.only.causes[0].service == "web"


def test_where_every_cause_is_rejected_no_cause_is_confident():
    world = broken()
    assert tell(world, "reject", service="cart").no_confident_cause


def test_the_last_word_on_a_cause_counts():
    world = broken(TWO)
    tell(world, "confirm", service="web")
    assert tell(world, "reject", service="web").causes[0].service == "cart"
    found = tell(world, "confirm", service="cart")
    assert [c.verdict for c in found.causes if c.service in ("cart", "web")] == ["confirmed", "rejected"]


def test_a_person_may_know_a_cause_that_the_engine_has_not_thought_of():
    first = tell(broken(), "confirm", service="power supply", kind="external").causes[0]
    assert (first.service, first.kind, first.confidence, first.evidence) == ("power supply", "external", 1.0, ())


def test_a_verdict_on_a_kind_is_about_that_kind():
    world = broken()
    kind = world.only.causes[0].kind
    other = "network" if kind != "network" else "code"
    refused(world, "is not among its causes", "reject", world.only.incident_id, service="cart", kind=other)
    assert tell(world, "reject", service="cart", kind=kind).causes[-1].verdict == "rejected"


def test_people_change_no_episode_and_no_other_incident():
    """Correlation goes by the engine's own ranking, whatever people say of it."""
    plain, judged = broken(TWO), broken(TWO)
    tell(judged, "confirm", service="web")
    for world in (plain, judged):
        world.last_for(QUIET + P.cool / SECOND)
        world.last_for(CONFIRM, TWO)
    assert ids(plain) == ids(judged)
    assert plain.only.episode == judged.only.episode == 2


@pytest.mark.parametrize("verdict", ["true", "expected", "false", "new_trend"])
def test_feedback_stays_with_the_incident(verdict):
    world = broken()
    tell(world, "feedback", verdict=verdict, text="a test")
    world.last_for(QUIET)
    found = world.only.feedback
    assert found is not None
    assert (found.verdict, found.author, found.text) == (verdict, "ann", "a test")


# ---- merge ------------------------------------------------------------------------------------------------------------
def test_a_merged_incident_is_over_and_the_other_has_its_services_members_and_causes():
    world = both()
    of = ids(world)
    found = tell(world, "merge", "spam", into=of["cart"])
    assert (found.state, found.merged_into) == ("merged", of["cart"])
    target = world.latest[of["cart"]]
    assert (target.state, target.services) == ("open", ("cart", "spam"))
    assert {m.service for m in target.members} == {"cart", "spam"}
    assert {c.service for c in target.causes} == {"cart", "spam"}
    assert target.log[-1].effect == f"took over incident {of['spam']}"
    said = len(world.said)
    world.last_for(30, BOTH)
    assert len(world.said) == said  # nothing new
    assert world.respond.open == 1
    world.last_for(QUIET, MAIL)
    assert world.latest[of["cart"]].state == "open"  # held by what it took over
    world.last_for(QUIET)
    assert {i.state for i in world.latest.values()} == {"resolved", "merged"}


def test_members_and_alerts_of_a_merged_incident_live_on_in_the_other():
    world = both()
    world.tell(alert("spam", world.now, severity="critical"))
    world.last_for(20, BOTH)
    of = ids(world)
    world.tell(command("merge", of["spam"], into=of["cart"]))
    assert world.latest[of["cart"]].counts.alerts == 1
    assert world.latest[of["cart"]].severity == "critical"
    world.tell(alert("spam", world.now, "resolved", severity="critical"))
    world.last_for(300, BOTH)
    states = {m.signal: m.state for m in world.latest[of["cart"]].members}
    assert states["Slow"] == "closed"


def test_what_comes_back_after_a_merge_is_an_episode_of_the_one_that_is_left():
    world = both()
    of = ids(world)
    world.tell(command("merge", of["spam"], into=of["cart"]))
    world.last_for(QUIET + P.cool / SECOND)
    world.last_for(CONFIRM, CART)
    assert world.latest[of["cart"]].episode == 2
    assert world.latest[of["spam"]].state == "merged"


def test_one_that_is_over_joins_an_open_one_without_holding_it_open():
    world = broken(MAIL)
    world.last_for(QUIET)
    world.last_for(CONFIRM, CART)
    of = ids(world)
    world.tell(command("merge", of["spam"], into=of["cart"]))
    assert world.latest[of["cart"]].services == ("cart", "spam")
    world.last_for(QUIET)
    assert world.latest[of["cart"]].state == "resolved"


def test_two_that_are_over_are_one_on_record():
    world = both()
    world.last_for(QUIET)
    of = ids(world)
    world.tell(command("merge", of["spam"], into=of["cart"]))
    target = world.latest[of["cart"]]
    assert (target.state, target.services, len(target.members)) == ("resolved", ("cart", "spam"), 2)
    assert target.counts.anomalies == 2


# ---- split ------------------------------------------------------------------------------------------------------------
def test_services_that_are_split_off_are_an_incident_of_their_own_with_their_members_and_causes():
    world = wide()
    old = world.only.incident_id
    world.tell(command("split", old, services="web"))
    (new,) = set(world.latest) - {old}
    left, right = world.latest[old], world.latest[new]
    assert (left.services, right.services) == (("cart",), ("web",))
    assert (right.split_from, right.state, right.version, right.episode) == (old, "open", 1, 1)
    assert [m.service for m in left.members] == ["cart"]
    assert [m.service for m in right.members] == ["web"]
    assert "web" not in {c.service for c in left.causes}
    assert right.causes[0].service == "web"
    assert new in left.log[-1].effect


def test_what_was_split_stays_apart_and_each_closes_by_itself():
    world = wide()
    old = world.only.incident_id
    world.tell(command("split", old, services="web"))
    world.last_for(120, {**CART, "web": {"errors": 6.0, "own": 5.0}})
    assert sorted(i.services for i in world.latest.values()) == [("cart",), ("web",)]
    world.last_for(QUIET, CART)
    assert {i.services: i.state for i in world.latest.values()} == {("cart",): "open", ("web",): "resolved"}


def test_an_alert_goes_with_its_service():
    world = wide()
    world.tell(alert("web", world.now))
    world.last_for(20, {**CART, "web": {"errors": 6.0, "own": 5.0}})
    old = world.only.incident_id
    world.tell(command("split", old, services="web"))
    (new,) = set(world.latest) - {old}
    assert (world.latest[old].counts.alerts, world.latest[new].counts.alerts) == (0, 1)
    assert world.latest[new].severity == "critical"


def test_an_incident_that_has_settled_can_be_regrouped_after_new_services_came():
    world = wide()
    services = ["cart", "db", "mta", "pay", "spam", "web", "zoo"]
    terms = {**CART, "web": {"errors": 6.0, "own": 5.0}}
    world.last_for(P.settle / SECOND + 30, terms, services=services)
    assert world.only.settled
    world.respond._of["default", "prod"].environment.callees.setdefault(0, set()).add(6)  # cart calls what is new
    old = world.only.incident_id
    world.tell(command("split", old, services="web"))
    (new,) = set(world.latest) - {old}
    world.tell(command("merge", new, into=old))
    assert world.latest[old].services == ("cart", "web")
    assert world.latest[new].state == "merged"


def test_what_was_split_off_long_ago_is_no_member_that_an_alert_could_repeat():
    """Members that closed minutes ago are known to their incident alone."""
    terms = {**CART, "web": {"errors": 6.0, "own": 5.0}}
    world = wide()
    for status in ("firing", "resolved"):
        began = rfc3339(world.now - 60 * SECOND)
        world.tell(alert("web", world.now, status, severity="medium", alert_id="f", starts_at=began))
        world.last_for(20, terms)
    world.last_for(RECENT / SECOND + 60, terms)
    old = world.only.incident_id
    world.tell(command("split", old, services="web"))
    world.last_for(QUIET, CART)  # the new one closes
    world.tell(alert("web", world.now, severity="medium", alert_id="f"))
    world.last_for(60, CART)
    world.last_for(QUIET)
    assert world.latest[old].counts.alerts == 1
