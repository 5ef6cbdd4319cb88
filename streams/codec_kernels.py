"""Kernels of the internal records: renumber codes, tell apart pairs, gather byte strings, sort rows by partition."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from aiops.identity import mix

_U0, _U1 = np.uint64(0), np.uint64(1)
_DENSE = 8  # codes of the table for each row: where there are more, to clear a place for each takes longer than to hash


@njit(nogil=True, cache=True)
def renumbered(codes: Any, of: Any) -> Any:
    """Distinct codes (0 .. `of` - 1) in order of first sight, and the place of each row's code among them: int32 arrays."""
    n = len(codes)
    if of > _DENSE * n + 1024:
        return _hashed(codes)
    places, distinct, out = np.zeros(of, np.int32), np.empty(min(n, of), np.int32), np.empty(n, np.int32)
    found = 0
    for row in range(n):
        code = codes[row]
        place = places[code]
        if place == 0:
            distinct[found] = code
            found += 1
            place = places[code] = found
        out[row] = place - 1
    return distinct[:found], out


@njit(nogil=True, cache=True)
def renumbered_at(column: Any, at: Any, of: Any) -> Any:
    """The same of ``column[at]``."""
    codes = np.empty(len(at), np.int32)
    for row in range(len(at)):
        codes[row] = column[at[row]]
    return renumbered(codes, of)


@njit(nogil=True, cache=True)
def _hashed(codes: Any) -> Any:
    n, size = len(codes), 64
    while size < 2 * n:
        size *= 2
    mask = np.uint64(size - 1)
    table = np.full(size, -1, np.int32)
    distinct, out = np.empty(n, np.int32), np.empty(n, np.int32)
    found = 0
    for row in range(n):
        code = codes[row]
        slot = mix(np.uint64(code) + _U1) & mask
        while table[slot] >= 0 and distinct[table[slot]] != code:
            slot = (slot + _U1) & mask
        if table[slot] < 0:
            table[slot] = found
            distinct[found] = code
            found += 1
        out[row] = table[slot]
    return distinct[:found], out


@njit(nogil=True, cache=True)
def distinct_pairs(pairs: Any) -> Any:
    """Row of each distinct pair of a uint64 array (n, 2), in order of first sight, and the place of each row among them.

    Both int32.  Where finding them takes long, because somebody who knows the hash made them, none is found.
    """
    n, size = len(pairs), 64
    while size < 2 * n:
        size *= 2
    mask, tries = np.uint64(size - 1), 4 * n + 64
    table = np.full(size, -1, np.int32)
    first, out = np.empty(n, np.int32), np.empty(n, np.int32)
    found = 0
    for row in range(n):
        a, b = pairs[row, 0], pairs[row, 1]
        slot = mix(mix(a) + b) & mask
        while table[slot] >= 0:
            other = first[table[slot]]
            if pairs[other, 0] == a and pairs[other, 1] == b:
                break
            slot = (slot + _U1) & mask
            tries -= 1
        if table[slot] < 0:
            if tries < 0:
                return first[:0], out
            table[slot] = found
            first[found] = row
            found += 1
        out[row] = table[slot]
    return first[:found], out


@njit(nogil=True, cache=True)
def planes_of(codes: Any, width: Any) -> Any:
    """Codes of `width` bytes each: uint8, the low bytes of all, then the next ones."""
    n = len(codes)
    out = np.empty(n * width, np.uint8)
    for k in range(width):
        plane = out[k * n : (k + 1) * n]
        for row in range(n):
            plane[row] = np.uint8(codes[row] >> (8 * k) & 255)
    return out


@njit(nogil=True, cache=True)
def codes_of(planes: Any, n: Any, width: Any) -> Any:
    """What ``planes_of`` was given (int32), and the greatest of them; one that is no int32 counts as the greatest."""
    out, greatest = np.empty(n, np.int32), np.int64(0)
    if width == 1:
        for row in range(n):
            out[row] = planes[row]
            greatest = max(greatest, np.int64(planes[row]))
        return out, greatest
    for row in range(n):
        code = np.int64(0)
        for k in range(width):
            code |= np.int64(planes[k * n + row]) << (8 * k)
        out[row] = code
        greatest = max(greatest, code)
    return out, greatest


# ---- trace items --------------------------------------------------------------------------------------------------------
@njit(nogil=True, cache=True)
def role_pairs(rows: Any, service: Any, name: Any, peer: Any, kind: Any, error: Any) -> Any:
    """Service and name; peer (0 = none), error, kind (16 bits): of each of the rows two words, uint64, (len(rows), 2)."""
    out = np.empty((len(rows), 2), np.uint64)
    for k in range(len(rows)):
        row = rows[k]
        out[k, 0] = np.uint64(service[row]) << np.uint64(32) | np.uint64(name[row])
        about = np.uint64(kind[row]) & np.uint64(0xFFFF) | np.uint64(error[row]) << np.uint64(16)
        out[k, 1] = np.uint64(peer[row] + 1) << np.uint64(32) | about
    return out


