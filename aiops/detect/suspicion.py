"""Which subjects (services, edges) are suspect, and since when: what they say is learned with care.

A subject is suspect from ``BEFORE`` its first evidence.  If the evidence fades before it has lasted ``SERIOUS``, nothing was
the matter and the suspicion is dropped as a whole; else it ends when the subject has been quiet for ``QUIET``, or after
``LONGEST``: what has lasted so long is the new normal.  A subject is judged by itself alone, so partitions do not matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.detect.retention import Kept
from aiops.signals import SECOND

ACTIVE = 3.0  # strength of evidence from which a subject is suspect
CALM = 1.0  # below it an unconfirmed suspicion is dropped
CLOSE = 2.5  # below it a confirmed one is quiet
BEFORE = 20 * SECOND
SERIOUS = 30 * SECOND
QUIET = 60 * SECOND
LONGEST = 900 * SECOND
_NEVER = np.iinfo(np.int64).max

I64 = NDArray[np.int64]


class Suspicion:
    """State of all subjects of one partition, int64 Unix ns by subject code."""

    _FIELDS = ("since", "was_from", "was_until", "active", "quiet")

    def __init__(self) -> None:
        self.size = 0
        self.since: I64 = np.full(64, _NEVER)  # suspect from here on; _NEVER = not suspect
        self.was_from: I64 = np.full(64, _NEVER)  # the last suspicion that ended
        self.was_until: I64 = np.full(64, -1)
        self.active: I64 = np.full(64, -1)  # when evidence became active, -1 = it is not
        self.quiet: I64 = np.full(64, -1)  # quiet since, -1 = it is not

    def grow(self, n: int) -> None:
        """Add `n` subjects."""
        self.size += n
        if self.size > len(self.since):
            for name in self._FIELDS:
                old = getattr(self, name)
                new = np.full(2 * self.size, self._empty(name))
                new[: len(old)] = old
                setattr(self, name, new)

    def keep(self, subjects: Kept) -> None:
        """Only these stay."""
        for name in self._FIELDS:
            old = getattr(self, name)[: self.size]
            new = np.full(max(64, len(subjects.rows)), self._empty(name))
            new[: len(subjects.rows)] = old[subjects.rows]
            setattr(self, name, new)
        self.size = len(subjects.rows)

    @staticmethod
    def _empty(field: str) -> int:
        return -1 if field in ("was_until", "active", "quiet") else _NEVER

    def intervals(self) -> tuple[I64, I64, I64]:
        """Suspect are times >= since, and times in [was_from, was_until)."""
        return self.since, self.was_from, self.was_until

    def at(self, time: int) -> NDArray[np.bool_]:
        """Which subjects are suspect for what they said at `time`: bool, shape (size,)."""
        n = self.size
        out: NDArray[np.bool_] = (time >= self.since[:n]) | ((self.was_from[:n] <= time) & (time < self.was_until[:n]))
        return out

    def advance(self, now: int, strength: NDArray[np.float64]) -> None:
        """Strength of evidence of every subject at event time `now`: float64, shape (size,)."""
        _advance(now, strength, self.since, self.was_from, self.was_until, self.active, self.quiet)

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {"size": self.size, **{name: getattr(self, name)[: self.size] for name in self._FIELDS}}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self.__init__()  # type: ignore[misc]
        self.grow(state["size"])
        for name in self._FIELDS:
            getattr(self, name)[: self.size] = state[name]


@njit(nogil=True, cache=True)
def _advance(now: Any, strength: Any, since: Any, was_from: Any, was_until: Any, active: Any, quiet: Any) -> None:
    for s in range(len(strength)):
        x = strength[s]
        if active[s] < 0:
            if x >= ACTIVE:
                active[s], quiet[s] = now, -1
                since[s] = now - BEFORE
            continue
        if x < CALM and now - active[s] < SERIOUS:  # it was nothing
            active[s], since[s] = -1, _NEVER
            continue
        if x >= CLOSE:
            quiet[s] = -1
        elif quiet[s] < 0:
            quiet[s] = now
        if (quiet[s] >= 0 and now - quiet[s] >= QUIET) or now - active[s] >= LONGEST:
            was_from[s], was_until[s] = since[s], now
            active[s], since[s] = -1, _NEVER
