"""Names of spans -> operations: what is data in a name is taken out; `/users/42` and `/users/43` are one operation."""

from __future__ import annotations

import re

# A path segment with a digit is data, unless it is a version such as v1; so are long hex words and UUIDs anywhere.
_SEGMENT = re.compile(r"(?<=/)(?!v\d{1,3}(?:[/?\s]|$))[^/\s?]*\d[^/\s?]*")
_QUERY = re.compile(r"\?\S*")
_HEX = re.compile(r"\b(?=[0-9a-fA-F-]*\d)[0-9a-fA-F]{8,}(?:-[0-9a-fA-F]{4,})*\b")
_ADDRESS = re.compile(
    r"\d+(?:\.\d+){3}(?::\d+)?|\[?[\da-fA-F]*:[\da-fA-F]*:[\da-fA-F:.]*\]?(?::\d+)?|localhost(?::\d+)?"
)
LONGEST = 200


def peer(name: bytes) -> str:
    """The service that a client's ``peer.service`` or ``server.address`` names; empty for a bare address.

    >>> peer(b"orders-db.shop.svc.cluster.local"), peer(b"api.stripe.com"), peer(b"10.0.0.7")
    ('orders-db', 'api.stripe.com', '')
    """
    text = name[:LONGEST].decode("utf-8", "replace").strip().rstrip(".")
    if _ADDRESS.fullmatch(text):
        return ""
    host, _, rest = text.partition(".")
    return host if rest.endswith((".svc", ".svc.cluster.local", ".local")) else text


def operation(name: bytes) -> bytes:
    """The operation that a span's name stands for; UTF-8 is not checked, at most 200 bytes count."""
    if not any(48 <= byte <= 57 for byte in name) and b"?" not in name:
        return name[:LONGEST]
    text = name[:LONGEST].decode("utf-8", "surrogateescape")
    text = _HEX.sub("{id}", _SEGMENT.sub("{id}", _QUERY.sub("", text)))
    return text.encode("utf-8", "surrogateescape")
