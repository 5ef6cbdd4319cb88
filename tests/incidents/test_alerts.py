"""Alerts of other tools: each once, member of the right incident, and an incident of its own where it must be."""

from __future__ import annotations

from typing import Any

import pytest

from aiops.incidents import external
from aiops.incidents.alerts import MOST_OPENED, WAIT
from aiops.incidents.lifecycle import Policy
from aiops.incidents.stage import Respond
from aiops.records import rfc3339, unix_ns
from aiops.signals import SECOND, WINDOW
from tests.incidents.world import DETECT, SERVICES, T, World, alert, command

P = Policy()
CART = {"cart": {"own": 8.0, "lost": 7.0, "loss": 7.0}}
CONFIRM, QUIET = P.confirm / SECOND + 20, P.quiet / SECOND + 30


def quiet(seconds: float = 120) -> World:
    world = World()
    world.last_for(seconds)
    return world


def broken() -> World:
    """An incident of `cart` is open."""
    world = quiet()
    world.last_for(CONFIRM, CART)
    assert world.only.services == ("cart",)
    return world


def gauge(world: World, name: str) -> float:
    return world.respond.gauges()[f"respond_{name}"]


# ---- an alert as an anomaly -------------------------------------------------------------------------------------------
def test_an_alert_is_an_anomaly_from_its_first_message_to_its_end_however_often_it_is_told():
    world = quiet()
    onset = world.now
    for k in range(3):
        world.tell(alert("mta", onset, severity="low", sent_at=rfc3339(onset + k * 60 * SECOND)))
        world.last_for(60)
    world.tell(alert("mta", onset, "resolved", severity="low"))
    world.tell(alert("mta", onset, "resolved", severity="low"))
    assert [(a.version, a.state) for a in world.anomalies] == [(1, "open"), (2, "closed")]
    first = world.anomalies[0]
    assert (first.kind, first.service, first.signal, first.onset) == ("external", "mta", "Slow", rfc3339(onset))
    assert first.statement == "am reports Slow: mta is slow"
    assert len({a.anomaly_id for a in world.anomalies}) == 1
    assert gauge(world, "alert_repeats_total") == 3


def test_what_an_alert_says_anew_is_a_new_version():
    world = quiet()
    for severity in ("low", "low", "high"):
        world.tell(alert("mta", T, severity=severity))
    assert [(a.version, a.state, a.attributes["severity"]) for a in world.anomalies] == [
        (1, "open", "low"), (2, "update", "high"),
    ]  # fmt: skip
    assert world.anomalies[0].score < world.anomalies[1].score


def test_the_tools_own_name_of_an_alert_counts_more_than_its_labels_and_else_the_labels_that_stay():
    world = quiet()
    for fingerprint, pod, route in (
        ("f", "a", "/"), ("f", "b", "/x"),  # the same by its name
        ("", "a", "/"), ("", "b", "/"),  # the same but for the process
        ("", "a", "/x"),
    ):  # fmt: skip
        labels = {"pod": pod, "route": route}
        world.tell(alert("mta", T, severity="low", alert_id=fingerprint, labels=labels))
    assert len({a.anomaly_id for a in world.anomalies}) == 3


def test_an_alert_that_fires_again_is_another_anomaly_and_a_late_repeat_of_the_first_time_is_not():
    world = quiet()
    world.tell(alert("mta", T, severity="low"))
    world.tell(alert("mta", T + 60 * SECOND, "resolved", severity="low", starts_at=rfc3339(T)))
    world.tell(alert("mta", T, severity="low"))  # as it was told before
    assert len(world.anomalies) == 2
    world.tell(alert("mta", T + 90 * SECOND, severity="low"))
    assert len({a.anomaly_id for a in world.anomalies}) == 2


def test_an_end_of_what_is_not_known_to_fire_is_counted_and_says_nothing():
    world = quiet()
    world.tell(alert("mta", T, "resolved"))
    assert world.anomalies == []
    assert gauge(world, "alert_unmatched_ends_total") == 1


