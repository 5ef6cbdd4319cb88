"""What an Alertmanager with ordinary rules would send: valid, repeated, resolved, labelled, and partly of no use."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from aiops.records import decode_alert, unix_ns
from aiops.simulate import Fault, Simulation, simulate_scenario, write
from aiops.simulate.alerting import REPEAT_S

FAULTS = [Fault("code_error", 900.0, 600.0, "payment", strength=0.9), Fault("host_down", 2400.0, 600.0, "gateway")]


def simulation(alerts: bool = True, seed: int = 5) -> Simulation:
    return Simulation(seed, 1.2, FAULTS, rate=2.0, wrong_clock=False, alerts=alerts)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("day")
    assert write(simulation(), folder).alerts > 0
    return folder


@pytest.fixture(scope="module")
def lines(day: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in (day / "alerts.jsonl").read_bytes().splitlines()]


@pytest.fixture(scope="module")
def labels(day: Path) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in orjson.loads((day / "truth.json").read_bytes())["alerts"]:
        rows.setdefault(row["name"], []).append(row)
    return rows


def test_every_line_is_an_alert_in_order_of_sending(day: Path, lines: list[dict[str, Any]]):
    found = [decode_alert(line) for line in (day / "alerts.jsonl").read_bytes().splitlines()]
    sent = [unix_ns(alert.sent_at or "") for alert in found]
    assert sent == sorted(sent)
    assert all(alert.environment == "production" and alert.source == "alertmanager" for alert in found)
    assert len(lines) == len(found)


def test_a_fault_that_rules_can_see_is_told_and_resolved(lines: list[dict[str, Any]]):
    errors = [line for line in lines if line["name"] == "HighErrorRate" and line["service"] == "payment"]
    assert next(line["status"] for line in errors) == "firing"
    assert "resolved" in {line["status"] for line in errors}
    assert len({line["alert_id"] for line in errors}) == 1


def test_callers_are_told_of_too(lines: list[dict[str, Any]]):
    assert len({line["service"] for line in lines if line["name"] == "HighErrorRate"}) > 1


def test_a_host_that_is_gone_is_told_without_a_service(lines: list[dict[str, Any]]):
    down = [line for line in lines if line["name"] == "NodeNotReady"]
    assert {line["status"] for line in down} == {"firing", "resolved"}
    assert all(line["service"] is None and line["labels"]["node"].startswith("node-") for line in down)
    assert any(line["name"] == "DeploymentReplicasMismatch" and line["service"] is None for line in lines)


def test_what_still_fires_is_said_again(lines: list[dict[str, Any]]):
    watchdog = [line for line in lines if line["name"] == "Watchdog"]
    assert len(watchdog) > 1
    assert unix_ns(watchdog[1]["sent_at"]) - unix_ns(watchdog[0]["sent_at"]) >= REPEAT_S * 10**9
    assert len({line["starts_at"] for line in watchdog}) == 1


def test_the_truth_says_of_each_alert_what_it_comes_of(labels: dict[str, list[dict[str, Any]]]):
    assert {row["incident_group"] for row in labels["Watchdog"]} == {""}
    assert {row["incident_group"] for row in labels["NodeNotReady"]} == {"g2"}
    assert "g1" in {row["incident_group"] for row in labels["HighErrorRate"] if row["about"] == "payment"}
    rows = Counter((row["alert_id"], row["time_unix"]) for of in labels.values() for row in of)
    assert max(rows.values()) == 1


def test_a_seed_decides_every_byte(day: Path, tmp_path: Path):
    write(simulation(), tmp_path)
    for name in ("alerts.jsonl", "truth.json"):
        assert (tmp_path / name).read_bytes() == (day / name).read_bytes()


def test_telemetry_is_the_same_with_and_without(day: Path, tmp_path: Path):
    write(simulation(alerts=False), tmp_path)
    assert not (tmp_path / "alerts.jsonl").exists()
    assert "alerts" not in orjson.loads((tmp_path / "truth.json").read_bytes())
    for name in ("metrics.jsonl.gz", "traces.jsonl.gz", "logs.jsonl.gz"):
        assert gzip.decompress((tmp_path / name).read_bytes()) == gzip.decompress((day / name).read_bytes())


def test_a_scenario_can_have_them():
    quiet = simulate_scenario("sale", 1, alerts=True)
    sent = [orjson.loads(line)["name"] for signal, line in quiet.batches() if signal == "alerts"]
    assert "Watchdog" in sent
    assert "HighErrorRate" not in sent


def test_hosts_say_their_zone_where_that_is_asked_for():
    def zones(simulation: Simulation) -> set[bytes]:
        parts = [line for signal, line in simulation.batches() if signal == "metrics"]
        return {zone for zone in (b"zone-a", b"zone-b") if any(zone in line for line in parts)}

    assert zones(Simulation(1, 0.05, None, zones=True)) == {b"zone-a", b"zone-b"}
    assert zones(Simulation(1, 0.05, None)) == set()
