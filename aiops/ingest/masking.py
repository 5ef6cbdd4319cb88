"""One log line -> its shape: the kernel that replaces every variable by one byte 0x01 and keeps all else.

Guarantees: the result depends on the bytes of the line alone; it is no longer than the line and 16 bytes; the cost is
linear in the length of the line, whatever the bytes.  Colours of a terminal are passed over.

A *word* is a run without white space and ``= : , ; ( ) [ ] { } " ' < > |``; ``...`` ends a word, so do ``. ! ?`` at its
end.  Scripts without spaces (CJK) are cut from ASCII, so that a number in a sentence takes the number only.  White
space becomes single; the fourth of a run of equal bytes and the rest go, so that rulers of any length are one shape.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from aiops.ingest.alphabet import CAPITAL, CLOSE, DIGIT, KINDS, OPEN, SPACE, STRUCT, WIDE, WORD, is_letter
from aiops.ingest.data_words import (
    address_end,
    closing,
    colour_end,
    has_query,
    is_agent,
    is_date,
    is_dump,
    is_hex,
    is_place,
    is_user,
    is_value,
    quote_end,
    word_end,
)
from aiops.ingest.stack_traces import append_trace

VARIABLE = 1  # the byte that stands for a variable; in a line it is white space, so a shape has no other 0x01


@njit(inline="always")
def _put(out: Any, size: Any, byte: Any) -> Any:
    if size > 2 and out[size - 1] == byte and out[size - 2] == byte and out[size - 3] == byte:
        return size
    out[size] = byte
    return size + 1


@njit(inline="always")
def _joins(byte: Any) -> Any:
    """Variables on both sides of it are one: 10.0.3.7:8443."""
    return byte in (58, 44, 124, 46, 45, 47, 35)


@njit(inline="always")
def _value_name(out: Any, size: Any) -> Any:
    """Where the name in ``=Name`` at the end of `out` begins; `size` if there is none."""
    name = size
    while name > 0 and (is_letter(out[name - 1]) or out[name - 1] == 95):
        name -= 1
    return name if name > 0 and out[name - 1] == 61 else size


@njit(inline="always")
def _opens_value(out: Any, size: Any, depth: Any) -> Any:
    """Whether a quote at the end of `out` opens a value: ``="quoted"``, and in brackets ``"key": "quoted"``."""
    if size == 0:
        return False
    if out[size - 1] == 61:
        return True
    return depth > 0 and (out[size - 1] == 58 or (size > 1 and out[size - 1] == 32 and out[size - 2] == 58))


@njit(inline="always")
def _note(spans: Any, count: Any, begin: Any, end: Any) -> Any:
    if count < len(spans):
        spans[count, 0], spans[count, 1] = begin, end
    return count + 1


@njit(nogil=True, cache=True)
def mask(data: Any, start: Any, end: Any, out: Any, spans: Any) -> Any:
    """Write the shape of ``data[start:end]`` to `out`.

    Parameters
    ----------
    data : uint8 array
    start, end : int
    out : uint8 array
        At least 24 bytes longer than the line.
    spans : int32 array, shape (k, 2), k may be 0
        Filled with the position in `data` of the first k variables.

    Returns
    -------
    size, n_variables : int
        Length of the shape, and the number of its 0x01 bytes.
    """
    size, i, depth, last, count, traced = 0, start, 0, -1, 0, False  # last: where the last variable of the shape ends
    while i < end:
        byte = data[i]
        kind = KINDS[byte]
        if kind & WORD == 0:
            if kind & SPACE:
                if byte == 27:
                    stop = colour_end(data, i, end)
                    if stop > i:
                        i = stop
                        continue
                if byte == 10 and not traced:
                    traced = True  # once: what is not there after the first line break is not there after the next
                    while size and out[size - 1] == 32:
                        size -= 1
                    extra = append_trace(data, i + 1, end, out, size)
                    if extra > size:
                        return extra, count
                if size and out[size - 1] != 32:
                    out[size] = 32
                    size += 1
                i += 1
                continue
            if kind & WIDE:  # a run of a script without spaces is one constant
                while i < end and data[i] > 127:
                    out[size] = data[i]
                    size += 1
                    i += 1
                continue
            close = -1
            if kind & OPEN:
                name = _value_name(out, size)
                if name < size:  # =Name{...}
                    close = min(closing(data, i, end) + 1, end)
                    begin = i - 1
                    while begin > start and data[begin - 1] != 61:
                        begin -= 1
                    count = _note(spans, count, begin, close)
                    out[name] = VARIABLE
                    last = size = name + 1
                    i = close
                    continue
                depth += 1
                if is_dump(data, start, i, end):
                    close = closing(data, i, end)
            elif kind & CLOSE:
                depth = max(depth - 1, 0)
            elif byte == 34 and (_opens_value(out, size, depth) or is_agent(data, i + 1, end)):
                close = quote_end(data, i + 1, end)
            elif byte == 58 and i + 2 < end and data[i + 1] == 58 and (i == start or KINDS[data[i - 1]] & WORD == 0):
                stop = address_end(data, i, end)  # ::1
                if stop > i:
                    out[size] = VARIABLE
                    count = _note(spans, count, i, stop)
                    size += 1
                    last, i = size, stop
                    continue
            if close > i + 1:
                out[size], out[size + 1] = byte, VARIABLE
                last = size = size + 2
                count = _note(spans, count, i + 1, close)
                i = close
                if byte == 34 and i < end:  # the closing quote; a closing bracket goes the usual way
                    out[size] = 34
                    size += 1
                    i += 1
                continue
            size = _put(out, size, byte)
            i += 1
            continue
        if byte == 46 and i + 1 < end and data[i + 1] == 46:  # a line of dots is punctuation
            size = _put(out, size, byte)
            i += 1
            continue
        begin, seen = i, KINDS[0] & WORD
        while i < end:
            kind = KINDS[data[i]]
            if kind & WORD == 0:
                break
            if data[i] == 46 and i + 2 < end and data[i + 1] == 46 and data[i + 2] == 46:
                break
            seen |= kind
            i += 1
        variable = False
        if seen & DIGIT == 0 and i + 2 < end and data[i] == 58 and data[i + 1] == 47 and data[i + 2] == 47:  # scheme://
            i += 3
            while (
                i < end and KINDS[data[i]] & (SPACE | CLOSE) == 0 and data[i] != 34 and data[i] != 39 and data[i] != 62
            ):
                i += 1
            variable = True
        elif seen & STRUCT:
            stop = word_end(data, begin, i)
            if stop > begin:  # else it is marks alone, and a constant
                i = stop
                variable = seen & DIGIT != 0 or is_place(data, begin, i)
                if variable and i < end and data[i] == 61 and has_query(data, begin, i):
                    while i < end and KINDS[data[i]] & (SPACE | CLOSE) == 0 and data[i] != 34 and data[i] != 39:
                        i += 1
                if (
                    not variable
                    and i + 1 < end
                    and data[i] == 58
                    and KINDS[data[i + 1]] & DIGIT
                    and seen & CAPITAL == 0
                ):
                    variable = True  # host.name:port
        elif seen & DIGIT:
            variable = True
        if i < end and data[i] == 58 and i - begin <= 4:
            stop = address_end(data, begin, end)
            if stop > begin:
                i, variable = stop, True
        if not variable:
            if depth > 0 or (size and out[size - 1] == 61):
                variable = is_value(data, begin, i, end, out, size, depth)
            if not variable and seen & CAPITAL and i - begin < 10 and KINDS[data[begin]] & CAPITAL:
                variable = is_date(data, begin, i, end, out, size, last)
            if not variable and size > 4 and out[size - 1] == 32 and out[size - 2] == 114:
                variable = is_user(data, i, end, out, size)
            if not variable and i == begin + 2 and size and size == last + 1 and out[size - 1] == 58:  # MAC address
                a, b = data[begin] | 32, data[begin + 1] | 32
                variable = 97 <= a <= 102 and 97 <= b <= 102
            if not variable and i - begin > 15:
                variable = is_hex(data, begin, i)
        if variable:
            if last >= 0 and size == last + 1 and _joins(out[size - 1]):
                size = last
                if count <= len(spans):
                    spans[count - 1, 1] = i
            else:
                out[size] = VARIABLE
                size += 1
                count = _note(spans, count, begin, i)
            last = size
        else:
            for j in range(begin, i):
                size = _put(out, size, data[j])
    while size and out[size - 1] == 32:
        size -= 1
    return size, count
