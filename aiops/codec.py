"""Records <-> canonical JSON: equal records are equal bytes, and what cannot be read is refused by name.

The project's one JSON codec for what leaves and enters through public topics and files.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np

from aiops.times import rfc3339, unix_ns

SCHEMA_VERSION = "1.0"

Time = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class RecordError(ValueError):
    """A record that does not follow its schema; the message names the record, the field and the value."""


class PublicRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record that is the value of a message on a public topic; it says which schema it follows."""

    schema_version: str = SCHEMA_VERSION


Record = TypeVar("Record", bound=PublicRecord)


def encode(record: msgspec.Struct) -> bytes:
    """Canonical JSON: fields in order of declaration, dictionary keys sorted, no spaces; NaN, infinity: null."""
    return _ENCODER.encode(record)


def finite(what: str, value: float) -> None:
    """Refuse infinities and NaN: JSON would write them as null, which no reader of a required number accepts."""
    if not math.isfinite(value):
        raise ValueError(f"{what} is {value}: it must be finite; cap it where the tail probability underflows")


def _native(value: Any) -> Any:
    # Detectors compute in numpy; its scalars are the Python number they hold.
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"cannot encode {type(value).__name__}")


def decode(what: str, decoder: msgspec.json.Decoder[Record], data: bytes) -> Record:
    """Read a record of schema 1.x; fields that this release does not know are ignored.

    Raises
    ------
    RecordError
        Naming the record and the field at fault.
    """
    try:
        record = decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError(f"{what}: {error}") from None
    if record.schema_version.partition(".")[0] != SCHEMA_VERSION.partition(".")[0]:
        raise RecordError(f"{what}: schema_version {record.schema_version[:16]!r} is not 1.x, which this release reads")
    return record


def utc(what: str, field: str, text: str) -> str:
    """UTC text of a time that came with any offset, refused where the engine's int64 clocks cannot hold it."""
    try:
        ns = unix_ns(text)
    except ValueError as error:
        raise RecordError(f"{what}: {field} {error}") from None
    if not 0 <= ns < 2**63:
        raise RecordError(f"{what}: {field} {text[:64]!r} is outside 1970-01-01 .. 2262-04-11")
    return rfc3339(ns)


_ENCODER = msgspec.json.Encoder(enc_hook=_native, order="deterministic")
