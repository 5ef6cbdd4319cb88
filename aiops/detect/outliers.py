"""Values of instances that do the same -> the instance that differs from its siblings, by the history of its differing.

A pod that is slow or hot while the others are not differs from their median; whether that is news depends on how much it used to
differ, because no two pods are alike.  So the difference, in spreads of the siblings, is a series of its own, and is judged as
any other by ``levels``: what lasts for 50 s and is far beyond its own past.  What moves all instances together is no difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.detect.levels import Levels
from aiops.detect.retention import Kept
from aiops.detect.suspicion import Suspicion

if TYPE_CHECKING:
    from aiops.detect.metric_values import Values
    from aiops.detect.siblings import Groups

SIBLINGS = 4  # instances with a value in the same window: an odd one and three that agree
FLOOR = 0.05  # of the spread of siblings, as a share of their median
DIFFERS = 4.0  # spreads from the median, below which nobody would call it an outlier
FURTHEST = 1e9  # spreads: what is further is as far
MAX_OUTLIERS = 100_000  # signals of a partition that are compared; those beyond it are counted and not compared

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


class Outliers:
    """Differences of the levels of a partition.

    Attributes
    ----------
    ignored : int
        Signals that were to be compared and found no room, since the process began.
    """

    def __init__(self, suspicion: Suspicion) -> None:
        self.ignored = 0
        self._suspicion = suspicion
        self.differences = Levels(suspicion)
        self._code: I64 = np.empty(0, np.int64)  # row of each level, -1 = it has no siblings
        self._signal: I64 = np.empty(0, np.int64)  # by row
        self.middle: F64 = np.empty(0)  # median and spread of the siblings, by row
        self.spread: F64 = np.empty(0)
        self.siblings: I64 = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self._signal)

    @property
    def signal(self) -> I64:
        """Signal of every row: int64, shape (len,)."""
        return self._signal

    def grow(self, levels: int) -> None:
        """There are so many levels now."""
        self._code = np.concatenate([self._code, np.full(levels - len(self._code), -1)])

    def add(self, values: Values, compared: NDArray[np.bool_], peers: Groups, owners: NDArray[np.int32]) -> None:
        """Take in the values of a window.

        Parameters
        ----------
        compared : bool array
            Which levels are worth it.
        owners : int32 array
            Subject of each level.
        """
        some = np.flatnonzero(compared[values.level])
        if len(some) < SIBLINGS:
            return
        level, value = values.level[some], values.value[some]
        group = peers.code[level]
        order = np.argsort(group, kind="stable")
        z, middle, spread, count = (np.zeros(len(some)) for _ in range(4))
        _compare(order, group, value, z, middle, spread, count)
        there = np.flatnonzero(count >= SIBLINGS)
        level, time = level[there], values.time[some[there]]
        self._learn(level[self._code[level] < 0], owners)
        row = self._code[level]
        known = np.flatnonzero(row >= 0)
        row, there = row[known], there[known]
        self.middle[row], self.spread[row], self.siblings[row] = middle[there], spread[there], count[there] - 1
        self.differences.add(row, time[known], z[there])

    def _learn(self, level: I64, owners: NDArray[np.int32]) -> None:
        room = MAX_OUTLIERS - len(self)
        if len(level) > room:
            self.ignored += len(level) - room
            level = level[:room]
        if len(level):
            self._code[level] = np.arange(len(self), len(self) + len(level))
            self._signal = np.concatenate([self._signal, level])
            more = np.zeros(len(level))
            self.middle, self.spread = np.concatenate([self.middle, more]), np.concatenate([self.spread, more])
            self.siblings = np.concatenate([self.siblings, more.astype(np.int64)])
            self.differences.grow(owners[level].tolist())

    def evidence(self, now: int) -> F64:
        """Signed score of every row at event time `now` (Unix ns), 0 where the difference itself is small."""
        score = self.differences.evidence(now)
        far = np.abs(self.differences.head["value"][: len(self)]) >= DIFFERS
        return np.where(far, score, 0.0)

    def keep(self, levels: Kept, subjects: Kept) -> None:
        """Only these levels stay."""
        stays = Kept(levels.code[self._signal] >= 0)
        self.differences.keep(stays, subjects)
        self._signal = levels.code[self._signal[stays.rows]]
        self._code = np.full(len(levels.rows), -1)
        self._code[self._signal] = np.arange(len(self._signal))
        rows = stays.rows
        self.middle, self.spread, self.siblings = self.middle[rows], self.spread[rows], self.siblings[rows]

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {
            "differences": self.differences.state(), "level": self._signal, "middle": self.middle, "spread": self.spread,
            "siblings": self.siblings,
        }  # fmt: skip

    def restore(self, state: dict[str, Any], levels: int) -> None:
        """Take over the state of a snapshot, in which there were so many levels."""
        self.differences.restore(state["differences"])
        self._signal, self.middle, self.spread = state["level"], state["middle"], state["spread"]
        self.siblings = state["siblings"]
        self._code = np.full(levels, -1)
        self._code[self._signal] = np.arange(len(self._signal))


@njit(nogil=True, cache=True)
def _compare(order: Any, group: Any, value: Any, z: Any, middle: Any, spread: Any, count: Any) -> None:
    """Difference of each value from the median of its group, in spreads of the group; `order` puts groups together."""
    n, start = len(order), 0
    while start < n:
        end = start + 1
        while end < n and group[order[end]] == group[order[start]]:
            end += 1
        if end - start >= SIBLINGS:
            some = np.empty(end - start)
            for k in range(start, end):
                some[k - start] = value[order[k]]
            center = np.median(some)
            for k in range(end - start):
                some[k] = abs(some[k] - center)
            wide = max(1.4826 * np.median(some), FLOOR * abs(center), 1e-9)
            if np.isfinite(wide):
                for k in range(start, end):
                    i = order[k]
                    z[i] = min(max((value[i] - center) / wide, -FURTHEST), FURTHEST)
                    middle[i], spread[i], count[i] = center, wide, end - start
        start = end
