"""The roles as functions of their logs: the same incidents as embedded, whatever the partitions, turns and crashes."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.recording import Recording
from aiops.simulate import Simulation, write
from streams.layout import Layout
from tests.streams.log import Cluster, replayed


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Recording:
    folder: Path = tmp_path_factory.mktemp("day")
    write(Simulation(5, 1.0, ["code_error", "bad_deploy"], rate=2.0), folder)
    return Recording(folder)


@pytest.fixture(scope="module")
def expected(recording) -> bytes:
    out = replayed(recording)
    assert out, "the day opens no incident: nothing would be compared"
    return out


@pytest.mark.parametrize(
    ("raw", "traces", "signals", "findings", "part"), [(1, 1, 1, 1, 900_000), (4, 4, 4, 2, 900_000), (2, 3, 5, 1, 700)]
)
def test_partitions_and_turns_change_no_byte(recording, expected, raw, traces, signals, findings, part):
    layout = Layout(traces=traces, signals=signals, findings=findings, part=part)
    cluster = Cluster(layout, raw, seed=raw)
    cluster.produce(recording, raw)
    assert cluster.run() == expected


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_crashes_at_any_moment_change_no_byte(recording, expected, seed):
    cluster = Cluster(Layout(traces=2, signals=2, findings=2, part=2_000), 2, seed)
    cluster.produce(recording, 2)
    assert cluster.run(crashes=60) == expected
    assert cluster.crashes == 60
