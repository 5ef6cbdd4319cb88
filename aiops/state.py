"""Snapshots: nested dicts, lists, numbers, texts and numpy arrays <-> bytes, deterministic and safe to read.

MessagePack, because a pickle read from a topic would run what it says.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

_ARRAY = 1


def _encode(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise TypeError(f"a snapshot cannot hold an array of {value.dtype}")
        descr = value.dtype.descr if value.dtype.names else value.dtype.str
        head = msgspec.msgpack.encode([descr, list(value.shape)])
        return msgspec.msgpack.Ext(
            _ARRAY, len(head).to_bytes(4, "little") + head + np.ascontiguousarray(value).tobytes()
        )
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a snapshot cannot hold a {type(value).__name__}")


def _decode(code: int, data: memoryview) -> Any:
    if code != _ARRAY:
        raise ValueError(f"snapshot: unknown extension {code}")
    size = int.from_bytes(data[:4], "little")
    descr, shape = msgspec.msgpack.decode(data[4 : 4 + size])
    dtype = np.dtype([tuple(field) for field in descr]) if isinstance(descr, list) else np.dtype(descr)
    return np.frombuffer(data[4 + size :], dtype).reshape(shape).copy()


_encoder = msgspec.msgpack.Encoder(enc_hook=_encode)
_decoder = msgspec.msgpack.Decoder(ext_hook=_decode, strict=True)


def pack(value: Any) -> bytes:
    """Encode a state; equal states give equal bytes where the dicts were filled in the same order.

    It must hold no sets: they would be written in the order of chance.
    """
    return _encoder.encode(value)


def unpack(data: bytes) -> Any:
    """Decode what ``pack`` made.  Tuples come back as lists."""
    return _decoder.decode(data)
