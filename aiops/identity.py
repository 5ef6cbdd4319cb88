"""Byte strings -> keyed 64-bit identities -> dense codes, without a Python object per row.

``hash64`` gives every slice an identity that is the same on every worker for ever (for one key).  ``Interner`` turns
identities into dense codes 0, 1, 2 ... in order of first sight; state arrays are then indexed by code.  Codes depend on
arrival, so they stay in memory: whatever is written to a topic carries identities or texts.

64 bits: with n identities the chance that any two collide is n**2 / 2**65, 2.7e-6 at 10 million series.  The key
(secret where producers are not trusted) enters at every word, so that a producer who does not know it cannot construct
a collision; this is no MAC, and identities are never shown to producers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.columns import Slices

U64 = NDArray[np.uint64]
I32 = NDArray[np.int32]

DEFAULT_KEY = 0x9E3779B97F4A7C15

_M = np.uint64(0xC6A4A7935BD1E995)
_U0, _U1, _U8 = np.uint64(0), np.uint64(1), np.uint64(8)
_R = np.uint64(47)


@njit(inline="always")
def word(data: Any, i: Any) -> Any:
    """Eight bytes as a little-endian integer; LLVM merges this into one unaligned load."""
    return (
        np.uint64(data[i])
        | np.uint64(data[i + _U1]) << _U8
        | np.uint64(data[i + np.uint64(2)]) << np.uint64(16)
        | np.uint64(data[i + np.uint64(3)]) << np.uint64(24)
        | np.uint64(data[i + np.uint64(4)]) << np.uint64(32)
        | np.uint64(data[i + np.uint64(5)]) << np.uint64(40)
        | np.uint64(data[i + np.uint64(6)]) << np.uint64(48)
        | np.uint64(data[i + np.uint64(7)]) << np.uint64(56)
    )


@njit(nogil=True, cache=True)
def mix(h: Any) -> Any:
    """Spread one 64-bit value over all 64 bits (murmur finaliser); never 0, the interner's empty slot."""
    h = np.uint64(h)
    h = (h ^ (h >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    h = (h ^ (h >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    h ^= h >> np.uint64(33)
    return h if h != _U0 else _U1


@njit(nogil=True, cache=True)
def murmur(data: Any, start: Any, end: Any, key: Any) -> Any:
    """Keyed MurmurHash64A of ``data[start:end]``; never 0.

    Plain MurmurHash64A has collisions that hold for every seed; here every word is first combined with a key word that
    depends on its place, which takes from an attacker the choice of what is mixed.
    """
    key = np.uint64(key)
    i, last = np.uint64(start), np.uint64(end)
    h = key ^ ((last - i) * _M)
    pad, step = key * np.uint64(0xFF51AFD7ED558CCD), (key * np.uint64(0xC4CEB9FE1A85EC53)) | _U1
    while i + _U8 <= last:
        k = (word(data, i) ^ pad) * _M
        pad += step
        h = (h ^ ((k ^ (k >> _R)) * _M)) * _M
        i += _U8
    if i < last:
        k, shift = _U0, _U0
        while i < last:
            k |= np.uint64(data[i]) << shift
            shift += _U8
            i += _U1
        h = (h ^ (k ^ pad)) * _M
    h = (h ^ (h >> _R)) * _M
    h ^= h >> _R
    return h if h != _U0 else _U1


@njit(nogil=True, cache=True)
def _hash64(data: Any, start: Any, end: Any, key: Any) -> Any:
    out = np.empty(len(start), np.uint64)
    for row in range(len(start)):
        out[row] = murmur(data, start[row], end[row], key)
    return out


def hash64(text: Slices, key: int = DEFAULT_KEY) -> U64:
    """Identity of every slice: uint64, shape (n,), never 0."""
    out: U64 = _hash64(text.data, text.start, text.end, np.uint64(key))
    return out


@njit(nogil=True, cache=True)
def _wide_hash64(data: Any, start: Any, end: Any, key: Any) -> Any:
    out = np.empty(len(start), np.uint64)
    step = np.uint64(32)
    for row in range(len(start)):
        i, last = np.uint64(start[row]), np.uint64(end[row])
        a, b, c, d = key, key ^ _M, ~key, ~key ^ _M
        while i + step <= last:
            a = (a ^ word(data, i)) * _M
            b = (b ^ word(data, i + _U8)) * _M
            c = (c ^ word(data, i + np.uint64(16))) * _M
            d = (d ^ word(data, i + np.uint64(24))) * _M
            a ^= a >> _R
            b ^= b >> _R
            c ^= c >> _R
            d ^= d >> _R
            i += step
        out[row] = mix(mix(mix(mix(a) ^ b) ^ c) ^ d ^ murmur(data, i, last, key))
    return out


def wide_hash64(text: Slices, key: int = DEFAULT_KEY) -> U64:
    """Another hash of every slice, three times faster where slices are long: for look-ups, never for what is written.

    Returns
    -------
    uint64 array, shape (n,), never 0
    """
    out: U64 = _wide_hash64(text.data, text.start, text.end, np.uint64(key))
    return out


def hash_bytes(raw: bytes, key: int = DEFAULT_KEY) -> int:
    """Identity of one byte string; equal to ``hash64`` of the same bytes."""
    return int(murmur(np.frombuffer(raw or b"\0", np.uint8), 0, len(raw), np.uint64(key)))


@njit(nogil=True, cache=True)
def combined(a: Any, b: Any) -> Any:
    """Identity of every pair (a[i], b[i]), which is not that of (b[i], a[i]): uint64 array, shape (n,), never 0."""
    out = np.empty(len(a), np.uint64)
    for i in range(len(a)):
        out[i] = mix(mix(a[i]) + b[i])
    return out


@njit(nogil=True, cache=True)
def _lookup(table: Any, hashes: Any, codes: Any, fresh: Any, size: Any) -> Any:
    mask, n_fresh = np.uint64(len(table) - 1), 0
    for row in range(len(hashes)):
        h = hashes[row]
        slot = h & mask
        while table[slot, 0] != h:
            if table[slot, 0] == _U0:
                table[slot, 0], table[slot, 1] = h, np.uint64(size)
                fresh[n_fresh] = row
                n_fresh += 1
                size += 1
                break
            slot = (slot + _U1) & mask
        codes[row] = table[slot, 1]
    return n_fresh


@njit(nogil=True, cache=True)
def _find(table: Any, hashes: Any, codes: Any) -> Any:
    mask = np.uint64(len(table) - 1)
    for row in range(len(hashes)):
        h = hashes[row]
        slot = h & mask
        codes[row] = -1
        while table[slot, 0] != _U0:
            if table[slot, 0] == h:
                codes[row] = table[slot, 1]
                break
            slot = (slot + _U1) & mask


@njit(nogil=True, cache=True)
def _rehash(old: Any, new: Any) -> Any:
    mask = np.uint64(len(new) - 1)
    for row in range(len(old)):
        if old[row, 0] != _U0:
            slot = old[row, 0] & mask
            while new[slot, 0] != _U0:
                slot = (slot + _U1) & mask
            new[slot, 0], new[slot, 1] = old[row, 0], old[row, 1]


class Interner:
    """Dense codes for 64-bit identities, kept across batches; 16 bytes a slot, at most two thirds full.

    The caller bounds it: see ``size``, and start a new one when it is too large.
    """

    __slots__ = ("_table", "size")

    def __init__(self, room: int = 1024) -> None:
        self.size = 0
        self._table: U64 = np.zeros((1 << max(10, (room * 3 // 2).bit_length()), 2), np.uint64)

    def codes(self, hashes: U64) -> tuple[I32, I32]:
        """Codes of identities, new ones included.

        Parameters
        ----------
        hashes : uint64 array, shape (n,)
            Never 0 (``murmur`` and ``mix`` never return it).

        Returns
        -------
        codes : int32 array, shape (n,)
        fresh : int32 array, shape (n_fresh,)
            Row where each new identity was first seen: their codes are the last `n_fresh` ones, in this order.
        """
        room = self.size + len(hashes)
        if room * 3 > len(self._table) * 2:
            # Most hashes are known: find out before growing for the worst case.
            missing = int(np.count_nonzero(self.find(hashes) < 0))
            room = self.size + missing
            if room * 3 > len(self._table) * 2:
                bigger: U64 = np.zeros((1 << (room * 3 // 2).bit_length(), 2), np.uint64)
                _rehash(self._table, bigger)
                self._table = bigger
        codes: I32 = np.empty(len(hashes), np.int32)
        fresh: I32 = np.empty(len(hashes), np.int32)
        n_fresh = _lookup(self._table, hashes, codes, fresh, self.size)
        self.size += int(n_fresh)
        return codes, fresh[:n_fresh]

    def find(self, hashes: U64) -> I32:
        """Codes of identities, -1 where unknown: int32 array, shape (n,)."""
        codes: I32 = np.empty(len(hashes), np.int32)
        _find(self._table, hashes, codes)
        return codes

    def identities(self) -> U64:
        """Identity of every code, in order of the codes: uint64 array, shape (size,)."""
        out: U64 = np.zeros(self.size, np.uint64)
        used = self._table[self._table[:, 0] != 0]
        out[used[:, 1].astype(np.int64)] = used[:, 0]
        return out

    @classmethod
    def of(cls, identities: U64) -> Interner:
        """The interner that gives `identities` the codes 0, 1, 2 ... (the inverse of ``identities``)."""
        out = cls(len(identities))
        out.codes(np.ascontiguousarray(identities, np.uint64))
        return out
