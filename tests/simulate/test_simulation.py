"""A seed decides everything: bytes, plan of faults, names; and what cannot be simulated is refused in words."""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from aiops.simulate import KINDS, Fault, Simulation, cli
from aiops.simulate.load import daily
from aiops.simulate.mesh import Call, Journey, Mesh, Operation, Service, demand
from aiops.simulate.shop import web_shop


def digest(simulation):
    state = hashlib.sha256()
    for signal, line in simulation.batches():
        state.update(signal.encode() + line + b"\n")
    return state.hexdigest()


def short(seed, **details):
    return Simulation(seed, 0.2, [Fault("memory_leak", 120.0, 300.0, "search")], change_spacing_s=300.0, **details)


def test_the_same_seed_gives_the_same_bytes_each_time():
    simulation = short(5)
    assert digest(simulation) == digest(simulation) == digest(short(5))


def test_the_same_seed_gives_the_same_bytes_in_another_process():
    code = (
        "import hashlib; from aiops.simulate import Fault, Simulation; s = hashlib.sha256()\n"
        "leak = Fault('memory_leak', 120.0, 300.0, 'search')\n"
        "for a, b in Simulation(5, 0.2, [leak], change_spacing_s=300.0).batches(): s.update(a.encode() + b + b'\\n')\n"
        "print(s.hexdigest())"
    )
    env = {"PYTHONHASHSEED": "77", "PYTHONPATH": ":".join(filter(None, sys.path))}
    other = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=env)
    assert other.stdout.strip() == digest(short(5))


def test_another_seed_gives_other_bytes_and_another_plan():
    assert digest(short(5)) != digest(short(6))
    assert Simulation(5, 8.0).truth()["faults"] != Simulation(6, 8.0).truth()["faults"]


@pytest.mark.parametrize("seed", range(5))
def test_a_drawn_plan_is_quiet_first_spaced_and_fair(seed):
    simulation = Simulation(seed, 8.0)
    faults = simulation.faults
    assert faults[0].start >= 1795.0
    assert faults[-1].end <= 8 * 3600 - 900
    for one, next_one in pairwise(faults):
        assert next_one.start - one.start >= 895.0
        assert next_one.start > one.end
        assert one.service != next_one.service
    assert len({fault.kind for fault in faults[: len(KINDS)]}) == len(KINDS)
    assert {fault.service for fault in faults} <= set(simulation.context()["services"])
    assert all(300.0 <= fault.duration <= 600.0 for fault in faults)


def test_chosen_kinds_are_all_that_is_drawn():
    simulation = Simulation(1, 6.0, ["cpu", "lost_pod"])
    assert {fault.kind for fault in simulation.faults} == {"cpu", "lost_pod"}
    assert simulation.plan(["log_storm"])[0].kind == "log_storm"
    assert not Simulation(1, 6.0, ["cpu"], fault_free=True).faults


def test_harmless_changes_keep_clear_of_faults_in_their_service():
    simulation = Simulation(2, 24.0, change_spacing_s=600.0)
    bad = [fault for fault in simulation.faults if fault.kind == "bad_deploy"]
    assert len(simulation.changes()) > 50
    assert len([row for row in simulation.changes() if row["state"] == "rolled_back"]) == len(bad) > 0
    announced = [change for change in simulation._plan.changes if change.fault is None and change.state == "started"]
    for change in announced:
        for fault in simulation.faults:
            if fault.service == change.service:
                assert change.at + 900.0 < fault.start or change.at > fault.end + 900.0
    running: dict[str, str] = {}
    for change in simulation._plan.changes:
        assert change.version_from == running.get(change.service, change.version_from)
        running[change.service] = change.version_to
        if change.fault is not None:
            assert 5.0 < change.fault.start - change.at < 60.0


