"""Metric points -> one cell a (window, series): points, sum, min, max, first, last, counts and buckets.

Any order of the points, and any way of merging cells, gives the same cells bit for bit.  A cell is one record (two
cache lines): with a million series the cost of an update is the cache miss and nothing else.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.columns import DELTA, MetricBatch
from aiops.ingest.exact_sums import add_to_sum, clear_sum, merge_sum
from aiops.signals import CELL, MetricRows
from aiops.wire.tables import Series

# Measurements of one point that are added up: so doubles stay whole numbers, which add in any order.
MOST = float(1 << 40)


class MetricWindow:
    """The open cells of one window.

    Parameters
    ----------
    table : Series
        Whose codes the points carry.
    room : int
        Series to expect; it grows by itself.
    """

    __slots__ = (
        "_bucket_at", "_bucket_len", "_buckets", "_buckets_used", "_cells", "_codes", "_slots", "size", "table",
    )  # fmt: skip

    def __init__(self, table: Series, room: int = 256) -> None:
        self.table = table
        self.size = 0
        self._slots: NDArray[np.int32] = np.full(max(len(table), 64), -1, np.int32)
        self._codes: NDArray[np.int32] = np.empty(room, np.int32)
        self._cells: NDArray[np.void] = np.zeros(room, CELL)
        self._bucket_at: NDArray[np.int64] = np.full(room, -1, np.int64)
        self._bucket_len: NDArray[np.int32] = np.zeros(room, np.int32)
        self._buckets: NDArray[np.float64] = np.empty(0)
        self._buckets_used = 0

    def add(self, batch: MetricBatch, time: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        """Add the points `rows` of `batch` at event times `time` (Unix ns, all in this window)."""
        if len(self.table) > len(self._slots):
            bigger = np.full(max(len(self.table), 2 * len(self._slots)), -1, np.int32)
            bigger[: len(self._slots)] = self._slots
            self._slots = bigger
        room = self.size + min(len(rows), len(self.table))
        if room > len(self._cells):
            room = max(room, 2 * len(self._cells))
            self._codes = _grown(self._codes, room)
            self._cells = _grown(self._cells, room)
            self._bucket_at = _grown(self._bucket_at, room)
            self._bucket_len = _grown(self._bucket_len, room)
        if len(batch.buckets):
            lengths = batch.bucket_offsets[rows + 1] - batch.bucket_offsets[rows]
            used = self._buckets_used + int(lengths.sum())
            if used > len(self._buckets):
                self._buckets = _grown(self._buckets, max(used, 2 * len(self._buckets)))
        self.size, self._buckets_used = _add(
            rows, batch.series, time, batch.start, batch.value, batch.count, batch.stale, batch.bucket_offsets,
            batch.buckets, self.table.temporality, self._slots, self._codes, self._cells, self._bucket_at,
            self._bucket_len, self._buckets, self.size, self._buckets_used,
        )  # fmt: skip

    def rows(self) -> MetricRows:
        """The cells in ascending order of series identity."""
        codes = self._codes[: self.size]
        identity = self.table.identity[codes]
        order = np.argsort(identity, kind="stable")
        lengths = np.where(self._bucket_at[: self.size] >= 0, self._bucket_len[: self.size], 0)[order]
        offsets = np.zeros(self.size + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        buckets = np.empty(offsets[-1])
        _gather(self._buckets, self._bucket_at[order], offsets, buckets)
        return MetricRows(identity[order], codes[order], self._cells[order], offsets, buckets, self.table)


def _grown(array: NDArray[Any], size: int) -> NDArray[Any]:
    bigger = np.zeros(size, array.dtype)
    bigger[: len(array)] = array
    return bigger


@njit(nogil=True, cache=True)
def _compared(t: Any, v: Any, c: Any, other_t: Any, other_v: Any, other_c: Any) -> Any:
    """-1, 0 or 1: which of two points comes later by (time, value, count); a value that is absent is the least."""
    if t != other_t:
        return 1 if t > other_t else -1
    if v != other_v and not (math.isnan(v) and math.isnan(other_v)):
        return 1 if v > other_v or math.isnan(other_v) else -1
    if c != other_c:
        return 1 if c > other_c else -1
    return 0


@njit(nogil=True, cache=True)
def compared_vectors(x: Any, y: Any) -> Any:
    """-1, 0 or 1: which of two bucket vectors is the greater one, the longer before all."""
    if len(x) != len(y):
        return 1 if len(x) > len(y) else -1
    for k in range(len(x)):
        if x[k] != y[k]:
            return 1 if x[k] > y[k] else -1
    return 0


@njit(nogil=True, cache=True)
def _point(cell: Any, t: Any, v: Any, c: Any, start: Any) -> None:
    """The cell of one point."""
    clear_sum(cell)
    add_to_sum(cell, v)
    cell.points = 1
    cell.min = cell.max = cell.first = cell.last = v
    cell.first_time = cell.last_time = t
    cell.first_count = cell.last_count = c
    cell.count = min(c, MOST)
    cell.start = start


@njit(nogil=True, cache=True)
def merge_cell(cell: Any, other: Any) -> Any:
    """Take the points of `other`, which is used up, into `cell`; both have some.

    Returns
    -------
    int
        1 where the last point is that of `other`, -1 where it is that of `cell`, 0 where only their buckets can tell.
    """
    cell.points += other.points
    cell.stale_time = max(cell.stale_time, other.stale_time)
    cell.count += other.count
    merge_sum(cell, other)
    if not (other.min >= cell.min) and not math.isnan(other.min):
        cell.min = other.min
    if not (other.max <= cell.max) and not math.isnan(other.max):
        cell.max = other.max
    t, v, c = other.first_time, other.first, other.first_count
    if _compared(t, v, c, cell.first_time, cell.first, cell.first_count) < 0:
        cell.first_time, cell.first, cell.first_count = t, v, c
    t, v, c = other.last_time, other.last, other.last_count
    later = _compared(t, v, c, cell.last_time, cell.last, cell.last_count)
    if later == 0 and other.start != cell.start:
        later = 1 if other.start > cell.start else -1
    if later > 0:
        cell.last_time, cell.last, cell.last_count, cell.start = t, v, c, other.start
    return later


@njit(nogil=True, cache=True)
def _add(
    rows: Any, series: Any, time: Any, start: Any, value: Any, count: Any, stale: Any, offsets: Any, buckets: Any,
    temporality: Any, slots: Any, codes: Any, cells: Any, bucket_at: Any, bucket_len: Any, pool: Any, size: Any,
    used: Any,
) -> Any:  # fmt: skip
    one = np.zeros(1, cells.dtype)
    point = one[0]
    for row in rows:
        code = series[row]
        slot = slots[code]
        if slot < 0:
            slot = slots[code] = size
            codes[slot] = code
            bucket_at[slot], bucket_len[slot] = -1, 0
            cells[slot].points = 0
            cells[slot].stale_time = 0
            size += 1
        cell = cells[slot]
        if stale[row]:
            cell.stale_time = max(cell.stale_time, time[row])
            continue
        v = value[row] + 0.0 if math.isfinite(value[row]) else np.nan  # -0.0 and 0.0 are one value
        vector = buckets[offsets[row] : offsets[row + 1]]
        n = len(vector)
        if cell.points == 0:
            _point(cell, time[row], v, count[row], start[row])
            later = 1
        else:
            _point(point, time[row], v, count[row], start[row])
            later = merge_cell(cell, point)
        if n == 0 and bucket_len[slot] == 0:
            continue
        at, have = bucket_at[slot], bucket_len[slot]
        if temporality[code] == DELTA:
            if n < have:
                continue
            if n == have:
                for k in range(n):
                    pool[at + k] += min(vector[k], MOST)
                continue
        elif later < 0 or (later == 0 and compared_vectors(vector, pool[at : at + have]) <= 0):
            continue
        if n > have:
            at = bucket_at[slot] = used
            used += n
        bucket_len[slot] = n
        for k in range(n):
            pool[at + k] = min(vector[k], MOST) if temporality[code] == DELTA else vector[k]
    return size, used


@njit(nogil=True, cache=True)
def _gather(pool: Any, at: Any, offsets: Any, out: Any) -> None:
    for row in range(len(at)):
        for k in range(offsets[row + 1] - offsets[row]):
            out[offsets[row] + k] = pool[at[row] + k]
