"""The promises of the README on whole days: ``make acceptance``, a few minutes.

Recorded days are read where AIOPS_DATA says; simulated ones use seeds on which nothing was ever chosen:
which seeds were looked at is kept in docs/limits.md.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.recording import Recording
from aiops.records import Incident
from aiops.scoring import Outcome, Score, found, read_day, score, top
from aiops.simulate import Simulation, write
from tests.replaying import driven, in_order, replayed, spread

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

DAYS = ("2022-08-22", "2023-01-29")
SEEDS = (341, 342, 343, 344, 345)


def _incidents(folder: Path) -> list[Incident]:
    recording = Recording(folder)
    return driven(recording.sources, recording.messages())


def _judged(folder: Path) -> Score:
    return score(*read_day(folder), _incidents(folder))


@pytest.mark.data
@pytest.mark.parametrize("day", DAYS)
def test_a_recorded_day_of_faults_is_found_and_explained(recorded_data: Path, day: str) -> None:
    result = _judged(recorded_data / "nezha" / day)
    outcomes = result.final.outcomes
    assert found(outcomes) >= 0.85
    assert top(outcomes, 1) >= 0.65
    assert top(outcomes, 3) >= 0.80
    assert len(result.false) / result.hours <= 1.0


@pytest.mark.data
@pytest.mark.parametrize("day", DAYS)
def test_a_recorded_day_gives_the_same_bytes_however_it_is_read(recorded_data: Path, day: str) -> None:
    recording = Recording(recorded_data / "nezha" / day)
    sources, order = in_order(recording)
    expected = replayed(sources, order, 64, ticks=True)
    assert replayed(sources, order, 1, restart_every=100) == expected
    assert replayed(sources, order, len(order)) == expected
    for n in (1, 4, 16):
        assert replayed(*spread(recording, n, seed=n), 37) == expected


def test_faults_of_unseen_seeds_are_found_and_explained(tmp_path: Path) -> None:
    outcomes: list[Outcome] = []
    for seed in SEEDS:
        folder = tmp_path / str(seed)
        write(Simulation(seed, 5.0, rate=3.0), folder)
        outcomes += _judged(folder).final.outcomes
    missed = [(o.fault.kind, o.fault.service) for o in outcomes if not o.found]
    assert found(outcomes) == 1.0, missed
    assert top(outcomes, 1) >= 0.8


def test_a_day_without_faults_opens_at_most_one_incident(tmp_path: Path) -> None:
    write(Simulation(310, 24.0, None, rate=2.0), tmp_path)
    opened = {(i.incident_id, i.episode): i.title for i in _incidents(tmp_path)}
    assert len(opened) <= 1, list(opened.values())
