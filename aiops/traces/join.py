"""Spans and log records of complete traces -> parents, own times, visits, events and edges; numba over record arrays.

A *visit* is one entry of a service (a SERVER span, or a span whose parent belongs to another service or is not there)
with everything the service did below it.  Nothing here depends on the order of the rows, nor on codes: what is chosen
is chosen by times, ids and, of these equal, by the identities of service and name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from aiops.columns import CLIENT, SERVER
from aiops.identity import mix
from aiops.signals import CALL, LOG, OP, STEM

SPAN = np.dtype(
    [
        ("trace_high", np.uint64),
        ("trace_low", np.uint64),
        ("span", np.uint64),
        ("parent", np.uint64),
        ("start", np.int64),
        ("end", np.int64),
        ("service", np.int32),
        ("name", np.int32),
        ("peer", np.int32),  # service that a client span says it calls, -1 = it does not say
        ("kind", np.int16),
        ("error", np.int16),
    ]
)
RECORD = np.dtype(
    [
        ("trace_high", np.uint64),
        ("trace_low", np.uint64),
        ("span", np.uint64),
        ("time", np.int64),
        ("service", np.int32),
        ("shape", np.int32),
        ("error", np.int64),
    ]
)
_ONE, _EMPTY = np.uint64(1), np.uint64(0)
_NEAR = np.uint64(31)  # slots near each other: four cache lines
_ROW, _MORE, _UPPER = np.uint64(0x7FFF_FFFF), np.uint64(0x8000_0000), np.uint64(0xFFFF_FFFF_0000_0000)
_SALTS = np.array([mix(np.uint64(1000 + k)) for k in range(8)], np.uint64)  # what kind of event a hash stands for
LIMIT = 4  # multiplicities beyond it are not told apart


@njit(inline="always")
def _same_id(a: Any, b: Any, span: Any) -> Any:
    return a.span == span and a.trace_low == b.trace_low and a.trace_high == b.trace_high


@njit(nogil=True, cache=True)
def _sooner(a: Any, b: Any, service: Any, name: Any) -> Any:
    """By start, then all else: a total order of the spans of a trace but repeats, so that arrival does not decide."""
    if a.start != b.start:
        return a.start < b.start
    if a.span != b.span:
        return a.span < b.span
    if a.end != b.end:
        return a.end < b.end
    if a.kind != b.kind:
        return a.kind < b.kind
    if a.parent != b.parent:
        return a.parent < b.parent
    if a.service != b.service:
        return service[a.service] < service[b.service]
    if a.peer != b.peer:
        return a.peer < 0 or (b.peer >= 0 and service[a.peer] < service[b.peer])
    return name[a.name] < name[b.name] if a.name != b.name else a.error < b.error


@njit(nogil=True, cache=True)
def _before(a: Any, b: Any, service: Any, name: Any) -> Any:
    """Which of two spans of one id a child belongs to: the SERVER span, which is the one that called on."""
    if (a.kind == SERVER) != (b.kind == SERVER):
        return a.kind == SERVER
    return _sooner(a, b, service, name)


@njit(inline="always")
def _slot(near: Any, h: Any, step: Any, mask: Any) -> Any:
    """Slot that is tried at `step`: first those near, then all, from a place of its own for each span of a huge trace."""
    if step <= _NEAR:
        return near | ((h + step) & _NEAR)
    return ((h >> np.uint64(8)) + step) & mask


@njit(nogil=True, cache=True)
def join(spans: Any) -> Any:
    """Index of spans by (trace, span id): the hash table, and which spans are repeats of another (bool (n,)).

    A slot holds the upper half of the hash, whether another span of the same id comes later on the way, and the row + 1;
    0 where it is empty.  Without the hash, every neighbour that is passed on the way would cost a cache miss.  The first
    slots tried are near those of the other spans of the trace, which mostly come one after the other.
    """
    size = 1024
    while size < 2 * len(spans):
        size *= 2
    mask = np.uint64(size - 1)
    table = np.zeros(size, np.uint64)
    repeat = np.zeros(len(spans), np.bool_)
    for row in range(len(spans)):
        s = spans[row]
        h = mix(s.trace_high ^ s.trace_low ^ s.span)
        near, tag, step = mix(s.trace_high ^ s.trace_low) & mask & ~_NEAR, h & _UPPER, _EMPTY
        slot = _slot(near, h, step, mask)
        while table[slot] != _EMPTY:
            o = spans[np.int64(table[slot] & _ROW) - 1]
            if table[slot] & _UPPER == tag and _same_id(o, s, s.span):
                if (
                    o.start == s.start
                    and o.end == s.end
                    and o.service == s.service
                    and o.name == s.name
                    and o.peer == s.peer
                    and o.kind == s.kind
                    and o.parent == s.parent
                    and o.error == s.error
                ):
                    repeat[row] = True
                    break
                table[slot] |= _MORE
            step += _ONE
            slot = _slot(near, h, step, mask)
        if not repeat[row]:
            table[slot] = tag | np.uint64(row + 1)
    return table, repeat


@njit(inline="always")  # a call would count the references of its four arrays, which costs more than the search
def find_span(
    spans: Any, table: Any, trace_high: Any, trace_low: Any, span: Any, besides: Any, service: Any, name: Any
) -> Any:
    """Row of a span id, -1 where it is not there; `besides` is a row that may not be the answer."""
    mask = np.uint64(len(table) - 1)
    h = mix(trace_high ^ trace_low ^ span)
    near, tag, step = mix(trace_high ^ trace_low) & mask & ~_NEAR, h & _UPPER, _EMPTY
    slot = _slot(near, h, step, mask)
    best = np.int32(-1)
    while table[slot] != _EMPTY:
        if table[slot] & _UPPER == tag:
            row = np.int32(table[slot] & _ROW) - np.int32(1)
            s = spans[row]
            if s.span == span and s.trace_low == trace_low and s.trace_high == trace_high:
                if row != besides and (best < 0 or _before(s, spans[best], service, name)):
                    best = np.int32(row)
                if table[slot] & _MORE == _EMPTY:
                    break
        step += _ONE
        slot = _slot(near, h, step, mask)
    return best


@njit(nogil=True, cache=True)
def parents(spans: Any, table: Any, repeat: Any, service: Any, name: Any) -> Any:
    """Row of each span's parent, -1 where root or not here: int32 (n,)."""
    out = np.full(len(spans), -1, np.int32)
    for row in range(len(spans)):
        s = spans[row]
        if s.parent != np.uint64(0) and not repeat[row]:
            out[row] = find_span(spans, table, s.trace_high, s.trace_low, s.parent, row, service, name)
    return out


