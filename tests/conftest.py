"""Fixtures that every package's tests share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from aiops import warm
from aiops.engine import Engine, Step
from aiops.recording import Recording
from aiops.replay import drive
from aiops.simulate import Simulation, write
from tests.replaying import in_order, last_incidents, last_topology, replayed

WITH_BROKER = "tests/kafka/"


def pytest_configure(config: pytest.Config) -> None:
    """Let Ctrl-C end processes that tests start, and compile the kernels once where several workers would each do it.

    A shell starts what runs in its background with Ctrl-C ignored, and children inherit that.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("numprocesses", None):  # the process that hands out tests, not a worker
        config.option.loadscopereorder = False  # not what has most tests first, but what takes longest: see below
        if find_spec("confluent_kafka") is not None:  # or four roles at once would compile what only they use
            subprocess.run([sys.executable, "-m", "streams.warm"], check=True)
        elif warm.cold():
            warm.warm()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that need the broker: they take longest."""
    items.sort(key=lambda item: not item.nodeid.startswith(WITH_BROKER))  # stable


class _BrokerInOne(LoadScopeScheduling):  # type: ignore[misc]
    """All tests that need the broker go to one worker, of others those of a file.

    The broker's tests wait more than they compute, so another worker has the machine nearly to itself meanwhile.
    ``--dist loadgroup`` would do, but pytest-xdist 3.8 puts the group where pytest 9.2 does not look for it.
    """

    def _split_scope(self, nodeid: str) -> str:
        return WITH_BROKER if nodeid.startswith(WITH_BROKER) else nodeid.split("::", 1)[0]


@pytest.hookimpl(optionalhook=True)  # where pytest-xdist is switched off there is no such hook
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _BrokerInOne:
    """How ``-n 2`` hands out tests."""
    return _BrokerInOne(config, log)


@pytest.fixture(scope="session")
def recorded_data() -> Path:
    """The folder of recorded, labelled telemetry; such data has its own licences and is no part of the project."""
    folder = os.environ.get("AIOPS_DATA", "")
    if not folder:
        pytest.skip("AIOPS_DATA is not set: it names the folder of recorded data sets")
    path = Path(folder)
    if not path.is_dir():
        pytest.fail(f"AIOPS_DATA is {folder!r}, which is no directory")
    return path


@pytest.fixture(scope="session")
def skewed_hour(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """An hour of a shop with two faults, one host's clock three hours ahead."""
    folder = tmp_path_factory.mktemp("skewed-hour")
    kinds = ["code_error", "cpu"]
    write(Simulation(21, 1.1, kinds, rate=2.5, warmup_s=900, spacing_s=900, wrong_clock=10_800), folder)
    return Recording(folder)


@pytest.fixture(scope="session")
def skewed_incidents(skewed_hour: Recording) -> bytes:
    """The last incidents of the hour, then its topology."""
    sources, order = in_order(skewed_hour)
    incidents = replayed(sources, order, 64, ticks=True)
    assert incidents.count(b'\n{"schema_version":"1.0","incident_id":') >= 1, "there must be incidents to compare"
    assert b"topology_id" in incidents
    return incidents


@pytest.fixture(scope="session")
def faulty_hour(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """An hour of a shop with two faults, one host's clock as wrong as the seed draws it."""
    folder = tmp_path_factory.mktemp("faulty-hour")
    write(Simulation(5, 1.0, ["code_error", "bad_deploy"], rate=2.0), folder)
    return Recording(folder)


@pytest.fixture(scope="session")
def faulty_steps(faulty_hour: Recording) -> list[Step]:
    """What a replay of the hour makes."""
    return [at.step for at in drive(Engine(faulty_hour.sources), faulty_hour.messages())]


@pytest.fixture(scope="session")
def faulty_topology(faulty_steps: list[Step]) -> bytes:
    """The topology at the end of the hour."""
    return last_topology(record for step in faulty_steps for record in step.topology)


@pytest.fixture(scope="session")
def faulty_incidents(faulty_steps: list[Step]) -> bytes:
    """The last incidents of the hour."""
    incidents = last_incidents(incident for step in faulty_steps for incident in step.incidents)
    assert incidents, "the hour opens no incident: nothing would be compared"
    return incidents


@pytest.fixture
def seed() -> int:
    """Seed of whatever a test draws; AIOPS_SEED tries others."""
    return int(os.environ.get("AIOPS_SEED", "20240229"))


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    """Generator of its own for each test, so that the order of tests changes no draw."""
    return np.random.default_rng(seed)
