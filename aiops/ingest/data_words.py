"""A word, or a bracket, of a log line -> whether it is data: the rules of the masking kernel, each pure and bounded.

A rule reads the word itself and at most ``PEEK`` bytes behind it, so that the cost of a line is linear in its length.
Rules look at bytes, not at meanings; where each came from and what it is worth is in ``docs/log-templates.md``.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from aiops.ingest.alphabet import (
    CLOSE,
    DATE,
    DATE_WORDS,
    DIGIT,
    KINDS,
    OPEN,
    SPACE,
    WORD,
    ZONE,
    is_fault,
    is_letter,
)

PEEK = 512  # bytes looked ahead for the first comma of a list
LONGEST_KEY = 128  # bytes of the first key of a map that is printed in a line
HEX_RUN = 16  # a word of hex letters alone and at least this long is an id that happens to have no digit


@njit(nogil=True, cache=True)
def closing(data: Any, i: Any, end: Any) -> Any:
    """Position of the bracket that closes the one at `i`; `end` if there is none (the line was cut)."""
    depth = 0
    while i < end:
        kind = KINDS[data[i]]
        if kind & OPEN:
            depth += 1
        elif kind & CLOSE:
            depth -= 1
            if depth == 0:
                return i
        i += 1
    return end


@njit(nogil=True, cache=True)
def quote_end(data: Any, i: Any, end: Any) -> Any:
    r"""Position of the quote that closes the value that begins at `i`; ``\"`` does not, unless no other quote does."""
    first = -1
    while i < end and (first < 0 or i < first + PEEK):
        if data[i] == 34:
            if data[i - 1] != 92:
                return i
            first = i if first < 0 else first
        i += 1
    return first if first >= 0 else end


@njit(nogil=True, cache=True)
def is_agent(data: Any, i: Any, end: Any) -> Any:
    """Whether a quoted string that begins with a product and its version does: ``Mozilla/5.0 (...)``, ``curl/8.5``."""
    begin = i
    while i < end and i < begin + 40 and (is_letter(data[i]) or data[i] == 45 or data[i] == 95 or data[i] == 46):
        i += 1
    return i > begin and i + 1 < end and data[i] == 47 and KINDS[data[i + 1]] & DIGIT != 0


@njit(nogil=True, cache=True)
def colour_end(data: Any, i: Any, end: Any) -> Any:
    """Position behind the escape sequence of a terminal at `i`; `i` if there is none."""
    if i + 2 >= end or data[i + 1] != 91:
        return i
    k = i + 2
    while k < end and k < i + 32 and (KINDS[data[k]] & DIGIT or data[k] == 59):
        k += 1
    return k + 1 if k < end and is_letter(data[k]) else i


@njit(nogil=True, cache=True)
def address_end(data: Any, i: Any, end: Any) -> Any:
    """Position behind the IPv6 or MAC address that begins at `i`, which may be ``::``; `i` if there is none.

    A name ``a::b`` is none: a short form must have a digit or a third colon.
    """
    j, colons, run, pairs, double, digit = i, 0, 0, True, False, False
    while j < end and j < i + 40:
        byte = data[j]
        low = byte | 32
        if KINDS[byte] & DIGIT or 97 <= low <= 102:
            digit = digit or KINDS[byte] & DIGIT != 0
            run += 1
            if run > 4:
                return i
        elif byte == 58:
            pairs = pairs and run == 2
            if run == 0 and j > i:
                if double or data[j - 1] != 58:
                    return i
                double = True
            colons += 1
            run = 0
        else:
            break
        j += 1
    if run == 0 and j > i + 1 and data[j - 1] == 58 and data[j - 2] != 58:  # punctuation behind it
        j -= 1
        colons -= 1
        run = 2
    if not (
        (double and (digit or colons > 2))
        or (not double and colons == 7 and run > 0)
        or (not double and colons == 5 and pairs and run == 2)
    ):
        return i
    if double and j < end and data[j] == 46:  # ::ffff:10.0.0.1
        while j < end and (data[j] == 46 or KINDS[data[j]] & DIGIT):
            j += 1
    if j < end and (data[j] == 37 or data[j] == 47):  # its zone, or the length of its prefix
        j += 1
        while j < end and (is_letter(data[j]) or KINDS[data[j]] & DIGIT):
            j += 1
    if j < end and KINDS[data[j]] & WORD and data[j] not in (46, 33, 63):
        return i
    return word_end(data, i, j)


