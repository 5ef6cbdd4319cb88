"""Signals that matter, within a budget -> what the metric bank says of them; all others are judged by their levels alone.

A signal is full where a rule asks for it, where it is golden (requests, failures, latency, saturation), or where it has moved
while its service was suspect.  Rows of the bank are given in the order in which windows are processed, within a window in the
order of the identities of series: neither batches nor the order of arrival decide.  Golden signals may take ``GOLDEN`` of the
budget, so that there is room for what incidents show to matter.

The bank tells a strange point, the level a lasting one: what opens an anomaly is both.  On a recorded day and on simulated ones
single points of the bank opened 4 to 10 times as often where nothing was wrong, and levels alone told fewer faults
(``docs/detection.md``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.bank import TERMS, Bank
from aiops.detect.levels import HISTORY, PERSIST
from aiops.detect.retention import Kept
from aiops.detect.tails import CAP

if TYPE_CHECKING:
    from aiops.detect.levels import Levels
    from aiops.detect.metric_values import Values
    from aiops.detect.siblings import Groups

GOLDEN = 0.75  # of the budget, for signals that are full by their kind alone
SPEAKS = 1 / 3  # share that the bank must have learned before it opens anything: 102 points
OFF = 2.0  # score of the level beyond which a point is off it
ALONE = 1.0  # by which the bank must be surer where a single point is all there is: a decade
SILENT = 40e9  # ns beyond its usual interval after which a signal says nothing any more

NEWEST = np.dtype(
    [
        ("value", np.float64),
        ("expected", np.float64),  # and bounds: of the point at which the level was left, until it is back
        ("lower", np.float64),
        ("upper", np.float64),
        ("term", np.int64),  # of the strangest of the newest points
    ]
)

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


class FullSeries:
    """Rows of the bank, and the signals to which they belong.

    Parameters
    ----------
    limit : int
        Most signals that are full.

    Attributes
    ----------
    refused : int
        Signals that were to be full and found no room, since the process began.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.refused = 0
        self.bank = Bank()
        self.newest: NDArray[np.void] = np.empty(0, NEWEST)
        self.score: F64 = np.empty((0, HISTORY))  # newest last, as in ``Levels``
        self._row: I64 = np.empty(0, np.int64)  # by level, -1 = it is light
        self._signal: I64 = np.empty(0, np.int64)  # by row

    def __len__(self) -> int:
        return len(self._signal)

    @property
    def signal(self) -> I64:
        """Signal of every row: int64, shape (len,)."""
        return self._signal

    def rows(self, signals: I64) -> I64:
        """Row of each of these signals, -1 where it is light."""
        return self._row[signals]

    def grow(self, signals: int) -> None:
        """There are so many signals now; new ones are light."""
        self._row = np.concatenate([self._row, np.full(signals - len(self._row), -1)])

    def promote(self, signals: I64, kin: Groups, identity: NDArray[np.uint64], share: float = 1.0) -> None:
        """Give these signals rows of the bank, in this order, as long as no more than `share` of the budget is taken.

        Parameters
        ----------
        kin : Groups
            Of them scales are lent, by the one that knows most.
        identity : uint64 array
            Of the series of every level: decides between kin that know as much.
        """
        signals = signals[self._row[signals] < 0]
        room = max(0, int(share * self.limit) - len(self))
        if len(signals) > room:
            self.refused += len(signals) - room
            signals = signals[:room]
        if not len(signals):
            return
        lenders = self._lenders(kin, identity)
        code = kin.code[signals]
        self.bank.grow(len(signals), np.array([lenders.get(group, -1) for group in code.tolist()], np.int64))
        self._row[signals] = np.arange(len(self), len(self) + len(signals))
        self._signal = np.concatenate([self._signal, signals])
        self.newest = np.concatenate([self.newest, np.zeros(len(signals), NEWEST)])
        self.score = np.concatenate([self.score, np.zeros((len(signals), HISTORY))])

    def _lenders(self, kin: Groups, identity: NDArray[np.uint64]) -> dict[int, int]:
        """Of each group the row that has learned most."""
        known = self.bank.learning(np.arange(len(self)))
        order = np.lexsort((identity[self._signal], -known))[::-1]
        return dict(zip(kin.code[self._signal[order]].tolist(), order.tolist(), strict=True))

    def add(self, values: Values, head: NDArray[np.void]) -> None:
        """Take in the values of a window, after the levels have (`head` is theirs); those of light signals are passed over."""
        row = self._row[values.level]
        full = np.flatnonzero(row >= 0)
        if not len(full):
            return
        row, time, signal = row[full], values.time[full], values.level[full]
        out = self.bank.feed(row, time, values.value[full])
        score = np.minimum(np.nan_to_num(out.score), CAP)
        self.score[row, :-1] = self.score[row, 1:]
        self.score[row, -1] = score
        newest, since = self.newest, head["deviates"][signal]
        newest["value"][row] = values.value[full]
        lasting = (since >= 0) & (since < time)
        stranger = ~lasting | (score >= self.score[row].max(1))
        newest["term"][row[stranger]] = out.term[stranger]
        left = row[~lasting]
        for name, column in (("expected", out.expected), ("lower", out.lower), ("upper", out.upper)):
            newest[name][left] = column[~lasting]

    def evidence(self, now: int, levels: Levels) -> F64:
        """Signed score of every row at event time `now` (Unix ns): the strangest of its newest points, if all are off the level.

        They must last as long as deviations from a level must, where a point stands for the interval before it; a signal that
        comes once a minute may speak with one point, but must be ``ALONE`` surer.
        """
        out = np.zeros(len(self))
        _evidence(now, out, self._signal, self.score, levels.head, levels.score, levels.time)
        return out

    def learned(self) -> F64:
        """Share of what the bank needs to know of each row, 0 .. 1."""
        return self.bank.learning(np.arange(len(self)))

    def keep(self, signals: Kept) -> None:
        """Only these signals stay; those of them that are full stay full."""
        stays = Kept(signals.code[self._signal] >= 0)
        self._row = np.full(len(signals.rows), -1)
        self._signal = signals.code[self._signal[stays.rows]]
        self._row[self._signal] = np.arange(len(self._signal))
        self.bank.keep(stays)
        self.newest, self.score = self.newest[stays.rows], self.score[stays.rows]

    def drop(self, light: NDArray[np.bool_]) -> None:
        """Levels (bool by level) that shall be light from now on, and what is beyond the budget."""
        stays = ~light[self._signal]
        stays &= np.cumsum(stays) <= self.limit
        signals = self._signal
        kept = Kept(stays)
        self._signal = signals[kept.rows]
        self._row[:] = -1
        self._row[self._signal] = np.arange(len(self._signal))
        self.bank.keep(kept)
        self.newest, self.score = self.newest[kept.rows], self.score[kept.rows]

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {"bank": self.bank.state(), "newest": self.newest, "score": self.score, "level": self._signal}

    def restore(self, state: dict[str, Any], signals: int) -> None:
        """Take over the state of a snapshot, in which there were so many signals."""
        self.bank.restore(state["bank"])
        self.newest, self.score, self._signal = state["newest"], state["score"], state["level"]
        self._row = np.full(signals, -1)
        self._row[self._signal] = np.arange(len(self._signal))


def spoke(term: int) -> str:
    """What a term of the bank found, in words."""
    return TERMS[term] if term >= 0 else "several small deviations at once"


@njit(nogil=True, cache=True)
def _evidence(now: Any, out: Any, signal: Any, score: Any, head: Any, level: Any, times: Any) -> None:
    for row in range(len(out)):
        i = signal[row]
        last, cadence, newest = times[i, HISTORY - 1], head[i].cadence, level[i, HISTORY - 1]
        if last < 0 or now - last > SILENT + cadence:
            continue
        best, k = 0.0, HISTORY - 1
        while k >= 0 and times[i, k] >= 0 and abs(level[i, k]) > OFF and level[i, k] * newest > 0.0:
            if k < HISTORY - 1 and times[i, k + 1] - times[i, k] > 3.3 * cadence:
                break
            best = max(best, score[row, k])
            if last - times[i, k] + cadence >= PERSIST:
                sure = best - ALONE if k == HISTORY - 1 else best
                out[row] = sure if newest > 0 else -sure
                break
            k -= 1
