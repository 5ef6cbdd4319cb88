"""Topics on a real broker: made, written, read to their end; and those of one test, with what is sent to them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import yaml
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from aiops.records import encode
from tests.kafka.waiting import until
from tests.test_records import INCIDENT

SIGNALS = {"metrics": "metrics", "logs": "logs", "spans": "traces", "changes": "changes"}  # topic -> signal
WAIT = 30  # seconds


def create(client: Mapping[str, Any], topic: str, partitions: int = 1, copies: int = 1) -> None:
    admin = AdminClient({**client})  # its futures end with it
    admin.create_topics([NewTopic(topic, partitions, copies)])[topic].result(WAIT)


def anew(client: Mapping[str, Any], topic: str) -> None:
    """Make a topic that other tests of the session may have made; deleting one takes a moment."""
    admin = AdminClient({**client})
    with contextlib.suppress(KafkaException):
        admin.delete_topics([topic])[topic].result(WAIT)

    def created() -> bool:
        with contextlib.suppress(KafkaException):
            create(client, topic)
            return True
        return False

    until(created, WAIT)


def send(client: Mapping[str, Any], topic: str, values: Iterable[bytes]) -> list[Any]:
    """Send with all acknowledgements; return the errors of deliveries."""
    failed: list[Any] = []
    settings = {"acks": "all", "enable.idempotence": True, "message.max.bytes": 20 << 20, "delivery.timeout.ms": 60_000}
    producer = Producer({**client, **settings})
    for value in values:
        producer.produce(topic, value, on_delivery=lambda error, _: failed.append(error) if error else None)
        producer.poll(0)
    left = producer.flush(60)
    return failed + ["not delivered"] * left


def read(client: Mapping[str, Any], topic: str) -> list[Message]:
    """Every record of all partitions, as a consumer finds them that was never there before."""
    settings = {"group.id": "test", "enable.auto.commit": False, "enable.partition.eof": True}
    consumer = Consumer({**settings, **client})
    deadline = time.monotonic() + WAIT
    found: list[Message] = []
    ended: set[int | None] = set()
    try:
        # A topic that was made a moment ago may not be known everywhere yet.
        partitions = until(lambda: consumer.list_topics(topic, timeout=WAIT).topics[topic].partitions, WAIT)
        consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
        while len(ended) < len(partitions):
            assert time.monotonic() < deadline, f"read {len(found)} records, but the end of {topic} did not come"
            for message in consumer.consume(1000, 0.2):
                if (error := message.error()) is None:
                    found.append(message)
                else:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    ended.add(message.partition())
    finally:
        consumer.close()
    return found


def values_of(client: Mapping[str, Any], topic: str) -> list[Any]:
    return [message.value() for message in read(client, topic)]


def refusal(client: Mapping[str, Any], topic: str) -> KafkaError | None:
    """With what a broker refuses a record; None: it took it."""
    errors: list[KafkaError | None] = []
    producer = Producer({**client, "delivery.timeout.ms": "20000"})
    producer.produce(topic, b"x", on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(WAIT) == 0
    return errors[0]


class Cluster:
    """Topics of one test."""

    def __init__(self, kafka, prefix, tmp_path):
        self.client, self.prefix, self.folder = kafka.client(), prefix, tmp_path
        self.admin = AdminClient(self.client)

    def create(self, topic, partitions=1, **settings):
        given = {name.replace("_", "."): value for name, value in settings.items()}
        name = self.prefix + topic
        self.admin.create_topics([NewTopic(name, partitions, 1, config=given)])[name].result(WAIT)
        until(
            lambda: name in self.admin.list_topics(timeout=WAIT).topics, WAIT
        )  # the broker hears of it a moment later
        return name

    def create_raw(self, partitions=4, **settings):
        for name in SIGNALS:
            self.create(name, partitions, **{"retention_ms": "-1", **settings})
        self.create("aiops.commands", partitions)

    def configuration(self, **more):
        raw = [{"topic": self.prefix + name, "signal": of} for name, of in SIGNALS.items()]
        path = self.folder / "aiops.yaml"
        path.write_text(yaml.safe_dump({"kafka": self.client, "prefix": self.prefix + "aiops", "raw": raw, **more}))
        return path

    def send(self, topic, *records, **properties):
        producer = Producer({**self.client, "partitioner": "murmur2_random", **properties})
        if properties:
            producer.init_transactions(WAIT)
            producer.begin_transaction()
        for key, value, headers in records:
            producer.produce(topic, value, key, headers=headers)
        if properties:
            producer.commit_transaction(WAIT)
        assert producer.flush(WAIT) == 0

    def read(self, topic):
        return read(self.client, topic)


def versions(name, *numbers, **fields):
    return [msgspec.structs.replace(INCIDENT, incident_id=name, version=n, **fields) for n in numbers]


def records_of(incidents):
    return [(i.incident_id.encode(), encode(i), [("ce_type", b"aiops.incident.updated.v1")]) for i in incidents]


def incidents_sent(cluster):
    topic = cluster.create("aiops.incidents", 3, cleanup_policy="compact")
    sent = versions("bb", 1, 2, 5, 4) + versions("aa", 3, 1) + versions("cc", 1, 2)
    cluster.send(topic, *records_of(sent), (b"cc", None, []))
    return [versions("aa", 3)[0], versions("bb", 5)[0]]
