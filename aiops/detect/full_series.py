"""Signals that matter, within a budget -> what the metric bank says of them; all others are judged by their levels alone.

A signal is full where a rule asks for it, where it is golden (requests, failures, latency, saturation), or where it has moved
while its service was suspect.  Rows of the bank are given in the order in which windows are processed, within a window in the
order of the identities of series: neither batches nor the order of arrival decide.  Golden signals may take ``GOLDEN`` of the
budget, so that there is room for what incidents show to matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aiops.bank import TERMS, Bank
from aiops.detect.metric_kinds import words
from aiops.detect.retention import Kept
from aiops.detect.tails import CAP
from aiops.detect.values import LEVEL, RATE

if TYPE_CHECKING:
    from aiops.detect.metric_values import Values
    from aiops.detect.policy import Watched
    from aiops.detect.siblings import Groups

GOLDEN = 0.75  # of the budget, for signals that are full by their kind alone
SPEAKS = 1 / 3  # share that the bank must have learned before it opens anything: 102 points
RISING = 2.0  # score beyond which a deviation has begun
SILENT = 40e9  # ns beyond its usual interval after which a signal says nothing any more
_TRAFFIC = frozenset({"request", "requests", "calls", "queries", "commands", "commits", "messages", "transactions"})

NEWEST = np.dtype(
    [
        ("time", np.int64),  # Unix ns, -1 = no point yet
        ("since", np.int64),  # when the scores rose, -1 = they are low
        ("value", np.float64),
        ("expected", np.float64),
        ("lower", np.float64),
        ("upper", np.float64),
        ("term", np.int64),
    ]
)

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


def golden(name: str, watched: Watched, facet: int) -> bool:
    """Is it a signal that people look at first?"""
    if watched.kind in ("ratio", "latency", "utilisation"):
        return True
    return watched.kind == "count" and facet in (LEVEL, RATE) and bool(words(name) & _TRAFFIC)


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
        self.score: F64 = np.empty(0)
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
        new = np.zeros(len(signals), NEWEST)
        new["time"] = new["since"] = -1
        self.newest = np.concatenate([self.newest, new])
        self.score = np.concatenate([self.score, np.zeros(len(signals))])

    def _lenders(self, kin: Groups, identity: NDArray[np.uint64]) -> dict[int, int]:
        """Of each group the row that has learned most."""
        known = self.bank.learning(np.arange(len(self)))
        order = np.lexsort((identity[self._signal], -known))[::-1]
        return dict(zip(kin.code[self._signal[order]].tolist(), order.tolist(), strict=True))

    def add(self, values: Values) -> None:
        """Take in the values of a window; those of light signals are passed over."""
        row = self._row[values.level]
        full = np.flatnonzero(row >= 0)
        if not len(full):
            return
        row, time, value = row[full], values.time[full], values.value[full]
        out = self.bank.feed(row, time, value)
        self.score[row] = np.minimum(np.nan_to_num(out.score), CAP)
        newest = self.newest
        rising = self.score[row] >= RISING
        since = newest["since"][row]
        newest["since"][row] = np.where(rising, np.where(since < 0, time, since), -1)
        newest["time"][row], newest["value"][row], newest["term"][row] = time, value, out.term
        newest["expected"][row], newest["lower"][row], newest["upper"][row] = out.expected, out.lower, out.upper

    def evidence(self, now: int, cadence: F64) -> F64:
        """Score of every row at event time `now` (Unix ns), 0 where it has fallen silent; `cadence` (ns) is by level."""
        out = self.score
        fresh = now - self.newest["time"] <= SILENT + cadence[self._signal]
        return np.where(fresh, out, 0.0)

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
