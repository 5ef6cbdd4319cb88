"""Trace rows <-> columns, sorted by the names that they name: the same rows are the same bytes, in whatever order counted."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from aiops.signals import OP, STEM, Event, TraceRows
from aiops.traces.durations import BINS
from aiops.traces.join import LIMIT
from streams import codec_frame as frame
from streams.codec_frame import CodecError

I32 = NDArray[np.int32]

# Columns of codes, what each column of a row is, and the counts beside them.
_SERVICE, _OPERATION, _BIN = range(3)
_PARTS = {
    "op": ((_SERVICE, _OPERATION), "op_counts", 2),
    "duration": ((_SERVICE, _OPERATION, _BIN), "duration_counts", 0),
    "own": ((_SERVICE, _OPERATION, _BIN), "own_counts", 0),
    "edge": ((_SERVICE, _SERVICE), "edge_counts", 2),
    "gap": ((_SERVICE, _SERVICE, _BIN), "gap_counts", 0),
    "unseen": ((_SERVICE, _SERVICE, _BIN), "unseen_counts", 0),
    "call": ((_SERVICE, _OPERATION), "call_counts", 2),
}


class TraceBody(msgspec.Struct):
    """One ``TraceRows``: each of `rows` is the columns of codes and the counts of a part, in the order of ``_PARTS``."""

    services: list[tuple[str, str]]
    operations: list[bytes]
    rows: list[tuple[int, list[memoryview], memoryview]]
    visits: int
    visit: memoryview
    visit_place: memoryview  # which of `hashes`
    visit_counts: memoryview
    hashes: memoryview  # distinct visits, ascending
    lengths: memoryview  # events of each
    members: memoryview  # which of `events`
    times: memoryview
    event_hashes: memoryview  # distinct events, ascending
    events: list[tuple[int, bytes, str, bytes, bool]]


def trace_body(rows: TraceRows) -> TraceBody:
    """The columns of one ``TraceRows``; only services and operations that it names."""
    names: tuple[list[I32], list[I32]] = ([rows.visit], [])
    for part, (kinds, _, _) in _PARTS.items():
        table = getattr(rows, part)
        for column, kind in enumerate(kinds):
            if kind != _BIN:
                names[kind].append(table[:, column])
    services, service = _sorted_names(np.unique(np.concatenate(names[0])), rows.services)
    operations, operation = _sorted_names(np.unique(np.concatenate(names[1])), rows.operations)
    sizes, to = (len(services), len(operations), BINS), (service, operation)
    parts = []
    for part, (kinds, counts, _) in _PARTS.items():
        table = getattr(rows, part)
        columns = [table[:, k] if kind == _BIN else _mapped(table[:, k], *to[kind]) for k, kind in enumerate(kinds)]
        order = np.lexsort(columns[::-1])
        packed = [frame.raw_codes(column[order], sizes[kind]) for column, kind in zip(columns, kinds, strict=True)]
        parts.append((len(table), packed, frame.raw(getattr(rows, counts)[order], "<i8")))
    visit = _mapped(rows.visit, *service)
    order = np.lexsort((rows.visit_hash, visit))
    hashes = sorted(rows.visit_events)
    events = sorted(rows.events)
    known = np.array(hashes, np.uint64)
    members = [member for key in hashes for member in rows.visit_events[key]]
    event_hashes = np.array(events, np.uint64)
    place = np.searchsorted(event_hashes, np.array([key for key, _ in members], np.uint64))
    return TraceBody(
        services, operations, parts, len(visit), frame.raw_codes(visit[order], len(services)),
        frame.raw_codes(np.searchsorted(known, rows.visit_hash[order]), len(hashes)),
        frame.raw(rows.visit_counts[order], "<i8"), frame.raw(known, "<u8"),
        frame.raw(np.array([len(rows.visit_events[key]) for key in hashes], np.int64), "<u4"),
        frame.raw_codes(place, len(events)), frame.raw(np.array([n for _, n in members], np.int64), "<u1"),
        frame.raw(event_hashes, "<u8"), [_fields(rows.events[key]) for key in events],
    )  # fmt: skip


def _sorted_names(used: I32, names: list[Any]) -> tuple[list[Any], tuple[I32, I32]]:
    """Names of the codes `used` in their order, each once, and the place of each code in it."""
    of = [names[k] for k in used.tolist()]
    out = sorted(set(of))
    place = {name: k for k, name in enumerate(out)}
    return out, (used, np.array([place[name] for name in of], np.int32))


def _fields(event: Event) -> tuple[int, bytes, str, bytes, bool]:
    return (event.type, event.text, event.peer, event.peer_text, event.error)


def _mapped(codes: I32, used: I32, place: I32) -> I32:
    return place[np.searchsorted(used, codes)]


def trace_rows(b: TraceBody) -> TraceRows:
    """The rows of a body.

    Raises
    ------
    CodecError
    """
    frame.same("traces.rows", len(b.rows), len(_PARTS), "this release")
    sizes = (len(b.services), len(b.operations), BINS)
    columns: dict[str, NDArray[Any]] = {}
    for (part, (kinds, counts, width)), (n, codes, numbers) in zip(_PARTS.items(), b.rows, strict=True):
        frame.same(f"traces.{part}", len(codes), len(kinds), "a row")
        found = [
            frame.codes(f"traces.{part}[{k}]", data, n, sizes[kind])
            for k, (data, kind) in enumerate(zip(codes, kinds, strict=True))
        ]
        columns[part] = np.stack(found, 1)
        columns[counts] = frame.array(f"traces.{counts}", numbers, "<i8", n, width)
        frame.least(f"traces.{counts}", columns[counts], 0)
    visit = frame.codes("traces.visit", b.visit, b.visits, len(b.services))
    _known_services(columns, visit)
    hashes = frame.array("traces.hashes", b.hashes, "<u8", len(b.hashes) // 8)
    frame.rising("traces.hashes", hashes)
    place = frame.codes("traces.visit_place", b.visit_place, b.visits, len(hashes))
    visit_counts = frame.array("traces.visit_counts", b.visit_counts, "<i8", b.visits)
    frame.least("traces.visit_counts", visit_counts, 0)
    visit_events, events = _events(b, hashes)
    return TraceRows(
        services=b.services, operations=b.operations, visit=visit, visit_hash=hashes[place], visit_counts=visit_counts,
        visit_events=visit_events, events=events, **columns,
    )  # fmt: skip


def _events(
    b: TraceBody, hashes: NDArray[np.uint64]
) -> tuple[dict[int, tuple[tuple[int, int], ...]], dict[int, Event]]:
    n = len(b.times)
    event_hashes = frame.array("traces.event_hashes", b.event_hashes, "<u8", len(b.events))
    frame.rising("traces.event_hashes", event_hashes)
    events = {}
    for key, event in zip(event_hashes.tolist(), b.events, strict=True):
        if not OP <= event[0] <= STEM:
            raise CodecError(f"traces.events holds an event of type {event[0]}")
        events[key] = Event(*event)
    edges = frame.offsets("traces.lengths", b.lengths, len(hashes), n).tolist()
    times = frame.array("traces.times", b.times, "<u1", n)
    if n and not 1 <= int(times.min()) <= int(times.max()) <= LIMIT:
        raise CodecError(f"traces.times holds a number that is not one of 1 .. {LIMIT}")
    members = event_hashes[frame.codes("traces.members", b.members, n, len(b.events))].tolist()
    pairs = list(zip(members, times.tolist(), strict=True))
    visits = {key: tuple(pairs[edges[k] : edges[k + 1]]) for k, key in enumerate(hashes.tolist())}
    return visits, events


def _known_services(columns: dict[str, NDArray[Any]], visit: I32) -> None:
    """Detect learns services by operations, calls and edges; rows of others it could not place."""
    known = np.concatenate([columns["op"][:, 0], columns["call"][:, 0], columns["edge"][:, 1]])
    for what, of in (
        ("visit", visit), ("duration", columns["duration"][:, 0]), ("own", columns["own"][:, 0]),
        ("gap", columns["gap"][:, 1]), ("unseen", columns["unseen"][:, 1]),
    ):  # fmt: skip
        if not np.isin(of, known).all():
            raise CodecError(f"traces.{what} is of a service without an operation, a call or an edge")
