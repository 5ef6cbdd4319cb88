"""Metric values -> how unusual each is for its own series: robust residual, calibrated by the series' own tail.

Level and spread are the median and the interquartile range of up to ``RING`` learned values, at most one every
``LEARN_EVERY``, so about an hour whatever the cadence.  A deviation is divided by the greatest of 3 and the 99th percentile of
the series' own past deviations: what a series does once in a hundred points scores 2 by construction, and each doubling
beyond that one more.  Baselines are not learned from while the owner is suspect.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.detect.contrast import ADMIT
from aiops.detect.retention import Kept, refitted
from aiops.detect.suspicion import Suspicion
from aiops.detect.tails import CAP
from aiops.signals import SECOND

RING = 64  # learned values that make level and spread
TAIL = 256  # past deviations that make a series' own tail
LEARN_EVERY = 50 * SECOND
PERSIST = 50 * SECOND  # a deviation counts when it has lasted so long: one odd point is nothing
HISTORY = 8  # newest scores kept
OLD = 300 * SECOND  # a series that has deviated for so long is at a new level: no evidence of anything that happens now
LEAST = 2  # learned values before anything is judged
FEW = 10  # learned values up to which the spread is guessed generously
RELATIVE, RELATIVE_FEW, ABSOLUTE = (
    0.05,
    0.25,
    1e-6,
)  # floors of the spread: of the level, of the level with few values, in all
OWN_FLOOR = 3.0
WIDEST = 10.0  # how many times the own tail a deviation may count when it is learned
CONSTANT_CAP = 2.0  # a series that was constant ever since may change once without being news
CHANGES = 3  # learned changes after which a series is no constant any more

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


class Levels:
    """State of all series of a partition, as arrays by series code."""

    ring: F64
    ordered: F64
    count: I64
    learned: I64
    changes: I64
    tail: NDArray[np.float32]
    tails: I64
    own: F64
    widest: F64
    score: F64
    time: I64
    deviates: I64
    cadence: F64
    value: F64
    expected: F64
    spread: F64

    _FIELDS: tuple[tuple[str, Any, tuple[int, ...], float], ...] = (
        ("ring", np.float64, (RING,), 0.0),  # learned values, in a circle
        ("ordered", np.float64, (RING,), 0.0),  # the same, ascending
        ("count", np.int64, (), 0),  # values learned so far
        ("learned", np.int64, (), -1),  # when the last one was
        ("changes", np.int64, (), 0),  # learned values that differed from the one before, up to CHANGES
        ("tail", np.float32, (TAIL,), 0.0),  # past deviations, in a circle
        ("tails", np.int64, (), 0),
        ("own", np.float64, (), OWN_FLOOR),
        ("widest", np.float64, (), 0.0),  # greatest deviation since one was last handed to the tail
        ("score", np.float64, (HISTORY,), 0.0),  # signed scores of the newest points, oldest first
        ("time", np.int64, (HISTORY,), -1),
        ("deviates", np.int64, (), -1),  # since when the scores have been beyond 2, -1 = they are not
        ("cadence", np.float64, (), 60e9),  # ns between points, smoothed
        ("value", np.float64, (), 0.0),  # newest value, and what was expected of it
        ("expected", np.float64, (), 0.0),
        ("spread", np.float64, (), 0.0),  # the deviation that would score 2
    )

    def __init__(self, suspicion: Suspicion) -> None:
        self.size = 0
        self._suspicion = suspicion
        self._pending: deque[tuple[int, I64, F64]] = deque()
        self.owner: NDArray[np.int32] = np.zeros(64, np.int32)
        for name, dtype, shape, empty in self._FIELDS:
            setattr(self, name, np.full((64, *shape), empty, dtype))

    def grow(self, owners: list[int]) -> None:
        """Add series; `owners` are their subjects."""
        start, self.size = self.size, self.size + len(owners)
        if self.size > len(self.owner):
            self._resize(2 * self.size)
        self.owner[start : self.size] = owners

    def _resize(self, room: int) -> None:
        old = self.owner
        self.owner = np.zeros(room, np.int32)
        self.owner[: len(old)] = old
        for name, dtype, shape, empty in self._FIELDS:
            array = getattr(self, name)
            new = np.full((room, *shape), empty, dtype)
            new[: len(array)] = array
            setattr(self, name, new)

    def keep(self, series: Kept, subjects: Kept) -> None:
        """Only these series stay, and have their owners' new codes."""
        self.owner[: self.size] = subjects.code[self.owner[: self.size]]
        if series.all:
            return
        self.owner = refitted(self.owner[: self.size], series, 0)
        for name, _, _, empty in self._FIELDS:  # one at a time: a whole copy of all would be the peak of memory
            setattr(self, name, refitted(getattr(self, name)[: self.size], series, empty))
        self.size = len(series.rows)
        for k, (at, some, deviation) in enumerate(self._pending):
            new = series.code[some]
            self._pending[k] = (at, new[new >= 0], deviation[new >= 0])

    def add(self, series: I64, time: I64, value: F64) -> None:
        """Take in one value of each series at its event time (Unix ns); score first, learn after."""
        if not len(series):
            return
        value = value + 0.0  # one zero: the sign of one in an ordered circle would tell a restart
        suspect = self._suspicion.at(int(time.max()))
        handed = np.full(len(series), np.nan)
        _add(
            series, time, value, suspect[self.owner[series]], handed, self.ring, self.ordered, self.count, self.learned,
            self.changes, self.own, self.widest, self.score, self.time, self.deviates, self.cadence, self.value,
            self.expected, self.spread,
        )  # fmt: skip
        some = np.flatnonzero(~np.isnan(handed))
        if len(some):
            self._pending.append((int(time.max()), series[some], handed[some]))

    def advance(self, now: int) -> None:
        """Event time is `now`: deviations of quiet times become part of the series' own tail, late."""
        while self._pending and self._pending[0][0] < now - ADMIT:
            at, series, deviation = self._pending.popleft()
            ok = ~self._suspicion.at(at)[self.owner[series]]
            _admit(series[ok], deviation[ok], self.tail, self.tails, self.own)

    def evidence(self, now: int) -> F64:
        """Signed score of every series at event time `now`: the least of its newest points that span ``PERSIST``.

        0 where those points do not agree in sign, where there is no news, and where the level is an old one by now.
        """
        out: F64 = np.zeros(self.size)
        _evidence(now, out, self.score, self.time, self.deviates, self.cadence)
        return out

    def state(self) -> dict[str, Any]:
        """For a snapshot: of circles only as much as is filled, and nothing that follows from the rest."""
        n = self.size
        out = {name: getattr(self, name)[:n] for name, *_ in self._FIELDS if name != "ordered"}
        for name, filled in (("ring", self.count), ("tail", self.tails)):
            width = out[name].shape[1]
            out[name] = out[name][:, : min(width, int(filled[:n].max(initial=0)))]
        return {"size": n, "owner": self.owner[:n], "pending": list(self._pending), **out}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        n = self.size = state["size"]
        self.owner = state["owner"]
        self._pending = deque(tuple(p) for p in state["pending"])
        for name, dtype, shape, _ in self._FIELDS:
            array = state.get(name)
            if array is None or array.shape[1:] != shape:
                whole = np.zeros((n, *shape), dtype)
                if array is not None:
                    whole[:, : array.shape[1]] = array
                array = whole
            setattr(self, name, array)
        _order(self.ring, self.count, self.ordered)


