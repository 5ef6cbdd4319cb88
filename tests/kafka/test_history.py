"""The store follows the topics of a real broker, from where it stands or anew; commands go to their topic."""

from __future__ import annotations

import pytest

from aiops.records import Command, decode_command, encode, rfc3339
from streams.codec import encode_findings
from streams.console.cluster import Cluster as Console
from streams.history import queries, tables
from streams.history.batch import Batch
from streams.history.follow import Follower
from streams.history.keep import Keep
from streams.history.retention import Forgetting
from streams.history.store import Store
from streams.settings import load
from streams.tasks.respond import transition
from tests.history import said
from tests.history.test_store import content
from tests.incidents.world import findings
from tests.kafka.topics import WAIT, Cluster
from tests.kafka.waiting import until

JSON = ("content-type", b"application/json")


@pytest.fixture
def cluster(kafka, prefix, tmp_path):
    made = Cluster(kafka, prefix, tmp_path)
    for name in ("incident-events", "anomalies", "topology", "noise", "notices", "findings", "commands"):
        made.create(f"aiops.{name}", 2)
    made.create("aiops.incidents", 2, cleanup_policy="compact")
    made.create("changes", 2)
    return made


def settings_of(cluster):
    return load(cluster.configuration())


def say(cluster, batches):
    """Send what an engine would have sent."""

    def name(topic):
        return cluster.prefix + topic

    for batch in batches:
        for incident, kind in batch.incidents:
            record = (
                incident.incident_id.encode(),
                encode(incident),
                [("ce_type", f"aiops.incident.{kind}.v1".encode())],
            )
            cluster.send(name("aiops.incidents"), record)
            cluster.send(name("aiops.incident-events"), record)
        for topic, records in (
            ("aiops.anomalies", batch.anomalies), ("aiops.topology", batch.topology), ("aiops.noise", batch.noise),
            ("aiops.notices", batch.notices), ("changes", batch.changes),
        ):  # fmt: skip
            for record in records:
                cluster.send(name(topic), (b"k", encode(record), [JSON]))
        for part, found in batch.findings:
            headers = [("kind", b"findings"), ("v", b"1"), ("source", part.encode())]
            cluster.send(name("aiops.findings"), (b"k", encode_findings(found), headers))


def followed(cluster, store, batches):
    """Follow until everything that was said is there."""
    expected = {
        row
        for batch in batches
        for incident, _ in batch.incidents
        for row in [(incident.incident_id, incident.version)]
    }
    follower = Follower(settings_of(cluster), store, Forgetting(store, Keep()))
    try:
        quiet = 0

        def caught_up():
            nonlocal quiet
            quiet = 0 if follower.step(0.2) else quiet + 1
            with store.reading() as connection:
                rows = connection.execute(tables.transitions.select()).all()
            return quiet > 3 and {(row.incident_id, row.version) for row in rows} >= expected

        until(caught_up, WAIT, pause=lambda: None)
    finally:
        follower.close()
    return follower


def test_a_store_goes_on_where_it_stands_and_an_empty_one_is_filled_anew_with_the_same(cluster, tmp_path):
    batches = said.history(3)
    half = len(batches) // 2
    store = Store(f"sqlite:///{tmp_path / 'one.db'}")
    say(cluster, batches[:half])
    followed(cluster, store, batches[:half])
    say(cluster, batches[half:])
    followed(cluster, store, batches)
    anew = Store(f"sqlite:///{tmp_path / 'two.db'}")
    followed(cluster, anew, batches)
    assert content(anew) == content(store)
    direct = Store(f"sqlite:///{tmp_path / 'three.db'}")
    for batch in batches:
        direct.apply(batch)
    assert content(direct) == content(store)
    for opened in (store, anew, direct):
        opened.close()


def test_what_does_not_decode_is_left_out_and_counted(cluster, tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'one.db'}")
    cluster.send(cluster.prefix + "aiops.anomalies", (b"k", b"{broken", [JSON]), (b"gone", None, []))
    cluster.send(cluster.prefix + "aiops.findings", (b"k", b"123", [("kind", b"clock"), ("source", b"x")]))
    cluster.send(cluster.prefix + "aiops.findings", (b"k", b"\xff", [("kind", b"findings"), ("source", b"x")]))
    incident = said.incident(1)
    say(cluster, [Batch(incidents=[(incident, transition(incident))], findings=[("d", findings(said.T, {}))])])
    follower = followed(cluster, store, [Batch(incidents=[(incident, "opened")])])
    assert follower.refused == 2
    with store.reading() as connection:
        assert queries.sizes(connection)["evidence"] == 1
    store.close()


def test_a_command_is_on_its_topic_when_it_was_sent(cluster, tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'one.db'}")
    console = Console(settings_of(cluster), store)
    console.start()
    try:
        command = Command(
            command="acknowledge",
            incident_id=said.name(1),
            author="ann",
            time=rfc3339(console.now()),
            environment="prod",
        )
        console.send(command)
        (message,) = cluster.read(cluster.prefix + "aiops.commands")
        assert decode_command(message.value()) == command
        assert message.key() == said.name(1).encode()
        say(cluster, [said.history(1)[0]])
        until(lambda: store.clock() > 0, WAIT)
        assert console.status().trouble is None
    finally:
        console.stop()
        store.close()
