"""The frame of a value of an internal topic: a format version, a kind, then MessagePack with raw little-endian arrays.

A value that cannot be what it says it is (cut, changed, of another kind or version) is refused here by name, so that no
kernel ever indexes with what a record claims.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from streams import codec_kernels as kernels
from streams.records import Refused

VERSION = 3  # no release has written another: none is read
ROWS, ITEMS, FINDINGS = b"R", b"I", b"F"
KINDS = {ROWS: "window rows", ITEMS: "trace items", FINDINGS: "findings"}
HEAD = 2  # bytes before the MessagePack: version, kind

Body = TypeVar("Body", bound=msgspec.Struct)
Value = TypeVar("Value")


class CodecError(Refused):
    """A value of an internal topic that cannot be read; the message names the kind of value and the field at fault."""


def _native(value: Any) -> Any:
    # Detectors compute in numpy; its scalars are the Python number they hold.
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"an internal record cannot hold a {type(value).__name__}")


_encoder = msgspec.msgpack.Encoder(enc_hook=_native)


def framed(kind: bytes, body: msgspec.Struct) -> bytes:
    """The bytes of a value."""
    return bytes((VERSION,)) + kind + _encoder.encode(body)


def opened(kind: bytes, data: bytes, decoder: msgspec.msgpack.Decoder[Body], build: Callable[[Body], Value]) -> Value:
    """What ``framed`` was given, as `build` makes it.

    Raises
    ------
    CodecError
    """
    what = KINDS[kind]
    if len(data) < HEAD:
        raise CodecError(f"{what}: the value has {len(data)} bytes, less than its head")
    if data[0] != VERSION:
        raise CodecError(f"{what}: format version {data[0]}, this release reads version {VERSION}")
    if data[1:HEAD] != kind:
        found = KINDS.get(bytes(data[1:HEAD]), f"unknown kind {bytes(data[1:HEAD])!r}")
        raise CodecError(f"{what} expected, the value is {found}")
    try:
        return build(decoder.decode(memoryview(data)[HEAD:]))
    except CodecError as error:
        raise CodecError(f"{what}: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CodecError(f"{what}: {error}") from None


# ---- arrays -------------------------------------------------------------------------------------------------------------
def raw(array: NDArray[Any], dtype: str) -> memoryview:
    """The elements of an array as little-endian bytes; without a copy where they are that already."""
    return np.ascontiguousarray(array, dtype).data


def array(field: str, data: memoryview, dtype: str | np.dtype[Any], n: int, columns: int = 0) -> NDArray[Any]:
    """An array of `n` elements, or of shape (n, columns).

    It is a copy: kernels are compiled for arrays that are aligned and can be written to, and need not be compiled again.
    """
    kind = np.dtype(dtype)
    wanted = n * max(columns, 1) * kind.itemsize
    if n < 0 or len(data) != wanted:
        raise CodecError(f"{field} has {len(data)} bytes, not the {wanted} of {n} rows")
    out = np.frombuffer(data, kind).astype(kind.newbyteorder("="))
    return out.reshape(n, columns) if columns else out


def raw_codes(codes: NDArray[Any], size: int) -> memoryview:
    """Codes below `size`, in as few bytes each as `size` needs: the low bytes of all of them, then the next ones."""
    out: memoryview = kernels.planes_of(codes.astype(np.int32, copy=False), _width(size)).data
    return out


def codes(field: str, data: memoryview, n: int, size: int) -> NDArray[np.int32]:
    """What ``raw_codes`` was given: every code is one of `size`."""
    width = _width(size)
    if n < 0 or len(data) != n * width:
        raise CodecError(f"{field} has {len(data)} bytes, not the {n * width} of {n} rows")
    out: NDArray[np.int32]
    out, greatest = kernels.codes_of(np.frombuffer(data, np.uint8), n, width)
    if n and greatest >= size:
        raise CodecError(f"{field} holds code {greatest} of a table of {size}")
    return out


def _width(size: int) -> int:
    return 1 if size <= 1 << 8 else 2 if size <= 1 << 16 else 4


def truths(field: str, data: memoryview, n: int) -> NDArray[np.bool_]:
    """A bool array, stored as bytes 0 and 1."""
    out = array(field, data, "<u1", n)
    if n and int(out.max()) > 1:
        raise CodecError(f"{field} holds {int(out.max())}, not 0 or 1")
    return out.view(np.bool_)


def offsets(field: str, data: memoryview, n: int, total: int) -> NDArray[np.int64]:
    """Offsets (int64, shape (n + 1,)) of `n` runs from their lengths, which fill `total` elements."""
    lengths = array(field, data, "<u4", n)
    out = np.zeros(n + 1, np.int64)
    np.cumsum(lengths, out=out[1:])
    if int(out[-1]) != total:
        raise CodecError(f"{field} add up to {int(out[-1])}, not {total}")
    return out


def least(field: str, values: NDArray[Any], bound: int) -> None:
    """Refuse values below `bound`."""
    if values.size and int(values.min()) < bound:
        raise CodecError(f"{field} holds {int(values.min())}, less than {bound}")


def between(field: str, values: NDArray[Any], low: int, high: int) -> None:
    """Refuse values outside `low` .. `high` - 1."""
    if values.size and not low <= int(values.min()) <= int(values.max()) < high:
        raise CodecError(f"{field} holds {int(values.min())} .. {int(values.max())}, not {low} .. {high - 1}")


def finite(field: str, values: NDArray[np.float64]) -> None:
    """Refuse infinities and NaN."""
    if not bool(np.isfinite(values).all()):
        raise CodecError(f"{field} holds a number that is not finite")


def rising(field: str, values: NDArray[Any]) -> None:
    """Refuse values that are not in strictly ascending order."""
    if len(values) > 1 and not bool((values[1:] > values[:-1]).all()):
        raise CodecError(f"{field} are not in ascending order, each once")


def same(field: str, found: int, wanted: int, of: str) -> None:
    """Refuse a column whose length differs from that of its neighbours."""
    if found != wanted:
        raise CodecError(f"{field} has {found} entries, {of} {wanted}")
