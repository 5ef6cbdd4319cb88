"""What ingest routes on by trace id: spans and log records of traces, as columns with the tables of their codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aiops.columns import ERROR_SEVERITY, LogBatch, SpanBatch
from aiops.signals import SECOND

LONGEST = 86_400 * SECOND  # a span that claims to have lasted longer has no start time


class NameTable(Protocol):
    """Names by code: the sender's own table, or what a message brought of it."""

    @property
    def raw(self) -> list[bytes]:
        """The bytes of each name."""


class ShapeTexts(Protocol):
    """Shapes of log lines by code: the sender's own table, or what a message brought of it."""

    @property
    def texts(self) -> list[bytes]:
        """Shape of each code."""

    @property
    def stems(self) -> list[bytes]:
        """First constant words of each shape."""

    def __len__(self) -> int: ...


@dataclass(slots=True)
class SpanColumns:
    """``n`` spans; int32 codes index `TraceItems.services` and `operations`.

    offset : int64 (n,), offset of the message it came in;  trace : uint64 (n, 2);  span, parent : uint64 (n,)
    service, name, kind : int32 (n,);  peer : int32 (n,), index of `peers`, -1 = none;  error : bool (n,)
    start, end : int64 (n,), Unix ns, start <= end
    """

    operations: NameTable
    peers: NameTable
    offset: NDArray[np.int64]
    trace: NDArray[np.uint64]
    span: NDArray[np.uint64]
    parent: NDArray[np.uint64]
    service: NDArray[np.int32]
    name: NDArray[np.int32]
    peer: NDArray[np.int32]
    kind: NDArray[np.int32]
    error: NDArray[np.bool_]
    start: NDArray[np.int64]
    end: NDArray[np.int64]


@dataclass(slots=True)
class LogColumns:
    """``n`` log records with a trace id; `shape` indexes `shapes`.

    offset : int64 (n,);  trace : uint64 (n, 2);  span : uint64 (n,);  service, shape : int32 (n,);  error : bool (n,)
    time : int64 (n,), Unix ns
    """

    shapes: ShapeTexts
    offset: NDArray[np.int64]
    trace: NDArray[np.uint64]
    span: NDArray[np.uint64]
    service: NDArray[np.int32]
    shape: NDArray[np.int32]
    error: NDArray[np.bool_]
    time: NDArray[np.int64]


@dataclass(slots=True)
class TraceItems:
    """Items of one source, in the order of its offsets.

    services : list of (environment, service);  a table of the sender, which only grows
    """

    source: str
    tenant: str
    services: list[tuple[str, str]]
    spans: SpanColumns | None = None
    logs: LogColumns | None = None


def trace_spans(
    source: str,
    tenant: str,
    batch: SpanBatch,
    end: NDArray[np.int64],
    service: NDArray[np.int32],
    services: list[tuple[str, str]],
    operations: NameTable,
    peers: NameTable,
    keep: NDArray[np.bool_],
    offsets: NDArray[np.int64],
) -> TraceItems | None:
    """Spans that are on time.

    Where `end` was replaced, the start moves with it; a start after the end is a length of 0.
    """
    if not keep.any():
        return None
    rows = slice(None) if keep.all() else np.flatnonzero(keep)
    length = np.where((batch.start > 0) & (batch.start < batch.end), batch.end - batch.start, 0)
    length = np.where(length < LONGEST, length, 0)
    return TraceItems(
        source, tenant, services,
        spans=SpanColumns(
            operations, peers, offsets[batch.message[rows]], batch.trace[rows], batch.span[rows], batch.parent[rows],
            service[rows], batch.name[rows], batch.peer[rows], batch.kind[rows], batch.error[rows],
            (end - length)[rows], end[rows],
        ),
    )  # fmt: skip


def trace_logs(
    source: str,
    tenant: str,
    batch: LogBatch,
    time: NDArray[np.int64],
    service: NDArray[np.int32],
    services: list[tuple[str, str]],
    shape: NDArray[np.int32],
    shapes: ShapeTexts,
    keep: NDArray[np.bool_],
    offsets: NDArray[np.int64],
) -> TraceItems | None:
    """Log records that are on time and name a trace."""
    rows = np.flatnonzero(keep & ((batch.trace[:, 0] | batch.trace[:, 1]) != 0))
    if not len(rows):
        return None
    return TraceItems(
        source, tenant, services,
        logs=LogColumns(
            shapes, offsets[batch.message[rows]], batch.trace[rows], batch.span[rows], service[rows], shape[rows],
            batch.severity[rows] >= ERROR_SEVERITY, time[rows],
        ),
    )  # fmt: skip
