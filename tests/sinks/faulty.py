"""An endpoint on this machine that answers as it is told: late, with errors, cut, or not at all; it keeps what came."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Plan = Iterable[Any]
"""What each request gets: a status; ('slow', seconds); 'cut' (the connection ends without an answer); 'late-cut' (taken, then
cut); a dict is the JSON of a 200; (status, headers)."""


class Endpoint:
    """A server; ``taken`` are (path, headers, body) of requests that were answered with 2xx, or cut after they were taken."""

    def __init__(
        self, plan: Plan = (), check: Callable[[str, Any], list[str]] | None = None, default: Any = 200, port: int = 0
    ) -> None:
        self.plan, self.check, self.default = iter(plan), check, default
        self.taken: list[tuple[str, dict[str, str], Any]] = []
        self.requests = 0
        self.wrong: list[str] = []
        self._lock = threading.Lock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_POST(self) -> None:
                endpoint.answer(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # whoever waited for a slow answer is gone

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def answer(self, handler: Any) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        with self._lock:
            self.requests += 1
            what = next(self.plan, self.default)
        status, headers, said = 200, {}, b"ok"
        if what == "cut":
            handler.close_connection = True
            return
        if isinstance(what, tuple) and what[0] == "slow":
            time.sleep(what[1])
        elif isinstance(what, tuple):
            status, headers = what
        elif isinstance(what, dict):
            said = json.dumps(what).encode()
        elif isinstance(what, int):
            status = what
        if 200 <= status < 300:
            value = json.loads(body)
            with self._lock:
                self.taken.append((handler.path, dict(handler.headers), value))
                if self.check is not None:
                    self.wrong += self.check(handler.path, value)
        if what == "late-cut":
            handler.close_connection = True
            return
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(said)))
        handler.end_headers()
        handler.wfile.write(said)

    def bodies(self) -> list[Any]:
        return [body for _, _, body in self.taken]

    def __enter__(self) -> Self:
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


def until(what: Callable[[], Any], seconds: float = 10.0) -> Any:
    """What `what` returns as soon as that is true."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
    return found
