"""A bank of series: grows, is fed columns, answers columns, and is written and read as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.bank import columns as c
from aiops.bank import kernel, tail
from aiops.bank.layout import BYTES, FIELDS, Rows, allocate
from aiops.detect.retention import Kept

LEARNED = 306  # points after which every term but the time of day has a tail of its own
LENT = 30  # points that a borrowed scale counts as
LENT_TAIL = 200  # points that a borrowed tail counts as
ORDINARY = 80  # points as which a person's "that is ordinary" counts
KINDS = ("ordinary", "new trend")
ROOM = 1.5  # factor by which arrays grow: doubling would cost a machine's memory at a million series

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Scores:
    """What a bank says about a batch, one entry a point; NaN, no term and no alert where the value is not finite.

    Attributes
    ----------
    score : float64[k]
        -log10 of the share of ordinary points with as much evidence, by one fixed curve for all series.
    evidence : float64[k]
        Weighted sum of what the terms are beyond one decade.
    term : int8[k]
        The term that spoke most, index into ``c.TERMS``; -1 where none spoke.
    alert : bool[k]
        May this point alert (once a disturbance)?  No threshold is in it.
    expected, lower, upper : float64[k]
        What was expected, and the bounds of what is usual around it, in units of the value.  NaN at a series' first point.
    detail : float64[k, 2, terms], or [0, 2, terms] where it was not asked for
        Surprise of each term in decades, and how far it is believed.
    """

    score: F64
    evidence: F64
    term: NDArray[np.int8]
    alert: NDArray[np.bool_]
    expected: F64
    lower: F64
    upper: F64
    detail: F64


class Bank:
    """State of all series, as arrays by row.

    Saved by `state`, or by `changed` as far as it changed since; `restore` takes either.  All that the future depends
    on is in them.
    """

    def __init__(self) -> None:
        self.size = 0
        self._rows = allocate(0)
        self._touched: NDArray[np.bool_] = np.zeros(0, bool)
        self._whole = True

    @property
    def bytes(self) -> int:
        """Bytes of the rows in use."""
        return self.size * BYTES

    def grow(self, more: int, prior: I64 | None = None) -> None:
        """Add `more` series, as the rows from `size` on.

        Parameters
        ----------
        more : int
        prior : int64[more], optional
            Row of a sibling whose scale is borrowed until the series has one of its own, -1 = none.
        """
        start, self.size = self.size, self.size + more
        room = len(self._touched)
        if self.size > room:
            room = self.size if room == 0 else max(self.size, int(ROOM * room))
            for name, array in self._rows._asdict().items():
                new = np.zeros((room, *array.shape[1:]), array.dtype)
                new[:start] = array[:start]
                self._rows = self._rows._replace(**{name: new})  # one at a time: two copies of all would be the peak
            touched = np.zeros(room, bool)
            touched[:start] = self._touched[:start]
            self._touched = touched
        self._touched[start : self.size] = True
        if prior is not None:
            _lend(self._rows, np.arange(start, self.size), np.asarray(prior, np.int64))

    def feed(self, rows: I64, time: I64, value: F64, *, detail: bool = False) -> Scores:
        """Score a batch, and learn it.

        Parameters
        ----------
        rows : int64[k]
            Row of each point's series; points of one series in the order of their event times.
        time : int64[k]
            Event time, Unix ns.
        value : float64[k]
        detail : bool
            Fill `Scores.detail` too.
        """
        rows, time = np.ascontiguousarray(rows, np.int64), np.ascontiguousarray(time, np.int64)
        value = np.ascontiguousarray(value, np.float64)
        k = len(rows)
        numbers, term, alert = np.empty((k, 5)), np.empty(k, np.int8), np.empty(k, np.bool_)
        details = np.empty((k if detail else 0, 2, len(c.TERMS)))
        score, evidence, expected, lower, upper = numbers.T
        out = Scores(score, evidence, term, alert, expected, lower, upper, details)
        if not k:
            return out
        self._touched[rows] = True
        if k == 1 or bool((rows[1:] >= rows[:-1]).all()):
            order = np.arange(k)
        else:
            # Points are gathered outside of the fused loop: inside it each cache miss would wait alone.
            order = kernel.by_series(rows, self.size) if self.size < 8 * k else np.argsort(rows, kind="stable")
            rows, time, value = rows[order], time[order], value[order]
        kernel.run(self._rows, rows, time, value, order, numbers, term, alert, details)
        return out

    def learning(self, rows: I64) -> F64:
        """Share that has been learned of what judges each of these rows, 0..1; below 1 say "learning"."""
        integer = self._rows.integer[np.asarray(rows, np.int64)]
        share: F64 = np.minimum((integer[:, c.POINTS] + integer[:, c.BORROWED]) / LEARNED, 1.0)
        return share

    def learn(self, row: int, kind: str) -> None:
        """Take in a person's word about the newest point of a row.

        Parameters
        ----------
        row : int
        kind : str
            "ordinary": a point like that is no news.  "new trend": what is seen now is the level from now on.
        """
        if kind not in KINDS:
            raise ValueError(f"feedback {kind!r} is none of {', '.join(KINDS)}")
        self._touched[row] = True
        (_ordinary if kind == "ordinary" else _new_trend)(self._rows, row)

    # ---- rows that go, snapshots --------------------------------------------------------------------------------------------
    def keep(self, kept: Kept) -> None:
        """Only these rows stay, and have their new codes from now on."""
        if kept.all:
            return
        for name, array in self._rows._asdict().items():
            self._rows = self._rows._replace(**{name: array[: self.size][kept.rows]})
        self.size = len(kept.rows)
        self._touched = np.ones(self.size, bool)
        self._whole = True

    def state(self) -> dict[str, Any]:
        """Rows in use, for a snapshot: views, to be written before the next `feed`; marks them as saved."""
        self._touched[: self.size] = False
        self._whole = False
        return {"size": self.size, **{name: array[: self.size] for name, array in self._rows._asdict().items()}}

    def changed(self) -> dict[str, Any]:
        """The rows that changed since the last `state` or `changed`, with their codes as `rows`; all after a `keep`."""
        if self._whole:
            return self.state()
        rows = np.flatnonzero(self._touched[: self.size])
        self._touched[: self.size] = False
        arrays = {name: array[rows] for name, array in self._rows._asdict().items()}
        return {"size": self.size, "rows": rows, **arrays}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned, or what `changed` returned on top of it."""
        if "rows" in state:
            rows = state["rows"]
            if state["size"] > self.size:
                self.grow(state["size"] - self.size)
            for name in FIELDS:
                getattr(self._rows, name)[rows] = state[name]
        else:
            self.size = state["size"]
            self._rows = Rows(**{name: np.require(state[name], requirements=["C", "W"]) for name in FIELDS})
            self._touched = np.zeros(self.size, bool)
        self._touched[: self.size] = False
        self._whole = False