@njit(nogil=True, cache=True)
def _quantile(ordered: Any, n: Any, q: Any) -> Any:
    return ordered[max(0, math.ceil(q * n) - 1)]


@njit(nogil=True, cache=True)
def _order(ring: Any, count: Any, ordered: Any) -> None:
    """Fill the ordered copies of all circles."""
    for i in range(len(ring)):
        n = min(count[i], RING)
        ordered[i, :n] = np.sort(ring[i, :n])


@njit(nogil=True, cache=True)
def _learn(i: Any, x: Any, ring: Any, ordered: Any, count: Any) -> None:
    """Put `x` into the circle and keep the ordered copy ordered."""
    n = min(count[i], RING)
    if count[i] >= RING:
        gone = ring[i, count[i] % RING]
        at = 0
        while at < n and ordered[i, at] != gone:
            at += 1
        for k in range(at, n - 1):
            ordered[i, k] = ordered[i, k + 1]
        n -= 1
    k = n
    while k > 0 and ordered[i, k - 1] > x:
        ordered[i, k] = ordered[i, k - 1]
        k -= 1
    ordered[i, k] = x
    ring[i, count[i] % RING] = x
    count[i] += 1


@njit(nogil=True, cache=True)
def _add(
    series: Any, time: Any, value: Any, suspect: Any, handed: Any, ring: Any, ordered: Any, count: Any, learned: Any,
    changes: Any, own: Any, widest: Any, score: Any, times: Any, deviates: Any, cadence: Any, newest: Any, expected: Any,
    spread: Any,
) -> None:  # fmt: skip
    for row in range(len(series)):
        i, t, x = series[row], time[row], value[row]
        n = min(count[i], RING)
        s, deviation = 0.0, 0.0
        if n >= LEAST:
            q1, level, q3 = (
                _quantile(ordered[i], n, 0.25),
                _quantile(ordered[i], n, 0.5),
                _quantile(ordered[i], n, 0.75),
            )
            floor = (RELATIVE_FEW if n < FEW else RELATIVE) * abs(level)
            scale = max((q3 - q1) / 1.349, floor, ABSOLUTE)
            deviation = abs(x - level) / scale
            c = deviation / own[i]
            s = min(CAP, 2.0 * c if c < 1.0 else 2.0 + math.log2(c))
            if changes[i] < CHANGES:
                s = min(s, CONSTANT_CAP)
            if x < level:
                s = -s
            expected[i], spread[i] = level, scale * own[i]
            widest[i] = max(widest[i], deviation)
        newest[i] = x
        last = times[i, HISTORY - 1]
        if last >= 0 and t > last:
            gap = float(t - last)
            cadence[i] += 0.2 * (min(gap, 5.0 * cadence[i]) - cadence[i])
        for k in range(HISTORY - 1):
            score[i, k], times[i, k] = score[i, k + 1], times[i, k + 1]
        score[i, HISTORY - 1], times[i, HISTORY - 1] = s, t
        if abs(s) <= 2.0:
            deviates[i] = -1
        elif deviates[i] < 0:
            deviates[i] = t
        if t - learned[i] >= LEARN_EVERY or learned[i] < 0:
            if n >= LEAST:
                # One absurd value must not become the measure of all later ones.
                handed[row] = min(widest[i], WIDEST * own[i])
                widest[i] = 0.0
            learned[i] = t
            if not (suspect[row] and abs(s) > 2.0):
                if n > 0 and ring[i, (count[i] - 1) % RING] != x:
                    changes[i] = min(changes[i] + 1, CHANGES)
                _learn(i, x, ring, ordered, count)


