"""Calls of a service to another per visit of the caller -> edges that are new, and edges that carry no calls any more.

Counted are visits of the caller with at least one call to the callee, among all its visits: a caller that is not asked calls
nobody, and that says nothing.  Both directions are beta-binomial tails of that share.  What the caller does is judged, and
where it is: with the callee's telemetry or without.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.detect.contrast import LENGTHS, Contrast
from aiops.detect.directory import Directory
from aiops.detect.operations import Operations
from aiops.detect.retention import Kept, Mask, Rule
from aiops.detect.tails import EFFECTIVE, at_least

LEAST_NORMAL = 20.0  # visits of the caller in the baseline
LEAST_HITS = 2.0  # visits with a call before an edge is new
NEW_EFFECTIVE = 1000.0  # visits that the baseline of a new edge counts as at most: what never happened did not drift
NEW_FULL = 0.10  # share of visits with which a new edge counts in full
GONE, GONE_FULL = 0.5, 0.9  # share of the usual calls that must be lacking, and with which a loss counts in full


class Flow(NamedTuple):
    """Of `visits` visits of the caller, `hits` called the callee, usually a share of `normal`, known from `known` visits.

    `score` is negative where calls are lacking; `caller` is a code of the directory.
    """

    caller: int
    callee: str
    score: float
    hits: int
    visits: int
    normal: float
    known: int


class Flows:
    """Edges by their caller; one cell each."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._pairs = Operations(directory)  # (caller, name of the callee): bounded and evicted as operations are
        self._hits = Contrast(directory.suspicion)

    def __len__(self) -> int:
        return len(self._pairs)

    def register(self, pairs: list[tuple[int, str]]) -> None:
        """Give pairs of a caller and the name of a callee their codes, in this order."""
        for caller, callee in pairs:
            self._code(caller, callee)

    def _code(self, caller: int, callee: str) -> int:
        known, code = len(self._pairs), self._pairs.code(caller, callee.encode())
        if code == known:
            self._hits.grow(np.array([self._directory.service_subject[caller]], np.int32))
        return code

    def add(self, start: int, hits: dict[tuple[int, str], int], live: bool) -> None:
        """One window: in how many visits each caller called each callee."""
        counts: dict[int, int] = {}
        for (caller, callee), n in sorted(
            hits.items(), key=lambda item: (self._directory.services[item[0][0]], item[0][1])
        ):
            code = self._code(caller, callee)
            counts[code] = counts.get(code, 0) + n
        keys = np.array(sorted(counts), np.int64)
        self._hits.add(start, keys, np.array([counts[k] for k in keys.tolist()], np.float64), live)

    def advance(self, now: int) -> None:
        """Event time is `now`."""
        self._hits.advance(now)

    def evidence(self, now: int, visits: Contrast, least: float) -> list[Flow]:
        """Edges that are new or lacking with a score of `least` or more; `visits` counts those of each service."""
        best: dict[int, Flow] = {}
        caller = np.array([service for service, _ in self._pairs], np.int64)
        if not len(caller):
            return []
        for length in LENGTHS:
            recent, normal = self._hits.split(now, length)
            seen, used = visits.split(now, length)
            for code, score, hits, n, p, known in _judge(recent, normal, seen[caller], used[caller], least).tolist():
                service, name = self._pairs[int(code)]
                flow = Flow(service, name.decode("utf-8", "replace"), score, int(hits), int(n), p, int(known))
                if int(code) not in best or abs(score) > abs(best[int(code)].score):
                    best[int(code)] = flow
        return [best[code] for code in sorted(best)]

    # ---- eviction -------------------------------------------------------------------------------------------------------
    @property
    def nearly_full(self) -> bool:
        """May rows go before the hour?"""
        return self._pairs.nearly_full

    def stays(self, rule: Rule, services: Mask) -> Mask:
        """Which edges stay where these services do: bool array."""
        return self._pairs.stays(rule, services)

    def keep(self, pairs: Kept, services: Kept, subjects: Kept) -> None:
        """Only these edges and services stay."""
        self._hits.keep(pairs, 1, subjects)
        self._pairs.keep(pairs, services)

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {"pairs": self._pairs.state(), "hits": self._hits.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot; the directory has been restored before."""
        self._pairs.restore(state["pairs"])
        self._hits.restore(state["hits"])


@njit(nogil=True, cache=True)
def _judge(
    recent: NDArray[Any], normal: NDArray[Any], seen: NDArray[Any], used: NDArray[Any], least: float
) -> NDArray[Any]:
    out, rows = np.empty((len(recent), 6)), 0
    for k in range(len(recent)):
        hits, n, m = recent[k], seen[k], used[k]
        if n <= 0.0 or m < LEAST_NORMAL:
            continue
        hits = min(hits, n)
        p = min(1.0, normal[k] / m)
        score = 0.0
        if normal[k] < 0.5:
            if hits >= LEAST_HITS:
                score = at_least(hits, n, p, m, NEW_EFFECTIVE) * min(1.0, hits / n / NEW_FULL)
        else:
            lacking = 1.0 - hits / (n * p)
            if lacking > GONE:
                tail = at_least(n - hits, n, 1.0 - p, m, EFFECTIVE)
                score = -tail * min(1.0, (lacking - GONE) / (GONE_FULL - GONE))
        if abs(score) >= least:
            out[rows, 0], out[rows, 1], out[rows, 2], out[rows, 3], out[rows, 4], out[rows, 5] = k, score, hits, n, p, m
            rows += 1
    return out[:rows]
