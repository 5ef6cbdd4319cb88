"""Kernels of the internal records: renumber codes, gather byte strings, tell plain metric cells, sort rows by partition."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from aiops.identity import mix, murmur, word
from aiops.ingest.exact_sums import add_to_sum, clear_sum
from aiops.ingest.metric_windows import MOST

_U0, _U1, _U8 = np.uint64(0), np.uint64(1), np.uint64(8)


@njit(nogil=True, cache=True)
def renumbered(codes: Any) -> Any:
    """Distinct codes (>= 0) in order of first sight, and the place of each row's code among them: int32 arrays."""
    n = len(codes)
    size = 64  # most batches name few things: begin small and grow, so that the table stays in the cache
    while size < 2 * n and size < 1024:
        size *= 2
    table = np.full(size, -1, np.int32)
    distinct, out = np.empty(min(n, 512), np.int32), np.empty(n, np.int32)
    found = 0
    for row in range(n):
        code = codes[row]
        if row and code == codes[row - 1]:
            out[row] = out[row - 1]
            continue
        mask = np.uint64(size - 1)
        slot = mix(np.uint64(code) + _U1) & mask
        while table[slot] >= 0 and distinct[table[slot]] != code:
            slot = (slot + _U1) & mask
        if table[slot] < 0:
            if 2 * found >= size:
                size *= 4
                mask = np.uint64(size - 1)
                table = np.full(size, -1, np.int32)
                for k in range(found):
                    slot = mix(np.uint64(distinct[k]) + _U1) & mask
                    while table[slot] >= 0:
                        slot = (slot + _U1) & mask
                    table[slot] = k
                slot = mix(np.uint64(code) + _U1) & mask
                while table[slot] >= 0:
                    slot = (slot + _U1) & mask
            if found == len(distinct):
                bigger = np.empty(min(n, 4 * found), np.int32)
                bigger[:found] = distinct
                distinct = bigger
            table[slot] = found
            distinct[found] = code
            found += 1
        out[row] = table[slot]
    return distinct[:found], out


@njit(nogil=True, cache=True)
def distinct_rows(rows: Any) -> Any:
    """First row of each distinct row of an int32 matrix, in order of first sight, and the place of each row among them."""
    n, width = rows.shape
    size = 64
    while size < 2 * n:
        size *= 2
    mask = np.uint64(size - 1)
    table = np.full(size, -1, np.int32)
    first, out = np.empty(n, np.int32), np.empty(n, np.int32)
    found = 0
    for row in range(n):
        h = _U0
        for k in range(width):
            h = mix(h + np.uint64(rows[row, k]) + _U1)
        slot = h & mask
        while table[slot] >= 0:
            other = first[table[slot]]
            equal = True
            for k in range(width):
                if rows[row, k] != rows[other, k]:
                    equal = False
                    break
            if equal:
                break
            slot = (slot + _U1) & mask
        if table[slot] < 0:
            table[slot] = found
            first[found] = row
            found += 1
        out[row] = table[slot]
    return first[:found], out


@njit(inline="always")
def _same_bytes(data: Any, a: Any, b: Any, size: Any) -> Any:
    """Whether `size` bytes are equal at `a` and `b`: by words, then the rest."""
    i, last, a, b = _U0, np.uint64(size), np.uint64(a), np.uint64(b)
    while i + _U8 <= last:
        if word(data, a + i) != word(data, b + i):
            return False
        i += _U8
    while i < last:
        if data[a + i] != data[b + i]:
            return False
        i += _U1
    return True


@njit(nogil=True, cache=True)
def distinct_sets(data: Any, edges: Any, codes: Any) -> Any:
    """Distinct byte strings ``data[edges[c]:edges[c + 1]]`` of the codes, in order of first sight.

    Returns
    -------
    first : int32 array, codes that hold each;  place : int32 array, shape (len(codes),);  size : bytes of all distinct
    """
    n = len(codes)
    size = 64
    while size < 2 * n:
        size *= 2
    mask = np.uint64(size - 1)
    table = np.full(size, -1, np.int32)
    hashes = np.empty(n, np.uint64)
    first, out = np.empty(n, np.int32), np.empty(n, np.int32)
    found, total = 0, 0
    for row in range(n):
        low, high = edges[codes[row]], edges[codes[row] + 1]
        h = murmur(data, low, high, _U1)
        slot = mix(h) & mask
        while table[slot] >= 0:
            place = table[slot]
            if hashes[place] == h:
                begin = edges[first[place]]
                if edges[first[place] + 1] - begin == high - low and _same_bytes(data, begin, low, high - low):
                    break
            slot = (slot + _U1) & mask
        if table[slot] < 0:
            table[slot] = found
            first[found] = codes[row]
            hashes[found] = h
            total += high - low
            found += 1
        out[row] = table[slot]
    return first[:found], out, total


