"""Trace and span ids: bytes -> big-endian integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.columns import Slices


def id64(column: Slices, size: int) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Ids of `size` bytes (8 or 16) as big-endian integers.

    Returns
    -------
    halves : uint64 array, shape (n, size // 8), 0 where the length is another
    bad : bool array, shape (n,), missing, zero or of another length
    """
    out: NDArray[np.uint64] = np.zeros((len(column.start), size // 8), np.uint64)
    return out, _id64(column.data, column.start, column.end, size, out)


@njit(nogil=True, cache=True)
def _id64(data: Any, start: Any, end: Any, size: Any, out: Any) -> Any:
    bad = np.zeros(len(start), np.bool_)
    for row in range(len(start)):
        any_bit = np.uint64(0)
        if end[row] - start[row] == size:
            for half in range(size // 8):
                value = np.uint64(0)
                for i in range(8):
                    value = value << np.uint64(8) | np.uint64(data[start[row] + 8 * half + i])
                out[row, half] = value
                any_bit |= value
        bad[row] = any_bit == np.uint64(0)
    return bad
