"""Lines behind the first one of a record -> exception types and top frames, if they hold a stack trace.

What is kept does not change when a message, a line number or an address does: a rebuilt program keeps its shapes.

=============================  ==========================================================================================
``at name(``, ``at file:1:2``  Java, Kotlin, .NET, JavaScript; the first frames behind each exception type
``File "...", line n, in f``   Python; the last frames before the exception type, because there the newest comes last
``name(...)``, then a line     Go, of a panic, of zap, of ``%+v``; frames of the runtime are passed over
indented ``path.go:n``
``n: crate::name``             Rust; the same; the line ``at path:n`` behind it is no frame
=============================  ==========================================================================================

Others are plain text.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from aiops.ingest.alphabet import DIGIT, KINDS, SPACE, is_fault, is_letter

FRAMES = 3  # kept after each exception type
CAUSES = 3  # exception types kept in one record
LONGEST_NAME = 200  # bytes of a frame's or type's name


@njit(nogil=True, cache=True)
def _after_at(data: Any, begin: Any, stop: Any) -> Any:
    """Where the name of a frame ``at name(`` or ``at file:1:2`` begins; 0 if there is none."""
    if stop - begin < 5 or data[begin] != 97 or data[begin + 1] != 116 or data[begin + 2] != 32:
        return 0
    for i in range(begin + 3, stop):
        if data[i] == 40 or (data[i] == 58 and i + 1 < stop and KINDS[data[i + 1]] & DIGIT):
            name = begin + 3
            if stop - name > 6 and data[name] == 97 and data[name + 1] == 115 and data[name + 5] == 32:
                name += 6  # async
            if stop - name > 4 and data[name] == 110 and data[name + 1] == 101 and data[name + 3] == 32:
                name += 4  # new
            return name
    return 0


@njit(nogil=True, cache=True)
def _is_file(data: Any, begin: Any, stop: Any) -> Any:
    """Whether there is a Python frame ``File "`` at `begin`."""
    return (
        stop - begin > 7
        and data[begin] == 70
        and data[begin + 1] == 105
        and data[begin + 2] == 108
        and data[begin + 3] == 101
        and data[begin + 4] == 32
        and data[begin + 5] == 34
    )


@njit(nogil=True, cache=True)
def _is_go_place(data: Any, begin: Any, stop: Any) -> Any:
    """Whether there is ``.go:n`` in the line."""
    for i in range(begin, stop - 4):
        if data[i] == 46 and data[i + 1] == 103 and data[i + 2] == 111 and data[i + 3] == 58:
            return KINDS[data[i + 4]] & DIGIT != 0
    return False


@njit(nogil=True, cache=True)
def _go_name(data: Any, begin: Any, stop: Any) -> Any:
    """Name of the function in the line before a place: without arguments, ``created by`` and the goroutine."""
    if stop - begin > 11 and data[begin] == 99 and data[begin + 7] == 32 and data[begin + 10] == 32:
        begin += 11
        for i in range(begin, stop):
            if data[i] == 32:
                stop = i
                break
    if stop > begin and data[stop - 1] == 41:  # (*T).name has a bracket too, but does not end with one
        for i in range(stop - 1, begin, -1):
            if data[i] == 40:
                return begin, i
    return begin, stop


@njit(nogil=True, cache=True)
def _after_number(data: Any, begin: Any, stop: Any) -> Any:
    """Where the name of a frame ``n: name`` or ``n: 0x7f - name`` begins; 0 if there is none."""
    i = begin
    while i < stop and KINDS[data[i]] & DIGIT:
        i += 1
    if i == begin or i + 2 >= stop or data[i] != 58 or data[i + 1] != 32:
        return 0
    i += 2
    while i < stop and data[i] == 32:
        i += 1
    if i + 2 < stop and data[i] == 48 and data[i + 1] == 120:
        while i < stop and data[i] != 32:
            i += 1
        while i < stop and data[i] in (32, 45):
            i += 1
    return i if i < stop else 0


@njit(nogil=True, cache=True)
def _crate_end(data: Any, begin: Any, stop: Any) -> Any:
    """Where a Rust name ends, without the hash ``::h0123456789abcdef``; `begin` if no ``::`` is in it."""
    if stop - begin > 19 and data[stop - 19] == 58 and data[stop - 18] == 58 and data[stop - 17] == 104:
        stop -= 19
    for i in range(begin, stop - 1):
        if data[i] == 58 and data[i + 1] == 58:
            return stop
    return begin


@njit(nogil=True, cache=True)
def _starts(data: Any, begin: Any, stop: Any, words: Any) -> Any:
    """Whether the name begins with one of the words, a row each: its length, then its bytes."""
    for row in range(len(words)):
        n = words[row, 0]
        if stop - begin >= n:
            same = True
            for i in range(n):
                same = same and words[row, 1 + i] == data[begin + i]
            if same:
                return True
    return False


def _table(words: bytes) -> Any:
    split = words.split()
    table = np.zeros((len(split), 1 + max(map(len, split))), np.uint8)
    for row, word in enumerate(split):
        table[row, 0] = len(word)
        table[row, 1 : 1 + len(word)] = list(word)
    return table


# What every trace passes through on its way says nothing of where it comes from.
_RUNTIME = _table(
    b"runtime. runtime/ panic( core:: std:: alloc:: <core:: <std:: <alloc:: rust_ __rust backtrace:: anyhow::"
)


@njit(nogil=True, cache=True)
def _after_cause(data: Any, begin: Any, stop: Any) -> Any:
    """Position after ``Caused by: `` or ``---> ``, or `begin`."""
    if stop - begin > 11 and data[begin] == 67 and data[begin + 6] == 32 and data[begin + 7] == 98:
        return begin + 11 if data[begin + 9] == 58 else begin
    if stop - begin > 5 and data[begin] == 45 and data[begin + 1] == 45 and data[begin + 3] == 62:
        return begin + 5
    return begin


@njit(nogil=True, cache=True)
def _is_type(data: Any, begin: Any, end: Any, stop: Any, framed: Any) -> Any:
    """Whether a word is the type of what was thrown: ``...Exception``, ``...Error``; behind frames any ``name:``."""
    if is_fault(data, begin, end):
        return True
    if not framed or end == begin or not is_letter(data[begin]) or (end < stop and data[end] != 58):
        return False
    for i in range(begin, end):
        byte = data[i]
        if not (is_letter(byte) or KINDS[byte] & DIGIT or byte == 46 or byte == 95):
            return False
    return True


@njit(nogil=True, cache=True)
def append_trace(data: Any, i: Any, end: Any, out: Any, size: Any) -> Any:
    """Append exception types and top frames, one a line, to a shape.

    Parameters
    ----------
    data : uint8 array
    i, end : int
        The lines of the record after the first one.
    out : uint8 array
        The shape so far; needs room for ``end - i`` bytes more and one for each name.
    size : int
        Its length.

    Returns
    -------
    int
        The new length; `size` if no line is a stack frame.
    """
    first_size, frames, causes, any_frame = size, 0, 0, False
    numbered = False  # the line before is a numbered frame
    before_begin = before_end = 0  # the line before, without the white space around it
    oldest = second = third = size  # where the kept Python frames begin in `out`
    n_files = 0
    while i < end:
        stop = i
        while stop < end and data[stop] != 10:
            stop += 1
        begin, close = i, stop
        while begin < stop and KINDS[data[begin]] & SPACE:
            begin += 1
        while close > begin and KINDS[data[close - 1]] & SPACE:
            close -= 1
        name_begin = name_end = 0
        is_numbered, is_file = False, False
        at = _after_at(data, begin, close)
        if at:
            if not numbered:
                any_frame = True
                if frames < FRAMES:
                    name_begin = name_end = at
                    while name_end < stop and data[name_end] != 40 and KINDS[data[name_end]] & SPACE == 0:
                        name_end += 1
                    frames += 1
        elif _is_file(data, begin, stop):  # the name is the line's last word
            any_frame = is_file = True
            name_begin = name_end = close
            while name_begin > begin and KINDS[data[name_begin - 1]] & SPACE == 0:
                name_begin -= 1
        elif begin > i and _is_go_place(data, begin, close):
            any_frame = True
            said = frames < FRAMES and before_end > before_begin
            if said and not _starts(data, before_begin, before_end, _RUNTIME):
                name_begin, name_end = _go_name(data, before_begin, before_end)
                frames += 1
        elif begin < close and KINDS[data[begin]] & DIGIT:
            number = _after_number(data, begin, close)
            if number:
                is_numbered = True
                crate_end = _crate_end(data, number, close)
                if crate_end > number:
                    any_frame = True
                    if frames < FRAMES and not _starts(data, number, crate_end, _RUNTIME):
                        name_begin, name_end = number, crate_end
                        frames += 1
        elif begin < stop and causes < CAUSES:
            j = _after_cause(data, begin, stop)
            k = j
            while k < stop and data[k] != 58 and data[k] != 40 and KINDS[data[k]] & SPACE == 0:
                k += 1
            caused = j > begin
            if (caused or begin == i) and _is_type(data, j, k, close, caused or n_files > 0):
                name_begin, name_end = j, k
                causes += 1
                frames = n_files = 0
        if name_end > name_begin:
            if is_file:  # of four frames the oldest goes
                if n_files == FRAMES:
                    gap = second - oldest
                    for j in range(second, size):
                        out[j - gap] = out[j]
                    size -= gap
                    second, third = third - gap, size
                else:
                    n_files += 1
                    if n_files == 1:
                        oldest = size
                    elif n_files == 2:
                        second = size
                    else:
                        third = size
            out[size] = 10
            size += 1
            for j in range(name_begin, min(name_end, name_begin + LONGEST_NAME)):
                if KINDS[data[j]] & DIGIT == 0:
                    out[size] = data[j]
                    size += 1
        numbered = is_numbered
        before_begin, before_end = begin, close
        i = stop + 1
    return size if any_frame else first_size
