"""Scenarios and the truth: how many incidents there should be, what belongs together, what must not be blamed."""

from __future__ import annotations

import argparse

import msgspec
import orjson
import pytest

from aiops.scoring import Context, Truth
from aiops.simulate import DISTURBANCES, SCENARIOS, Fault, Simulation, cli, simulate_scenario
from aiops.simulate.kinds import MORE_KINDS
from aiops.simulate.shop import web_shop
from aiops.simulate.truth import incident_groups

FIELDS = {"time_unix", "duration_s", "service", "pod", "kind", "strength"}


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_scenario_expects_the_incidents_that_it_says(name, seed):
    simulation = simulate_scenario(name, seed)
    truth = simulation.truth()
    assert truth["expected_incidents"] == SCENARIOS[name].incidents
    assert truth["day"] == f"{name}-{seed}"
    services = set(simulation.context()["services"])
    for row in truth["faults"]:
        assert set(row) >= FIELDS | {"incident_group", "cause_external"}
        assert row["service"] in services
        begin = row.get("cause_unix", row["time_unix"]) - simulation.start_unix
        assert begin >= 1500.0, "there is time to learn first"
        assert row["time_unix"] - simulation.start_unix + row["duration_s"] <= simulation.seconds - 300.0
    for row in truth["decoys"]:
        assert set(row) >= FIELDS
    msgspec.convert(truth, Truth)  # what reads the first form of the truth still can
    msgspec.convert(simulation.context(), Context)


def test_all_kinds_and_disturbances_are_taught_by_a_scenario():
    days = [simulate_scenario(name, 1) for name in SCENARIOS]
    assert {fault.kind for day in days for fault in day.faults} >= set(MORE_KINDS)
    assert {one.kind for day in days for one in day.disturbances} == set(DISTURBANCES)


def test_a_scenario_gives_the_same_bytes_each_time():
    def first(simulation, count):
        return [line for _, line in zip(range(count), simulation.batches(), strict=False)]

    one, same, other = (simulate_scenario("noisy-host", seed) for seed in (3, 3, 4))
    assert first(one, 200) == first(same, 200) != first(other, 200)


def groups(*faults, mesh=None):
    return incident_groups(mesh or web_shop(), faults, {})


def fault(service, start=1000.0, kind="cpu", duration=300.0):
    return Fault(kind, start, duration, service)


def test_faults_on_one_way_of_calls_are_one_incident():
    assert groups(fault("checkout"), fault("orders-db", 1100.0)) == [0, 0]
    assert groups(fault("payment"), fault("inventory", 1100.0)) == [0, 0], "checkout fails because of either"


def test_faults_in_unrelated_parts_are_two():
    assert groups(fault("catalog-db"), fault("shipping")) == [0, 1]
    assert groups(fault("search"), fault("account")) == [0, 1], "that the gateway calls both says nothing"


def test_faults_one_after_the_other_are_two():
    assert groups(fault("checkout"), fault("checkout", 1700.0)) == [0, 1]
    assert groups(fault("checkout"), fault("checkout", 1500.0)) == [0, 0], "the first is not over yet for anybody"


def test_a_third_fault_joins_what_it_connects():
    assert groups(fault("catalog-db"), fault("shipping"), fault("gateway")) == [0, 0, 0]
    assert groups(fault("catalog-db"), fault("shipping"), fault("payment")) == [0, 1, 1]


def test_what_is_slow_everywhere_is_one_incident_with_everything():
    assert groups(fault("catalog-db"), Fault("slow_dns", 1000.0, 300.0, "gateway")) == [0, 0]


def test_a_fault_of_a_host_names_the_host_and_all_that_run_there():
    simulation = Simulation(5, 1.0, [Fault("host_down", 600.0, 300.0, "catalog")])
    (row,) = simulation.truth()["faults"]
    assert row["cause_external"] == row["host"]
    assert "catalog" in row["services"]
    hosts: dict[str, set[str]] = {}
    for pod in simulation.run().cluster.pods():
        hosts.setdefault(pod.service.name, set()).add(pod.node.name)
    assert hosts[row["service"]] == {row["host"]}
    assert {name for name, places in hosts.items() if row["host"] in places} == set(row["services"])


def test_the_truth_names_a_lost_pod_by_the_life_that_a_lost_host_left_it():
    faults = [Fault("host_down", 60.0, 60.0, "catalog"), Fault("lost_pod", 300.0, 60.0, "catalog")]
    simulation = Simulation(5, 0.15, faults, rate=0.5, wrong_clock=False, change_spacing_s=1e9)
    run = simulation.run()
    for end, _ in run.steps():
        if end == 300.0:
            lost = run.cluster.replicas["catalog"][0]
            assert lost.alive
            assert simulation.truth()["faults"][1]["pod"] == lost.name


@pytest.mark.parametrize(
    ("details", "message"),
    [
        ({"faults": [Fault("third_party", 0.0, 60.0, "payment")]}, "third_party cannot hit 'payment': it can hit $"),
        ({"faults": [Fault("partition", 0.0, 60.0, "cart", mode="region")]}, "no mode 'region': it has services, zone"),
        ({"faults": [Fault("partition", 0.0, 60.0, "cart", others=("mail",))]}, "no service 'mail'"),
        ({"faults": [Fault("host_down", 0.0, 60.0, "cart", host="node-9")]}, "no host 'node-9'"),
        ({"faults": [Fault("overload", 0.0, 60.0, "catalog-db")]}, "overload cannot hit 'catalog-db'"),
    ],
)
def test_what_cannot_happen_is_refused_in_words(details, message):
    with pytest.raises(ValueError, match=message):
        Simulation(1, 1.0, **details)


def command(*words):
    parser = argparse.ArgumentParser()
    cli.configure(parser)
    return cli.run(parser.parse_args(words))


def test_the_command_lists_scenarios_without_writing_anything(capsys):
    with pytest.raises(SystemExit) as ended:
        command("--scenario", "list")
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(SCENARIOS)


def test_the_command_writes_a_mesh_with_disturbances_and_says_what_is_no_fault(tmp_path, capsys):
    words = ("--mesh", "chain", "--faults", "none", "--disturbances", "batch_cpu", "--hours", "0.5", "--rate", "0.1")
    assert command(*words, "--out", str(tmp_path)) == 0
    assert "batch_cpu" in capsys.readouterr().out
    truth = orjson.loads((tmp_path / "truth.json").read_bytes())
    assert (truth["mesh"], truth["expected_incidents"], truth["decoys"][0]["kind"]) == ("chain", 0, "batch_cpu")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--scenario", "flood"), "no scenario 'flood': there are quiet-edge"),
        (("--scenario", "sale", "--hours", "2"), "--scenario sale decides what --hours would"),
        (("--mesh", "ring"), "no mesh 'ring'"),
        (("--disturbances", ","), "names no kind: it is all, none, or some of error_bursts"),
    ],
)
def test_the_command_refuses_what_does_not_fit(tmp_path, capsys, words, message):
    assert command(*words, "--out", str(tmp_path)) == 2
    assert message in capsys.readouterr().err
