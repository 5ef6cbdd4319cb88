"""What a stage hands on -> a value for each partition of an internal topic: the same on every worker, for ever.

Trace items go by a keyed hash of the trace id, so that all of a trace meet.  Window rows go by that of (tenant,
environment, service), so that everything keyed to a service meets; edges and gaps by the callee's, because they are
judged there.  Findings go by that of (tenant, environment).  The hash is ``aiops.identity``'s, so a producer who does not
know the key cannot aim at one partition; the remainder by the number of partitions is the partition.  Rows are told where
they go by their numbers, and are first copied as they are encoded.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiops.identity import DEFAULT_KEY, hash_bytes
from aiops.signals import LogRow, MetricRows, TraceRows, WindowRows
from aiops.traces.items import TraceItems
from streams import codec
from streams import codec_kernels as kernels
from streams.codec_items import Placed

I64 = NDArray[np.int64]


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
def items_values(items: TraceItems, n: int, key: int = DEFAULT_KEY) -> list[bytes | None]:
    """The value of trace items for each of `n` partitions, None where there is nothing to tell."""
    spans = None if items.spans is None else _by_trace(items.spans.trace, n, key)
    logs = None if items.logs is None else _by_trace(items.logs.trace, n, key)
    return codec.encode_placed(items, spans, logs, n)


def _by_trace(trace: NDArray[np.uint64], n: int, key: int) -> Placed:
    if n == 1:
        return Placed.whole(len(trace))
    rows, starts = kernels.by_partition(np.arange(n), kernels.trace_partitions(trace, n, np.uint64(key)), n)
    return Placed(rows, starts.tolist())


# ---- window rows --------------------------------------------------------------------------------------------------------
def rows_values(rows: WindowRows, n: int, key: int = DEFAULT_KEY) -> list[bytes]:
    """The value of window rows for each of `n` partitions.

    The totals are in every one: so each knows when an environment is silent.
    """
    if n == 1:
        return [codec.encode_rows(rows)]
    place = _Services(rows.tenant, n, key)
    metrics: list[list[tuple[MetricRows, I64]]] = [[] for _ in range(n)]
    for part in rows.metrics:
        for p, some in enumerate(_by_service(part, place)):
            if len(some):
                metrics[p].append((part, some))
    logs: list[list[LogRow]] = [[] for _ in range(n)]
    for row in rows.logs:
        logs[place.of(row.environment, row.service)].append(row)
    traces = [None] * n if rows.traces is None else _split_traces(rows.traces, place)
    return [codec.encode_some(rows, metrics[p], logs[p], traces[p]) for p in range(n)]


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


def _by_service(part: MetricRows, place: _Services) -> list[I64]:
    """Rows of each partition, in their order."""
    table = codec.columns_of(part.table)
    distinct, codes = kernels.renumbered_at(table.entity, part.codes, len(table.entities))
    entities = [table.entities[k] for k in distinct.tolist()]
    of = np.array([place.of(entity.environment, entity.service) for entity in entities], np.int64)
    rows, starts = kernels.by_partition(of, codes, place.n)
    return [rows[low:high] for low, high in pairwise(starts.tolist())]


_BY_SERVICE = (("op", "op_counts"), ("duration", "duration_counts"), ("own", "own_counts"), ("call", "call_counts"))
_BY_CALLEE = (("edge", "edge_counts"), ("gap", "gap_counts"), ("unseen", "unseen_counts"))


def _split_traces(rows: TraceRows, place: _Services) -> list[TraceRows | None]:
    owners = {name: getattr(rows, name)[:, 0] for name, _ in _BY_SERVICE}
    owners |= {name: getattr(rows, name)[:, 1] for name, _ in _BY_CALLEE}
    owners["visit"] = rows.visit
    used = np.unique(np.concatenate(list(owners.values())))
    of = np.array([place.of(*rows.services[k]) for k in used.tolist()], np.int64)
    chosen: list[dict[str, Any]] = [{} for _ in range(place.n)]
    for name, counts in (*_BY_SERVICE, *_BY_CALLEE, ("visit", "visit_counts")):
        order, starts = kernels.by_partition(of, np.searchsorted(used, owners[name]).astype(np.int32), place.n)
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
