"""Metric rows of one window from several sources -> one row a series, and where each series is described.

Whatever the order of the sources, the rows are the same to the last bit.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.columns import DELTA
from aiops.ingest.metric_windows import compared_vectors, merge_cell
from aiops.signals import CELL, MetricRows


class MergedRows(NamedTuple):
    """Rows of one window from all sources, each series once.

    Attributes
    ----------
    series : uint64 array, shape (n,), ascending
    cells : CELL array, shape (n,)
    bucket_offsets : int64 array, shape (n + 1,);  buckets : float64 array
    source, row : int64 arrays, shape (n,)
        Which of the parts describes a series, and in which of its rows.
    """

    series: NDArray[np.uint64]
    cells: NDArray[np.void]
    bucket_offsets: NDArray[np.int64]
    buckets: NDArray[np.float64]
    source: NDArray[np.int64]
    row: NDArray[np.int64]

    def chosen(self, rows: NDArray[np.int64]) -> MergedRows:
        """Only these rows, given in ascending order."""
        starts = self.bucket_offsets[rows]
        lengths = self.bucket_offsets[rows + 1] - starts
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        buckets = self.buckets[np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])]
        cells = cells_at(self.cells, rows)
        return MergedRows(self.series[rows], cells, offsets, buckets, self.source[rows], self.row[rows])


def merge_rows(parts: list[MetricRows]) -> MergedRows | None:
    """Rows of all sources as one; None where there are none.  The order of `parts` makes no difference."""
    sizes = [len(part.series) for part in parts]
    filled = np.flatnonzero(sizes)
    if not len(filled):
        return None
    if len(filled) == 1:
        part, row = parts[filled[0]], np.arange(sizes[filled[0]])
        return MergedRows(part.series, part.cells, part.bucket_offsets, part.buckets, np.full_like(row, filled[0]), row)
    series = np.concatenate([part.series for part in parts])
    order = np.argsort(series, kind="stable")
    sorted_ = series[order]
    new = np.concatenate([[True], sorted_[1:] != sorted_[:-1]])
    buckets = np.concatenate([part.buckets for part in parts])
    before = np.cumsum([0, *(len(part.buckets) for part in parts[:-1])])
    starts = np.concatenate([part.bucket_offsets[:-1] + b for part, b in zip(parts, before, strict=True)])
    lengths = np.concatenate([np.diff(part.bucket_offsets) for part in parts])
    delta = np.concatenate([part.table.temporality[part.codes] == DELTA for part in parts])
    cells: NDArray[np.void] = np.concatenate([_words(part.cells) for part in parts]).view(CELL).reshape(-1)
    first = order[new]
    merged = np.empty(len(first), CELL)
    offsets, used = np.zeros(len(first) + 1, np.int64), np.empty_like(buckets)
    _merge(order, new, cells, starts, lengths, buckets, delta, merged, offsets, used)
    source = np.repeat(np.arange(len(parts)), sizes)
    row = np.arange(len(series)) - np.cumsum([0, *sizes[:-1]])[source]
    return MergedRows(sorted_[new], merged, offsets, used[: offsets[-1]], source[first], row[first])


def cells_at(cells: NDArray[np.void], rows: NDArray[np.int64]) -> NDArray[np.void]:
    """``cells[rows]``, as words: numpy copies a structured row field by field, which takes five times as long."""
    found: NDArray[np.void] = _words(cells).take(rows, axis=0).view(CELL).reshape(-1)
    return found


def _words(cells: NDArray[np.void]) -> NDArray[np.uint64]:
    return np.ascontiguousarray(cells).view(np.uint64).reshape(len(cells), CELL.itemsize // 8)


@njit(nogil=True, cache=True)
def _merge(
    order: Any, new: Any, cells: Any, starts: Any, lengths: Any, buckets: Any, delta: Any, merged: Any, offsets: Any,
    used: Any,
) -> None:  # fmt: skip
    """Merge the rows of each series, which follow each other in `order`; `cells` are used up.

    What commutes exactly: any order of the sources gives the same bits.
    """
    n = -1
    for place in range(len(order)):
        row = order[place]
        other, vector = cells[row], buckets[starts[row] : starts[row] + lengths[row]]
        if new[place]:
            n += 1
            merged[n] = other
            replaced = True
            offsets[n + 1] = offsets[n]
        else:
            cell, held = merged[n], used[offsets[n] : offsets[n + 1]]
            if cell.points == 0 or other.points == 0:  # a series that ended has no values, but the time of its end
                replaced = cell.points == 0
                stale = max(cell.stale_time, other.stale_time)
                if replaced:
                    merged[n] = other
                merged[n].stale_time = stale
            else:
                later = merge_cell(cell, other)
                if delta[row]:
                    replaced = len(vector) > len(held)
                    if len(vector) == len(held):
                        held += vector
                else:
                    replaced = later > 0 or (later == 0 and compared_vectors(vector, held) > 0)
        if replaced:
            offsets[n + 1] = offsets[n] + len(vector)
            used[offsets[n] : offsets[n + 1]] = vector