def test_an_alert_ends_by_itself_when_it_says_so_or_when_nobody_has_told_it_for_a_day(monkeypatch):
    world = quiet()
    world.tell(alert("mta", T, severity="low", ends_at=rfc3339(world.now + 60 * SECOND)))
    world.last_for(90)
    assert [a.state for a in world.anomalies] == ["open", "closed"]
    monkeypatch.setattr(external, "STALE", 120 * SECOND)
    world.tell(alert("mta", world.now, severity="low"))
    world.last_for(180)
    assert [a.state for a in world.anomalies[2:]] == ["open", "closed"]
    world.last_for(external.CLOSED / SECOND + 30)
    assert gauge(world, "alerts") == 0


def test_an_alert_that_lapsed_and_is_told_again_still_fires():
    """Its tool, or the way from it, was away for some minutes; nobody has said that it is over."""
    world, since = quiet(), T

    def told(seconds: float = 60, **more: Any) -> None:
        ends = rfc3339(world.now + int(seconds * SECOND))
        world.tell(alert("spam", since, ends_at=ends, **more))

    told()
    world.last_for(90)
    assert [a.state for a in world.anomalies] == ["open", "closed"]
    for _ in range(15):  # as often as it may be told
        told(120)
        world.last_for(60)
    assert [(a.version, a.state) for a in world.anomalies] == [(1, "open"), (2, "closed"), (3, "open")]
    assert len({a.anomaly_id for a in world.anomalies}) == 1
    assert (world.only.state, world.only.episode) == ("open", 2)
    told(-3600)  # sent long before
    assert len(world.anomalies) == 3
    world.tell(alert("spam", world.now, "resolved", starts_at=rfc3339(since)))
    told()  # late: it was resolved meanwhile
    world.last_for(300)
    assert world.anomalies[-1].state == world.only.members[0].state == "closed"
    assert world.only.state == "resolved"


def test_a_message_from_before_the_last_one_does_not_end_an_alert():
    world = quiet()
    for seconds in (600, 30, -30):
        world.tell(alert("mta", T, severity="low", ends_at=rfc3339(world.now + seconds * SECOND)))
    assert [a.state for a in world.anomalies] == ["open"]


def test_an_alert_that_fires_on_after_it_was_forgotten_opens_another_incident_than_the_one_that_is_over(monkeypatch):
    monkeypatch.setattr(external, "STALE", 600 * SECOND)
    world = quiet()
    world.tell(alert("spam", T))
    world.last_for(30)
    first = world.only
    world.tell(command("resolve", first.incident_id, resolution="no problem"))
    world.last_for(P.episode / SECOND + 1800)
    assert gauge(world, "alerts") == gauge(world, "closed_incidents") == 0
    world.tell(alert("spam", T))
    world.last_for(30)
    (second,) = (i for name, i in world.latest.items() if name != first.incident_id)
    assert (second.state, second.version, second.log) == ("open", 1, ())
    assert world.latest[first.incident_id].state == "resolved"


def test_an_alert_that_becomes_critical_after_its_incident_closed_opens_another():
    world = broken()
    world.tell(alert("cart", world.now, severity="medium"))
    world.last_for(60, CART)
    world.last_for(QUIET + WAIT / SECOND)
    (closed,) = world.latest.values()
    assert (closed.state, closed.counts.alerts) == ("resolved", 1)
    world.tell(alert("cart", world.now, severity="critical"))
    world.last_for(30)
    assert {i.state for i in world.latest.values()} == {"resolved", "open"}


def test_critical_and_high_alerts_add_up_whatever_becomes_of_their_severity():
    world = broken()

    def adds_up() -> float:
        of = {name: gauge(world, f"noise_urgent_{name}") for name in (
            "anomalies_total", "again_total", "joined_total", "waiting", "storyline_total", "expired_total",
        )}  # fmt: skip
        total = of["anomalies_total"] + of["again_total"]
        assert total == of["joined_total"] + of["waiting"] + of["storyline_total"] + of["expired_total"], of
        return total

    for service in ("cart", "mta"):  # one joins, one waits
        world.tell(alert(service, T, severity="medium", alert_id=service))
        world.last_for(20, CART)
    assert adds_up() == 0
    for severity, total in (("high", 2), ("low", 2), ("high", 2)):
        for service in ("cart", "mta"):
            world.tell(alert(service, T, severity=severity, alert_id=service))
        world.last_for(20, CART)
        assert adds_up() == total
    world.last_for(QUIET)
    for service in ("cart", "mta"):
        world.tell(alert(service, world.now, "resolved", severity="low", alert_id=service, starts_at=rfc3339(T)))
    world.last_for(900)
    assert adds_up() == 2
    assert gauge(world, "noise_urgent_waiting") == 0


