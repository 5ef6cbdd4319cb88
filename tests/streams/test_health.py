"""What a process answers about itself, and when its watchdog ends it."""

from __future__ import annotations

import http.client
import json
import logging
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from aiops.errors import UserError
from streams import log_format
from streams.health import CONNECTIONS, NEAR, ORPHANED, STALE, TURN, WEDGED, Health, Server, parse_address
from streams.metrics import Metrics
from streams.metrics_reading import PlaceReading, Reading, TaskReading


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock) -> Health:
    health = Health(Metrics("detect", "0" * 12), clock)
    health.follow(lambda: 1_000.0)
    return health


@pytest.fixture
def server(health) -> Iterator[Server]:
    server = Server(health, "127.0.0.1", 0)
    server.start()
    yield server
    server.stop()


def reading(clock: Clock, **left: int | None) -> Reading:
    """A reading in which partition p0, p1, ... is so many records from its end."""
    places = {
        ("aiops.signals", int(name[1:])): PlaceReading(TaskReading(), 100, -1 if n is None else 100 + n)
        for name, n in left.items()
    }
    return Reading(places, at=clock.now)


def get(server: Server, path: str, method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection(server.address, timeout=5)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


# ---- answers ----------------------------------------------------------------------------------------------------------
def test_a_process_is_alive_while_its_loop_turns(server, clock):
    clock.now += TURN
    assert get(server, "/healthz") == (200, "ok\n")
    clock.now += 1
    assert get(server, "/healthz") == (503, f"the loop has not turned for {TURN + 1:.0f} s\n")
    assert get(server, "/readyz")[0] == 503


def test_a_process_is_ready_when_its_partitions_have_been_read_to_their_end(server, health, clock):
    assert get(server, "/readyz") == (503, "starting\n")
    health.publish(reading(clock))
    assert get(server, "/readyz") == (503, "no partition is assigned\n")
    health.publish(reading(clock, p0=0, p1=None))
    assert get(server, "/readyz") == (503, "aiops.signals/1 has not been read to its end: its end is not known yet\n")
    health.publish(reading(clock, p0=0, p1=NEAR + 1))
    assert "2001 records are left" in get(server, "/readyz")[1]
    health.publish(reading(clock, p0=0, p1=NEAR))
    assert get(server, "/readyz") == (200, "ok\n")


def test_a_partition_that_was_read_to_its_end_stays_so_until_it_is_given_up(health, clock):
    health.publish(reading(clock, p0=0))
    health.publish(reading(clock, p0=1_000_000))
    assert health.lacks() is None
    health.publish(reading(clock, p1=0))
    health.publish(reading(clock, p0=1_000_000, p1=0))
    assert "aiops.signals/0" in str(health.lacks())


def test_a_process_that_has_not_been_heard_of_is_not_ready(health, clock):
    health.publish(reading(clock, p0=0))
    clock.now += STALE + 1
    assert "taken over or given up" in str(health.lacks())
    assert health.ails() is None


def test_other_paths_do_not_exist_and_a_head_has_no_body(server):
    assert get(server, "/")[0] == 404
    assert get(server, "/healthz?verbose", "HEAD") == (200, "")


def test_clients_that_say_nothing_neither_hold_up_others_nor_are_many(server):
    silent = [socket.create_connection(("127.0.0.1", server.server_address[1])) for _ in range(CONNECTIONS - 1)]
    assert get(server, "/healthz")[0] == 200
    more = [socket.create_connection(("127.0.0.1", server.server_address[1])) for _ in range(3)]
    more[-1].settimeout(5)
    assert more[-1].recv(1) == b"", "it would have been given a thread"
    for connection in [*silent, *more]:
        connection.close()


# ---- address ----------------------------------------------------------------------------------------------------------
def test_an_address_that_is_taken_is_named(server, health):
    port = server.server_address[1]
    with pytest.raises(UserError, match=rf"http: 127\.0\.0\.1:{port} is taken, .* --http HOST:PORT or http\.port"):
        Server(health, "127.0.0.1", port)


def test_an_address_of_another_machine_is_an_error(health):
    with pytest.raises(UserError, match=r"http: 192\.0\.2\.1:0: "):
        Server(health, "192.0.2.1", 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0.0.0.0:9464", ("0.0.0.0", 9464)), ("[::1]:0", ("::1", 0)), ("host.name:1", ("host.name", 1))],
)
def test_an_address_is_host_and_port(text, expected):
    assert parse_address(text) == expected


@pytest.mark.parametrize("text", ["", "9464", ":9464", "host:", "host:-1", "host:65536", "host:x", "[::1:9464"])
def test_what_is_no_address_is_an_error(text):
    with pytest.raises(UserError, match="not HOST:PORT"):
        parse_address(text)


# ---- watchdog ---------------------------------------------------------------------------------------------------------
def watched(health: Health, owned: bool) -> tuple[threading.Thread, list[int]]:
    left: list[int] = []

    def leave(status: int) -> None:
        left.append(status)

    return health.watch(lambda: owned, leave, every=0.01), left


def test_a_loop_that_hangs_is_ended_with_its_stack_on_stderr(health, clock, capfd):
    thread, left = watched(health, True)
    clock.now += WEDGED - 1
    thread.join(0.1)
    assert left == []
    clock.now += 2
    thread.join(5)
    assert left == [70]
    assert "most recent call first" in capfd.readouterr().err


@pytest.mark.parametrize("owned", [True, False])
def test_a_process_that_its_group_has_forgotten_ends(health, clock, owned):
    health.follow(clock)
    health.publish(reading(clock, p0=0))
    health.publish(reading(clock))
    thread, left = watched(health, owned)
    thread.join(0.1)
    assert left == []
    clock.now += ORPHANED + 1
    thread.join(5 if not owned else 0.2)
    assert left == ([] if owned else [1]), "with others that own something it is one too many, and waits"
    health.follow(lambda: 0.0)  # ends the thread
    thread.join(5)


def test_a_process_that_never_had_a_partition_waits(health, clock):
    health.follow(clock)
    thread, left = watched(health, False)
    health.publish(reading(clock))
    clock.now += 10 * ORPHANED
    thread.join(0.2)
    assert left == []
    health.follow(lambda: 0.0)
    thread.join(5)


# ---- log --------------------------------------------------------------------------------------------------------------
def formatted(message: str, *args: object, **extra: object) -> dict[str, Any]:
    record = logging.getLogger("x").makeRecord("x", logging.INFO, "", 0, message, args, None, extra=extra)
    line = log_format.JsonFormatter("ingest").format(record)
    assert "\n" not in line
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_line_has_time_level_role_message_and_what_was_passed():
    line = formatted("%d of\n%s", 3, "four", partition=7)
    time_ = line.pop("time")
    assert time_.endswith("+00:00")
    assert line == {"level": "info", "role": "ingest", "logger": "x", "message": "3 of\nfour", "partition": 7}


def test_what_is_passed_does_not_pass_for_the_line_itself():
    assert formatted("a", role="other", level="none")["role"] == "ingest"
    assert formatted("a", role="other", level="none")["level"] == "info"


def test_a_line_takes_any_value():
    line = formatted("a \udcff", big=1 << 70, odd={1, 2}, path=b"\xff")
    assert line["big"] == 1 << 70
    assert line["message"] == "a \udcff"


SCRIPT = """
import logging, threading
from streams import log_format
log_format.set_up("respond", "json", "info")
logging.getLogger("faust.app.base").warning("[^-App]: Missing sensor state for rebalance #%s", 1)
logging.getLogger("mode.timers").info("Timer %s is overlapping (interval=%r runtime=%r)", "beat", 1, 2)
logging.getLogger("mode.timers").warning("Timer %s is overlapping (interval=%r runtime=%r)", "beat", 1, 2)
logging.getLogger("faust").warning("something else")
thread = threading.Thread(target=lambda: 1 / 0, name="helper")
thread.start()
thread.join()
raise ValueError("the end")
"""


def test_a_process_writes_lines_of_json_only_also_at_its_end():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    said = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["message"] for line in said] == ["something else", "helper failed", "ValueError: the end"]
    assert "ZeroDivisionError" in said[1]["exception"]
    assert done.returncode == 1
    assert done.stdout == ""


