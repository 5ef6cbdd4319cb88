"""Alerts by HTTP: taken when they were handed on, and hostile requests refused."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from base64 import b64encode
from contextlib import suppress
from pathlib import Path

import pytest

from aiops.alert_formats import FieldMapping
from aiops.errors import UserError
from aiops.records import decode_alert
from streams import receiver as receiver_module
from streams.receiver import AlertServer
from streams.receiver_settings import Receiver
from tests.sinks.faulty import until
from tests.streams.configured import MINIMAL, configured

ROOT = Path(__file__).resolve().parents[2]
BODY = json.dumps([{"labels": {"alertname": "Slow", "service": "cart"}, "startsAt": "2024-01-01T00:00:00Z"}])
BEARER = {"Authorization": "Bearer t0ken"}
MAPPING = FieldMapping("checks", {"name": "check"})


class Receiving:
    def __init__(self, **settings):
        self.taken = []
        self.works = True
        given = {"port": 0, "token": "t0ken", "mappings": (MAPPING,), **settings}
        self.server = AlertServer(Receiver(**given), self.hand, lambda: 1_700_000_000 * 10**9)

    def hand(self, alerts):
        self.taken += alerts if self.works else []
        return self.works

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        self.server.stop()

    def post(self, path="/alerts", body=BODY, headers=BEARER, method="POST"):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_address[1], timeout=10)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        said = response.read().decode()
        connection.close()
        return response.status, said

    def raw(self, data, wait=0.0):
        with socket.create_connection(("127.0.0.1", self.server.server_address[1]), timeout=20) as connection:
            connection.sendall(data)
            time.sleep(wait)
            out = b""
            while part := connection.recv(65536):
                out += part
        return out


def test_alerts_are_taken_when_they_were_handed_on():
    with Receiving() as there:
        assert there.post() == (200, '{"accepted":1}')
        assert there.post("/api/v2/alerts")[0] == 200
        assert there.post("/alerts/checks", '{"check":"disk"}')[0] == 200
        there.works = False
        assert there.post()[0] == 503
        assert [a.name for a in there.taken] == ["Slow", "Slow", "disk"]
        assert there.taken[0].sent_at == "2023-11-14T22:13:20.000Z"
        assert there.taken[2].source == "checks"
        assert 'aiops_alert_requests_total{status="200"} 3.0' in there.post("/metrics", None, {}, "GET")[1]
        assert there.post("/healthz", None, {}, "GET") == (200, "ok\n")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer other"},
        {"Authorization": "Bearer "},
        {"Authorization": "t0ken"},
        {"Authorization": "Basic ???"},
    ],
)
def test_without_the_token_nothing_is_read(headers):
    with Receiving() as there:
        assert there.post(headers=headers)[0] == 401
        assert there.taken == []


def test_the_token_may_be_the_password_of_basic_authentication():
    with Receiving() as there:
        assert there.post(headers={"Authorization": "Basic " + b64encode(b"prometheus:t0ken").decode()})[0] == 200


@pytest.mark.parametrize(
    ("path", "body", "more", "status"),
    [
        ("/alerts", "{", {}, 400),
        ("/alerts", "[]", {}, 400),
        ("/alerts/unknown", BODY, {}, 404),
        ("/alerts/../../etc/passwd", BODY, {}, 404),
        ("/other", BODY, {}, 404),
        ("/alerts", BODY, {"Content-Encoding": "gzip"}, 415),
        ("/alerts", "x" * 20_000, {}, 413),
    ],
)
def test_what_cannot_be_taken_has_a_status_and_a_reason(path, body, more, status):
    with Receiving(largest=10_000) as there:
        found, said = there.post(path, body, {**BEARER, **more})
        assert (found, list(json.loads(said))) == (status, ["error"])
        assert there.taken == []


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Transfer-Encoding: chunked\r\n", b"415"),
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"415"),
        (b"Content-Length: 5\r\nContent-Length: 6\r\n", b"411"),
        (b"Content-Length: -5\r\n", b"411"),
        (b"Content-Length: 0x5\r\n", b"411"),
        (b"", b"411"),
        (b"X: " + b"y" * 100_000 + b"\r\n", b"431"),
        (b"X: y\r\n" * 500, b"431"),
    ],
)
def test_lengths_that_lie_are_refused(head, status):
    with Receiving() as there:
        said = there.raw(b"POST /alerts HTTP/1.1\r\nAuthorization: Bearer t0ken\r\n" + head + b"\r\nhello")
        assert said.split(b" ")[1] == status
        assert there.taken == []


def test_one_connection_is_one_request():
    smuggled = b"POST /alerts HTTP/1.1\r\nAuthorization: Bearer t0ken\r\nContent-Length: 2\r\n\r\n[]" * 2
    with Receiving() as there:
        assert there.raw(smuggled).count(b"HTTP/1.0 ") == 1


def test_who_asks_too_often_is_told_to_wait():
    with Receiving(rate=3) as there:
        assert [there.post()[0] for _ in range(5)].count(429) >= 1


def test_who_sends_a_byte_now_and_then_is_cut_off(monkeypatch):
    monkeypatch.setattr(receiver_module, "LONGEST", 0.5)
    with (
        Receiving() as there,
        socket.create_connection(("127.0.0.1", there.server.server_address[1]), timeout=10) as slow,
    ):
        begun = time.monotonic()
        with suppress(OSError):  # reset or broken pipe, as the other side has it
            while time.monotonic() - begun < 4:
                slow.sendall(b"P")
                time.sleep(0.05)
        assert time.monotonic() - begun < 4
        assert there.post()[0] == 200


def test_an_address_that_anybody_reaches_needs_a_token(tmp_path):
    with pytest.raises(UserError, match="token is needed"):
        Receiver(host="0.0.0.0")
    with pytest.raises(UserError, match="token is needed"):
        configured(tmp_path, "receiver: {host: '::'}\n")
    assert configured(tmp_path, "receiver: {host: 0.0.0.0, token: abc}\n").receiver.token == "abc"
    assert "abc" not in repr(Receiver(host="0.0.0.0", token="abc"))


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ("{name: a-b, fields: {name: x}}", "letters"),
        ("{name: a, fields: {title: x}}", "an alert has"),
        ("{name: a, fields: {status: x}}", "place of name"),
    ],
)
def test_mappings_that_map_nothing_are_refused(tmp_path, mapping, said):
    with pytest.raises(UserError, match=said):
        configured(tmp_path, f"receiver: {{mappings: [{mapping}]}}\n")


def test_the_command_appends_to_a_recording(tmp_path):
    config, file = tmp_path / "aiops.yaml", tmp_path / "alerts.jsonl"
    config.write_text(MINIMAL)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "streams.cli",
        "alerts",
        "receive",
        "--config",
        str(config),
        "--http",
        f"127.0.0.1:{port}",
    ]
    process = subprocess.Popen([*command, "--file", str(file)], cwd=ROOT, stderr=subprocess.DEVNULL)
    try:

        def answered():
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("POST", "/alerts", BODY)
                return connection.getresponse().status == 200
            except OSError:
                return False

        until(answered, 30)
    finally:
        process.terminate()
        assert process.wait(10) == 0
    assert decode_alert(file.read_bytes().splitlines()[0]).service == "cart"
