"""Files -> OTLP payloads, and which signal a payload carries.

A file holds one payload (protobuf, or one JSON document), or one JSON payload a line where its name ends in ``.jsonl``
or ``.ndjson``; either may be gzipped, which its name says with ``.gz``.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
from google.protobuf.message import DecodeError

from aiops.wire import SIGNALS, recognise
from aiops.wire.lenient import STRICT

_KEYS = {"resourceLogs": "logs", "resourceMetrics": "metrics", "resourceSpans": "traces"}
_LEVELS = {
    "logs": ("resource_logs", "scope_logs", "log_records"),
    "metrics": ("resource_metrics", "scope_metrics", "metrics"),
    "traces": ("resource_spans", "scope_spans", "spans"),
}
_DOCUMENT = msgspec.json.Decoder(dict[str, msgspec.Raw])
UNREADABLE = (OSError, EOFError, zlib.error)
_LINES = (".jsonl", ".ndjson")


def payloads_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """(number of the line, payload); number 0 where the file is one payload.  Raises what ``UNREADABLE`` holds."""
    name, zipped = path.name.lower(), path.suffix.lower() == ".gz"
    with gzip.open(path) if zipped else path.open("rb") as file:
        if name.removesuffix(".gz").endswith(_LINES):
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
        else:
            yield 0, file.read()


def signal_of(payload: bytes, encoding: str = "auto") -> str:
    """The signal that a payload carries.

    A JSON document says it with its key.  Protobuf does not: it is the one whose schema has the payload with at least
    one item and without an unknown field.

    Raises
    ------
    ValueError
        It is not clear; the text says to name the signal.
    """
    if encoding == "otlp_json" or (encoding == "auto" and recognise(payload) == "otlp_json"):
        try:
            keys = [key for key in _DOCUMENT.decode(payload.removeprefix(b"\xef\xbb\xbf")) if key in _KEYS]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"not JSON: {error}") from None
        if len(keys) == 1:
            return _KEYS[keys[0]]
        raise ValueError(f"{' and '.join(keys) or 'none'} of {', '.join(_KEYS)} in the document: pass --signal")
    found = [signal for signal in SIGNALS if _fits(signal, payload)]
    if len(found) == 1:
        return found[0]
    why = f"this decodes as {' and as '.join(found)}" if found else "this decodes as none of them"
    raise ValueError(f"protobuf does not name its signal, and {why}: pass --signal ({', '.join(SIGNALS)})")


def _fits(signal: str, payload: bytes) -> bool:
    try:
        message = STRICT[signal].FromString(payload)
    except DecodeError:
        return False
    size = message.ByteSize()
    message.DiscardUnknownFields()
    if message.ByteSize() != size:
        return False
    groups, scopes, rows = _LEVELS[signal]
    return any(getattr(s, rows) for g in getattr(message, groups) for s in getattr(g, scopes))
