"""``aiops kafka``: a broker that starts, is seen, stops and is deleted."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from confluent_kafka.admin import AdminClient

from streams.cli import main
from streams.local_kafka import LocalKafka
from streams.local_kafka_cluster import draw
from streams.local_kafka_java import VERSION
from streams.local_kafka_node import wait_until
from streams.settings import load
from tests.kafka.topics import WAIT, create, refusal, send, values_of

pytestmark = pytest.mark.usefixtures("startable")


@pytest.fixture
def port():
    return draw(1, False, None).client_ports[0]


@pytest.fixture
def aiops(tmp_path, capsys):
    def run(*arguments):
        status = main(["kafka", *arguments, "--dir", str(tmp_path / "broker")])
        out, err = capsys.readouterr()
        return status, out, err

    yield run
    run("stop", "--delete")


def test_a_broker_starts_is_seen_stops_and_keeps_its_data(aiops, port, prefix, tmp_path):
    status, out, err = aiops("start", "--port", str(port))
    assert (status, out) == (0, f"127.0.0.1:{port}\n")
    assert f"Kafka {VERSION} runs" in err
    client = {"bootstrap.servers": out.strip()}
    create(client, f"{prefix}kept")
    assert send(client, f"{prefix}kept", [b"1"]) == []

    status, out, err = aiops("start")
    assert (status, out) == (0, f"127.0.0.1:{port}\n")
    assert "runs already" in err
    assert aiops("status")[0] == 0

    assert aiops("stop") == (0, "", "stopped\n")
    status, _, err = aiops("status")
    assert (status, "node 1: stopped" in err) == (1, True)
    assert "shut down" in (tmp_path / "broker" / "node-1" / "server.log").read_text()  # it was not killed

    assert aiops("start")[0] == 0
    assert values_of(client, f"{prefix}kept") == [b"1"]
    assert aiops("stop", "--delete")[0] == 0
    assert not (tmp_path / "broker").exists()
    assert aiops("status")[0] == 1


def test_the_broker_survives_the_shell_that_started_it(port, tmp_path):
    folder = tmp_path / "broker"
    command = f"{sys.executable} -m streams.cli kafka start --port {port} --dir {folder}"
    subprocess.run(["/bin/sh", "-c", command], check=True, capture_output=True, start_new_session=True, timeout=100)
    kafka = LocalKafka.at(folder) or pytest.fail("no cluster")
    try:
        pid = kafka.pid(1) or pytest.fail("it does not run")
        assert os.getsid(pid) != os.getsid(0)
        AdminClient({**kafka.client()}).list_topics(timeout=WAIT)
        os.kill(pid, signal.SIGKILL)  # what is left of it is no broker that runs
        assert wait_until(lambda: kafka.running == [], WAIT)
    finally:
        kafka.delete()


def test_a_secure_broker_gives_each_user_a_file_that_connects(aiops, port):
    status, out, _ = aiops("start", "--secure", "--port", str(port))
    assert status == 0
    address, *users = out.splitlines()
    assert address == f"127.0.0.1:{port}"
    files = dict(line.split("\t") for line in users)
    assert list(files) == ["admin", "worker", "oncall"]
    clients = {user: yaml.safe_load(Path(path).read_text())["kafka"] for user, path in files.items()}
    assert all(load(path).kafka == clients[user] for user, path in files.items())
    create(clients["admin"], "aiops.incidents")
    assert refusal(clients["worker"], "aiops.incidents") is None
    assert "Topic authorization failed" in str(refusal(clients["oncall"], "aiops.incidents"))


def test_a_port_that_is_taken_is_named(aiops, port):
    with socket.create_server(("127.0.0.1", port)):
        status, out, err = aiops("start", "--port", str(port))
    assert (status, out) == (2, "")
    assert f"port {port} is taken" in err
    assert err.count("\n") == 1
