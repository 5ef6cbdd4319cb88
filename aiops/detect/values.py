"""Window cells of a series -> the values that are judged.

gauge, non-monotonic sum -> the mean of its points; monotonic sum -> increase a second; histogram, exponential histogram ->
measurements a second, their mean, and their 95th percentile; summary -> measurements a second and their mean.  Each is a
*facet* of the series with a baseline of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from aiops.columns import DELTA, EXPONENTIAL, GAUGE, HISTOGRAM, SUM
from aiops.ingest.exact_sums import total
from aiops.signals import WINDOW

LEVEL, RATE, MEAN, P95 = range(4)
FACETS = ("", "rate", "mean", "p95")
BITS = 2.0**32  # what a counter of 32 bits counts, as those of network devices
STALE = 300_000_000_000  # ns: a previous point older than this makes no increase


def facets(kind: int, monotonic: bool) -> tuple[int, ...]:
    """Which facets a series of this kind has."""
    if kind == GAUGE or (kind == SUM and not monotonic):
        return (LEVEL,)
    if kind == SUM:
        return (RATE,)
    return (RATE, MEAN, P95) if kind in (HISTOGRAM, EXPONENTIAL) else (RATE, MEAN)


PREVIOUS = np.dtype([("time", np.int64), ("value", np.float64), ("count", np.float64), ("start", np.int64)])


@njit(nogil=True, cache=True)
def levels(cells: Any) -> Any:
    """Mean of the points of each cell."""
    out = np.empty(len(cells))
    for i in range(len(cells)):
        out[i] = total(cells[i]) / cells[i].points
    return out


@njit(nogil=True, cache=True)
def increases(
    cells: Any, series: Any, previous: Any, temporality: Any, value: Any, count: Any, seconds: Any, whole: Any
) -> None:
    """Increase of value and count since the previous window with points, and over how long; `previous` is by `series`.

    A new start time or a fall is a reset: then the last value is the increase since the new start (`whole`).  A sum that falls
    from the upper to the lower half of 32 bits, and whose start time is known and the same, has wrapped.  NaN where there is
    nothing to compare with.
    """
    for i in range(len(cells)):
        c, p = cells[i], previous[series[i]]
        value[i] = count[i] = seconds[i] = np.nan
        whole[i] = False
        if temporality[i] == DELTA:
            value[i], count[i] = total(c), c.count
            seconds[i] = (
                (c.last_time - p.time) * 1e-9 if 0 <= c.last_time - p.time <= STALE and p.time > 0 else WINDOW * 1e-9
            )
            whole[i] = True
        elif p.time > 0 and c.last_time > p.time and c.last_time - p.time <= STALE:
            reset = c.last < p.value or c.last_count < p.count or (c.start > p.time and c.start != p.start)
            same = c.start > 0 and c.start == p.start
            if same and c.last_count == p.count == 0 and 0 <= c.last < BITS / 2 <= p.value < BITS:
                value[i], count[i] = BITS - p.value + c.last, 0.0
                seconds[i] = (c.last_time - p.time) * 1e-9
            elif reset:
                since = c.start if p.time < c.start < c.last_time else p.time
                value[i], count[i], seconds[i] = c.last, c.last_count, (c.last_time - since) * 1e-9
                whole[i] = True
            else:
                value[i], count[i] = c.last - p.value, c.last_count - p.count
                seconds[i] = (c.last_time - p.time) * 1e-9
        p.time, p.value, p.count, p.start = c.last_time, c.last, c.last_count, c.start


@njit(nogil=True, cache=True)
def percentile(counts: Any, bounds: Any, q: Any) -> Any:
    """Quantile `q` of a bucket vector, by straight lines inside the buckets; NaN where it is empty.

    The last bucket has no upper bound: what lies in it is taken to lie at its lower bound.
    """
    total = 0.0
    for n in counts:
        total += n
    if total <= 0 or not len(bounds):
        return np.nan
    rank, below = q * total, 0.0
    for i in range(len(counts)):
        n = counts[i]
        if below + n >= rank and n > 0:
            if i >= len(bounds):
                return bounds[-1]
            low = bounds[i - 1] if i else min(0.0, bounds[0])
            return low + (bounds[i] - low) * (rank - below) / n
        below += n
    return bounds[-1]
