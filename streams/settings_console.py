"""Settings of the console: where it answers, where it keeps what the engine has said, for how long, and who may come."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from streams.api.tokens import Token
from streams.api.tokens import problems as token_problems
from streams.durations import UNITS
from streams.history.keep import Keep

HOUR = UNITS["h"]


class ConsoleConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The console, `aiops console`.

    Attributes
    ----------
    host : text
        Address to listen on; `0.0.0.0` = all of them. There is no TLS: put a proxy in front of it.
    port : number
        0 = any free port.
    history : text
        Address of the database: `sqlite:///FILE`, or `postgresql+psycopg://USER:PASSWORD@HOST/NAME`.
    tokens : list
        Who may come; without any, a token to read is made at the start and printed.
    """

    host: Annotated[str, msgspec.Meta(min_length=1)] = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 8080
    history: Annotated[str, msgspec.Meta(min_length=1)] = "sqlite:///aiops-history.db"
    retention: Keep = Keep()
    tokens: list[Token] = []

    def __repr__(self) -> str:
        """Without the password of the database."""
        shown = {name: getattr(self, name) for name in self.__struct_fields__} | {
            "history": without_password(self.history)
        }
        return f"ConsoleConfig({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


def without_password(url: str) -> str:
    """The address of a database as it may be shown.

    >>> without_password("postgresql+psycopg://aiops:secret@db/history")
    'postgresql+psycopg://aiops:***@db/history'
    """
    return re.sub(r"(://[^:/@]*:)[^@]*@", r"\1***@", url)


def problems(config: ConsoleConfig) -> list[str]:
    """What the types allow and the console does not."""
    found = [
        f"console.retention.{name}: at least 1h"
        for name in Keep.__struct_fields__
        if getattr(config.retention, name) < HOUR
    ]
    return found + token_problems(config.tokens)
