"""Topics of one test on a real broker, what is sent to them and read from them."""

from __future__ import annotations

import time

import msgspec
import yaml
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from aiops.records import encode
from tests.test_records import INCIDENT

SIGNALS = {"metrics": "metrics", "logs": "logs", "spans": "traces", "changes": "changes"}  # topic -> signal
WAIT = 30  # seconds


class Cluster:
    """Topics of one test."""

    def __init__(self, kafka, prefix, tmp_path):
        self.client, self.prefix, self.folder = kafka.client(), prefix, tmp_path
        self.admin = AdminClient(self.client)

    def create(self, topic, partitions=1, **settings):
        given = {name.replace("_", "."): value for name, value in settings.items()}
        self.admin.create_topics([NewTopic(self.prefix + topic, partitions, 1, config=given)])[
            self.prefix + topic
        ].result(WAIT)
        return self.prefix + topic

    def create_raw(self, partitions=4, **settings):
        for name in SIGNALS:
            self.create(name, partitions, **{"retention_ms": "-1", **settings})

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
        """All records of all partitions."""
        consumer = Consumer({**self.client, "group.id": "test", "enable.partition.eof": True})
        count = len(consumer.list_topics(topic, timeout=WAIT).topics[topic].partitions)
        consumer.assign([TopicPartition(topic, p, 0) for p in range(count)])
        records, until = [], time.monotonic() + WAIT
        ended: set[int | None] = set()
        while len(ended) < count:
            assert time.monotonic() < until
            for message in consumer.consume(1000, 0.2):
                if (error := message.error()) is None:
                    records.append(message)
                else:
                    assert error.code() == KafkaError._PARTITION_EOF
                    ended.add(message.partition())
        consumer.close()
        return records


def versions(name, *numbers, **fields):
    return [msgspec.structs.replace(INCIDENT, incident_id=name, version=n, **fields) for n in numbers]


def records_of(incidents):
    return [(i.incident_id.encode(), encode(i), [("ce_type", b"aiops.incident.updated.v1")]) for i in incidents]


def incidents_sent(cluster):
    topic = cluster.create("aiops.incidents", 3, cleanup_policy="compact")
    sent = versions("bb", 1, 2, 5, 4) + versions("aa", 3, 1) + versions("cc", 1, 2)
    cluster.send(topic, *records_of(sent), (b"cc", None, []))
    return [versions("aa", 3)[0], versions("bb", 5)[0]]
