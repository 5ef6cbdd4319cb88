"""What an operation of the API is: who may, what it takes, what it answers; routes and the OpenAPI document come from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from aiops.records import Command
from streams.api.requests import Query
from streams.api.tokens import Caller, Role
from streams.history.store import Store


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How what fills the store stands.

    ``now``: where the engine's time is: the wall clock where it runs live, else that of the recording.  ``progress``: share of
    a recording that was read, null where there is no end.  ``trouble``: why nothing comes, null where it does.
    """

    kind: str
    now: str
    progress: float | None = None
    trouble: str | None = None
    refused: int = 0
    behind: dict[str, int] = {}
    gauges: dict[str, float] = {}


class Backend(Protocol):
    """What fills the store, and hears commands."""

    def status(self) -> Status:
        """How it stands."""
        ...

    def now(self) -> int:
        """Unix ns: where the engine's time is."""
        ...

    def send(self, command: Command) -> None:
        """Hand a command over.

        Raises
        ------
        UserError
            It was not taken.
        """
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was let in.

    Attributes
    ----------
    path : dict, name of a part of the path -> value
    query, body : struct
        Of the kinds that the operation names.
    client : str
        Address that it came from.
    """

    store: Store
    backend: Backend
    caller: Caller
    client: str
    path: dict[str, str]
    query: Any
    body: Any
    commanded: Callable[[str], None]  # tell those who listen that something of this incident was commanded


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    name: str
    summary: str
    run: Callable[[Call], msgspec.Struct]
    answer: type[msgspec.Struct]
    role: Role = "reader"
    query: type[msgspec.Struct] = Query
    body: type[msgspec.Struct] | None = None
    status: int = 200
    refusals: tuple[int, ...] = field(default=())  # beside those that every operation may give
