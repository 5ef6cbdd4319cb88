"""Is a process alive, is it ready, and its metrics: three answers over HTTP, and a thread that ends what has hung.

``/healthz``
    200 while the loop turns.
``/readyz``
    200 when partitions are assigned, restored, and have once been read to their end since.
``/metrics``
    For Prometheus.
"""

from __future__ import annotations

import errno
import faulthandler
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from prometheus_client.exposition import choose_encoder

from aiops.errors import UserError
from streams.metrics import Metrics
from streams.metrics_reading import Observer, Reading

log = logging.getLogger(__name__)

TURN = 60.0  # seconds without a turn of the loop after which the process does not count as alive
WEDGED = 300.0  # seconds without one after which it is ended: no supervisor needs to ask for that
ORPHANED = 60.0  # seconds without the partitions that there were, after which it is asked whether anybody has them
ASK = 10.0  # seconds between such questions
WEDGED_STATUS = 70  # exit status of a process whose loop hung
NEAR = 2_000  # records before the end at which a partition counts as read to it: more come while these are read
STALE = 15.0  # seconds after which a reading says nothing of now
CONNECTIONS = 16  # served at once; more are closed
PATIENCE = 5.0  # seconds for a client to say what it wants


class Health(Observer):
    """Answers from what the loop tells of itself.

    Parameters
    ----------
    clock : callable
        Seconds, as ``time.monotonic``.
    """

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self.metrics = metrics
        self._clock = clock
        self._began = clock()
        self._turned: Callable[[], float] = lambda: self._began
        self._stepped = self._began  # when a part of a turn was done last: one of many windows may take minutes
        self._reading: Reading | None = None
        self._owned: float | None = None  # when a partition was owned last
        self._waiting: dict[tuple[str, int], int | None] = {}  # places not read to their end yet, and what is left
        self._read: frozenset[tuple[str, int]] = frozenset()
        metrics.loop_age = self.silent

    # ---- the loop tells -----------------------------------------------------------------------------------------------
    def follow(self, turned: Callable[[], float]) -> None:
        """From now on the time (``time.monotonic``) of the last turn of the loop is asked here."""
        self._turned = turned

    def stepped(self, seconds: float) -> None:
        """As in ``Observer``."""
        self._stepped = self._clock()
        self.metrics.stepped(seconds)

    def reached(self, before: int, clock: int) -> None:
        """As in ``Observer``."""
        self._stepped = self._clock()
        self.metrics.reached(before, clock)

    def publish(self, reading: Reading) -> None:
        """As in ``Observer``."""
        self.metrics.publish(reading)
        if reading.places:
            self._owned = self._clock()
        left = {place: of.behind for place, of in reading.places.items()}
        waiting = {p: n for p, n in left.items() if p not in self._read and (n is None or n > NEAR)}
        self._read = frozenset(left.keys() - waiting.keys())
        self._waiting, self._reading = waiting, reading

    # ---- answers ------------------------------------------------------------------------------------------------------
    def silent(self) -> float:
        """Seconds since the loop turned, or a part of its turn was done."""
        return self._clock() - max(self._turned(), self._stepped)

    def ails(self) -> str | None:
        """Why the process does not count as alive."""
        if (silent := self.silent()) > TURN:
            return f"the loop has not turned for {silent:.0f} s"
        return None

    def lacks(self) -> str | None:
        """Why it is not ready."""
        if (ails := self.ails()) is not None:
            return ails
        reading, waiting = self._reading, self._waiting
        if reading is None:
            return "starting"
        if (age := self._clock() - reading.at) > STALE:
            return (
                f"busy with a partition that is taken over or given up: nothing was heard of the loop for {age:.0f} s"
            )
        if not reading.places:
            return "no partition is assigned"
        if waiting:
            (topic, partition), left = next(iter(waiting.items()))
            how = "its end is not known yet" if left is None else f"{left} records are left"
            return f"{topic}/{partition} has not been read to its end: {how}"
        return None

    # ---- end of what has hung -----------------------------------------------------------------------------------------
    def watch(
        self, owned: Callable[[], bool], leave: Callable[[int], Any] = os._exit, every: float = 1.0
    ) -> threading.Thread:
        """End the process when its loop hangs, or when it has been forgotten; returns the thread that looks.

        A client can sit in its group without ever being given a partition again; a new process is given some.

        Parameters
        ----------
        owned : callable
            Has anybody in the group a partition?  Is asked when this process had some and has none.
        """

        def look() -> None:
            asked = 0.0
            while (silent := self.silent()) <= WEDGED:
                time.sleep(every)
                now = self._clock()
                if self._owned is None or now - self._owned <= ORPHANED or now - asked < ASK:
                    continue
                asked = now
                if not owned():
                    text = "no partition for %.0f s, and nobody else in the group has any: leaving"
                    log.critical(text, now - self._owned, extra={"status": 1})
                    leave(1)
                    return
            log.critical("the loop has not turned for %.0f s: leaving", silent, extra={"status": WEDGED_STATUS})
            faulthandler.dump_traceback(sys.__stderr__ or sys.stderr)  # where it hangs
            leave(WEDGED_STATUS)

        thread = threading.Thread(target=look, name="watchdog", daemon=True)
        thread.start()
        return thread


