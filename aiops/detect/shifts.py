"""Histograms of durations per key -> evidence that they rose.

The evidence is how surprising the share above the normal 90th percentile is, gated by how far the median and the 90th
percentile moved in units of the normal spread: many requests a little slower, or a few far slower than ever.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.detect.contrast import LENGTHS, Contrast
from aiops.detect.retention import Kept
from aiops.detect.suspicion import Suspicion
from aiops.detect.tails import CAP, EFFECTIVE, at_least
from aiops.signals import SECOND
from aiops.traces.durations import BINS, PER_OCTAVE

SHIFT = 0.25  # a move of less than this many normal spreads is none
FAR_LEAST, FAR_SHARE = (
    4.0,
    0.05,
)  # durations far beyond the normal 99.5th percentile that are news although the median is not
FAR_EFFECTIVE = 200.0  # as EFFECTIVE: how rare they are is known better than how often a request is merely slow
NEWEST = 30 * SECOND  # where the newest durations are normal again, the slowness is over: FADED of its score is left
NEWEST_LEAST, FADED = 8.0, 0.4
LEAST_NORMAL = 10  # durations in a baseline before anything is judged


class Shift(NamedTuple):
    """Evidence about one key; percentiles are bins (``aiops.traces.durations``)."""

    key: int
    score: float
    recent_p50: int
    recent_p90: int
    normal_p50: int
    normal_p90: int
    durations: int


class Durations:
    """Duration histograms of numbered keys, each owned by a subject of `suspicion`.

    Parameters
    ----------
    least : int
        Recent durations below which a key is not judged.
    full : float
        Shift beyond ``SHIFT``, in normal spreads, that counts in full.
    """

    def __init__(self, suspicion: Suspicion, least: int, full: float) -> None:
        self.least, self.full = least, full
        self.contrast = Contrast(suspicion)

    def grow(self, owners: list[int]) -> None:
        """Add keys; `owners` are their subjects."""
        if owners:
            self.contrast.grow(np.repeat(np.array(owners, np.int32), BINS))

    def keep(self, keys: Kept, subjects: Kept) -> None:
        """Only these keys stay."""
        self.contrast.keep(keys, BINS, subjects)

    def add(
        self, start: int, key: NDArray[np.int64], bin_: NDArray[np.int64], counts: NDArray[np.int64], live: bool
    ) -> None:
        """Counts of one window; each (key, bin) at most once."""
        self.contrast.add(start, key * BINS + np.minimum(bin_, BINS - 1), counts.astype(np.float64), live)

    def evidence(self, now: int) -> list[Shift]:
        """Every key with enough recent durations, the stronger of both lengths; score 0 where they did not rise."""
        best: dict[int, Shift] = {}
        newest = self.contrast.split(now, NEWEST)[0].reshape(-1, BINS)
        for length in LENGTHS:
            recent, normal = self.contrast.split(now, length)
            out = _shifts(recent.reshape(-1, BINS), newest, normal.reshape(-1, BINS), self.least, self.full)
            for row in out[out[:, 6] > 0].tolist():
                shift = Shift(int(row[0]), row[1], *(int(v) for v in row[2:]))
                if shift.key not in best or shift.score > best[shift.key].score:
                    best[shift.key] = shift
        return [best[key] for key in sorted(best)]


@njit(nogil=True, cache=True)
def _percentile(hist: Any, n: Any, q: Any) -> Any:
    total = 0.0
    for k in range(len(hist)):
        total += hist[k]
        if total >= q * n - 1e-9:
            return k
    return len(hist) - 1


@njit(nogil=True, cache=True)
def _shifts(recent: Any, newest: Any, normal: Any, least: Any, full: Any) -> Any:
    out = np.zeros((len(recent), 7))
    for key in range(len(recent)):
        n, m = 0.0, 0.0
        for k in range(BINS):
            n += recent[key, k]
            m += normal[key, k]
        if n < least or m < LEAST_NORMAL:
            continue
        p50, p90 = _percentile(normal[key], m, 0.5), _percentile(normal[key], m, 0.9)
        r50, r90 = _percentile(recent[key], n, 0.5), _percentile(recent[key], n, 0.9)
        out[key, 0], out[key, 2], out[key, 3], out[key, 4], out[key, 5], out[key, 6] = key, r50, r90, p50, p90, n
        z = ((r50 - p50) + (r90 - p90)) / 2.0 / PER_OCTAVE / ((p90 - p50) / PER_OCTAVE + 0.5)
        if z <= SHIFT:
            continue
        far = max(p90, _percentile(normal[key], m, 0.995)) + 2
        score = 0.0
        for which in range(2):
            limit = far if which else p90
            k_recent, k_normal = 0.0, 0.0
            for k in range(limit + 1, BINS):
                k_recent += recent[key, k]
                k_normal += normal[key, k]
            if which and r50 <= p90 and (k_recent < FAR_LEAST or k_recent < FAR_SHARE * n):
                continue  # a few that are far slower than ever happen by themselves
            score = max(score, at_least(k_recent, n, k_normal / m, m, FAR_EFFECTIVE if which else EFFECTIVE))
        score = min(CAP, score * min(1.0, (z - SHIFT) / full))
        n = newest[key].sum()
        if n >= NEWEST_LEAST:
            r50, r90 = _percentile(newest[key], n, 0.5), _percentile(newest[key], n, 0.9)
            still = ((r50 - p50) + (r90 - p90)) / 2.0 / PER_OCTAVE / ((p90 - p50) / PER_OCTAVE + 0.5) > SHIFT
            for k in range(far + 1, BINS):  # a pause now and then moves no percentile of half a minute
                still = still or newest[key, k] > 0
            if not still:
                score *= FADED
        out[key, 1] = score
    return out