def test_secrets_in_an_alert_are_taken_out_and_its_texts_are_bounded():
    world = quiet()
    labels = {f"l{k:02d}": "x" * 1000 for k in range(60)} | {"a": "password='hunter 2'"}
    world.tell(alert("mta", T, summary="mail to ann@example.com " * 100, labels=labels, severity="low"))
    (found,) = world.anomalies
    assert "ann@" not in found.statement
    assert len(found.statement) <= external.LONGEST_TEXT
    assert "hunter" not in found.attributes["label.a"]
    assert len(found.attributes) <= external.MOST_LABELS + 4
    assert max(map(len, found.attributes.values())) <= external.LONGEST_LABEL


# ---- as a member ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("service", "joins"), [("cart", True), ("web", True), ("pay", True), ("mta", False)])
def test_it_joins_an_open_incident_within_two_calls_of_its_service(service, joins):
    world = broken()
    world.tell(alert(service, world.now, severity="medium"))
    world.last_for(90, CART)
    members = {m.anomaly_id for m in world.only.members}
    assert ({world.anomalies[0].anomaly_id} <= members) == joins
    assert world.only.counts.alerts == int(joins)
    assert gauge(world, "waiting_alerts") == int(not joins)


def test_it_joins_the_nearer_of_two_incidents():
    world = quiet()
    both = {**CART, "spam": {"own": 8.0, "lost": 7.0, "loss": 7.0}}
    world.last_for(CONFIRM, both)
    world.tell(alert("mta", world.now, severity="medium"))
    world.last_for(90, both)
    found = {i.services[0]: i.counts.alerts for i in world.latest.values()}
    assert found == {"cart": 0, "spam": 1}


@pytest.mark.parametrize(
    ("service", "before", "joins"),
    [("web", WAIT / SECOND - 90, True), ("web", WAIT / SECOND + 60, False), ("cart", WAIT / SECOND + 60, True)],
)
def test_an_incident_that_opens_within_minutes_takes_it_along_and_one_of_its_service_always(service, before, joins):
    world = quiet()
    world.tell(alert(service, world.now, severity="high"))
    world.last_for(before)
    assert world.said == []
    world.last_for(CONFIRM + 60, CART)
    assert world.only.counts.alerts == int(joins)
    symptom = world.only.first_symptom
    assert symptom is not None
    assert (symptom.signal == "Slow") == (joins and before < WAIT / SECOND)


@pytest.mark.parametrize("service", ["cart", "web"])
def test_what_fires_again_is_one_member_also_where_it_is_the_alert_of_a_neighbour(service):
    world = broken()
    for _ in range(3):
        began = world.now
        world.tell(alert(service, began, severity="medium", alert_id="f"))
        world.last_for(20, CART)
        world.tell(alert(service, world.now, "resolved", severity="medium", alert_id="f", starts_at=rfc3339(began)))
        world.last_for(20, CART)
    world.last_for(60, CART)
    assert (world.only.counts.anomalies, world.only.counts.suppressed) == (1, 2)


def test_a_member_that_ends_is_closed_among_the_members():
    world = broken()
    world.tell(alert("cart", world.now, severity="high"))
    world.last_for(30, CART)
    world.tell(alert("cart", world.now, "resolved", severity="high"))
    world.last_for(300, CART)
    assert [m.state for m in world.only.members] == ["closed"]


@pytest.mark.parametrize(
    ("severity", "expected"), [("critical", "critical"), ("high", "high"), ("medium", "medium"), ("low", "medium")]
)
def test_an_incident_is_at_least_as_severe_as_a_grave_alert_of_its(severity, expected):
    world = quiet()
    world.last_for(60, {"cart": {"resource": 8.0}})
    before = world.only.severity
    world.tell(alert("cart", world.now, severity=severity))
    world.last_for(20, {"cart": {"resource": 8.0}})
    rank = ["info", "low", "medium", "high", "critical"]
    want = expected if severity in ("critical", "high") else before
    assert world.only.severity == max(before, want, key=rank.index)


