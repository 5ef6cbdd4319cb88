"""One request: it ends, whatever the other side does."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from streams.sinks.post import LONGEST_ANSWER, post
from tests.sinks.faulty import Endpoint


def test_what_was_answered_is_told():
    with Endpoint([(503, {"Retry-After": "7"}), 204, {"ok": True}]) as there:
        refused, taken, said = (post(there.url + "/x?y=1", b"{}", {"A": "b"}, 5) for _ in range(3))
    assert (refused.status, refused.retry_after, refused.said) == (503, 7.0, "HTTP 503: ok")
    assert (taken.status, said.body) == (204, b'{"ok": true}')
    assert there.taken[0][0] == "/x?y=1"
    assert there.taken[0][1]["A"] == "b"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/secret", "http://no.such.host.invalid/secret", "http://127.0.0.1:99999/secret"]
)
def test_where_nobody_is_the_address_is_not_repeated(url):
    answer = post(url, b"{}", {}, 2)
    assert answer.status == 0
    assert answer.said
    assert "secret" not in answer.said


def test_a_connection_that_is_cut_is_no_answer():
    with Endpoint(["cut"]) as there:
        assert post(there.url, b"{}", {}, 5).status == 0


def serving(talk):
    """A raw server of one connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with listener:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                with contextlib.suppress(OSError):
                    talk(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}", thread


def trickle(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for _ in range(100):
        connection.sendall(b"X-Slow: 1\r\n")
        time.sleep(0.05)


@pytest.mark.parametrize("talk", [trickle, lambda _connection: time.sleep(2)], ids=["a line at a time", "nothing"])
def test_who_answers_slowly_does_not_hold_us_beyond_the_time(talk):
    url, thread = serving(talk)
    begun = time.monotonic()
    answer = post(url, b"{}", {}, 0.5)
    assert (answer.status, answer.error) == (0, "no answer within 0.5 s")
    assert time.monotonic() - begun < 1.5
    thread.join(6)


def test_of_an_endless_answer_only_the_first_is_read():
    def endless(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(64):
            connection.sendall(b"x" * 65536)

    url, thread = serving(endless)
    assert len(post(url, b"{}", {}, 5).body) <= LONGEST_ANSWER
    thread.join(6)


def test_what_is_no_http_is_no_answer():
    url, thread = serving(lambda connection: connection.sendall(b"\x00\xff nonsense \r\n\r\n"))
    assert post(url, b"{}", {}, 5).status == 0
    thread.join(6)
