"""Findings <-> MessagePack."""

from __future__ import annotations

import msgspec

from aiops.findings import EDGE_TERMS, MACHINE, PLACED, SERVICE, TERMS, Findings, Note
from aiops.records import Anomaly, unix_ns
from streams import codec_frame as frame


class FindingsBody(msgspec.Struct):
    """One ``Findings``; notes as (key of two or three names, statement, type)."""

    tenant: str
    environment: str
    time: int
    services: list[str]
    terms: memoryview
    visits: memoryview
    failed: memoryview
    edges: list[tuple[str, str]]
    edge_terms: memoryview
    calls: memoryview
    notes: list[tuple[tuple[str, ...], str, str]]
    anomalies: list[Anomaly]
    totals: list[tuple[str, int]]
    machines: list[tuple[str, str]]
    placed: memoryview


_decoder = msgspec.msgpack.Decoder(FindingsBody)


def encode_findings(found: Findings) -> bytes:
    """Bytes of findings."""
    body = FindingsBody(
        found.tenant, found.environment, found.time, found.services, frame.raw(found.terms, "<f8"),
        frame.raw(found.visits, "<f8"), frame.raw(found.failed, "<f8"), found.edges, frame.raw(found.edge_terms, "<f8"),
        frame.raw(found.calls, "<f8"), [(key, *note) for key, note in sorted(found.notes.items())], found.anomalies,
        sorted(found.totals.items()), found.machines, frame.raw(found.placed, "<i4"),
    )  # fmt: skip
    return frame.framed(frame.FINDINGS, body)


def decode_findings(data: bytes) -> Findings:
    """What ``encode_findings`` was given.

    Raises
    ------
    CodecError
    """
    return frame.opened(frame.FINDINGS, data, _decoder, _findings)


def _findings(b: FindingsBody) -> Findings:
    if b.time < 0:
        raise frame.CodecError(f"time {b.time} is before 1970")
    services, edges = len(b.services), len(b.edges)
    of: dict[tuple[str, ...], tuple[str, ...]] = {
        **{(name,): TERMS for name in b.services},
        **dict.fromkeys(b.edges, EDGE_TERMS),
    }
    for key, _, _ in b.notes:
        if not key or key[-1] not in of.get(key[:-1], ()):
            raise frame.CodecError(f"notes: {key} is no term of a service or an edge of these findings")
    for anomaly in b.anomalies:
        for time in (anomaly.onset, anomaly.window.start, anomaly.window.end):
            try:
                unix_ns(time)
            except ValueError as error:
                raise frame.CodecError(f"anomalies: {anomaly.anomaly_id}: {error}") from None
    terms = frame.array("terms", b.terms, "<f8", services, len(TERMS))
    frame.finite("terms", terms)
    placed = frame.array("placed", b.placed, "<i4", len(b.placed) // (4 * PLACED), PLACED)
    for column, n in ((SERVICE, services), (MACHINE, len(b.machines))):
        frame.between("placed", placed[:, column], 0, n)
    frame.least("placed", placed, 0)
    return Findings(
        b.tenant, b.environment, b.time, b.services, terms,
        frame.array("visits", b.visits, "<f8", services), frame.array("failed", b.failed, "<f8", services), b.edges,
        frame.array("edge_terms", b.edge_terms, "<f8", edges, len(EDGE_TERMS)), frame.array("calls", b.calls, "<f8", edges),
        {key: Note(statement, type_) for key, statement, type_ in b.notes}, b.anomalies, dict(b.totals),
        b.machines, placed,
    )  # fmt: skip
