"""The role that tells people, on a real broker: killed in the middle, its topic read again; nothing is told twice or never."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
import yaml
from confluent_kafka import Consumer, TopicPartition

from aiops.notify.notification import Notification
from aiops.records import decode_alert, encode, rfc3339
from aiops.status import Status
from streams.client_notify import Notifications
from tests.kafka.topics import Cluster
from tests.kafka.waiting import until
from tests.notify.stories import Story
from tests.sinks.faulty import Endpoint

pytestmark = pytest.mark.timeout(180)
ROOT = Path(__file__).resolve().parents[2]
SECONDS = 10**9


class Told(Cluster):
    """Topics of the role, the role itself, and what is sent to it."""

    def __init__(self, kafka, prefix, tmp_path, url):
        super().__init__(kafka, prefix, tmp_path)
        self.begin = time.time_ns() - 600 * SECONDS
        self.create("aiops.incidents", 2, cleanup_policy="compact")
        self.create("aiops.snapshots.sinks", 2, cleanup_policy="compact")
        self.create("aiops.status", 2, cleanup_policy="compact")
        self.create("aiops.notices", 2)
        self.create("aiops.notifications", 2)
        hook = {"name": "hook", "kind": "webhook", "url": url, "rate": 60_000, "timeout": "2s"}
        self.config = self.configuration(
            notify={"sinks": [hook], "learning": "0s"}, topics={"partitions": {"public": 2}}, http={"port": 0},
            consumer={"session.timeout.ms": "6000"},
        )  # fmt: skip
        whole = yaml.safe_load(self.config.read_text())
        whole["raw"] = whole["raw"][:1]
        self.config.write_text(yaml.safe_dump(whole))
        self.log = (tmp_path / "sinks.log").open("ab")

    def start(self):
        command = [sys.executable, "-m", "streams.cli", "sinks", "run", "--config", str(self.config)]
        return subprocess.Popen(command, cwd=ROOT, stderr=self.log)

    def said(self):
        return (self.folder / "sinks.log").read_text()

    def versions(self, *several):
        self.send("aiops.incidents", *((i.incident_id.encode(), encode(i), []) for i in several))

    def seen_until(self, seconds):
        clock = rfc3339(self.begin + seconds * SECONDS)
        status = Status(tenant="default", environment="prod", clock=clock, since=rfc3339(0), heard=clock)
        self.send("aiops.status", (b"default/prod", encode(status), []))

    def send(self, topic, *records, **properties):
        super().send(self.prefix + topic, *records, **properties)

    def decisions(self):
        newest: dict[str, Notification] = {}
        with Notifications(self.client, topic=f"{self.prefix}aiops.notifications") as reader:
            for event in reader.until_end():
                record = event.record
                assert record is not None
                if record.version >= newest.get(record.notification_id, record).version:
                    newest[record.notification_id] = record
        return list(newest.values())

    def read_again(self):
        """The offsets of the group go back to the beginning."""
        consumer = Consumer({**self.client, "group.id": f"{self.prefix}aiops.sinks"})
        places = [TopicPartition(f"{self.prefix}aiops.incidents", p, 0) for p in range(2)]
        consumer.commit(offsets=places, asynchronous=False)
        consumer.close()


def test_killed_in_the_middle_and_read_again_all_that_is_due_is_told_once_by_its_id(kafka, prefix, tmp_path):
    with Endpoint([200, 503, "late-cut", "cut", 200]) as there:
        told = Told(kafka, prefix, tmp_path, there.url)
        stories = [Story(f"i{k}", begin=told.begin, severity="critical" if k % 2 else "medium") for k in range(6)]
        process = told.start()
        try:
            told.versions(*(s.at(0) for s in stories))
            until(lambda: there.taken, 60, told.said)
            process.kill()
            process.wait()
            told.versions(*(s.at(30, title="silent") for s in stories))
            process = told.start()
            until(lambda: len({b["key"] for b in there.bodies()}) == 3, 60, told.said)
            told.seen_until(90)  # event time: those that had to settle are told of now
            until(lambda: len({b["key"] for b in there.bodies()}) == 6, 60, told.said)
            told.versions(*(s.at(200, state="resolved") for s in stories))
            until(lambda: len({(b["key"], b["trigger"]) for b in there.bodies()}) == 12, 60, told.said)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, told.said()
            before, sent = {b["id"] for b in there.bodies()}, len(there.taken)
            told.read_again()
            process = told.start()
            again = Story("last", begin=told.begin, severity="critical")
            told.versions(again.at(0))
            until(lambda: "last" in {b["key"] for b in there.bodies()}, 60, told.said)
            assert len({b["id"] for b in there.bodies()} - before) == 1
            assert len(there.taken) <= sent + 2, "but for one that was on its way, nothing else is told again"
            until(lambda: {d.state for r in told.decisions() for d in r.deliveries} == {"delivered"}, 30, told.said)
            assert [r.outcome for r in told.decisions()].count("told") == 13
        finally:
            process.kill()
            process.wait()
            told.log.close()
    for story in stories:
        bodies = [b for b in there.bodies() if b["key"] == story.now.incident_id]
        order = list(dict.fromkeys(b["trigger"] for b in bodies))
        assert order == ["opened", "resolved"]
        assert len({b["id"] for b in bodies}) == 2, "what came twice has the same id"


def test_alerts_by_http_are_on_the_topic_before_the_sender_is_answered(kafka, prefix, tmp_path):
    cluster = Cluster(kafka, prefix, tmp_path)
    topic = cluster.create("alerts", 2)
    config = cluster.configuration()
    whole = yaml.safe_load(config.read_text())
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    whole |= {"raw": [{"topic": topic, "signal": "alerts"}], "receiver": {"port": port, "token": "t0ken"}}
    config.write_text(yaml.safe_dump(whole))
    body = [{"labels": {"alertname": f"Slow{k}", "service": "cart"}, "startsAt": rfc3339(k)} for k in range(3)]
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v2/alerts", msgspec.json.encode(body), {"Authorization": "Bearer t0ken"}
    )

    def answered():
        with suppress(OSError), urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status == 200
        return False

    command = [sys.executable, "-m", "streams.cli", "alerts", "receive", "--config", str(config)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        until(answered, 30)
        sent = [decode_alert(m.value()) for m in cluster.read(topic)]
    finally:
        process.terminate()
        assert process.wait(20) == 0
    assert sorted(alert.name for alert in sent) == ["Slow0", "Slow1", "Slow2"]
    assert {alert.source for alert in sent} == {"alertmanager"}
