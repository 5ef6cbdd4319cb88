"""Waiting spans and log records -> those of complete traces, the spans trace by trace, and those that wait on.

Spans of one trace come to lie side by side, so that what joins them finds them in the cache: that halves the cost of all
that follows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.identity import mix

_ONE = np.uint64(1)


class Split(NamedTuple):
    """Spans and records by whether their trace is complete; ``cut`` traces are so only because they are too old."""

    spans: NDArray[np.void]
    records: NDArray[np.void]
    open_spans: NDArray[np.void]
    open_records: NDArray[np.void]
    traces: int
    cut: int


@njit(nogil=True, cache=True)
def _group(
    rows: Any, time: Any, is_span: Any, table: Any, ids: Any, codes: Any, first: Any, last: Any, sizes: Any, n: Any
) -> Any:
    """Dense trace codes of some rows, by trace first and last time and number of spans; return how many traces."""
    mask = np.uint64(len(table) - 1)
    for row in range(len(rows)):
        a, b, t = rows[row].trace_high, rows[row].trace_low, time[row]
        slot = mix(a ^ mix(b)) & mask
        while table[slot] >= 0 and not (ids[table[slot], 0] == a and ids[table[slot], 1] == b):
            slot = (slot + _ONE) & mask
        code = table[slot]
        if code < 0:
            code = table[slot] = n
            ids[code, 0], ids[code, 1] = a, b
            first[code] = last[code] = t
            sizes[code] = 0
            n += 1
        codes[row] = code
        first[code], last[code] = min(first[code], t), max(last[code], t)
        sizes[code] += is_span
    return n


@njit(nogil=True, cache=True)
def _place(first: Any, last: Any, sizes: Any, at: Any, window: Any, oldest: Any) -> Any:
    """Where the spans of each complete trace begin, -1 where a trace waits; return their number and the traces'."""
    n, complete, cut = 0, 0, 0
    for code in range(len(at)):
        old = first[code] < oldest
        if last[code] < window or old:
            at[code] = n
            n += sizes[code]
            complete += 1
            cut += old and last[code] >= window
        else:
            at[code] = -1
    return n, complete, cut


@njit(nogil=True, cache=True)
def _spread(words: Any, codes: Any, at: Any, done: Any, waiting: Any, n: Any) -> Any:
    """Copy rows, seen as words of 64 bits, to where their trace stands or behind the `n` that wait."""
    for row in range(len(words)):
        code = codes[row]
        if at[code] < 0:
            for k in range(words.shape[1]):
                waiting[n, k] = words[row, k]
            n += 1
        else:
            for k in range(words.shape[1]):
                done[at[code], k] = words[row, k]
            at[code] += 1
    return n


def split_traces(spans: list[NDArray[np.void]], records: list[NDArray[np.void]], window: int, oldest: int) -> Split:
    """Split off the traces of which nothing ended at or after `window`, or something before `oldest` (Unix ns).

    Parameters
    ----------
    spans, records : lists of SPAN and RECORD arrays, one at least each
    """
    n_spans = sum(map(len, spans))
    rows = n_spans + sum(map(len, records))
    table = np.full(1 << max(10, (2 * rows).bit_length()), -1, np.int32)
    ids, codes, sizes = np.empty((rows, 2), np.uint64), np.empty(rows, np.int32), np.empty(rows, np.int32)
    first, last = np.empty(rows, np.int64), np.empty(rows, np.int64)
    n, begin = 0, 0
    for chunks, time in ((spans, "end"), (records, "time")):
        for chunk in chunks:
            part = codes[begin : begin + len(chunk)]
            n = _group(chunk, chunk[time], time == "end", table, ids, part, first, last, sizes, n)
            begin += len(chunk)
    at = np.empty(n, np.int64)
    n_done, complete, cut = _place(first, last, sizes, at, window, oldest)
    everything = np.concatenate(records)
    waits = (at < 0)[codes[n_spans:]]
    done, waiting = np.empty(n_done, spans[0].dtype), np.empty(n_spans - n_done, spans[0].dtype)
    begin = used = 0
    for chunk in spans:
        part = codes[begin : begin + len(chunk)]
        used = _spread(_words(chunk), part, at, _words(done), _words(waiting), used)
        begin += len(chunk)
    return Split(done, everything[~waits], waiting, everything[waits], int(complete), int(cut))


def chosen(rows: NDArray[np.void], which: NDArray[np.int32]) -> NDArray[np.void]:
    """``rows[which]``, several times faster: numpy copies records one field at a time."""
    out = np.empty(len(which), rows.dtype)
    np.take(_words(rows), which, axis=0, out=_words(out))
    return out


def _words(rows: NDArray[np.void]) -> NDArray[np.uint64]:
    return rows.view(np.uint64).reshape(len(rows), rows.dtype.itemsize // 8)
