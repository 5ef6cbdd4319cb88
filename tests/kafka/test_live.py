"""What only happens live: sources that fall silent tick, and one whose owner is away is let go and taken back."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from aiops.signals import SECOND
from aiops.simulate import Simulation, write
from tests.kafka.deployment import ROLES, Deployment
from tests.kafka.topics import read
from tests.kafka.waiting import until

pytestmark = pytest.mark.timeout(240)


def findings(d: Deployment) -> list[int]:
    """Ends of the windows that detect has judged, Unix seconds."""
    found = []
    for message in read(d.kafka, f"{d.prefix}.findings"):
        headers = dict(message.headers() or [])
        if headers.get("kind") == b"findings":
            found.append(int(headers["time"] or b"") // SECOND)
    return sorted(set(found))


@pytest.fixture(scope="module")
def minutes(tmp_path_factory) -> tuple[Path, int]:
    """Six minutes that end now, and when."""
    folder: Path = tmp_path_factory.mktemp("minutes")
    start = int(time.time()) - 380
    write(Simulation(3, 0.1, None, rate=1.0, start_unix=start, wrong_clock=False), folder)
    return folder, start + 360


def test_windows_close_although_nothing_comes_any_more(kafka, prefix, tmp_path, minutes):
    """No end of input, and partitions that never had a message: ticks alone close what is open."""
    folder, end = minutes
    clocks = {"idle_after": "4s", "tick_every": "10s", "hold_limit": "never"}
    with Deployment(
        kafka.client(), prefix, tmp_path, dict.fromkeys(("ingest", "assemble", "detect"), 1), clocks=clocks
    ) as d:
        assert d.produce(folder, end=False).wait() == 0
        until(lambda: findings(d)[-1:] >= [end // 10 * 10], 120, why=d.logs, pause=lambda: d.watch(0.5))
        assert d.ended == []


def test_who_holds_everybody_up_is_let_go_and_people_are_told(kafka, prefix, tmp_path, minutes):
    """Nobody reads the changes; their sources never speak."""
    folder, _ = minutes
    clocks = {"idle_after": "never", "hold_limit": "5s"}
    with Deployment(kafka.client(), prefix, tmp_path, dict.fromkeys(ROLES, 1), clocks=clocks) as d:
        assert d.produce(folder, end=False).wait() == 0

        def told() -> set[str]:
            return {json.loads(message.value() or b"")["source"] for message in read(d.kafka, f"{d.prefix}.notices")}

        changes = {f"{prefix}changes/{p}" for p in range(4)}
        until(lambda: told() >= changes, 150, why=d.logs, pause=lambda: d.watch(0.5))
        assert findings(d)
        assert d.ended == []
