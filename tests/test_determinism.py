"""Same telemetry, same incidents: the last version of every incident is the same bytes, however the input was read."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aiops.recording import Recording
from tests.replaying import in_order, replayed, spread

# Every feature level that numpy dispatches on and that changes how it rounds logarithms or orders sums.
# numpy 2.4 names the level that brings AVX2 and FMA3 "X86_V3"; earlier releases named the features.
FEATURES = "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"


def test_one_message_at_a_time(skewed_hour: Recording, skewed_incidents: bytes) -> None:
    sources, order = in_order(skewed_hour)
    assert replayed(sources, order, 1, ticks=True) == skewed_incidents


def test_everything_at_once(skewed_hour: Recording, skewed_incidents: bytes) -> None:
    sources, order = in_order(skewed_hour)
    assert replayed(sources, order, len(order)) == skewed_incidents


@pytest.mark.parametrize("n", [1, pytest.param(4, marks=pytest.mark.acceptance), 16])
def test_each_file_spread_over_sources_that_are_read_in_random_turns(
    skewed_hour: Recording, skewed_incidents: bytes, n: int
) -> None:
    sources, order = spread(skewed_hour, n, seed=n)
    assert replayed(sources, order, 37) == skewed_incidents


def test_every_stage_restarted_at_every_hundredth_step(skewed_hour: Recording, skewed_incidents: bytes) -> None:
    sources, order = in_order(skewed_hour)
    assert replayed(sources, order, 1, restart_every=100) == skewed_incidents


def test_restarts_while_sources_are_out_of_step(skewed_hour: Recording, skewed_incidents: bytes) -> None:
    sources, order = spread(skewed_hour, 4, seed=5)
    assert replayed(sources, order, 20, restart_every=20) == skewed_incidents


def test_another_cpu_feature_level(skewed_hour: Recording, skewed_incidents: bytes) -> None:
    """NumPy rounds some functions differently where AVX2 and AVX-512 are missing; incidents must not."""
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": FEATURES}
    probe = "import json, numpy; print(json.dumps(numpy._core._multiarray_umath.__cpu_features__))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", probe], capture_output=True, env=environment, check=True
    )
    assert not json.loads(done.stdout).get("X86_V3"), "numpy did not give up the level that brings AVX2"
    command = [sys.executable, "-W", "ignore", "-m", "tests.replaying", str(skewed_hour.folder)]
    root = Path(__file__).resolve().parent.parent
    digest = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=root, check=True)
    assert digest.stdout.strip() == hashlib.sha256(skewed_incidents).hexdigest()


def test_the_comparison_can_fail(skewed_hour: Recording, skewed_incidents: bytes) -> None:
    """A recording without one of its messages gives other incidents: the tests above do compare something."""
    sources, order = in_order(skewed_hour)
    shortened = [entry for number, entry in enumerate(order) if number % 50]
    assert replayed(sources, shortened, 64, ticks=True) != skewed_incidents
