"""Byte -> what it can be in a log line (part of a word, digit, white space, bracket ...), for the masking kernels.

Numba freezes the tables into the kernels when it compiles them, and its file cache does not see a change here: after
one, delete the ``*.nbi`` files beside this module.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

# What a byte is; a byte can be several.  A word is a run of bytes with WORD.
WORD, DIGIT, STRUCT, SPACE, OPEN, CLOSE, CAPITAL, WIDE = 1, 2, 4, 8, 16, 32, 64, 128

KINDS = np.zeros(256, np.uint8)
for _byte in b"abcdefghijklmnopqrstuvwxyz_-@#$%&*+~^`":
    KINDS[_byte] = WORD
for _byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ":
    KINDS[_byte] = WORD | CAPITAL
for _byte in b"0123456789":
    KINDS[_byte] = WORD | DIGIT
for _byte in b"./\\!?":
    KINDS[_byte] = WORD | STRUCT
KINDS[128:0xE3] = WORD  # Latin, Greek, Cyrillic ...: letters; and every continuation byte
KINDS[0xE3:] = WIDE  # first byte of CJK, kana, hangul, emoji
KINDS[:33] = SPACE
KINDS[127] = SPACE
for _byte in b"([{":
    KINDS[_byte] = OPEN
for _byte in b")]}":
    KINDS[_byte] = CLOSE

DATE, ZONE = 1, 2  # day or month; time zone or half of the day


def _date_words() -> Any:
    """What a word is whose first three letters have this 15-bit code (5 bits a letter, case left out)."""
    out = np.zeros(1 << 15, np.uint8)
    for names, kind in (
        ("Mon Tue Wed Thu Fri Sat Sun Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec", DATE),
        ("UTC GMT EST EDT CST CDT MST MDT PST PDT CET BST IST JST", ZONE),
    ):
        for name in names.split():
            out[(ord(name[0]) & 31) << 10 | (ord(name[1]) & 31) << 5 | ord(name[2]) & 31] |= kind
    return out


DATE_WORDS = _date_words()


@njit(inline="always")
def is_letter(byte: Any) -> Any:
    """ASCII letter."""
    return 65 <= byte <= 90 or 97 <= byte <= 122


@njit(nogil=True, cache=True)
def is_fault(data: Any, begin: Any, end: Any) -> Any:
    """Whether the name ``data[begin:end]`` ends in Exception or Error."""
    n = end - begin
    if n > 9 and data[end - 9] == 69 and data[end - 8] == 120 and data[end - 7] == 99 and data[end - 6] == 101:
        return data[end - 5] == 112 and data[end - 3] == 105 and data[end - 2] == 111 and data[end - 1] == 110
    if n > 5 and data[end - 5] == 69 and data[end - 4] == 114 and data[end - 3] == 114:
        return data[end - 2] == 111 and data[end - 1] == 114
    return False