@njit(nogil=True, cache=True)
def _admit(series: Any, deviation: Any, tail: Any, tails: Any, own: Any) -> None:
    for row in range(len(series)):
        i = series[row]
        tail[i, tails[i] % TAIL] = deviation[row]
        tails[i] += 1
        n = min(tails[i], TAIL)
        rank = n - math.ceil(0.99 * n)  # how many are greater than the 99th percentile: 0, 1 or 2
        a, b, c = 0.0, 0.0, 0.0
        for k in range(n):
            x = tail[i, k]
            if x > a:
                a, b, c = x, a, b
            elif x > b:
                b, c = x, b
            elif x > c:
                c = x
        own[i] = max(OWN_FLOOR, a if rank == 0 else b if rank == 1 else c)


@njit(nogil=True, cache=True)
def _evidence(now: Any, out: Any, score: Any, times: Any, deviates: Any, cadence: Any) -> None:
    for i in range(len(out)):
        last = times[i, HISTORY - 1]
        if last < 0 or now - last > 40e9 + cadence[i]:
            continue
        newest = score[i, HISTORY - 1]
        if newest == 0.0 or (deviates[i] >= 0 and now - deviates[i] > OLD):
            continue
        least, enough = abs(newest), False
        k = HISTORY - 2
        while k >= 0 and times[i, k] >= 0:
            if times[i, k + 1] - times[i, k] > 3.3 * cadence[i] or score[i, k] * newest <= 0.0:
                break
            least = min(least, abs(score[i, k]))
            if last - times[i, k] >= PERSIST:
                enough = True
                break
            k -= 1
        if enough:
            out[i] = least if newest > 0 else -least
