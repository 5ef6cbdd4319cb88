"""A real Alertmanager: it receives, shows, updates and resolves incidents, and its own webhook reaches our input.

Debian's package ``prometheus-alertmanager``; where it is missing the tests are skipped, and fail with
AIOPS_REQUIRE_ALERTMANAGER=1.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import suppress

import pytest

from aiops.notify.config import NotifyConfig, Sink
from aiops.notify.desk import Desk
from aiops.notify.payloads import alertmanager as payload
from aiops.records import rfc3339, unix_ns
from streams.receiver import AlertServer
from streams.receiver_settings import Receiver
from streams.sinks import courier as courier_module
from streams.sinks.couriers import Couriers
from tests.notify.stories import Story
from tests.sinks.faulty import until

BINARY = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


class Alertmanager:
    """A process, whose receiver is our own alert input."""

    def __init__(self, folder, hook):
        config = folder / "alertmanager.yml"
        config.write_text(
            "route: {receiver: hook, group_by: [incident_id], group_wait: 100ms, group_interval: 200ms, repeat_interval: 1h}\n"
            f"receivers: [{{name: hook, webhook_configs: [{{url: '{hook}', send_resolved: true, "
            "http_config: {authorization: {credentials: t0ken}}}]}]\n"
        )
        self.url = f"http://127.0.0.1:{free_port()}"
        self.command = [
            str(BINARY), f"--config.file={config}", f"--storage.path={folder / 'am'}",
            f"--web.listen-address={self.url.removeprefix('http://')}", "--cluster.listen-address=",
        ]  # fmt: skip
        self.log = (folder / "am.log").open("ab")
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log)
        until(self.ready, 20)

    def ready(self):
        with suppress(OSError), urllib.request.urlopen(f"{self.url}/-/ready", timeout=2) as answer:
            return answer.status == 200
        return False

    def stop(self):
        self.process.kill()
        self.process.wait()

    def alerts(self):
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts?active=true", timeout=5) as answer:
            return json.load(answer)


@pytest.fixture
def received():
    taken = []

    def hand(alerts):
        taken.extend(alerts)
        return True

    server = AlertServer(Receiver(port=0, token="t0ken"), hand)
    server.start()
    yield taken, f"http://127.0.0.1:{server.server_address[1]}/alerts"
    server.stop()


@pytest.fixture
def alertmanager(tmp_path, received):
    if BINARY is None:
        if os.environ.get("AIOPS_REQUIRE_ALERTMANAGER") == "1":
            pytest.fail("AIOPS_REQUIRE_ALERTMANAGER is 1, and there is no Alertmanager on the PATH")
        pytest.skip("no Alertmanager on the PATH: apt-get install prometheus-alertmanager")
    made = Alertmanager(tmp_path, received[1])
    yield made
    made.stop()
    made.log.close()


def test_it_shows_updates_repeats_and_resolves_an_incident_and_tells_our_input(alertmanager, received, monkeypatch):
    monkeypatch.setattr(courier_module, "REFRESH", 0.5)
    monkeypatch.setattr(payload, "LASTS", 3 * 10**9)  # what lasts ten minutes and more, in seconds
    taken, _ = received
    begin = time.time_ns() - 600 * 10**9
    story = Story("i1", begin=begin, severity="high", services=("cart",), opened_at=rfc3339(begin))
    sink = Sink("am", "alertmanager", url=alertmanager.url, rate=60_000)
    config = NotifyConfig(sinks=(sink,))
    desk = Desk(config)
    couriers = Couriers(config.sinks)
    couriers.start()

    def tell(*versions):
        for version in versions:
            desk.take(version)
        list(desk.changes())
        couriers.bring(desk, desk.unsaved())
        until(lambda: couriers.collect() * 0 + (not desk.waiting()))

    try:
        tell(story.at(0), story.at(70))
        (shown,) = alertmanager.alerts()
        assert shown["labels"] == {
            "alertname": "AIOpsIncident", "incident_id": "i1", "tenant": "default", "environment": "prod", "service": "cart",
            "severity": "high",
        }  # fmt: skip
        assert unix_ns(shown["startsAt"]) // 10**9 == begin // 10**9
        until(lambda: [a for a in taken if a.status == "firing"])
        tell(story.at(100, severity="critical"))
        (updated,) = alertmanager.alerts()
        assert updated["fingerprint"] == shown["fingerprint"]
        assert updated["annotations"]["severity"] == "critical"
        time.sleep(7)  # more than twice as long as an alert lasts that nobody repeats
        assert alertmanager.alerts(), "it is repeated before it expires"
        alertmanager.stop()  # it forgets all
        alertmanager.start()
        until(alertmanager.alerts, 15)
        tell(story.at(200, state="resolved"))
        until(lambda: alertmanager.alerts() == [])
        until(lambda: [a for a in taken if a.status == "resolved"], 20)
    finally:
        couriers.stop()
    firing = next(a for a in taken if a.status == "firing")
    resolved = next(a for a in taken if a.status == "resolved")
    assert (firing.source, firing.service, firing.alert_id) == ("alertmanager", "cart", resolved.alert_id)
