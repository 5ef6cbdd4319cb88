"""Which rows of a table that grows with the data stay: the one rule by which all tables of detect are bounded in time.

Pods, deployments and names that hold data come and go for as long as the engine runs.  Every row of a table knows the window
in which it was last seen; once an hour of event time those go that have not been seen for the retention of their table.  A
table that is nearly full all the same gives up its oldest rows within a minute, but none that is still in use: what is learned
about the living is worth more than room for the new.

The rule knows event times and content alone: neither the order of arrival nor a restart changes what stays.  Rows that stay
keep their order, so that nothing is decided otherwise than before among them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from aiops.signals import SECOND

HOUR = 3600 * SECOND
EVERY = HOUR  # of event time: how often the retentions are applied
BRIEF = 6 * HOUR  # series, and with them instances: pods have new names after every deployment
LASTING = 26 * HOUR  # what a service's code decides: a daily job, even one that runs late, is not new every day
PLACES = 28 * HOUR  # environments: longer than their services, so that respond hears that these are gone
ALIVE = 600 * SECOND  # seen so lately, a row is in use
NEARLY_FULL, EASED = 7 / 8, 3 / 4  # share of a table's limit from which the oldest go, and down to which
LOOK_EVERY = (
    60 * SECOND
)  # of event time: so often what is nearly full is looked through; it costs a pass over all tables
WORTH = 1 / 32  # share of a limit below which nothing is gained by rebuilding a table

I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]
T = TypeVar("T")


class Kept:
    """The rows of a table that stay, and the codes that they have from now on.

    Attributes
    ----------
    rows : int64 array, ascending
        Old codes of those that stay; the place is the new code.
    code : int64 array
        New code by old code, -1 = gone.
    """

    __slots__ = ("code", "rows")

    def __init__(self, stays: Mask) -> None:
        self.rows: I64 = np.flatnonzero(stays)
        self.code: I64 = np.where(stays, np.cumsum(stays) - 1, -1)

    @property
    def all(self) -> bool:
        """Does every row stay?"""
        return len(self.rows) == len(self.code)

    @property
    def gone(self) -> int:
        """How many go."""
        return len(self.code) - len(self.rows)

    def of(self, values: list[T]) -> list[T]:
        """The values of the rows that stay."""
        return [values[row] for row in self.rows.tolist()]

    def renumbered(self, codes: Sequence[int] | NDArray[Any]) -> I64:
        """New codes of old ones, -1 where gone."""
        out: I64 = self.code[np.asarray(codes, np.int64)]
        return out


@dataclass(frozen=True, slots=True)
class Rule:
    """What stays in the window that starts at `now` (Unix ns); retentions are applied where it is the first of an hour."""

    now: int
    hourly: bool

    def stays(
        self, seen: Sequence[int] | I64, retention: int, limit: int, identity: Callable[[I64], Sequence[Any]]
    ) -> Mask:
        """Which rows of a table stay.

        Parameters
        ----------
        seen : n times, start of the window in which each row was last seen, Unix ns
        retention : int
            Rows that have not been seen for so long go, ns.
        limit : int
            Rows that the table may have.
        identity : callable, codes -> as many values
            Decides among the oldest rows where these are seen last in the same window: the least goes first.
        """
        last = np.asarray(seen, np.int64)
        stays = last >= self.now - retention if self.hourly else np.ones(len(last), bool)
        left = np.flatnonzero(stays)
        stays[self._surplus(last, left, limit, identity)] = False
        return stays

    def stays_in_each(
        self, seen: Sequence[int] | I64, group: I64, limit: int, identity: Callable[[I64], Sequence[Any]]
    ) -> Mask:
        """Which rows stay where `limit` is one of each group of rows (int64 codes by row); decided once an hour."""
        last, stays = np.asarray(seen, np.int64), np.ones(len(group), bool)
        if self.hourly and len(group):
            for crowded in np.flatnonzero(np.bincount(group) > NEARLY_FULL * limit).tolist():
                stays[self._surplus(last, np.flatnonzero(group == crowded), limit, identity)] = False
        return stays

    def _surplus(self, seen: I64, rows: I64, limit: int, identity: Callable[[I64], Sequence[Any]]) -> I64:
        """Rows of a nearly full table that give way: the oldest, of those that are not in use."""
        none = np.empty(0, np.int64)
        if not nearly_full(len(rows), limit):
            return none
        quota = len(rows) - int(EASED * limit)
        idle = rows[seen[rows] < self.now - ALIVE]
        if len(idle) < WORTH * limit:
            return none
        if len(idle) <= quota:
            return idle
        last = np.partition(seen[idle], quota - 1)[quota - 1]
        gone, tied = idle[seen[idle] < last], idle[seen[idle] == last]
        names = identity(tied)
        order = sorted(range(len(tied)), key=lambda k: names[k])
        return np.concatenate([gone, tied[order[: quota - len(gone)]]])


def nearly_full(rows: int, limit: int) -> bool:
    """Has a table so many rows that it may give some up before the hour?"""
    return rows > NEARLY_FULL * limit


def refitted(array: NDArray[Any], kept: Kept, empty: Any) -> NDArray[Any]:
    """The rows of an array that stay, and `empty` where there is room for more, as in a table that has only grown."""
    out = np.full((max(64, len(kept.rows)), *array.shape[1:]), empty, array.dtype)
    out[: len(kept.rows)] = array[kept.rows]
    return out
