"""Cells of series in one window -> the values that are judged, one a facet: levels, rates, means, percentiles.

Keeps what an increase is measured from: the last point of every series, and the last bucket vector of every histogram.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aiops.columns import CUMULATIVE, SUM
from aiops.detect.bucket_vectors import BucketVectors
from aiops.detect.metric_rows import MergedRows, cells_at
from aiops.detect.retention import Kept, refitted
from aiops.detect.values import LEVEL, MEAN, P95, PREVIOUS, RATE, increases, levels

if TYPE_CHECKING:
    from aiops.wire.tables import SeriesInfo

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


class Values(NamedTuple):
    """``level`` (int64), ``time`` (int64, Unix ns) and ``value`` (float64, finite), all of shape (n,); each level once."""

    level: I64
    time: I64
    value: F64


class MetricValues:
    """By series code."""

    def __init__(self) -> None:
        self._size = 0
        self._previous: NDArray[np.void] = np.zeros(64, PREVIOUS)
        self._temporality: NDArray[np.int64] = np.zeros(64, np.int64)
        self._summed: NDArray[np.bool_] = np.zeros(64, bool)  # is the value itself what is counted?
        self._vectors = BucketVectors()

    def learn(self, info: SeriesInfo) -> None:
        """The next series."""
        if self._size >= len(self._previous):
            self._previous = np.concatenate([self._previous, np.zeros_like(self._previous)])
            self._temporality = np.concatenate([self._temporality, np.zeros_like(self._temporality)])
            self._summed = np.concatenate([self._summed, np.zeros_like(self._summed)])
        self._temporality[self._size], self._summed[self._size] = info.temporality, info.kind == SUM
        self._size += 1
        self._vectors.learn(info.bounds, info.temporality == CUMULATIVE)

    def of(self, codes: NDArray[np.int32], merged: MergedRows, there: I64, facet: I64) -> Values:
        """Values of the series `codes`, whose cells are the rows `there` of a window.

        Parameters
        ----------
        codes : int32 array, shape (n,), each once;  there : int64 array, shape (n,)
        facet : int64 array, shape (n, facets)
            Level of each facet of each series, -1 = there is none.
        """
        cells = cells_at(merged.cells, there)
        out: list[tuple[I64, I64, F64]] = []
        plain = np.flatnonzero(facet[:, LEVEL] >= 0)
        out.append((facet[plain, LEVEL], cells["last_time"][plain], levels(cells_at(cells, plain))))
        counted = np.flatnonzero(facet[:, RATE:].max(1, initial=-1) >= 0)
        if len(counted):
            some, c, of = codes[counted], cells_at(cells, counted), facet[counted]
            n = len(some)
            value, count, seconds, whole = np.empty(n), np.empty(n), np.empty(n), np.empty(n, bool)
            increases(c, some, self._previous, self._temporality[some], value, count, seconds, whole)
            ok = np.isfinite(seconds) & (seconds > 0)
            summed = self._summed[some]
            rate = np.where(summed, value, count)
            out.append(_facet(of[:, RATE], ok, c, np.divide(rate, seconds, out=np.zeros(n), where=ok)))
            mean = ok & ~summed & (count > 0) & np.isfinite(value)
            out.append(_facet(of[:, MEAN], mean, c, np.divide(value, count, out=np.zeros(n), where=mean)))
            bucketed = np.flatnonzero(of[:, P95] >= 0)
            if len(bucketed):
                p95 = self._vectors.percentiles(
                    some[bucketed],
                    whole[bucketed],
                    merged.bucket_offsets,
                    merged.buckets,
                    there[counted[bucketed]],
                    0.95,
                )
                good = ok[bucketed] & np.isfinite(p95)
                out.append(_facet(of[bucketed, P95], good, cells_at(c, bucketed), p95))
        value = np.concatenate([o[2] for o in out])
        finite = np.isfinite(value)
        level, time = np.concatenate([o[0] for o in out]), np.concatenate([o[1] for o in out])
        return Values(level[finite].astype(np.int64), time[finite].astype(np.int64), value[finite])

    def keep(self, series: Kept) -> None:
        """Only these series stay."""
        n = self._size
        self._previous = refitted(self._previous[:n], series, 0)
        self._temporality = refitted(self._temporality[:n], series, 0)
        self._summed = refitted(self._summed[:n], series, False)
        self._vectors.keep(series)
        self._size = len(series.rows)

    def state(self) -> dict[str, Any]:
        """For a snapshot; who restores it has told the series anew."""
        return {"previous": self._previous[: self._size], "vectors": self._vectors.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self._previous[: self._size] = state["previous"]
        self._vectors.restore(state["vectors"])


def _facet(level: I64, ok: NDArray[np.bool_], cells: NDArray[np.void], value: F64) -> tuple[I64, I64, F64]:
    some = np.flatnonzero(ok & (level >= 0))
    return level[some], cells["last_time"][some], value[some]