@njit(nogil=True, cache=True)
def is_dump(data: Any, start: Any, i: Any, end: Any) -> Any:
    """Whether the bracket at `i` opens a printed structure: ``Name(key=``, ``{key=``, ``{Key:v``, ``{"``, ``{'``, ``[a,``."""
    bracket, j = data[i], i + 1
    if j >= end:
        return False
    if bracket == 123 and i > start:  # but a body that is one object keeps its keys
        if data[j] == 34 or data[j] == 39:
            return True
        k = j  # a map as Java prints it, a struct as Go does
        while (
            k < end and k < i + LONGEST_KEY and KINDS[data[k]] & (SPACE | OPEN | CLOSE) == 0 and data[k] not in (44, 61)
        ):
            if (
                data[k] == 58
                and k > j
                and is_letter(data[j])
                and k + 1 < end
                and KINDS[data[k + 1]] & (SPACE | CLOSE) == 0
            ):
                return True
            k += 1
        if k > j and k + 1 < end and data[k] == 61:  # its entries are apart by commas
            if KINDS[data[k + 1]] & OPEN:
                return True
            k += 1
            while k < end and k < i + PEEK and KINDS[data[k]] & (SPACE | CLOSE) == 0 and data[k] != 44:
                k += 1
            if k < end and (data[k] == 44 or KINDS[data[k]] & CLOSE):
                return True
    k = j
    while k < end and (is_letter(data[k]) or data[k] == 95):
        k += 1
    named = i > start and (is_letter(data[i - 1]) or data[i - 1] == 95)
    if named and k > j and k < end and data[k] == 61:
        return True
    if bracket != 91:
        return False
    inner = 0
    while k < min(end, i + PEEK):  # a list: no white space before its first comma but inside the element's own brackets
        byte = data[k]
        if KINDS[byte] & OPEN:
            inner += 1
        elif KINDS[byte] & CLOSE:
            inner -= 1
            if inner < 0:
                return False
        elif byte == 44:
            return True
        elif KINDS[byte] & SPACE and inner == 0:
            return False
        k += 1
    return inner > 0


@njit(nogil=True, cache=True)
def word_end(data: Any, begin: Any, end: Any) -> Any:
    """Where a word with dots, slashes or marks really ends: before the marks at its end."""
    while end > begin and (data[end - 1] == 46 or data[end - 1] == 33 or data[end - 1] == 63):
        end -= 1
    return end


@njit(nogil=True, cache=True)
def is_place(data: Any, begin: Any, end: Any) -> Any:
    """Path, dotted name of three parts or more that is no exception's, or address with an ``@``."""
    slashes = dots = letters = at = 0
    plain = True
    for i in range(begin, end):
        byte = data[i]
        if byte in (47, 92):
            slashes += 1
        elif byte == 46:
            dots += 1
        elif is_letter(byte) or byte > 127:
            letters += 1
        elif byte == 64 and i > begin:
            at = dots + 1
            plain = False
        elif byte not in (95, 45, 36):
            plain = False
    if letters == 0:
        return False
    if slashes:
        first = data[begin]
        return (first in (47, 126, 92) and end - begin > 3) or slashes > 1 or dots > 0
    if at:
        return dots >= at  # a dot behind the @
    if dots < 2 or not plain or data[begin] == 46:
        return False
    return not is_fault(data, begin, end)


@njit(nogil=True, cache=True)
def has_query(data: Any, begin: Any, end: Any) -> Any:
    """Whether the word is a path with a query: ``/path?key``."""
    slash = False
    for i in range(begin, end):
        if data[i] == 47:
            slash = True
        elif data[i] == 63 and slash:
            return True
    return False


@njit(nogil=True, cache=True)
def is_hex(data: Any, begin: Any, end: Any) -> Any:
    """An id of hex letters alone (a word with a digit is data anyway)."""
    if end - begin < HEX_RUN:
        return False
    for i in range(begin, end):
        low = data[i] | 32
        if low < 97 or low > 102:
            return False
    return True


