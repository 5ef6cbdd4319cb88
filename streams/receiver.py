"""Alerts of other tools by HTTP -> the engine's alerts, one a record, handed on before the sender is told that they were taken.

``POST /alerts``
    Whatever ``aiops.alert_formats`` recognises: webhooks of Alertmanager and Grafana, posts to API v2, records of the engine.
``POST /alerts/NAME``
    JSON that the mapping NAME of the configuration reads.
``POST /api/v2/alerts``
    As Alertmanager itself, so that a Prometheus can be pointed here.
``GET /healthz``, ``GET /metrics``
    As the roles.

What comes is hostile: nothing is read without a token, nothing beyond a size, no connection lasts, every refusal has a status.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import logging
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.exposition import choose_encoder

from aiops.alert_formats import decode_alerts, mapped_alerts
from aiops.records import Alert, RecordError, rfc3339
from streams.health import BoundedServer
from streams.receiver_settings import Receiver

log = logging.getLogger(__name__)

LONGEST = 15.0  # seconds that a connection may take, whatever is sent on it
LINGER, LARGEST_REST = 0.5, 4 << 20  # seconds and bytes for which the rest of a refused request is thrown away
_TEXT, _JSON = "text/plain; charset=utf-8", "application/json"

Hand = Callable[[list[Alert]], bool]
"""Hand alerts on; False: they could not be, and the sender must come again."""


class Refused(Exception):  # noqa: N818 - what becomes of the request
    """A request that is refused."""

    def __init__(self, status: int, text: str, **headers: str) -> None:
        super().__init__(text)
        self.status, self.headers = status, headers


class Bucket:
    """So many a second, and as many at once.

    >>> times = iter([0.0, 0.0, 0.0, 0.6])
    >>> bucket = Bucket(2, lambda: next(times))
    >>> [bucket.take() for _ in range(3)], bucket.take()
    ([True, True, False], True)
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock, self._left, self._at = rate, clock, rate, -1.0
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Is there room for one more?"""
        with self._lock:
            now = self._clock()
            if self._at >= 0:
                self._left = min(self._rate, self._left + (now - self._at) * self._rate)
            self._at = now
            if self._left < 1:
                return False
            self._left -= 1
            return True


class AlertServer(BoundedServer):
    """The server, in a thread of its own; a context is ``start`` and ``stop``.

    Parameters
    ----------
    hand : callable
        Takes alerts over.
    now : callable
        Wall clock, Unix ns.

    Raises
    ------
    UserError
        The address is taken, or is none of this machine.
    """

    def __init__(self, settings: Receiver, hand: Hand, now: Callable[[], int] = time.time_ns) -> None:
        self.settings, self.hand, self.now = settings, hand, now
        self.bucket = Bucket(settings.rate)
        self.mappings = {mapping.name: mapping for mapping in settings.mappings}
        self.registry = CollectorRegistry()
        self.requests = Counter("aiops_alert_requests", "Requests by status.", ["status"], registry=self.registry)
        self.alerts = Counter("aiops_alerts_received", "Alerts handed on.", registry=self.registry)
        super().__init__(settings.host, settings.port, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: AlertServer
    server_version, sys_version = "aiops", ""
    protocol_version = "HTTP/1.0"  # one request a connection: nothing to smuggle a second one in
    timeout = 5.0

    def setup(self) -> None:
        """Give the connection an end: the time-out of a socket is for one byte."""
        super().setup()
        self._timer = threading.Timer(LONGEST, _end, (self.connection,))
        self._timer.daemon = True
        self._timer.start()

    def finish(self) -> None:
        """Close in such a way that who was refused in the middle of a body reads why: an unread rest would reset it."""
        with contextlib.suppress(OSError):  # the other side may be gone
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(LINGER)
            left = LARGEST_REST
            while left > 0 and (rest := self.connection.recv(min(left, 65_536))):
                left -= len(rest)
        self._timer.cancel()
        with contextlib.suppress(OSError):
            super().finish()

    def do_POST(self) -> None:
        """Take alerts."""
        try:
            taken = self._taken()
        except Refused as refused:
            self._answer(refused.status, _JSON, msgspec.json.encode({"error": str(refused)}), refused.headers)
        else:
            self._answer(200, _JSON, msgspec.json.encode({"accepted": taken}))

    def do_GET(self) -> None:
        """Is it alive, and its metrics."""
        path = self.path.partition("?")[0]
        if path == "/healthz":
            self._answer(200, _TEXT, b"ok\n")
        elif path == "/metrics":
            encode, kind = choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, kind, encode(self.server.registry))
        else:
            self._answer(404, _TEXT, b"alerts are posted to /alerts, /alerts/NAME or /api/v2/alerts\n")

    def _taken(self) -> int:
        settings, server = self.server.settings, self.server
        if not self._known():
            raise Refused(401, "a token is needed", **{"WWW-Authenticate": "Bearer"})
        if not server.bucket.take():
            raise Refused(429, f"more than {settings.rate} requests a second", **{"Retry-After": "1"})
        read = self._reading()
        body = self._body(settings.largest)
        try:
            alerts = read(body)
        except RecordError as error:
            raise Refused(400, str(error)) from None
        sent = rfc3339(server.now())
        alerts = [msgspec.structs.replace(alert, sent_at=sent) for alert in alerts]
        if not server.hand(alerts):
            raise Refused(503, "the alerts could not be handed on: send them again", **{"Retry-After": "5"})
        server.alerts.inc(len(alerts))
        return len(alerts)

    def _reading(self) -> Callable[[bytes], list[Alert]]:
        settings, server = self.server.settings, self.server
        path = self.path.partition("?")[0].rstrip("/")
        if path in ("/alerts", "/api/v2/alerts"):
            return lambda body: decode_alerts(body, settings.environment)
        mapping = server.mappings.get(path.removeprefix("/alerts/")) if path.startswith("/alerts/") else None
        if mapping is None:
            raise Refused(404, "alerts are posted to /alerts, /api/v2/alerts, or /alerts/NAME of a mapping")
        return lambda body: mapped_alerts(body, mapping, rfc3339(server.now()), settings.environment)

    def _known(self) -> bool:
        """Does the sender give the token?"""
        wanted = self.server.settings.token
        if not wanted:
            return True
        kind, _, given = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "basic":
            try:
                given = base64.b64decode(given, validate=True).decode().partition(":")[2]
            except ValueError:
                return False
        elif kind.lower() != "bearer":
            return False
        return hmac.compare_digest(given.strip().encode(), wanted.encode())

    def _body(self, largest: int) -> bytes:
        if self.headers.get("Transfer-Encoding") or self.headers.get("Content-Encoding", "identity") != "identity":
            raise Refused(415, "neither chunks nor compressed bodies are read")
        length = self.headers.get("Content-Length", "")
        if (
            not (length.isascii() and length.isdigit())
            or len(length) > 12
            or len(self.headers.get_all("Content-Length", [])) > 1
        ):
            raise Refused(411, "a length is needed")
        if int(length) > largest:
            raise Refused(413, f"{int(length)} bytes; at most {largest} are read")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise Refused(400, "the body is shorter than its length")
        return body

    def _answer(self, status: int, kind: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.server.requests.labels(str(status)).inc()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base class
        """Senders repeat every few seconds: no line for each; the counters tell."""


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
