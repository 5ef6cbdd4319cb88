"""Scenarios through the whole engine: as many incidents as each should give, and the causes that they name first.

What a scenario is for stands in ``aiops/simulate/scenarios.py``.  What the engine gets wrong today is expected to fail, with the
reason in words; who mends it takes the reason away.  All but a few run with ``make acceptance``.
"""

from __future__ import annotations

from functools import cache
from itertools import permutations

import msgspec
import pytest

from aiops.records import Incident
from aiops.scoring import Context, Problem, Truth, episodes_of, problems
from aiops.simulate import SCENARIOS, simulate_scenario
from aiops.simulate.chain import BANK, DATABASE
from benchmarks.alarm_days import messages_of
from benchmarks.incident_days import SOURCES, driven

SEED = 1
HOST = "what runs on the host"
# Of each incident that there should be, what its first cause may name.  Where no service is to blame, to have no confident cause
# is right as well; of somebody else's service only its caller tells.
CAUSES: dict[str, list[set[str]]] = {
    "quiet-edge": [{"the callee"}],
    "retry-storm": [{"pricing"}],
    "pool-exhausted": [{"orders"}],
    "cascade": [{DATABASE}],
    "background-errors": [],
    "background-errors-and-fault": [{"account"}],
    "batch": [],
    "sale": [],
    "sale-too-big": [{"search"}],
    "debug-logs": [],
    "two-unrelated": [{"catalog-db"}, {"shipping"}],
    "two-related": [{"ledger", "stock"}],
    "third-party": [{BANK, "ledger"}],
    "slow-dns": [{"gateway"}],
    "noisy-host": [{HOST}],
    "host-down": [{HOST}],
    "zone-partition": [{"orders"}],
    "service-partition": [{"inventory", "orders-db"}],
    "certificate": [{"inventory"}],
    "disk-full": [{"orders-db"}],
    "late-leak": [{"search"}],
    "decoy-changes": [{"payment"}],
    "missing-traces": [{"pricing"}],
    "missing-logs": [{"checkout"}],
    "sampling": [],
    "sampled-fault": [{"inventory"}],
    "clock-skew": [{"catalog"}],
}
LIGHT = ("sale", "decoy-changes", "certificate")
WRONG_NUMBER = {
    "batch": "a processor at its limit opens an incident at once, whether anybody waits for it or not",
    "late-leak": "growth that is told pauses while a collector works, and each time it is told anew",
}
WRONG_CAUSE = {
    "disk-full": "the caller whose writes fail has more evidence than the database, whose reads go on",
    "background-errors-and-fault": "bursts that come all day are blamed",
}


@cache
def truth_of(name: str) -> list[Problem]:
    simulation = simulate_scenario(name, SEED)
    return problems(msgspec.convert(simulation.truth(), Truth), msgspec.convert(simulation.context(), Context))


@cache
def said(name: str) -> list[Incident]:
    """The last version of every episode, in order of opening."""
    incidents = driven(SOURCES, messages_of(simulate_scenario(name, SEED)))
    return [versions[-1] for versions in episodes_of(incidents)]


def right(problem: Problem, incident: Incident) -> bool:
    return problem.names(incident) or (problem.external and incident.no_confident_cause)


def scenarios(wrong: dict[str, str], names: list[str]) -> list[object]:
    cases: list[object] = []
    for name in names:
        marks = [] if name in LIGHT else [pytest.mark.acceptance]
        if name in wrong:
            marks.append(pytest.mark.xfail(strict=True, raises=AssertionError, reason=wrong[name]))
        cases.append(pytest.param(name, marks=marks))
    return cases


def told(name: str) -> str:
    return "\n".join(f"{i.opened_at} {i.title}" for i in said(name))


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_causes_that_a_scenario_should_have_are_those_of_its_truth(name: str) -> None:
    services = simulate_scenario(name, SEED).context()["services"]
    named = [problem.named.intersection(services) for problem in truth_of(name)]
    assert len(named) == len(CAUSES[name]) == SCENARIOS[name].incidents
    for causes, expected in zip(named, CAUSES[name], strict=True):
        assert causes == expected or (expected & {HOST, "the callee"} and causes)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", scenarios(WRONG_NUMBER, list(SCENARIOS)))
def test_a_scenario_gives_as_many_incidents_as_it_should(name: str) -> None:
    assert len(said(name)) == SCENARIOS[name].incidents, told(name)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", scenarios(WRONG_CAUSE, [name for name in SCENARIOS if SCENARIOS[name].incidents]))
def test_what_happened_in_a_scenario_is_named_first(name: str) -> None:
    there = truth_of(name)
    orders = permutations(said(name), len(there))
    assert any(all(map(right, there, order)) for order in orders), told(name)
