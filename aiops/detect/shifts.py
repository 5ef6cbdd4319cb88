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
from aiops.detect.runs import Run, Runs
from aiops.detect.suspicion import Suspicion
from aiops.detect.tails import CAP, EFFECTIVE, at_least
from aiops.signals import SECOND, WINDOW
from aiops.traces.durations import BINS, PER_OCTAVE

SHIFT = 0.25  # a move of less than this many normal spreads is none
FAR_LEAST, FAR_SHARE = (
    4.0,
    0.05,
)  # durations far beyond the normal 99.5th percentile that are news although the median is not
BEYOND = 2  # bins above the normal 99.5th percentile from which a duration is far slower than ever: a fifth
FAR_OFTEN = (1.0, 4.0)  # share of such durations in a fault: a fifth, more or less
FAR_FULL = 0.10  # share of them that counts in full
RUN_FULL = 0.5  # mean move beyond ``SHIFT``, in normal spreads, with which a run counts in full
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


class Slow(NamedTuple):
    """Of `trials` durations of a key since the window that starts at `since` (Unix ns), `hits` were longer than `limit`.

    `normal` is the usual share of them; percentiles and the limit are bins, `recent_p90` -1 where nothing came of late.
    """

    key: int
    score: float
    hits: int
    trials: int
    normal: float
    since: int
    limit: int
    recent_p90: int
    normal_p50: int
    normal_p90: int


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
        self._slow, self._far = Runs(EFFECTIVE), Runs(FAR_EFFECTIVE, FAR_OFTEN)

    def grow(self, owners: list[int]) -> None:
        """Add keys; `owners` are their subjects."""
        if owners:
            self.contrast.grow(np.repeat(np.array(owners, np.int32), BINS))
            self._slow.grow(len(owners))
            self._far.grow(len(owners))

    def keep(self, keys: Kept, subjects: Kept) -> None:
        """Only these keys stay."""
        self.contrast.keep(keys, BINS, subjects)
        self._slow.keep(keys)
        self._far.keep(keys)

    def add(
        self, start: int, key: NDArray[np.int64], bin_: NDArray[np.int64], counts: NDArray[np.int64], live: bool
    ) -> None:
        """Counts of one window; each (key, bin) at most once."""
        self.contrast.add(start, key * BINS + np.minimum(bin_, BINS - 1), counts.astype(np.float64), live)

    def evidence(self, now: int) -> list[Shift]:
        """Every key with enough recent durations, the stronger of both lengths; score 0 where they did not rise."""
        best: dict[int, Shift] = {}
        newest = self.contrast.recent(now, NEWEST).reshape(-1, BINS)
        for length in LENGTHS:
            recent, normal = self.contrast.split(now, length)
            out = _shifts(recent.reshape(-1, BINS), newest, normal.reshape(-1, BINS), self.least, self.full)
            for row in out[out[:, 6] > 0].tolist():
                shift = Shift(int(row[0]), row[1], *(int(v) for v in row[2:]))
                if shift.key not in best or shift.score > best[shift.key].score:
                    best[shift.key] = shift
        return [best[key] for key in sorted(best)]

    def runs(self, now: int, least: float) -> list[Slow]:
        """Keys of little traffic whose durations have been too long since some window, with a score of `least` or more.

        To be asked once in every window: it takes in what has come.  Told are keys of which the last minutes hold too little
        to be judged by ``evidence``: where they hold enough, a run was told no earlier at the same rate of false alarms.  Of
        many that are a little slower and of few that are far slower the stronger is told.
        """
        latest = self.contrast.recent(now, WINDOW).reshape(-1, BINS)
        key = np.flatnonzero(latest.any(1))
        recent, normal = (counts.reshape(-1, BINS) for counts in self.contrast.split(now, max(LENGTHS)))
        if len(key):
            c = _latest(latest, normal, key)
            none = np.zeros(len(key))
            self._slow.advance(now - WINDOW, key, c[:, 0], c[:, 1], c[:, 3], c[:, 5], c[:, 6])
            self._far.advance(now - WINDOW, key, c[:, 0], c[:, 2], c[:, 4], c[:, 5], none)
        best: dict[int, Slow] = {}
        for far, runs in enumerate((self._slow, self._far)):
            for run in runs.found(now, least):
                weight = _weight_of_far(run) if far else (run.effect - SHIFT) / RUN_FULL
                score = run.score * min(1.0, max(0.0, weight))
                if score < least or recent[run.key].sum() >= self.least:
                    continue
                if run.key not in best or score > best[run.key].score:
                    best[run.key] = _slow(run, score, bool(far), recent[run.key], normal[run.key])
        return [best[k] for k in sorted(best)]

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {"contrast": self.contrast.state(), "slow": self._slow.state(), "far": self._far.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self.contrast.restore(state["contrast"])
        self._slow.restore(state["slow"])
        self._far.restore(state["far"])


def _weight_of_far(run: Run) -> float:
    share = run.hits / run.trials
    return share / FAR_FULL if share >= FAR_SHARE else 0.0


def _slow(run: Run, score: float, far: bool, recent: Any, normal: Any) -> Slow:
    n, m = float(recent.sum()), float(normal.sum())
    p50, p90 = int(_percentile(normal, m, 0.5)), int(_percentile(normal, m, 0.9))
    limit = max(p90, int(_percentile(normal, m, 0.995))) + BEYOND if far else p90
    newest = int(_percentile(recent, n, 0.9)) if n else -1
    return Slow(run.key, score, run.hits, run.trials, run.normal, run.since, limit, newest, p50, p90)


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
        far = max(p90, _percentile(normal[key], m, 0.995)) + BEYOND
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


@njit(nogil=True, cache=True)
def _latest(latest: Any, normal: Any, keys: Any) -> Any:
    """Of one window and each key: durations, those above the normal p90, those far beyond, their normal shares, weight, moves."""
    out = np.zeros((len(keys), 7))
    for i in range(len(keys)):
        key = keys[i]
        n, m = latest[key].sum(), normal[key].sum()
        out[i, 0], out[i, 5] = n, m
        if m < LEAST_NORMAL:
            continue
        p50, p90 = _percentile(normal[key], m, 0.5), _percentile(normal[key], m, 0.9)
        far = max(p90, _percentile(normal[key], m, 0.995)) + BEYOND
        spread = (p90 - p50) / PER_OCTAVE + 0.5
        for k in range(BINS):
            now, usual = latest[key, k], normal[key, k]
            out[i, 6] += now * ((k - p50) / PER_OCTAVE / spread)
            if k > p90:
                out[i, 1] += now
                out[i, 3] += usual / m
            if k > far:
                out[i, 2] += now
                out[i, 4] += usual / m
    return out
