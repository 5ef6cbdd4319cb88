"""Commands that cannot be obeyed, come too late, or make no sense at all: refused with a reason, and nothing breaks."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.incidents import commanded
from aiops.incidents.silences import LISTED
from aiops.records import CommandName
from aiops.signals import SECOND
from tests.incidents.commanding import BOTH, CART, QUIET, both, broken, ids, refused, tell, until, wide
from tests.incidents.world import command


# ---- what cannot be obeyed --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("resolve", {}, "it is resolved already"),
        ("acknowledge", {}, "it is resolved"),
        ("split", {"services": "cart"}, "it is over"),
        ("assign", {}, "neither assignee nor team"),
        ("comment", {"text": "  "}, "argument text is missing"),
        ("label", {}, "it names no label"),
        ("label", {f"l{k}": "x" for k in range(99)}, "it would have 99 labels"),
        ("silence", {}, "argument until is missing"),
        ("silence", {"until": "soon"}, "until: 'soon' is no RFC 3339 time"),
        ("silence", {"until": "2030-01-01T00:00:00Z", "severity": "bad"}, "severity 'bad' is not one of critical"),
        ("maintenance", {"services": "a", "until": "2030-01-01T00:00:00Z"}, "not of an incident"),
        ("merge", {}, "argument into is missing"),
        ("merge", {"into": "nowhere"}, "there is no incident 'nowhere' in environment 'prod'"),
        ("confirm", {}, "argument service is missing"),
        ("confirm", {"service": "a", "kind": "bug"}, "kind 'bug' is not one of"),
        ("reject", {"service": "mta"}, "mta is not among its causes: cart ("),
        ("feedback", {}, "verdict is missing"),
        ("feedback", {"verdict": "nice"}, "verdict 'nice' is not one of true, expected, false, new_trend"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason_in_a_notice_and_in_the_log(name, arguments, said):
    world = broken()
    world.last_for(QUIET)
    refused(world, said, name, world.only.incident_id, **arguments)
    assert world.respond.gauges()["respond_refused_commands_total"] == 1


@pytest.mark.parametrize("name", get_args(CommandName))
def test_a_command_for_an_incident_that_nobody_knows_is_refused(name):
    world = broken()
    arguments = {"until": until(world, 60), "services": "cart"}
    refused(
        world, "not of an incident" if name == "maintenance" else "there is no incident 'x'", name, "x", **arguments
    )
    other = {"maintenance": "is missing", "silence": "it would silence everything"}
    refused(world, other.get(name, "it names no incident"), name, "")
    assert world.only.log == ()


def test_an_incident_is_not_merged_into_itself_nor_an_open_one_into_one_that_is_over():
    world = both()
    of = ids(world)
    refused(world, "into itself", "merge", of["cart"], into=of["cart"])
    world.last_for(QUIET, CART)
    refused(world, f"incident {of['spam']} is over", "merge", of["cart"], into=of["spam"])


def test_a_merged_incident_takes_no_commands_but_says_who_does():
    world = both()
    of = ids(world)
    world.tell(command("merge", of["spam"], into=of["cart"]))
    for name in ("acknowledge", "resolve", "reopen", "comment", "merge"):
        refused(world, f"was merged into {of['cart']}", name, of["spam"], into=of["cart"], text="x")


def test_a_split_must_leave_something_on_both_sides():
    world = wide()
    refused(world, "is not among its services: cart, web", "split", world.only.incident_id, services="mta")
    refused(world, "nothing would be left", "split", world.only.incident_id, services="cart,web")


def test_to_acknowledge_it_twice_or_to_reopen_what_is_open_is_refused():
    world = broken()
    tell(world, "acknowledge")
    refused(world, "has acknowledged it already", "acknowledge", world.only.incident_id)
    refused(world, "it is not resolved", "reopen", world.only.incident_id)


def test_a_command_for_another_environment_names_that():
    world = broken()
    world.tell(msgspec.structs.replace(command("resolve", world.only.incident_id), environment="test"))
    assert "in environment 'test'" in world.notices[-1].text
    assert world.only.state == "open"


# ---- for how long -----------------------------------------------------------------------------------------------------
def test_an_incident_that_is_over_can_be_commanded_for_days(monkeypatch):
    monkeypatch.setattr(commanded, "KEEP", 4 * 3600 * SECOND)
    world = broken()
    world.last_for(QUIET)
    incident = world.only.incident_id
    world.last_for(3 * 3600)
    assert tell(world, "feedback", verdict="true").feedback is not None
    world.last_for(2 * 3600)
    refused_before = len(world.notices)
    world.tell(command("comment", incident, text="x"))
    assert "there is no incident" in world.notices[refused_before].text
    assert world.respond.gauges()["respond_forgotten_incidents_total"] == 1


def test_of_too_many_that_are_over_those_that_have_been_so_for_longest_are_forgotten(monkeypatch):
    monkeypatch.setattr(commanded, "MOST_OVER", 1)
    world = both()
    world.last_for(QUIET, CART)
    tell(world, "reopen", "spam")
    world.last_for(QUIET)
    gone = world.latest[ids(world)["spam"]]
    assert world.respond.gauges()["respond_known_incidents"] == 1
    assert (gone.state, gone.log[-1].author) == ("resolved", "engine")  # nobody could resolve it any more


# ---- whatever is said -------------------------------------------------------------------------------------------------
WORDS = st.sampled_from(
    ["", "cart", "web", "spam", "A", "B", "x", "true", "code", "high", "*", "2030-01-01T00:00:00Z", "\n"]
)
KEYS = st.sampled_from(
    [
        "into",
        "services",
        "service",
        "kind",
        "verdict",
        "until",
        "from",
        "text",
        "assignee",
        "severity",
        "cause_kind",
        "",
    ]
)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(get_args(CommandName)), st.sampled_from(["A", "B", "", "x"]),
                          st.dictionaries(KEYS, WORDS, max_size=5)), max_size=12))  # fmt: skip
def test_no_command_breaks_anything_and_all_are_accounted_for(said):
    world = both()
    of = ids(world)
    name = {"A": of["cart"], "B": of["spam"]}
    for k, (kind, incident, arguments) in enumerate(said):
        arguments = {key: name.get(value, value) for key, value in arguments.items()}
        world.tell(msgspec.structs.replace(command(kind, name.get(incident, incident)), arguments=arguments))
        world.last_for(20, BOTH if k % 3 else {})
    gauges = world.respond.gauges()
    assert gauges["respond_commands_total"] + gauges["respond_refused_commands_total"] == len(said)
    assert sum(n.kind == "command" for n in world.notices) == gauges["respond_refused_commands_total"]
    for incident in world.latest:
        versions = [i.version for i in world.said if i.incident_id == incident]
        assert versions == list(range(1, len(versions) + 1))
    world.last_for(900)
    assert world.respond.open == 0


def test_however_many_silences_match_and_services_there_are_an_incident_stays_small():
    world = broken()
    for k in range(100):
        world.tell(command("maintenance", services=f"cart,x{k}", until=until(world, 9e4), reason="r" * 9_000))
    assert len(world.only.suppressed_by) == LISTED
    world.last_for(60, CART)
    for name in ("split", "reject", "confirm"):
        world.tell(command(name, world.only.incident_id, services="y," * 900, service="z" * 9_000))
    assert max(map(len, world.bytes())) < 100_000
