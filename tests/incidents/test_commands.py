"""What people command: each effect, each refusal, and that the engine goes on beneath it as if nobody had spoken."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.incidents import commanded, silences
from aiops.incidents.lifecycle import Policy
from aiops.incidents.overlay import LOG
from aiops.records import CommandName, Incident, rfc3339
from aiops.signals import SECOND
from tests.incidents.world import T, World, alert, anomaly, command

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
def until(world: World, seconds: float) -> str:
    return rfc3339(world.now + int(seconds * SECOND))


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
def both() -> World:
    world = World()
    world.last_for(120)
    found = [anomaly("cart", world.now), anomaly("spam", world.now)]
    world.last_for(CONFIRM, BOTH, anomalies=found)
    world.last_for(60, BOTH, anomalies=found)
    assert len(world.latest) == 2
    return world


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
def wide() -> World:
    terms = {**CART, "web": {"errors": 6.0, "own": 5.0}}
    world = World()
    world.last_for(120)
    found = [anomaly("cart", world.now), anomaly("web", world.now)]
    world.last_for(CONFIRM + 60, terms, anomalies=found)
    assert world.only.services == ("cart", "web")
    return world


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
