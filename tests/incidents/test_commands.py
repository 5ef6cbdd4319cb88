"""What people command beside correlation: each effect, and that the engine goes on beneath it as if nobody had spoken."""

from __future__ import annotations

import pytest

from aiops.incidents import silences
from aiops.incidents.overlay import LOG
from aiops.records import rfc3339
from aiops.signals import SECOND
from tests.incidents.commanding import BOTH, CART, CONFIRM, QUIET, P, broken, ids, refused, tell, until
from tests.incidents.world import T, World, alert, command


# ---- overlay ----------------------------------------------------------------------------------------------------------
def test_an_acknowledged_incident_says_by_whom_at_once_and_stays_so():
    world = broken()
    version = world.only.version
    found = tell(world, "acknowledge")
    assert (found.state, found.acknowledged_by, found.version) == ("acknowledged", "ann", version + 1)
    (decision,) = found.log
    assert (decision.author, decision.command, decision.effect, decision.refused) == (
        "ann", "acknowledge", "acknowledged", False,
    )  # fmt: skip
    world.last_for(120, {**CART, "web": {"errors": 6.0}})
    assert (world.only.state, world.only.services) == ("acknowledged", ("cart", "web"))
    world.last_for(QUIET)
    assert (world.only.state, world.only.acknowledged_by) == ("resolved", "ann")


def test_an_assignment_names_a_person_or_a_team_and_an_empty_name_takes_it_back():
    world = broken()
    assert tell(world, "assign", assignee="bob").assignee == "bob"
    found = tell(world, "assign", assignee="", team="shop")
    assert (found.assignee, found.team) == (None, "shop")


def test_a_comment_is_a_line_of_its_log():
    assert tell(broken(), "comment", text="looks like the disk").log[-1].effect == "looks like the disk"


def test_labels_are_set_and_removed():
    world = broken()
    assert tell(world, "label", team="shop", ticket="17").labels == {"team": "shop", "ticket": "17"}
    assert tell(world, "label", team="", ticket="18").labels == {"ticket": "18"}


def test_a_person_resolves_it_and_the_engine_goes_on_beneath():
    world = broken()
    found = tell(world, "resolve", resolution="rolled back")
    assert (found.state, found.resolution, found.resolved_at) == ("resolved", "rolled back", found.updated_at)
    assert found.episodes[-1].resolved_at == found.resolved_at
    world.last_for(120, CART)  # it is not opened again by what it was about
    assert len(world.latest) == 1
    assert (world.only.state, world.only.resolved_at) == ("resolved", found.resolved_at)
    assert world.respond.open == 1
    world.last_for(QUIET)
    assert world.respond.open == 0
    assert (world.only.state, world.only.resolved_at) == ("resolved", found.resolved_at)


def test_a_resolved_incident_that_becomes_graver_is_open_again():
    world = broken({"cart": {"resource": 8.0}})
    assert tell(world, "resolve").severity not in ("high", "critical")
    world.tell(alert("cart", world.now, severity="critical"))
    world.last_for(20, {"cart": {"resource": 8.0}})
    assert (world.only.state, world.only.severity) == ("open", "critical")
    assert (world.only.log[-1].author, world.only.log[-1].command) == ("engine", "reopen")


def test_what_a_person_reopens_stays_open_until_a_person_resolves_it():
    world = broken()
    world.last_for(QUIET)
    before, found = world.only, tell(world, "reopen")
    assert before.state == "resolved"
    assert (found.state, found.resolved_at, found.episodes[-1].resolved_at) == ("open", None, None)
    assert [i.state for i in world.last_for(3600)] == []
    assert tell(world, "resolve").state == "resolved"


def test_reopening_takes_back_that_a_person_resolved_it():
    world = broken()
    tell(world, "resolve")
    found = tell(world, "reopen")
    assert found.state == "open"
    world.last_for(QUIET)
    assert world.only.state == "resolved"


def test_another_episode_begins_without_what_was_said_of_the_last_ones_end_and_with_the_rest():
    world = broken()
    tell(world, "acknowledge")
    tell(world, "label", team="shop")
    tell(world, "resolve", resolution="restarted")
    world.last_for(QUIET + P.cool / SECOND)
    versions = world.only.version
    world.last_for(CONFIRM, CART)
    found = world.only
    assert (found.episode, found.state, found.acknowledged_by, found.resolution) == (2, "open", None, None)
    assert (found.labels, len(found.log)) == ({"team": "shop"}, 3)
    assert found.version > versions
    assert found.episodes[0].resolved_at is not None


