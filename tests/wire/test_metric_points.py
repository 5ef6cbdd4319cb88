"""What single metric points become."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aiops.wire import Tables, decode_metrics
from aiops.wire.lenient import STRICT
from aiops.wire.metrics import GRID, MAX_GRIDS


def decoded(kind, points, **data):
    request = STRICT["metrics"]()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    for name, value in data.items():
        setattr(getattr(metric, kind), name, value)
    for fields in points:
        getattr(metric, kind).data_points.add(**fields)
    batch, refused = decode_metrics([request.SerializeToString()], Tables())
    assert not refused
    return batch


def test_integers_and_doubles_are_values():
    batch = decoded("gauge", [{"as_int": -7}, {"as_double": 0.5}, {"as_int": 2**53}])
    assert batch.value.tolist() == [-7.0, 0.5, 2.0**53]
    assert batch.count.tolist() == [1.0, 1.0, 1.0]
    assert not batch.stale.any()


def test_a_series_that_ended_is_stale():
    nan = np.array([0x7FF0000000000002], np.uint64).view(np.float64)[0]
    batch = decoded(
        "gauge", [{"as_double": 1, "flags": 1}, {}, {"as_double": nan}, {"as_double": math.nan}, {"as_int": 1}]
    )
    assert batch.stale.tolist() == [True, True, True, False, False]


def test_times_beyond_int64_are_its_maximum():
    batch = decoded("sum", [{"time_unix_nano": 2**64 - 1, "start_time_unix_nano": 2**63}])
    assert (batch.time[0], batch.start[0]) == (2**63 - 1, 2**63 - 1)


@pytest.mark.parametrize(
    ("bounds", "counts", "kept"),
    [
        ([1, 2], [1, 2, 3], True), ([1, 2], [1, 2], False), ([1, 2], [1, 2, 3, 4], False), ([1, 2], [], False),
        ([2, 1], [1, 2, 3], False), ([1, 1], [1, 2, 3], False), ([math.nan], [1, 2], False),
        ([], [6], False), ([], [], False), ([-math.inf, math.inf], [0, 6, 0], True),
    ],
)  # fmt: skip
def test_a_histogram_keeps_count_and_sum_and_its_buckets_only_if_well_formed(bounds, counts, kept):
    batch = decoded("histogram", [{"count": 6, "sum": 9, "explicit_bounds": bounds, "bucket_counts": counts}])
    assert (batch.count[0], batch.value[0]) == (6, 9)
    assert batch.buckets.tolist() == (counts if kept else [])
    assert batch.bucket_offsets.tolist() == [0, len(batch.buckets)]


def test_a_histogram_without_a_sum_has_none():
    batch = decoded("histogram", [{"count": 6}])
    assert math.isnan(batch.value[0])


def test_exponential_buckets_move_to_the_grid():
    # scale 0: bucket 0 is (1, 2], bucket 1 is (2, 4]
    point = {
        "count": 9,
        "scale": 0,
        "zero_count": 2,
        "positive": {"bucket_counts": [3, 1]},
        "negative": {"bucket_counts": [3]},
    }
    batch = decoded("exponential_histogram", [point, {**point, "flags": 1}])
    cells = {i: n for i, n in enumerate(batch.buckets.tolist()) if n}
    assert cells == {0: 5.0, int(np.searchsorted(GRID, 2.0)): 3.0, int(np.searchsorted(GRID, 4.0)): 1.0}
    assert batch.bucket_offsets.tolist() == [0, 130, 130]


def test_a_message_of_very_many_exponential_points_loses_buckets_and_no_counts():
    batch = decoded("exponential_histogram", [{"count": 1, "zero_count": 1}] * (MAX_GRIDS + 3))
    assert batch.count.sum() == MAX_GRIDS + 3
    assert batch.buckets.sum() == MAX_GRIDS
    assert batch.bucket_offsets[-1] == batch.bucket_offsets[-4] == MAX_GRIDS * 130


def test_unknown_temporalities_count_as_not_given():
    tables = Tables()
    request = STRICT["metrics"]()
    for temporality in (0, 7, 2):
        total = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m").sum
        total.aggregation_temporality = temporality
        total.data_points.add(as_int=1)
    batch, _ = decode_metrics([request.SerializeToString()], tables)
    assert batch.series.tolist() == [0, 0, 1]
    assert tables.series.temporality.tolist() == [0, 2]
