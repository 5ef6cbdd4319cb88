"""Rules that people write in CEL: what matches with the same group joins one incident, though no call relates it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from aiops.incidents import rule_ties
from aiops.incidents.cel import Condition, ConditionError, prepared
from aiops.incidents.correlation import FIELDS, CorrelationConfig, CorrelationRule, problems, record_of
from aiops.incidents.stage import Respond
from aiops.records import Anomaly
from aiops.signals import SECOND
from tests.incidents.world import DETECT, T, World, alert, anomaly

BATCH = CorrelationRule("same batch", 'labels.batch != "" && severity in ["critical", "high"]', ("labels.batch",))
DISKS = CorrelationRule(
    "one volume",
    'kind == "metric" && signal.startsWith("disk")',
    ("attributes.volume",),
    title="Volume {attributes.volume}",
)
FAR = {"cart": {"errors": 6.0}, "mta": {"errors": 6.0}}  # no call relates them


def on_volume(service: str, onset: int, volume: str = "vol-1", signal: str = "disk.queue") -> Anomaly:
    return msgspec.structs.replace(anomaly(service, onset, signal=signal), attributes={"volume": volume})


def ruled(*rules: CorrelationRule) -> World:
    return World(Respond([DETECT], correlation=CorrelationConfig(rules or (DISKS,))))


def shown(world: World) -> list[tuple[str, ...]]:
    return sorted(i.services for i in world.latest.values())


# ---- conditions --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "fulfilled"),
    [
        ('service == "cart"', True),
        ('service == "pay"', False),
        ("score >= 5.0", True),
        ('kind in ["metric", "log"] && direction != "down"', True),
        ('has(labels.team) && labels.team == "shop"', True),
        ("has(labels.nothing)", False),
        ('labels.exists(k, k.startsWith("te"))', True),
        ('signal.matches("cpu|disk.*")', True),
        ('environment == "prod" ? tenant == "default" : false', True),
    ],
)
def test_a_condition_is_about_the_fields_of_a_record(text: str, fulfilled: bool):
    record = msgspec.structs.replace(anomaly("cart", T), attributes={"label.team": "shop"})
    assert Condition(text, FIELDS).matches(prepared(record_of(record))) is fulfilled


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('service == "cart" &&', "line 1, column"),
        ('service = "cart"', "line 1, column 9"),
        ("servce == 'cart'", "line 1, column 1: there is no field 'servce'"),
        ('\n  service.lower() == "x"', "line 2, column 11: there is no function 'lower'"),
        ("service", "neither true nor false"),
        ("score > 'high'", "no such overload|found no matching"),
        ("labels.all(x, labels.all(y, x == y))", "a loop over a list inside of another"),
        ("true " + "&& true" * 400, "more than 2000"),
    ],
)
def test_a_condition_that_cannot_be_is_refused_with_its_place(text: str, said: str):
    with pytest.raises(ConditionError, match=said):
        Condition(text, FIELDS)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([CorrelationRule("a", "true", ())], r"correlation.rules\[0\] \(a\).group_by: at least one"),
        ([CorrelationRule("a", "true", ("pod",))], "'pod' is neither a text field"),
        ([CorrelationRule("a", "true", ("labels.",))], "'labels.' is neither"),
        ([CorrelationRule("a", "true"), CorrelationRule("a", "true")], "'a' is there twice"),
        ([CorrelationRule("a", "true", window=0)], r"\(a\).window: 0s is too short"),
        ([CorrelationRule("ok", "true"), CorrelationRule("b", "tru")], r"rules\[1\] \(b\).when: line 1, column 1"),
        ([CorrelationRule(str(k), "true") for k in range(51)], "51, more than 50"),
    ],
)
def test_what_is_wrong_with_a_configuration_names_its_rule(rules: list[CorrelationRule], said: str):
    import re

    assert re.search(said, "; ".join(problems(CorrelationConfig(tuple(rules)))))


def test_a_right_configuration_has_no_problems():
    assert problems(CorrelationConfig((BATCH, DISKS))) == []


# ---- what they do --------------------------------------------------------------------------------------------------------------
def faulty(world: World, *volumes: str) -> World:
    world.window({}, anomalies=[on_volume("cart", T, volumes[0]), on_volume("mta", T, volumes[-1])])
    world.last_for(60, FAR)
    return world


def test_without_a_rule_they_are_two_incidents():
    assert shown(faulty(World(), "vol-1")) == [("cart",), ("mta",)]


def test_what_matches_with_the_same_group_is_one_incident_and_says_by_which_rule():
    world = faulty(ruled(), "vol-1")
    assert shown(world) == [("cart", "mta")]
    assert [r.statement for r in world.only.correlation.reasons if r.type == "rule"] == [
        "rule 'one volume': the same attributes.volume vol-1"
    ]
    assert world.only.title.startswith("Volume vol-1: ")


def test_another_group_is_another_incident():
    assert shown(faulty(ruled(), "vol-1", "vol-2")) == [("cart",), ("mta",)]


def test_what_has_no_group_joins_nothing():
    assert shown(faulty(ruled(), "")) == [("cart",), ("mta",)]


def test_what_does_not_match_joins_nothing():
    other = CorrelationRule("never", 'signal == "other"', ("attributes.volume",))
    assert shown(faulty(ruled(other), "vol-1")) == [("cart",), ("mta",)]


def test_the_second_may_come_within_the_window_and_not_later():
    for seconds, expected in ((200, [("cart", "mta")]), (400, [("cart",), ("mta",)])):
        world = ruled()
        world.window({}, anomalies=[on_volume("cart", T)])
        world.last_for(seconds, {})
        world.window({}, anomalies=[on_volume("mta", world.now)])
        world.last_for(60, FAR)
        assert shown(world) == expected


def test_the_record_itself_joins_where_its_service_is_calm():
    world = ruled()
    matched = on_volume("mta", T)
    world.window({}, anomalies=[on_volume("cart", T), matched, anomaly("mta", T, signal="other")])
    world.last_for(60, {"cart": {"errors": 6.0}})
    assert world.only.services == ("cart",)
    assert {(m.service, m.signal) for m in world.only.members} == {("cart", "disk.queue"), ("mta", "disk.queue")}
    assert any(r.type == "rule" for r in world.only.correlation.reasons)


def test_alerts_are_looked_at_like_anomalies():
    world = ruled(BATCH)
    for service in ("cart", "mta"):
        world.tell(alert(service, world.now, name=f"Slow {service}", severity="high", labels={"batch": "b7"}))
    world.last_for(60, FAR)
    assert shown(world) == [("cart", "mta")]


def test_a_rule_that_fails_on_a_record_is_counted_and_told_once_and_goes_on():
    fails = CorrelationRule("team", 'labels.team == "shop"', ("labels.team",))
    world = ruled(fails, DISKS)
    for _ in range(3):
        world.window({}, anomalies=[on_volume("pay", world.now, signal=f"disk {world.now}")])
    world = faulty(world, "vol-1")
    assert shown(world) == [("cart", "mta")]
    told = [n.text for n in world.notices if "rule" in n.text]
    assert len(told) == 1
    assert "rule 'team' cannot be applied to a record" in told[0]
    assert world.respond.gauges()["respond_rule_failed_total"] == 5


def test_a_storm_is_not_looked_at_beyond_a_bound(monkeypatch):
    monkeypatch.setattr(rule_ties, "MOST_LOOKED_AT", 5)
    world = ruled()
    world.window({}, anomalies=[on_volume("cart", T, signal=f"disk {k}") for k in range(9)])
    gauges = world.respond.gauges()
    assert (gauges["respond_rule_matched_total"], gauges["respond_rule_skipped_total"]) == (5, 4)


def test_groups_are_bounded_and_the_oldest_go(monkeypatch):
    monkeypatch.setattr(rule_ties, "MOST_GROUPS", 2)
    world = ruled()
    for k in range(4):
        world.window({}, anomalies=[on_volume("cart", T, volume=f"v{k}")])
    gauges = world.respond.gauges()
    assert (gauges["respond_rule_groups"], gauges["respond_rule_evicted_total"]) == (2, 2)


def test_a_restart_at_any_window_changes_nothing():
    config: dict[str, Any] = {"correlation": CorrelationConfig((DISKS, BATCH))}
    plain, restarted = World(Respond([DETECT], **config)), World(Respond([DETECT], **config))
    for k in range(40):
        found = [on_volume(("cart", "mta", "pay")[k % 3], plain.now, signal=f"disk {k}")] if k < 6 else []
        for world in (plain, restarted):
            world.window(FAR if k > 3 else {}, anomalies=found)
        state = restarted.respond.snapshot()
        restarted.respond = Respond([DETECT], **config)
        restarted.respond.restore(state)
    assert plain.bytes() == restarted.bytes()
    assert any(i.services == ("cart", "mta") for i in plain.said)


def test_a_rule_that_was_taken_out_of_the_configuration_is_forgotten_after_a_restart():
    world = faulty(ruled(), "vol-1")
    state = world.respond.snapshot()
    world.respond = Respond([DETECT], correlation=CorrelationConfig((BATCH,)))
    world.respond.restore(state)
    world.last_for(400, {})
    assert world.respond.gauges()["respond_rule_groups"] == 0
    assert world.now > T + 400 * SECOND
