"""Snapshots: nested dicts, lists, numbers, texts and numpy arrays <-> bytes, deterministic and safe to read.

MessagePack, because a pickle read from a topic would run what it says.  Arrays lie behind it as they are in memory, so that a
state of gigabytes is copied once on its way out and once on its way back::

    0xC1 | length of the head, 8 bytes, little-endian | head | bytes of the arrays, one behind the other

The head is MessagePack in which an array is an extension: its type, its shape and where its bytes begin.  A state without arrays
is its head alone; the byte 0xC1 begins no MessagePack.
"""

from __future__ import annotations

from math import prod
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

_ARRAY = 1
_ARRAYS = b"\xc1"
_LENGTH = 8  # bytes


def pack(value: Any) -> bytes:
    """Encode a state; equal states give equal bytes where the dicts were filled in the same order.

    It must hold no sets: they would be written in the order of chance.
    """
    body: list[NDArray[np.uint8]] = []
    begin = arrays = 0

    def encode(of: Any) -> Any:
        nonlocal begin, arrays
        if isinstance(of, np.generic):
            return of.item()
        if not isinstance(of, np.ndarray):
            raise TypeError(f"a snapshot cannot hold a {type(of).__name__}")
        if of.dtype.hasobject:
            raise TypeError(f"a snapshot cannot hold an array of {of.dtype}")
        arrays += 1
        descr = of.dtype.descr if of.dtype.names else of.dtype.str
        head = msgspec.msgpack.encode([descr, list(of.shape), begin])
        if of.size:
            body.append(np.ascontiguousarray(of).reshape(-1).view(np.uint8))
            begin += of.nbytes
        return msgspec.msgpack.Ext(_ARRAY, head)

    head = msgspec.msgpack.Encoder(enc_hook=encode).encode(value)
    if not arrays:
        return head
    return b"".join([_ARRAYS, len(head).to_bytes(_LENGTH, "little"), head, *(array.data for array in body)])


def unpack(data: bytes) -> Any:
    """Decode what ``pack`` made.  Tuples come back as lists.

    Raises
    ------
    msgspec.DecodeError, ValueError
        It is no snapshot, or not a whole one.
    """
    begin, end = 0, len(data)
    if data[:1] == _ARRAYS:
        begin = len(_ARRAYS) + _LENGTH
        end = begin + int.from_bytes(data[len(_ARRAYS) : begin], "little")
    body = memoryview(data)[end:]

    def decode(code: int, about: memoryview) -> Any:
        if code != _ARRAY:
            raise ValueError(f"snapshot: unknown extension {code}")
        descr, shape, at = msgspec.msgpack.decode(about)
        dtype = np.dtype([tuple(field) for field in descr]) if isinstance(descr, list) else np.dtype(descr)
        count = prod(shape)
        if min(*shape, at, 0) < 0 or at + count * dtype.itemsize > len(body):
            raise ValueError(f"snapshot: an array of {shape} at byte {at} is beyond its {len(body)} bytes")
        # Elements need not lie where their type wants them to: the copy does.
        return np.frombuffer(body[at : at + count * dtype.itemsize], dtype).reshape(shape).copy()

    return msgspec.msgpack.Decoder(ext_hook=decode, strict=True).decode(memoryview(data)[begin:end])
