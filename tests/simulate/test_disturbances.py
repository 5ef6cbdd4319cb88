"""What is no fault changes what it is about, harms nobody, and is planned where it can be told from faults."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.simulate import DISTURBANCES, Fault, Simulation
from aiops.simulate.disturbances import CLEAR_S, LEAST_S
from aiops.simulate.load import Crowd
from tests.simulate.conftest import observe

AT, FOR, LENGTH = 240.0, 200.0, 480.0
BEFORE, DURING = (0.0, AT), (AT + 30.0, AT + FOR)


@pytest.fixture(scope="module")
def busy():
    """Several disturbances at once, each in a service of its own."""
    kinds = {"batch_cpu": "search", "debug_logs": "catalog", "missing_logs": "account", "missing_traces": "inventory"}
    given = [Fault(kind, AT, FOR, service) for kind, service in kinds.items()]
    given.append(Fault("error_bursts", 0.0, LENGTH, "recommendation", strength=1.0))
    length = LENGTH / 3600
    return observe(Simulation(7, length, None, wrong_clock=False, change_spacing_s=1e9, rate=3.0, disturbances=given))


@pytest.fixture(scope="module")
def crowded():
    """A surge under sampling, and a host whose clock jumps."""
    kinds = {"surge": "gateway", "sampling": "gateway", "clock_skew": "catalog"}
    given = [Fault(kind, AT, FOR, service) for kind, service in kinds.items()]
    length = LENGTH / 3600
    return observe(Simulation(7, length, None, wrong_clock=False, change_spacing_s=1e9, rate=3.0, disturbances=given))


def median(spans):
    return float(np.median([span.end - span.start for span in spans]))


def rate(items, when):
    return len(items) / (when[1] - when[0])


def test_nobody_fails_or_waits_because_of_them(busy, crowded):
    for seen in (busy, crowded):
        during, before = ([s for s in seen.spans if not s.parent and a <= s.start < b] for a, b in (DURING, BEFORE))
        assert np.mean([s.failed for s in during]) < 0.02
        assert median(during) < 1.35 * median(before)
        truth = seen.simulation.truth()
        assert truth["faults"] == []
        assert truth["expected_incidents"] == 0
        assert [row["kind"] for row in truth["decoys"]] == [one.kind for one in seen.simulation.disturbances]


def test_a_batch_takes_what_is_left_and_slows_nobody_down(busy):
    name = "container.cpu.limit_utilization"
    assert np.mean(busy.values("search", name, *DURING)) > 0.9
    assert np.mean(busy.values("search", name, *BEFORE)) < 0.5
    assert median(busy.served("search", *DURING)) < 1.3 * median(busy.served("search", *BEFORE))


def test_debug_lines_come_with_a_change_of_configuration(busy):
    debug = [r for r in busy.lines_of("catalog", *DURING) if r.severity == 5]
    assert rate(debug, DURING) > 5.0 * rate(busy.served("catalog", *DURING), DURING)
    assert not [r for r in busy.lines_of("catalog", *BEFORE) if r.severity == 5]
    assert not [r for r in busy.lines_of("catalog", AT + FOR + 10.0, LENGTH) if r.severity == 5]
    (change,) = busy.simulation.changes()
    assert (change["kind"], change["summary"]) == ("config", "Set log level of root to DEBUG")
    assert change["change_id"] in [row.get("change_id") for row in busy.simulation.truth()["decoys"]]


def test_missing_signals_are_missing_and_the_other_signals_go_on(busy):
    assert not busy.lines_of("account", *DURING)
    assert rate(busy.served("account", *DURING), DURING) > 0.7 * rate(busy.served("account", *BEFORE), BEFORE)
    assert not busy.served("inventory", *DURING)
    assert rate(busy.lines_of("inventory", *DURING), DURING) > 0.7 * rate(busy.lines_of("inventory", *BEFORE), BEFORE)
    assert busy.served("inventory", AT + FOR + 10.0, LENGTH)


def test_bursts_of_errors_come_all_day_and_the_caller_goes_on_without(busy):
    lost = [r for r in busy.logs if "no instances available for recommendation, continuing without" in r.body]
    assert lost
    assert {r.service for r in lost} == {"gateway"}
    minutes = {int(r.time // 60) for r in lost}
    assert len(minutes) < LENGTH / 60, "they come and go"


def test_a_surge_brings_users_and_utilisation(crowded):
    def accesses(when):
        return [r for r in crowded.lines_of("gateway", *when) if "Request received" in r.body]

    assert 1.3 < rate(accesses(DURING), DURING) / rate(accesses(BEFORE), BEFORE) < 1.9
    name = "container.cpu.limit_utilization"
    assert np.mean(crowded.values("pricing", name, *DURING)) > 1.15 * np.mean(crowded.values("pricing", name, *BEFORE))


def test_sampling_keeps_whole_traces(crowded):
    begin, end = DURING[0], DURING[1] - 20.0  # what the last flushes hold is kept by some agents only
    spans = [s for s in crowded.spans if begin <= s.start < end]
    seen = {s.trace for s in spans}
    told = {r.trace for r in crowded.logs if r.trace and begin <= r.time < end}
    assert 0.2 < len(seen & told) / len(told) < 0.4
    ids = {s.id for s in crowded.spans}
    assert all(s.parent in ids for s in spans if s.parent)


def test_a_clock_that_jumps_moves_what_is_written_on_its_host(crowded):
    (row,) = [row for row in crowded.simulation.truth()["decoys"] if row["kind"] == "clock_skew"]
    lags: dict[bool, list[float]] = {True: [], False: []}
    for arrival, signal, line in crowded.lines:
        if signal == "metrics" and DURING[0] < arrival < DURING[1]:
            here = f'"{row["host"]}"'.encode() in line
            times = [int(text.split(b'"')[0]) / 1e9 for text in line.split(b'"timeUnixNano":"')[1:]]
            lags[here] += [arrival - (time - crowded.simulation.start_unix) for time in times]
    assert min(lags[False]) > 0.0
    assert np.mean(lags[False]) - np.mean(lags[True]) == pytest.approx(row["strength"], abs=1.5)


@pytest.mark.parametrize("seed", range(3))
def test_a_drawn_plan_has_each_once_and_keeps_clear_of_faults(seed):
    simulation = Simulation(seed, 6.0, disturbances="all")
    faults, drawn = simulation.faults, simulation.disturbances
    assert faults == [simulation.faults[at] for at in range(len(Simulation(seed, 6.0).faults))]
    kinds = [one.kind for one in drawn]
    assert sorted(kinds) == sorted(DISTURBANCES)
    for one in drawn:
        if one.kind in ("batch_cpu", "surge", "debug_logs"):
            assert one.duration >= LEAST_S
            assert all(one.end + CLEAR_S <= f.start + 5.0 or one.start >= f.end + CLEAR_S - 5.0 for f in faults)
        if one.kind.startswith("decoy_"):
            (after,) = [f for f in faults if 0.0 < f.start - one.start <= 245.0]
            assert after.service != one.service
            assert (after.service, one.service) not in simulation.mesh.edges()
    decoys = {row["kind"]: row for row in simulation.truth()["decoys"]}
    changes = {row["change_id"]: row for row in simulation.changes()}
    assert changes[decoys["decoy_deploy"]["change_id"]]["kind"] == "deploy"
    assert changes[decoys["decoy_flag"]["change_id"]]["service"] == decoys["decoy_flag"]["service"]


def test_an_unknown_disturbance_is_refused_in_words():
    with pytest.raises(ValueError, match="no disturbance 'flood': there are error_bursts"):
        Simulation(1, 1.0, None, disturbances=["flood"])
    with pytest.raises(ValueError, match="surge cannot hit 'search': it can hit gateway"):
        Simulation(1, 1.0, None, disturbances=[Fault("surge", 0.0, 60.0, "search")])


def test_a_crowd_comes_for_its_reason_and_goes():
    crowd = Crowd(10.0, 0.0, np.random.default_rng(1))
    assert crowd.step(0.0, 5.0) == []
    crowd.come("sale", 2.0, 0.25, 0.5)
    arrivals = crowd.step(5.0, 5.0)
    assert 40 < len(arrivals) < 160
    assert arrivals == sorted(arrivals)
    assert all(5.0 <= t < 10.0 and 0.25 <= choice < 0.5 for t, choice in arrivals)
    crowd.leave("sale")
    assert crowd.step(10.0, 5.0) == []
