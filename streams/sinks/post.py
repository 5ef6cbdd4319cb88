"""One HTTP request with an end: connection, answer and body together within a time, no redirects, little read."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple
from urllib.parse import urlsplit

LONGEST_ANSWER = 64 << 10  # bytes that are read
SHOWN = 200  # characters of it that an error shows


class Answer(NamedTuple):
    """What came of a request.

    Attributes
    ----------
    status : int
        Of HTTP; 0 = there was none.
    error : str
        Why there was none, without the address: that may hold a secret.
    retry_after : float or None
        Seconds that the other side asks for.
    body : bytes
        The first of its answer.
    """

    status: int
    error: str = ""
    retry_after: float | None = None
    body: bytes = b""

    @property
    def said(self) -> str:
        """In words."""
        if not self.status:
            return self.error
        text = " ".join(self.body[:2_000].decode("utf-8", "replace").split())[:SHOWN]
        return f"HTTP {self.status}" + (f": {text}" if text else "")


def post(url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Answer:
    """Send `body`; never raises for what the other side or the way there does.

    Parameters
    ----------
    timeout : float
        Seconds for all of it.
    """
    until = time.monotonic() + timeout
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection: http.client.HTTPConnection | None = None
    expired = threading.Event()
    timer: threading.Timer | None = None
    try:
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(
                parts.hostname or "", parts.port, timeout=timeout, context=_trust()
            )
        else:
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
        connection.connect()
        # The time-out of a socket is for one operation: who sends a byte a second would hold a sink for ever.
        timer = threading.Timer(max(0.0, until - time.monotonic()), _end, (connection.sock, expired))
        timer.daemon = True
        timer.start()
        connection.request("POST", target, body, {"User-Agent": "aiops", **headers})
        read = bytearray()
        with connection.getresponse() as response:
            while len(read) < LONGEST_ANSWER and (part := response.read1(LONGEST_ANSWER - len(read))):
                read += part
        if expired.is_set():
            return Answer(0, f"no answer within {timeout:g} s")
        return Answer(response.status, "", _retry_after(response.headers.get("Retry-After")), bytes(read))
    except TimeoutError:
        return Answer(0, f"no answer within {timeout:g} s")
    except ssl.SSLError as error:
        return Answer(0, f"TLS: {error.reason or type(error).__name__}")
    except socket.gaierror:
        return Answer(0, "the name of the host is not known")
    except (OSError, http.client.HTTPException, ValueError) as error:
        # ValueError: what the answer's head cannot be; its text may repeat what was sent.
        if expired.is_set():
            return Answer(0, f"no answer within {timeout:g} s")
        text = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        return Answer(0, text)
    finally:
        if timer is not None:
            timer.cancel()
        if connection is not None:
            connection.close()


def _end(sock: socket.socket, expired: threading.Event) -> None:
    """Time is up: whoever reads or writes there finds the end."""
    expired.set()
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _retry_after(text: str | None) -> float | None:
    """Seconds; a date, which few send, counts as none."""
    return float(text) if text and text.isascii() and text.isdigit() and len(text) < 7 else None


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()
