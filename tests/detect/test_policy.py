"""Rules for metrics and what kinds of metrics are judged by: what opens an anomaly, and what is held back."""

from __future__ import annotations

from typing import Any

import pytest

from aiops.columns import GAUGE, HISTOGRAM, SUM
from aiops.detect.anomalies import OPEN
from aiops.detect.gates import REASONS, held_back
from aiops.detect.metric_kinds import kind_of
from aiops.detect.policy import RARER, MetricPolicy
from aiops.detect.rules import DetectConfig, MetricRule, problems
from aiops.detect.values import LEVEL, MEAN, P95, RATE

UP, DOWN = 5.0, -5.0


def watched(
    name: str, unit: str = "", instrument: int = GAUGE, facet: int = LEVEL, *rules: MetricRule, **of: str
) -> Any:
    return MetricPolicy(rules).watched(
        of.get("environment", "prod"), of.get("service", "web"), name, unit, instrument, facet
    )


@pytest.mark.parametrize(
    ("name", "unit", "instrument", "facet", "kind"),
    [
        ("http.server.request.duration", "s", HISTOGRAM, RATE, "count"),
        ("http.server.request.duration", "s", HISTOGRAM, MEAN, "latency"),
        ("http.server.request.duration", "s", HISTOGRAM, P95, "latency"),
        ("http.server.request.body.size", "By", HISTOGRAM, P95, "size"),
        ("rpc.server.duration.p90", "s", GAUGE, LEVEL, "latency"),
        ("http_request_duration_seconds", "", GAUGE, LEVEL, "latency"),
        ("process_start_time_seconds", "", GAUGE, LEVEL, "other"),
        ("process.uptime", "s", GAUGE, LEVEL, "other"),
        ("http_requests_total", "", SUM, RATE, "count"),
        ("node_cpu_seconds_total", "", SUM, RATE, "other"),
        ("jvm.gc.duration", "s", SUM, RATE, "other"),
        ("node_network_receive_bytes_total", "", SUM, RATE, "size"),
        ("container.cpu.limit_utilization", "1", GAUGE, LEVEL, "utilisation"),
        ("disk_used_percent", "%", GAUGE, LEVEL, "ratio"),
        ("cpu", "%", GAUGE, LEVEL, "utilisation"),
        ("rpc.server.success.ratio", "1", GAUGE, LEVEL, "ratio"),
        ("container.memory.usage", "By", GAUGE, LEVEL, "size"),
        ("container.cpu.usage", "{cpu}", GAUGE, LEVEL, "other"),
        ("jvm.thread.count", "{thread}", GAUGE, LEVEL, "count"),
        ("rpc.server.request.rate", "1/s", GAUGE, LEVEL, "count"),
        ("temperature", "Cel", GAUGE, LEVEL, "other"),
    ],
)
def test_the_kind_of_a_metric_is_told_by_its_unit_and_its_name(name, unit, instrument, facet, kind):
    assert kind_of(name, unit, instrument, facet) == kind


def test_what_gets_better_opens_nothing():
    for name, unit, worse in (
        ("latency", "s", UP), ("cpu.utilization", "1", UP), ("error.ratio", "1", UP), ("success.ratio", "1", DOWN),
    ):  # fmt: skip
        of = watched(name, unit)
        high, low = (0.9, 0.1) if worse > 0 else (0.1, 0.9)
        assert held_back(of, worse, high, low) == ""
        assert held_back(of, -worse, low, high) == "direction"
    assert held_back(watched("queue.length", "{task}"), DOWN, 10.0, 90.0) == ""


def test_what_is_rare_and_small_opens_nothing():
    assert held_back(watched("latency", "s"), UP, 0.0109, 0.01) == "effect"
    assert held_back(watched("latency", "ms"), UP, 10.9, 10.0) == "effect"
    assert held_back(watched("latency", "s"), UP, 1.1, 1.0) == "share"
    assert held_back(watched("cpu.utilization", "1"), UP, 0.34, 0.3) == "effect"
    assert held_back(watched("cpu.utilization", "%"), UP, 34.0, 30.0) == "effect"
    assert held_back(watched("cpu.utilization", "%"), UP, 36.0, 30.0) == ""
    assert held_back(watched("memory", "By"), UP, 1.05e9, 1e9) == "share"


def test_so_few_events_that_chance_explains_them_open_nothing():
    errors = watched("errors", "{error}", SUM, RATE)
    assert held_back(errors, UP, 0.2, 0.0, 10.0) == "few"  # two in ten seconds
    assert held_back(errors, UP, 1.2, 0.0, 10.0) == ""
    assert held_back(errors, DOWN, 0.0, 0.5, 10.0) == "few"
    assert held_back(errors, DOWN, 0.0, 50.0, 10.0) == ""


def test_of_each_question_the_first_rule_that_matches_and_answers_decides():
    rules = (
        MetricRule(metric="http.*", service="web", bar=6.0),
        MetricRule(metric="http.server.*", direction="both", bar=3.0, least=0.5),
        MetricRule(kind="latency", watch="full", least_share=0.0),
        MetricRule(environment="test", watch="off"),
    )
    of = watched("http.server.request.duration", "s", HISTOGRAM, P95, *rules)
    assert of == ("latency", "both", 0.5, 0.0, 6.0, "full")
    assert watched("http.server.request.duration", "s", HISTOGRAM, P95, *rules, service="api").bar == 3.0
    assert watched("temperature", "Cel", GAUGE, LEVEL, *rules, environment="test").watch == "off"
    assert watched("xhttp.y", "", GAUGE, LEVEL, *rules) == ("other", "both", 0.0, 0.1, OPEN + RARER, None)
    assert watched("http.server.requests", "{request}", SUM, RATE).bar == OPEN


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (MetricRule(), "detect.metrics[0]: it decides nothing"),
        (MetricRule(least=-1.0), "detect.metrics[0].least: -1 is below 0"),
        (MetricRule(bar=1.0), "detect.metrics[0].bar: 1 is below 2"),
    ],
)
def test_a_rule_that_can_mean_nothing_is_an_error(rule, said):
    assert any(line.startswith(said) for line in problems(DetectConfig(metrics=(rule,))))


def test_every_reason_is_a_word_that_a_gauge_can_have():
    assert all(reason.isidentifier() for reason in REASONS)
