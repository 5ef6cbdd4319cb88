"""Byte strings laid out as ``Slices`` of one flat buffer, which is what the kernels work on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiops.columns import Slices

I32 = NDArray[np.int32]

_EMPTY: NDArray[np.uint8] = np.frombuffer(bytes(8), np.uint8)


def packed(rows: list[bytes]) -> Slices:
    """Lay byte strings out as ``Slices``."""
    edges = np.zeros(len(rows) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, rows), np.int64, len(rows)), out=edges[1:])
    data = b"".join(rows)
    frozen(edges)
    return Slices(np.frombuffer(data, np.uint8) if data else _EMPTY, edges[:-1], edges[1:])


def appended(text: Slices, rows: I32, values: list[bytes]) -> Slices:
    """`text` with other values in some rows; they are laid out behind its data."""
    if not values:
        return text
    extra = packed(values)
    start, end, base = text.start.copy(), text.end.copy(), len(text.data)
    start[rows], end[rows] = extra.start + np.int32(base), extra.end + np.int32(base)
    return Slices(frozen(np.concatenate([text.data, extra.data])), frozen(start), frozen(end))


def frozen(array: Any) -> Any:
    """The array, read-only as the buffers of payloads are: numba would compile a kernel once more for arrays that are not."""
    array.flags.writeable = False
    return array
