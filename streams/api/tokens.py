"""Bearer tokens -> who calls and what they may: nothing without one, read with ``reader``, command with ``operator``.

Only digests of tokens are kept.  A token is 256 random bits, so one round of SHA-256 hides it as well as a slow hash would.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from typing import Literal

import msgspec

Role = Literal["reader", "operator"]
PREFIX = "aiops_"  # tells a leaked token from other text
_BEARER = re.compile(r"Bearer ([A-Za-z0-9_-]{16,200})")


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may come.

    Attributes
    ----------
    name : text
        Author of what is commanded with this token.
    role : reader or operator
        What it may: read, or command as well.
    sha256 : text
        Digest of the token, 64 hex digits; `aiops console --new-token` prints both.
    """

    name: str
    sha256: str
    role: Role = "reader"


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls."""

    name: str
    role: Role


class Tokens:
    """The tokens that count."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = [(bytes.fromhex(token.sha256), Caller(name=token.name, role=token.role)) for token in tokens]

    def caller(self, authorization: str | None) -> Caller | None:
        """Who sends this header; None: nobody that is known.

        All digests are compared, each in the same time, so that answers do not tell how near a guess was.
        """
        match = _BEARER.fullmatch(authorization or "")
        given = digest(match[1]) if match else b""
        found = None
        for expected, caller in self._tokens:
            if hmac.compare_digest(expected, given):
                found = caller
        return found


def digest(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).digest()


def new() -> str:
    """A token that nobody has."""
    return PREFIX + secrets.token_urlsafe(32)


def problems(tokens: Sequence[Token]) -> list[str]:
    """What is wrong with tokens of a configuration; digests are not shown."""
    found, names = [], set()
    for i, token in enumerate(tokens):
        where = f"console.tokens[{i}]"
        if not re.fullmatch(r"[0-9a-f]{64}", token.sha256):
            found.append(
                f"{where}.sha256: 64 hex digits in lower case are expected: aiops console --new-token prints them"
            )
        if not 0 < len(token.name) <= 100 or not token.name.isprintable():
            found.append(f"{where}.name: a printable name of at most 100 characters is expected")
        if token.name in names:
            found.append(f"{where}.name: {token.name!r} is there twice: one could not be told from the other")
        names.add(token.name)
    return found
