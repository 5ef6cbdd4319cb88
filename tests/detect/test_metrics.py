"""The metric path as a whole: what opens an anomaly and what it says, by policy; restarts change nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aiops.detect.full_series import SPEAKS
from aiops.detect.rules import DetectConfig, EntityRule, MetricRule
from aiops.findings import METRIC, RESOURCE
from aiops.records import encode
from tests.detect.scraped import Point, Scraped

BEFORE, AFTER = 200, 30  # windows; the bank has learned enough of what comes every window


def story(rng: np.random.Generator) -> list[list[Point]]:
    """Three pods; from window BEFORE on the latency of two, and a metric that nobody minds, move."""
    out = []
    for k in range(BEFORE + AFTER):
        off = k >= BEFORE
        points = []
        for pod in ("a", "b", "c"):
            slow = 3.0 if off and pod != "c" else 1.0
            points += [
                Point(pod, "request.latency", slow * (0.2 + 0.01 * float(rng.normal())), "s"),
                Point(pod, "queue.length", (80.0 if off else 10.0) + float(rng.integers(3)), "{task}"),
                Point(pod, "cpu.utilization", (0.05 if off else 0.5) + 0.01 * float(rng.normal())),
            ]
        out.append(points)
    return out


@pytest.fixture(scope="module")
def telemetry() -> list[list[Point]]:
    return story(np.random.default_rng(7))


def run(telemetry: list[list[Point]], config: DetectConfig | None = None, restart_every: int = 0) -> Scraped:
    scraped = Scraped(config)
    for k, points in enumerate(telemetry):
        if restart_every and k % restart_every == restart_every - 1:
            scraped.restart()
        scraped.take(points)
    return scraped


@pytest.fixture(scope="module")
def scraped(telemetry):
    return run(telemetry)


def test_what_opens_says_all_that_a_person_asks(scraped):
    (opened, *_) = scraped.opened(signal="request.latency", instance="a")
    assert opened.kind == "metric"
    assert opened.direction == "up"
    assert opened.detector == "bank"
    assert opened.tier == "full"
    assert opened.lower <= opened.expected <= opened.upper < opened.observed
    assert opened.expected == pytest.approx(0.2, rel=0.2)
    assert opened.one_in == pytest.approx(10.0**opened.score, rel=0.05)
    assert SPEAKS <= opened.learned <= 1.0
    for part in ("request.latency of a is 0.6", "usually 0.19", "about once in", "since 22:", opened.term, "learning"):
        assert part in opened.statement, part


def test_a_fall_of_what_may_fall_is_held_back_and_counted(scraped):
    assert not list(scraped.opened(signal="cpu.utilization"))
    assert scraped.detect.gauges()["detect_held_back_direction_total"] >= 3


def test_a_rule_decides_otherwise(telemetry):
    rules = (
        MetricRule(metric="cpu.*", direction="both"), MetricRule(metric="queue.*", watch="off"),
        MetricRule(metric="request.*", least=5.0),
    )  # fmt: skip
    other = run(telemetry, DetectConfig(metrics=rules))
    assert {a.signal for a in other.opened()} == {"cpu.utilization"}
    gauges = other.detect.gauges()
    assert gauges["detect_unwatched_series"] == 3
    assert gauges["detect_held_back_effect_total"] >= 2


def test_without_room_for_the_bank_levels_judge_alone(telemetry):
    light = run(telemetry, DetectConfig(full_series=0))
    assert {a.detector for a in light.opened()} <= {"levels", "siblings"}
    (opened, *_) = light.opened(signal="request.latency", instance="a", detector="levels")
    assert opened.tier == "light"
    assert light.detect.gauges()["detect_full_signals"] == 0
    assert light.detect.gauges()["detect_refused_full_signals_total"] > 0


def test_tiers_and_learning_are_visible(telemetry, scraped):
    gauges = scraped.detect.gauges()
    assert gauges["detect_signals"] == 9
    assert gauges["detect_full_signals"] >= 6
    young = Scraped()
    for points in telemetry[:5]:
        young.take(points)
    assert young.detect.gauges()["detect_learning_signals"] == 9
    assert young.detect.gauges()["detect_full_learning_signals"] == young.detect.gauges()["detect_full_signals"]
    assert gauges["detect_full_learning_signals"] == 0


def said(scraped: Scraped) -> Any:
    return [encode(a) for a in scraped.anomalies], [f.terms.tobytes() for f in scraped.findings]


def test_restarts_change_no_byte(telemetry, scraped):
    assert said(run(telemetry, restart_every=7)) == said(scraped)


def test_a_restart_under_another_policy_keeps_what_both_watch(telemetry):
    rules = (MetricRule(metric="queue.*", watch="off"), MetricRule(metric="cpu.*", watch="light"))
    scraped = Scraped(DetectConfig(metrics=rules))
    for points in telemetry[:100]:
        scraped.take(points)
    learned = scraped.detect.metrics.signals.levels.learned().tolist()
    assert learned == [learned[0]] * 6
    scraped.restart(DetectConfig(metrics=(MetricRule(metric="cpu.*", watch="off"),)))
    signals = scraped.detect.metrics.signals
    assert [i.name for i in signals._info] == ["request.latency"] * 3 + ["queue.length"] * 3
    assert signals.levels.learned().tolist() == [learned[0]] * 3 + [0.0] * 3
    for points in telemetry[100:]:
        scraped.take(points)
    assert {a.signal for a in scraped.opened()} >= {"request.latency"}
    scraped.restart()


def test_an_odd_pod_is_told_from_its_siblings_by_the_history_of_its_differing(rng):
    scraped = Scraped()
    usual = {"a": 0.0, "b": 5.0, "c": -5.0, "d": 20.0, "e": 0.0}  # d has always been busier
    for k in range(160):
        load = 100.0 + 50.0 * np.sin(k / 15)  # all of them follow the load
        points = []
        for pod, more in usual.items():
            odd = 120.0 if k >= 140 and pod == "b" else 0.0
            value = load + more + odd + 2.0 * float(rng.normal())
            points.append(Point(pod, "app.queue.requests", value, "{request}"))
        scraped.take(points)
    found = list(scraped.opened(detector="siblings"))
    assert {a.instance for a in found} == {"b"}
    assert "its 4 siblings are at" in found[0].statement
    assert scraped.detect.gauges()["detect_compared_signals"] == 5


def test_three_pods_are_too_few_to_say_who_is_odd(rng):
    scraped = Scraped()
    for k in range(160):
        odd = 90.0 if k >= 140 else 0.0
        scraped.take(
            [Point(p, "requests", 100 + float(rng.normal()) + (odd if p == "a" else 0), "{request}") for p in "abc"]
        )
    assert not list(scraped.opened(detector="siblings"))


def test_a_metric_that_ceases_while_its_instance_lives_is_missed_and_a_route_is_not(rng):
    scraped = Scraped()
    for k in range(120):
        points = [Point(p, "cpu", 0.3 + 0.01 * float(rng.normal())) for p in "ab"]
        if not 60 <= k < 75:
            points += [Point(p, "heap", 100.0 + float(rng.normal()), "By") for p in "ab"]
        routes = ("/x", "/y") if k < 50 else ("/x",)
        points += [Point("a", "hits", 5.0, "{hit}", attributes=(("route", r),)) for r in routes]
        scraped.take(points)
    said = [a for a in scraped.anomalies if a.detector == "missing"]
    assert [(a.state, a.signal) for a in said if a.state != "update"] == [
        ("open", "points of heap"), ("closed", "points of heap"),
    ]  # fmt: skip
    assert said[0].kind == "heartbeat"
    assert said[0].statement == (
        "heap of a, b has ceased, though other metrics of the same instances go on; it used to come every 10 s"
    )


def test_a_metric_that_comes_now_and_then_is_not_missed(rng):
    """33 minutes in all; percentiles of a service that few call, and jobs that start for a while."""
    scraped = Scraped()
    for k in range(200):
        points = [Point("a", "cpu", 0.3 + 0.01 * float(rng.normal()))]
        if k % 12 in (0, 1, 2, 3, 4) or rng.random() < 0.1:
            points.append(Point("a", "latency.p99", 1.0, "s") if k < 120 else Point("a", "rare", 1.0))
            points.append(Point("a", "jobs", 1.0, "{job}"))
        scraped.take(points)
    assert not [a for a in scraped.anomalies if a.detector == "missing"]


def test_what_stops_with_its_instance_is_not_missed():
    scraped = Scraped()
    for k in range(120):
        scraped.take([Point(p, "cpu", 0.3 + 0.01 * (k % 7)) for p in ("a", "b") if p == "a" or k < 60])
    assert not [a for a in scraped.anomalies if a.detector == "missing"]


def test_a_new_pod_is_lent_the_spread_of_its_siblings(rng):
    scraped = Scraped(DetectConfig(full_series=0))
    for k in range(300):
        pods = ("a", "b", "c") if k < 250 else ("a", "b", "c", "new")
        scraped.take([Point(p, "queue", 50.0 * float(np.exp(0.8 * rng.normal())), "{task}") for p in pods])
    signals = scraped.detect.metrics.signals
    assert signals.levels.head["lent_spread"][:4].tolist()[:3] == [0.0, 0.0, 0.0]
    assert signals.levels.head["lent_spread"][3] > 0.5
    assert not list(scraped.opened(instance="new"))


def test_entities_are_judged_together_in_place_of_their_series(rng):
    rule = EntityRule(name="device", attribute="device.id", metric="net.bytes")
    scraped = Scraped(DetectConfig(entities=(rule,)))
    sent = {(device, port): 0.0 for device in ("d1", "d2") for port in ("1", "2", "3")}
    for k in range(150):
        points = []
        for (device, port), so_far in sent.items():
            rate = 1000.0 * (1.0 + 0.1 * float(rng.normal()))
            if k >= 120 and device == "d2":
                rate *= 5.0
            sent[device, port] = so_far + 10.0 * rate
            attributes = (("device.id", device), ("port", port))
            points.append(Point("a", "net.bytes", sent[device, port], "By", attributes=attributes, total=True))
        if k % 40 == 39:
            scraped.restart()
        scraped.take(points)
    found = list(scraped.opened())
    assert {(a.detector, a.attributes["device.id"]) for a in found} == {("entities", "d2")}
    assert found[0].expected == pytest.approx(3000.0, rel=0.1)
    assert found[0].attributes["entity"] == "device"
    gauges = scraped.detect.gauges()
    assert gauges["detect_entities"] == 2
    assert gauges["detect_held_back_entity_total"] >= 3


def test_entities_for_which_there_is_no_room_are_judged_by_their_series():
    rule = EntityRule(name="user", attribute="user", most=2)
    scraped = Scraped(DetectConfig(entities=(rule,)))
    for _ in range(3):
        scraped.take([Point("a", "logins", 1.0, attributes=(("user", f"u{n}"),)) for n in range(5)])
    gauges = scraped.detect.gauges()
    assert gauges["detect_entities"] == 2
    assert gauges["detect_ignored_entities_total"] == 3


@pytest.mark.parametrize(("stopped", "told"), [(0.2, True), (0.012, False)])
def test_a_collector_that_stops_its_process_is_short_of_a_resource_where_anybody_could_feel_it(rng, stopped, told):
    scraped, total = Scraped(), 0.0
    for k in range(150):
        total += 10.0 * (stopped if k >= 120 else 0.0003 * float(rng.random()))
        scraped.take([Point("a", "jvm.gc.duration", total, "s", total=True)])
    assert (float(scraped.findings[-1].terms[0, RESOURCE]) >= 5.0) == told
    assert float(scraped.findings[-1].terms[0, METRIC]) >= 3.0, "it is rare for the series either way"


def test_memory_that_will_soon_be_full_is_evidence_of_a_resource_before_its_level_is_strange(rng):
    scraped = Scraped()
    for k in range(26):  # a process that has just begun
        memory = 0.42 + 0.01 * k + 0.01 * float(rng.random())
        scraped.take([Point("a", "container.memory.limit_utilization", memory)])
    assert float(scraped.findings[-1].terms[0, RESOURCE]) >= 5.0
    (opened,) = scraped.opened(detector="exhaustion")
    assert opened.instance == "a"
    assert "has grown steadily for 4 minutes" in opened.statement
    snapshot = scraped.detect.snapshot()
    scraped.restart()
    assert scraped.detect.snapshot() == snapshot
