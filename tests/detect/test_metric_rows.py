"""Rows of several sources as one: against a plain implementation that takes one row after the other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from aiops.columns import CUMULATIVE, DELTA
from aiops.detect.metric_rows import cells_at, merge_rows
from aiops.ingest.exact_sums import add_to_sum, clear_sum
from aiops.ingest.metric_windows import compared_vectors, merge_cell
from aiops.signals import CELL, MetricRows

IDENTITIES = (77, 5, 1 << 63, 12, 900, 41)
TEMPORALITY = (0, DELTA, CUMULATIVE, CUMULATIVE, DELTA, 0)
TABLE: Any = SimpleNamespace(temporality=np.array(TEMPORALITY, np.int8))

Row = tuple[Any, tuple[float, ...]]  # a cell of shape (1,), and its buckets


# ---- the plain implementation -------------------------------------------------------------------------------------------
@njit
def _merge_first(cells, others):
    return merge_cell(cells[0], others[0])


def plainly_merged(a: Row, b: Row, delta: bool) -> Row:
    (one, x), (other, y) = a, b
    if not one["points"][0] or not other["points"][0]:
        out, vector = (other.copy(), y) if not one["points"][0] else (one.copy(), x)
        out["stale_time"] = max(one["stale_time"][0], other["stale_time"][0])
        return out, vector
    out = one.copy()
    later = int(_merge_first(out, other.copy()))
    if delta:
        return out, tuple(p + q for p, q in zip(x, y, strict=True)) if len(x) == len(y) else max(x, y, key=len)
    return out, y if (later or compared_vectors(np.array(y), np.array(x))) > 0 else x


def plain(parts: list[dict[int, Row]]) -> list[Any]:
    """Series, bits of the cell, buckets, and the part that describes the series: the first that has it."""
    found: dict[int, Row] = {}
    described: dict[int, int] = {}
    for number, part in enumerate(parts):
        for code, row in part.items():
            found[code] = plainly_merged(found[code], row, TEMPORALITY[code] == DELTA) if code in found else row
            described.setdefault(code, number)
    return sorted((IDENTITIES[code], cell.tobytes(), vector, described[code]) for code, (cell, vector) in found.items())


# ---- the same by arrays -------------------------------------------------------------------------------------------------
def as_rows(part: dict[int, Row]) -> MetricRows:
    codes = sorted(part, key=lambda code: IDENTITIES[code])
    vectors = [part[code][1] for code in codes]
    return MetricRows(
        np.array([IDENTITIES[code] for code in codes], np.uint64),
        np.array(codes, np.int32),
        np.concatenate([np.empty(0, CELL), *(part[code][0] for code in codes)]),
        np.cumsum([0, *map(len, vectors)]).astype(np.int64),
        np.array([n for vector in vectors for n in vector], np.float64),
        TABLE,
    )


def content(rows: list[MetricRows], found: Any) -> list[Any]:
    if found is None:
        return []
    out = []
    for k, identity in enumerate(found.series.tolist()):
        assert int(rows[found.source[k]].series[found.row[k]]) == identity, "it is described where it is said to be"
        vector = found.buckets[found.bucket_offsets[k] : found.bucket_offsets[k + 1]]
        out.append((identity, found.cells[k : k + 1].tobytes(), tuple(vector.tolist()), int(found.source[k])))
    return out


@njit
def _sum_of(cell, values):
    clear_sum(cell[0])
    for value in values:
        add_to_sum(cell[0], value)


def cell_of(values: list[float], first: int, last: int, start: int, stale: int) -> Any:
    cell = np.zeros(1, CELL)
    cell["stale_time"] = stale
    if values:
        _sum_of(cell, np.array(values))
        cell["points"] = len(values)
        cell["min"], cell["max"], cell["first"], cell["last"] = min(values), max(values), values[0], values[-1]
        cell["first_time"], cell["last_time"], cell["start"] = first, max(first, last), start
        cell["count"], cell["first_count"], cell["last_count"] = len(values), values[0] % 3, values[-1] % 3
    return cell


few = st.integers(0, 3)
numbers = st.sampled_from([0.0, 1.0, -1.0, 2.5, 1e300, 1e-300])
rows_ = st.tuples(
    st.builds(cell_of, st.lists(numbers, max_size=3), few, few, few, few),
    st.sampled_from([(), (0.0, 1.0, 2.0), (2.0, 0.0, 0.0), (1.0, 4.0, 3.0), (1.0, 7.0)]),
)
parts_ = st.lists(st.dictionaries(st.integers(0, len(IDENTITIES) - 1), rows_), max_size=4)


@settings(derandomize=True, max_examples=500, deadline=None)
@given(parts_)
def test_rows_are_merged_to_the_same_bits_as_one_after_the_other(parts):
    rows = [as_rows(part) for part in parts]
    before = [part.cells.tobytes() for part in rows]
    assert content(rows, merge_rows(rows)) == plain(parts)
    assert [part.cells.tobytes() for part in rows] == before, "what the sources hold is left alone"


@settings(derandomize=True, max_examples=200, deadline=None)
@given(parts_, st.sets(st.integers(0, len(IDENTITIES) - 1)))
def test_chosen_rows_are_those_of_the_whole(parts, wanted):
    rows = [as_rows(part) for part in parts]
    found = merge_rows(rows)
    if found is None:
        return
    some = np.array(sorted(k for k in wanted if k < len(found.series)), np.int64)
    whole = content(rows, found)
    assert content(rows, found.chosen(some)) == [whole[k] for k in some.tolist()]


@pytest.mark.parametrize("parts", [[], [{}], [{}, {}]])
def test_sources_without_a_row_give_none(parts):
    assert merge_rows([as_rows(part) for part in parts]) is None


def test_cells_at_rows_are_those_that_numpy_would_choose(rng):
    cells = rng.integers(0, 255, (50, CELL.itemsize), np.uint8).view(CELL).reshape(-1)
    rows = rng.integers(0, 50, 30)
    assert cells_at(cells, rows).tobytes() == cells[rows].tobytes()
    assert cells_at(cells[::2], rows // 2).tobytes() == cells[::2][rows // 2].tobytes(), "also of a view"
    assert len(cells_at(cells, rows[:0])) == 0
