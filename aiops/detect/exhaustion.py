"""Shares of a limit, value by value -> what grows so steadily that it will soon be full: memory that leaks, a disk that fills.

A level is told when it is far from where it used to be; a leak is at home for most of its way, and a process that has just begun
has no past to be far from.  What tells is the way: what is left after every collection, the least value of a minute, rises
minute by minute by about as much, and at that rate nothing is left within a quarter of an hour.  A saw that goes up and down
as a collector works has a least value that stays, and what fills up once, as a cache does, slows down.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.detect.retention import Kept
from aiops.signals import SECOND

if TYPE_CHECKING:
    from aiops.detect.metric_values import Values

FILLS = re.compile(r"memory|heap|filesystem|disk")  # words of metrics of what is not given back by itself
BLOCK, BLOCKS = 20 * SECOND, 12  # least values are kept of so long spans: four minutes
MINUTE = 3  # blocks
MINUTES = BLOCKS // MINUTE
HALF = 0.5  # share of the limit below which nothing is near its end
RISE = 0.02  # least rise a minute, as a share of the limit
STEADY = 0.6  # share of the mean rise that every minute must have
SOON = 15.0  # minutes after which it would be full
SCORE = 5.5  # -log10 of one window in 300,000, as of instances that are lost: a claim of good conduct, not a count
MAX_ROWS = 100_000  # of a partition; beyond it new ones are counted and not watched

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


class Filling(NamedTuple):
    """A signal that grows: its least value in the first and the last of ``MINUTES`` minutes, and minutes until it is full."""

    signal: int
    first: float
    last: float
    left: float


class Exhaustion:
    """Of the signals of a partition that are a share of a limit.

    Attributes
    ----------
    ignored : int
        Signals for which there was no room, since the process began.
    """

    def __init__(self) -> None:
        self.ignored = 0
        self._code: I64 = np.empty(0, np.int64)  # row of each signal, -1 = it is not watched
        self._signal: I64 = np.empty(0, np.int64)  # by row
        self._newest: I64 = np.empty(0, np.int64)  # number of the newest block, -1 = none
        self._least: F64 = np.empty((0, BLOCKS))  # inf where a block has no value

    def __len__(self) -> int:
        return len(self._signal)

    def grow(self, watched: NDArray[np.bool_]) -> None:
        """Further signals, and which of them are to be watched."""
        first = len(self._code)
        new = first + np.flatnonzero(watched)
        room = MAX_ROWS - len(self)
        self.ignored += max(0, len(new) - room)
        new = new[: max(0, room)]
        self._code = np.concatenate([self._code, np.full(len(watched), -1)])
        self._code[new] = np.arange(len(self), len(self) + len(new))
        self._signal = np.concatenate([self._signal, new])
        self._newest = np.concatenate([self._newest, np.full(len(new), -1)])
        self._least = np.concatenate([self._least, np.full((len(new), BLOCKS), np.inf)])

    def add(self, values: Values) -> None:
        """Take in the values of a window; they are shares of a limit."""
        row = self._code[values.level]
        some = np.flatnonzero(row >= 0)
        _add(row[some], values.time[some] // BLOCK, values.value[some], self._newest, self._least)

    def evidence(self, now: int, whole: F64) -> list[Filling]:
        """What will soon be full at event time `now` (Unix ns); `whole` is what stands for all of each signal, 1 or 100."""
        found = _judge(now // BLOCK, self._newest, self._least, whole[self._signal])
        return [Filling(int(self._signal[int(row)]), *rest) for row, *rest in found.tolist()]

    def keep(self, signals: Kept) -> None:
        """Only these signals stay."""
        stays = signals.code[self._signal] >= 0
        self._signal = signals.code[self._signal[stays]]
        self._newest, self._least = self._newest[stays], self._least[stays]
        self._code = np.full(len(signals.rows), -1)
        self._code[self._signal] = np.arange(len(self._signal))

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {"signal": self._signal, "newest": self._newest, "least": self._least}

    def restore(self, state: dict[str, Any], signals: int) -> None:
        """Take over the state of a snapshot, in which there were so many signals."""
        self._signal, self._newest, self._least = state["signal"], state["newest"], state["least"]
        self._code = np.full(signals, -1)
        self._code[self._signal] = np.arange(len(self._signal))


@njit(nogil=True, cache=True)
def _add(row: Any, block: Any, value: Any, newest: Any, least: Any) -> None:
    for i in range(len(row)):
        r, later = row[i], block[i] - newest[row[i]]
        if newest[r] < 0 or later >= BLOCKS:
            least[r] = np.inf
            newest[r], later = block[i], 0
        elif later > 0:
            for k in range(BLOCKS):
                least[r, k] = least[r, k + later] if k + later < BLOCKS else np.inf
            newest[r] = block[i]
        at = BLOCKS - 1 + min(later, 0)
        if at >= 0:
            least[r, at] = min(least[r, at], value[i])


@njit(nogil=True, cache=True)
def _judge(block: Any, newest: Any, least: Any, whole: Any) -> Any:
    """Rows that will soon be full: row, first and last least value as shares of the whole, minutes left."""
    out, n = np.empty((len(newest), 4)), 0
    minute = np.empty(MINUTES)
    for r in range(len(newest)):
        if newest[r] < 0 or block - newest[r] > MINUTE:
            continue
        for m in range(MINUTES):
            minute[m] = np.inf
            for k in range(m * MINUTE, (m + 1) * MINUTE):
                minute[m] = min(minute[m], least[r, k] / whole[r])
        last = minute[MINUTES - 1]
        mean = (last - minute[0]) / (MINUTES - 1)
        if not HALF <= last <= 1.0 or not mean >= RISE or not (1.0 - last) / mean <= SOON:
            continue
        steady = True
        for m in range(1, MINUTES):
            steady = steady and minute[m] - minute[m - 1] >= STEADY * mean
        if steady:
            out[n, 0], out[n, 1], out[n, 2], out[n, 3] = r, minute[0], last, (1.0 - last) / mean
            n += 1
    return out[:n]
