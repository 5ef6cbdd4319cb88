"""AnyValue messages -> Python values and text: what attributes and structured log bodies look like to people."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import msgspec
from google.protobuf.message import DecodeError

from aiops.wire.lenient import AnyValue, KeyValue, utf8

_SHORT = 256  # bytes of an attribute up to which what it says is remembered
_JSON = msgspec.json.Encoder(order="deterministic")  # bytes become base64, NaN and infinities null


def scalar(value: Any) -> object:
    """AnyValue message -> str, bool, int, float, bytes, list, dict, or None where it is empty."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [scalar(v) for v in value.array_value.values]
    if kind == "kvlist_value":
        return pairs(value.kvlist_value.values)
    plain: object = getattr(value, kind)
    return utf8(plain) if kind == "string_value" else plain


def text(value: object) -> str:
    """A Python value as text: strings as they are, the rest as in JSON, bytes as base64.

    >>> text("GET"), text(True), text(1.0), text([1, "a"])
    ('GET', 'true', '1.0', '[1,"a"]')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float):
        return repr(value)  # JSON has no NaN
    return "" if value is None else _JSON.encode(value).decode()


def render(body: bytes) -> bytes:
    """A structured body as one line of JSON with sorted keys; bytes that are no AnyValue as they are."""
    try:
        value = scalar(AnyValue.FromString(body))
    except (DecodeError, RecursionError):
        return body
    return b"" if value is None else text(value).encode()


def pairs(attributes: Iterable[Any]) -> dict[str, object]:
    """Attributes as a dictionary; of a key given twice the last value counts."""
    return {utf8(pair.key): scalar(pair.value) for pair in attributes}


def worded(raw: bytes) -> tuple[str, str] | None:
    """(key, value as text) of KeyValue bytes, None where they are none."""
    return _worded(raw) if len(raw) <= _SHORT else _worded.__wrapped__(raw)


@lru_cache(1 << 14)  # series that are new at once share nearly all of their attributes
def _worded(raw: bytes) -> tuple[str, str] | None:
    found = pair(raw)
    return None if found is None else (found[0], text(found[1]))


def pair(raw: bytes) -> tuple[str, object] | None:
    """(key, value) of KeyValue bytes, None where they are none."""
    try:
        message = KeyValue.FromString(raw)
    except DecodeError:
        return None
    return utf8(message.key), scalar(message.value)
