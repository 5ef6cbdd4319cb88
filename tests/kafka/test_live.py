"""What only happens live: sources that fall silent tick, and one whose owner is away is let go and taken back."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from aiops.signals import SECOND
from aiops.simulate import Simulation, write
from tests.kafka.deployment import ROLES, Deployment

pytestmark = pytest.mark.timeout(240)


def findings(d: Deployment) -> list[int]:
    """Ends of the windows that detect has judged, Unix seconds."""
    found = []
    for headers, _ in records(d, "findings"):
        if headers.get("kind") == b"findings":
            found.append(int(headers["time"]) // SECOND)
    return sorted(set(found))


def records(d: Deployment, topic: str) -> list[tuple[dict[str, bytes], bytes]]:
    name = f"{d.prefix}.{topic}"
    consumer = Consumer({**d.kafka, "group.id": "look", "enable.partition.eof": True})
    partitions = consumer.list_topics(name).topics[name].partitions
    consumer.assign([TopicPartition(name, p, 0) for p in partitions])
    out, ended = list[tuple[dict[str, bytes], bytes]](), 0
    while ended < len(partitions):
        for message in consumer.consume(500, 1.0):
            if message.error() is not None:
                ended += 1
            else:
                pairs = dict(message.headers() or [])
                out.append(({k: v if isinstance(v, bytes) else b"" for k, v in pairs.items()}, message.value() or b""))
    consumer.close()
    return out


def until(d: Deployment, true: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        d.look()
        time.sleep(0.5)
    return True


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
        assert until(d, lambda: findings(d)[-1:] >= [end // 10 * 10], 120), d.logs()
        assert d.ended == []


def test_who_holds_everybody_up_is_let_go_and_people_are_told(kafka, prefix, tmp_path, minutes):
    """Nobody reads the changes; their sources never speak."""
    folder, _ = minutes
    clocks = {"idle_after": "never", "hold_limit": "5s"}
    with Deployment(kafka.client(), prefix, tmp_path, dict.fromkeys(ROLES, 1), clocks=clocks) as d:
        assert d.produce(folder, end=False).wait() == 0

        def told() -> set[str]:
            return {json.loads(value)["source"] for _, value in records(d, "notices")}

        changes = {f"{prefix}changes/{p}" for p in range(4)}
        assert until(d, lambda: told() >= changes, 150), d.logs()
        assert findings(d)
        assert d.ended == []
