"""Keeps the highest version of each incident the last one of its key.

A compacted topic keeps the last record of a key.  A worker that was stopped and woken, and does not know yet that it owns
nothing any more, may append an older version after a newer one; the owner follows the topic and writes the newer one again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from streams.records import Headers, Out

MOST = 20_000  # incidents that are followed; those longest without a new version go first
MOST_BYTES = 128 << 20  # of them, likewise


class _Head(msgspec.Struct):
    """What an incident says of its place and version."""

    incident_id: str
    version: int
    tenant: str
    environment: str


class _Best(NamedTuple):
    version: int
    value: bytes
    headers: Headers


class PublicVersions:
    """Follows the topic of incidents.

    Parameters
    ----------
    owned : callable
        (tenant, environment) -> is it this process that says what its incidents are?
    """

    def __init__(self, topic: str, owned: Callable[[str, str], bool]) -> None:
        self.topic = topic
        self.rewritten = 0
        self._owned = owned
        self._lower: set[bytes] | None = set()  # while the past is read: keys whose last record is not their highest
        self._best: OrderedDict[bytes, _Best] = OrderedDict()
        self._bytes = 0
        self._decoder = msgspec.json.Decoder(_Head)

    def __len__(self) -> int:
        return len(self._best)

    def see(self, key: bytes | None, value: bytes | None, headers: Headers) -> Out | None:
        """A record of the topic; returns what is to be written because of it."""
        if key is None:
            return None
        if self._lower is not None:
            self._lower.discard(key)
        if value is None:  # a tombstone: the incident is over for good
            self._forget(key)
            return None
        try:
            head = self._decoder.decode(value)
        except msgspec.DecodeError:
            return None  # not ours
        best = self._best.get(key)
        if best is None or head.version >= best.version:
            self._forget(key)
            self._best[key] = _Best(head.version, value, headers)
            self._bytes += len(value)
            while len(self._best) > MOST or self._bytes > MOST_BYTES:
                self._forget(next(iter(self._best)))
            return None
        if not self._owned(head.tenant, head.environment):
            return None
        if self._lower is not None:  # a later record may have mended it
            self._lower.add(key)
            return None
        self.rewritten += 1
        return Out(self.topic, None, best.value, best.headers, key)

    def _forget(self, key: bytes) -> None:
        if (best := self._best.pop(key, None)) is not None:
            self._bytes -= len(best.value)

    def live(self) -> list[Out]:
        """The past has been read to its end; returns what is to be written because of it."""
        lower, self._lower = sorted(self._lower or ()), None
        self.rewritten += len(lower)
        return [Out(self.topic, None, best.value, best.headers, key) for key in lower if (best := self._best.get(key))]
