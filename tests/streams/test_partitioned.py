"""Same telemetry, same incidents, whatever the number of partitions and through bytes at every boundary."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.recording import Recording
from tests.replaying import in_order, replayed, spread
from tests.streams.partitioned import partitioned


@pytest.mark.parametrize("numbers", [(1, 1, 1), pytest.param((4, 4, 2), marks=pytest.mark.acceptance), (3, 5, 1)])
def test_the_number_of_partitions_changes_no_incident(skewed_hour, skewed_incidents, numbers):
    sources, order = in_order(skewed_hour)
    assert partitioned(sources, order, 64, numbers) == skewed_incidents


def test_many_sources_read_in_random_turns_into_many_partitions(skewed_hour, skewed_incidents):
    sources, order = spread(skewed_hour, 3, seed=3)
    assert partitioned(sources, order, 37, (2, 3, 2), ticks=False) == skewed_incidents


@pytest.mark.data
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("day", ["2022-08-22", "2023-01-29"])
def test_recorded_days_give_the_same_incidents_in_partitions(recorded_data: Path, day: str) -> None:
    sources, order = in_order(Recording(recorded_data / "nezha" / day))
    assert partitioned(sources, order, 64, (4, 4, 2)) == replayed(sources, order, 64, ticks=True)
