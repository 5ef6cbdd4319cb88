"""Counts of hits among trials per key and window -> evidence that hits have come too often since some window: a sequential test.

Every window adds the log likelihood ratio of "hits come more often than they used to" against "as they used to", and the sum
never falls below 0 (CUSUM: Page, Continuous inspection schemes, Biometrika 41, 1954, pp. 100-115).  What a fixed span of time
cannot do it does: a change is seen from its first window on and not when it fills half of a minute, and a key with one trial
in ten minutes adds up what each says.  The window in which the sum last left 0 is when the change began.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.detect.retention import Kept, refitted
from aiops.detect.tails import CAP
from aiops.signals import SECOND, WINDOW

UP, DOWN = 1.5, -1.0  # most that one window adds or takes: what fails within one window fails together
CHANCES = (
    2.0  # taken off the sum: a ratio of 10^h comes by chance about once in 10^h windows, and every key has its chance
)
LEAST_NORMAL = 10.0  # trials in the baseline
LEAST_WINDOWS = 2  # with hits: a burst within one window is no run
HOLD = 120 * SECOND  # so long without trials, and three times the usual wait for one, a run says nothing any more
LONGEST_HOLD = 1800 * SECOND
FROZEN = 3600 * SECOND  # so long a run is held against the share that was usual when it began
_LOG10 = math.log(10.0)

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


class Run(NamedTuple):
    """Of `trials` trials of `key` since the window that starts at `since` (Unix ns), `hits` were hits, usually `normal`.

    `effect` is the mean effect of a trial, as it was given.
    """

    key: int
    score: float
    hits: int
    trials: int
    normal: float
    effect: float
    since: int


class Runs:
    """State of numbered keys.

    Parameters
    ----------
    effective : float
        Trials that a baseline counts as at most (``aiops.detect.tails.EFFECTIVE``).
    often : (float, float)
        Beta distribution of the share of hits after a change: (1, 1) where it may be any, (1, 4) where it is small.
    """

    _EMPTY: ClassVar[dict[str, Any]] = {
        "value": 0.0, "since": -1, "last": -1, "hits": 0.0, "trials": 0.0, "windows": 0, "effect": 0.0, "share": 0.0,
    }  # fmt: skip

    def __init__(self, effective: float, often: tuple[float, float] = (1.0, 1.0)) -> None:
        self.size = 0
        self._effective, self._often = effective, often
        self._of: dict[str, NDArray[Any]] = {name: np.full(64, empty) for name, empty in self._EMPTY.items()}

    def grow(self, n: int) -> None:
        """Add `n` keys."""
        self.size += n
        if self.size > len(self._of["value"]):
            for name, empty in self._EMPTY.items():
                longer = np.full(2 * self.size, empty)
                longer[: len(self._of[name])] = self._of[name]
                self._of[name] = longer

    def keep(self, keys: Kept) -> None:
        """Only these stay."""
        if not keys.all:
            for name, empty in self._EMPTY.items():
                self._of[name] = refitted(self._of[name][: self.size], keys, empty)
            self.size = len(keys.rows)

    def advance(self, start: int, key: I64, trials: F64, hits: F64, normal: F64, weight: F64, effect: F64) -> None:
        """Counts of the window that starts at `start` (Unix ns), each key at most once, with a trial at least.

        Parameters
        ----------
        normal, weight : float64 arrays, shape (n,)
            The usual share of hits, and the trials that it is known from.
        effect : float64 array, shape (n,)
            Summed over the trials: how far they are off, in a unit of the caller's.
        """
        s = self._of
        _advance(
            start, key, trials, hits, normal, weight, effect, self._effective, *self._often, s["value"], s["since"],
            s["last"], s["hits"], s["trials"], s["windows"], s["effect"], s["share"],
        )  # fmt: skip

    def found(self, now: int, least: float) -> list[Run]:
        """Runs with a score of `least` or more at event time `now`, by key."""
        s, n = self._of, self.size
        out = []
        loud = s["value"][:n] - CHANCES >= least
        for key in np.flatnonzero(loud & (s["windows"][:n] >= LEAST_WINDOWS)).tolist():
            trials, since, last = float(s["trials"][key]), int(s["since"][key]), int(s["last"][key])
            wait = 3 * (last + WINDOW - since) / trials
            if now - last - WINDOW <= min(max(HOLD, wait), LONGEST_HOLD):
                out.append(
                    Run(key, float(s["value"][key]) - CHANCES, int(s["hits"][key]), int(trials), float(s["share"][key]),
                        float(s["effect"][key]) / trials, since)
                )  # fmt: skip
        return out

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {"size": self.size, **{name: values[: self.size] for name, values in self._of.items()}}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self.size = 0
        self.grow(state["size"])
        for name in self._EMPTY:
            self._of[name][: self.size] = state[name]


@njit(nogil=True, cache=True)
def _log_beta(a: Any, b: Any) -> Any:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


@njit(nogil=True, cache=True)
def _ratio(k: Any, n: Any, p: Any, weight: Any, effective: Any, a1: Any, b1: Any) -> Any:
    """Log10 of the likelihood of k hits of n where the share has changed, over that where it is as it was."""
    w = min(weight, effective)
    a, b = p * w + 0.5, (1.0 - p) * w + 0.5
    changed = _log_beta(k + a1, n - k + b1) - _log_beta(a1, b1)
    same = _log_beta(k + a, n - k + b) - _log_beta(a, b)
    ratio = (changed - same) / _LOG10
    if k * (a + b) <= a * n:  # no more hits than usual: what comes less often is no evidence, whatever the ratio says
        ratio = min(ratio, 0.0)
    return min(UP, max(DOWN, ratio))


@njit(nogil=True, cache=True)
def _advance(
    start: Any, key: Any, n: Any, k: Any, p: Any, weight: Any, effect: Any, effective: Any, a1: Any, b1: Any,
    value: Any, since: Any, last: Any, hits: Any, trials: Any, windows: Any, effects: Any, share: Any,
) -> None:  # fmt: skip
    for i in range(len(key)):
        at = key[i]
        if weight[i] < LEAST_NORMAL:
            value[at] = 0.0
            continue
        # What the run itself has taught by now must not excuse it, until it has lasted so long that it is how things are.
        usual = share[at] if value[at] > 0.0 and start - since[at] < FROZEN else p[i]
        step = _ratio(k[i], n[i], usual, weight[i], effective, a1, b1)
        if value[at] <= 0.0:
            if step <= 0.0:
                continue
            since[at], hits[at], trials[at], windows[at], effects[at] = start, 0.0, 0.0, 0, 0.0
            share[at] = p[i]
        value[at] = min(CAP, max(0.0, value[at] + step))
        last[at] = start
        hits[at] += k[i]
        trials[at] += n[i]
        effects[at] += effect[i]
        windows[at] += k[i] > 0.0
