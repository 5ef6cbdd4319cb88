"""The demo: what it simulates, and what it says."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from aiops.demo import KINDS, SEED, Shown, _show, demo, live_messages, recorded_messages, simulation
from aiops.records import Cause, Evidence, Impact, Incident, RelatedChange
from aiops.simulate import Simulation


@pytest.fixture(scope="module")
def shown():
    """Text and score of the default demo."""
    file = io.StringIO()
    result = demo(Console(file=file, width=10_000, highlight=False))
    return file.getvalue(), result


def incident(**fields):
    evidence = Evidence(
        type="log", statement="[red]boom[/red] in 17 of 20 visits", weight=2.0, onset="2025-03-03T08:02:00.000Z"
    )
    cause = Cause(
        rank=1,
        service="shipping",
        kind="code",
        score=6.0,
        confidence=0.7,
        summary="shipping behaves differently: [red]boom[/red] in 17 of 20 visits",
        evidence=(evidence,),
        caveats=("only one witness",),
    )
    other = Cause(rank=2, service="cart", kind="network", score=1.0, confidence=0.2, summary="cart is slow to reach")
    given = {
        "incident_id": "1",
        "version": 1,
        "tenant": "default",
        "environment": "production",
        "state": "open",
        "severity": "high",
        "title": "shipping: [red]boom[/red]",
        "summary": "",
        "opened_at": "2025-03-03T08:02:30.000Z",
        "onset_at": "2025-03-03T08:02:00.000Z",
        "updated_at": "2025-03-03T08:02:30.000Z",
        "services": ("cart", "shipping"),
        "causes": (cause, other),
        "impact": Impact(services=("ads", "web"), blast_radius=2, requests_affected_ratio=0.12, felt=("web",)),
        "severity_reason": "12.0 % of the requests that can reach it fail",
        "changes": (RelatedChange(change_id="c", summary="Release 1.2", reason="1 min before the onset", score=1.0),),
        "engine_version": "0",
        "config_hash": "0",
    }
    return Incident(**{**given, **fields})


def said(*versions):
    file = io.StringIO()
    state = Shown()
    for version in versions:
        _show(Console(file=file, width=10_000, highlight=False), version, state)
    return file.getvalue()


def test_it_ends_with_a_correct_incident_on_the_screen(shown):
    text, result = shown
    right = [o for o in result.final.outcomes if o.rank == 1]
    assert right
    for outcome in right:
        assert f"1. {outcome.fault.service} (" in text
    assert f"{len(result.final.outcomes)} faults, " in text
    assert text.index("HIGH" if "HIGH" in text else "LOW") < text.index("What was injected")
    assert f"aiops demo --seed {SEED + 1}" in text


def test_text_for_a_pipe_has_neither_colours_nor_markup(shown):
    assert not re.search(r"\x1b|\[/?(bold|dim|red|green|yellow)", shown[0])


def test_there_is_history_before_the_first_fault_and_changes_that_cause_nothing():
    for seed in range(1, 11):
        simulated = simulation(seed)
        faults = simulated.faults
        assert 2 <= len(faults) <= 3
        assert {fault.kind for fault in faults} <= set(KINDS)
        assert min(fault.start for fault in faults) >= 1200
        assert len(simulated.changes()) > sum(fault.kind == "bad_deploy" for fault in faults)


def test_too_short_a_demo_is_refused():
    with pytest.raises(ValueError, match="--minutes 30 leaves no room for a fault"):
        simulation(minutes=30)


def test_an_incident_is_shown_when_it_opens_is_explained_and_is_over_and_not_in_between():
    over = incident(version=4, settled=True, state="resolved", resolved_at="2025-03-03T08:04:35.000Z")
    text = said(incident(), incident(version=2), incident(version=3, settled=True), over)
    assert re.findall(r"HIGH (\w+)", text) == ["opened", "explained", "resolved"]
    assert "resolved after 2 min 05 s" in text


def test_an_incident_that_is_over_before_it_is_settled_is_explained_all_the_same():
    text = said(incident(), incident(version=2, state="resolved", resolved_at="2025-03-03T08:04:35.000Z"))
    assert re.findall(r"HIGH (\w+)", text) == ["opened", "explained", "resolved"]


def test_an_episode_is_shown_again():
    text = said(incident(state="resolved"), incident(version=5, episode=2))
    assert "HIGH opened again (episode 2)" in text


def test_explained_says_cause_evidence_caveat_second_change_and_impact():
    text = said(incident(settled=True))
    for words in (
        "1. shipping (code, confidence 0.70)  shipping behaves differently",
        "+ log: [red]boom[/red] in 17 of 20 visits (since 08:02:00)",  # what a log line holds is no markup
        "! only one witness",
        "2. cart (network, confidence 0.20)  cart is slow to reach",
        "Release 1.2: 1 min before the onset",
        "felt by     web (blast radius 2, 12.0% of requests affected)",
        "perhaps by  ads",
        "severity    high: 12.0 % of the requests that can reach it fail",
    ):
        assert words in text


def test_no_confident_cause_is_said():
    assert "no confident cause" in said(incident(settled=True, no_confident_cause=True))


def test_messages_are_those_of_the_simulation_in_order_of_arrival():
    simulated = Simulation(3, 0.25, None, rate=0.5, change_spacing_s=60.0)
    assert simulated.changes()
    lines: dict[str, list[bytes]] = {}
    for name, line in simulated.batches():
        lines.setdefault(f"{name}/0", []).append(line)
    for messages in (list(recorded_messages(simulated)), list(live_messages(simulated))):
        arrivals = [m.arrival for _, m in messages]
        assert arrivals == sorted(arrivals)
        for source, expected in lines.items():
            of = [m for name, m in messages if name == source]
            assert [m.value for m in of] == expected
            assert [m.offset for m in of] == list(range(len(expected)))
