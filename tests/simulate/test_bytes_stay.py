"""What a seed gave stays what it gives: days that others have measured on must not change with a later kind or mesh.

The shape of every line is compared, not its bytes: the last digit of an exponential is the business of the machine.
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
import pytest

from aiops.simulate import KINDS, Fault, Simulation

SERVICES = {
    "cpu": "catalog",
    "memory_leak": "search",
    "edge_latency": "pricing",
    "code_error": "checkout",
    "dependency_down": "orders-db",
    "bad_deploy": "pricing",
    "lost_pod": "catalog",
    "silent_metric": "cart",
    "log_storm": "inventory",
    "gc_pause": "recommendation",
}
EXPECTED = {
    "cpu": "5d6f63dcb551c545",
    "memory_leak": "0afd1f0dd8c8fba7",
    "edge_latency": "04effedee1d09ee7",
    "code_error": "3906ae05cfd7e9d1",
    "dependency_down": "7a11c3ce436df120",
    "bad_deploy": "83b80a659059e971",
    "lost_pod": "918b570835e511bd",
    "silent_metric": "bd6485082c5b1e05",
    "log_storm": "7366c4ea59a48b3c",
    "gc_pause": "3f25de323c9e4d6e",
    "drawn": "15032365b4282050",
    "plans": "7e5a2586537c79c7",
}
FIRST_KEYS = {"time_unix", "duration_s", "service", "pod", "kind", "caller", "operation", "change_id", "mode"}


def shape(simulation: Simulation) -> str:
    state = hashlib.sha256()
    for signal, line in simulation.batches():
        state.update(f"{signal} {len(line)} {line.count(b'Id')}\n".encode())
    return state.hexdigest()[:16]


def planned(simulation: Simulation) -> list[Any]:
    """Changes and faults as a reader of the first truth sees them."""
    faults = [{key: value for key, value in row.items() if key in FIRST_KEYS} for row in simulation.truth()["faults"]]
    return [faults, simulation.changes(), simulation.context()]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_with_a_fault_keeps_its_shape(kind):
    fault = Fault(kind, 60.0, 60.0, SERVICES[kind])
    assert shape(Simulation(11, 0.05, [fault], rate=1.5, change_spacing_s=100.0)) == EXPECTED[kind]


def test_a_drawn_run_keeps_its_shape():
    simulation = Simulation(7, 0.5, rate=1.0, warmup_s=60.0, spacing_s=900.0, weekly=True)
    assert shape(simulation) == EXPECTED["drawn"]


def test_plans_and_changes_stay():
    state = hashlib.sha256()
    for seed in range(20):
        state.update(orjson.dumps(planned(Simulation(seed, 12.0, change_spacing_s=900.0))))
    assert state.hexdigest()[:16] == EXPECTED["plans"]
