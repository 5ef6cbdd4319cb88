"""Keys of rows -> distinct keys, how often each comes, and sums by key."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from aiops.identity import mix

_ONE = np.uint64(1)


@njit(nogil=True, cache=True)
def tally(keys: Any) -> Any:
    """Distinct keys (uint64) in order of first sight, how often each came (int64), place of each row's key (int32)."""
    size = 256
    while size < 2 * len(keys):
        size *= 2
    mask = np.uint64(size - 1)
    table = np.full(size, -1, np.int32)
    out, counts, codes = np.empty(len(keys), np.uint64), np.zeros(len(keys), np.int64), np.empty(len(keys), np.int32)
    n = 0
    for row in range(len(keys)):
        slot = mix(keys[row]) & mask
        while table[slot] >= 0 and out[table[slot]] != keys[row]:
            slot = (slot + _ONE) & mask
        if table[slot] < 0:
            table[slot] = n
            out[n] = keys[row]
            n += 1
        codes[row] = table[slot]
        counts[table[slot]] += 1
    return out[:n], counts[:n], codes


@njit(nogil=True, cache=True)
def sums(codes: Any, values: Any, size: Any) -> Any:
    """Sum of the values (integers) of each code below `size`: int64 (size,)."""
    out = np.zeros(size, np.int64)
    for row in range(len(codes)):
        out[codes[row]] += values[row]
    return out
