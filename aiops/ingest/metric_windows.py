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
        self._cells: NDArray[np.void] = np.empty(room, CELL)
        self._bucket_at: NDArray[np.int64] = np.empty(room, np.int64)
        self._bucket_len: NDArray[np.int32] = np.empty(room, np.int32)
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
            self._codes = _grown(self._codes, room, self.size)
            self._cells = _grown(self._cells, room, self.size)
            self._bucket_at = _grown(self._bucket_at, room, self.size)
            self._bucket_len = _grown(self._bucket_len, room, self.size)
        if len(batch.buckets):
            lengths = batch.bucket_offsets[rows + 1] - batch.bucket_offsets[rows]
            used = self._buckets_used + int(lengths.sum())
            if used > len(self._buckets):
                self._buckets = _grown(self._buckets, max(used, 2 * len(self._buckets)), self._buckets_used)
        self.size, self._buckets_used = _add(
            rows, batch.series, time, batch.start, batch.value, batch.count, batch.stale, batch.bucket_offsets,
            batch.buckets, self.table.temporality, self._slots, self._codes, self._cells, self._bucket_at,
            self._bucket_len, self._buckets, self.size, self._buckets_used,
        )  # fmt: skip

    def rows(self) -> MetricRows:
        """The cells in ascending order of series identity."""
        n = self.size
        slots, codes = np.empty(n, np.int32), np.empty(n, np.int32)
        if 4 * n > len(self.table):
            _slots_in_order(self.table.order, self._slots, slots)
        else:
            slots[:] = np.argsort(self.table.identity[self._codes[:n]])
        cells, offsets = np.empty(n, CELL), np.zeros(n + 1, np.int64)
        _gather_cells(slots, self._codes, _words(self._cells), self._bucket_len, codes, _words(cells), offsets)
        buckets = np.empty(offsets[-1])
        _gather(self._buckets, self._bucket_at, slots, offsets, buckets)
        return MetricRows(self.table.identity[codes], codes, cells, offsets, buckets, self.table)


def _grown(array: NDArray[Any], size: int, used: int) -> NDArray[Any]:
    bigger = np.empty(size, array.dtype)  # what is behind `used` is cleared when it comes into use
    bigger[:used] = array[:used]
    return bigger


def _words(cells: NDArray[np.void]) -> NDArray[np.uint64]:
    """Cells as rows of 64-bit words: numba copies these four times faster than records."""
    return cells.view(np.uint64).reshape(len(cells), CELL.itemsize // 8)


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
    one, nothing = np.zeros(1, cells.dtype), np.zeros(1, cells.dtype)
    point = one[0]
    for row in rows:
        code = series[row]
        slot = slots[code]
        if slot < 0:
            slot = slots[code] = size
            codes[slot] = code
            bucket_at[slot], bucket_len[slot] = -1, 0
            cells[slot] = nothing[0]
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
def _slots_in_order(order: Any, slots: Any, out: Any) -> None:
    """Slots in use, in the order of their series."""
    n = 0
    for code in order:
        if code < len(slots) and slots[code] >= 0:
            out[n] = slots[code]
            n += 1


@njit(nogil=True, cache=True)
def _gather_cells(slots: Any, codes: Any, cells: Any, lengths: Any, out_codes: Any, out: Any, offsets: Any) -> None:
    for row in range(len(slots)):
        slot = slots[row]
        out_codes[row] = codes[slot]
        offsets[row + 1] = offsets[row] + lengths[slot]
        for k in range(cells.shape[1]):
            out[row, k] = cells[slot, k]


@njit(nogil=True, cache=True)
def _gather(pool: Any, at: Any, slots: Any, offsets: Any, out: Any) -> None:
    for row in range(len(slots)):
        first = at[slots[row]]
        for k in range(offsets[row + 1] - offsets[row]):
            out[offsets[row] + k] = pool[first + k]