def test_the_truth_names_pods_that_live_and_die_at_that_time(observed):
    faults = ["lost_pod", "bad_deploy"]
    simulation = Simulation(
        9, 3.5, faults, rate=0.3, wrong_clock=False, warmup_s=300.0, spacing_s=900.0, change_spacing_s=400.0
    )
    seen = observed(simulation)
    named = [fault for fault in simulation.truth()["faults"] if fault["pod"]]
    assert {fault["kind"] for fault in named} == {"lost_pod", "bad_deploy"}
    assert len(named) > 5
    for fault in named:
        times = [p.time for p in seen.points if p.pod == fault["pod"]]
        begin = fault["time_unix"] - simulation.start_unix
        end = begin + fault["duration_s"]
        if fault["kind"] == "lost_pod":
            assert begin - 20.0 < max(times) < begin
        else:
            assert begin <= min(times) < begin + 20.0
            assert end - 20.0 < max(times) < end + 20.0


def test_load_follows_the_day_and_the_week():
    hours = [daily(3600.0 * hour) for hour in range(24)]
    assert np.mean(hours) == pytest.approx(1.0)
    assert max(hours) > 2.5 * min(hours)
    saturday = 2 * 86400.0  # 1970-01-03
    assert daily(saturday, weekly=True) < daily(saturday)
    assert daily(saturday - 86400.0, weekly=True) == daily(saturday - 86400.0)


def test_every_service_of_the_shop_is_asked_for():
    mesh = web_shop()
    asked = demand(mesh)
    assert all(
        asked.service_visits(service.name) > 0.0 and asked.cpu_ms[service.name] > 0.0 for service in mesh.services
    )


def test_a_mesh_whose_names_do_not_resolve_is_refused():
    front = Service("front", 1, (Operation("GET /", (Call("nowhere", "Find"),)),))
    with pytest.raises(ValueError, match="no service 'nowhere'"):
        Mesh((front,), (Journey("GET /", 1.0),))


@pytest.mark.parametrize(
    ("details", "message"),
    [
        ({"hours": 0.0}, "hours is 0.0"),
        ({"rate": -1.0}, "rate is -1.0"),
        ({"seed": -1}, "seed is -1"),
        ({"faults": ["flood"]}, "no fault kind 'flood'"),
        ({"faults": "most"}, "faults is 'most'"),
        ({"spacing_s": 10.0}, "at least 900 s"),
        ({"faults": [Fault("lost_pod", 0.0, 60.0, "shipping")]}, "lost_pod cannot hit 'shipping'"),
        ({"faults": [Fault("cpu", 0.0, 60.0, "mail")]}, "no service 'mail'"),
        ({"faults": [Fault("cpu", 0.0, 0.0, "search")]}, "duration 0.0"),
        ({"faults": [Fault("edge_latency", 0.0, 60.0, "pricing", caller="payment")]}, "'payment' never calls"),
        ({"faults": [Fault("code_error", 0.0, 60.0, "search", operation="Sort")]}, "no operation 'Sort'"),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_words(details, message):
    with pytest.raises(ValueError, match=message):
        Simulation(**{"seed": 1, "hours": 1.0, **details})


def command(*words):
    parser = argparse.ArgumentParser()
    cli.configure(parser)
    return cli.run(parser.parse_args(words))


def test_the_command_writes_a_folder_and_says_what_is_in_it(tmp_path, capsys):
    out = tmp_path / "day"
    words = ("--seed", "3", "--hours", "1", "--rate", "0.2", "--faults", "cpu", "--out", str(out))
    assert command(*words, "--start", "2025-01-01T00:00:00Z") == 0
    text = capsys.readouterr().out
    assert "spans" in text
    assert "1 faults" in text
    assert {path.name for path in out.iterdir()} == {
        "metrics.jsonl.gz",
        "traces.jsonl.gz",
        "logs.jsonl.gz",
        "changes.jsonl",
        "truth.json",
        "context.json",
    }
    again = tmp_path / "again"
    assert command(*words[:-1], str(again), "--start", "2025-01-01T00:00:00Z") == 0
    for path in out.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes()


@pytest.mark.parametrize(
    "words", [("--faults", "flood"), ("--faults", ","), ("--hours", "-1"), ("--start", "yesterday"), ("--seed", "-4")]
)
def test_the_command_refuses_wrong_arguments_with_status_2(tmp_path, capsys, words):
    assert command("--out", str(tmp_path), *words) == 2
    assert capsys.readouterr().err.startswith("aiops simulate: ")