@njit(nogil=True, cache=True, error_model="numpy")
def _lend(s: Any, rows: Any, prior: Any) -> None:
    for i in range(len(rows)):
        r, p = rows[i], prior[i]
        if p < 0 or s.integer[p, c.POINTS] < LENT:
            continue
        s.integer[r, c.BORROWED] = LENT
        s.origin[r, 1] = s.origin[p, 1]
        for column in (c.SPREAD, c.MEAN_WIDE, c.MEAN_LONG, c.MEAN_SHORT):
            s.number[r, column] = s.number[p, column]
        for t in range(c.CALIBRATED):
            share = min(1.0, LENT_TAIL * tail.ONE / max(int(s.tail_place[p, t, tail.TOTAL]), 1))
            s.tail_place[r, t, tail.PLACE] = s.tail_place[p, t, tail.PLACE]
            for b in range(tail.BINS):
                tail.count(s.tail, s.tail_place, r, t, b, int(s.tail[p, t, b] * share))


@njit(nogil=True, cache=True, error_model="numpy")
def _ordinary(s: Any, r: Any) -> None:
    for t in range(c.CALIBRATED):
        if s.tail_place[r, t, tail.TOTAL]:
            tail.count(s.tail, s.tail_place, r, t, int(s.tail_bin[r, t]), ORDINARY * tail.ONE)


@njit(nogil=True, cache=True, error_model="numpy")
def _new_trend(s: Any, r: Any) -> None:
    n = s.integer[r, c.POINTS]
    if n == 0:
        return
    y = s.ring[r, 0, (n - 1) & 31]
    for column in (
        c.LEVEL,
        c.MIDDLE,
        c.SLOW_MEAN,
        c.FAST_MEAN,
        c.TREND_LEVEL,
        c.LOW,
        c.HIGH,
        c.LOW_BEFORE,
        c.HIGH_BEFORE,
    ):
        s.number[r, column] = y
    for k in range(s.slot.shape[1]):
        if s.slot_visits[r, k]:
            s.slot[r, k, 0] += s.number[r, c.BIAS]
    s.number[r, c.BIAS] = 0
