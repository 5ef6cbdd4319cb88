"""Metric rows <-> columns: only the descriptions that the rows use, each once, in the order in which the rows name them.

A series is a row of (metric, entity, attributes).  Metrics (name, unit, kind, temporality, monotonic, bounds) and entities
are few; attributes are the bytes that came, framed as ``aiops.wire.attributes.AttributeArena`` keeps them, and a
description is decoded only when it is asked for.  Cells are in ``codec_cells``, buckets in ``codec_buckets``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from aiops.columns import EXPONENTIAL, KINDS
from aiops.signals import MetricRows
from aiops.wire.attributes import unframed
from aiops.wire.buckets import GRID
from aiops.wire.resources import Entity
from aiops.wire.tables import Series, SeriesInfo
from aiops.wire.values import worded
from streams import codec_frame as frame
from streams import codec_kernels as kernels
from streams.codec_buckets import BucketsBody, buckets_body, read_buckets
from streams.codec_cells import BUCKETS, CellsBody, cells_body, read_cells
from streams.codec_frame import CodecError

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


class Metric(msgspec.Struct, frozen=True, array_like=True):
    """What all series of a metric have in common; `bounds`: little-endian doubles."""

    name: bytes
    unit: bytes
    kind: int
    temporality: int
    monotonic: bool
    bounds: bytes


class MetricBody(msgspec.Struct):
    """One ``MetricRows`` of `n` series."""

    n: int
    series: memoryview
    metrics: list[Metric]
    metric: memoryview
    entities: list[tuple[str, str, str, str, str, bool]]
    entity: memoryview
    set_lengths: memoryview
    sets: memoryview
    attributes: memoryview
    cells: CellsBody
    buckets: BucketsBody | None


class DescribedSeries:
    """The series of one message, as detect reads them from ``MetricRows.table``: code = row.

    Attributes
    ----------
    metrics : list of Metric;  metric : int32 array, shape (n,)
    entities : list of Entity;  entity : int32 array, shape (n,)
    data, edges : uint8 array and int64 array: distinct sets of attributes;  attributes : int32 array, shape (n,)
    """

    __slots__ = ("_of_metric", "_of_set", "attributes", "data", "edges", "entities", "entity", "metric", "metrics")

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
        self._of_metric: dict[
            int, tuple[Any, ...]
        ] = {}  # what was decoded: series that are new at once share most of it
        self._of_set: dict[int, tuple[tuple[str, str], ...]] = {}

    @property
    def temporality(self) -> NDArray[np.int8]:
        """By code: int8, shape (n,)."""
        return np.array([metric.temporality for metric in self.metrics], np.int8).take(self.metric)

    def __len__(self) -> int:
        return len(self.metric)

    def entity_of(self, code: int) -> Entity:
        """What a series is about, and where that runs."""
        return self.entities[int(self.entity[code])]

    def describe(self, code: int) -> SeriesInfo:
        """Decode one series."""
        if not 0 <= code < len(self):
            raise IndexError(f"series {code} is not one of {len(self)}")
        number, place = int(self.metric[code]), int(self.attributes[code])
        if (about := self._of_metric.get(number)) is None:
            about = self._of_metric[number] = _about(self.metrics[number])
        if (attributes := self._of_set.get(place)) is None:
            found = unframed(self.data[self.edges[place] : self.edges[place + 1]].tobytes())
            attributes = tuple(sorted(said for raw in found if (said := worded(raw)) is not None))
            self._of_set[place] = attributes
        return SeriesInfo._make((*self.entities[self.entity[code]][:3], *about, attributes))


def _about(metric: Metric) -> tuple[Any, ...]:
    """Name, unit, kind, temporality, monotonic and bounds, as in ``SeriesInfo``."""
    bounds = GRID if metric.kind == EXPONENTIAL else np.frombuffer(metric.bounds, "<f8")
    name, unit = metric.name.decode("utf-8", "replace"), metric.unit.decode("utf-8", "replace")
    return name, unit, metric.kind, metric.temporality, metric.monotonic, tuple(bounds.tolist())


class SeriesColumns(NamedTuple):
    """What the codes of ``MetricRows`` stand for, by columns: to describe 100,000 series one by one would take seconds.

    Attributes
    ----------
    metric, entity, attributes : int32 arrays, by code of a series
        Metric, entity and set of attributes.
    metrics : int
        How many the codes of `metric` are of.
    entities : list of Entity
    data, edges : uint8 array, int64 array
        Sets of attributes: set k is ``data[edges[k] : edges[k + 1]]``.
    """

    metric: I32
    entity: I32
    attributes: I32
    metrics: int
    entities: list[Entity]
    data: NDArray[np.uint8]
    edges: I64


def columns_of(table: Any) -> SeriesColumns:
    """Of a sender's table, or of one that came with a message."""
    if isinstance(table, DescribedSeries):
        return SeriesColumns(
            table.metric, table.entity, table.attributes, len(table.metrics), table.entities, table.data, table.edges
        )
    if not isinstance(table, Series):
        raise TypeError(f"metric rows described by a {type(table).__name__} cannot be encoded")
    sets, metrics = table.sets, len(table.of_metric)
    return SeriesColumns(table.metric, table.resource, table.attributes, metrics, table.entities, sets.data, sets.edges)


