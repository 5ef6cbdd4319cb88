"""Points -> cells: whatever the order of the points, and however they are spread over sources."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.columns import CUMULATIVE, DELTA, MetricBatch
from aiops.detect.metric_rows import merge_rows
from aiops.detect.values import levels
from aiops.ingest.metric_windows import MetricWindow

IDENTITIES = (77, 5, 1 << 63, 12, 900)
TEMPORALITY = (0, DELTA, CUMULATIVE, CUMULATIVE, DELTA)


class Point(NamedTuple):
    series: int
    time: int
    value: float
    measured: float = 1.0
    start: int = 0
    stale: bool = False
    buckets: tuple[float, ...] = ()


class Table(SimpleNamespace):
    def __len__(self):
        return len(self.identity)

    @property
    def order(self):
        return np.argsort(self.identity)


def table() -> Any:
    return Table(identity=np.array(IDENTITIES, np.uint64), temporality=np.array(TEMPORALITY, np.int8))


def batch(points: list[Point]) -> MetricBatch:
    offsets = np.zeros(len(points) + 1, np.int64)
    np.cumsum([len(p.buckets) for p in points], out=offsets[1:])
    return MetricBatch(
        np.zeros(len(points), np.int32),
        np.array([p.series for p in points], np.int32),
        np.array([p.time for p in points], np.int64),
        np.array([p.start for p in points], np.int64),
        np.array([p.value for p in points], np.float64),
        np.array([p.measured for p in points], np.float64),
        np.array([p.stale for p in points], bool),
        offsets,
        np.array([b for p in points for b in p.buckets], np.float64),
    )


def rows(points: list[Point], size: int = 1000, room: int = 1):
    window = MetricWindow(table(), room)
    for i in range(0, len(points), size):
        b = batch(points[i : i + size])
        window.add(b, b.time, np.arange(len(b)))
    return window.rows()


def content(found: Any):
    """Everything about the rows but where they are described, as bytes."""
    series, cells, offsets, buckets = found[:4]
    return [
        (int(s), cells[i].tobytes(), buckets[offsets[i] : offsets[i + 1]].tobytes())
        for i, s in enumerate(series.tolist())
    ]


def merged(parts: list[list[Point]]):
    found = merge_rows([rows(part) for part in parts])
    return content(found) if found else []


def cell(points: list[Point]):
    out = rows(points)
    assert len(out.cells) == 1
    return out.cells[0], out.buckets.tolist()


values = st.sampled_from([0.0, -0.0, 1.0, -1.0, math.nan, math.inf, 1e300, -1e300, 1e-300, 5e-324, 0.1]) | st.floats()
points = st.builds(
    Point,
    series=st.integers(0, len(IDENTITIES) - 1),
    time=st.integers(1, 4),
    value=values,
    measured=st.integers(0, 3).map(float) | st.just(1e18),
    start=st.integers(0, 2),
    stale=st.sampled_from([False, False, False, True]),
    buckets=st.sampled_from([(), (0.0, 1.0, 2.0), (2.0, 0.0, 0.0), (1.0, 1e18, 3.0)]),
)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.lists(points, max_size=12).flatmap(lambda p: st.tuples(st.just(p), st.permutations(p))), st.data())
def test_no_order_batch_cut_or_spread_over_sources_changes_a_bit(two_orders, data):
    first, second = two_orders
    size = data.draw(st.integers(1, 5))
    source = data.draw(st.lists(st.integers(0, 2), min_size=len(first), max_size=len(first)))
    parts = [[p for p, s in zip(second, source, strict=True) if s == k] for k in range(3)]
    whole = merged([first])
    assert content(_as_merged(rows(second, size, 64))) == whole
    assert merged(parts) == whole
    assert merged(parts[::-1]) == whole


def _as_merged(r):
    return r.series, r.cells, r.bucket_offsets, r.buckets


def test_series_come_in_ascending_order_of_identity_however_many():
    found = rows([Point(s, 1, 1.0) for s in range(5)])
    assert found.series.tolist() == sorted(IDENTITIES)
    assert [IDENTITIES[c] for c in found.codes.tolist()] == sorted(IDENTITIES)


def test_a_cell_counts_its_points_and_keeps_least_greatest_first_and_last():
    found, _ = cell(
        [Point(0, t, v, measured=c, start=s) for t, v, c, s in [(5, 2.0, 7, 1), (3, 9.0, 4, 2), (8, -1.0, 5, 3)]]
    )
    names = ("points", "min", "max", "first_time", "first", "last_time", "last", "first_count", "last_count", "count")
    assert [float(found[n]) for n in names] == [3, -1.0, 9.0, 3, 9.0, 8, -1.0, 4, 5, 16]
    assert (found["start"], found["stale_time"]) == (3, 0)


def test_of_equal_times_the_greater_value_is_the_last_and_the_smaller_the_first():
    found, _ = cell([Point(0, 1, 2.0), Point(0, 1, 7.0), Point(0, 1, 5.0)])
    assert (found["first"], found["last"]) == (2.0, 7.0)


def test_of_equal_points_the_later_start_and_then_the_greater_vector_is_the_last():
    twins = [Point(2, 1, 2.0, 3.0, start, False, v) for start, v in [(7, (1.0, 2.0)), (9, (1.0, 0.0)), (9, (0.0, 5.0))]]
    for order in (twins, twins[::-1], [twins[1], twins[0], twins[2]]):
        found, vector = cell(order)
        assert (found["start"], vector) == (9, [1.0, 0.0])
        assert merged([[p] for p in order]) == merged([order])


def test_the_mean_is_that_of_the_exact_sum(rng):
    drawn = (rng.normal(size=500) * 10.0 ** rng.integers(-6, 7, 500)).tolist()
    found = rows([Point(0, t + 1, v) for t, v in enumerate(drawn)])
    assert levels(found.cells)[0] == pytest.approx(math.fsum(drawn) / 500, rel=1e-15)


def test_a_missing_sum_makes_the_sum_missing_and_leaves_least_and_greatest():
    found, _ = cell([Point(2, 1, math.nan, 3), Point(2, 2, 4.0, 5), Point(2, 3, 2.0, 9)])
    assert (found["min"], found["max"], found["last_count"]) == (2.0, 4.0, 9)
    assert np.isnan(levels(np.array([found]))[0])


def test_a_stale_marker_is_no_point_and_is_remembered():
    found, _ = cell([Point(0, 4, 1.0), Point(0, 9, 55.0, stale=True), Point(0, 6, 55.0, stale=True)])
    assert (found["points"], found["max"], found["stale_time"]) == (1, 1.0, 9)


def test_a_series_that_only_ends_has_a_cell_without_points():
    found = rows([Point(s, 2, 1.0, stale=True) for s in range(5)])
    assert found.cells["points"].tolist() == [0] * 5
    assert found.cells["first_time"].tolist() == [0] * 5, "nothing is left over from where the memory grew"


def test_delta_buckets_add_up():
    _, vector = cell([Point(1, t, 1.0, buckets=(1.0, 0.0, float(t))) for t in (1, 2, 3)])
    assert vector == [3.0, 0.0, 6.0]


def test_cumulative_buckets_are_those_of_the_last_point():
    three = [Point(2, t, 1.0, buckets=(1.0, 0.0, float(t))) for t in (2, 3, 1)]
    assert cell(three)[1] == [1.0, 0.0, 3.0]
    assert cell([*three, Point(2, 4, 1.0)])[1] == [], (
        "the last point has no buckets: an older vector would be no increase"
    )


def test_a_delta_series_keeps_its_buckets_where_one_point_has_none():
    assert cell([Point(1, 1, 1.0, buckets=(1.0, 2.0)), Point(1, 2, 1.0)])[1] == [1.0, 2.0]
