r"""Bodies -> messages: JSON and logfmt bodies are narrowed to the field of the human text, by moving slice edges.

JSON: the string value of the best of ``message msg log body text event`` at the outermost level.  logfmt (the first
token is ``key=``): the value of ``msg`` or ``message``.  Anything else, broken JSON too, stays as it is.  Nothing is
copied or parsed, so escapes stay escaped, with one exception: a message in which a stack frame follows an escaped line
break is decoded behind the buffer, because a trace is only seen where its lines are lines.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.columns import Slices

_KEYS = (b"event", b"text", b"body", b"log", b"msg", b"message")  # the last wins
_LOGFMT_RANK = 5  # msg and message
_LARGEST = np.iinfo(np.int32).max  # slices have int32 edges


def _key_table() -> NDArray[np.uint8]:
    """A row a key: its length, then its bytes."""
    table = np.zeros((len(_KEYS), 9), np.uint8)
    for row, key in enumerate(_KEYS):
        table[row, 0] = len(key)
        table[row, 1 : 1 + len(key)] = list(key)
    return table


_TABLE = _key_table()


@njit(nogil=True, cache=True)
def _rank(data: Any, begin: Any, end: Any) -> Any:
    for row in range(len(_TABLE)):
        if _TABLE[row, 0] == end - begin:
            same = True
            for i in range(end - begin):
                same = same and _TABLE[row, 1 + i] == data[begin + i]
            if same:
                return row + 1
    return 0


@njit(nogil=True, cache=True)
def _string_end(data: Any, i: Any, end: Any) -> Any:
    """Position of the closing quote of the string that begins before `i`; `end` if there is none."""
    while i < end and data[i] != 34:
        i += 2 if data[i] == 92 else 1
    return min(i, end)


@njit(nogil=True, cache=True)
def _json(data: Any, start: Any, end: Any) -> Any:
    best, begin, stop = 0, start, end
    depth, i, key_begin, key_end = 0, start, 0, 0
    while i < end:
        byte = data[i]
        if byte == 34:
            close = _string_end(data, i + 1, end)
            if depth == 1:
                k = close + 1
                while k < end and data[k] <= 32:
                    k += 1
                if k < end and data[k] == 58:
                    key_begin, key_end = i + 1, close
                elif key_end > key_begin:
                    rank = _rank(data, key_begin, key_end)
                    if rank > best and close < end:
                        best, begin, stop = rank, i + 1, close
                    key_end = key_begin
            i = close
        elif byte in (123, 91):
            depth += 1
            key_end = key_begin
        elif byte in (125, 93):
            depth -= 1
        i += 1
    return begin, stop


@njit(nogil=True, cache=True)
def _logfmt(data: Any, start: Any, end: Any) -> Any:
    i = start
    while i < end:
        begin = i
        while i < end and data[i] != 61 and data[i] != 32 and data[i] != 34:
            i += 1
        if i >= end or data[i] != 61:
            if begin == start:
                return start, end  # the first token is no key=: not logfmt
            while i < end and data[i] != 32:
                i += 1
        else:
            key_end = i
            i += 1
            value = i
            if i < end and data[i] == 34:
                value += 1
                i = _string_end(data, value, end)
                stop = i
                i += 1
            else:
                while i < end and data[i] != 32:
                    i += 1
                stop = i
            if _rank(data, begin, key_end) >= _LOGFMT_RANK and stop > value:
                return value, stop
        while i < end and data[i] == 32:
            i += 1
    return start, end


@njit(nogil=True, cache=True)
def _has_frame(data: Any, i: Any, end: Any) -> Any:
    r"""Whether a ``\n`` is followed by spaces or ``\t``, and these by ``at `` or ``File``."""
    while i + 6 < end:
        if data[i] != 92:
            i += 1
        elif data[i + 1] != 110:
            i += 2
        else:
            i += 2
            begin = i
            while i < end and (data[i] == 32 or (data[i] == 92 and i + 1 < end and data[i + 1] == 116)):
                i += 1 if data[i] == 32 else 2
            if i > begin and i + 3 < end:
                if data[i] == 97 and data[i + 1] == 116 and data[i + 2] == 32:
                    return True
                if data[i] == 70 and data[i + 1] == 105 and data[i + 2] == 108 and data[i + 3] == 101:
                    return True
    return False


@njit(nogil=True, cache=True)
def _narrow(data: Any, start: Any, end: Any, new_start: Any, new_end: Any, traced: Any) -> Any:
    """Fill the new edges and which rows hold an escaped trace; return how many bytes those rows have."""
    size = 0
    for row in range(len(start)):
        begin, stop = start[row], end[row]
        while begin < stop and data[begin] <= 32:
            begin += 1
        first, limit = begin, stop
        if begin < stop and data[begin] == 123:
            begin, stop = _json(data, begin, stop)
        else:
            begin, stop = _logfmt(data, begin, stop)
        new_start[row], new_end[row] = begin, stop
        traced[row] = (begin > first or stop < limit) and _has_frame(data, begin, stop)
        if traced[row]:
            size += stop - begin
    return size


@njit(nogil=True, cache=True)
def _decode(data: Any, at: Any, start: Any, end: Any, traced: Any) -> Any:
    r"""Write the traced rows, ``\n \r \t \" \\ \/`` decoded, to `data` from `at` on, and move their edges there."""
    for row in range(len(start)):
        if traced[row]:
            i, stop = start[row], end[row]
            start[row] = at
            while i < stop:
                byte = data[i]
                if byte == 92 and i + 1 < stop:
                    after = data[i + 1]
                    if after in (110, 114, 116):
                        data[at] = 10 if after == 110 else 13 if after == 114 else 9
                        i += 1
                    elif after in (34, 47, 92):
                        data[at] = after
                        i += 1
                    else:
                        data[at] = byte
                else:
                    data[at] = byte
                at += 1
                i += 1
            end[row] = at


def messages(text: Slices) -> Slices:
    """The message of every body.

    Parameters
    ----------
    text : Slices, n bodies

    Returns
    -------
    Slices, n messages
        Views of the same buffer, or of a copy with the decoded traces behind it.
    """
    start, end = np.empty_like(text.start), np.empty_like(text.end)
    traced = np.empty(len(start), np.bool_)
    size = int(_narrow(text.data, text.start, text.end, start, end, traced))
    if size == 0 or len(text.data) + size > _LARGEST:
        return Slices(text.data, start, end)
    data = np.concatenate([text.data, np.empty(size, np.uint8)])
    _decode(data, len(text.data), start, end, traced)
    return Slices(data, start, end)
