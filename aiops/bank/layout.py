"""The state of a bank: one row a series in each of these arrays, and nothing else is remembered between points.

A row of zeros is a series without a point, so room that is not used yet costs no memory.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aiops.bank import seasons, shapes, tail, transitions
from aiops.bank.columns import CALIBRATED, INTEGERS, NUMBERS

RING = 32  # points remembered: the longest lag is 31
F32 = NDArray[np.float32]


class Rows(NamedTuple):
    """Arrays by series; shapes are in ``FIELDS``."""

    origin: NDArray[np.float64]  # value that is 0, and 1 / unit: a power of two near the size of the values
    number: F32
    integer: NDArray[np.int32]
    ring: F32  # newest values, plain and squashed
    wide: F32  # the three memories of shapes
    long: F32
    short: F32
    used: F32
    transition: NDArray[np.uint8]
    transition_sum: NDArray[np.uint16]
    slot: F32
    slot_visits: NDArray[np.uint8]
    week: F32
    week_visits: NDArray[np.uint8]
    tail: NDArray[np.uint16]
    tail_place: NDArray[np.uint16]
    tail_bin: NDArray[np.uint8]


FIELDS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "origin": (np.float64, (2,)),
    "number": (np.float32, (NUMBERS,)),
    "integer": (np.int32, (INTEGERS,)),
    "ring": (np.float32, (2, RING)),
    "wide": (np.float32, (shapes.WIDTHS[0], shapes.PROTOTYPES)),
    "long": (np.float32, (shapes.WIDTHS[1], shapes.PROTOTYPES)),
    "short": (np.float32, (shapes.WIDTHS[2], shapes.PROTOTYPES)),
    "used": (np.float32, (len(shapes.WIDTHS), shapes.PROTOTYPES)),
    "transition": (np.uint8, (transitions.LEVELS, transitions.LEVELS)),
    "transition_sum": (np.uint16, (transitions.LEVELS,)),
    "slot": (np.float32, (seasons.SLOTS, 2)),  # mean, deviation
    "slot_visits": (np.uint8, (seasons.SLOTS,)),
    "week": (np.float32, (seasons.BLOCKS,)),
    "week_visits": (np.uint8, (seasons.BLOCKS,)),
    "tail": (np.uint16, (CALIBRATED, tail.BINS)),
    "tail_place": (np.uint16, (CALIBRATED, 3)),
    "tail_bin": (np.uint8, (CALIBRATED,)),
}
BYTES: int = sum(int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize for dtype, shape in FIELDS.values())


def allocate(n: int) -> Rows:
    """Room for `n` series, all of them without a point."""
    return Rows(**{name: np.zeros((n, *shape), dtype) for name, (dtype, shape) in FIELDS.items()})
