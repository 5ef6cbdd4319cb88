"""Trace items <-> columns; names travel once a message, in the order in which the rows name them.

Most of what a span says it shares with others of its message: its trace, and what it does (service, name, peer, kind, error),
its *role*.  Both are written once, and a row says which; the offset of the message is written once for all that came in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from aiops.traces.items import LogColumns, SpanColumns, TraceItems
from streams import codec_columns as columns
from streams import codec_frame as frame
from streams import codec_kernels as kernels
from streams.codec_columns import Column
from streams.codec_frame import CodecError

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]

_NONE: I32 = np.empty(0, np.int32)
_NOTHING = memoryview(b"")


@dataclass(slots=True)
class DecodedNames:
    """Names of one message, as assemble reads them from ``SpanColumns``."""

    raw: list[bytes]


@dataclass(slots=True)
class DecodedShapes:
    """Shapes of one message, as assemble reads them from ``LogColumns``."""

    texts: list[bytes]
    stems: list[bytes]

    def __len__(self) -> int:
        return len(self.texts)


class Placed(NamedTuple):
    """Rows in the order of their partitions, and where each partition begins, the end of the last included."""

    rows: I64
    edges: list[int]

    @classmethod
    def whole(cls, n: int) -> Placed:
        """All `n` rows in one partition."""
        return cls(np.arange(n), [0, n])


class Shared(msgspec.Struct, array_like=True):
    """Pairs of 64 bits that rows share, and which of them each row has; without `places` each row has its own."""

    pairs: memoryview
    places: memoryview


class SpansBody(msgspec.Struct):
    """``n`` spans: the columns of ``SpanColumns``."""

    n: int
    operations: list[bytes]
    peers: list[bytes]
    offset: Column
    trace: Shared
    span: memoryview
    parent: memoryview
    role: Shared
    end: Column
    length: Column


class LogsBody(msgspec.Struct):
    """``n`` log records: the columns of ``LogColumns``."""

    n: int
    texts: list[bytes]
    stems: list[bytes]
    offset: Column
    trace: Shared
    span: memoryview
    role: Shared
    time: Column


class ItemsBody(msgspec.Struct):
    """One ``TraceItems``."""

    source: str
    tenant: str
    services: list[tuple[str, str]]
    spans: SpansBody | None
    logs: LogsBody | None


_decoder = msgspec.msgpack.Decoder(ItemsBody)


# ---- encode -------------------------------------------------------------------------------------------------------------
def encode_items(items: TraceItems) -> bytes:
    """Bytes of trace items; equal items give equal bytes whatever the codes of the sender's tables."""
    spans = None if items.spans is None else _Spans(items.spans, Placed.whole(len(items.spans.end))).part(0)
    logs = None if items.logs is None else _Logs(items.logs, Placed.whole(len(items.logs.time))).part(0)
    return _value(items, spans, logs)


def encode_placed(items: TraceItems, spans: Placed | None, logs: Placed | None, n: int) -> list[bytes | None]:
    """The same of the rows of each of `n` partitions, None where there are none."""
    of_spans = None if items.spans is None or spans is None else _Spans(items.spans, spans)
    of_logs = None if items.logs is None or logs is None else _Logs(items.logs, logs)
    out: list[bytes | None] = []
    for p in range(n):
        some = of_spans.part(p) if of_spans is not None and of_spans.size(p) else None
        others = of_logs.part(p) if of_logs is not None and of_logs.size(p) else None
        out.append(None if some is None and others is None else _value(items, some, others))
    return out


Body = TypeVar("Body", SpansBody, LogsBody)


class _Part(NamedTuple, Generic[Body]):
    """The rows of a partition, its roles but for their services, and these: codes of the sender."""

    body: Body
    roles: U64
    services: I32


def _value(items: TraceItems, spans: _Part[SpansBody] | None, logs: _Part[LogsBody] | None) -> bytes:
    parts: list[_Part[Any]] = [part for part in (spans, logs) if part is not None]
    used = parts[0].services if len(parts) == 1 else np.concatenate([_NONE, *(part.services for part in parts)])
    distinct, place = kernels.renumbered(used, len(items.services))
    for part in parts:  # both name services of one list
        kernels.role_services(part.roles, place[: len(part.services)])
        place = place[len(part.services) :]
    services = [items.services[k] for k in distinct.tolist()]
    body = ItemsBody(items.source, items.tenant, services, spans and spans.body, logs and logs.body)
    return frame.framed(frame.ITEMS, body)


class _Spans:
    """Spans in the order of their partitions."""

    def __init__(self, s: SpanColumns, placed: Placed) -> None:
        rows = placed.rows
        self._operations, self._peers, self._edges = s.operations.raw, s.peers.raw, placed.edges
        self._offset, self._trace = s.offset[rows], s.trace.take(rows, axis=0)
        self._span, self._parent, self._end = s.span[rows], s.parent[rows], s.end[rows]
        self._length = self._end - s.start[rows]
        self._role = kernels.role_pairs(rows, s.service, s.name, s.peer, s.kind, s.error)

    def size(self, p: int) -> int:
        return self._edges[p + 1] - self._edges[p]

    def part(self, p: int) -> _Part[SpansBody]:
        some = slice(self._edges[p], self._edges[p + 1])
        roles, places = _distinct(self._role[some])
        services, names, peers = kernels.role_names(roles, len(self._operations), len(self._peers))
        body = SpansBody(
            self.size(p), [self._operations[k] for k in names.tolist()], [self._peers[k] for k in peers.tolist()],
            columns.close(self._offset[some]), _shared(self._trace[some]), frame.raw(self._span[some], "<u8"),
            frame.raw(self._parent[some], "<u8"), Shared(frame.raw(roles, "<u8"), places), columns.close(self._end[some]),
            columns.close(self._length[some]),
        )  # fmt: skip
        return _Part(body, roles, services)


