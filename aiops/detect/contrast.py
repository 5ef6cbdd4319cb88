"""Counts in numbered cells: the last minutes against all that was normal before them.

A window enters the baseline ``ADMIT`` late; what its owner is suspect for by then enters at ``LEAK`` of its weight: a fault
hardly teaches its own normality, and a false alarm still fades.  Counts are whole numbers and each cell sums in the order of
the windows, so neither the numbering of cells nor the order of arrival matters.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.detect.retention import Kept
from aiops.detect.suspicion import Suspicion
from aiops.signals import SECOND

ADMIT = 180 * SECOND
LEAK = 0.1
DECAY = 0.9997  # of a baseline, per admitted window: six hours to half its weight where windows never cease
LENGTHS = (60 * SECOND, 120 * SECOND)  # how much recent data is contrasted

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


class Contrast:
    """A growing number of cells, each owned by one subject of `Suspicion`."""

    def __init__(self, suspicion: Suspicion) -> None:
        self.size = 0
        self._suspicion = suspicion
        self._base: F64 = np.zeros(256)
        self._owner: NDArray[np.int32] = np.zeros(256, np.int32)
        self._gain = 1.0
        self._recent: deque[tuple[int, I64, F64]] = deque()
        self._pending: deque[tuple[int, I64, F64, bool]] = deque()

    def grow(self, owners: NDArray[np.int32]) -> None:
        """Add cells; `owners` are their subjects."""
        size = self.size + len(owners)
        if size > len(self._base):
            self._base = _longer(self._base, 2 * size)
            self._owner = _longer(self._owner, 2 * size)
        self._owner[self.size : size] = owners
        self.size = size

    def keep(self, keys: Kept, width: int = 1, subjects: Kept | None = None) -> None:
        """Only the cells of these keys stay, `width` of each, and have the owners' new codes.

        What waits of a cell that goes is dropped, but its window stays: baselines fade by windows.
        """
        owner = self._owner[: self.size].reshape(-1, width)
        if subjects is not None and not subjects.all:
            owner = subjects.code[owner].astype(np.int32)
        elif keys.all:
            return
        self._owner = owner[keys.rows].reshape(-1)
        self._base = self._base[: self.size].reshape(-1, width)[keys.rows].reshape(-1)
        self.size = len(self._base)
        if not keys.all:
            for k, (start, cells, counts) in enumerate(self._recent):
                self._recent[k] = (start, *_renumbered(cells, counts, keys, width))
            for k, (start, cells, counts, live) in enumerate(self._pending):
                self._pending[k] = (start, *_renumbered(cells, counts, keys, width), live)

    def add(self, start: int, cells: I64, counts: F64, live: bool) -> None:
        """Counts of the window that starts at `start` (Unix ns); each cell at most once.

        `live`: is there anything of the signal in the window, in whatever partition?  Baselines fade by live windows: not
        while a signal is silent, and not by what happens to share a partition.
        """
        if len(cells):
            self._recent.append((start, cells, counts))
        if len(cells) or live:
            self._pending.append((start, cells, counts, live))

    def advance(self, now: int) -> None:
        """Event time is `now`: forget, and admit to the baseline."""
        while self._recent and self._recent[0][0] < now - max(LENGTHS):
            self._recent.popleft()
        while self._pending and self._pending[0][0] < now - ADMIT:
            start, cells, counts, live = self._pending.popleft()
            self._gain /= DECAY if live else 1.0  # newer data weigh more: cheaper than fading all that is old
            if self._gain > 1e12:
                self._base /= self._gain
                self._gain = 1.0
            self._base[cells] += counts * self._trust(start, cells) * self._gain

    def recent(self, now: int, length: int) -> F64:
        """Counts of the last `length` ns, at most the longest of ``LENGTHS``: float64, shape (size,)."""
        out = np.zeros(self.size)
        for start, cells, counts in reversed(self._recent):
            if start < now - length:
                break
            out[cells] += counts
        return out

    def split(self, now: int, length: int) -> tuple[F64, F64]:
        """Counts of the last `length` ns, and normal counts: the baseline, and what waits for it but is older than that.

        Returns
        -------
        recent, normal : float64 arrays, shape (size,)
        """
        recent, normal = self.recent(now, length), self._base[: self.size] / self._gain
        for start, cells, counts, _ in self._pending:
            if start < now - length:
                normal[cells] += counts * self._trust(start, cells)
        return recent, normal

    def _trust(self, start: int, cells: I64) -> F64:
        out: F64 = _trusted(self._owner, cells, *self._suspicion.intervals(), start)
        return out

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {
            "size": self.size, "base": self._base[: self.size], "owner": self._owner[: self.size], "gain": self._gain,
            "recent": list(self._recent), "pending": list(self._pending),
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self.size, self._base, self._owner = state["size"], state["base"], state["owner"]
        self._gain = state["gain"]
        self._recent = deque(tuple(w) for w in state["recent"])
        self._pending = deque(tuple(w) for w in state["pending"])


def _renumbered(cells: I64, counts: F64, keys: Kept, width: int) -> tuple[I64, F64]:
    new = keys.code[cells // width]
    stays = new >= 0
    return new[stays] * width + cells[stays] % width, counts[stays]


def _longer(array: NDArray[Any], size: int) -> NDArray[Any]:
    out = np.zeros(size, array.dtype)
    out[: len(array)] = array
    return out


@njit(nogil=True, cache=True)
def _trusted(owner: Any, cells: Any, since: Any, was_from: Any, was_until: Any, start: Any) -> Any:
    out = np.ones(len(cells))
    for i in range(len(cells)):
        s = owner[cells[i]]
        if start >= since[s] or was_from[s] <= start < was_until[s]:
            out[i] = LEAK
    return out
