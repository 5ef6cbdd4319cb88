"""Trace items <-> columns; names travel once a message, in the order in which the rows name them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from aiops.traces.items import LogColumns, SpanColumns, TraceItems
from streams import codec_frame as frame
from streams import codec_kernels as kernels

I32 = NDArray[np.int32]


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


class SpansBody(msgspec.Struct):
    """``n`` spans: the columns of ``SpanColumns``."""

    n: int
    operations: list[bytes]
    peers: list[bytes]
    offset: memoryview
    trace: memoryview
    span: memoryview
    parent: memoryview
    service: memoryview
    name: memoryview
    peer: memoryview  # 0 = none, k + 1 = the k-th of `peers`
    kind: memoryview  # as the join keeps it: 16 bits
    error: memoryview
    start: memoryview
    end: memoryview


class LogsBody(msgspec.Struct):
    """``n`` log records: the columns of ``LogColumns``."""

    n: int
    texts: list[bytes]
    stems: list[bytes]
    offset: memoryview
    trace: memoryview
    span: memoryview
    service: memoryview
    shape: memoryview
    error: memoryview
    time: memoryview


class ItemsBody(msgspec.Struct):
    """One ``TraceItems``."""

    source: str
    tenant: str
    services: list[tuple[str, str]]
    spans: SpansBody | None
    logs: LogsBody | None


_decoder = msgspec.msgpack.Decoder(ItemsBody)


def encode_items(items: TraceItems) -> bytes:
    """Bytes of trace items; equal items give equal bytes whatever the codes of the sender's tables."""
    spans, logs = items.spans, items.logs
    columns = [part.service for part in (spans, logs) if part is not None]
    distinct, place = kernels.renumbered(columns[0] if len(columns) == 1 else np.concatenate([_NONE, *columns]))
    services = [items.services[k] for k in distinct.tolist()]
    n = len(spans.service) if spans is not None else 0
    body = ItemsBody(
        items.source,
        items.tenant,
        services,
        None if spans is None else _spans_body(spans, frame.raw_codes(place[:n], len(services))),
        None if logs is None else _logs_body(logs, frame.raw_codes(place[n:], len(services))),
    )
    return frame.framed(frame.ITEMS, body)


_NONE: I32 = np.empty(0, np.int32)


def _spans_body(s: SpanColumns, service: memoryview) -> SpansBody:
    names, name = kernels.renumbered(s.name)
    peers, peer = _NONE, np.zeros(len(s.peer), np.int32)
    called = np.flatnonzero(s.peer >= 0)
    if len(called):
        peers, place = kernels.renumbered(s.peer[called])
        peer[called] = place + 1
    operation, callee = s.operations.raw, s.peers.raw
    return SpansBody(
        len(s.end), [operation[k] for k in names.tolist()], [callee[k] for k in peers.tolist()],
        frame.raw(s.offset, "<i8"), frame.raw(s.trace, "<u8"), frame.raw(s.span, "<u8"), frame.raw(s.parent, "<u8"),
        service, frame.raw_codes(name, len(names)), frame.raw_codes(peer, len(peers) + 1), frame.raw(s.kind, "<i2"),
        frame.raw(s.error, "|b1"), frame.raw(s.start, "<i8"), frame.raw(s.end, "<i8"),
    )  # fmt: skip


def _logs_body(r: LogColumns, service: memoryview) -> LogsBody:
    shapes, shape = kernels.renumbered(r.shape)
    texts, stems = r.shapes.texts, r.shapes.stems
    used = shapes.tolist()
    return LogsBody(
        len(r.time), [texts[k] for k in used], [stems[k] for k in used], frame.raw(r.offset, "<i8"),
        frame.raw(r.trace, "<u8"), frame.raw(r.span, "<u8"), service, frame.raw_codes(shape, len(used)),
        frame.raw(r.error, "|b1"), frame.raw(r.time, "<i8"),
    )  # fmt: skip


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
        None if spans is None else _spans(spans, len(services)),
        None if logs is None else _logs(logs, len(services)),
    )


def _spans(b: SpansBody, services: int) -> SpanColumns:
    n = b.n
    start, end = frame.array("spans.start", b.start, "<i8", n), frame.array("spans.end", b.end, "<i8", n)
    frame.least("spans.end", end, 0)
    if bool((start > end).any()):
        raise frame.CodecError("spans.start is after spans.end")
    return SpanColumns(
        DecodedNames(b.operations), DecodedNames(b.peers), _offset("spans.offset", b.offset, n),
        frame.array("spans.trace", b.trace, "<u8", n, 2), frame.array("spans.span", b.span, "<u8", n),
        frame.array("spans.parent", b.parent, "<u8", n), frame.codes("spans.service", b.service, n, services),
        frame.codes("spans.name", b.name, n, len(b.operations)),
        frame.codes("spans.peer", b.peer, n, len(b.peers) + 1) - np.int32(1),
        frame.array("spans.kind", b.kind, "<i2", n).astype(np.int32), frame.truths("spans.error", b.error, n), start, end,
    )  # fmt: skip


def _logs(b: LogsBody, services: int) -> LogColumns:
    n = b.n
    frame.same("logs.stems", len(b.stems), len(b.texts), "logs.texts")
    time = frame.array("logs.time", b.time, "<i8", n)
    frame.least("logs.time", time, 0)
    return LogColumns(
        DecodedShapes(b.texts, b.stems), _offset("logs.offset", b.offset, n), frame.array("logs.trace", b.trace, "<u8", n, 2),
        frame.array("logs.span", b.span, "<u8", n), frame.codes("logs.service", b.service, n, services),
        frame.codes("logs.shape", b.shape, n, len(b.texts)), frame.truths("logs.error", b.error, n), time,
    )  # fmt: skip


def _offset(field: str, data: memoryview, n: int) -> NDArray[Any]:
    """Offsets of messages, which never fall: what has been seen is told by them."""
    out = frame.array(field, data, "<i8", n)
    frame.least(field, out, 0)
    if n > 1 and bool((out[1:] < out[:-1]).any()):
        raise frame.CodecError(f"{field} falls")
    return out
