"""Numbers in log lines -> which of them left the range that they have always had: ``took <*> ms``, ``queue has <*> entries``.

A window brings one line of each shape, its exemplar: one value of each number in it.  The last ``RING`` values are compared
with the range of those before them, octave by octave, so that a value must be off by a factor of two and more; how many of
them lie outside is judged against how often that has been the case for this very number.  A counter, an id or a date that
always grows is outside all the time, so it says nothing.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.detect.retention import Kept
from aiops.detect.tails import EFFECTIVE, at_least
from aiops.ingest.alphabet import DIGIT, KINDS, is_letter
from aiops.ingest.masking import mask
from aiops.ingest.shapes import LONGEST
from aiops.signals import SECOND

PLACES = 6  # numbers of a line that are looked at
MAX_NUMBERS = 20_000  # of a partition; of shapes beyond it the numbers are not looked at
RING = 12  # values that are judged, two minutes where each window has one
GAP = 60 * SECOND  # silence after which they are no longer of now
LEARN = 60  # values before a range is known
EDGE = 0.005  # share of the values on either side that is no part of the range
BINS, LOWEST = 64, -24  # octaves, the lowest begins at 2 ** LOWEST
FADE = 4096  # values at which all counts are halved
NONE = 255  # no value

I64 = NDArray[np.int64]


class Strange(NamedTuple):
    """`outside` of `values` recent values of a number lie outside; the newest in octave `now`; usual are `low` to `high`."""

    shape: int
    place: int
    score: float
    outside: int
    values: int
    now: float
    low: float
    high: float


class Values:
    """Numbers by (shape code, place), in order of first sight."""

    def __init__(self) -> None:
        self.ignored = 0
        self._row: dict[int, int] = {}  # shape code * PLACES + place -> row
        self._key: I64 = np.empty(0, np.int64)  # of each row
        self._counts: NDArray[np.uint16] = np.zeros((64, BINS), np.uint16)
        self._ring: NDArray[np.uint8] = np.full(
            (64, RING), NONE, np.uint8
        )  # octaves of the last values, the newest first
        self._time: I64 = np.full(64, -1)  # window of the newest
        self._outside: NDArray[np.uint16] = np.zeros(64, np.uint16)  # of the counted values, when they came
        self._value: NDArray[np.float64] = np.zeros(64)  # the newest

    def __len__(self) -> int:
        return len(self._row)

    def add(self, window: int, shapes: I64, wanted: I64, exemplars: list[str], suspect: NDArray[np.bool_]) -> None:
        """One window: an exemplar of each shape.

        Parameters
        ----------
        shapes : int64 array, shape (n,)
            Codes, each once.
        wanted : int64 array, shape (n,)
            How many variables the shape has: an exemplar that was cut or redacted has others.
        exemplars : list of str
        suspect : bool array, shape (n,)
            Of these values nothing is learned.
        """
        if not len(shapes):
            return
        raw = [text.encode() for text in exemplars]
        edges = np.zeros(len(raw) + 1, np.int32)
        np.cumsum([len(line) for line in raw], out=edges[1:])
        data = np.frombuffer(b"".join(raw) + b"\0", np.uint8)
        values = _numbers(data, edges, wanted, np.empty(LONGEST + 24, np.uint8), np.zeros((PLACES, 2), np.int32))
        line, place = np.nonzero(values >= 0.0)
        if not len(line):
            return
        keys = shapes[line] * PLACES + place
        rows = np.array([self._row.get(key, -1) for key in keys.tolist()], np.int64)
        for k in np.flatnonzero(rows < 0).tolist():
            rows[k] = self._new(int(keys[k]))
        known = rows >= 0
        rows, value, calm = rows[known], values[line, place][known], ~suspect[line[known]]
        stale = window - self._time[rows] > GAP
        for k in range(RING):  # values of a while ago are no longer of now, but of the past
            self._learn(rows[stale & calm], self._ring[rows[stale & calm], k])
        self._ring[rows[stale]] = NONE
        self._learn(rows[calm], self._ring[rows[calm], -1])
        octave = np.where(value > 0.0, np.clip(np.frexp(value)[1] - LOWEST, 0, BINS - 1), 0).astype(np.uint8)
        self._ring[rows] = np.concatenate([octave[:, None], self._ring[rows, :-1]], 1)
        self._time[rows], self._value[rows] = window, value

    def _new(self, key: int) -> int:
        if len(self._row) >= MAX_NUMBERS:
            self.ignored += 1
            return -1
        row = self._row[key] = len(self._row)
        if row >= len(self._time):
            self._fit(np.arange(row), 2 * row)
        self._key = np.append(self._key, key)
        return row

    def _fit(self, rows: I64, size: int) -> None:
        """These rows stay, with room for `size`."""
        for name, empty in (("_counts", 0), ("_ring", NONE), ("_time", -1), ("_outside", 0), ("_value", 0)):
            array = getattr(self, name)
            out = np.full((max(64, size), *array.shape[1:]), empty, array.dtype)
            out[: len(rows)] = array[rows]
            setattr(self, name, out)

    def _learn(self, rows: I64, octave: NDArray[np.uint8]) -> None:
        """Take in values that leave the ring."""
        left = octave != NONE
        rows, octave = rows[left], octave[left]
        if not len(rows):
            return
        low, high, n = self._range(rows)
        out = (n >= LEARN) & ((octave < low - 1) | (octave > high + 1))
        self._outside[rows] += out.astype(np.uint16)
        self._counts[rows, octave] += np.uint16(1)
        full = rows[n + 1 >= FADE]
        self._counts[full] //= 2
        self._outside[full] //= 2

    def _range(self, rows: I64) -> tuple[I64, I64, I64]:
        """Lowest and highest octave of the range of each row, and how many values it rests on."""
        counts = self._counts[rows].astype(np.int64)
        n = counts.sum(1)
        up = np.cumsum(counts, 1)
        low = (up <= EDGE * n[:, None]).sum(1)
        high = (up < (1.0 - EDGE) * n[:, None]).sum(1)
        return low, np.minimum(high, BINS - 1), n

    def evidence(self, now: int, least: float) -> list[Strange]:
        """Numbers that are outside by a score of `least` or more at event time `now`, in order of shapes and places."""
        rows = np.flatnonzero(self._time[: len(self._row)] >= now - GAP)
        if not len(rows):
            return []
        low, high, n = self._range(rows)
        ring = self._ring[rows].astype(np.int64)
        there = ring != NONE
        outside = there & ((ring < low[:, None] - 1) | (ring > high[:, None] + 1))
        found = []
        # One odd value is nothing: the newest three must be outside.
        for k in np.flatnonzero((n >= LEARN) & outside[:, :3].all(1)).tolist():
            row = int(rows[k])
            hits, values = int(outside[k].sum()), int(there[k].sum())
            score = at_least(float(hits), float(values), self._outside[row] / n[k], float(n[k]), EFFECTIVE)
            if score >= least:
                shape, place = divmod(int(self._key[row]), PLACES)
                bounds = math.ldexp(1.0, int(low[k]) + LOWEST - 1), math.ldexp(1.0, int(high[k]) + LOWEST)
                found.append(Strange(shape, place, float(score), hits, values, float(self._value[row]), *bounds))
        return sorted(found)

    def keep(self, shapes: Kept) -> None:
        """Only these shapes stay."""
        code = shapes.renumbered(self._key // PLACES)
        kept = Kept(code >= 0)
        self._fit(kept.rows, len(kept.rows))
        self._key = (code * PLACES + self._key % PLACES)[kept.rows]
        self._row = {key: row for row, key in enumerate(self._key.tolist())}

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        n = len(self._row)
        return {
            "key": self._key, "counts": self._counts[:n], "ring": self._ring[:n], "time": self._time[:n],
            "outside": self._outside[:n], "value": self._value[:n],
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self._key = state["key"]
        self._row = {key: row for row, key in enumerate(self._key.tolist())}
        for name in ("counts", "ring", "time", "outside", "value"):
            setattr(self, f"_{name}", state[name])
        self._fit(np.arange(len(self._key)), len(self._key))


@njit(nogil=True, cache=True)
def _unit(data: Any, i: Any, end: Any) -> Any:
    """What a unit makes of a number: of seconds and bytes; 0 for any other word."""
    n = end - i
    if n == 0:
        return 1.0
    a, b = data[i], data[i + 1] if n > 1 else 0
    if n == 1:
        return 1.0 if a == 115 or a == 37 else 0.0  # s %
    if n == 2 and b == 115:  # ms us ns
        return 1e-3 if a == 109 else 1e-6 if a == 117 else 1e-9 if a == 110 else 0.0
    if n == 3 and a == 0xC2 and data[i + 2] == 115:
        return 1e-6  # µs
    if (n == 2 and b == 66) or (n == 3 and b == 105 and data[i + 2] == 66):  # kB, KiB ...
        a |= 32
        return 1e3 if a == 107 else 1e6 if a == 109 else 1e9 if a == 103 else 1e12 if a == 116 else 0.0
    return 0.0


@njit(nogil=True, cache=True)
def _number(data: Any, i: Any, end: Any) -> Any:
    """Number from 0 on that a variable is, with a unit of time or size; -1 if it is another thing."""
    begin, value, scale, dot = i, 0.0, 1.0, False
    while i < end and i < begin + 16:
        byte = data[i]
        if KINDS[byte] & DIGIT:
            value = value * 10.0 + (byte - 48)
            scale *= 10.0 if dot else 1.0
        elif byte == 46 and not dot and i > begin:
            dot = True
        else:
            break
        i += 1
    if i == begin or (i < end and not (is_letter(data[i]) or data[i] == 0xC2 or data[i] == 37)):
        return -1.0
    unit = _unit(data, i, end)
    return value / scale * unit if unit > 0.0 else -1.0


@njit(nogil=True, cache=True)
def _numbers(data: Any, edges: Any, wanted: Any, line: Any, spans: Any) -> Any:
    out = np.full((len(wanted), PLACES), -1.0)
    for row in range(len(wanted)):
        begin, end = np.int64(edges[row]), np.int64(edges[row + 1])
        _, count = mask(data, begin, end, line, spans)
        if count == wanted[row]:
            for place in range(min(count, PLACES)):
                out[row, place] = _number(data, np.int64(spans[place, 0]), np.int64(spans[place, 1]))
    return out
