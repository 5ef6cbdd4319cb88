"""Bucket vectors of histogram series -> percentiles of what was measured since the window before.

A cumulative series is compared with its last vector, which is kept in one array for all series: a window of many histograms
costs one kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.detect.retention import Kept, refitted
from aiops.detect.values import percentile

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


class BucketVectors:
    """Bounds, and the last vector where it is cumulative, of every series by code; series without buckets have no bounds."""

    _bounds_of: I64
    _cumulative: NDArray[np.bool_]
    _at: I64
    _length: I64

    _FIELDS: tuple[tuple[str, Any, int], ...] = (
        ("_bounds_of", np.int64, 0),
        ("_cumulative", np.bool_, 0),
        ("_at", np.int64, -1),  # where the last vector of a series begins, -1 = there is none
        ("_length", np.int64, 0),
    )

    def __init__(self) -> None:
        self._size = 0
        for name, dtype, empty in self._FIELDS:
            setattr(self, name, np.full(64, empty, dtype))
        self._data: F64 = np.empty(0)
        self._used = 0
        self._codes: dict[tuple[float, ...], int] = {}  # distinct bounds
        self._flat: tuple[F64, I64] | None = None  # the same as one array, and where each begins

    def __len__(self) -> int:
        return self._size

    def learn(self, bounds: tuple[float, ...], cumulative: bool) -> None:
        """The next series."""
        code = self._size
        if code >= len(self._at):
            for name, _, empty in self._FIELDS:
                array = getattr(self, name)
                setattr(self, name, np.concatenate([array, np.full_like(array, empty)]))
        self._size += 1
        self._cumulative[code] = cumulative
        before = len(self._codes)
        self._bounds_of[code] = self._codes.setdefault(bounds, before)
        if len(self._codes) > before:
            self._flat = None

    def _distinct_bounds(self) -> tuple[F64, I64]:
        if self._flat is None:
            edges = np.cumsum([0, *map(len, self._codes)]).astype(np.int64)
            self._flat = np.array([bound for bounds in self._codes for bound in bounds], np.float64), edges
        return self._flat

    def percentiles(
        self, series: NDArray[np.int32], whole: NDArray[np.bool_], offsets: I64, buckets: F64, rows: I64, q: float
    ) -> F64:
        """Quantile `q` of what each series measured since the window before, NaN where that is not known.

        Parameters
        ----------
        series : int32 array, shape (n,), each once
        whole : bool array, shape (n,)
            The vector itself is the increase: it counts from a reset on.
        offsets, buckets : int64 array and float64 array
            Vectors, and where each begins.
        rows : int64 array, shape (n,)
            Which of the vectors belongs to each series.
        """
        more = int((offsets[rows + 1] - offsets[rows]).sum())
        if self._used + more > len(self._data):
            self._compact(more)
        out = np.empty(len(series))
        bounds, edges = self._distinct_bounds()
        self._used = _percentiles(
            series, whole, offsets, buckets, rows, q, self._bounds_of, edges, bounds, self._cumulative, self._at,
            self._length, self._data, self._used, out,
        )  # fmt: skip
        return out

    def _compact(self, more: int) -> None:
        """Room for `more` numbers: vectors that changed their lengths have left holes."""
        lengths = np.where(self._at >= 0, self._length, 0)
        begin = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        data = np.empty(2 * (int(begin[-1]) + more))
        data[: begin[-1]] = self._data[_runs(self._at, lengths, begin)]
        self._at = np.where(self._at >= 0, begin[:-1], -1)
        self._data, self._used = data, int(begin[-1])

    def keep(self, series: Kept) -> None:
        """Only these series stay."""
        n, codes = self._size, list(self._codes)
        for name, _, empty in self._FIELDS:
            setattr(self, name, refitted(getattr(self, name)[:n], series, empty))
        self._size = len(series.rows)
        used, place = np.unique(self._bounds_of[: self._size], return_inverse=True)
        self._codes, self._flat = {codes[code]: k for k, code in enumerate(used.tolist())}, None
        self._bounds_of[: self._size] = place
        self._compact(0)

    def state(self) -> dict[str, Any]:
        """For a snapshot; who restores it has told the series anew."""
        self._compact(0)
        return {"at": self._at[: self._size], "length": self._length[: self._size], "data": self._data[: self._used]}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self._at[: self._size], self._length[: self._size] = state["at"], state["length"]
        self._data, self._used = state["data"], len(state["data"])


def _runs(at: I64, lengths: I64, begin: I64) -> I64:
    """Indices of runs of numbers that begin at `at`."""
    return np.repeat(at - begin[:-1], lengths) + np.arange(begin[-1])


@njit(nogil=True, cache=True)
def _percentiles(
    series: Any, whole: Any, offsets: Any, buckets: Any, rows: Any, q: Any, bounds_of: Any, edges: Any, bounds: Any,
    cumulative: Any, at: Any, length: Any, data: Any, used: Any, out: Any,
) -> Any:  # fmt: skip
    """Fill `out`, and keep the vectors of cumulative series; returns how much of `data` is used."""
    increase = np.empty(64)
    for k in range(len(series)):
        s, row = series[k], rows[k]
        counts = buckets[offsets[row] : offsets[row + 1]]
        n = len(counts)
        out[k] = np.nan
        if n > len(increase):
            increase = np.empty(2 * n)
        known = True
        for j in range(n):
            increase[j] = counts[j]
        if cumulative[s]:
            known = at[s] >= 0 and length[s] == n
            if known and not whole[k]:
                for j in range(n):
                    increase[j] -= data[at[s] + j]
            if not known:
                at[s], length[s] = used, n
                used += n
            for j in range(n):
                data[at[s] + j] = counts[j]
        of = bounds[edges[bounds_of[s]] : edges[bounds_of[s] + 1]]
        if known and n == len(of) + 1:
            out[k] = percentile(increase[:n], of, q)
    return used
