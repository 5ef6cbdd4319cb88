"""Counts of hits among trials per key -> evidence that the share rose: errors of an operation, calls that reach nobody."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.detect.contrast import LENGTHS, Contrast
from aiops.detect.retention import Kept
from aiops.detect.suspicion import Suspicion
from aiops.detect.tails import EFFECTIVE, at_least

LEAST_HITS = 2  # one failure is no pattern
LEAST_NORMAL = 10  # trials in the baseline
FULL = 0.10  # rise of the share that counts in full; a smaller one counts in proportion


class Share(NamedTuple):
    """Of `trials` recent trials of `key`, `hits` were hits, where a share of `normal` used to be."""

    key: int
    score: float
    hits: int
    trials: int
    normal: float


class Shares:
    """Two cells a key: trials and hits."""

    def __init__(self, suspicion: Suspicion) -> None:
        self.contrast = Contrast(suspicion)

    def grow(self, owners: list[int]) -> None:
        """Add keys; `owners` are their subjects."""
        if owners:
            self.contrast.grow(np.repeat(np.array(owners, np.int32), 2))

    def keep(self, keys: Kept, subjects: Kept) -> None:
        """Only these keys stay."""
        self.contrast.keep(keys, 2, subjects)

    def add(
        self, start: int, key: NDArray[np.int64], trials: NDArray[np.int64], hits: NDArray[np.int64], live: bool
    ) -> None:
        """Counts of one window; each key at most once."""
        cells = np.concatenate([2 * key, 2 * key[hits > 0] + 1])
        self.contrast.add(start, cells, np.concatenate([trials, hits[hits > 0]]).astype(np.float64), live)

    def evidence(self, now: int) -> list[Share]:
        """Keys whose share rose, the stronger of both lengths."""
        best: dict[int, Share] = {}
        for length in LENGTHS:
            recent, normal = self.contrast.split(now, length)
            for row in _rises(recent.reshape(-1, 2), normal.reshape(-1, 2)).tolist():
                share = Share(int(row[0]), row[1], int(row[2]), int(row[3]), row[4])
                if share.key not in best or share.score > best[share.key].score:
                    best[share.key] = share
        return [best[key] for key in sorted(best)]


@njit(nogil=True, cache=True)
def _rises(recent: Any, normal: Any) -> Any:
    out, n_out = np.empty((len(recent), 5)), 0
    for key in range(len(recent)):
        n, k, m = recent[key, 0], recent[key, 1], normal[key, 0]
        if k < LEAST_HITS or m < LEAST_NORMAL:
            continue
        p = min(1.0, normal[key, 1] / m)
        rise = k / n - p
        if rise <= 0:
            continue
        score = at_least(k, n, p, m, EFFECTIVE) * min(1.0, rise / FULL)
        if score > 0.05:
            out[n_out, 0], out[n_out, 1], out[n_out, 2], out[n_out, 3], out[n_out, 4] = key, score, k, n, p
            n_out += 1
    return out[:n_out]
