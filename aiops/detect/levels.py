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
FEW = 10  # learned values up to which the spread is lent by siblings, or guessed generously
FEW_TAILS = 32  # deviations up to which the own tail is not believed to be smaller than the siblings'
LARGEST = 3e38  # of a deviation in a tail
RELATIVE = 0.05  # floor of the spread, as a share of the level
RELATIVE_FEW = 0.25  # the same of a series that has learned few values and has no siblings
ABSOLUTE = 1e-6  # floor of the spread in any case
OWN_FLOOR = 3.0
WIDEST = 10.0  # how many times the own tail a deviation may count when it is learned
CONSTANT_CAP = 2.0  # a series that was constant ever since may change once without being news
CHANGES = 3  # learned changes after which a series is no constant any more

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


# What one point touches first, side by side: a series in random order costs a few cache lines, not one a field.
HEAD = np.dtype(
    [
        ("learned", np.int64),  # when the last value was learned, -1 = never
        ("deviates", np.int64),  # since when the scores have been beyond 2, -1 = they are not
        ("own", np.float64),
        ("widest", np.float64),  # greatest deviation since one was last handed to the tail
        ("cadence", np.float64),  # ns between points, smoothed
        ("value", np.float64),  # newest value, and what was expected of it
        ("expected", np.float64),
        ("spread", np.float64),  # the deviation that would score 2
        ("count", np.int32),  # values learned so far
        ("tails", np.int32),  # deviations handed to the tail so far
        ("lent_spread", np.float32),  # share of the level that siblings call usual, 0 = there are none
        ("lent_own", np.float32),  # and their own tail
        ("changes", np.int64),  # learned values that differed from the one before, up to CHANGES
        ("top", np.int64),  # the three greatest of the tail, 16 bits each: it is searched only when one of them leaves
    ]
)


