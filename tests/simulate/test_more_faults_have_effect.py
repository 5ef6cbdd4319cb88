"""The kinds of fault beyond the first ten change what they are about, and are over when their time is over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aiops.simulate import Fault, Simulation
from aiops.simulate.calls import TIMEOUT_S
from aiops.simulate.chain import BANK, DATABASE
from aiops.simulate.edge_faults import CONNECT_S
from aiops.simulate.hindrances import POOL_SIZE, POOL_WAIT_S
from aiops.simulate.kinds import MORE_KINDS, quiet_edges
from aiops.simulate.strain import FROZEN_S
from tests.simulate.conftest import Telemetry, observe

BEFORE = (0.0, 300.0)
AT, FOR, LENGTH = 300.0, 240.0, 660.0
DURING = (AT, AT + FOR)
AFTER = (AT + FOR + 60.0, LENGTH)
RATES = {"shop": 3.0, "chain": 1.5, "wide": 2.0}
"""Requests a second: enough to tell, and no more than a test may cost."""

UTILISATION = "container.cpu.limit_utilization"

CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "quiet_edge": ("wide", "", {"strength": 0.3}),
    "retry_storm": ("shop", "pricing", {}),
    "pool_exhausted": ("chain", "orders", {"strength": 30.0}),
    "cascade": ("chain", DATABASE, {}),
    "overload": ("shop", "account", {}),
    "third_party": ("chain", BANK, {"mode": "errors"}),
    "slow_dns": ("shop", "gateway", {}),
    "noisy_neighbour": ("shop", "catalog", {}),
    "host_down": ("shop", "catalog", {}),
    "partition": ("shop", "inventory", {"others": ("orders-db",)}),
    "certificate_expired": ("shop", "inventory", {}),
    "disk_full": ("shop", "orders-db", {"strength": 30.0}),
    "late_leak": ("shop", "search", {"strength": 0.9}),
}


@pytest.fixture(scope="module")
def with_fault() -> Callable[..., Telemetry]:
    """Telemetry of eleven minutes with one fault from minute 5 to 9; each distinct fault runs once."""
    runs: dict[str, Telemetry] = {}

    def make(kind: str, **details: Any) -> Telemetry:
        key = f"{kind} {details}"
        if key not in runs:
            mesh, service, usual = CASES[kind]
            chosen = {**usual, **details}
            if kind == "quiet_edge":
                chosen["caller"], service = quiet_edges(Simulation(7, 0.1, None, mesh=mesh).mesh, 2.0)[-1]
            faults = [Fault(kind, AT, FOR, service, **chosen)]
            length = LENGTH / 3600
            simulation = Simulation(
                7, length, faults, rate=RATES[mesh], wrong_clock=False, change_spacing_s=1e9, mesh=mesh
            )
            runs[key] = observe(simulation)
        return runs[key]

    return make


def failed(spans):
    return float(np.mean([span.failed for span in spans]))


def durations(spans):
    return [span.end - span.start for span in spans]


def median(spans):
    return float(np.median(durations(spans)))


def entries(seen, when):
    return [span for span in seen.spans if not span.parent and when[0] <= span.start < when[1]]


def lines(seen, service, words, when):
    return [line for line in seen.lines_of(service, *when) if words in line.body]


def calls(seen, caller, name, when):
    """Client spans of a caller by name, whether or not anybody has heard the call."""
    return [s for s in seen.spans if (s.service, s.kind, s.name) == (caller, 3, name) and when[0] <= s.start < when[1]]


def test_a_delay_on_a_quiet_edge_is_seen_in_its_few_calls_only(with_fault):
    seen = with_fault("quiet_edge")
    fault = seen.simulation.truth()["faults"][0]
    slow = seen.calls(fault["caller"], fault["service"], *DURING)
    assert 0 < len(slow) < 100
    assert median([c for c, _ in slow]) - median([s for _, s in slow]) > 0.35
    others = [s for s in seen.spans if s.kind == 2 and s.parent and DURING[0] <= s.start < DURING[1]]
    before = [s for s in seen.spans if s.kind == 2 and s.parent and BEFORE[0] <= s.start < BEFORE[1]]
    assert median(others) < 1.1 * median(before)


def test_a_retry_storm_outlives_its_trigger_and_multiplies_calls(with_fault):
    seen = with_fault("retry_storm")
    later = (AT + FROZEN_S + 90.0, AT + FOR)  # the trigger is long over
    rate = [len(seen.served("pricing", *when)) / (when[1] - when[0]) for when in (BEFORE, later)]
    assert rate[1] > 5.0 * rate[0]
    assert np.mean(seen.values("pricing", UTILISATION, *later)) > 0.97
    assert failed(calls(seen, "catalog", "pricing/Quote", later)) > 0.9
    assert lines(seen, "pricing", "Request queue holds", later)
    assert lines(seen, "catalog", "deadline exceeded after 1000 ms", later)
    # Nobody comes in greater numbers.
    assert len(entries(seen, later)) / (later[1] - later[0]) < 1.3 * len(entries(seen, BEFORE)) / 300.0


def test_without_the_retries_the_same_trigger_is_over_by_itself(with_fault):
    seen = with_fault("retry_storm", strength=1.0)
    later = (AT + FROZEN_S + 60.0, AT + FOR)
    assert failed(calls(seen, "catalog", "pricing/Quote", (AT, AT + FROZEN_S))) > 0.9
    assert failed(calls(seen, "catalog", "pricing/Quote", later)) < 0.02
    assert np.mean(seen.values("pricing", UTILISATION, *later)) < 0.5


def test_a_pool_that_leaks_makes_callers_wait_and_leaves_the_database_idle(with_fault):
    seen = with_fault("pool_exhausted")
    later = (AT + 90.0, AT + FOR)
    used = [p.value for p in seen.points if p.service == "orders" and p.name == "db.client.connection.count"]
    assert max(used) == POOL_SIZE
    waiting = seen.values("orders", "db.client.connection.pending_requests", *later)
    assert max(waiting) > 0.0
    assert not any(seen.values("orders", "db.client.connection.pending_requests", *BEFORE))
    assert median(seen.served("orders", *later)) > POOL_WAIT_S
    assert lines(seen, "orders", f"no connection within 3000 ms, {POOL_SIZE} in use", later)
    statements = [len(calls(seen, "orders", "SELECT orders", when)) for when in (BEFORE, later)]
    assert statements[1] < 0.1 * statements[0]
    assert np.mean(seen.values(DATABASE, UTILISATION, *later)) < np.mean(seen.values(DATABASE, UTILISATION, *BEFORE))


def test_a_slow_database_fills_pools_and_fails_the_entry(with_fault):
    seen = with_fault("cascade")
    later = (AT + 60.0, AT + FOR)
    statements = [s for s in seen.spans if s.kind == 3 and s.name.startswith("SELECT") and AT <= s.start < AT + FOR]
    assert median(statements) > 3.0
    assert np.mean(seen.values(DATABASE, UTILISATION, *later)) < 0.5, "it waits, it does not work"
    assert any(lines(seen, name, "no connection within", later) for name in ("storefront", "session", "offers"))
    assert any("deadline exceeded" in r.body for r in seen.lines_of("gateway", *later))
    assert failed(entries(seen, later)) > 0.5
    assert failed(entries(seen, BEFORE)) < 0.02


def test_more_users_than_there_is_room_for_wait_in_the_service_that_they_want(with_fault):
    seen = with_fault("overload")
    later = (AT + 90.0, AT + FOR)
    assert len(entries(seen, later)) / 150.0 > 1.25 * len(entries(seen, BEFORE)) / 300.0
    assert np.mean(seen.values("account", UTILISATION, *later)) > 0.95
    assert median(seen.served("account", *later)) > 2.0
    assert median(seen.served("search", *later)) < 1.5 * median(seen.served("search", *BEFORE))
    assert seen.simulation.truth()["faults"][0]["cause_external"] == "users"


def test_a_third_party_that_fails_is_seen_in_the_spans_of_its_caller_and_nowhere_else(with_fault):
    seen = with_fault("third_party")
    assert failed(calls(seen, "ledger", "POST /transfers", DURING)) > 0.5
    assert failed(calls(seen, "ledger", "POST /transfers", BEFORE)) == 0.0
    assert lines(seen, "ledger", f"Call to {BANK} failed: upstream answered 503", DURING)
    assert BANK not in {s.service for s in seen.spans} | {p.service for p in seen.points} | {
        r.service for r in seen.logs
    }
    assert seen.simulation.truth()["faults"][0]["cause_external"] == BANK


def test_a_third_party_that_is_slow_holds_its_caller_up(with_fault):
    seen = with_fault("third_party", mode="slow", strength=3.0)
    assert 2.0 < median(calls(seen, "ledger", "POST /transfers", DURING)) < 4.5
    assert np.mean(seen.values("ledger", UTILISATION, *DURING)) < 0.5


def test_slow_names_delay_some_calls_of_every_caller_before_they_are_heard(with_fault):
    seen = with_fault("slow_dns")
    for caller, callee in (("gateway", "catalog"), ("checkout", "payment"), ("cart", "pricing")):
        gaps = [c.end - c.start - (s.end - s.start) for c, s in seen.calls(caller, callee, *DURING)]
        assert 0.1 < np.mean([gap > 0.4 for gap in gaps]) < 0.6
        assert lines(seen, caller, "DNS lookup of", DURING)
    assert median(seen.served("pricing", *DURING)) < 1.3 * median(seen.served("pricing", *BEFORE))
    assert not [r for r in seen.logs if "DNS lookup of" in r.body and r.time < AT]


def test_a_noisy_neighbour_slows_the_pods_of_its_host_and_shows_in_none_of_their_metrics(with_fault):
    seen = with_fault("noisy_neighbour")
    fault = seen.simulation.truth()["faults"][0]
    placed = {p.pod: p.node for p in seen.points if p.pod}
    pods = sorted({s.pod for s in seen.spans if s.service == "recommendation"})
    here = [pod for pod in pods if placed[pod] == fault["host"]]
    elsewhere = [pod for pod in pods if placed[pod] != fault["host"]]

    def slower(those):
        during, before = (
            [s for s in seen.served("recommendation", *when) if s.pod in those] for when in (DURING, BEFORE)
        )
        return median(during) / median(before)

    assert slower(here) > 2.0
    assert slower(elsewhere) < 1.5
    used = [np.mean([p.value for p in seen.points if p.pod in here and p.name == UTILISATION and a <= p.time < b])
            for a, b in (BEFORE, DURING)]  # fmt: skip
    assert used[1] < used[0] + 0.15
    host = [p.value for p in seen.points if not p.service and p.node == fault["host"] and "cpu" in p.name]
    assert max(host) > 0.9
    assert fault["cause_external"] == fault["host"]
    assert fault["service"] in fault["services"]


def test_a_host_that_is_gone_takes_its_pods_and_their_telemetry_along(with_fault):
    seen = with_fault("host_down")
    fault = seen.simulation.truth()["faults"][0]
    during = (AT + 15.0, AT + FOR)
    assert not [p for p in seen.points if p.node == fault["host"] and during[0] <= p.time < during[1]]
    placed = {p.pod: p.node for p in seen.points if p.pod}
    silent = {s.pod for s in seen.spans if during[0] <= s.start < during[1]}
    assert not [pod for pod in silent if placed[pod] == fault["host"]]
    assert {p.pod for p in seen.points if p.node == fault["host"] and p.time >= AT + FOR + 20.0} - {
        p.pod for p in seen.points if p.time < AT
    }, "new pods are there afterwards"
    # The service that the truth names had no replica elsewhere.
    assert {placed[p.pod] for p in seen.points if p.service == fault["service"]} == {fault["host"]}


def test_nothing_passes_between_a_group_and_the_others(with_fault):
    seen = with_fault("partition")
    cut = calls(seen, "checkout", "inventory/Reserve", DURING) + calls(seen, "account", "SELECT user", DURING)
    assert failed(cut) == 1.0
    assert CONNECT_S * 0.7 < median(cut) < CONNECT_S * 1.4
    assert not seen.served("inventory", AT + 5.0, AT + FOR)
    assert lines(seen, "account", "connect timeout", DURING)
    assert failed(seen.served("catalog", *DURING)) < 0.02


def test_between_zones_some_replicas_reach_some_others(with_fault):
    seen = with_fault("partition", mode="zone", others=())
    between = calls(seen, "gateway", "catalog/GetProduct", DURING)
    assert 0.2 < failed(between) < 0.8
    placed = {p.pod: int(p.node[-1]) % 2 for p in seen.points if p.pod}
    for client, server in seen.calls("gateway", "catalog", AT + 5.0, AT + FOR):
        assert placed[client.pod] == placed[server.pod]


@pytest.mark.parametrize(
    ("mode", "said", "logged"),
    [("tls", "certificate has expired", "bad certificate"), ("auth", "401 unauthorized", "Rejected token")],
)
def test_nobody_is_let_in_without_a_valid_certificate(with_fault, mode, said, logged):
    seen = with_fault("certificate_expired", mode=mode)
    for caller, name in (("cart", "inventory/CheckStock"), ("checkout", "inventory/Reserve")):
        attempts = calls(seen, caller, name, DURING)
        assert failed(attempts) == 1.0
        assert median(attempts) < 0.05, "at once"
        assert lines(seen, caller, said, DURING)
    assert lines(seen, "inventory", logged, DURING)
    assert not seen.served("inventory", AT + 1.0, AT + FOR)
    assert failed(seen.served("search", *DURING)) < 0.05


def test_a_full_disk_refuses_writes_and_answers_reads(with_fault):
    seen = with_fault("disk_full")
    later = (AT + 40.0, AT + FOR)
    assert failed(calls(seen, "inventory", "UPDATE stock", later)) == 1.0
    assert failed(calls(seen, "account", "SELECT user", later)) == 0.0
    assert failed(calls(seen, "inventory", "UPDATE stock", BEFORE)) == 0.0
    disk = "container.filesystem.utilization"
    assert max(seen.values("orders-db", disk, *BEFORE)) < 0.6
    assert min(seen.values("orders-db", disk, *later)) == 1.0
    assert max(seen.values("catalog-db", disk, *later)) < 0.6
    assert lines(seen, "orders-db", "No space left on device", later)


def test_a_leak_that_a_deploy_brings_shows_long_after_it(with_fault):
    seen = with_fault("late_leak")
    fault = seen.simulation.truth()["faults"][0]
    deploy, rollback = seen.simulation.changes()
    assert (deploy["change_id"], rollback["state"]) == (fault["change_id"], "rolled_back")
    assert fault["cause_unix"] - seen.simulation.start_unix == AT
    shows = fault["time_unix"] - seen.simulation.start_unix
    assert shows >= AT + 100.0
    assert fault["time_unix"] + fault["duration_s"] - seen.simulation.start_unix == AT + FOR
    memory = "container.memory.limit_utilization"
    assert max(seen.values("search", memory, AT + FOR - 60.0, AT + FOR)) > 0.9
    assert max(seen.values("search", memory, *BEFORE)) < 0.65
    assert not lines(seen, "search", "GC Pause Full", (AT, AT + 60.0))
    assert len(lines(seen, "search", "GC Pause Full", (shows, AT + FOR))) > 5


@pytest.mark.parametrize("kind", MORE_KINDS)
def test_a_fault_is_over_when_its_time_is_over(with_fault, kind):
    seen = with_fault(kind)
    before, after = entries(seen, BEFORE), entries(seen, AFTER)
    assert failed(before) < 0.02
    assert failed(after) < 0.03
    assert np.percentile(durations(after), 90) < 1.5 * np.percentile(durations(before), 90)
    assert max(durations(after)) < TIMEOUT_S


@pytest.mark.parametrize("kind", sorted(set(MORE_KINDS) - {"overload"}))
def test_the_usual_users_come_with_a_fault_as_without(with_fault, kind):
    mesh = CASES[kind][0]
    length = LENGTH / 3600
    quiet = Simulation(7, length, None, rate=RATES[mesh], wrong_clock=False, change_spacing_s=1e9, mesh=mesh).run()
    usual = [t for begin in range(0, int(LENGTH), 5) for t in quiet._arrivals.step(float(begin), 5.0)]
    came = sorted(s.start for s in with_fault(kind).spans if not s.parent)
    # A host that is gone takes the spans of its gateway along.
    tolerated = 0.6 if kind == "host_down" else 1.0
    assert len(came) >= tolerated * len(usual)
    nearest = np.asarray(usual)[np.clip(np.searchsorted(usual, np.asarray(came) - 1e-5), 0, len(usual) - 1)]
    assert np.abs(nearest - came).max() < 2e-5


def test_every_kind_has_a_case():
    assert set(CASES) == set(MORE_KINDS)