def test_versions_rise_one_by_one_whoever_makes_them():
    world = broken()
    for k in range(6):
        tell(world, "comment", text=str(k))
        world.last_for(40, CART if k % 2 else {**CART, "web": {"errors": 6.0}})
    world.last_for(QUIET)
    tell(world, "comment", text="over")
    assert [i.version for i in world.said] == list(range(1, len(world.said) + 1))


def test_the_log_of_an_incident_is_bounded_and_says_how_much_is_not_listed():
    world = broken()
    for k in range(LOG + 5):
        tell(world, "comment", text=str(k))
    assert (len(world.only.log), world.only.log_truncated) == (LOG, 5)
    assert world.only.log[-1].effect == str(LOG + 4)


# ---- silence and maintenance ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("matchers", "matches"),
    [
        ({"service": "cart"}, True), ({"service": "web"}, False),
        ({"severity": "high"}, True), ({"severity": "low"}, False),
        ({"cause_kind": "code"}, True), ({"cause_kind": "network"}, False),
        ({"service": "cart", "severity": "low"}, False),
    ],
)  # fmt: skip
def test_a_silence_says_who_wants_quiet_why_and_until_when_and_hides_nothing(matchers, matches):
    world = broken()
    world.tell(command("silence", until=until(world, 120), reason="known", **matchers))
    found = world.only
    assert (found.state, found.severity) == ("open", "high")
    assert [(s.by, s.author, s.reason) for s in found.suppressed_by] == [("silence", "ann", "known")] * matches
    version = found.version
    world.last_for(180, CART)
    assert world.only.suppressed_by == ()
    assert world.only.version > version or not matches


def test_a_silence_of_one_incident_is_of_no_other():
    world = broken(BOTH)
    tell(world, "silence", until=until(world, 600))
    world.last_for(30, BOTH)
    assert {i.services[0]: len(i.suppressed_by) for i in world.latest.values()} == {"cart": 1, "spam": 0}
    assert world.latest[ids(world)["cart"]].log[-1].command == "silence"


def test_a_silence_with_a_time_that_is_over_ends_the_same_silence():
    world = broken()
    world.tell(command("silence", service="cart", until=until(world, 600)))
    assert world.only.suppressed_by
    world.tell(command("silence", service="cart", until=rfc3339(T)))
    assert world.only.suppressed_by == ()


def test_an_incident_that_opens_in_a_silence_carries_it_from_its_first_version():
    world = World()
    world.last_for(120)
    world.tell(command("silence", service="cart", until=until(world, 600)))
    world.last_for(CONFIRM, CART)
    assert [len(i.suppressed_by) for i in world.said] == [1] * len(world.said)


@pytest.mark.parametrize(
    ("services", "matches"), [("cart", True), ("*", True), ("web, cart", True), ("web", False), ("mta,spam", False)]
)
def test_maintenance_is_of_services_for_a_time(services, matches):
    world = World()
    world.last_for(120)
    begin = world.now + 200 * SECOND
    world.tell(command("maintenance", services=services, from_=rfc3339(begin), until=rfc3339(begin + 100 * SECOND)))
    world.last_for(170, CART)
    found = [world.only.suppressed_by]
    for seconds in (60, 120):
        world.last_for(seconds, CART)
        found.append(world.only.suppressed_by)
    assert [[s.by for s in of] for of in found] == [[], ["maintenance"] * matches, []]


def test_there_are_only_so_many_silences_and_they_go_when_they_are_over(monkeypatch):
    monkeypatch.setattr(silences, "MOST", 3)
    world = broken()
    for k in range(3):
        world.tell(command("silence", service=f"s{k}", until=until(world, 60)))
    refused(world, "already", "silence", "", service="s9", until=until(world, 60))
    world.last_for(120, CART)
    world.tell(command("silence", service="s9", until=until(world, 60)))
    assert world.respond.gauges()["respond_silences"] == 1


@pytest.mark.parametrize("early", [True, False])
def test_what_a_person_says_resolved_it_is_told_when_it_comes_again(early):
    """Whether it was said while the engine still followed the incident, or afterwards."""
    world = broken()
    if not early:
        world.last_for(QUIET)
        tell(world, "reopen")
    tell(world, "resolve", resolution="restarted the cache")
    world.last_for(QUIET + P.episode / SECOND + 60)
    world.last_for(CONFIRM, CART)
    again = max(world.latest.values(), key=lambda i: i.opened_at)
    assert [s.resolution for s in again.similar_incidents] == ["restarted the cache"]