class Levels:
    """State of all series of a partition, as arrays by series code: 1,316 bytes each.

    Attributes
    ----------
    head : HEAD array
    ring : float64 array, shape (series, RING)
        Learned values, in a circle.
    order : uint8 array, shape (series, RING)
        Places in the circle, by ascending value.
    tail : uint16 array, shape (series, TAIL)
        Past deviations, in a circle: the upper half of a float32, three significant digits.
    score, time : float64, int64 arrays, shape (series, HISTORY)
        Signed scores of the newest points and their times (Unix ns), oldest first.
    """

    head: NDArray[np.void]
    ring: F64
    order: NDArray[np.uint8]
    tail: NDArray[np.uint16]
    score: F64
    time: I64

    _FIELDS: tuple[tuple[str, Any, tuple[int, ...], Any], ...] = (
        ("head", HEAD, (), (-1, -1, OWN_FLOOR, 0.0, 60e9, 0.0, 0.0, 0.0, 0, 0, 0.0, 0.0, 0, 0)),
        ("ring", np.float64, (RING,), 0.0),
        ("order", np.uint8, (RING,), 0),
        ("tail", np.uint16, (TAIL,), 0),
        ("score", np.float64, (HISTORY,), 0.0),
        ("time", np.int64, (HISTORY,), -1),
    )

    def __init__(self, suspicion: Suspicion) -> None:
        self.size = 0
        self._suspicion = suspicion
        self._pending: deque[tuple[int, I64, F64]] = deque()
        self.owner: NDArray[np.int32] = np.zeros(64, np.int32)
        for name, dtype, shape, empty in self._FIELDS:
            setattr(self, name, _filled(64, dtype, shape, empty))

    def grow(self, owners: list[int], lent: tuple[F64, F64] | None = None) -> None:
        """Add series.

        Parameters
        ----------
        owners : list of int
            Their subjects.
        lent : two float64 arrays, shape (len(owners),), optional
            What siblings know, 0 where there are none: the share of its level that a value usually deviates, and their own
            tail.  It serves until a series has learned ``FEW`` values and ``FEW_TAILS`` deviations.
        """
        start, self.size = self.size, self.size + len(owners)
        if self.size > len(self.owner):
            self._resize(self.size + self.size // 2)
        self.owner[start : self.size] = owners
        if lent is not None and len(owners):
            new = self.head[start : self.size]
            new["lent_spread"], new["lent_own"] = lent
            new["own"] = np.maximum(OWN_FLOOR, lent[1])

    def _resize(self, room: int) -> None:
        old = self.owner
        self.owner = np.zeros(room, np.int32)
        self.owner[: len(old)] = old
        for name, dtype, shape, empty in self._FIELDS:
            array = getattr(self, name)
            new = _filled(room, dtype, shape, empty)
            new[: len(array)] = array
            setattr(self, name, new)

    def keep(self, series: Kept, subjects: Kept) -> None:
        """Only these series stay, and have their owners' new codes."""
        self.owner[: self.size] = subjects.code[self.owner[: self.size]]
        if series.all:
            return
        self.owner = refitted(self.owner[: self.size], series, 0)
        for name, dtype, shape, empty in self._FIELDS:  # one at a time: a whole copy of all would be the peak of memory
            kept = _filled(max(64, len(series.rows)), dtype, shape, empty)
            kept[: len(series.rows)] = getattr(self, name)[series.rows]
            setattr(self, name, kept)
        self.size = len(series.rows)
        for k, (at, some, deviation) in enumerate(self._pending):
            new = series.code[some]
            self._pending[k] = (at, new[new >= 0], deviation[new >= 0])

    def add(self, series: I64, time: I64, value: F64) -> None:
        """Take in one value of each series at its event time (Unix ns); score first, learn after."""
        if not len(series):
            return
        if len(series) > 1 and bool((series[1:] < series[:-1]).any()):
            # Memory is walked through once from end to end: in random order each series would wait for it.
            order = np.argsort(series)
            series, time, value = series[order], time[order], value[order]
        value = value + 0.0  # one zero: the sign of one in a circle would tell a restart
        suspect = self._suspicion.at(int(time.max()))
        handed = np.full(len(series), np.nan)
        _add(
            series, time, value, suspect[self.owner[series]], handed, self.head, self.ring, self.order, self.score,
            self.time,
        )  # fmt: skip
        some = np.flatnonzero(~np.isnan(handed))
        if len(some):
            self._pending.append((int(time.max()), series[some], handed[some]))

    def advance(self, now: int) -> None:
        """Event time is `now`: deviations of quiet times become part of the series' own tail, late."""
        while self._pending and self._pending[0][0] < now - ADMIT:
            at, series, deviation = self._pending.popleft()
            ok = ~self._suspicion.at(at)[self.owner[series]]
            _admit(series[ok], _halved(deviation[ok]), self.head, self.tail)

    def evidence(self, now: int) -> F64:
        """Signed score of every series at event time `now`: the least of its newest points that span ``PERSIST``.

        0 where those points do not agree in sign, where there is no news, and where the level is an old one by now.
        """
        out: F64 = np.zeros(self.size)
        _evidence(now, out, self.head, self.score, self.time)
        return out

    def learned(self, series: slice = slice(None)) -> F64:
        """How much has been learned of what some series are judged by, 0 .. 1: float64, in their order."""
        head = self.head[: self.size][series]
        out: F64 = (np.minimum(head["count"] / FEW, 1.0) + np.minimum(head["tails"] / FEW_TAILS, 1.0)) / 2.0
        return out

    def state(self) -> dict[str, Any]:
        """For a snapshot: of circles only as much as is filled, and nothing that follows from the rest."""
        n = self.size
        out = {name: getattr(self, name)[:n] for name, *_ in self._FIELDS if name != "order"}
        for name, filled in (("ring", "count"), ("tail", "tails")):
            width = out[name].shape[1]
            out[name] = out[name][:, : min(width, int(self.head[filled][:n].max(initial=0)))]
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
        _order(self.ring, self.head, self.order)


def _filled(room: int, dtype: Any, shape: tuple[int, ...], empty: Any) -> NDArray[Any]:
    out = np.zeros((room, *shape), dtype)
    if empty != 0:  # zeros that nobody has written take no memory
        out[...] = np.array(empty, dtype)
    return out


def _halved(deviation: F64) -> NDArray[np.uint16]:
    """The upper halves of floats, rounded: they keep their order as integers."""
    bits = np.minimum(deviation, LARGEST).astype(np.float32).view(np.uint32)
    return ((bits + np.uint32(1 << 15)) >> np.uint32(16)).astype(np.uint16)


@njit(nogil=True, cache=True)
def _quantile(ring: Any, order: Any, i: Any, n: Any, q: Any) -> Any:
    return ring[i, order[i, max(0, math.ceil(q * n) - 1)]]


@njit(nogil=True, cache=True)
def _order(ring: Any, head: Any, order: Any) -> None:
    """Order the places of all circles."""
    for i in range(len(ring)):
        n = min(head[i].count, RING)
        order[i, :n] = np.argsort(ring[i, :n], kind="mergesort")


@njit(nogil=True, cache=True)
def _learn(i: Any, x: Any, ring: Any, order: Any, count: Any) -> None:
    """Put `x` into the circle and keep its places in order; whole arrays, because slices count references."""
    n, place = min(count, RING), count % RING
    k = 0
    if count >= RING:
        while order[i, k] != place:
            k += 1
        while k + 1 < n and ring[i, order[i, k + 1]] <= x:
            order[i, k] = order[i, k + 1]
            k += 1
    else:
        k = n
    while k > 0 and ring[i, order[i, k - 1]] > x:
        order[i, k] = order[i, k - 1]
        k -= 1
    order[i, k] = place
    ring[i, place] = x


@njit(nogil=True, cache=True)
def _add(
    series: Any,
    time: Any,
    value: Any,
    suspect: Any,
    handed: Any,
    head: Any,
    ring: Any,
    order: Any,
    score: Any,
    times: Any,
) -> None:
    for row in range(len(series)):
        i, t, x = series[row], time[row], value[row]
        h = head[i]
        n = min(h.count, RING)
        s, deviation = 0.0, 0.0
        if n >= LEAST:
            q1, level = _quantile(ring, order, i, n, 0.25), _quantile(ring, order, i, n, 0.5)
            q3 = _quantile(ring, order, i, n, 0.75)
            share = RELATIVE
            if n < FEW:
                share = max(RELATIVE, float(h.lent_spread)) if h.lent_spread > 0 else RELATIVE_FEW
            scale = max((q3 - q1) / 1.349, share * abs(level), ABSOLUTE)
            deviation = abs(x - level) / scale
            c = deviation / h.own
            s = min(CAP, 2.0 * c if c < 1.0 else 2.0 + math.log2(c))
            if h.changes < CHANGES:
                s = min(s, CONSTANT_CAP)
            if x < level:
                s = -s
            h.expected, h.spread = level, scale * h.own
            h.widest = max(h.widest, deviation)
        h.value = x
        last = times[i, HISTORY - 1]
        if last >= 0 and t > last:
            gap = float(t - last)
            h.cadence += 0.2 * (min(gap, 5.0 * h.cadence) - h.cadence)
        for k in range(HISTORY - 1):
            score[i, k], times[i, k] = score[i, k + 1], times[i, k + 1]
        score[i, HISTORY - 1], times[i, HISTORY - 1] = s, t
        if abs(s) <= 2.0:
            h.deviates = -1
        elif h.deviates < 0:
            h.deviates = t
        if t - h.learned >= LEARN_EVERY or h.learned < 0:
            if n >= LEAST:
                # One absurd value must not become the measure of all later ones.
                handed[row] = min(h.widest, WIDEST * h.own)
                h.widest = 0.0
            h.learned = t
            if not (suspect[row] and abs(s) > 2.0):
                if n > 0 and ring[i, (h.count - 1) % RING] != x:
                    h.changes = min(h.changes + 1, CHANGES)
                _learn(i, x, ring, order, h.count)
                h.count += 1


@njit(nogil=True, cache=True)
def _whole(half: Any) -> Any:
    """The float of which this is the upper half."""
    exponent, mantissa = int(half) >> 7, int(half) & 127
    return math.ldexp(128.0 + mantissa, exponent - 134) if exponent > 0 else 0.0


@njit(nogil=True, cache=True)
def _with(top: Any, x: Any) -> Any:
    """Three greatest, packed in one word in descending order, with one more value."""
    a, b, c = top >> 32, (top >> 16) & 0xFFFF, top & 0xFFFF
    if x > a:
        a, b, c = x, a, b
    elif x > b:
        b, c = x, b
    elif x > c:
        c = x
    return (a << 32) | (b << 16) | c


@njit(nogil=True, cache=True)
def _admit(series: Any, deviation: Any, head: Any, tail: Any) -> None:
    for row in range(len(series)):
        i = series[row]
        h = head[i]
        place, x, top = h.tails % TAIL, np.int64(deviation[row]), h.top
        gone = np.int64(tail[i, place])
        tail[i, place] = x
        h.tails += 1
        n = min(h.tails, TAIL)
        if gone >= top & 0xFFFF and h.tails > TAIL:
            top = np.int64(0)
            for k in range(n):
                top = _with(top, np.int64(tail[i, k]))
        else:
            top = _with(top, x)
        h.top = top
        rank = n - math.ceil(0.99 * n)  # how many are greater than the 99th percentile: 0, 1 or 2
        own = max(OWN_FLOOR, _whole((top >> (16 * (2 - rank))) & 0xFFFF))
        h.own = max(own, float(h.lent_own)) if n < FEW_TAILS else own


@njit(nogil=True, cache=True)
def _evidence(now: Any, out: Any, head: Any, score: Any, times: Any) -> None:
    for i in range(len(out)):
        last, cadence = times[i, HISTORY - 1], head[i].cadence
        if last < 0 or now - last > 40e9 + cadence:
            continue
        newest, deviates = score[i, HISTORY - 1], head[i].deviates
        if newest == 0.0 or (deviates >= 0 and now - deviates > OLD):
            continue
        least, enough = abs(newest), False
        k = HISTORY - 2
        while k >= 0 and times[i, k] >= 0:
            if times[i, k + 1] - times[i, k] > 3.3 * cadence or score[i, k] * newest <= 0.0:
                break
            least = min(least, abs(score[i, k]))
            if last - times[i, k] >= PERSIST:
                enough = True
                break
            k -= 1
        if enough:
            out[i] = least if newest > 0 else -least