ALL = """
import sys
from pathlib import Path
from streams import running
from streams.settings import Http
running.sys.executable = {fake!r}
sys.exit(running.supervise(Path("x.yaml"), Http(port={port})))
"""


def supervised(tmp_path: Any, child: str, port: int = 9000) -> subprocess.Popen[str]:
    fake = tmp_path / "fake"
    fake.write_text(f"#!{sys.executable}\n{child}")
    fake.chmod(0o755)
    script = ALL.format(fake=str(fake), port=port)
    return subprocess.Popen([sys.executable, "-c", script], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


OBEYS = """import os, signal, sys
signal.signal(15, lambda *_: sys.exit(0))
os.write(1, (" ".join(sys.argv[3:]) + "\\n").encode())  # one write, so that lines of four processes stay whole
signal.pause()
"""
IGNORES = OBEYS.replace("lambda *_: sys.exit(0)", "lambda *_: os.write(1, b'no\\n')").replace(
    "signal.pause()", "while True: signal.pause()"
)


def end(process: subprocess.Popen[str], number: int) -> int:
    process.send_signal(number)
    process.communicate(timeout=20)
    return process.returncode


def until_said(process: subprocess.Popen[str], n: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline() for _ in range(n)]


def test_all_roles_answer_at_ports_one_after_the_other(tmp_path):
    process = supervised(tmp_path, OBEYS)
    said = sorted(until_said(process, 4))
    assert [line.split()[-4:] for line in said] == [
        ["--role", role, "--http", f"127.0.0.1:{port}"]
        for role, port in sorted({"ingest": 9000, "assemble": 9001, "detect": 9002, "respond": 9003}.items())
    ]
    assert end(process, signal.SIGTERM) == 0


def test_a_second_signal_to_all_leaves_at_once(tmp_path):
    process = supervised(tmp_path, IGNORES)
    until_said(process, 4)
    process.send_signal(signal.SIGTERM)
    assert until_said(process, 4) == ["no\n"] * 4
    assert end(process, signal.SIGINT) == 130


def test_when_one_role_dies_all_end_and_say_which(tmp_path):
    process = supervised(
        tmp_path, OBEYS.replace("signal.pause()", "if 'detect' in sys.argv: sys.exit(75)\nsignal.pause()")
    )
    _, said = process.communicate(timeout=20)
    assert said == "aiops run: detect ended with status 75; so do the others\n"
    assert process.returncode == 75


def test_all_roles_need_so_many_ports(tmp_path):
    process = supervised(tmp_path, OBEYS, port=65_534)
    _, said = process.communicate(timeout=20)
    assert "4 roles need ports 65534 to 65537" in said


def test_a_turn_of_many_steps_is_no_standstill(health, clock):
    for done in (lambda: health.stepped(50.0), lambda: health.reached(0, 1)):
        clock.now += TURN
        assert health.ails() is None
        done()
    clock.now += TURN + 1
    assert health.ails() == f"the loop has not turned for {TURN + 1:.0f} s"
