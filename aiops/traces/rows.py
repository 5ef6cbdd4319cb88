"""Complete traces -> the rows of one window (``aiops.signals.TraceRows``).

Only distinct visits and events cost Python.  A step may show ``MAX_VISITS`` distinct visits; of more, those with the
greatest hashes are counted and left out, which is the same choice whatever came first.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.columns import CLIENT
from aiops.identity import combined, hash_bytes
from aiops.signals import CALL, LOG, OP, STEM, Event, TraceRows
from aiops.traces.complete import chosen
from aiops.traces.durations import duration_bin
from aiops.traces.join import (
    join,
    own_times,
    parents,
    record_events,
    record_roots,
    span_events,
    visit_roots,
    visit_sets,
)
from aiops.traces.tally import sums, tally

MAX_VISITS = 20_000  # distinct ones in a step; ordinary meshes show tens to hundreds
MAX_EVENTS = 200  # of a visit; the rest is left out
MAX_CACHED = 200_000  # visits, and events
MAX_CACHED_MEMBERS = 1_000_000  # events of all cached visits together: some 100 MB


class RowCounters(Protocol):
    """What `trace_rows` counts."""

    repeated_spans: int
    cut_visits: int


class Tables:
    """Services, operations and shapes of one assemble instance: dense codes, names and identities."""

    def __init__(self) -> None:
        self.services: list[tuple[str, str]] = []
        self.operations: list[bytes] = []
        self.shapes: list[tuple[bytes, bytes]] = []
        self._service_code: dict[tuple[str, str], int] = {}
        self._operation_code: dict[bytes, int] = {}
        self._shape_code: dict[bytes, int] = {}
        self._service_identity = self._operation_identity = np.empty(0, np.uint64)
        self._shape_identity = self._stem_identity = np.empty(0, np.uint64)
        self.events: dict[int, Event] = {}
        self.visits: dict[int, tuple[tuple[int, int], ...]] = {}
        self.visit_members = 0  # of all cached visits together

    def service(self, name: tuple[str, str]) -> int:
        """Code of (environment, service)."""
        code = self._service_code.setdefault(name, len(self.services))
        if code == len(self.services):
            self.services.append(name)
        return code

    def operation(self, name: bytes) -> int:
        """Code of an operation."""
        code = self._operation_code.setdefault(name, len(self.operations))
        if code == len(self.operations):
            self.operations.append(name)
        return code

    def shape(self, text: bytes, stem: bytes) -> int:
        """Code of a shape of a log line."""
        code = self._shape_code.setdefault(text, len(self.shapes))
        if code == len(self.shapes):
            self.shapes.append((text, stem))
        return code

    def service_identity(self) -> NDArray[np.uint64]:
        """uint64 array by service code."""
        new = ["\0".join(name).encode() for name in self.services[len(self._service_identity) :]]
        self._service_identity = _extended(self._service_identity, new)
        return self._service_identity

    def operation_identity(self) -> NDArray[np.uint64]:
        """uint64 array by operation code."""
        self._operation_identity = _extended(self._operation_identity, self.operations[len(self._operation_identity) :])
        return self._operation_identity

    def shape_identities(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Identities of shapes and of their stems: uint64 arrays by shape code."""
        new = self.shapes[len(self._shape_identity) :]
        self._shape_identity = _extended(self._shape_identity, [shape for shape, _ in new])
        self._stem_identity = _extended(self._stem_identity, [stem for _, stem in new])
        return self._shape_identity, self._stem_identity

    def __len__(self) -> int:
        return len(self.services) + len(self.operations) + len(self.shapes)

    def keep(self, services: NDArray[np.int64], operations: NDArray[np.int64], shapes: NDArray[np.int64]) -> None:
        """Only these stay (int64 codes, ascending); the place of each is its code from now on.

        The lists are new ones: rows that were sent on hold the old ones.  What is cached goes by identities and stays.
        """
        identities = self.service_identity(), self.operation_identity(), *self.shape_identities()
        self._service_identity, self._operation_identity = identities[0][services], identities[1][operations]
        self._shape_identity, self._stem_identity = identities[2][shapes], identities[3][shapes]
        self.services = [self.services[code] for code in services.tolist()]
        self.operations = [self.operations[code] for code in operations.tolist()]
        self.shapes = [self.shapes[code] for code in shapes.tolist()]
        self._service_code = {name: code for code, name in enumerate(self.services)}
        self._operation_code = {name: code for code, name in enumerate(self.operations)}
        self._shape_code = {text: code for code, (text, _) in enumerate(self.shapes)}

    def state(self) -> dict[str, Any]:
        """For a snapshot; what is cached is not part of it."""
        return {"services": self.services, "operations": self.operations, "shapes": self.shapes}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the tables of a snapshot."""
        self.__init__()  # type: ignore[misc]
        for name in state["services"]:
            self.service(tuple(name))
        for name in state["operations"]:
            self.operation(name)
        for text, stem in state["shapes"]:
            self.shape(text, stem)


def _extended(identity: NDArray[np.uint64], new: list[bytes]) -> NDArray[np.uint64]:
    if not new:
        return identity
    return np.concatenate([identity, np.array([hash_bytes(raw) for raw in new], np.uint64)])


def forget(tables: Tables, spans: list[NDArray[np.void]], records: list[NDArray[np.void]]) -> None:
    """Drop what no waiting item names, and give the items, in place, the codes of what stays.

    What is dropped and comes again has the same identity, and only identities decide: no result changes.
    """
    columns = [
        (len(tables.services), [(spans, "service"), (spans, "peer"), (records, "service")]),
        (len(tables.operations), [(spans, "name")]),
        (len(tables.shapes), [(records, "shape")]),
    ]
    kept: list[NDArray[np.int64]] = []
    for size, fields in columns:
        named = np.zeros(size + 1, bool)  # the last for -1: a span that names no peer
        for chunks, field in fields:
            for chunk in chunks:
                named[chunk[field]] = True
        named[-1] = False
        code = np.where(named, np.cumsum(named) - 1, -1)
        for chunks, field in fields:
            for chunk in chunks:
                chunk[field] = code[chunk[field]]
        kept.append(np.flatnonzero(named))
    tables.keep(*kept)


def trace_rows(spans: NDArray[np.void], records: NDArray[np.void], tables: Tables, counters: RowCounters) -> TraceRows:
    """Join the spans and records of complete traces and count what happened.

    Parameters
    ----------
    spans : SPAN array;  records : RECORD array, codes of `tables`
    """
    identities = tables.service_identity(), tables.operation_identity()
    table, repeat = join(spans)
    parent = parents(spans, table, repeat, *identities)
    own, far = own_times(spans, parent, *identities)
    root = visit_roots(spans, parent, *identities)
    counters.repeated_spans += int(np.count_nonzero(repeat))
    events = span_events(spans, far, *identities)
    of_record = record_roots(spans, table, root, records, *identities)
    visits, hashes, offsets, event, times, source = visit_sets(
        spans, root, repeat, events, of_record, record_events(records, *tables.shape_identities())
    )
    entry = chosen(spans, visits)
    visit_own = _visit_own(spans, root, own, repeat)[visits]
    op, op_counts, duration, duration_counts, own_rows, own_counts = _operations(entry, visit_own)
    edge, edge_counts, gap, gap_counts, unseen, unseen_counts, call, call_counts = _calls(spans, parent, far, repeat)
    visit, visit_hash, visit_counts, named, found = _visits(
        entry, hashes, offsets, event, times, source, spans, records, far, tables, counters
    )
    return TraceRows(
        tables.services, tables.operations, op, op_counts, duration, duration_counts, own_rows, own_counts,
        edge, edge_counts, gap, gap_counts, unseen, unseen_counts, call, call_counts,
        visit, visit_hash, visit_counts, named, found,
    )  # fmt: skip


@njit(nogil=True, cache=True)
def _visit_own(spans: Any, root: Any, own: Any, repeat: Any) -> Any:
    """Own time of a visit, at the row of its entry span: client spans wait for others and are left out."""
    out = np.zeros(len(spans), np.int64)
    for row in range(len(spans)):
        if not repeat[row] and spans[row].kind != CLIENT:
            out[root[row]] += own[row]
    return out


@njit(nogil=True, cache=True)
def _triple(first: Any, second: Any, bin_: Any) -> Any:
    return np.uint64(first) << np.uint64(36) | np.uint64(second) << np.uint64(8) | np.uint64(bin_)


@njit(nogil=True, cache=True)
def _entry_keys(entry: Any, own: Any) -> Any:
    n = len(entry)
    op, duration, inner = np.empty(n, np.uint64), np.empty(n, np.uint64), np.empty(n, np.uint64)
    for i in range(n):
        e = entry[i]
        op[i] = _triple(e.service, e.name, 0)
        duration[i] = _triple(e.service, e.name, duration_bin(e.end - e.start))
        inner[i] = _triple(e.service, e.name, duration_bin(own[i]))
    return op, duration, inner


def _untriple(keys: NDArray[np.uint64]) -> NDArray[np.int32]:
    out: NDArray[np.int32] = np.empty((len(keys), 3), np.int32)
    out[:, 0] = keys >> np.uint64(36)
    out[:, 1] = keys >> np.uint64(8) & np.uint64((1 << 28) - 1)
    out[:, 2] = keys & np.uint64(255)
    return out


def _operations(entry: NDArray[np.void], own: NDArray[np.int64]) -> tuple[Any, ...]:
    op, duration, inner = _entry_keys(entry, own)
    keys, n, codes = tally(op)
    errors = sums(codes, entry["error"], len(keys))
    durations, n_duration, _ = tally(duration)
    owns, n_own, _ = tally(inner)
    return _untriple(keys)[:, :2], np.stack([n, errors], 1), _untriple(durations), n_duration, _untriple(owns), n_own


@njit(nogil=True, cache=True)
def _edge_keys(spans: Any, parent: Any, far: Any, repeat: Any) -> Any:
    n = len(spans)
    edge, gap, failed = np.empty(2 * n, np.uint64), np.empty(2 * n, np.uint64), np.empty(2 * n, np.int64)
    call, missing = np.empty(n, np.uint64), np.empty(n, np.int64)
    unseen = np.empty(n, np.uint64)
    n_edges, n_gaps, n_calls, n_unseen = 0, 0, 0, 0
    for row in range(n):
        if repeat[row]:
            continue
        s, up = spans[row], parent[row]
        if up >= 0 and spans[up].service != s.service:
            p = spans[up]
            edge[n_edges] = _triple(p.service, s.service, 0)
            network = max(np.int64(0), (p.end - p.start) - (s.end - s.start))
            gap[n_gaps] = _triple(p.service, s.service, duration_bin(network))
            failed[n_edges] = s.error
            n_edges, n_gaps = n_edges + 1, n_gaps + 1
        if s.kind == CLIENT:
            call[n_calls] = _triple(s.service, s.name, 0)
            # A callee that sends no spans is never seen: then it is the failure of the call that tells.
            missing[n_calls] = far[row] < 0 and (s.peer < 0 or s.error != 0)
            n_calls += 1
            if far[row] < 0 and s.peer >= 0:
                edge[n_edges] = _triple(s.service, s.peer, 0)
                failed[n_edges] = s.error
                n_edges += 1
                whole = _triple(s.service, s.peer, duration_bin(s.end - s.start))
                if s.error != 0:
                    gap[n_gaps] = whole
                    n_gaps += 1
                else:
                    unseen[n_unseen] = whole
                    n_unseen += 1
    return edge[:n_edges], gap[:n_gaps], unseen[:n_unseen], failed[:n_edges], call[:n_calls], missing[:n_calls]


def _calls(
    spans: NDArray[np.void], parent: NDArray[np.int32], far: NDArray[np.int32], repeat: NDArray[np.bool_]
) -> tuple[Any, ...]:
    edge, gap, unseen, failed, call, missing = _edge_keys(spans, parent, far, repeat)
    edges, n, codes = tally(edge)
    errors = sums(codes, failed, len(edges))
    gaps, n_gap, _ = tally(gap)
    dark, n_dark, _ = tally(unseen)
    calls, n_call, of_call = tally(call)
    lost = sums(of_call, missing, len(calls))
    return (
        _untriple(edges)[:, :2], np.stack([n, errors], 1), _untriple(gaps), n_gap,
        _untriple(dark), n_dark, _untriple(calls)[:, :2], np.stack([n_call, lost], 1),
    )  # fmt: skip


def _visits(
    entry: NDArray[np.void],
    hashes: NDArray[np.uint64],
    offsets: NDArray[np.int32],
    event: NDArray[np.uint64],
    times: NDArray[np.int32],
    source: NDArray[np.int32],
    spans: NDArray[np.void],
    records: NDArray[np.void],
    far: NDArray[np.int32],
    tables: Tables,
    counters: RowCounters,
) -> tuple[Any, ...]:
    keys, n, codes = tally(combined(tables.service_identity()[entry["service"]], hashes))
    first = np.empty(len(keys), np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]  # the last to be written is the first row
    if len(keys) > MAX_VISITS:
        kept = np.sort(np.argsort(keys)[:MAX_VISITS])
        counters.cut_visits += int(n.sum() - n[kept].sum())
        keys, n, first = keys[kept], n[kept], first[kept]
    if max(len(tables.visits), len(tables.events)) > MAX_CACHED or tables.visit_members > MAX_CACHED_MEMBERS:
        tables.visits, tables.events, tables.visit_members = {}, {}, 0
    named: dict[int, tuple[tuple[int, int], ...]] = {}
    found: dict[int, Event] = {}
    for key, at in zip(keys.tolist(), first.tolist(), strict=True):
        members = tables.visits.get(key)
        if members is None:
            low, high = int(offsets[at]), int(offsets[at + 1])
            high = min(high, low + MAX_EVENTS)
            for i in range(low, high):
                code = int(event[i])
                if code not in tables.events:
                    tables.events[code] = _describe(int(source[i]), spans, records, far, tables)
            members = tuple(zip(event[low:high].tolist(), times[low:high].tolist(), strict=True))
            tables.visits[key] = members
            tables.visit_members += len(members)
        named[key] = members
        for code, _ in members:
            found[code] = tables.events[code]
    return entry["service"][first].astype(np.int32), keys, n, named, found


def _describe(
    source: int, spans: NDArray[np.void], records: NDArray[np.void], far: NDArray[np.int32], tables: Tables
) -> Event:
    if source < 0:
        row, stem = divmod(-1 - source, 2)
        text = tables.shapes[records[row]["shape"]][stem]
        return Event(STEM if stem else LOG, text, "", b"", bool(records[row]["error"]))
    s = spans[source]
    name = tables.operations[s["name"]]
    if s["kind"] != CLIENT:
        return Event(OP, name, "", b"", bool(s["error"]))
    if far[source] < 0:
        return Event(CALL, name, tables.services[s["peer"]][1] if s["peer"] >= 0 else "", b"", False)
    f = spans[far[source]]
    return Event(CALL, name, tables.services[f["service"]][1], tables.operations[f["name"]], False)
