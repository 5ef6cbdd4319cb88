"""One metric of every service before and during a fault, and who calls whom -> who is the cause of a symptom, ranked.

What is slow or fails at a callee is slow or fails at its callers too, once at each of them.  So what a service has beyond
the usual, in seconds or in failed requests, less what its callees have, is its own; the cause is who has most of its own of
what the symptom shows, at the end of a path of services that all have it.  Who is slower by far but is hardly ever called
accounts for little: a ratio alone would blame it.  No name, unit or direction is assumed: the symptom gives the direction.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

F64 = NDArray[np.float64]

FEW = 20  # stretches of normal rows below which their tail says nothing: single rows are taken
LEAST = 0.01  # of a series' level: its tail is no smaller
RARE = 4.0  # -log10 of the chance of a silence from which it is sure to be news


@dataclass(frozen=True, slots=True)
class Settings:
    """How deviations are weighed; values that were compared are in docs/root-cause.md.

    Attributes
    ----------
    tail : float
        Quantile of the changes that a series makes by itself which counts as its own tail.
    half, sharp : float
        A deviation of `half` tails counts by half, and by the ratio to the power `sharp` below and above it: a series that does
        what it does once in a hundred times has not said much.
    explain : float
        Share of its callees' excess that is taken off a caller.
    by_symptom : bool
        Rows of the fault count by how much the symptom shows in them, or all alike.
    """

    tail: float = 0.99
    half: float = 2.0
    sharp: float = 2.0
    explain: float = 1.0
    by_symptom: bool = True


class Suspect(NamedTuple):
    """One hypothesis.

    Attributes
    ----------
    score : float
        0..1, share of the symptom that it accounts for, by how surely it deviates and how well a path leads to it.
    own : float
        Share of the symptom's excess that is its own, at most 1.
    reach : float
        Least share of the symptom's excess on the best path from the symptom to it, 0..1.
    ratio : float
        Its deviation in the symptom's direction, in tails of its own; NaN where it has no values.
    """

    node: int
    score: float
    own: float
    reach: float
    ratio: float


def rank_by_graph(
    normal: F64,
    before: F64,
    fault: F64,
    calls: F64 | None,
    edges: Iterable[tuple[int, int]],
    symptom: int,
    settings: Settings | None = None,
) -> list[Suspect]:
    """Rank all services as the cause of a symptom.

    Parameters
    ----------
    normal : float64 array, shape (n_rows, n)
        Of every service, the mean per call of the metric that shows the symptom (s, or share that succeeds), in rows of
        equal length without a fault, from whatever time; NaN where there is none.
    before, fault : float64 arrays, shape (n_before, n) and (n_fault, n)
        The rows just before the onset, perhaps none, and those since it.
    calls : float64 array, shape (n_fault, n), or None
        Calls in the rows of the fault; None: not known, all alike.
    edges : iterable of (caller, callee)
    symptom : int
        The service at which it is felt.

    Returns
    -------
    list of Suspect, best first, every service once; ties go to the nearer path, the greater ratio, the first service

    Examples
    --------
    A front end calls a search and a rarely used export; the search is slow, the export is slower but hardly called.

    >>> rng = np.random.default_rng(1)
    >>> normal = np.array([0.1, 0.02, 0.02]) * (1 + 0.01 * rng.normal(size=(200, 3)))
    >>> fault = np.array([[0.15, 0.07, 0.2]] * 3)
    >>> found = rank_by_graph(normal, normal[-1:], fault, np.array([[100.0, 100.0, 2.0]] * 3), [(0, 1), (0, 2)], 0)
    >>> [s.node for s in found]
    [1, 2, 0]
    """
    s = settings or Settings()
    n = fault.shape[1]
    weights = _rows(normal, before, fault, symptom, s)
    deviation, ratio = _deviations(normal, before, fault, weights, s)
    if deviation[symptom] < 0:
        deviation, ratio = -deviation, -ratio
    unseen = np.isnan(deviation)
    silent = unseen & (np.isfinite(before).any(0) if len(before) else np.isfinite(normal).any(0))
    passed = unseen & ~silent
    passed[symptom] = False
    callees, callers = _seen(n, edges, passed)
    called = np.ones(n) if calls is None else np.nan_to_num(_mean(np.nan_to_num(calls), weights))
    sure = _sure(np.nan_to_num(ratio), s)
    beyond = np.maximum(0.0, np.nan_to_num(deviation)) * called
    excess = beyond * sure
    own = _own(excess, called, callees, callers, s.explain)
    _silent(own, excess, normal, len(fault), silent, callees)
    # That the symptom is real is given, however much its series moves by itself: all of it must be accounted for.
    whole = float(beyond[symptom]) or float(excess.max(initial=0.0)) or 1.0
    part = np.minimum(1.0, own / whole)
    reach = _reach(np.minimum(1.0, excess / whole), callees, symptom)
    score = part * reach * np.where(silent, 1.0, sure)
    found = [
        Suspect(v, round(float(score[v]), 9), float(part[v]), round(float(reach[v]), 9), float(ratio[v]))
        for v in range(n)
    ]
    return sorted(found, key=lambda f: (-f.score, -f.reach, 0.0 if math.isnan(f.ratio) else -f.ratio, f.node))


def _seen(
    n: int, edges: Iterable[tuple[int, int]], unseen: NDArray[np.bool_]
) -> tuple[list[list[int]], list[list[int]]]:
    """Callees and callers of each service; what has no values at all is left out, and who it calls is called past it."""
    direct: list[list[int]] = [[] for _ in range(n)]
    for a, b in sorted(set(edges)):
        if a != b:
            direct[a].append(b)
    callees: list[list[int]] = [[] for _ in range(n)]
    callers: list[list[int]] = [[] for _ in range(n)]
    for v in np.flatnonzero(~unseen).tolist():
        reached, todo = set(direct[v]), list(direct[v])
        while todo:
            c = todo.pop()
            if unseen[c]:
                todo += (further := [k for k in direct[c] if k not in reached])
                reached.update(further)
        callees[v] = sorted(c for c in reached if c != v and not unseen[c])
        for c in callees[v]:
            callers[c].append(v)
    return callees, callers


def _mean(rows: F64, weights: F64) -> F64:
    """Weighted mean of the rows that have a value; NaN where none has.  float64[n]."""
    there = np.isfinite(rows)
    total = (weights[:, None] * there).sum(0)
    summed = (weights[:, None] * np.where(there, rows, 0.0)).sum(0)
    return np.where(total > 0, summed / np.where(total > 0, total, 1.0), np.nan)


def _rows(normal: F64, before: F64, fault: F64, symptom: int, s: Settings) -> F64:
    """How much each row of the fault counts, in all 1: by what the symptom shows in it."""
    alike = np.full(len(fault), 1.0 / max(1, len(fault)))
    if not s.by_symptom:
        return alike
    usual = _reference(normal[:, symptom : symptom + 1], before[:, symptom : symptom + 1])[0]
    shown = np.nan_to_num(fault[:, symptom] - usual)
    if not np.isfinite(usual) or not shown.any():
        return alike
    shown = np.maximum(0.0, shown * np.sign(shown.sum() or 1.0))
    return shown / shown.sum() if shown.sum() > 0 else alike


def _reference(normal: F64, before: F64) -> F64:
    """What is usual just before the onset; where that is not known, the median of normal rows.  float64[n]."""
    just_before = _median(before)
    return np.where(np.isfinite(just_before), just_before, _median(normal))


def _median(rows: F64) -> F64:
    """Median of the rows that have a value; NaN where none has.  float64[n]."""
    out = np.full(rows.shape[1], np.nan)
    there = np.isfinite(rows).any(0) if len(rows) else np.zeros(rows.shape[1], bool)
    out[there] = np.nanmedian(rows[:, there], axis=0) if there.any() else np.nan
    return out


def _deviations(normal: F64, before: F64, fault: F64, weights: F64, s: Settings) -> tuple[F64, F64]:
    """What each series does after the onset against before it, and that in tails of what it does in normal rows.

    The tail is of the very same difference, taken at every place of the normal rows: levels that drift over weeks, and
    series that jump all day, need no rule of their own.
    """
    nb, nf = len(before), len(fault)
    usual, medians = _reference(normal, before), _median(normal)
    deviation = _mean(fault, weights) - usual
    compared = np.isfinite(_median(before))
    ratio = np.full(fault.shape[1], np.nan)
    for v in range(fault.shape[1]):
        series = normal[:, v]
        changes = np.abs(series - medians[v])
        if len(series) >= nb + nf + FEW:
            stretch = sliding_window_view(series, nb + nf)
            start = _median(stretch[:, :nb].T) if compared[v] and nb else np.full(len(stretch), medians[v])
            moved = np.abs(_mean(stretch[:, nb:].T, weights) - start)
            if np.isfinite(moved).sum() >= FEW:
                changes = moved
        changes = changes[np.isfinite(changes)]
        if len(changes) >= FEW:
            # A series that never moves has no tail of its own: a hundredth of its level is the least that is a change.
            tail = max(float(np.quantile(changes, s.tail)), LEAST * abs(float(usual[v])), 1e-12)
            ratio[v] = deviation[v] / tail
        elif np.isfinite(deviation[v]):
            ratio[v] = 0.0  # it has values now, and nothing says what is usual of them
    return deviation, ratio


def _sure(ratio: F64, s: Settings) -> F64:
    """How surely each deviation is none of the series' own, 0..1; by scalars, for powers of arrays differ between CPUs."""
    grown = [(min(max(r, 0.0), 1e6) / s.half) ** s.sharp for r in ratio.tolist()]
    return np.array([g / (1.0 + g) for g in grown])


