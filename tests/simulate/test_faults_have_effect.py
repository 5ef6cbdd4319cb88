"""Every kind of fault changes what it is about, as seen in the telemetry, and puts no cause into other services."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aiops.simulate import KINDS

BEFORE = (0.0, 600.0)
DURING = (600.0, 900.0)

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "cpu": ("catalog", {"strength": 0.65}),
    "memory_leak": ("search", {}),
    "edge_latency": ("pricing", {"strength": 0.1, "caller": "catalog"}),
    "code_error": ("checkout", {"strength": 0.8}),
    "dependency_down": ("orders-db", {}),
    "bad_deploy": ("pricing", {"strength": 0.7, "replicas": 1, "operation": "Quote"}),
    "lost_pod": ("catalog", {}),
    "silent_metric": ("cart", {}),
    "log_storm": ("inventory", {"strength": 40.0}),
    "gc_pause": ("recommendation", {"strength": 2.0}),
}


@pytest.fixture
def seen(request, with_fault):
    service, details = CASES[request.param]
    return with_fault(request.param, service, **details)


def case(kind):
    return pytest.mark.parametrize("seen", [kind], indirect=True, ids=[kind])


def share_failed(spans):
    return float(np.mean([span.failed for span in spans]))


def durations(spans):
    return [span.end - span.start for span in spans]


@case("cpu")
def test_a_hog_raises_utilisation_and_service_time_of_every_pod(seen):
    name = "container.cpu.limit_utilization"
    assert np.mean(seen.values("catalog", name, *DURING)) > np.mean(seen.values("catalog", name, *BEFORE)) + 0.35
    slower = np.median(durations(seen.served("catalog", *DURING))) / np.median(
        durations(seen.served("catalog", *BEFORE))
    )
    assert slower > 1.7
    assert abs(np.mean(seen.values("search", name, *DURING)) - np.mean(seen.values("search", name, *BEFORE))) < 0.12


@case("memory_leak")
def test_a_leak_fills_memory_until_the_process_is_killed_and_starts_anew(seen):
    name = "container.memory.limit_utilization"
    assert max(seen.values("search", name, *BEFORE)) < 0.65
    assert max(seen.values("search", name, *DURING)) > 0.9
    assert [line for line in seen.lines_of("search", *DURING) if "OutOfMemoryError" in line.body]
    starts = {p.start for p in seen.points if p.service == "search" and p.name == "http.server.request.duration"}
    assert len(starts) > 2, "counters of both pods began again"
    collecting = [line for line in seen.lines_of("search", *DURING) if "GC Pause Full" in line.body]
    assert len(collecting) > 5
    assert not [line for line in seen.lines_of("search", *BEFORE) if "GC Pause Full" in line.body]


@case("edge_latency")
def test_a_delay_lies_on_the_edge_and_neither_in_the_callee_nor_on_other_edges(seen):
    def gap(caller, when):
        pairs = seen.calls(caller, "pricing", *when)
        return float(np.median([(c.end - c.start) - (s.end - s.start) for c, s in pairs]))

    assert gap("catalog", DURING) - gap("catalog", BEFORE) > 0.15
    assert gap("search", DURING) < 2.0 * gap("search", BEFORE)
    own = np.median(durations(seen.served("pricing", *DURING))) / np.median(durations(seen.served("pricing", *BEFORE)))
    assert 0.7 < own < 1.4


@case("code_error")
def test_a_broken_path_throws_and_no_longer_calls(seen):
    def calls_per_visit(when):
        return len(seen.served("payment", *when)) / len(seen.served("checkout", *when))

    assert share_failed(seen.served("checkout", *BEFORE)) < 0.1
    assert share_failed(seen.served("checkout", *DURING)) > 0.6
    assert calls_per_visit(DURING) < 0.5 * calls_per_visit(BEFORE)
    thrown = [line for line in seen.lines_of("checkout", *DURING, worst=17) if "IllegalStateException" in line.body]
    assert thrown
    assert all(line.trace for line in thrown)
    assert not [line for line in seen.lines_of("checkout", *BEFORE) if "IllegalStateException" in line.body]


@case("dependency_down")
def test_a_database_that_is_down_fails_its_callers_and_idles(seen):
    def statements(when):
        return [s for s in seen.spans if s.kind == 3 and s.name == "SELECT user" and when[0] <= s.start < when[1]]

    assert share_failed(statements(BEFORE)) < 0.01
    assert share_failed(statements(DURING)) == 1.0
    assert share_failed(seen.served("account", *DURING)) > 0.95
    name = "container.cpu.limit_utilization"
    later = (DURING[0] + 120.0, DURING[1])
    assert np.mean(seen.values("orders-db", name, *later)) < 0.5 * np.mean(seen.values("orders-db", name, *BEFORE))
    assert share_failed(seen.served("catalog", *DURING)) < 0.01, "nobody below the gateway but its callers suffers"


def test_a_service_that_is_down_emits_no_spans(with_fault):
    seen = with_fault("dependency_down", "payment")
    assert seen.served("payment", *BEFORE)
    assert not seen.served("payment", *DURING)
    assert share_failed(seen.served("checkout", *DURING)) > 0.9


@case("bad_deploy")
def test_a_bad_canary_fails_on_the_new_version_only_and_is_rolled_back(seen):
    deploy, rollback = seen.simulation.changes()
    fault = seen.simulation.truth()["faults"][0]
    assert deploy["change_id"] == fault["change_id"]
    assert rollback["state"] == "rolled_back"
    quotes = [s for s in seen.served("pricing", 0.0, 1e9) if s.name == "pricing/Quote"]
    new = [s for s in quotes if s.version == deploy["version_to"]]
    old = [s for s in quotes if s.version == deploy["version_from"]]
    assert {s.pod for s in new} == {fault["pod"]}
    assert 0.55 < share_failed(new) < 0.85
    assert share_failed(old) < 0.01
    assert DURING[0] <= min(s.start for s in new) < DURING[0] + 30.0
    assert max(s.start for s in new) < DURING[1] + 10.0


def test_a_slow_release_is_slow_and_does_not_fail(with_fault):
    seen = with_fault("bad_deploy", "search", mode="slow", strength=5.0)
    later = (DURING[0] + 30.0, DURING[1])
    own = np.median(durations(seen.served("search", *later))) / np.median(durations(seen.served("search", *BEFORE)))
    assert own > 2.0
    assert share_failed(seen.served("search", *DURING)) < 0.05


@case("lost_pod")
def test_a_lost_pod_falls_silent_and_the_others_take_its_load(seen):
    fault = seen.simulation.truth()["faults"][0]

    def metrics_of_the_pod(when):
        return [p for p in seen.points if p.pod == fault["pod"] and when[0] <= p.time < when[1]]

    assert metrics_of_the_pod(BEFORE)
    assert not metrics_of_the_pod(DURING)
    assert not [s for s in seen.served("catalog", DURING[0] + 5.0, DURING[1]) if s.pod == fault["pod"]]
    per_pod_before = len(seen.served("catalog", *BEFORE)) / 600.0 / 3
    per_pod_during = len(seen.served("catalog", *DURING)) / 300.0 / 2
    assert per_pod_during > 1.2 * per_pod_before
    assert len({s.pod for s in seen.served("catalog", DURING[1], 1e9)}) == 3, "a new pod takes its place"


@case("silent_metric")
def test_silent_metrics_stop_while_requests_and_logs_go_on(seen):
    def rate(items, when):
        return len(items) / (when[1] - when[0])

    name = "container.cpu.usage"
    assert seen.values("cart", name, *BEFORE)
    assert not seen.values("cart", name, *DURING)
    assert seen.values("cart", name, DURING[1], 1e9)
    assert rate(seen.served("cart", *DURING), DURING) > 0.7 * rate(seen.served("cart", *BEFORE), BEFORE)
    assert rate(seen.lines_of("cart", *DURING), DURING) > 0.7 * rate(seen.lines_of("cart", *BEFORE), BEFORE)


@case("log_storm")
def test_a_storm_repeats_one_line_many_times_a_second(seen):
    storm = [line for line in seen.lines_of("inventory", *DURING, worst=17) if "disk quota exceeded" in line.body]
    assert 36.0 < len(storm) / 300.0 < 44.0
    assert not seen.lines_of("inventory", *BEFORE, worst=17)
    assert not any(line.trace for line in storm)
    assert not [line for line in seen.lines_of("inventory", DURING[1], 1e9) if "disk quota" in line.body]


@case("gc_pause")
def test_pauses_stop_the_process_and_count_as_collection_time(seen):
    def growth(when):
        by_pod: dict[str, list[float]] = {}
        for p in seen.points:
            if p.service == "recommendation" and p.name == "jvm.gc.duration" and when[0] <= p.time < when[1]:
                by_pod.setdefault(p.pod, []).append(p.value)
        return sum(v[-1] - v[0] for v in by_pod.values()) / (when[1] - when[0])

    assert growth(DURING) > 0.1
    assert growth(BEFORE) < 0.01
    assert np.percentile(durations(seen.served("recommendation", *DURING)), 98) > 0.8
    assert np.percentile(durations(seen.served("recommendation", *BEFORE)), 98) < 0.2
    assert max(durations(seen.served("recommendation", DURING[1] + 10.0, 1e9))) < 0.5


@pytest.mark.parametrize("seen", KINDS, indirect=True)
def test_a_fault_puts_no_cause_into_another_service(seen):
    assert {service for _, service in seen.touched} <= {seen.simulation.faults[0].service}


@pytest.mark.parametrize("seen", KINDS, indirect=True)
def test_a_fault_is_over_when_its_time_is_over(seen):
    times = [end for end, _ in seen.touched]
    if times:  # storms and pauses leave no mark in a pod; their own tests look at what follows
        assert min(times) > DURING[0]
        assert max(times) <= DURING[1] + 20.0
    assert share_failed([s for s in seen.spans if not s.parent and s.start > DURING[1] + 20.0]) < 0.03


@pytest.mark.parametrize("seen", KINDS, indirect=True)
def test_the_same_users_come_with_a_fault_as_without(seen, quiet):
    def arrivals(telemetry):
        return sorted(s.start for s in telemetry.spans if not s.parent)

    assert arrivals(seen) == arrivals(quiet)


def test_nothing_is_at_work_without_a_fault(quiet):
    assert not quiet.touched
    assert share_failed([s for s in quiet.spans if not s.parent]) < 0.01


def test_every_kind_has_a_case():
    assert set(CASES) == set(KINDS)
