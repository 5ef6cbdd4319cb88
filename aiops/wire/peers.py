"""Whom a client span calls, by ``peer.service``, else ``server.address``: the name of a callee that may send no spans."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.columns import CLIENT, PRODUCER, Slices
from aiops.wire.attributes import varint
from aiops.wire.layout import frozen

PEER_KEYS = ("peer.service", "server.address")  # the first that is there, and not empty, counts
_SERVICE = np.frombuffer(PEER_KEYS[0].encode(), np.uint8)
_ADDRESS = np.frombuffer(PEER_KEYS[1].encode(), np.uint8)


def peers(attributes: Slices, offsets: NDArray[np.int32], kind: NDArray[np.int32]) -> Slices:
    """The peer of every span, empty where it has none or calls nobody: Slices of `attributes`, n rows.

    Span ``i`` owns the KeyValue bytes ``attributes[offsets[i]:offsets[i + 1]]``.  Only text in the encoding that exporters
    write is looked at; anything else names no peer.
    """
    start, end = np.zeros(len(kind), np.int32), np.zeros(len(kind), np.int32)
    _peers(attributes.data, attributes.start, attributes.end, offsets, kind, _SERVICE, _ADDRESS, start, end)
    return Slices(attributes.data, frozen(start), frozen(end))


@njit(inline="always")
def _is(data: Any, at: Any, key: Any) -> Any:
    j = 0
    while j < len(key) and data[at + j] == key[j]:
        j += 1
    return j == len(key)


@njit(nogil=True, cache=True)
def _peers(
    data: Any, first: Any, last: Any, offsets: Any, kind: Any, service: Any, address: Any, start: Any, end: Any
) -> None:
    for row in range(len(kind)):
        if kind[row] != CLIENT and kind[row] != PRODUCER:
            continue
        for i in range(offsets[row], offsets[row + 1]):
            at, stop = first[i], last[i]
            if stop - at < 2 or data[at] != 10:
                continue
            size = np.int64(data[at + 1])
            if (size != len(service) and size != len(address)) or stop - at < size + 6:
                continue
            named = size == len(service) and _is(data, at + 2, service)
            if not named and not (size == len(address) and _is(data, at + 2, address)):
                continue
            value = at + 2 + size
            if data[value] != 18:
                continue
            length, value = varint(data, value + 1, stop)
            if value < 0 or length != stop - value or length < 3 or data[value] != 10:
                continue
            length, text = varint(data, value + 1, stop)
            if text < 0 or length != stop - text or length == 0:
                continue
            if named or start[row] == end[row]:
                start[row], end[row] = text, stop
            if named:
                break


def peer_of(attributes: list[tuple[str, object]]) -> bytes:
    """The peer that decoded attributes name; empty where there is none."""
    found = {key: value for key, value in reversed(attributes) if key in PEER_KEYS and isinstance(value, str) and value}
    return str(found.get(PEER_KEYS[0], found.get(PEER_KEYS[1], ""))).encode()
