"""The client of other programs on a real broker: one event after the other, groups, snapshots."""

from __future__ import annotations

import secrets
import time
from typing import Any

import msgspec
import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer
from confluent_kafka.cimpl import NewPartitions

from aiops.errors import UserError
from aiops.records import encode
from streams.client import Anomalies, Incidents
from streams.settings import Settings
from tests.kafka.topics import WAIT, Cluster, incidents_sent, records_of, versions
from tests.kafka.waiting import until
from tests.test_records import ANOMALY


@pytest.fixture
def cluster(kafka, prefix, tmp_path):
    return Cluster(kafka, prefix, tmp_path)


def taken(reader, count):
    """The next events."""
    out: list[Any] = []
    end = time.monotonic() + WAIT
    while len(out) < count:
        assert time.monotonic() < end
        if (event := reader.poll(0.2)) is not None:
            out.append(event)
    return out


def names(events):
    return [(e.incident.incident_id, e.incident.version) for e in events]


def test_events_carry_the_record_its_headers_and_its_place(cluster):
    topic = cluster.create("aiops.incidents")
    cluster.send(topic, *records_of(versions("aa", 1, 2)))
    with Incidents(cluster.client, topic) as incidents:
        first, second = (event for _, event in zip(range(2), incidents, strict=False))
    assert first.incident == versions("aa", 1)[0]
    assert first.value == encode(first.incident)
    assert (first.key, first.headers) == (b"aa", {"ce_type": "aiops.incident.updated.v1"})
    assert (second.topic, second.partition, second.offset) == (topic, 0, 1)


def test_without_a_group_everybody_reads_all_partitions_and_the_latest_begin_at_the_end(cluster):
    topic = cluster.create("aiops.incidents", 3)
    cluster.send(topic, *records_of(versions("aa", 1) + versions("bb", 1) + versions("cc", 1)))
    expected = [("aa", 1), ("bb", 1), ("cc", 1)]
    with Incidents(cluster.client, topic) as one, Incidents(cluster.client, topic) as other:
        assert sorted(names(taken(one, 3))) == sorted(names(taken(other, 3))) == expected
    with Incidents(cluster.client, topic, start="latest") as late:
        cluster.send(topic, *records_of(versions("dd", 1)))
        assert names(taken(late, 1)) == [("dd", 1)]
    assert (
        not cluster.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions("aiops-reader")])["aiops-reader"]
        .result(WAIT)
        .topic_partitions
    )


def test_a_group_goes_on_behind_the_last_event_that_was_done_with(cluster):
    topic = cluster.create("aiops.incidents")
    group = cluster.prefix + "console"
    cluster.send(topic, *records_of(versions("aa", 1, 2, 3, 4)))
    with Incidents(cluster.client, topic, group) as incidents:
        assert names(taken(incidents, 3)) == [("aa", 1), ("aa", 2), ("aa", 3)]  # the third is in hand when it ends
    with Incidents(cluster.client, topic, group) as incidents:
        assert names(taken(incidents, 2)) == [("aa", 3), ("aa", 4)]


def test_new_partitions_are_read_from_their_beginning(cluster, monkeypatch):
    monkeypatch.setattr("streams.client._GROWTH", 0.1)
    topic = cluster.create("aiops.incidents")
    with Incidents(cluster.client, topic, start="latest") as incidents:
        assert incidents.poll(0.1) is None
        cluster.admin.create_partitions([NewPartitions(topic, 2)])[topic].result(WAIT)
        producer = Producer(cluster.client)
        until(lambda: len(producer.list_topics(topic, timeout=WAIT).topics[topic].partitions) == 2, WAIT)
        producer.produce(topic, encode(versions("aa", 1)[0]), b"aa", partition=1)
        assert producer.flush(WAIT) == 0
        assert names(taken(incidents, 1)) == [("aa", 1)]


def test_a_value_that_does_not_decode_is_raised_or_yielded_as_the_caller_likes_and_never_skipped(cluster):
    topic = cluster.create("aiops.incidents")
    cluster.send(topic, (b"x", b"[1]", []), *records_of(versions("aa", 1)))
    with (
        Incidents(cluster.client, topic) as strict,
        pytest.raises(UserError, match=f"{topic}/0 offset 0 does not decode"),
    ):
        taken(strict, 1)
    with Incidents(cluster.client, topic, undecodable="yield") as lenient:
        broken, good = taken(lenient, 2)
        with pytest.raises(UserError, match="offset 0"):
            lenient.snapshot()
    assert (broken.record, broken.value, broken.offset) == (None, b"[1]", 0)
    assert broken.error.startswith("incident: ")
    assert good.incident.incident_id == "aa"


def test_a_snapshot_is_the_greatest_version_of_each_id_and_leaves_the_loop_alone(cluster):
    expected = incidents_sent(cluster)
    with Incidents(cluster.client, cluster.prefix + "aiops.incidents") as incidents:
        before = taken(incidents, 1)
        assert incidents.snapshot() == {i.incident_id: i for i in expected}
        assert len(before + taken(incidents, 8)) == 9


def test_a_snapshot_ends_at_a_hole_and_does_not_wait_in_an_empty_topic(cluster):
    topic = cluster.create("aiops.incidents", 4)
    with Incidents(cluster.client, topic) as incidents:
        assert incidents.snapshot() == {}
        # The end of a transaction is a record without a message: the last offset of the partition never comes.
        cluster.send(topic, *records_of(versions("aa", 1)), **{"transactional.id": topic})
        assert list(incidents.snapshot()) == ["aa"]


def test_anomalies_have_snapshots_too(cluster):
    topic = cluster.create("aiops.anomalies")
    older = msgspec.structs.replace(ANOMALY, version=1)
    cluster.send(topic, (b"a", encode(ANOMALY), []), (b"a", encode(older), []))
    with Anomalies(Settings(kafka=cluster.client), topic) as anomalies:
        assert anomalies.snapshot() == {ANOMALY.anomaly_id: ANOMALY}


def test_a_topic_that_goes_away_is_an_error(cluster, monkeypatch):
    monkeypatch.setattr("streams.client._GROWTH", 0.1)
    topic = cluster.create("aiops.incidents")
    with Incidents(cluster.client, topic) as incidents:
        assert incidents.poll(0.1) is None
        cluster.admin.delete_topics([topic])[topic].result(WAIT)
        with pytest.raises(UserError, match=topic):
            taken(incidents, 1)


def test_on_call_reads_incidents_without_a_right_on_a_group_and_nothing_else(secure_kafka):
    secure_kafka.grant()
    admin, topic, other = Cluster(secure_kafka, "", None), "aiops.incidents", f"other-{secrets.token_hex(4)}"
    if topic not in admin.admin.list_topics(timeout=WAIT).topics:
        admin.create(topic)
    admin.create(other)
    name = secrets.token_hex(4)
    admin.send(topic, *records_of(versions(name, 1)))
    oncall = secure_kafka.client("oncall")
    with Incidents(oncall) as incidents:
        assert name in incidents.snapshot()
        event = incidents.poll(WAIT)
        assert event is not None
        assert event.topic == topic
    with pytest.raises(UserError, match=rf"topic '{other}': Broker: Topic authorization failed"):
        Incidents(oncall, other)
    with pytest.raises(UserError, match="Group authorization failed"), Incidents(oncall, group="console") as grouped:
        taken(grouped, 1)
    with pytest.raises(UserError, match=r"no answer from Kafka at .*Authentication failed") as wrong:
        Incidents({**oncall, "sasl.password": "not-the-password"})
    assert "not-the-password" not in str(wrong.value)
