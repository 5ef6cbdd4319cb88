"""Same telemetry, same incidents, whatever the number of partitions and through bytes at every boundary."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.recording import Recording
from aiops.simulate import Simulation, write
from tests.replaying import in_order, replayed, spread
from tests.streams.partitioned import partitioned


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """An hour of a shop with two faults, one host's clock three hours ahead."""
    folder = tmp_path_factory.mktemp("recording")
    kinds = ["code_error", "cpu"]
    write(Simulation(21, 1.1, kinds, rate=2.5, warmup_s=900, spacing_s=900, wrong_clock=10_800), folder)
    return Recording(folder)


@pytest.fixture(scope="module")
def expected(recording: Recording) -> bytes:
    sources, order = in_order(recording)
    incidents = replayed(sources, order, 64, ticks=True)
    assert incidents.count(b"\n") >= 1, "there must be incidents to compare"
    return incidents


@pytest.mark.parametrize("numbers", [(1, 1, 1), (4, 4, 2), (3, 5, 1)])
def test_the_number_of_partitions_changes_no_incident(recording, expected, numbers):
    sources, order = in_order(recording)
    assert partitioned(sources, order, 64, numbers) == expected


def test_many_sources_read_in_random_turns_into_many_partitions(recording, expected):
    sources, order = spread(recording, 3, seed=3)
    assert partitioned(sources, order, 37, (2, 3, 2), ticks=False) == expected


@pytest.mark.data
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("day", ["2022-08-22", "2023-01-29"])
def test_recorded_days_give_the_same_incidents_in_partitions(recorded_data: Path, day: str) -> None:
    sources, order = in_order(Recording(recorded_data / "nezha" / day))
    assert partitioned(sources, order, 64, (4, 4, 2)) == replayed(sources, order, 64, ticks=True)
