"""Arrow arrays seen as plain numpy views: nothing here copies a payload byte.

Nested lists become ``(values, offsets)`` pairs and strings become ``Slices`` of one flat byte buffer, which is what
numpy and numba work on.  Arrow's own ``flatten()`` is avoided: it hides the offsets that tell whose child a row is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from aiops.columns import Slices

I32 = NDArray[np.int32]

_EMPTY: NDArray[np.uint8] = np.frombuffer(bytes(8), np.uint8)


def slices(array: pa.Array) -> Slices:
    """View a binary column as ``Slices``."""
    _, offsets, data = array.buffers()
    if offsets:
        edges = np.frombuffer(offsets, np.int32, len(array) + 1, array.offset * 4)
    else:
        edges = frozen(np.zeros(1, np.int32))
    return Slices(np.frombuffer(data, np.uint8) if data and data.size else _EMPTY, edges[:-1], edges[1:])


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
    """The array, read-only as Arrow's views are: numba would compile a kernel once more for arrays that are not."""
    array.flags.writeable = False
    return array


def numbers(array: pa.Array, dtype: Any) -> NDArray[Any]:
    """View a primitive column as numpy, shape (n,); the value under a null is whatever lies there (ptars: 0)."""
    data = array.buffers()[1]
    width = np.dtype(dtype).itemsize
    return np.frombuffer(data, dtype, len(array), array.offset * width) if data else np.empty(0, dtype)


def present(array: pa.Array) -> NDArray[np.bool_]:
    """Which rows are not null: bool, shape (n,)."""
    bitmap = array.buffers()[0]
    if bitmap is None:
        return np.ones(len(array), np.bool_)
    return _bits(bitmap, array)


def booleans(array: pa.Array) -> NDArray[np.bool_]:
    """A bool column, shape (n,); False where null."""
    data = array.buffers()[1]
    return _bits(data, array) & present(array) if data else np.zeros(len(array), np.bool_)


def _bits(bitmap: Any, array: pa.Array) -> NDArray[np.bool_]:
    bits = np.unpackbits(np.frombuffer(bitmap, np.uint8), bitorder="little")
    return bits[array.offset : array.offset + len(array)].astype(np.bool_)


def children(array: pa.Array) -> tuple[pa.Array, I32]:
    """Values and offsets of a list column: row ``i`` owns ``values[offsets[i]:offsets[i + 1]]``."""
    return array.values, array.offsets.to_numpy()


def owners(offsets: I32) -> I32:
    """Offsets -> the owner of every child: int32, shape (offsets[-1],)."""
    return np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets))
