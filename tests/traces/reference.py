"""What the rows of complete traces must say, told in plain Python, and random traces that are as bad as real ones."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from aiops.columns import CLIENT, SERVER
from aiops.identity import hash_bytes
from aiops.signals import CALL, LOG, OP, STEM, TraceRows
from aiops.traces.durations import duration_bin
from aiops.traces.join import RECORD, SPAN
from aiops.traces.rows import Tables

MS = 1_000_000
ENVIRONMENT = "prod"


class Span(NamedTuple):
    trace: int
    span: int
    parent: int
    start: int
    end: int
    service: str
    name: str
    kind: int
    error: bool = False
    peer: str = ""  # whom a client says it calls


class Record(NamedTuple):
    trace: int
    span: int
    time: int
    service: str
    shape: str
    error: bool = False


def stem(shape: str) -> str:
    return shape.split(maxsplit=1)[0]


def random_traces(rng: np.random.Generator, n: int = 40, spread: int = 12) -> tuple[list[Span], list[Record]]:
    """Skewed clocks, cycles, repeats, shared ids, missing parents, many children; times in ms, so many are equal."""
    spans: list[Span] = []
    records: list[Record] = []
    for trace in range(1, n + 1):
        size, loose = int(rng.choice([1, 3, 8, 25])), rng.random() < 0.3
        star = rng.random() < 0.2
        for span in range(1, size + 1):
            parent = 0 if span == 1 else 1 if star else int(rng.integers(1, span))
            if loose and rng.random() < 0.3:
                parent = int(rng.integers(0, size + 3))  # cycles, itself, nobody
            start = int(rng.integers(0, spread))
            kind = int(rng.choice([1, SERVER, CLIENT, CLIENT, 4, 5]))
            service = f"s{int(rng.integers(3))}"
            if loose and rng.random() < 0.2:
                span = max(1, span - 1)  # an id that is shared
            name = f"n{int(rng.integers(3))}"
            end, error = start + int(rng.integers(0, spread)), bool(rng.random() < 0.3)
            peer = str(rng.choice(["", "s0x", "redis"])) if kind == CLIENT else ""
            spans.append(Span(trace, span, parent, start * MS, end * MS, service, name, kind, error, peer))
            if rng.random() < 0.1:
                spans.append(spans[-1])
            if loose and rng.random() < 0.1:
                spans.append(spans[-1]._replace(service="s9"))
            if loose and rng.random() < 0.1:
                spans.append(spans[-1]._replace(peer="kafka"))
            while rng.random() < 0.4:
                shape = f"{'ab'[int(rng.integers(2))]} line{int(rng.integers(2))}"
                records.append(
                    Record(trace, int(rng.integers(0, size + 2)), start, service, shape, bool(rng.random() < 0.5))
                )
    return spans, records


# ---- the engine's side ----------------------------------------------------------------------------------------------


def span_array(spans: list[Span], tables: Tables) -> Any:
    out = []
    for s in spans:
        service, name = tables.service((ENVIRONMENT, s.service)), tables.operation(s.name.encode())
        peer = tables.service((ENVIRONMENT, s.peer)) if s.peer else -1
        out.append((7, s.trace, s.span, s.parent, s.start, s.end, service, name, peer, s.kind, s.error))
    return np.array(out, SPAN)


def record_array(records: list[Record], tables: Tables) -> Any:
    out = []
    for r in records:
        service, shape = (
            tables.service((ENVIRONMENT, r.service)),
            tables.shape(r.shape.encode(), stem(r.shape).encode()),
        )
        out.append((7, r.trace, r.span, r.time, service, shape, r.error))
    return np.array(out, RECORD)


def by_names(rows: TraceRows | None) -> dict[str, Any]:
    """Rows free of codes and of their order."""
    assert rows is not None
    services, names = [name for _, name in rows.services], [raw.decode() for raw in rows.operations]

    def two(keys: Any, counts: Any, second: list[str]) -> Any:
        pairs = [((services[a], second[b]), tuple(n)) for (a, b), n in zip(keys.tolist(), counts.tolist(), strict=True)]
        assert len(dict(pairs)) == len(pairs), "a key has one row"
        return dict(pairs)

    def three(keys: Any, counts: Any, second: list[str]) -> Any:
        triples = [
            ((services[a], second[b], c), n) for (a, b, c), n in zip(keys.tolist(), counts.tolist(), strict=True)
        ]
        assert len(dict(triples)) == len(triples), "a key has one row"
        return dict(triples)

    visits: Counter[Any] = Counter()
    for service, key, n in zip(rows.visit.tolist(), rows.visit_hash.tolist(), rows.visit_counts.tolist(), strict=True):
        visits[services[service], frozenset((tuple(rows.events[e]), k) for e, k in rows.visit_events[key])] += n
    return {
        "op": two(rows.op, rows.op_counts, names),
        "duration": three(rows.duration, rows.duration_counts, names),
        "own": three(rows.own, rows.own_counts, names),
        "edge": two(rows.edge, rows.edge_counts, services),
        "gap": three(rows.gap, rows.gap_counts, services),
        "unseen": three(rows.unseen, rows.unseen_counts, services),
        "call": two(rows.call, rows.call_counts, names),
        "visit": dict(visits),
    }


# ---- the reference --------------------------------------------------------------------------------------------------


def order(s: Span) -> tuple[Any, ...]:
    service, peer = (hash_bytes(f"{ENVIRONMENT}\0{name}".encode()) if name else -1 for name in (s.service, s.peer))
    return s.start, s.span, s.end, s.kind, s.parent, service, peer, hash_bytes(s.name.encode()), s.error


def covered(s: Span, children: list[Span]) -> int:
    """Nanoseconds of a span in which a child was at work, counted ms by ms."""
    busy = {ms for c in children for ms in range(max(c.start, s.start) // MS, min(c.end, s.end) // MS)}
    return len(busy) * MS


class Expected:
    """Everything about a set of complete traces."""

    def __init__(self, spans: list[Span], records: list[Record]) -> None:
        self.spans = sorted(set(spans), key=lambda s: (s.trace, *order(s)))
        self.parent = {s: self._find(s.trace, s.parent, s) if s.parent else None for s in self.spans}
        self.children: dict[Span, list[Span]] = {s: [] for s in self.spans}
        for s in sorted(self.spans, key=order):
            p = self.parent[s]
            if p is not None:
                self.children[p].append(s)
        self.own = {s: s.end - s.start - covered(s, self.children[s]) for s in self.spans}
        self.far = {
            s: next((c for c in reversed(self.children[s]) if c.service != s.service), None) for s in self.spans
        }
        self.root = {s: self._root(s) for s in self.spans}
        self.events: dict[Span, Counter[Any]] = {s: Counter() for s in self.spans if self.root[s] == s}
        for s in self.spans:
            self.events[self.root[s]][self._event(s)] += 1
        for r in records:
            at = self._find(r.trace, r.span, None)
            if at is not None and at.service == r.service:
                self.events[self.root[at]][LOG, r.shape.encode(), "", b"", r.error] += 1
                self.events[self.root[at]][STEM, stem(r.shape).encode(), "", b"", r.error] += 1

    def _find(self, trace: int, span: int, besides: Span | None) -> Span | None:
        found = [s for s in self.spans if s.trace == trace and s.span == span and s != besides]
        return min(found, key=lambda s: (s.kind != SERVER, *order(s)), default=None)

    def _root(self, s: Span) -> Span:
        path: list[Span] = []
        while True:
            if s in path:
                return min(path[path.index(s) :], key=order)
            path.append(s)
            up = self.parent[s]
            if up is None or s.kind == SERVER or up.service != s.service:
                return s
            s = up

    def _event(self, s: Span) -> tuple[Any, ...]:
        if s.kind != CLIENT:
            return OP, s.name.encode(), "", b"", s.error
        f = self.far[s]
        return CALL, s.name.encode(), f.service if f else s.peer, f.name.encode() if f else b"", False

    def rows(self) -> dict[str, Any]:
        out: dict[str, Any] = {k: {} for k in ("op", "duration", "own", "edge", "gap", "unseen", "call", "visit")}

        def count(what: str, key: Any, *more: int) -> None:
            if more:
                out[what][key] = tuple(a + b for a, b in zip(out[what].get(key, (0,) * len(more)), more, strict=True))
            else:
                out[what][key] = out[what].get(key, 0) + 1

        for root, events in self.events.items():
            inside = [s for s in self.spans if self.root[s] == root]
            own = sum(self.own[s] for s in inside if s.kind != CLIENT)
            count("op", (root.service, root.name), 1, int(root.error))
            count("duration", (root.service, root.name, duration_bin(root.end - root.start)))
            count("own", (root.service, root.name, duration_bin(own)))
            count("visit", (root.service, frozenset((e, min(n, 4)) for e, n in events.items())))
        for s in self.spans:
            p = self.parent[s]
            if p is not None and p.service != s.service:
                count("edge", (p.service, s.service), 1, int(s.error))
                count("gap", (p.service, s.service, duration_bin(max(0, (p.end - p.start) - (s.end - s.start)))))
            if s.kind == CLIENT:
                unseen = self.far[s] is None
                count("call", (s.service, s.name), 1, int(unseen and (not s.peer or s.error)))
                if unseen and s.peer:
                    count("edge", (s.service, s.peer), 1, int(s.error))
                    count("gap" if s.error else "unseen", (s.service, s.peer, duration_bin(s.end - s.start)))
        return out
