"""Small numbers: how surprising a count, or a ratio of two counts, is for its own series.

In: hits and trials of an interval (failed requests of all requests), or a count and its exposure (logins in so many seconds).
Out: -log10 of the tail probability, with a sign: above or below what was expected.  Three failures of three requests are news
where three of three thousand are none, which no residual of the ratio can tell.

A ratio is beta-binomial, a count negative binomial.  Mean and over-dispersion are learned: what the variance has beyond the
binomial's or Poisson's follows from the mean squared residual, so a series whose rate swings by itself needs more to stand out.
The tail of a count is that of Lugannani and Rice (Adv. Appl. Prob. 12, 1980, pp. 475-490) with the correction for
whole numbers: no sum over counts, whatever their size.

Examples
--------
>>> import numpy as np
>>> failures = Counts(ratio=True)
>>> failures.grow(1)
>>> row = np.zeros(300, np.int64)
>>> _ = failures.feed(row, np.tile([0.0, 1.0, 0.0], 100), np.full(300, 100.0))
>>> [int(x) for x in failures.feed(row[:2], np.array([1.0, 12.0]), np.array([100.0, 100.0])).score.tolist()]
[0, 8]
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.detect.retention import Kept
from aiops.detect.tails import at_least

MOST = 8.0  # no point may claim more than 10^-8
MEMORY = 0.005  # least gain of the rate and of the dispersion: 200 points
LEAST = 20  # points before anything is judged
SUSPECT, LEAK = 4.0, 0.1  # what scores so high is learned with this weight: an outage hardly teaches its own normality
CLIP = 25.0  # squared residual that is learned at most
SWING = 0.05  # by which a rate swings at the least: a plain Poisson would cry at every drift of a large count
TRIALS_MOST = 4000.0  # of an interval: more are counted as so many, which bounds the sum and is careful
EFFECTIVE = 1e4  # trials that a share without over-dispersion is known from at most
NOTHING = 0.5  # hits that a series without any has had
HITS, TRIALS, SQUARE = range(3)  # columns of the state: means of hits, trials and squared residuals
_LOG10 = math.log(10.0)

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Surprises:
    """What a batch of counts is.

    Attributes
    ----------
    score : float64[k]
        -log10 P of a count as far from its mean, at most ``MOST``; negative below the mean, 0 while learning, NaN
        without a count.
    expected : float64[k]
        Count that was expected of these trials.
    """

    score: F64
    expected: F64


class Counts:
    """State of all series, by row: 28 bytes each.

    Parameters
    ----------
    ratio : bool
        Are counts hits of whole trials (at most as many), rather than events of an exposure?
    """

    def __init__(self, *, ratio: bool) -> None:
        self.ratio = ratio
        self.size = 0
        self._means: F64 = np.zeros((0, 3))
        self._points: NDArray[np.int32] = np.zeros(0, np.int32)

    def grow(self, more: int) -> None:
        """Add `more` series, as the rows from `size` on."""
        start, self.size = self.size, self.size + more
        if self.size > len(self._points):
            room = max(self.size, 2 * start)
            means, points = np.zeros((room, 3)), np.zeros(room, np.int32)
            means[:start], points[:start] = self._means[:start], self._points[:start]
            self._means, self._points = means, points

    def feed(self, rows: I64, hits: F64, trials: F64) -> Surprises:
        """Score a batch, and learn it.

        Parameters
        ----------
        rows : int64[k]
            Row of each series, in the order of event times within a series.
        hits, trials : float64[k]
            Counts, and the trials or the exposure that they come from; what is negative or not finite is no count.
        """
        out = Surprises(np.empty(len(rows)), np.empty(len(rows)))
        _feed(rows, hits, trials, self.ratio, self._means, self._points, out.score, out.expected)
        return out

    def keep(self, kept: Kept) -> None:
        """Only these rows stay, and have their new codes from now on."""
        self._means, self._points = self._means[: self.size][kept.rows], self._points[: self.size][kept.rows]
        self.size = len(kept.rows)

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {"means": self._means[: self.size], "points": self._points[: self.size]}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self._means, self._points = state["means"], state["points"]
        self.size = len(self._points)


@njit(nogil=True, cache=True, error_model="numpy")
def count_tail(x: Any, mean: Any, shape: Any) -> Any:
    """-log10 P of a whole count as far from the mean as `x`; its sign is the side.

    K is negative binomial with variance mean + mean^2 / shape.
    Exact for 0; elsewhere the saddle-point approximation, right to a few per cent of P.
    """
    if x <= mean:
        if x == 0:
            return -min(MOST, shape * math.log1p(mean / shape) / _LOG10)
        x += 1.0  # P(K <= x) = 1 - P(K >= x + 1)
        if x >= mean:
            return 0.0
        sign = -1.0
    else:
        sign = 1.0
    angle = math.log(x / mean) - math.log((x + shape) / (mean + shape))
    rate = x * math.log(x / mean) - (x + shape) * math.log((x + shape) / (mean + shape))
    w = math.sqrt(2.0 * max(rate, 0.0))
    u = abs(1.0 - math.exp(-angle)) * math.sqrt(x + x * x / shape)
    if w < 1e-3 or u < 1e-3:
        return 0.0
    density = math.exp(-0.5 * w * w) / math.sqrt(2.0 * math.pi)
    p = 0.5 * math.erfc(w / math.sqrt(2.0)) + density * (1.0 / u - 1.0 / w)
    return sign * min(MOST, max(0.0, -math.log10(max(p, 1e-300))))


@njit(nogil=True, cache=True, error_model="numpy")
def ratio_tail(hits: Any, trials: Any, share: Any, known: Any, effective: Any) -> Any:
    """-log10 P of hits as far from the expected share, beta-binomial; its sign is the side."""
    if trials > TRIALS_MOST:
        hits, trials = round(hits * TRIALS_MOST / trials), TRIALS_MOST
    if hits > share * trials:
        return at_least(hits, trials, share, known, effective)
    return -at_least(trials - hits, trials, 1.0 - share, known, effective)


@njit(nogil=True, cache=True, error_model="numpy")
def _feed(rows: Any, hits: Any, trials: Any, ratio: Any, means: Any, points: Any, score: Any, expected: Any) -> None:
    for i in range(len(rows)):
        r, k, n = rows[i], hits[i], trials[i]
        score[i], expected[i] = np.nan, np.nan
        if not (math.isfinite(k) and math.isfinite(n)) or k < 0 or n <= 0 or (ratio and k > n):
            continue
        seen, of = int(points[r]), means[r, TRIALS]
        s, square = 0.0, 1.0
        if seen > 0:
            lived = min(seen, 1.0 / MEMORY)
            rate = max(means[r, HITS], NOTHING / lived) / of
            mean = rate * n
            if ratio:
                rate = min(rate, 1.0 - NOTHING / (lived * max(of, 1.0)))
                mean = rate * n
            own = mean * (1.0 - rate) if ratio else mean
            square = (k - mean) * (k - mean) / max(own, 1e-12)
            spread = max(means[r, SQUARE], 1.0)
            expected[i] = mean
            if seen >= LEAST and ratio:
                within = (spread - 1.0) / max(of - 1.0, 1.0)  # correlation of the trials of one interval
                s = ratio_tail(k, n, rate, lived * of, min(EFFECTIVE, 1.0 / max(within, 1e-9)))
            elif seen >= LEAST:
                swing = (spread - 1.0) / max(rate * of, 1e-9) + SWING * SWING + 1.0 / (lived * max(rate * of, NOTHING))
                s = count_tail(k, mean, 1.0 / swing)
        score[i] = s
        gain = max(MEMORY, 1.0 / (seen + 1)) * (LEAK if abs(s) >= SUSPECT else 1.0)
        means[r, HITS] += gain * (k - means[r, HITS])
        means[r, TRIALS] += gain * (n - of)
        if seen > 0:
            gain = max(MEMORY, 1.0 / seen) * (LEAK if abs(s) >= SUSPECT else 1.0)
            means[r, SQUARE] += gain * (min(square, CLIP) - means[r, SQUARE])
        points[r] = min(seen + 1, 1 << 30)
