"""Metric rows <-> columns: only the descriptions that the rows use, each once, in the order in which the rows name them.

A series is a row of (metric, entity, attributes).  Metrics (name, unit, kind, temporality, monotonic, bounds) and entities
are few; attributes are the bytes that came, framed as ``aiops.wire.attributes.AttributeArena`` keeps them, and a
description is decoded only when it is asked for.  Cells that one point explains to the last bit are sent as that point.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from aiops.columns import EXPONENTIAL, KINDS
from aiops.signals import CELL, WINDOW, MetricRows
from aiops.wire.attributes import unframed
from aiops.wire.buckets import GRID
from aiops.wire.resources import Entity
from aiops.wire.tables import Series, SeriesInfo
from aiops.wire.values import pair, text
from streams import codec_frame as frame
from streams import codec_kernels as kernels
from streams.codec_frame import CodecError

I32 = NDArray[np.int32]
_WORDS = CELL.itemsize // 8


class Metric(msgspec.Struct, frozen=True, array_like=True):
    """What all series of a metric have in common; `bounds`: little-endian doubles."""

    name: bytes
    unit: bytes
    kind: int
    temporality: int
    monotonic: bool
    bounds: bytes


class MetricBody(msgspec.Struct):
    """One ``MetricRows``; `n` series, of which `plain` are marked as single points."""

    n: int
    series: memoryview
    metrics: list[Metric]
    metric: memoryview
    entities: list[tuple[str, str, str]]
    entity: memoryview
    set_lengths: memoryview
    sets: memoryview
    attributes: memoryview
    plain: memoryview
    times: memoryview
    values: memoryview
    counts: memoryview
    starts: memoryview
    cells: memoryview
    bucket_lengths: memoryview
    buckets: memoryview


class DescribedSeries:
    """The series of one message, as detect reads them from ``MetricRows.table``: code = row.

    Attributes
    ----------
    metrics : list of Metric;  metric : int32 array, shape (n,)
    entities : list of Entity;  entity : int32 array, shape (n,)
    data, edges : uint8 array and int64 array: distinct sets of attributes;  attributes : int32 array, shape (n,)
    temporality : int8 array, shape (n,)
    """

    __slots__ = ("attributes", "data", "edges", "entities", "entity", "metric", "metrics", "temporality")

    def __init__(
        self,
        metrics: list[Metric],
        metric: I32,
        entities: list[Entity],
        entity: I32,
        data: NDArray[np.uint8],
        edges: NDArray[np.int64],
        attributes: I32,
    ) -> None:
        self.metrics, self.metric, self.entities, self.entity = metrics, metric, entities, entity
        self.data, self.edges, self.attributes = data, edges, attributes
        self.temporality: NDArray[np.int8] = np.array([m.temporality for m in metrics], np.int8)[metric]

    def __len__(self) -> int:
        return len(self.metric)

    def describe(self, code: int) -> SeriesInfo:
        """Decode one series."""
        if not 0 <= code < len(self):
            raise IndexError(f"series {code} is not one of {len(self)}")
        metric, entity = self.metrics[self.metric[code]], self.entities[self.entity[code]]
        place = self.attributes[code]
        found = unframed(self.data[self.edges[place] : self.edges[place + 1]].tobytes())
        attributes = [decoded for raw in found if (decoded := pair(raw)) is not None]
        bounds = GRID if metric.kind == EXPONENTIAL else np.frombuffer(metric.bounds, "<f8")
        return SeriesInfo(
            entity.environment, entity.service, entity.instance, metric.name.decode("utf-8", "replace"),
            metric.unit.decode("utf-8", "replace"), metric.kind, metric.temporality, metric.monotonic,
            tuple(bounds.tolist()), tuple(sorted((key, text(value)) for key, value in attributes)),
        )  # fmt: skip


# ---- encode -------------------------------------------------------------------------------------------------------------
def metric_body(rows: MetricRows) -> MetricBody:
    """The columns of one ``MetricRows``, whose table is a sender's or a ``DescribedSeries``."""
    n, codes = len(rows.series), rows.codes
    metrics, metric, entities, entity, data, edges, place = _described(rows.table, codes)
    sets, attributes, size = kernels.distinct_sets(data, edges, place)
    arena, lengths = kernels.gathered(data, edges, sets, size)
    cells = np.ascontiguousarray(rows.cells)
    words = cells.view(np.uint64).reshape(n, _WORDS)
    one, plain = np.zeros(1, CELL), np.empty(n, np.uint8)
    m = int(kernels.plain_cells(cells, words, one, one.view(np.uint64).reshape(1, _WORDS), plain))
    time, start = np.empty(m, np.int64), np.empty(m, np.int64)
    value, count = np.empty(m), np.empty(m)
    rest = np.empty((n - m, _WORDS), np.uint64)
    kernels.split_cells(cells, words, plain, time, value, count, start, rest)
    buckets = rows.bucket_offsets
    has_buckets = len(buckets) > 1 and buckets[-1] > buckets[0]
    return MetricBody(
        n, frame.raw(rows.series, "<u8"), metrics, frame.raw_codes(metric, len(metrics)), entities,
        frame.raw_codes(entity, len(entities)), frame.raw(lengths, "<u4"), arena.data,
        frame.raw_codes(attributes, len(sets)), plain.data, frame.raw(time, "<i8"), frame.raw(value, "<f8"),
        frame.raw(count, "<f8"), frame.raw(start, "<i8"), frame.raw(rest, "<u8"),
        frame.raw(np.diff(buckets), "<u4") if has_buckets else memoryview(b""),
        frame.raw(rows.buckets[buckets[0] : buckets[-1]], "<f8") if has_buckets else memoryview(b""),
    )  # fmt: skip


