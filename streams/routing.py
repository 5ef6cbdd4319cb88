"""Which partition of an internal topic a thing goes to: the same on every worker, for ever, for one key and number.

Trace items go by a keyed hash of the trace id, so that all of a trace meet.  Window rows go by that of (tenant,
environment, service), so that everything keyed to a service meets; edges and gaps by the callee's, because they are
judged there.  Findings go by that of (tenant, environment).  The hash is ``aiops.identity``'s, so a producer who does not
know the key cannot aim at one partition; the remainder by the number of partitions is the partition.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiops.identity import DEFAULT_KEY, hash_bytes
from aiops.signals import CELL, MetricRows, TraceRows, WindowRows
from aiops.traces.items import TraceItems
from aiops.wire.tables import Series
from streams import codec_kernels as kernels
from streams.codec_metrics import DescribedSeries

I64 = NDArray[np.int64]
_TABLES = ("operations", "peers", "shapes")  # of trace items: not columns


# ---- partitions ---------------------------------------------------------------------------------------------------------
def findings_partition(tenant: str, environment: str, n: int, key: int = DEFAULT_KEY) -> int:
    """Partition, of `n`, of all that is found in an environment."""
    return _partition((tenant, environment), n, key)


def service_partition(tenant: str, environment: str, service: str, n: int, key: int = DEFAULT_KEY) -> int:
    """Partition, of `n`, of all that is keyed to a service."""
    return _partition((tenant, environment, service), n, key)


def _partition(names: tuple[str, ...], n: int, key: int) -> int:
    return hash_bytes("\0".join(names).encode("utf-8", "surrogatepass"), key) % n


# ---- trace items --------------------------------------------------------------------------------------------------------
def split_items(items: TraceItems, n: int, key: int = DEFAULT_KEY) -> list[TraceItems | None]:
    """Trace items of each of `n` partitions, None where there are none; codes and tables stay those of `items`."""
    if n == 1:
        return [items]
    spans = [None] * n if items.spans is None else _split_columns(items.spans, n, key)
    logs = [None] * n if items.logs is None else _split_columns(items.logs, n, key)
    return [
        None if s is None and r is None else replace(items, spans=s, logs=r) for s, r in zip(spans, logs, strict=True)
    ]


def _split_columns(part: Any, n: int, key: int) -> list[Any]:
    """The columns of each partition: slices of columns that are gathered once."""
    partition = np.empty(len(part.trace), np.int64)
    kernels.trace_partitions(part.trace, n, np.uint64(key), partition)
    rows, starts = kernels.by_partition(partition, n)
    columns = {f.name: getattr(part, f.name) for f in fields(part)}
    ordered = {name: column if name in _TABLES else column.take(rows, axis=0) for name, column in columns.items()}
    out: list[Any] = []
    for low, high in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        some = {name: column if name in _TABLES else column[low:high] for name, column in ordered.items()}
        out.append(type(part)(**some) if high > low else None)
    return out


# ---- window rows --------------------------------------------------------------------------------------------------------
def split_rows(rows: WindowRows, n: int, key: int = DEFAULT_KEY) -> list[WindowRows]:
    """Window rows of each of `n` partitions, the totals in every one: each knows when an environment is silent."""
    if n == 1:
        return [rows]
    place = _Services(rows.tenant, n, key)
    out = [WindowRows(rows.source, rows.tenant, rows.window, dict(rows.totals)) for _ in range(n)]
    for part in rows.metrics:
        for p, some in enumerate(_split_metrics(part, place)):
            if some is not None:
                out[p].metrics.append(some)
    for row in rows.logs:
        out[place.of(row.environment, row.service)].logs.append(row)
    if rows.traces is not None:
        for p, traces in enumerate(_split_traces(rows.traces, place)):
            out[p].traces = traces
    return out


class _Services:
    """Partitions of the services that one window names, each hashed once."""

    def __init__(self, tenant: str, n: int, key: int) -> None:
        self.tenant, self.n, self.key = tenant, n, key
        self._of: dict[tuple[str, str], int] = {}

    def of(self, environment: str, service: str) -> int:
        found = self._of.get((environment, service))
        if found is None:
            found = self._of[environment, service] = service_partition(
                self.tenant, environment, service, self.n, self.key
            )
        return found


def _split_metrics(part: MetricRows, place: _Services) -> list[MetricRows | None]:
    entity, entities = _entities(part)
    distinct, codes = kernels.renumbered(entity)
    of = np.array([place.of(e.environment, e.service) for e in (entities[k] for k in distinct.tolist())], np.int64)
    rows, starts = kernels.by_partition(of[codes], place.n)
    out: list[MetricRows | None] = []
    words = np.ascontiguousarray(part.cells).view(np.uint64).reshape(len(codes), CELL.itemsize // 8)
    for low, high in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        some = rows[low:high]
        if not len(some):
            out.append(None)
            continue
        cells = np.empty(len(some), CELL)
        np.take(words, some, axis=0, out=cells.view(np.uint64).reshape(len(some), words.shape[1]))
        buckets, offsets = part.buckets[:0], np.zeros(len(some) + 1, np.int64)
        if len(part.buckets):
            first = part.bucket_offsets[some]
            lengths = part.bucket_offsets[some + 1] - first
            np.cumsum(lengths, out=offsets[1:])
            buckets = part.buckets[np.repeat(first - offsets[:-1], lengths) + np.arange(offsets[-1])]
        out.append(MetricRows(part.series[some], part.codes[some], cells, offsets, buckets, part.table))
    return out


def _entities(part: MetricRows) -> tuple[NDArray[np.int32], list[Any]]:
    """Code of each row's entity, and the entities."""
    table: Any = part.table
    if isinstance(table, DescribedSeries):
        return table.entity[part.codes], table.entities
    if not isinstance(table, Series):
        raise TypeError(f"metric rows described by a {type(table).__name__} cannot be split")
    return table.resource[part.codes], table._resources.entities  # noqa: SLF001 - to describe each series takes seconds