def test_members_beyond_the_limit_are_counted(monkeypatch):
    for module in ("place", "members"):
        monkeypatch.setattr(f"aiops.incidents.{module}.MAX_MEMBERS", 5)
    world = broken()
    for k in range(9):
        world.tell(alert("cart", world.now, severity="medium", name=f"a{k}"))
    world.last_for(90, CART)
    assert (len(world.only.members), world.only.members_truncated, world.only.counts.anomalies) == (5, 4, 9)


# ---- alone ------------------------------------------------------------------------------------------------------------
def test_a_critical_alert_without_an_incident_opens_one_and_says_that_it_is_reported_from_outside():
    world = quiet()
    onset = world.now - 60 * SECOND
    world.tell(alert("spam", onset))
    world.last_for(30)
    found = world.only
    assert (found.state, found.severity, found.services, found.onset_at) == (
        "open",
        "critical",
        ("spam",),
        rfc3339(onset),
    )
    (cause,) = found.causes
    assert (cause.service, cause.kind) == ("spam", "external")
    assert [(e.type, e.ref) for e in cause.evidence] == [("alert", world.anomalies[0].anomaly_id)]
    assert any("from outside" in caveat for caveat in cause.caveats)
    assert found.no_confident_cause
    assert "am reports Slow" in found.title
    assert found.models == {"external": "1"}


@pytest.mark.parametrize("severity", ["high", "medium", "low", "info"])
def test_only_a_critical_one_does(severity):
    world = quiet()
    world.tell(alert("spam", world.now, severity=severity))
    assert world.last_for(120) == []


def test_it_stays_open_while_the_alert_fires_however_long_and_ends_with_it():
    world = quiet()
    world.tell(alert("spam", world.now))
    world.last_for(P.longest / SECOND + 300)
    before = world.only
    world.tell(alert("spam", world.now, "resolved"))
    world.last_for(20)
    assert (before.state, world.only.state) == ("open", "resolved")


def test_critical_alerts_of_neighbours_are_one_incident_and_those_of_strangers_another():
    world = quiet()
    for service in ("web", "pay", "cart", "mta"):
        world.tell(alert(service, world.now))
    world.last_for(30)
    assert sorted(i.counts.alerts for i in world.latest.values()) == [1, 3]


def test_evidence_that_comes_later_joins_it_and_becomes_its_cause():
    world = quiet()
    world.tell(alert("cart", world.now))
    world.last_for(30)
    assert world.only.causes[0].kind == "external"
    world.last_for(60, {"db": {"resource": 8.0}})
    assert world.only.services == ("cart", "db")
    assert (world.only.causes[0].service, world.only.causes[0].kind) == ("db", "resource")


def test_a_late_alert_of_what_is_over_opens_nothing_unless_it_goes_on():
    world = broken()
    onset = world.now
    world.last_for(QUIET)
    assert world.only.state == "resolved"
    world.tell(alert("cart", onset))
    world.last_for(WAIT / SECOND - 30)
    assert len(world.latest) == 1
    world.last_for(60)
    assert len(world.latest) == 2


def test_a_service_that_sends_no_telemetry_can_still_be_reported():
    world = quiet()
    world.tell(alert("mainframe", world.now))
    world.last_for(30)
    assert world.only.services == ("mainframe",)


def test_alerts_open_a_bounded_number_of_incidents_and_the_others_wait():
    world = quiet()
    for k in range(MOST_OPENED + 7):
        world.tell(alert(f"host-{k}", world.now))
    world.last_for(30)
    assert len(world.latest) == MOST_OPENED
    assert gauge(world, "waiting_alerts") == 7
    assert gauge(world, "services") <= len(SERVICES) + MOST_OPENED
    (notice,) = [n for n in world.notices if n.kind == "overload"]
    assert "7 critical alerts wait" in notice.text
    for k in range(MOST_OPENED + 7):
        world.tell(alert(f"host-{k}", world.now, "resolved"))
    world.last_for(30)
    assert [n.until is None for n in world.notices if n.kind == "overload"] == [True, False]


