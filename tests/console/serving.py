"""A console in this process: an engine over a recording, its store, and the server in a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from aiops.recording import Recording
from streams.api.app import application
from streams.api.tokens import Token, Tokens, digest
from streams.console.embedded import Embedded
from streams.console.serving import bound, server
from streams.history.store import Store

OPERATOR, READER = "aiops_" + "o" * 43, "aiops_" + "r" * 43
TOKENS = [
    Token(name="ann", sha256=digest(OPERATOR).hex(), role="operator"),
    Token(name="rita", sha256=digest(READER).hex()),
]


@dataclass(frozen=True)
class Running:
    """Where it answers, and what is behind it."""

    address: str
    store: Store
    backend: Embedded

    def url(self, token: str = OPERATOR) -> str:
        return f"{self.address}/#token={token}"


@contextmanager
def console(recording: Recording, folder: Path, speed: float = 0.0, wait: bool = True) -> Iterator[Running]:
    """Serve a recording; with `wait`, once all of it was read."""
    store = Store(f"sqlite:///{folder / 'history.db'}")
    backend = Embedded(
        store, recording.messages(), recording.sources, speed=speed, commands=folder / "said.jsonl",
        progress=lambda: recording.read / recording.size,
    )  # fmt: skip
    listening = bound("127.0.0.1", 0)
    serving = server(application(store, backend, Tokens(TOKENS)))
    thread = threading.Thread(target=_run, args=(serving, listening), daemon=True)
    thread.start()
    backend.start()
    try:
        if wait:
            assert backend.ended.wait(240), "the recording was not read to its end"
        yield Running(f"http://127.0.0.1:{listening.getsockname()[1]}", store, backend)
    finally:
        serving.should_exit = True
        thread.join(10)
        backend.stop()
        store.close()
        listening.close()


def _run(serving: uvicorn.Server, listening: object) -> None:
    serving.run(sockets=[listening])  # type: ignore[list-item]


def until(what: object, seconds: float = 5.0) -> float:
    """Wait until it is so; returns how long it took."""
    assert callable(what)
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < seconds, "it did not become so in time"
        time.sleep(0.02)
    return time.monotonic() - began
