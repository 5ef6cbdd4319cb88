"""KeyValue bytes -> order-independent identities, and an arena that keeps the raw bytes of attribute sets.

Equal attributes (key, type, value) have equal hashes whoever encoded them: what is not in canonical protobuf encoding
is decoded and encoded again before it is hashed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numba import njit
from numpy.typing import NDArray

from aiops.columns import Slices
from aiops.identity import hash_bytes, murmur, word
from aiops.wire.layout import frozen
from aiops.wire.lenient import KeyValue

U64 = NDArray[np.uint64]
I32 = NDArray[np.int32]

_U0, _U8 = np.uint64(0), np.uint64(8)
_MEMO, _MEMO_BYTES = 100_000, 1024  # entries, and the longest KeyValue worth one


@njit(inline="always")
def varint(data: Any, i: Any, end: Any) -> Any:
    """Minimal varint at `i`, below 2**63 -> (value, next position); next is -1 when truncated, too long or padded."""
    value, shift = np.int64(0), 0
    while i < end and shift < 63:
        byte = data[i]
        i += 1
        value |= np.int64(byte & 127) << shift
        if byte < 128:
            return value, (i if byte or shift == 0 else -1)
        shift += 7
    return value, -1


@njit(nogil=True, cache=True)
def split_keyvalue(data: Any, start: Any, end: Any) -> Any:
    """Canonical ``KeyValue`` bytes -> (key start, key end, AnyValue start); key start is -1 when not canonical.

    Canonical: key, then value, nothing else, every length minimal, and the value one of string, bool, int, double,
    bytes that fills the rest.  Every OTLP exporter in use writes this; lists and maps take the slow path.
    """
    if end - start < 4 or data[start] != 10:
        return -1, -1, -1
    size, key = varint(data, start + 1, end)
    if key < 0 or size < 1 or size > end - key or key + size >= end or data[key + size] != 18:
        return -1, -1, -1
    key_end = key + size
    size, value = varint(data, key_end + 1, end)
    if value < 0 or size < 2 or size != end - value:
        return -1, -1, -1
    tag = data[value]
    if tag == 10 or tag == 58:
        size, inner = varint(data, value + 1, end)
        good = inner >= 0 and size == end - inner
    elif tag == 16:
        good = size == 2 and data[value + 1] < 2
    elif tag == 24:
        good = _minimal_int(data, value + 1, end)
    else:
        good = tag == 33 and size == 9
    return (key, key_end, value) if good else (-1, -1, -1)


@njit(inline="always")
def _minimal_int(data: Any, start: Any, end: Any) -> Any:
    for i in range(start, end - 1):
        if data[i] < 128:
            return False
    size, last = end - start, data[end - 1]
    return last < 128 and (size == 1 or last > 0) and (size < 10 or (size == 10 and last == 1))


@njit(inline="always")
def _same_bytes(data: Any, a: Any, b: Any, size: Any) -> Any:
    """Whether `size` bytes, 8 at least, are equal at `a` and `b`: by words, of which the last two may overlap."""
    i, last = _U0, np.uint64(size) - _U8
    a, b = np.uint64(a), np.uint64(b)
    while i < last:
        if word(data, a + i) != word(data, b + i):
            return False
        i += _U8
    return word(data, a + last) == word(data, b + last)


@njit(nogil=True, cache=True)
def _canonical_hashes(data: Any, start: Any, end: Any, offsets: Any, key: Any, out: Any, odd: Any) -> Any:
    n_odd, before = 0, 0
    for owner in range(len(offsets) - 1):
        low, high = offsets[owner], offsets[owner + 1]
        for row in range(low, high):
            # Neighbours mostly differ in one attribute: to compare is three times faster than to hash again.
            other, size = before + row - low, end[row] - start[row]
            if (
                other < low
                and size >= 8
                and end[other] - start[other] == size
                and out[other] != _U0
                and _same_bytes(data, start[row], start[other], size)
            ):
                out[row] = out[other]
                continue
            at, _, _ = split_keyvalue(data, start[row], end[row])
            if at < 0:
                out[row] = _U0  # to be filled on the slow path
                odd[n_odd] = row
                n_odd += 1
            else:
                out[row] = murmur(data, start[row], end[row], key)
        before = low
    return n_odd


def canonical(raw: bytes) -> bytes:
    """Canonical encoding of KeyValue bytes; what is no KeyValue stays as it is: its bytes are its identity."""
    try:
        out: bytes = KeyValue.FromString(raw).SerializeToString(deterministic=True)
    except DecodeError:
        return raw
    return out


class AttributeHashes:
    """Hash of every ``KeyValue`` under one key; the memo of those in an unusual encoding is a cache, never state."""

    __slots__ = ("_key", "_memo")

    def __init__(self, key: int) -> None:
        self._key = np.uint64(key)
        self._memo: dict[bytes, int] = {}

    def of(self, attributes: Slices, offsets: I32 | None = None) -> U64:
        """Equal for equal (key, type, value): uint64, shape (n,).

        Owner ``i`` has the attributes ``offsets[i]`` to ``offsets[i + 1]``; these take in all.  Owners make no difference
        but that neighbours with the same attributes in the same places are faster.
        """
        if offsets is None:
            offsets = frozen(np.array([0, len(attributes.start)], np.int32))
        out: U64 = np.empty(len(attributes.start), np.uint64)
        odd: I32 = np.empty(len(out), np.int32)
        n_odd = _canonical_hashes(attributes.data, attributes.start, attributes.end, offsets, self._key, out, odd)
        for row in odd[:n_odd].tolist():
            out[row] = self._slow(attributes.raw(row))
        return out

    def _slow(self, raw: bytes) -> int:
        value = self._memo.get(raw)
        if value is None:
            value = hash_bytes(canonical(raw), int(self._key))
            if len(raw) <= _MEMO_BYTES:
                if len(self._memo) >= _MEMO:
                    self._memo.clear()
                self._memo[raw] = value
        return value


class AttributeArena:
    """Raw attribute sets of all series in one growing byte buffer: no object a series, no work for the collector.

    A set is stored as a ``KeyValueList`` message: tag 10, length, KeyValue bytes, and again.
    """

    __slots__ = ("_data", "_edges", "size")

    def __init__(self) -> None:
        self.size = 0
        self._data: NDArray[np.uint8] = np.empty(1 << 16, np.uint8)
        self._edges: NDArray[np.int64] = np.zeros(1024, np.int64)

    def append(self, attributes: Slices, offsets: I32, rows: I32) -> None:
        """Append the sets ``attributes[offsets[r]:offsets[r + 1]]`` for every r in `rows`, in this order."""
        first, last = offsets[rows], offsets[rows + 1]
        has = last > first
        n_bytes = int((attributes.end[last[has] - 1].astype(np.int64) - attributes.start[first[has]]).sum())
        used, n = int(self._edges[self.size]), self.size + len(rows)
        self._data = grown(self._data, used + n_bytes + 6 * int((last - first).sum()))
        self._edges = grown(self._edges, n + 1)
        _frame(attributes.data, attributes.start, attributes.end, offsets, rows, self._data, self._edges, self.size)
        self.size = n

    def __getitem__(self, code: int) -> list[bytes]:
        """The KeyValue bytes of one set."""
        return unframed(self._data[self._edges[code] : self._edges[code + 1]].tobytes())

    @property
    def data(self) -> NDArray[np.uint8]:
        """The bytes of all sets, one behind the other."""
        return self._data[: self._edges[self.size]]

    @property
    def edges(self) -> NDArray[np.int64]:
        """Set ``k`` is ``data[edges[k] : edges[k + 1]]``: int64, shape (size + 1,)."""
        return self._edges[: self.size + 1]


def unframed(raw: bytes) -> list[bytes]:
    """The KeyValue bytes in a set as an ``AttributeArena`` stores it, which is taken to be well framed."""
    out, at = [], 0
    while at < len(raw):
        size, shift, at = 0, 0, at + 1
        while True:
            byte = raw[at]
            at += 1
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        out.append(raw[at : at + size])
        at += size
    return out


def grown(array: NDArray[Any], size: int) -> NDArray[Any]:
    """`array`, or a copy with room for `size` rows at least, zeros where it is new."""
    if size <= len(array):
        return array
    bigger = np.zeros((1 << size.bit_length(), *array.shape[1:]), array.dtype)
    bigger[: len(array)] = array
    return bigger


@njit(nogil=True, cache=True)
def _frame(data: Any, start: Any, end: Any, offsets: Any, rows: Any, out: Any, edges: Any, size: Any) -> Any:
    at = edges[size]
    for k in range(len(rows)):
        for i in range(offsets[rows[k]], offsets[rows[k] + 1]):
            out[at] = 10  # field 1, length-delimited
            at += 1
            length = end[i] - start[i]
            while length > 127:
                out[at] = length & 127 | 128
                at += 1
                length >>= 7
            out[at] = length
            at += 1
            for j in range(start[i], end[i]):
                out[at] = data[j]
                at += 1
        edges[size + k + 1] = at
