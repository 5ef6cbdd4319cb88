"""Counts per key and time -> evidence that a rate surged or collapsed: lines of a template, visits of a service.

Exposure is counted in active windows, those in which the environment says anything of this kind at all: silence of everything
is a matter of collection and moves no rate.  Where the key's own past counts (``own``), a surge is one against the greatest
count that the key has shown within the last day as well: what bursts every night has said so before.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.detect.contrast import ADMIT, LENGTHS, Contrast
from aiops.detect.retention import LASTING, Kept, refitted
from aiops.detect.suspicion import Suspicion
from aiops.detect.tails import count_excess


class Rate(NamedTuple):
    """Key `key` came `times` times where `expected` was normal; `score` is negative for a collapse.

    ``most`` is the greatest count that its past has shown, where that counts; ``length`` is the time that was looked at, ns.
    """

    key: int
    score: float
    times: int
    expected: float
    most: float
    length: int


class Peaks:
    """The greatest count of every key over each of ``LENGTHS``, of this day and the last: what its own past calls usual.

    A count enters ``ADMIT`` late and only if its owner is not suspect for it by then, as in ``Contrast``.  A day is as long as
    a template is remembered, so a daily job is compared with yesterday's.
    """

    def __init__(self, suspicion: Suspicion) -> None:
        self._suspicion = suspicion
        self._day = -1
        self._size = 0
        # By key: of this day and of the last, for each length
        self._most: NDArray[np.float64] = np.zeros((64, 2, len(LENGTHS)))
        self._owner: NDArray[np.int64] = np.zeros(64, np.int64)
        self._waiting: deque[tuple[int, int, NDArray[np.int64], NDArray[np.float64]]] = deque()

    def grow(self, owners: list[int]) -> None:
        """Add keys; `owners` are their subjects."""
        size = self._size + len(owners)
        if size > len(self._most):
            self._most = np.concatenate([self._most, np.zeros((2 * size - len(self._most), *self._most.shape[1:]))])
            self._owner = np.concatenate([self._owner, np.zeros(len(self._most) - len(self._owner), np.int64)])
        self._owner[self._size : size] = owners
        self._size = size

    def keep(self, keys: Kept, subjects: Kept) -> None:
        """Only these keys stay."""
        owners = subjects.renumbered(self._owner[: self._size][keys.rows])
        self._most = refitted(self._most[: self._size], keys, 0.0)
        self._size = len(keys.rows)
        self._owner = np.zeros(len(self._most), np.int64)
        self._owner[: self._size] = owners
        for k, (time, length, cells, counts) in enumerate(self._waiting):
            new = keys.renumbered(cells)
            self._waiting[k] = (time, length, new[new >= 0], counts[new >= 0])

    def most(self, length: int) -> NDArray[np.float64]:
        """Greatest count of every key over the `length`-th of ``LENGTHS``: float64, shape (n keys,)."""
        out: NDArray[np.float64] = self._most[: self._size, :, length].max(1)
        return out

    def note(self, now: int, length: int, counts: NDArray[np.float64]) -> None:
        """Counts of every key over a length that ends at `now`; what is no new greatest is forgotten at once."""
        rows = np.flatnonzero(counts > self._most[: self._size, 0, length])
        if len(rows):
            self._waiting.append((now, length, rows, counts[rows]))

    def advance(self, now: int) -> None:
        """Event time is `now`: take in what was noted ``ADMIT`` ago."""
        if now // LASTING != self._day:
            self._day = now // LASTING
            self._most[:, 1], self._most[:, 0] = self._most[:, 0], 0.0
        while self._waiting and self._waiting[0][0] < now - ADMIT:
            time, length, keys, counts = self._waiting.popleft()
            calm = ~self._suspicion.at(time)[self._owner[keys]]
            keys, counts = keys[calm], counts[calm]
            self._most[keys, 0, length] = np.maximum(self._most[keys, 0, length], counts)

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {
            "day": self._day, "most": self._most[: self._size], "owner": self._owner[: self._size],
            "waiting": list(self._waiting),
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self._day, self._most, self._owner = state["day"], state["most"], state["owner"]
        self._size = len(self._most)
        self._waiting = deque(tuple(w) for w in state["waiting"])


class Rates:
    """One cell a key, and one cell a group for its exposure; groups are environments.

    Parameters
    ----------
    shape : float
        Over-dispersion of the counts (``count_excess``).
    least_exposure : float
        Baseline exposure before a rate is judged.
    own : bool
        Whether a surge must exceed what the key has shown before (``Peaks``).
    """

    def __init__(self, suspicion: Suspicion, shape: float, least_exposure: float, own: bool = False) -> None:
        self.shape, self.least_exposure = shape, least_exposure
        self._peaks = Peaks(suspicion) if own else None
        self.counts = Contrast(suspicion)
        self.exposure = Contrast(Suspicion())
        self._group: list[int] = []

    def grow(self, owners: list[int], groups: list[int]) -> None:
        """Add keys with their subjects and groups."""
        if owners:
            self.counts.grow(np.array(owners, np.int32))
            self._group.extend(groups)
            if self._peaks is not None:
                self._peaks.grow(owners)

    def add_group(self) -> None:
        """Add a group."""
        self.exposure.grow(np.zeros(1, np.int32))

    def keep(self, keys: Kept, groups: Kept, subjects: Kept) -> None:
        """Only these keys and groups stay."""
        self.counts.keep(keys, 1, subjects)
        self.exposure.keep(groups)
        self._group = groups.renumbered(keys.of(self._group)).tolist()
        if self._peaks is not None:
            self._peaks.keep(keys, subjects)

    def add(
        self,
        start: int,
        key: NDArray[np.int64],
        counts: NDArray[np.int64],
        group: NDArray[np.int64],
        weight: NDArray[np.float64],
        live: bool,
    ) -> None:
        """One window: counts of keys, each at most once, and the exposure of the active groups."""
        self.counts.add(start, key, counts.astype(np.float64), live)
        self.exposure.add(start, group, weight, live)

    def advance(self, now: int) -> None:
        """Event time is `now`."""
        self.counts.advance(now)
        self.exposure.advance(now)
        if self._peaks is not None:
            self._peaks.advance(now)

    def evidence(self, now: int, least: float) -> list[Rate]:
        """Keys whose rate is off by a score of `least` or more, the stronger of both lengths."""
        best: dict[int, Rate] = {}
        group = np.array(self._group, np.int64)
        most = np.zeros(self.counts.size)
        for which, length in enumerate(LENGTHS):
            recent, normal = self.counts.split(now, length)
            active, exposed = self.exposure.split(now, length)
            if self._peaks is not None:
                most = self._peaks.most(which)
                self._peaks.note(now, which, recent)
            out = _off(recent, normal, active[group], exposed[group], most, self.shape, self.least_exposure, least)
            for row in out.tolist():
                rate = Rate(int(row[0]), row[1], int(row[2]), row[3], row[4], length)
                if rate.key not in best or abs(rate.score) > abs(best[rate.key].score):
                    best[rate.key] = rate
        return [best[key] for key in sorted(best)]

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        peaks = {} if self._peaks is None else {"peaks": self._peaks.state()}
        return {"counts": self.counts.state(), "exposure": self.exposure.state(), "group": self._group, **peaks}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self.counts.restore(state["counts"])
        self.exposure.restore(state["exposure"])
        self._group = state["group"]
        if self._peaks is not None:
            self._peaks.restore(state["peaks"])


@njit(nogil=True, cache=True)
def _off(recent: Any, normal: Any, active: Any, exposed: Any, most: Any, shape: Any, enough: Any, least: Any) -> Any:
    out, n = np.empty((len(recent), 5)), 0
    for key in range(len(recent)):
        if active[key] <= 0 or exposed[key] < enough:
            continue
        expected = normal[key] / exposed[key] * active[key]
        score = count_excess(recent[key], expected, shape)
        if score > 0 and most[key] > expected:
            score = max(0.0, count_excess(recent[key], most[key], shape))
        if abs(score) >= least:
            out[n, 0], out[n, 1], out[n, 2], out[n, 3], out[n, 4] = key, score, recent[key], expected, most[key]
            n += 1
    return out[:n]
