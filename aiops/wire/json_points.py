"""Metric points of OTLP JSON -> columns, one ``PointColumns`` for each of the five kinds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiops.columns import EXPONENTIAL, GAUGE, HISTOGRAM, SUM
from aiops.wire.json_schema import KeyValue
from aiops.wire.json_values import Canonical, double, double_list, integer, signed32, unsigned, unsigned_list
from aiops.wire.layout import frozen, packed
from aiops.wire.metrics import NO_RECORDED_VALUE, Explicit, Exponential, Points

_INT64 = (-(2**63), 2**63)


class PointColumns:
    """Points of one kind, column by column; what a refused payload has left is cut off again."""

    def __init__(self, kind: int, canonical: Canonical) -> None:
        self.kind, self._canonical = kind, canonical
        self._about: list[tuple[int, int, bool]] = []  # metric, temporality, monotonic
        self._metric: list[int] = []
        self._time: list[int] = []
        self._start: list[int] = []
        self._value: list[float] = []
        self._count: list[int] = []
        self._stale: list[int] = []
        self._attributes: list[bytes] = []
        self._attribute_end: list[int] = []
        self._counts: list[int] = []  # of histograms, or positive ones of exponential histograms
        self._count_end: list[int] = []
        self._bounds: list[float] = []
        self._bound_end: list[int] = []
        self._negative: list[int] = []
        self._negative_end: list[int] = []
        self._scale: list[int] = []
        self._zero: list[int] = []
        self._first: list[int] = []
        self.lists: list[list[Any]] = [v for v in vars(self).values() if isinstance(v, list)]

    def take(self, metric: int, data: Any) -> None:
        """Add the points of one metric.  Raises ``MalformedError`` with the path from the metric's data on."""
        temporality = signed32(getattr(data, "aggregation_temporality", None), ".aggregationTemporality")
        self._about.append((metric, temporality, bool(getattr(data, "is_monotonic", None))))
        number = self.kind in (GAUGE, SUM)
        for i, x in enumerate(data.data_points or ()):
            here = f".dataPoints[{i}]"
            self._metric.append(metric)
            self._time.append(unsigned(x.time_unix_nano, f"{here}.timeUnixNano"))
            self._start.append(unsigned(x.start_time_unix_nano, f"{here}.startTimeUnixNano"))
            stale = integer(x.flags, 0, 1 << 32, f"{here}.flags") & NO_RECORDED_VALUE if x.flags is not None else 0
            if number:
                if x.as_double is not None:
                    self._value.append(double(x.as_double, f"{here}.asDouble"))
                elif x.as_int is not None:
                    self._value.append(float(integer(x.as_int, *_INT64, f"{here}.asInt")))
                else:
                    self._value.append(0.0)
                    stale = 1
            else:
                self._distribution(x, here)
            self._stale.append(stale)
            if x.attributes:
                self._pairs(x.attributes, here)
            self._attribute_end.append(len(self._attributes))

    def _pairs(self, attributes: list[KeyValue], path: str) -> None:
        pair = self._canonical.pair
        for i, attribute in enumerate(attributes):
            self._attributes.append(pair(attribute, path, i))

    def _distribution(self, x: Any, here: str) -> None:
        absent = math.nan if self.kind in (HISTOGRAM, EXPONENTIAL) else 0.0
        self._value.append(double(x.sum, f"{here}.sum") if x.sum is not None else absent)
        self._count.append(unsigned(x.count, f"{here}.count"))
        if self.kind == HISTOGRAM:
            if x.bucket_counts:
                self._counts += unsigned_list(x.bucket_counts, f"{here}.bucketCounts")
            if x.explicit_bounds:
                self._bounds += double_list(x.explicit_bounds, f"{here}.explicitBounds")
            self._count_end.append(len(self._counts))
            self._bound_end.append(len(self._bounds))
        elif self.kind == EXPONENTIAL:
            self._scale.append(signed32(x.scale, f"{here}.scale"))
            self._zero.append(unsigned(x.zero_count, f"{here}.zeroCount"))
            first = 0
            for side, counts, ends in (
                ("positive", self._counts, self._count_end),
                ("negative", self._negative, self._negative_end),
            ):
                if (buckets := getattr(x, side)) is not None:
                    offset = signed32(buckets.offset, f"{here}.{side}.offset")
                    first = offset if side == "positive" else first
                    if buckets.bucket_counts:
                        counts += unsigned_list(buckets.bucket_counts, f"{here}.{side}.bucketCounts")
                ends.append(len(counts))
            self._first.append(first)

    def columns(self, n_metrics: int) -> Points:
        """All points taken so far."""
        temporality, monotonic = np.zeros(n_metrics, np.int32), np.zeros(n_metrics, np.bool_)
        for metric, given, rising in self._about:
            temporality[metric], monotonic[metric] = given, rising
        buckets: Explicit | Exponential | None = None
        if self.kind == HISTOGRAM:
            buckets = Explicit(
                counts=array(self._counts, np.uint64),
                count_offsets=offsets(self._count_end),
                bounds=array(self._bounds, np.float64),
                bound_offsets=offsets(self._bound_end),
            )
        elif self.kind == EXPONENTIAL:
            buckets = Exponential(
                scale=array(self._scale, np.int32),
                zero=array(self._zero, np.uint64),
                positive=array(self._counts, np.uint64),
                positive_offsets=offsets(self._count_end),
                positive_first=array(self._first, np.int32),
                negative=array(self._negative, np.uint64),
                negative_offsets=offsets(self._negative_end),
            )
        n = len(self._metric)
        return Points(
            kind=self.kind,
            metric=np.array(self._metric, np.int32),
            time=np.array(self._time, np.uint64),
            start=np.array(self._start, np.uint64),
            value=np.array(self._value, np.float64),
            count=np.ones(n) if self.kind in (GAUGE, SUM) else np.array(self._count, np.uint64).astype(np.float64),
            stale=np.array(self._stale, np.bool_),
            attributes=packed(self._attributes),
            attribute_offsets=offsets(self._attribute_end),
            temporality=temporality,
            monotonic=monotonic,
            buckets=buckets,
        )


def offsets(ends: list[int]) -> NDArray[np.int32]:
    """Ends of consecutive lists -> their offsets: int32, shape (n + 1,)."""
    out = np.zeros(len(ends) + 1, np.int32)
    out[1:] = ends
    return frozen(out)  # type: ignore[no-any-return]


def array(values: list[Any], dtype: Any) -> NDArray[Any]:
    """A column."""
    return frozen(np.array(values, dtype))  # type: ignore[no-any-return]
