r"""Bodies -> messages: JSON and logfmt bodies are narrowed to the field of the human text, with its stack trace if there is one.

JSON: the string value of the best of ``KEYS`` at the outermost level, whatever its case.  logfmt (the first token is
``key=``): the value of ``msg`` or ``message``.  Anything else, broken JSON too, stays as it is.  Slice edges move and
nothing is copied, but where a message holds an escape (``\n``, ``\"``, ``\u00e9``): it is decoded behind the buffer, so
that masking sees what was logged.  A message that was JSON in JSON (a container's runtime wrapped it) is narrowed once
more.  A field that holds a stack trace, of any level, follows the message on lines of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.columns import Slices
from aiops.ingest.alphabet import DIGIT, KINDS, SPACE
from aiops.ingest.stack_traces import append_trace

# The last wins: OpenTelemetry and ECS, zap, pino and bunyan, Serilog (@m, @mt), GELF, structlog, journald, Docker.
KEYS = b"event text body log @mt messagetemplate short_message textpayload renderedmessage @m msg message"
# Their last part counts: exception.stacktrace, error.stack_trace
TRACE_KEYS = b"stack_trace stacktrace stack exception exc_info exc_text errorverbose traceback backtrace @x"
_LOGFMT_RANK = len(KEYS.split()) - 1  # msg and message
_LARGEST = np.iinfo(np.int32).max  # slices have int32 edges


def _key_table(keys: bytes) -> NDArray[np.uint8]:
    """A row a key: its length, then its bytes."""
    words = keys.split()
    table = np.zeros((len(words), 1 + max(map(len, words))), np.uint8)
    for row, key in enumerate(words):
        table[row, 0] = len(key)
        table[row, 1 : 1 + len(key)] = list(key)
    return table


_TABLE, _TRACES = _key_table(KEYS), _key_table(TRACE_KEYS)


@njit(nogil=True, cache=True)
def _rank(data: Any, begin: Any, end: Any, table: Any) -> Any:
    """Number of a key in a table of lower-case ones, from 1; 0 if it is not there."""
    for row in range(len(table)):
        if table[row, 0] == end - begin:
            same = True
            for i in range(end - begin):
                byte = data[begin + i]
                same = same and table[row, 1 + i] == (byte | 32 if 65 <= byte <= 90 else byte)
            if same:
                return row + 1
    return 0


@njit(nogil=True, cache=True)
def _is_trace_key(data: Any, begin: Any, end: Any) -> Any:
    if end - begin < 2 or end - begin > 64:
        return False
    part = end
    while part > begin and data[part - 1] != 46:
        part -= 1
    return _rank(data, part, end, _TRACES) > 0


@njit(nogil=True, cache=True)
def _string_end(data: Any, i: Any, end: Any) -> Any:
    """Position of the closing quote of the string that begins before `i` (`end` if there is none), and whether it has escapes."""
    escaped = False
    while i < end and data[i] != 34:
        if data[i] == 92:
            escaped = True
            i += 2
        else:
            i += 1
    return min(i, end), escaped


@njit(nogil=True, cache=True)
def _json(data: Any, start: Any, end: Any) -> Any:
    """Begin, end and escapes of the message, begin and end of a stack trace (0, 0 = none)."""
    best, begin, stop, escapes = 0, start, end, False
    trace_begin = trace_end = start
    depth, i, key_begin, key_end = 0, start, 0, 0
    while i < end:
        byte = data[i]
        if byte == 34:
            close, escaped = _string_end(data, i + 1, end)
            k = close + 1
            while k < end and data[k] <= 32:
                k += 1
            if k < end and data[k] == 58:
                key_begin, key_end = i + 1, close
            elif key_end > key_begin:
                if close < end and close > i + 1:
                    if depth == 1:
                        rank = _rank(data, key_begin, key_end, _TABLE)
                        if rank > best:
                            best, begin, stop, escapes = rank, i + 1, close, escaped
                    if escaped and trace_end == trace_begin and _is_trace_key(data, key_begin, key_end):
                        trace_begin, trace_end = i + 1, close
                key_end = key_begin
            i = close
        elif byte == 123 or byte == 91:
            depth += 1
            key_end = key_begin
        elif byte == 125 or byte == 93:
            depth -= 1
        i += 1
    if best == 0:
        trace_end = trace_begin
    return begin, stop, escapes, trace_begin, trace_end


@njit(nogil=True, cache=True)
def _logfmt(data: Any, start: Any, end: Any) -> Any:
    """Begin, end and escapes of the message."""
    i = start
    while i < end:
        begin, escaped = i, False
        while i < end and data[i] != 61 and data[i] != 32 and data[i] != 34:
            i += 1
        if i >= end or data[i] != 61:
            if begin == start:
                return start, end, False  # the first token is no key=: not logfmt
            while i < end and data[i] != 32:
                i += 1
        else:
            key_end = i
            i += 1
            value = i
            if i < end and data[i] == 34:
                value += 1
                i, escaped = _string_end(data, value, end)
                stop = i
                i += 1
            else:
                while i < end and data[i] != 32:
                    i += 1
                stop = i
            if stop > value and _rank(data, begin, key_end, _TABLE) >= _LOGFMT_RANK:
                return value, stop, escaped
        while i < end and data[i] == 32:
            i += 1
    return start, end, False


@njit(nogil=True, cache=True)
def _narrow(data: Any, start: Any, end: Any, new_start: Any, new_end: Any, trace: Any, copied: Any) -> Any:
    """Fill the new edges, those of stack traces, and which rows must be copied; return how many bytes these need."""
    size = 0
    for row in range(len(start)):
        begin, stop = start[row], end[row]
        while begin < stop and data[begin] <= 32:
            begin += 1
        escapes, trace_begin, trace_end = False, begin, begin
        if begin < stop and data[begin] == 123:
            begin, stop, escapes, trace_begin, trace_end = _json(data, begin, stop)
        else:
            begin, stop, escapes = _logfmt(data, begin, stop)
        new_start[row], new_end[row] = begin, stop
        trace[row, 0], trace[row, 1] = trace_begin, trace_end
        copied[row] = escapes or trace_end > trace_begin
        if copied[row]:
            size += stop - begin + trace_end - trace_begin + 1
    return size


@njit(nogil=True, cache=True)
def _hex(data: Any, begin: Any, end: Any) -> Any:
    """Number in hex digits; -1 if there is another byte."""
    out = 0
    for i in range(begin, end):
        low = data[i] | 32
        if KINDS[data[i]] & DIGIT:
            out = out * 16 + data[i] - 48
        elif 97 <= low <= 102:
            out = out * 16 + low - 87
        else:
            return -1
    return out


@njit(nogil=True, cache=True)
def _put_rune(data: Any, at: Any, rune: Any) -> Any:
    """Write a code point as UTF-8; returns the position behind it."""
    if rune < 0x80:
        data[at] = rune
        return at + 1
    if rune < 0x800:
        data[at], data[at + 1] = 0xC0 | rune >> 6, 0x80 | rune & 63
        return at + 2
    if rune < 0x10000:
        data[at], data[at + 1], data[at + 2] = 0xE0 | rune >> 12, 0x80 | rune >> 6 & 63, 0x80 | rune & 63
        return at + 3
    data[at], data[at + 1] = 0xF0 | rune >> 18, 0x80 | rune >> 12 & 63
    data[at + 2], data[at + 3] = 0x80 | rune >> 6 & 63, 0x80 | rune & 63
    return at + 4


@njit(nogil=True, cache=True)
def _unescape(data: Any, i: Any, stop: Any, at: Any) -> Any:
    r"""Write ``data[i:stop]``, decoded, to `data` from `at` on, which is behind it; what is no escape stays; returns its end."""
    while i < stop:
        byte = data[i]
        if byte != 92 or i + 1 >= stop:
            data[at] = byte
            at += 1
            i += 1
            continue
        after = data[i + 1]
        i += 2
        if after == 110:
            data[at] = 10
        elif after == 116:
            data[at] = 9
        elif after == 114 or after == 98 or after == 102:
            data[at] = 32
        elif after == 34 or after == 47 or after == 92:
            data[at] = after
        elif after == 117 and i + 4 <= stop and _hex(data, i, i + 4) >= 0:
            rune = _hex(data, i, i + 4)
            i += 4
            if 0xD800 <= rune < 0xE000:  # half a pair, or one that is lost
                low = -1
                if rune < 0xDC00 and i + 6 <= stop and data[i] == 92 and data[i + 1] == 117:
                    low = _hex(data, i + 2, i + 6)
                if 0xDC00 <= low < 0xE000:
                    rune = 0x10000 + ((rune - 0xD800) << 10) + low - 0xDC00
                    i += 6
                else:
                    rune = 0xFFFD
            at = _put_rune(data, at, rune)
            continue
        elif after == 120 and i + 2 <= stop and _hex(data, i, i + 2) >= 0:  # Go quotes so
            data[at] = _hex(data, i, i + 2)
            i += 2
        else:
            data[at] = 92
            data[at + 1] = after
            at += 1
        at += 1
    return at


@njit(nogil=True, cache=True)
def _decode(data: Any, at: Any, start: Any, end: Any, trace: Any, copied: Any) -> None:
    """Write the copied rows to `data` from `at` on, each with its stack trace behind it, and move their edges there."""
    for row in range(len(start)):
        if copied[row]:
            begin = at
            at = _unescape(data, start[row], end[row], at)
            while at > begin and KINDS[data[at - 1]] & SPACE:
                at -= 1
            start[row], end[row] = begin, at
            if trace[row, 1] > trace[row, 0]:
                stop = _unescape(data, trace[row, 0], trace[row, 1], at + 1)
                data[at] = 10
                scratch = np.empty(stop - at + 24, np.uint8)
                if append_trace(data, at + 1, stop, scratch, 0) > 0:  # else it is some other text of that name
                    end[row] = at = stop


def messages(text: Slices) -> Slices:
    """The message of every body.

    Parameters
    ----------
    text : Slices, n bodies

    Returns
    -------
    Slices, n messages
        Views of the same buffer, or of a copy with the decoded messages behind it.
    """
    out, copied = _messages(text)
    rows = np.flatnonzero(copied)
    wrapped = rows[out.data[out.start[rows]] == ord("{")]
    if len(wrapped):
        inner, _ = _messages(Slices(out.data, out.start[wrapped], out.end[wrapped]))
        out.start[wrapped], out.end[wrapped] = inner.start, inner.end
        out = Slices(inner.data, out.start, out.end)
    return out


def _messages(text: Slices) -> tuple[Slices, NDArray[np.bool_]]:
    """Messages, and which of them were copied."""
    start, end = np.empty_like(text.start), np.empty_like(text.end)
    trace, copied = np.empty((len(start), 2), np.int32), np.empty(len(start), np.bool_)
    size = int(_narrow(text.data, text.start, text.end, start, end, trace, copied))
    if size == 0 or len(text.data) + size > _LARGEST:
        copied[:] = False
        return Slices(text.data, start, end), copied
    data = np.concatenate([text.data, np.empty(size + 1, np.uint8)])
    _decode(data, len(text.data), start, end, trace, copied)
    return Slices(data, start, end), copied
