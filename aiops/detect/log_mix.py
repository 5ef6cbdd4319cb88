"""Shares of a service's lines by template, now against usually -> whether it says other things than it used to.

The distance is that of Hellinger, 1 - sum sqrt(p q), times the lines that both shares rest on: it needs no expectation of any
single template, so many small moves count, and one that is rare by itself does not.  Mixes drift with what is asked of a
service, so the distance is divided by what it has been for this very service in 99 of 100 windows.  With that ratio c the score
is 2c below 1, else 2 + log2 c, as for levels of metrics.

References
----------
Nikulin, M. (2001). Hellinger distance. Encyclopedia of Mathematics.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aiops.detect.contrast import DECAY, LEAK
from aiops.detect.retention import Kept, refitted
from aiops.detect.tails import CAP

LEAST, LEAST_NORMAL = 20.0, 200.0  # lines of a service now, and normally, before they are compared
MOST = 200.0  # lines that a distance counts as at most: mixes swing for reasons of their own, however many lines say so
LEARN = 60.0  # windows before a service's own tail is known
TAIL = 0.01  # of its windows
FLOOR = 4.0  # a distance that chance alone reaches with a dozen templates
PERSIST = 3  # windows for which the mix must be off
EDGES = np.array([2.0 ** (k / 4) for k in range(-15, 33)])  # of the bins of a service's distances

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


class Change(NamedTuple):
    """The lines of `service` are off by `score`; template key `key` moved most: from a share of `usual` to one of `now`."""

    service: int
    score: float
    lines: int
    key: int
    now: float
    usual: float


class Mix:
    """The distances that each service has shown, as a histogram that fades; by service code."""

    def __init__(self) -> None:
        self._past: F64 = np.zeros((64, len(EDGES) + 1))
        self._scores: F64 = np.zeros((64, PERSIST))  # of the last windows, the newest first

    def advance(self, recent: F64, normal: F64, service: I64, suspect: NDArray[np.bool_], least: float) -> list[Change]:
        """Judge one window, and learn from it.

        Parameters
        ----------
        recent, normal : float64 arrays, shape (n keys,)
            Lines now and normally.
        service : int64 array, shape (n keys,)
        suspect : bool array, by service
        least : float
            Score from which a change is returned.
        """
        n = len(suspect)
        if n > len(self._past):
            self._past = np.concatenate([self._past, np.zeros((2 * n - len(self._past), self._past.shape[1]))])
            self._scores = np.concatenate([self._scores, np.zeros((len(self._past) - len(self._scores), PERSIST))])
        lines, usual = np.bincount(service, recent, n), np.bincount(service, normal, n)
        rows = np.flatnonzero((lines >= LEAST) & (usual >= LEAST_NORMAL))
        scores = np.zeros(n)
        if len(rows):
            common = np.bincount(service, np.sqrt(recent * normal), n)[rows]
            both = np.sqrt(lines[rows] * usual[rows])
            rest = np.minimum(lines[rows] * usual[rows] / (lines[rows] + usual[rows]), MOST)
            distance = np.maximum(0.0, 1.0 - common / both) * rest
            past = self._past[rows]
            known = past.sum(1)
            above = np.cumsum(past[:, ::-1], 1)[:, ::-1]
            tail = EDGES[np.minimum((above > TAIL * known[:, None]).sum(1) - 1, len(EDGES) - 1).clip(0)]
            ratio = distance / np.maximum(tail, FLOOR)
            scores[rows] = [
                0.0 if k < LEARN else 2 * c if c < 1 else min(CAP, 2 + math.log2(c))
                for c, k in zip(ratio.tolist(), known.tolist(), strict=True)
            ]
            past *= DECAY
            past[np.arange(len(rows)), np.searchsorted(EDGES, distance)] += np.where(suspect[rows], LEAK, 1.0)
            self._past[rows] = past
        self._scores[:n] = np.concatenate([scores[:, None], self._scores[:n, :-1]], 1)
        lasting = self._scores[:n].min(1)
        return [
            self._change(code, lasting[code], recent, normal, service)
            for code in np.flatnonzero(lasting >= least).tolist()
        ]

    @staticmethod
    def _change(code: int, score: float, recent: F64, normal: F64, service: I64) -> Change:
        keys = np.flatnonzero(service == code)
        now, usual = recent[keys] / recent[keys].sum(), normal[keys] / normal[keys].sum()
        worst = int(np.argmax(np.abs(now - usual)))
        lines = int(recent[keys].sum())
        return Change(code, float(score), lines, int(keys[worst]), float(now[worst]), float(usual[worst]))

    def keep(self, services: Kept) -> None:
        """Only these services stay."""
        n = len(services.code)
        for name in ("_past", "_scores"):
            array = getattr(self, name)
            if n > len(array):
                array = np.concatenate([array, np.zeros((n - len(array), array.shape[1]))])
            setattr(self, name, refitted(array[:n], services, 0.0))

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        used = int(np.flatnonzero(self._past.any(1) | self._scores.any(1)).max(initial=-1)) + 1
        return {"past": self._past[:used], "scores": self._scores[:used]}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self._past, self._scores = state["past"], state["scores"]