@njit(nogil=True, cache=True)
def own_times(spans: Any, parent: Any, service: Any, name: Any) -> Any:
    """Own time of each span, and the call it made into another service.

    Own time is the duration minus the *union* of the children's intervals, clipped to the span: parallel children would
    drive a sum below zero, and an asynchronous child may outlive its parent.

    Returns
    -------
    own : int64 (n,), ns
    far : int32 (n,), row of the last child (by start, then span id) of another service, -1 where there is none
    """
    n = len(spans)
    first = np.zeros(n + 1, np.int32)  # counting sort of children by parent
    for row in range(n):
        if parent[row] >= 0:
            first[parent[row] + 1] += 1
    for row in range(n):
        first[row + 1] += first[row]
    after = first[:-1].copy()
    child = np.empty(first[n], np.int32)
    for row in range(n):
        p = parent[row]
        if p >= 0:
            child[after[p]] = row
            after[p] += 1
    own, far = np.zeros(n, np.int64), np.full(n, -1, np.int32)
    for row in range(n):
        low, high = first[row], first[row + 1]
        start, end = spans[row].start, spans[row].end
        own[row] = end - start
        if low == high:
            continue
        for i in range(low + 1, high):  # insertion sort: few children, nearly ordered
            c = child[i]
            j = i - 1
            while j >= low and _sooner(spans[c], spans[child[j]], service, name):
                child[j + 1] = child[j]
                j -= 1
            child[j + 1] = c
        reach, covered = start, np.int64(0)
        for i in range(low, high):
            c = child[i]
            a, b = max(spans[c].start, reach), min(spans[c].end, end)
            if b > a:
                covered += b - a
                reach = b
            if spans[c].service != spans[row].service:
                far[row] = c
        own[row] -= covered
    return own, far


@njit(nogil=True, cache=True)
def visit_roots(spans: Any, parent: Any, service: Any, name: Any) -> Any:
    """Row of the span by which each span's visit was entered: int32 (n,).

    A cycle, which only garbage has, is entered by its soonest span.
    """
    n = len(spans)
    root = np.full(n, -1, np.int32)
    path = np.empty(n, np.int32)
    for row in range(n):
        depth, at = 0, np.int32(row)
        top = np.int32(-1)
        while root[at] < 0:
            root[at] = n  # on the path: meeting it again is a cycle
            path[depth] = at
            depth += 1
            up = parent[at]
            if up < 0 or spans[at].kind == SERVER or spans[up].service != spans[at].service:
                top = at
                break
            if root[up] == n:
                i, top = depth - 1, up
                while path[i] != up:
                    if _sooner(spans[path[i]], spans[top], service, name):
                        top = path[i]
                    i -= 1
                break
            at = up
        if top < 0:
            top = root[at]
        for i in range(depth):
            root[path[i]] = top
    return root


