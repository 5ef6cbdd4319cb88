"""The application over a small store, with a backend that only remembers what was commanded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from aiops.errors import UserError
from aiops.records import Command, rfc3339
from streams.api.app import application
from streams.api.operations import Status
from streams.api.tokens import Token, Tokens, digest
from streams.history.batch import Batch
from streams.history.store import Store
from tests.history import said

READER, OPERATOR = "aiops_" + "r" * 43, "aiops_" + "o" * 43
TOKENS = [
    Token(name="rita", sha256=digest(READER).hex()),
    Token(name="olaf", sha256=digest(OPERATOR).hex(), role="operator"),
]


class Remembering:
    """A backend that takes commands, or does not."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.broken = False

    def status(self) -> Status:
        return Status(kind="embedded", now=rfc3339(said.T), progress=0.5)

    def now(self) -> int:
        return said.T

    def send(self, command: Command) -> None:
        if self.broken:
            raise UserError("nobody takes it")
        self.commands.append(command)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with some incidents: 0-11 are over, 12-14 are open."""
    path = tmp_path_factory.mktemp("api") / "history.db"
    store = Store(f"sqlite:///{path}")
    store.apply(said.joined(said.history(12)))
    store.apply(Batch(incidents=[(said.incident(n), "opened") for n in (12, 13, 14)]))
    store.close()
    return path


@pytest.fixture
def store(filled: Path, tmp_path: Path) -> Iterator[Store]:
    """The same for each test anew."""
    copy = tmp_path / "copy.db"
    copy.write_bytes(filled.read_bytes())
    opened = Store(f"sqlite:///{copy}")
    yield opened
    opened.close()


@pytest.fixture
def backend() -> Remembering:
    return Remembering()


@pytest.fixture
def anybody(store: Store, backend: Remembering) -> Iterator[TestClient]:
    """Comes without a token."""
    with TestClient(application(store, backend, Tokens(TOKENS)), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def reader(anybody: TestClient) -> TestClient:
    anybody.headers["Authorization"] = f"Bearer {READER}"
    return anybody


@pytest.fixture
def operator(anybody: TestClient) -> TestClient:
    anybody.headers["Authorization"] = f"Bearer {OPERATOR}"
    return anybody