def _own(excess: F64, called: F64, callees: list[list[int]], callers: list[list[int]], explain: float) -> F64:
    """Excess of each service less its callees' part that came about on its behalf: by its share in their calls."""
    own = excess.copy()
    for v, below in enumerate(callees):
        for c in below:
            all_calls = sum(float(called[u]) for u in callers[c])
            mine = float(called[v]) / all_calls if all_calls > 0 else 1.0 / len(callers[c])
            own[v] -= explain * mine * excess[c]
    return np.maximum(0.0, own)


def _silent(own: F64, excess: F64, normal: F64, rows: int, silent: NDArray[np.bool_], callees: list[list[int]]) -> None:
    """Half of what a caller has for itself goes to callees that fell silent with the fault: either end may be at fault.

    In place.  How much depends on how rare such a silence is: what is often missing is no news.
    """
    moved = np.zeros(len(own))
    for v, below in enumerate(callees):
        gone = [c for c in below if silent[c]]
        for c in gone:
            usual = (float(np.isnan(normal[:, c]).sum()) + 1.0) / (len(normal) + 2.0)
            rare = min(1.0, -rows * math.log10(usual) / RARE)
            part = 0.5 * rare * float(own[v]) / len(gone)
            moved[c] += part
            moved[v] -= part
            excess[c] = max(float(excess[c]), part)
    own += moved


def _reach(through: F64, callees: list[list[int]], symptom: int) -> F64:
    """Of the best path from the symptom to each service, the least that its services let through; 0 where none leads."""
    reach = np.zeros(len(through))
    heap = [(-1.0, symptom)]
    while heap:
        least, v = heapq.heappop(heap)
        if reach[v] >= -least:
            continue
        reach[v] = -least
        for c in callees[v]:
            there = min(-least, float(through[c]))
            if there > reach[c]:
                heapq.heappush(heap, (-there, c))
    return reach
