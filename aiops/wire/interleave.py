"""Batches of two encodings -> one batch in the order in which the messages came."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from aiops.columns import LogBatch, MetricBatch, Slices, SpanBatch
from aiops.wire.metrics import joined
from aiops.wire.tables import Tables

Batch = TypeVar("Batch", LogBatch, MetricBatch, SpanBatch)


def by_message(batches: list[Batch], tables: Tables) -> Batch:
    """All rows, ordered by message; metric points by kind first."""
    first, some = batches[0], cast("list[Any]", batches)
    message = np.concatenate([batch.message for batch in batches])
    if isinstance(first, MetricBatch):
        points = joined(some)
        return _points(points, np.lexsort((message, tables.series.kind[points.series])))
    order = np.argsort(message, kind="stable")
    columns: dict[str, Any] = {}
    for field in fields(first):
        parts: list[Any] = [getattr(batch, field.name) for batch in batches]
        if isinstance(parts[0], Slices):
            data, start, end, base = [], [], [], 0
            for part in parts:
                data.append(part.data)
                start.append(part.start + np.int32(base))
                end.append(part.end + np.int32(base))
                base += len(part.data)
            columns[field.name] = Slices(np.concatenate(data), np.concatenate(start)[order], np.concatenate(end)[order])
        else:
            columns[field.name] = np.concatenate(parts)[order]
    return type(first)(**columns)


def _points(batch: MetricBatch, order: NDArray[np.intp]) -> MetricBatch:
    length = np.diff(batch.bucket_offsets)[order]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(length)])
    # Position of every bucket: where its point's buckets began, plus its place among them.
    source = np.repeat(batch.bucket_offsets[:-1][order] - offsets[:-1], length) + np.arange(offsets[-1])
    rest = {f.name: getattr(batch, f.name)[order] for f in fields(batch) if not f.name.startswith("bucket")}
    return MetricBatch(bucket_offsets=offsets, buckets=batch.buckets[source], **rest)
