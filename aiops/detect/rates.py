"""Counts per key and time -> evidence that a rate surged or collapsed: lines of a template, visits of a service.

Exposure is counted in active windows, those in which the environment says anything of this kind at all: silence of everything
is a matter of collection and moves no rate.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.detect.contrast import LENGTHS, Contrast
from aiops.detect.retention import Kept
from aiops.detect.suspicion import Suspicion
from aiops.detect.tails import count_excess


class Rate(NamedTuple):
    """Key `key` came `times` times where `expected` was normal; `score` is negative for a collapse."""

    key: int
    score: float
    times: int
    expected: float


class Rates:
    """One cell a key, and one cell a group for its exposure; groups are environments.

    Parameters
    ----------
    shape : float
        Over-dispersion of the counts (``count_excess``).
    least_exposure : float
        Baseline exposure before a rate is judged.
    """

    def __init__(self, suspicion: Suspicion, shape: float, least_exposure: float) -> None:
        self.shape, self.least_exposure = shape, least_exposure
        self.counts = Contrast(suspicion)
        self.exposure = Contrast(Suspicion())
        self._group: list[int] = []

    def grow(self, owners: list[int], groups: list[int]) -> None:
        """Add keys with their subjects and groups."""
        if owners:
            self.counts.grow(np.array(owners, np.int32))
            self._group.extend(groups)

    def add_group(self) -> None:
        """Add a group."""
        self.exposure.grow(np.zeros(1, np.int32))

    def keep(self, keys: Kept, groups: Kept, subjects: Kept) -> None:
        """Only these keys and groups stay."""
        self.counts.keep(keys, 1, subjects)
        self.exposure.keep(groups)
        self._group = groups.renumbered(keys.of(self._group)).tolist()

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

    def evidence(self, now: int, least: float) -> list[Rate]:
        """Keys whose rate is off by a score of `least` or more, the stronger of both lengths."""
        best: dict[int, Rate] = {}
        group = np.array(self._group, np.int64)
        for length in LENGTHS:
            recent, normal = self.counts.split(now, length)
            active, exposed = self.exposure.split(now, length)
            out = _off(recent, normal, active[group], exposed[group], self.shape, self.least_exposure, least)
            for row in out.tolist():
                rate = Rate(int(row[0]), row[1], int(row[2]), row[3])
                if rate.key not in best or abs(rate.score) > abs(best[rate.key].score):
                    best[rate.key] = rate
        return [best[key] for key in sorted(best)]

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {"counts": self.counts.state(), "exposure": self.exposure.state(), "group": self._group}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self.counts.restore(state["counts"])
        self.exposure.restore(state["exposure"])
        self._group = state["group"]


@njit(nogil=True, cache=True)
def _off(recent: Any, normal: Any, active: Any, exposed: Any, shape: Any, enough: Any, least: Any) -> Any:
    out, n = np.empty((len(recent), 4)), 0
    for key in range(len(recent)):
        if active[key] <= 0 or exposed[key] < enough:
            continue
        expected = normal[key] / exposed[key] * active[key]
        score = count_excess(recent[key], expected, shape)
        if abs(score) >= least:
            out[n, 0], out[n, 1], out[n, 2], out[n, 3] = key, score, recent[key], expected
            n += 1
    return out[:n]
