"""Days of pods, previews and environments that come and go: tables stay small, and what stays is judged as before."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from aiops.detect import directory, metrics, retention
from aiops.engine import Engine
from aiops.findings import Findings
from aiops.ingest.stage import Message
from aiops.records import Incident, encode, rfc3339
from aiops.signals import WINDOW
from tests.churning import SOURCES, WINDOWS_OF_A_DAY, T, churn, shortened
from tests.replaying import Order, last_incidents, restarted

WINDOWS, FAULT, UNTIL = 480, 420, 450
STABLE = ["cart", "db", "web"]
# What grows with every deployment, preview or environment where nothing is evicted.
GROWING = (
    "detect_services", "detect_edges", "detect_environments", "detect_series", "detect_instances", "detect_log_rates",
    "detect_log_shapes", "detect_log_templates", "detect_operations", "detect_calls", "detect_visit_events",
    "detect_visit_pairs", "respond_services", "respond_edges",
)  # fmt: skip


class Run(NamedTuple):
    """What came out, and the gauges after every message."""

    incidents: list[Incident]
    findings: list[Findings]
    gauges: list[dict[str, float]]


def run(order: Order, batch: int = 1, restart_every: int = 0) -> Run:
    engine, out = Engine(SOURCES), Run([], [], [])
    taken: dict[str, list[Message]] = {source: [] for source in SOURCES}
    for number, start in enumerate(range(0, len(order), batch), 1):
        together: dict[str, list[Message]] = {}
        for source, message in order[start : start + batch]:
            together.setdefault(source, []).append(message)
        steps = []
        for source, messages in together.items():
            taken[source].extend(messages)
            steps.append(engine.process(source, messages))
        if restart_every and number % restart_every == 0:
            steps.append(restarted(engine, taken))
        for step in steps:
            out.incidents.extend(step.incidents)
            out.findings.extend(step.findings)
        out.gauges.append(engine.gauges())
    step = engine.end(order[-1][1].arrival)
    out.incidents.extend(step.incidents)
    out.findings.extend(step.findings)
    return out


def run_shortened(order: Order, batch: int = 1, restart_every: int = 0) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        shortened(patch)
        return run(order, batch, restart_every)


def content(found: Findings, names: list[str] | None = None) -> Any:
    """All that findings say, of these services where they are given."""
    rows = [k for k, name in enumerate(found.services) if names is None or name in names]
    pairs = [k for k, pair in enumerate(found.edges) if names is None or set(pair) <= set(names)]
    notes = {key: note for key, note in found.notes.items() if names is None or key[0] in names}
    return (
        found.environment, found.time, [found.services[k] for k in rows], found.terms[rows].tobytes(),
        found.visits[rows].tobytes(), found.failed[rows].tobytes(), [found.edges[k] for k in pairs],
        found.edge_terms[pairs].tobytes(), found.calls[pairs].tobytes(), notes,
        [encode(a) for a in found.anomalies if names is None or a.service in names], found.totals,
    )  # fmt: skip


@pytest.fixture(scope="module")
def order() -> Order:
    return churn(WINDOWS, FAULT, UNTIL, seed=7)


@pytest.fixture(scope="module")
def evicting(order: Order) -> Run:
    return run_shortened(order)


@pytest.fixture(scope="module")
def growing(order: Order) -> Run:
    """The same with the retentions of real days: nothing is evicted in the 80 minutes of the telemetry."""
    return run(order)


def test_tables_stay_as_large_as_a_day_of_churn(evicting: Run) -> None:
    second = 3 * 2 * WINDOWS_OF_A_DAY  # gauges are those of each message
    for name in GROWING:
        sizes = [gauges[name] for gauges in evicting.gauges[: 3 * FAULT]]  # the fault brings errors, which are new
        assert max(sizes[second:]) <= max(sizes[:second]), name


def test_they_would_grow_without_eviction(growing: Run, evicting: Run) -> None:
    for name in GROWING:
        assert growing.gauges[-1][name] > 1.5 * evicting.gauges[-1][name], name


def test_what_stays_is_judged_to_the_last_bit_as_if_nothing_had_gone(growing: Run, evicting: Run) -> None:
    def of(outcome: Run) -> list[Any]:
        return [content(found, STABLE) for found in outcome.findings if found.environment == "prod"]

    assert evicting.gauges[-1]["detect_evicted_services_total"] > 40
    assert of(evicting) == of(growing)


def test_only_lines_of_previews_are_forgotten(evicting: Run) -> None:
    """Every preview writes one line; those of what stays are in use."""
    last = evicting.gauges[-1]
    assert last["detect_evicted_log_shapes_total"] == last["detect_evicted_log_rates_total"]
    assert last["detect_evicted_services_total"] > 2 * last["detect_evicted_log_shapes_total"] > 0


def test_the_fault_is_the_only_incident_and_its_cause_is_named(evicting: Run) -> None:
    last = {incident.incident_id: incident for incident in evicting.incidents}
    (incident,) = last.values()
    assert incident.causes[0].service == "cart"
    assert rfc3339(T + FAULT * WINDOW) <= incident.opened_at <= rfc3339(T + UNTIL * WINDOW)
    assert incident.state == "resolved"


def test_batches_do_not_matter(order: Order, evicting: Run) -> None:
    together = run_shortened(order, len(order))
    assert last_incidents(together.incidents) == last_incidents(evicting.incidents)
    assert [content(found) for found in together.findings] == [content(found) for found in evicting.findings]


def test_a_restart_of_every_stage_does_not_matter(order: Order, evicting: Run) -> None:
    again = run_shortened(order, 1, restart_every=50)
    assert last_incidents(again.incidents) == last_incidents(evicting.incidents)
    assert [content(found) for found in again.findings] == [content(found) for found in evicting.findings]


def test_a_partition_that_is_nearly_full_gives_up_the_oldest_and_none_that_lives(
    order: Order, growing: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the hour: the retentions are those of real days."""
    monkeypatch.setattr(directory, "MAX_SERVICES", 24)
    monkeypatch.setattr(directory, "MAX_EDGES", 14)
    monkeypatch.setattr(metrics, "MAX_SERIES", 200)
    monkeypatch.setattr(retention, "ALIVE", 12 * WINDOW)
    full = run(order)
    assert all(gauges["detect_services"] <= 24 for gauges in full.gauges)
    assert all(gauges["detect_series"] <= 200 for gauges in full.gauges)
    assert full.gauges[-1]["detect_evicted_series_total"] > 100
    assert full.gauges[-1]["detect_ignored_series_total"] == 0
    assert not any(directory.OTHER in found.services for found in full.findings)
    stable = [content(found, STABLE) for found in full.findings if found.environment == "prod"]
    assert stable == [content(found, STABLE) for found in growing.findings if found.environment == "prod"]


def test_a_gauge_is_named_after_its_stage_and_holds_no_data(evicting: Run) -> None:
    names = set(evicting.gauges[0])
    assert all(set(gauges) == names for gauges in evicting.gauges)
    assert {name.partition("_")[0] for name in names} == {"ingest", "assemble", "detect", "respond"}
    for gauges in evicting.gauges[-30:]:
        assert all(value >= 0 for value in gauges.values())
    totals = [name for name in names if name.endswith("_total")]
    for before, after in zip(evicting.gauges, evicting.gauges[1:], strict=False):
        assert all(after[name] >= before[name] for name in totals)