def test_more_alerts_than_are_kept_push_out_what_is_over_and_then_the_least_severe(monkeypatch):
    monkeypatch.setattr(external, "MAX_ALERTS", 64)
    world = quiet()
    for k in range(8):
        world.tell(alert("mta", world.now, name=f"grave-{k}", severity="high"))
    for k in range(200):
        world.tell(alert("mta", world.now, name=f"a{k}", severity="low"))
    assert gauge(world, "alerts") <= 64
    assert gauge(world, "evicted_alerts_total") >= 200 + 8 - 64
    world.last_for(CONFIRM, {"mta": {"own": 8.0, "lost": 7.0, "loss": 7.0}})
    assert sum(m.signal.startswith("grave") for m in world.only.members) == 8


# ---- which service ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("more", "certain"),
    [
        ({"labels": {"app": "cart"}}, True),
        ({"labels": {"job": "cart", "deployment": "web"}}, False),
        ({"summary": "cart is slow"}, False),  # a word of English, too
        ({"labels": {"owner": "cart"}}, False),
    ],
)
def test_an_alert_that_names_no_service_joins_only_where_it_can_mean_one_alone(more, certain):
    world = broken()
    world.tell(alert(None, world.now, severity="high", **{"summary": "something", **more}))
    world.last_for(90, CART)
    assert world.only.counts.alerts == int(certain)
    assert gauge(world, "alerts_without_service_total") == 1
    assert world.anomalies[0].service == external.NOWHERE


def test_a_name_that_is_no_word_is_found_in_its_text():
    services = [*SERVICES, "mail-relay"]
    world = World()
    world.last_for(120, services=services)
    evident = {"mail-relay": {"own": 8.0, "lost": 7.0, "loss": 7.0}}
    world.last_for(CONFIRM, evident, services=services)
    world.tell(alert(None, world.now, severity="high", summary="queue of mail-relay grows"))
    world.last_for(90, evident, services=services)
    assert world.only.counts.alerts == 1


@pytest.mark.parametrize(("others", "joins"), [((), True), (("old/mail",), False)])
def test_a_service_may_be_named_without_its_namespace_where_only_one_can_be_meant(others, joins):
    services = [*SERVICES, "shop/mail", *others]
    evident = {"shop/mail": {"own": 8.0, "lost": 7.0, "loss": 7.0}}
    world = World()
    world.last_for(120, services=services)
    world.last_for(CONFIRM, evident, services=services)
    world.tell(alert("mail", world.now, severity="high"))
    world.last_for(90, evident, services=services)
    assert world.only.counts.alerts == int(joins)


def test_alerts_belong_to_their_environment():
    world = broken()
    world.tell(alert("cart", world.now, severity="high", environment="test"))
    world.last_for(60, CART)
    assert world.only.counts.alerts == 0
    assert [a.environment for a in world.anomalies] == ["test"]


def test_what_is_told_of_ever_new_environments_is_not_kept_without_end(monkeypatch):
    monkeypatch.setattr("aiops.incidents.stage.MAX_ENVIRONMENTS", 10)
    world = quiet()
    for k in range(30):
        world.tell(alert("cart", world.now, environment=f"e{k}"))
    assert gauge(world, "environments") == 10
    assert gauge(world, "unheard_total") == 21


# ---- the same whatever happens ----------------------------------------------------------------------------------------
def test_an_alert_told_twice_by_its_source_after_a_crash_counts_once():
    world = quiet()
    for _ in range(3):
        world.respond.tell("alerts/0", 0, "alerts", alert("spam", T), world.now + WINDOW)
    world.last_for(20)
    assert len(world.anomalies) == 1
    assert gauge(world, "alert_repeats_total") == 0


def test_of_alerts_that_arrive_at_once_bytes_decide_not_who_came_first():
    said = []
    for turn in (1, -1):
        world = World(Respond([DETECT]))
        world.last_for(120)
        for k, name in list(enumerate(("a", "b", "c")))[::turn]:
            world.respond.tell(f"alerts/{k}", 0, "alerts", alert("spam", world.now, name=name), world.now + 15 * SECOND)
        world.last_for(60)
        said.append((world.bytes(), [a.anomaly_id for a in world.anomalies]))
    assert said[0] == said[1]
    assert unix_ns(world.only.opened_at) > T
