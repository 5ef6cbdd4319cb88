"""Incidents on a real broker are those of the embedded engine, byte for byte, also when processes die."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.simulate import Simulation, write
from tests.kafka.deployment import Deployment, replayed, torment

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def day(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("day")
    write(Simulation(5, 1.0, ["code_error", "bad_deploy"], rate=2.0), folder)
    return folder


@pytest.fixture(scope="module")
def expected(day) -> bytes:
    out = replayed(day)
    assert out, "the day opens no incident: nothing would be compared"
    return out


def test_one_process_of_each_role(kafka, prefix, tmp_path, day, expected):
    with Deployment(
        kafka.client(), prefix, tmp_path, dict.fromkeys(("ingest", "assemble", "detect", "respond"), 1)
    ) as d:
        assert d.produce(day).wait() == 0
        assert d.until_equal(expected, 120) == expected, d.logs()
        assert d.ended == []


def test_a_death_in_every_role(kafka, prefix, tmp_path, day, expected):
    processes = {"ingest": 2, "assemble": 1, "detect": 2, "respond": 1}
    with Deployment(kafka.client(), prefix, tmp_path, processes) as d:
        produced = d.produce(day, speed=120)
        hits = torment(d, seed=1, each=1, seconds=20, freeze=False)
        assert produced.wait() == 0
        assert d.until_equal(expected, 180) == expected, d.logs()
        assert sum(hits.values()) == 4