@njit(nogil=True, cache=True)
def _date_kind(data: Any, begin: Any, end: Any) -> Any:
    """0, or what the date table says of the word: three capitalised letters, a full name, a zone, AM, PM."""
    n = end - begin
    if n == 2:
        return ZONE if data[end - 1] == 77 and (data[begin] == 65 or data[begin] == 80) else 0
    if n > 9 or n < 3:
        return 0
    for i in range(begin, end):
        if not is_letter(data[i]):
            return 0
    a, b, c = int(data[begin]), int(data[begin + 1]), int(data[begin + 2])
    kind = DATE_WORDS[(a & 31) << 10 | (b & 31) << 5 | c & 31]
    if n == 3:
        return kind & ZONE if b < 97 else kind & DATE
    if n == 4 and b < 97:  # CEST
        return ZONE if data[end - 1] == 84 else 0
    tail = data[end - 1]  # Monday ... Sunday end in y; the months in y, h, l, e, t, r
    if b > 96 and tail in (121, 104, 108, 101, 116, 114):
        return kind & DATE
    return 0


@njit(nogil=True, cache=True)
def is_date(data: Any, begin: Any, end: Any, stop: Any, out: Any, size: Any, last: Any) -> Any:
    """A date word beside a number or another date word.

    `last` is where the last variable of the shape `out[:size]` ends.
    """
    kind = _date_kind(data, begin, end)
    if kind == 0:
        return False
    if last > 0 and size <= last + 2 and (size == last or out[size - 1] in (32, 44, 45)):
        return True
    if kind != DATE:
        return False
    i = end
    while i < stop and i < end + 2 and data[i] in (32, 44, 45):
        i += 1
    if i == end or i >= stop:
        return False
    if KINDS[data[i]] & DIGIT:
        return True
    j = i
    while j < stop and j < i + 10 and is_letter(data[j]):
        j += 1
    return _date_kind(data, i, j) == DATE and j < stop and data[j] == 32


@njit(nogil=True, cache=True)
def is_user(data: Any, end: Any, stop: Any, out: Any, size: Any) -> Any:
    """The word after ``user`` at the end of the shape, with nothing, punctuation or a short preposition behind it."""
    if not (out[size - 3] == 101 and out[size - 4] == 115 and out[size - 5] | 32 == 117):
        return False
    if size > 5 and is_letter(out[size - 6]):
        return False
    if end + 1 >= stop or data[end] != 32:
        return True
    i = end + 1
    while i < stop and i < end + 7 and is_letter(data[i]):
        i += 1
    n, a, b = i - end - 1, data[end + 1], data[end + 2] if end + 2 < stop else 0
    if n == 2:  # by at on in to
        return (
            (a == 98 and b == 121)
            or (a == 97 and b == 116)
            or (a in (105, 111) and b == 110)
            or (a == 116 and b == 111)
        )
    if n == 3:  # via for
        return (a == 118 and b == 105) or (a == 102 and b == 111)
    if n == 4:  # from with
        return (a == 102 and b == 114) or (a == 119 and b == 105)
    return n == 0


@njit(inline="always")
def _is_null(data: Any, begin: Any, end: Any) -> Any:
    """Whether the word is null, NULL, None, nil, NaN."""
    if end - begin > 4 or end - begin < 3 or data[begin] | 32 != 110:
        return False
    a, b = data[begin + 1] | 32, data[begin + 2] | 32
    return (a == 117 and b == 108) or (a == 111 and b == 110) or (a == 105 and b == 108) or (a == 97 and b == 110)


@njit(nogil=True, cache=True)
def is_value(data: Any, begin: Any, end: Any, stop: Any, out: Any, size: Any, depth: Any) -> Any:
    """Value of a field: after ``=`` inside brackets; after ``:`` inside brackets when a bracket or comma follows."""
    if size == 0:
        return False
    before = out[size - 1]
    if before == 61:
        return depth > 0 or _is_null(data, begin, end)
    if depth <= 0:
        return False
    if before == 32 and size > 1:
        before = out[size - 2]
    if before != 58:
        return False
    return end >= stop or KINDS[data[end]] & CLOSE != 0 or data[end] == 44