_BY_SERVICE = (("op", "op_counts"), ("duration", "duration_counts"), ("own", "own_counts"), ("call", "call_counts"))
_BY_CALLEE = (("edge", "edge_counts"), ("gap", "gap_counts"))


def _split_traces(rows: TraceRows, place: _Services) -> list[TraceRows | None]:
    owners = {name: getattr(rows, name)[:, 0] for name, _ in _BY_SERVICE}
    owners |= {name: getattr(rows, name)[:, 1] for name, _ in _BY_CALLEE}
    owners["visit"] = rows.visit
    used = np.unique(np.concatenate(list(owners.values())))
    of = np.array([place.of(*rows.services[k]) for k in used.tolist()], np.int64)
    chosen: list[dict[str, Any]] = [{} for _ in range(place.n)]
    for name, counts in (*_BY_SERVICE, *_BY_CALLEE, ("visit", "visit_counts")):
        order, starts = kernels.by_partition(of[np.searchsorted(used, owners[name])], place.n)
        for p, columns in enumerate(chosen):
            some = order[starts[p] : starts[p + 1]]
            columns[name], columns[counts] = getattr(rows, name)[some], getattr(rows, counts)[some]
            if name == "visit":
                columns["visit_hash"] = rows.visit_hash[some]
    out: list[TraceRows | None] = []
    for columns in chosen:
        if not any(len(columns[name]) for name in owners):
            out.append(None)
            continue
        visits = {key: rows.visit_events[key] for key in columns["visit_hash"].tolist()}
        events = {key: rows.events[key] for members in visits.values() for key, _ in members}
        out.append(
            TraceRows(services=rows.services, operations=rows.operations, visit_events=visits, events=events, **columns)
        )
    return out
