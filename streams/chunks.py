"""Values too large for a record <-> parts: each says of which value it is a part, and the whole is checked at the end.

A value that fits is a single part without headers, and is not copied.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any

import xxhash

from streams.records import Headers, Refused

LIMIT = 900_000  # bytes: with headers below what a broker takes in one record by default, 1 MiB
MEMORY = 256 << 20  # bytes of parts that wait for others, before the oldest are given up
MAX_PARTS = 100_000
MAX_DONE = 100_000  # keys remembered as complete


class ChunkError(Refused):
    """A part that cannot be one; the message says why."""


def split(value: bytes, limit: int = LIMIT) -> list[tuple[Headers, bytes]]:
    """Parts of `value` of `limit` bytes at most, each with the headers that ``Joiner`` needs."""
    if limit < 1:
        raise ValueError(f"limit of {limit} bytes: a part needs one at least")
    if len(value) <= limit:
        return [([], value)]
    parts = -(-len(value) // limit)
    if parts > MAX_PARTS:
        raise ValueError(f"a value of {len(value)} bytes is more than {MAX_PARTS} parts of {limit} bytes")
    digest = _digest(value)
    return [
        (
            [("digest", digest), ("part", b"%d" % part), ("parts", b"%d" % parts)],
            value[part * limit : (part + 1) * limit],
        )
        for part in range(parts)
    ]


def _digest(value: bytes) -> bytes:
    """Tells values apart and shows damage; who writes internal topics is trusted, so that no secret is needed."""
    return xxhash.xxh3_128_digest(value)


class Joiner:
    """Parts -> whole values, in whatever order the parts come.

    Parts of several values of one key may be mixed, as when a sender restarts: the first value to be complete counts, and
    what comes of others of that key after it is ignored.  A part that comes again does no harm.

    Parameters
    ----------
    memory : int
        Bytes of waiting parts beyond which those of the keys that have waited longest are given up.

    Attributes
    ----------
    evicted : int
        Keys given up for want of memory.
    waiting : int
        Bytes of parts that wait.
    """

    __slots__ = ("_done", "_memory", "_of", "evicted", "waiting")

    def __init__(self, memory: int = MEMORY) -> None:
        self._memory = memory
        # key -> (digest of the value, number of its parts) -> parts by number
        self._of: OrderedDict[Hashable, dict[tuple[bytes, int], dict[int, bytes]]] = OrderedDict()
        self._done: OrderedDict[Hashable, None] = OrderedDict()
        self.evicted = 0
        self.waiting = 0

    def __len__(self) -> int:
        return len(self._of) + len(self._done)

    def __iter__(self) -> Iterator[Any]:
        """Keys that wait or are remembered as complete."""
        yield from self._of
        yield from self._done

    def add(self, key: Hashable, headers: Mapping[str, bytes], value: bytes) -> bytes | None:
        """Take in a part of the value of `key`; returns the value once all its parts are there.

        Raises
        ------
        ChunkError
            The headers are none of ``split``'s, or the parts do not give the value that they belong to.
        """
        if "parts" not in headers:
            return value
        digest, part, parts = _about(headers)
        if key in self._done:
            return None
        found = self._of.setdefault(key, {}).setdefault((digest, parts), {})
        if part not in found:
            found[part] = value
            self.waiting += len(value)
        if len(found) < parts:
            self._evict(key)
            return None
        whole = b"".join(found[k] for k in range(parts))
        self._drop(key)
        if _digest(whole) != digest:
            raise ChunkError(f"the {parts} parts do not give the value with digest {digest.hex()}")
        self._done[key] = None
        if len(self._done) > MAX_DONE:
            self._done.popitem(last=False)
        return whole

    def forget(self, keys: Iterable[Hashable]) -> None:
        """Nothing more is wanted of these keys."""
        for key in keys:
            self._drop(key)
            self._done.pop(key, None)

    def _drop(self, key: Hashable) -> None:
        for parts in self._of.pop(key, {}).values():
            self.waiting -= sum(map(len, parts.values()))

    def _evict(self, key: Hashable) -> None:
        """Give up the keys that have waited longest, `key` last of all."""
        while self.waiting > self._memory:
            oldest = next((other for other in self._of if other != key), key)
            self._drop(oldest)
            self.evicted += 1


def _about(headers: Mapping[str, bytes]) -> tuple[bytes, int, int]:
    try:
        digest, part, parts = headers["digest"], int(headers["part"]), int(headers["parts"])
    except (KeyError, ValueError) as error:
        raise ChunkError(f"headers of a part: {error}") from None
    if not (0 <= part < parts <= MAX_PARTS and len(digest) == 16):
        raise ChunkError(f"headers of a part: part {part} of {parts}, digest of {len(digest)} bytes")
    return digest, part, parts