@njit(nogil=True, cache=True)
def gathered(data: Any, edges: Any, codes: Any, size: Any) -> Any:
    """The byte strings of the codes one behind the other (uint8, shape (size,)), and their lengths (uint32)."""
    out, lengths = np.empty(size, np.uint8), np.empty(len(codes), np.uint32)
    at = 0
    for row in range(len(codes)):
        low, high = edges[codes[row]], edges[codes[row] + 1]
        lengths[row] = high - low
        for k in range(low, high):
            out[at] = data[k]
            at += 1
    return out, lengths


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


# ---- metric cells -------------------------------------------------------------------------------------------------------
@njit(nogil=True, cache=True)
def _of_one_point(cell: Any, time: Any, value: Any, count: Any, start: Any) -> None:
    clear_sum(cell)
    add_to_sum(cell, value)
    cell.points = 1
    cell.min = cell.max = cell.first = cell.last = value
    cell.first_time = cell.last_time = time
    cell.first_count = cell.last_count = count
    cell.count = min(count, MOST)
    cell.start = start
    cell.stale_time = 0


@njit(nogil=True, cache=True)
def plain_cells(cells: Any, words: Any, one: Any, one_words: Any, plain: Any) -> Any:
    """Mark the cells that one point explains to the last bit; `words` are `cells` as 64-bit words; returns how many."""
    n = 0
    for row in range(len(cells)):
        cell = cells[row]
        plain[row] = 0
        if cell.points != 1 or cell.stale_time != 0:
            continue
        _of_one_point(one[0], cell.last_time, cell.last, cell.last_count, cell.start)
        equal = True
        for k in range(words.shape[1]):
            if words[row, k] != one_words[0, k]:
                equal = False
                break
        if equal:
            plain[row] = 1
            n += 1
    return n


@njit(nogil=True, cache=True)
def split_cells(cells: Any, words: Any, plain: Any, time: Any, value: Any, count: Any, start: Any, rest: Any) -> None:
    """The point of each plain cell, and the other cells as they are."""
    n, m = 0, 0
    for row in range(len(cells)):
        if plain[row]:
            cell = cells[row]
            time[n], value[n], count[n], start[n] = cell.last_time, cell.last, cell.last_count, cell.start
            n += 1
        else:
            for k in range(words.shape[1]):
                rest[m, k] = words[row, k]
            m += 1


@njit(nogil=True, cache=True)
def joined_cells(plain: Any, time: Any, value: Any, count: Any, start: Any, rest: Any, cells: Any, words: Any) -> None:
    """What ``split_cells`` took apart."""
    n, m = 0, 0
    for row in range(len(plain)):
        if plain[row]:
            _of_one_point(cells[row], time[n], value[n], count[n], start[n])
            n += 1
        else:
            for k in range(words.shape[1]):
                words[row, k] = rest[m, k]
            m += 1


# ---- partitions ---------------------------------------------------------------------------------------------------------
@njit(nogil=True, cache=True)
def trace_partitions(trace: Any, n: Any, key: Any, out: Any) -> None:
    """Partition of every trace id (uint64, shape (rows, 2)): the same for all items of a trace."""
    for row in range(len(trace)):
        out[row] = mix(mix(trace[row, 0] ^ key) + trace[row, 1]) % np.uint64(n)


@njit(nogil=True, cache=True)
def by_partition(partition: Any, n: Any) -> Any:
    """Rows in order of their partition, in their own order within it, and where each partition begins: int64 arrays."""
    starts, rows = np.zeros(n + 1, np.int64), np.empty(len(partition), np.int64)
    for p in partition:
        starts[p + 1] += 1
    for p in range(n):
        starts[p + 1] += starts[p]
    at = starts[:-1].copy()
    for row in range(len(partition)):
        p = partition[row]
        rows[at[p]] = row
        at[p] += 1
    return rows, starts
