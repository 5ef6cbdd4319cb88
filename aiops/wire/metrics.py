"""Points of all five kinds -> one ``MetricBatch`` with a dense series code for every point.

Series identity is (resource identity, metric name, kind, temporality, monotonicity, bucket bounds, point attributes),
whatever the order or the encoding of the attributes.  Only points of series never seen before cost Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.columns import MetricBatch, Slices
from aiops.identity import hash64, mix, murmur
from aiops.wire.buckets import CELLS, GRID, explicit_buckets, exponential_buckets, well_formed
from aiops.wire.tables import FreshPoints, Tables

__all__ = ["GRID", "Explicit", "Exponential", "Points", "RawMetrics", "finish_metrics"]

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
F64 = NDArray[np.float64]
NO_RECORDED_VALUE = 1  # bit 0 of DataPointFlags
MAX_GRIDS = 10_000  # exponential points of one message that keep buckets: a point is 2 bytes at least, its grid 1040
_STALE_NAN = np.uint64(0x7FF0000000000002)  # Prometheus' mark that a series ended; some bridges leave it in the value
_NO_NUMBERS: F64 = np.zeros(1)
_NO_COUNTS: U64 = np.empty(0, np.uint64)
_NO_BOUNDS: F64 = np.empty(0, np.float64)


class Explicit(NamedTuple):
    """Buckets of ``n`` histogram points: flat counts and bounds with their offsets (int32, shape (n + 1,))."""

    counts: U64
    count_offsets: I32
    bounds: F64
    bound_offsets: I32


class Exponential(NamedTuple):
    """Buckets of ``n`` exponential points: flat counts with their offsets (int32, shape (n + 1,)) and first indexes."""

    scale: I32
    zero: U64
    positive: U64
    positive_offsets: I32
    positive_first: I32
    negative: U64
    negative_offsets: I32


@dataclass(slots=True)
class Points:
    """``n`` points of one kind as an encoding delivers them.

    ``metric`` (int32) is a row of ``RawMetrics``; ``time`` and ``start`` are uint64 Unix ns; ``temporality`` (int32)
    and ``monotonic`` (bool) have one row a metric.
    """

    kind: int
    metric: I32
    time: U64
    start: U64
    value: F64
    count: F64
    stale: NDArray[np.bool_]
    attributes: Slices
    attribute_offsets: I32
    temporality: I32
    monotonic: NDArray[np.bool_]
    buckets: Explicit | Exponential | None


class RawMetrics(NamedTuple):
    """Metrics as an encoding delivers them: resources, and one row a metric in all columns but the first."""

    resource: Slices
    owner: I32
    message: I32
    name: Slices
    unit: Slices
    points: list[Points]


def clamped(time: U64) -> I64:
    """Unix ns as int64; what is beyond it becomes its maximum, which no arrival makes plausible."""
    if len(time) and int(time.max()) > 0x7FFF_FFFF_FFFF_FFFF:
        time = np.minimum(time, np.uint64(0x7FFF_FFFF_FFFF_FFFF))
    return time.view(np.int64)


def finish_metrics(raw: RawMetrics, tables: Tables) -> MetricBatch:
    """Series codes and bucket columns; rows are ordered by kind, then as they came."""
    resource = tables.resources.codes(raw.resource)[raw.owner]
    metric_hash = hash64(raw.name, tables.key) + tables.resources.identity[resource]
    parts = [_finish(points, metric_hash, resource, raw, tables) for points in raw.points if len(points.metric)]
    return joined(parts)


def joined(parts: list[MetricBatch]) -> MetricBatch:
    """The rows of several batches, one after the other."""
    if len(parts) == 1:
        return parts[0]
    offsets, base = [np.zeros(1, np.int64)], 0
    for part in parts:
        offsets.append(part.bucket_offsets[1:] + base)
        base += int(part.bucket_offsets[-1])

    def column(name: str, dtype: Any) -> NDArray[Any]:
        return np.concatenate([np.empty(0, dtype), *(getattr(part, name) for part in parts)])

    return MetricBatch(
        message=column("message", np.int32),
        series=column("series", np.int32),
        time=column("time", np.int64),
        start=column("start", np.int64),
        value=column("value", np.float64),
        count=column("count", np.float64),
        stale=column("stale", np.bool_),
        bucket_offsets=np.concatenate(offsets),
        buckets=column("buckets", np.float64),
    )


def _finish(points: Points, metric_hash: U64, resource: I32, raw: RawMetrics, tables: Tables) -> MetricBatch:
    n, series = len(points.metric), tables.series
    known = (points.temporality >= 0) & (points.temporality <= 2)
    temporality = np.where(known, points.temporality, 0).astype(np.int32)
    stale = points.stale | (points.value.view(np.uint64) == _STALE_NAN)
    offsets, buckets = np.zeros(n + 1, np.int64), np.empty(0)
    bounds, bound_offsets, bound_hashes = _NO_BOUNDS, np.zeros(1, np.int32), _NO_COUNTS
    if isinstance(points.buckets, Explicit):
        e = points.buckets
        bounds, bound_offsets = e.bounds, e.bound_offsets
        keep = well_formed(e.count_offsets, bounds, bound_offsets, stale)
        buckets = explicit_buckets(e.counts, e.count_offsets, keep, offsets)
        bound_hashes = np.empty(n, np.uint64)
        some = bounds if len(bounds) else _NO_NUMBERS
        _bound_hashes(some.view(np.uint8), some.view(np.uint64), bound_offsets, np.uint64(tables.key), bound_hashes)
    elif isinstance(points.buckets, Exponential):
        x, keep = points.buckets, ~stale & _within_limit(raw.message[points.metric])
        grid = np.zeros((int(np.count_nonzero(keep)), CELLS))
        exponential_buckets(
            x.scale, x.zero, x.positive, x.positive_offsets, x.positive_first, x.negative, x.negative_offsets,
            keep, grid,
        )  # fmt: skip
        np.cumsum(keep * np.int64(CELLS), out=offsets[1:])
        buckets = grid.reshape(-1)
    about = _about_hashes(tables.key)[points.kind + 8 * temporality + 64 * points.monotonic]
    identities = _series_hashes(
        series.hashes.of(points.attributes, points.attribute_offsets),
        points.attribute_offsets,
        points.metric,
        metric_hash + about,
        bound_hashes,
    )
    fresh = FreshPoints(
        points.metric, resource, raw.name, raw.unit, temporality, points.monotonic,
        points.attributes, points.attribute_offsets, bounds, bound_offsets, bound_hashes,
    )  # fmt: skip
    return MetricBatch(
        message=raw.message[points.metric],
        series=series.codes(identities, points.kind, fresh),
        time=clamped(points.time),
        start=clamped(points.start),
        value=points.value,
        count=points.count,
        stale=stale,
        bucket_offsets=offsets,
        buckets=buckets,
    )


def _within_limit(message: I32) -> NDArray[np.bool_]:
    """Which points are among the first ``MAX_GRIDS`` of their message; `message` ascends."""
    if len(message) <= MAX_GRIDS:
        return np.ones(len(message), np.bool_)
    return np.arange(len(message)) - np.searchsorted(message, message) < MAX_GRIDS


@lru_cache(maxsize=16)
def _about_hashes(key: int) -> U64:
    """Keyed hash of (kind, temporality, monotonicity), by their number."""
    return np.array([mix(np.uint64(key ^ (i + 1))) for i in range(128)], np.uint64)


@njit(nogil=True, cache=True)
def _bound_hashes(flat: Any, words: Any, offsets: Any, key: Any, out: Any) -> Any:
    # Neighbouring points mostly share their bounds: compare before hashing again.
    for i in range(len(out)):
        start, end = offsets[i], offsets[i + 1]
        same = i > 0 and end - start == start - offsets[i - 1]
        if same:
            for j in range(start, end):
                if words[j] != words[j - (end - start)]:
                    same = False
                    break
        out[i] = out[i - 1] if same else murmur(flat, start * 8, end * 8, key)


@njit(nogil=True, cache=True)
def _series_hashes(attribute_hash: Any, offsets: Any, metric: Any, metric_hash: Any, bound_hash: Any) -> Any:
    out = np.empty(len(metric), np.uint64)
    for point in range(len(out)):
        total = metric_hash[metric[point]]
        if len(bound_hash):
            total += bound_hash[point]
        total = mix(total)
        for i in range(offsets[point], offsets[point + 1]):
            total += attribute_hash[i]
        out[point] = mix(total)
    return out