# ---- encode -------------------------------------------------------------------------------------------------------------
def metric_body(rows: MetricRows, window: int, at: I64 | None = None) -> MetricBody:
    """The columns of the rows `at`, in ascending order, or of all, of the window that starts at `window` (Unix ns)."""
    if at is None:
        at = np.arange(len(rows.series))
    table, codes = columns_of(rows.table), rows.codes[at]
    distinct, metric = kernels.renumbered_at(table.metric, codes, table.metrics)
    metrics, metric = _once(_metrics(rows.table, distinct), metric)
    distinct, entity = kernels.renumbered_at(table.entity, codes, len(table.entities))
    entities, entity = _once([table.entities[k] for k in distinct.tolist()], entity)
    sets, attributes = kernels.renumbered_at(table.attributes, codes, len(table.edges) - 1)
    lengths = table.edges[sets + 1] - table.edges[sets]
    arena = kernels.gathered(table.data, table.edges, sets, lengths.sum())
    return MetricBody(
        len(at), frame.raw(rows.series[at], "<u8"), metrics, frame.raw_codes(metric, len(metrics)), entities,
        frame.raw_codes(entity, len(entities)), frame.raw(lengths, "<u4"), arena.data,
        frame.raw_codes(attributes, len(sets)), cells_body(rows.cells, at, rows.bucket_offsets, window),
        buckets_body(rows.buckets, rows.bucket_offsets, at),
    )  # fmt: skip


def _metrics(table: Any, numbers: I32) -> list[Metric]:
    if isinstance(table, DescribedSeries):
        return [table.metrics[k] for k in numbers.tolist()]
    raw, first = table.names.raw, table.of_metric[numbers]
    columns = (table.about[first, 1:], table.kind[first], table.temporality[first], table.monotonic[first])
    out = []
    for (name, unit, bounds), kind, temporality, monotonic in zip(*(c.tolist() for c in columns), strict=True):
        edges = _doubles(table.bounds[bounds]) if bounds >= 0 else b""
        out.append(Metric(raw[name], raw[unit], kind, temporality, monotonic, edges))
    return out


@lru_cache(1024)  # most histograms have the bounds of others
def _doubles(bounds: tuple[float, ...]) -> bytes:
    return np.array(bounds, "<f8").tobytes()


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
    series = frame.array("metrics.series", body.series, "<u8", n)  # which says that there are as many
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
    cells, flags = read_cells(body.cells, n, window)
    buckets, offsets = read_buckets(body.buckets, flags, BUCKETS)
    return MetricRows(series, np.arange(n, dtype=np.int32), cells, offsets, buckets, table)
