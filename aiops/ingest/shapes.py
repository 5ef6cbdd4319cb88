"""Log lines -> shapes: the stateless level of template mining, at line rate.

Lines that differ only in what is surely data share a shape: the line with every variable replaced by one byte 0x01.
Nothing here remembers a line, so the shape of a line and its identity are the same on every worker, in every batch, for
ever.  Which words are data is decided in ``aiops.ingest.masking``; ``aiops.detect.templates`` finds the variables that
only a history shows.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.columns import Slices
from aiops.identity import U64, murmur
from aiops.ingest.masking import mask

LONGEST = 4096  # bytes of a line that count; the rest of a longer one, of up to any size, is not read
STEM = 6  # words
SHAPE_KEY = 0x9E3779B97F4A7C15  # fixed for ever, unlike the key of other identities: every worker must agree on a shape

_SLACK = 24  # bytes that a shape's buffer has more than the line
_NO_SPANS = np.empty((0, 2), np.int32)
_CONSTANT = re.compile(rb"[^\s\x01=:,;()\[\]{}\"'<>|]+")


@njit(nogil=True, cache=True)
def _shape_hashes(data: Any, start: Any, end: Any, longest: Any, key: Any, none: Any) -> Any:
    out, line = np.empty(len(start), np.uint64), np.empty(longest + _SLACK, np.uint8)
    for row in range(len(start)):
        begin = np.int64(start[row])  # the types that Python calls it with: one compilation less, five seconds
        size, _ = mask(data, begin, min(np.int64(end[row]), begin + longest), line, none)
        out[row] = murmur(line, 0, size, key)
    return out


def shape_hashes(text: Slices, longest: int = LONGEST) -> U64:
    """Identity of the shape of every line: uint64, shape (n,), never 0.

    Parameters
    ----------
    text : Slices, n lines
    longest : int
        Bytes of a line that count.
    """
    out: U64 = _shape_hashes(text.data, text.start, text.end, longest, np.uint64(SHAPE_KEY), _NO_SPANS)
    return out


def shape_text(text: Slices, row: int, longest: int = LONGEST) -> bytes:
    """Shape of one line of a batch."""
    start = int(text.start[row])
    return _shape(text.data, start, min(int(text.end[row]), start + longest), _NO_SPANS)[0]


def shape_of(line: bytes, longest: int = LONGEST) -> bytes:
    r"""Shape of one line, given as bytes.

    >>> shape_of(b"user 17 logged in from 10.0.3.7:8443")
    b'user \x01 logged in from \x01'
    """
    return _shape(np.frombuffer(line + b"\0", np.uint8), 0, min(len(line), longest), _NO_SPANS)[0]


def variables(line: bytes, longest: int = LONGEST) -> tuple[bytes, list[bytes]]:
    r"""Shape of one line, and what stood at each 0x01 of it, in order.

    >>> variables(b"wrote 12 kB to /var/log/app.log")
    (b'wrote \x01 kB to \x01', [b'12', b'/var/log/app.log'])
    """
    n = min(len(line), longest)
    spans = np.zeros((n + 1, 2), np.int32)
    shape, count = _shape(np.frombuffer(line + b"\0", np.uint8), 0, n, spans)
    return shape, [line[a:b] for a, b in spans[:count].tolist()]


def stem(shape: bytes) -> bytes:
    r"""First constant words of a shape's first line: the same where a later word is, or turns out to be, a variable.

    >>> stem(b"user \x01 logged in from \x01 (attempt \x01)")
    b'user logged in from attempt'
    """
    first, _, _ = shape.partition(b"\n")
    words: list[bytes] = []
    for match in _CONSTANT.finditer(first):
        word = match[0].rstrip(b".!?")
        if any(byte > 127 or chr(byte).isalnum() for byte in word):
            words.append(word)
            if len(words) == STEM:
                break
    return b" ".join(words)


def _shape(data: NDArray[np.uint8], start: int, end: int, spans: NDArray[np.int32]) -> tuple[bytes, int]:
    out = np.empty(max(end - start, 0) + _SLACK, np.uint8)
    size, count = mask(data, start, end, out, spans)
    return out[:size].tobytes(), int(count)