@njit(nogil=True, cache=True)
def span_events(spans: Any, far: Any, service_identity: Any, name_identity: Any) -> Any:
    """Event hash of each span: what it did, told by identities and not by codes: uint64 (n,)."""
    out = np.empty(len(spans), np.uint64)
    for row in range(len(spans)):
        s = spans[row]
        h = name_identity[s.name]
        if s.kind == CLIENT:
            h = mix(h ^ _SALTS[CALL])
            if far[row] >= 0:
                f = spans[far[row]]
                h = mix(h + mix(service_identity[f.service] ^ mix(name_identity[f.name])))
            elif s.peer >= 0:
                h = mix(h + mix(service_identity[s.peer]))
        else:
            h = mix(h ^ _SALTS[OP] + np.uint64(s.error))
        out[row] = h
    return out


@njit(nogil=True, cache=True)
def record_events(records: Any, shape_identity: Any, stem_identity: Any) -> Any:
    """Two event hashes of each log record, its shape and its stem: uint64 (n, 2)."""
    out = np.empty((len(records), 2), np.uint64)
    for row in range(len(records)):
        r = records[row]
        out[row, 0] = mix(shape_identity[r.shape] ^ _SALTS[LOG] + np.uint64(r.error))
        out[row, 1] = mix(stem_identity[r.shape] ^ _SALTS[STEM] + np.uint64(r.error))
    return out


@njit(nogil=True, cache=True)
def record_roots(spans: Any, table: Any, root: Any, records: Any, service: Any, name: Any) -> Any:
    """Row of the visit of each log record, -1 where its span is unknown or of another service: int32 (n,)."""
    out = np.full(len(records), -1, np.int32)
    for row in range(len(records)):
        r = records[row]
        at = find_span(spans, table, r.trace_high, r.trace_low, r.span, -1, service, name)
        if at >= 0 and spans[at].service == r.service:
            out[row] = root[at]
    return out


@njit(nogil=True, cache=True)
def visit_sets(spans: Any, root: Any, repeat: Any, events: Any, record_root: Any, record_event: Any) -> Any:
    """The multiset of events of every visit.

    Returns
    -------
    visits : int32 (v,), rows of the entry spans
    hashes : uint64 (v,), identity of (event, multiplicity up to ``LIMIT``) sets, whatever their order
    offsets : int32 (v + 1,);  event, times, source : arrays that visit i owns from offsets[i] to offsets[i + 1]
        `source` is the row of a span, or -1 - (2 * row + which) for a log record.
    """
    n = len(spans)
    size = np.zeros(n, np.int32)
    for row in range(n):
        if not repeat[row]:
            size[root[row]] += 1
    for row in range(len(record_root)):
        if record_root[row] >= 0:
            size[record_root[row]] += 2
    n_visits, total = 0, 0
    code = np.full(n, -1, np.int32)
    for row in range(n):
        if root[row] == row and not repeat[row]:
            code[row] = n_visits
            n_visits += 1
    visits, first = np.empty(n_visits, np.int32), np.zeros(n_visits + 1, np.int32)
    for row in range(n):
        if code[row] >= 0:
            visits[code[row]] = row
            total += size[row]
            first[code[row] + 1] = total
    at = first[:-1].copy()
    event, source = np.empty(total, np.uint64), np.empty(total, np.int32)
    for row in range(n):
        if not repeat[row] and code[root[row]] >= 0:
            v = code[root[row]]
            event[at[v]], source[at[v]] = events[row], row
            at[v] += 1
    for row in range(len(record_root)):
        if record_root[row] >= 0 and code[record_root[row]] >= 0:
            v = code[record_root[row]]
            for k in range(2):
                event[at[v]], source[at[v]] = record_event[row, k], -1 - (2 * row + k)
                at[v] += 1
    hashes, offsets = np.empty(n_visits, np.uint64), np.zeros(n_visits + 1, np.int32)
    times = np.ones(total, np.int32)
    out = 0
    for v in range(n_visits):
        low, high = first[v], at[v]
        if high - low > 48:
            order = np.argsort(event[low:high])
            event[low:high] = event[low:high][order]
            source[low:high] = source[low:high][order]
        else:
            for i in range(low + 1, high):
                e, s, j = event[i], source[i], i - 1
                while j >= low and event[j] > e:
                    event[j + 1], source[j + 1] = event[j], source[j]
                    j -= 1
                event[j + 1], source[j + 1] = e, s
        h, begin = np.uint64(0), out
        for i in range(low, high):
            if out > begin and event[out - 1] == event[i]:
                times[out - 1] = min(times[out - 1] + 1, LIMIT)
            else:
                event[out], source[out], times[out] = event[i], source[i], 1
                out += 1
        for i in range(begin, out):
            h += mix(event[i] + np.uint64(times[i]))
        hashes[v] = mix(h)
        offsets[v + 1] = out
    return visits, hashes, offsets, event[:out], times[:out], source[:out]
