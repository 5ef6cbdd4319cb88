"""Alerts and commands on a real broker: what is said on the topics reaches the incident, as in a replay of the same folder."""

from __future__ import annotations

import pytest

from aiops.records import decode_command, decode_incident
from streams.cli import main
from tests.kafka.deployment import ROLES, Deployment
from tests.kafka.topics import Cluster
from tests.telling import answered_alert, replayed

pytestmark = pytest.mark.timeout(240)


def test_what_is_said_on_the_topics_reaches_the_incident_byte_for_byte(kafka, prefix, tmp_path):
    folder = tmp_path / "said"
    folder.mkdir()
    answered_alert(folder)
    expected = replayed(folder)
    incident = decode_incident(expected.strip())
    assert (incident.state, incident.acknowledged_by, incident.resolution) == ("resolved", "ann", "restarted")
    assert (incident.counts.alerts, [d.refused for d in incident.log]) == (1, [False, False, False, True, False])
    with Deployment(kafka.client(), prefix, tmp_path, dict.fromkeys(ROLES, 1)) as d:
        assert d.produce(folder).wait() == 0
        assert d.until_equal(expected, 120) == expected, d.logs()
        assert d.ended == []


def test_the_command_writes_to_the_topic_of_commands(kafka, prefix, tmp_path, capfd):
    cluster = Cluster(kafka, prefix, tmp_path)
    topic = cluster.create("aiops.commands", 2)
    config = ["--config", str(cluster.configuration()), "--author", "ann", "--environment", "prod"]
    assert main(["command", "merge", "a", "--into", "b", *config]) == 0
    assert main(["command", "silence", "--service", "cart", "--for", "2h", *config]) == 0
    assert capfd.readouterr().err == f"sent to {topic}\n" * 2
    found = {m.key(): decode_command(m.value()) for m in cluster.read(topic)}
    assert (found[b"a"].command, found[b"a"].arguments, found[b"a"].environment) == ("merge", {"into": "b"}, "prod")
    assert found[None].arguments["service"] == "cart"
    assert main(["command", "resolve", "a", "--author", "ann", "--bootstrap", "127.0.0.1:1", "--time", "0"]) == 2
    assert "--time is for --file" in capfd.readouterr().err