class BoundedServer(ThreadingMixIn, TCPServer):
    """An HTTP server in a thread, of so many connections at once at most.

    Parameters
    ----------
    port : int
        0: any that is free; see ``address``.
    handler : type
        Answers requests.

    Raises
    ------
    UserError
        The address is taken, or is none of this machine.
    """

    allow_reuse_address = True
    allow_reuse_port = False  # two processes would answer in turns
    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        self._room = threading.BoundedSemaphore(CONNECTIONS)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), handler)
        except OSError as error:
            where = f"http: {address(host, port)}"
            if error.errno == errno.EADDRINUSE:
                raise UserError(
                    f"{where} is taken, perhaps by another role on this machine: --http HOST:PORT or http.port in the "
                    "configuration names another; port 0 is any that is free"
                ) from None
            raise UserError(f"{where}: {error.strerror or error}") from None
        self.address = address(host, self.server_address[1])
        self._thread = threading.Thread(target=self.serve_forever, name="http", daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()
        log.info("listening", extra={"http": self.address})

    def stop(self) -> None:
        """Answer no more."""
        if self._thread.is_alive():
            self.shutdown()
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread a connection, up to a bound: whoever opens many must not fill the memory."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """In the thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is none of our troubles."""
        del request
        error = sys.exception()
        if not isinstance(error, OSError):
            log.error("http request failed", extra={"client": str(client_address[0])}, exc_info=error)


class Server(BoundedServer):
    """Answers what is asked about the health of a process; parameters as of ``BoundedServer``."""

    def __init__(self, health: Health, host: str, port: int) -> None:
        self.health = health
        super().__init__(host, port, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version, sys_version = "aiops", ""
    timeout = PATIENCE

    def do_GET(self) -> None:
        """One of the three answers."""
        health, path = self.server.health, self.path.partition("?")[0]
        if path == "/healthz":
            self._say(health.ails())
        elif path == "/readyz":
            self._say(health.lacks())
        elif path == "/metrics":
            encode, kind = choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, kind, encode(health.metrics.registry))
        else:
            self._answer(404, _TEXT, b"there are /healthz, /readyz and /metrics\n")

    do_HEAD = do_GET  # noqa: N815 - the base class looks for this name

    def _say(self, trouble: str | None) -> None:
        self._answer(200 if trouble is None else 503, _TEXT, f"{trouble or 'ok'}\n".encode())

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base class
        """Probes come every few seconds: no line for each."""


def somebody_owns(admin: Mapping[str, Any], group: str) -> bool:
    """Has any member of a consumer group a partition?  Also true while the broker does not say.

    Parameters
    ----------
    admin : mapping
        Properties of a client; it is a new one each time, which begins with the addresses of the configuration.
    """
    client = AdminClient({**admin, "log_level": "0"})
    try:
        described = client.describe_consumer_groups([group], request_timeout=10)[group].result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return False
        log.warning("kafka: %s", error.args[0].str())
        return True
    return any(member.assignment and member.assignment.topic_partitions for member in described.members)


_TEXT = "text/plain; charset=utf-8"


def address(host: str, port: int) -> str:
    """``HOST:PORT`` as in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``.

    Raises
    ------
    UserError
    """
    host, _, port = text.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not host or ("[" in host or "]" in host) or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise UserError(f"--http {text!r}: not HOST:PORT, such as 0.0.0.0:9464; port 0 = any that is free")
    return host, int(port)
