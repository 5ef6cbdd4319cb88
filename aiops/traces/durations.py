"""Durations -> bins of a fixed logarithmic scale: 256 bins, 8 to the octave from 1 us.

That is a resolution of 9 % up to 71 minutes.  Integers only: a duration falls into the same bin on every machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

PER_OCTAVE = 8
BINS = 256

# Lower edges within one octave, scaled by 2**32: fixed integers, so that no platform's pow() matters.
_EDGES = np.array(
    [4294967296, 4683695048, 5107605667, 5569883475, 6074001000, 6623745059, 7223245206, 7877004752], np.int64
)


@njit(nogil=True, cache=True)
def duration_bin(ns: Any) -> Any:
    """Bin of a duration in ns; 0 holds everything below 1.09 us."""
    us = np.int64(ns) // 1000
    if us < 1:
        return 0
    octave = 0
    while (us >> octave) > 1:
        octave += 1
    if octave >= BINS // PER_OCTAVE:
        return BINS - 1
    scaled = us << (32 - octave)
    k = 0
    while k < 7 and scaled >= _EDGES[k + 1]:
        k += 1
    return octave * PER_OCTAVE + k


def milliseconds(bin_: float) -> float:
    """Middle of a bin, ms."""
    return float(2.0 ** ((bin_ + 0.5) / PER_OCTAVE) / 1e3)
