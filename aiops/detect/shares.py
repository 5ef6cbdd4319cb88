"""Counts of hits among trials per key -> evidence that the share rose: errors of an operation, calls that reach nobody."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.detect.contrast import LENGTHS, Contrast
from aiops.detect.retention import Kept
from aiops.detect.runs import Runs
from aiops.detect.suspicion import Suspicion
from aiops.detect.tails import EFFECTIVE, at_least
from aiops.signals import WINDOW

LEAST_HITS = 2  # one failure is no pattern
FEW = 5.0  # trials in the last minutes below which runs are told
LEAST_NORMAL = 10  # trials in the baseline
FULL = 0.10  # rise of the share that counts in full; a smaller one counts in proportion


class Share(NamedTuple):
    """Of `trials` recent trials of `key`, `hits` were hits, where a share of `normal` used to be, known from `weight` trials.

    `since` is the start of the window (Unix ns) from which a run of them is counted, -1 for those of the last minutes.
    """

    key: int
    score: float
    hits: int
    trials: int
    normal: float
    weight: float
    since: int = -1


class Shares:
    """Two cells a key: trials and hits; and a sequential test of each (``runs``)."""

    def __init__(self, suspicion: Suspicion) -> None:
        self.contrast = Contrast(suspicion)
        self._runs = Runs(EFFECTIVE)

    def grow(self, owners: list[int]) -> None:
        """Add keys; `owners` are their subjects."""
        if owners:
            self.contrast.grow(np.repeat(np.array(owners, np.int32), 2))
            self._runs.grow(len(owners))

    def keep(self, keys: Kept, subjects: Kept) -> None:
        """Only these keys stay."""
        self.contrast.keep(keys, 2, subjects)
        self._runs.keep(keys)

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
                share = Share(int(row[0]), row[1], int(row[2]), int(row[3]), row[4], row[5])
                if share.key not in best or share.score > best[share.key].score:
                    best[share.key] = share
        return [best[key] for key in sorted(best)]

    def runs(self, now: int, least: float) -> list[Share]:
        """Keys of little traffic whose hits have come too often since some window, with a score of `least` or more.

        To be asked once in every window: it takes in what has come.  Told are keys of which the last minutes hold fewer than
        ``FEW`` trials; of the others ``evidence`` speaks.
        """
        latest = self.contrast.recent(now, WINDOW).reshape(-1, 2)
        key = np.flatnonzero(latest[:, 0])
        if len(key):
            normal = self.contrast.split(now, max(LENGTHS))[1].reshape(-1, 2)[key]
            usual = np.minimum(normal[:, 1] / np.maximum(normal[:, 0], 1.0), 1.0)
            self._runs.advance(
                now - WINDOW, key, latest[key, 0], latest[key, 1], usual, normal[:, 0], np.zeros(len(key))
            )
        trials = self.contrast.recent(now, max(LENGTHS)).reshape(-1, 2)[:, 0]
        out = []
        for run in self._runs.found(now, least):
            score = run.score * min(1.0, (run.hits / run.trials - run.normal) / FULL)
            if score >= least and trials[run.key] < FEW:
                out.append(Share(run.key, score, run.hits, run.trials, run.normal, EFFECTIVE, run.since))
        return out

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {"contrast": self.contrast.state(), "runs": self._runs.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self.contrast.restore(state["contrast"])
        self._runs.restore(state["runs"])


@njit(nogil=True, cache=True)
def _rises(recent: Any, normal: Any) -> Any:
    out, n_out = np.empty((len(recent), 6)), 0
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
            out[n_out, 5] = m
            n_out += 1
    return out[:n_out]