class _Logs:
    """Log records in the order of their partitions."""

    def __init__(self, r: LogColumns, placed: Placed) -> None:
        rows = placed.rows
        self._texts, self._stems, self._edges = r.shapes.texts, r.shapes.stems, placed.edges
        self._offset, self._trace = r.offset[rows], r.trace.take(rows, axis=0)
        self._span, self._time = r.span[rows], r.time[rows]
        nothing = np.zeros(len(r.time), np.int32)
        self._role = kernels.role_pairs(rows, r.service, r.shape, nothing - np.int32(1), nothing, r.error)

    def size(self, p: int) -> int:
        return self._edges[p + 1] - self._edges[p]

    def part(self, p: int) -> _Part[LogsBody]:
        some = slice(self._edges[p], self._edges[p + 1])
        roles, places = _distinct(self._role[some])
        services, shapes, _ = kernels.role_names(roles, len(self._texts), 0)
        used = shapes.tolist()
        body = LogsBody(
            self.size(p), [self._texts[k] for k in used], [self._stems[k] for k in used],
            columns.close(self._offset[some]), _shared(self._trace[some]), frame.raw(self._span[some], "<u8"),
            Shared(frame.raw(roles, "<u8"), places), columns.close(self._time[some]),
        )  # fmt: skip
        return _Part(body, roles, services)


def _distinct(pairs: U64) -> tuple[U64, memoryview]:
    """Each pair once, and which of them each row has; without places where there are too many."""
    first, place = kernels.distinct_pairs(pairs)
    if not 0 < 8 * len(first) <= 7 * len(pairs):
        return pairs, _NOTHING
    return pairs.take(first, axis=0), frame.raw_codes(place, len(first))


def _shared(pairs: U64) -> Shared:
    distinct, places = _distinct(pairs)
    return Shared(frame.raw(distinct, "<u8"), places)


# ---- decode -------------------------------------------------------------------------------------------------------------
def decode_items(data: bytes) -> TraceItems:
    """What ``encode_items`` was given; codes are those of tables that come with the message.

    Raises
    ------
    CodecError
    """
    return frame.opened(frame.ITEMS, data, _decoder, _items)


def _items(body: ItemsBody) -> TraceItems:
    services, spans, logs = body.services, body.spans, body.logs
    return TraceItems(
        body.source,
        body.tenant,
        services,
        None if spans is None else _read_spans(spans, len(services)),
        None if logs is None else _read_logs(logs, len(services)),
    )


def _read_spans(b: SpansBody, services: int) -> SpanColumns:
    n, span = b.n, frame.array("spans.span", b.span, "<u8", b.n)  # which says that there are as many
    end = columns.numbers("spans.end", b.end, n, 0)
    service, name, peer, kind, error = _read_roles("spans.role", b.role, n, services, len(b.operations), len(b.peers))
    return SpanColumns(
        DecodedNames(b.operations), DecodedNames(b.peers), _read_offset("spans.offset", b.offset, n),
        _read_shared("spans.trace", b.trace, n), span, frame.array("spans.parent", b.parent, "<u8", n), service, name,
        peer, kind, error, end - columns.numbers("spans.length", b.length, n, 0), end,
    )  # fmt: skip


def _read_logs(b: LogsBody, services: int) -> LogColumns:
    n, span = b.n, frame.array("logs.span", b.span, "<u8", b.n)
    frame.same("logs.stems", len(b.stems), len(b.texts), "logs.texts")
    service, shape, _, _, error = _read_roles("logs.role", b.role, n, services, len(b.texts), 0)
    return LogColumns(
        DecodedShapes(b.texts, b.stems), _read_offset("logs.offset", b.offset, n),
        _read_shared("logs.trace", b.trace, n), span, service, shape, error, columns.numbers("logs.time", b.time, n, 0),
    )  # fmt: skip


def _read_offset(field: str, column: Column, n: int) -> I64:
    """Offsets of messages, which never fall: what has been seen is told by them."""
    out = columns.numbers(field, column, n, 0)
    if n > 1 and bool((out[1:] < out[:-1]).any()):
        raise CodecError(f"{field} falls")
    return out


def _read_pairs(field: str, shared: Shared, n: int) -> tuple[U64, I32 | None]:
    """Pairs, and which of them each row has; None where each row has its own."""
    if not len(shared.places):
        return frame.array(field, shared.pairs, "<u8", n, 2), None
    pairs = frame.array(field, shared.pairs, "<u8", len(shared.pairs) // 16, 2)
    return pairs, frame.codes(field, shared.places, n, len(pairs))


def _read_shared(field: str, shared: Shared, n: int) -> U64:
    pairs, place = _read_pairs(field, shared, n)
    return pairs if place is None else pairs.take(place, axis=0)


def _read_roles(field: str, role: Shared, n: int, services: int, names: int, peers: int) -> tuple[NDArray[Any], ...]:
    """Service, name, peer (-1 = none), kind and error of each row."""
    pairs, place = _read_pairs(field, role, n)
    if place is None:
        place = np.arange(n, dtype=np.int32)
    bad, *out = kernels.roles_of(pairs, place, services, names, peers)
    if bad:
        of = (f"service of {services}", f"name of {names}", f"peer of {peers}", "kind and error")
        raise CodecError(f"{field} holds what is no {of[bad - 1]}")
    return tuple(out)
