"""Fixtures that every package's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest


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


@pytest.fixture
def seed() -> int:
    """Seed of whatever a test draws; AIOPS_SEED tries others."""
    return int(os.environ.get("AIOPS_SEED", "20240229"))


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    """Generator of its own for each test, so that the order of tests changes no draw."""
    return np.random.default_rng(seed)
