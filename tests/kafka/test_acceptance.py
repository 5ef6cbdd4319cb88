"""The promise of exactness on whole days (``make acceptance``): any number of processes, killed, frozen, the broker restarted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from aiops.simulate import Simulation, write
from streams.client import Incidents
from streams.local_kafka import LocalKafka
from streams.records import Out
from tests.kafka.deployment import ROLES, Deployment, replayed, torment
from tests.kafka.topics import read

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1200)]

RECORDED = ("2022-08-22", "2023-01-29")
SIMULATED = ("simulated 41", "simulated 42")
TOPOLOGIES = ((2, 2, 2, 1), (1, 1, 1, 1), (3, 1, 2, 1))
PACE = 900.0  # times real time, so that a recorded day lasts long enough to be disturbed
UNDER_WAY = 100.0  # seconds of disturbance
SLEPT, AWAY, ABORTED = 75, 2, -6  # statuses: longer than its session; started while the broker was away; an assertion
ASSERTION = (
    "rd_kafka_enq_once_del_source_return: Assertion"  # inside librdkafka 2.16: a broker dies while a client begins
)


@pytest.fixture(scope="module")
def broker() -> Iterator[LocalKafka]:
    """One that the tests may restart, and that compacts at once."""
    with LocalKafka(properties={"log.cleaner.backoff.ms": "500"}) as kafka:
        yield kafka


@pytest.fixture(scope="module")
def days(tmp_path_factory) -> dict[str, Path]:
    folder: Path = tmp_path_factory.mktemp("days")
    found = {}
    for name in SIMULATED:
        found[name] = folder / name.replace(" ", "-")
        write(Simulation(int(name.split()[1]), 6.0, rate=2.0), found[name])
    return found


@pytest.fixture(params=[*(pytest.param(day, marks=pytest.mark.data) for day in RECORDED), *SIMULATED])
def day(request, days) -> Path:
    name: str = request.param
    if name in days:
        return Path(days[name])
    data: Path = request.getfixturevalue("recorded_data")
    return data / "nezha" / name


def processes(numbers: tuple[int, ...]) -> dict[str, int]:
    return dict(zip(ROLES, numbers, strict=True))


@pytest.mark.parametrize("numbers", TOPOLOGIES, ids=lambda n: "-".join(map(str, n)))
def test_any_number_of_processes(broker, prefix, tmp_path, day, numbers):
    expected = replayed(day)
    assert expected
    with Deployment(broker.client(), prefix, tmp_path, processes(numbers)) as d:
        assert d.produce(day).wait() == 0
        assert d.until_equal(expected, 300) == expected, d.logs()
        assert d.ended == []


@pytest.mark.parametrize("seed", [1])
def test_deaths_sleep_and_a_broker_that_restarts(broker, prefix, tmp_path, day, seed):
    expected = replayed(day)
    with Deployment(broker.client(), prefix, tmp_path, processes((2, 2, 2, 2))) as d:
        produced = d.produce(day, speed=PACE)
        hits = torment(d, seed, each=6, seconds=UNDER_WAY, broker=broker)
        while produced.poll() is None:
            d.watch(0.1)
        assert produced.returncode == 0
        assert d.until_equal(expected, 300) == expected, d.logs()
        assert hits["at once"] + hits["later"] >= 12
        assert hits["frozen"] >= 4
        statuses = [status for _, status in d.ended]
        assert set(statuses) <= {SLEPT, AWAY, ABORTED}, d.logs()
        texts = [path.read_text() for path in tmp_path.glob("*.log")]
        assert statuses.count(ABORTED) == sum(text.count(ASSERTION) for text in texts), d.logs()  # and of no other


def test_compaction_keeps_the_highest_version(broker, prefix, tmp_path, days):
    day = days[SIMULATED[0]]
    expected = replayed(day)
    with Deployment(broker.client(), prefix, tmp_path, processes((1, 1, 1, 2))) as d:
        topic = f"{d.prefix}.incidents"
        settle(
            broker, topic, {"segment.ms": "1000", "min.cleanable.dirty.ratio": "0.0", "max.compaction.lag.ms": "1000"}
        )
        produced = d.produce(day, speed=PACE)
        torment(d, 5, each=2, seconds=20)
        assert produced.wait() == 0
        assert d.until_equal(expected, 300) == expected, d.logs()
        written = count(broker, topic)
        # As of a sleeper that wakes late: the first version of each incident, after the last one.
        with Incidents(broker.client(), topic=topic) as reader:
            old = [event for event in reader.until_end() if event.incident.version == 1]
        producer = Producer({**broker.client(), "partitioner": "murmur2_random"})
        for event in old:
            send(producer, Out(topic, None, event.value, [("version", b"1")], event.incident.incident_id.encode()))
        assert old
        end = time.monotonic() + 120
        while count(broker, topic) > len(expected.splitlines()) + 8 and time.monotonic() < end:
            for p in range(4):  # only closed segments are compacted, and only a record closes one
                producer.produce(topic, None, f"nobody-{p}".encode(), p)
            producer.flush()
            time.sleep(1.1)
        left = count(broker, topic)
        assert left < written, "nothing was compacted"
        assert last_records(broker, topic) == expected


def settle(broker: LocalKafka, topic: str, config: dict[str, str]) -> None:
    admin = AdminClient({**broker.client()})
    changes = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in config.items()]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=changes)
    for future in admin.incremental_alter_configs([resource]).values():
        future.result()


def send(producer: Producer, out: Out) -> None:
    producer.produce(out.topic, out.value, out.key, headers=[*out.headers])


def records(broker: LocalKafka, topic: str) -> list[tuple[bytes, bytes | None]]:
    """Key and value of every record that is left."""
    found = ((message.key(), message.value()) for message in read(broker.client(), topic))
    return [(key, value) for key, value in found if key is not None and not key.startswith(b"nobody")]


def count(broker: LocalKafka, topic: str) -> int:
    return len(records(broker, topic))


def last_records(broker: LocalKafka, topic: str) -> bytes:
    """The last record of each key, not the highest version: what a reader sees who trusts compaction."""
    last = {key: value for key, value in records(broker, topic) if value is not None}
    return b"".join(last[key] + b"\n" for key in sorted(last))
