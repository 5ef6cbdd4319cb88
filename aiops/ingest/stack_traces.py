"""Lines behind the first one of a record -> exception types and top frames, if they hold a stack trace.

What is kept does not change when a message, a line number or an address does: a rebuilt program keeps its shapes.
Forms: ``at name(`` (Java, .NET, JavaScript) and ``File "...", line n, in name`` (Python); others are plain text.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from aiops.ingest.alphabet import DIGIT, KINDS, SPACE, is_fault

FRAMES = 3  # kept after each exception type
CAUSES = 3  # exception types kept in one record
LONGEST_NAME = 200  # bytes of a frame's or type's name


@njit(nogil=True, cache=True)
def _after_at(data: Any, begin: Any, stop: Any) -> Any:
    """Whether there is a frame ``at name(`` at `begin`."""
    return stop - begin > 4 and data[begin] == 97 and data[begin + 1] == 116 and data[begin + 2] == 32


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
def _after_caused_by(data: Any, begin: Any, stop: Any) -> Any:
    """Position after ``Caused by: ``, or `begin`."""
    found = stop - begin > 11 and data[begin] == 67 and data[begin + 6] == 32 and data[begin + 7] == 98
    return begin + 11 if found and data[begin + 9] == 58 else begin


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
    while i < end:
        stop = i
        while stop < end and data[stop] != 10:
            stop += 1
        begin = i
        while begin < stop and KINDS[data[begin]] & SPACE:
            begin += 1
        name_begin = name_end = 0
        if _after_at(data, begin, stop):
            any_frame = True
            if frames < FRAMES:
                name_begin = name_end = begin + 3
                while name_end < stop and data[name_end] != 40 and KINDS[data[name_end]] & SPACE == 0:
                    name_end += 1
                frames += 1
        elif _is_file(data, begin, stop):  # the name is the line's last word
            any_frame = True
            name_begin = name_end = stop
            while name_begin > begin and KINDS[data[name_begin - 1]] & SPACE == 0:
                name_begin -= 1
            frames += 1
            if frames > FRAMES:
                name_begin = name_end
        elif begin < stop and causes < CAUSES:
            j = _after_caused_by(data, begin, stop)
            k = j
            while k < stop and data[k] != 58 and data[k] != 40 and KINDS[data[k]] & SPACE == 0:
                k += 1
            if is_fault(data, j, k) and (j > begin or begin == i):
                name_begin, name_end = j, k
                causes += 1
                frames = 0
        if name_end > name_begin:
            out[size] = 10
            size += 1
            for j in range(name_begin, min(name_end, name_begin + LONGEST_NAME)):
                if KINDS[data[j]] & DIGIT == 0:
                    out[size] = data[j]
                    size += 1
        i = stop + 1
    return size if any_frame else first_size