@njit(nogil=True, cache=True)
def role_names(pairs: Any, names: Any, peers: Any) -> Any:
    """Renumber names and peers of roles in place; returns services, names and peers of the sender (int32).

    `names`, `peers`: how many the sender has.
    """
    n, called = len(pairs), 0
    service, name, peer = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    for row in range(n):
        service[row] = np.int32(pairs[row, 0] >> np.uint64(32))
        name[row] = np.int32(pairs[row, 0] & np.uint64(0xFFFFFFFF))
        code = np.int64(pairs[row, 1] >> np.uint64(32))
        if code:
            peer[called] = code - 1
            called += 1
    used, place = renumbered(name, names)
    known, callee = renumbered(peer[:called], peers)
    called = 0
    for row in range(n):
        pairs[row, 0] = np.uint64(place[row])
        about = pairs[row, 1] & np.uint64(0xFFFFFFFF)
        if pairs[row, 1] >> np.uint64(32):
            about |= np.uint64(callee[called] + 1) << np.uint64(32)
            called += 1
        pairs[row, 1] = about
    return service, used, known


@njit(nogil=True, cache=True)
def role_services(pairs: Any, service: Any) -> None:
    """Give roles their services."""
    for row in range(len(pairs)):
        pairs[row, 0] |= np.uint64(service[row]) << np.uint64(32)


@njit(nogil=True, cache=True)
def roles_of(pairs: Any, place: Any, services: Any, names: Any, peers: Any) -> Any:
    """Service, name, peer (-1 = none), kind (int32) and error (bool) of each row, whose role is ``pairs[place]``.

    First comes 0, or which part of a role is none of `services`, of `names`, of `peers` or of those bits that have a
    meaning: 1 .. 4.
    """
    n, bad = len(place), 0
    service, name, peer = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    kind, error = np.empty(n, np.int32), np.empty(n, np.bool_)
    for role in range(len(pairs)):
        first, second = pairs[role, 0], pairs[role, 1]
        if first >> np.uint64(32) >= np.uint64(services):
            bad = 1
        elif first & np.uint64(0xFFFFFFFF) >= np.uint64(names):
            bad = 2
        elif second >> np.uint64(32) > np.uint64(peers):
            bad = 3
        elif second >> np.uint64(17) & np.uint64(0x7FFF):
            bad = 4
    if bad:
        n = 0
    for row in range(n):
        first, second = pairs[place[row], 0], pairs[place[row], 1]
        service[row], name[row] = np.int32(first >> np.uint64(32)), np.int32(first & np.uint64(0xFFFFFFFF))
        peer[row] = np.int32(second >> np.uint64(32)) - 1
        kind[row] = np.int16(second & np.uint64(0xFFFF))
        error[row] = second >> np.uint64(16) & _U1 != _U0
    return bad, service, name, peer, kind, error


# ---- attributes ---------------------------------------------------------------------------------------------------------
@njit(nogil=True, cache=True)
def gathered(data: Any, edges: Any, codes: Any, size: Any) -> Any:
    """The byte strings of the codes, one behind the other: uint8, shape (size,)."""
    out, at = np.empty(size, np.uint8), 0
    for code in codes:
        for k in range(edges[code], edges[code + 1]):
            out[at] = data[k]
            at += 1
    return out


@njit(nogil=True, cache=True)
def badly_framed(data: Any, edges: Any) -> Any:
    """First byte string that is no row of (tag 10, length, bytes), -1 where all are."""
    for row in range(len(edges) - 1):
        at, end = edges[row], edges[row + 1]
        while at < end:
            if data[at] != 10:
                return row
            at += 1
            size, shift = np.int64(0), 0
            while True:
                if at >= end or shift > 28:
                    return row
                byte = np.int64(data[at])
                at += 1
                size |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            at += size
        if at != end:
            return row
    return -1


# ---- partitions ---------------------------------------------------------------------------------------------------------
@njit(nogil=True, cache=True)
def trace_partitions(trace: Any, n: Any, key: Any) -> Any:
    """Partition of every trace id (uint64, shape (rows, 2)): int32, the same for all items of a trace."""
    out = np.empty(len(trace), np.int32)
    for row in range(len(trace)):
        out[row] = mix(mix(trace[row, 0] ^ key) + trace[row, 1]) % np.uint64(n)
    return out


@njit(nogil=True, cache=True)
def by_partition(partition: Any, of: Any, n: Any) -> Any:
    """Rows in order of their partition, in their own order within it, and where each partition begins: int64 arrays.

    The partition of a row is ``partition[of[row]]``.
    """
    starts, rows = np.zeros(n + 1, np.int64), np.empty(len(of), np.int64)
    for code in of:
        starts[partition[code] + 1] += 1
    for p in range(n):
        starts[p + 1] += starts[p]
    at = starts[:-1].copy()
    for row in range(len(of)):
        p = partition[of[row]]
        rows[at[p]] = row
        at[p] += 1
    return rows, starts