def _described(table: Any, codes: I32) -> tuple[Any, ...]:
    """Metrics, entities, and the attributes of the rows, in order of first sight."""
    if isinstance(table, DescribedSeries):
        distinct, metric = kernels.renumbered(table.metric[codes])
        metrics = [table.metrics[k] for k in distinct.tolist()]
        distinct, entity = kernels.renumbered(table.entity[codes])
        entities = [table.entities[k] for k in distinct.tolist()]
        return (*_once(metrics, metric), *_once(entities, entity), table.data, table.edges, table.attributes[codes])
    if not isinstance(table, Series):
        raise TypeError(f"metric rows described by a {type(table).__name__} cannot be encoded")
    # By columns: to describe 100,000 series one by one would take seconds.
    about, arena, raw = table.about[codes], table.attributes, table.names.raw
    of = np.empty((len(codes), 4), np.int32)
    of[:, :3] = about[:, 1:]
    of[:, 3] = table.kind[codes] | table.temporality[codes].astype(np.int32) << 8
    of[:, 3] |= table.monotonic[codes].astype(np.int32) << 16
    first, metric = kernels.distinct_rows(of)
    metrics = []
    for name, unit, bounds, flags in of[first].tolist():
        edges = table.bounds[bounds] if bounds >= 0 else ()
        metrics.append(
            Metric(
                raw[name], raw[unit], flags & 255, flags >> 8 & 255, bool(flags >> 16), np.array(edges, "<f8").tobytes()
            )
        )
    distinct, entity = kernels.renumbered(about[:, 0])
    entities = [table.entities[k] for k in distinct.tolist()]
    return (*_once(metrics, metric), *_once(entities, entity), arena.data, arena.edges, codes)


def _once(names: list[Any], place: I32) -> tuple[list[Any], I32]:
    """Equal entries under one code: what two codes of the sender stand for may be the same."""
    found: dict[Any, int] = {}
    to = [found.setdefault(name, len(found)) for name in names]
    if len(found) == len(names):
        return names, place
    return list(found), np.array(to, np.int32)[place]


# ---- decode -------------------------------------------------------------------------------------------------------------
def metric_rows(body: MetricBody, window: int) -> MetricRows:
    """The rows of a body, which are of the window that starts at `window` (Unix ns).

    Raises
    ------
    CodecError
    """
    n = body.n
    series = frame.array("metrics.series", body.series, "<u8", n)
    frame.rising("metrics.series", series)
    for number, metric in enumerate(body.metrics):
        if not (0 <= metric.kind < len(KINDS) and 0 <= metric.temporality < 3 and len(metric.bounds) % 8 == 0):
            raise CodecError(f"metrics.metrics[{number}] has kind {metric.kind}, temporality {metric.temporality}")
    sets = len(body.set_lengths) // 4
    data = frame.array("metrics.sets", body.sets, "<u1", len(body.sets))
    edges = frame.offsets("metrics.set_lengths", body.set_lengths, sets, len(data))
    bad = int(kernels.badly_framed(data, edges))
    if bad >= 0:
        raise CodecError(f"metrics.sets[{bad}] is no list of attributes")
    table = DescribedSeries(
        body.metrics,
        frame.codes("metrics.metric", body.metric, n, len(body.metrics)),
        [Entity(*names) for names in body.entities],
        frame.codes("metrics.entity", body.entity, n, len(body.entities)),
        data,
        edges,
        frame.codes("metrics.attributes", body.attributes, n, sets),
    )
    buckets = frame.array("metrics.buckets", body.buckets, "<f8", len(body.buckets) // 8)
    if len(body.bucket_lengths) or len(buckets):
        offsets = frame.offsets("metrics.bucket_lengths", body.bucket_lengths, n, len(buckets))
    else:
        offsets = np.zeros(n + 1, np.int64)
    return MetricRows(series, np.arange(n, dtype=np.int32), _cells(body, window), offsets, buckets, table)


def _cells(body: MetricBody, window: int) -> NDArray[np.void]:
    plain = frame.truths("metrics.plain", body.plain, body.n)
    m = int(np.count_nonzero(plain))
    times, starts = (
        frame.array("metrics.times", body.times, "<i8", m),
        frame.array("metrics.starts", body.starts, "<i8", m),
    )
    values, counts = (
        frame.array("metrics.values", body.values, "<f8", m),
        frame.array("metrics.counts", body.counts, "<f8", m),
    )
    rest = frame.array("metrics.cells", body.cells, "<u8", body.n - m, _WORDS)
    cells = np.empty(body.n, CELL)
    kernels.joined_cells(
        plain, times, values, counts, starts, rest, cells, cells.view(np.uint64).reshape(body.n, _WORDS)
    )
    points, stale = cells["points"], cells["stale_time"]
    frame.least("metrics.cells: points", points, 0)
    for name in ("first_time", "last_time"):
        frame.between(f"metrics.cells: {name}", cells[name][points > 0], window, window + WINDOW)
    frame.between("metrics.cells: stale_time", stale[stale != 0], window, window + WINDOW)
    return cells
