"""Log records -> one row a (window, service, shape): lines, errors, worst severity and one exemplar.

Any order of the records gives the same rows.  Only distinct (service, shape) pairs of a batch cost Python.  A service
may show ``MAX_SHAPES`` shapes a window: of more, those whose texts come last share one row ``<*>``, which is the same
choice whatever came first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.columns import ERROR_SEVERITY, Slices
from aiops.identity import Interner
from aiops.redact import redact
from aiops.signals import LogRow

MAX_SHAPES = 2_000  # of one service in one window; the miner behind holds 5,000 live templates a service
MAX_OPEN = 40_000  # (service, shape) pairs of a window before the surplus is folded away
EXEMPLAR = 1_024  # characters of a line that an exemplar keeps
WHOLE = 512  # bytes beyond that are redacted with it, so that no half of a secret is left at the cut
OVERFLOW = b"<*>"

_ROW = np.dtype(
    [("lines", np.int64), ("errors", np.int64), ("severity", np.int32), ("time", np.int64), ("best", np.int64)]
)
_NEVER = np.iinfo(np.int64).max


class _RawRow(NamedTuple):
    """A ``LogRow`` before redaction."""

    environment: str
    service: str
    shape: bytes
    lines: int
    errors: int
    severity: int
    exemplar_time: int
    exemplar: bytes


Row = TypeVar("Row", LogRow, _RawRow)


class LogWindow:
    """The open rows of one window."""

    __slots__ = ("_about", "_codes", "_exemplars", "_folded", "_rows")

    def __init__(self) -> None:
        self._folded: list[_RawRow] = []
        self._clear()

    def _clear(self) -> None:
        self._codes = Interner()
        self._rows: NDArray[np.void] = np.zeros(256, _ROW)
        self._about: list[tuple[str, str, bytes]] = []  # (environment, service, shape) of each code
        self._exemplars: list[bytes] = []

    def add(
        self,
        pair: NDArray[np.uint64],
        time: NDArray[np.int64],
        severity: NDArray[np.int32],
        text: Slices,
        about: Callable[[int], tuple[str, str, bytes]],
    ) -> None:
        """Add records.

        Parameters
        ----------
        pair : uint64 array, shape (n,)
            Identity of (service, shape), never 0.
        time : int64 array, shape (n,), Unix ns
        severity : int32 array, shape (n,)
        text : Slices, n lines
        about : callable
            Row -> (environment, service, shape); called once for each new pair.
        """
        codes, fresh = self._codes.codes(pair)
        if self._codes.size > len(self._rows):
            bigger = np.zeros(2 * self._codes.size, _ROW)
            bigger[: len(self._rows)] = self._rows
            self._rows = bigger
        rows = self._rows[: self._codes.size]
        rows["time"][len(self._about) :] = _NEVER
        rows["best"] = -1
        self._about.extend(about(row) for row in fresh.tolist())
        self._exemplars.extend([b""] * len(fresh))
        _add(codes, time, severity, text.data, text.start, text.end, rows)
        for code in np.flatnonzero(rows["best"] >= 0).tolist():
            best = int(rows[code]["best"])
            line = text.raw(best)[: EXEMPLAR + WHOLE]
            if time[best] < rows[code]["time"] or line < self._exemplars[code]:
                self._exemplars[code] = line
            rows[code]["time"] = time[best]
        if self._codes.size > MAX_OPEN:
            self._folded = bounded(self._raw_rows())
            self._clear()

    def rows(self) -> list[LogRow]:
        """The rows of the window, ordered by (environment, service, shape), text redacted."""
        # Redacted last: what was folded was chosen by the same texts as the rest, so it does not matter when.
        return bounded(
            [
                LogRow(
                    row.environment, row.service, redact(row.shape.decode("utf-8", "replace")).encode(), row.lines,
                    row.errors, row.severity, row.exemplar_time, redact(row.exemplar.decode("utf-8", "replace"))[:EXEMPLAR],
                )
                for row in bounded(self._raw_rows())
            ]
        )  # fmt: skip

    def _raw_rows(self) -> list[_RawRow]:
        rows = zip(self._rows[: len(self._about)].tolist(), self._about, self._exemplars, strict=True)
        return self._folded + [
            _RawRow(*about, lines, errors, severity, time, exemplar)
            for (lines, errors, severity, time, _), about, exemplar in rows
        ]


def bounded(rows: list[Row]) -> list[Row]:
    """One row a (environment, service, shape) in canonical order, at most ``MAX_SHAPES`` shapes a service.

    Bounding a union of bounded lists gives what bounding the union of the whole lists gives: a shape that is cut in a
    part has enough smaller ones before it in the whole.
    """
    out: dict[tuple[str, str, bytes], Row] = {}
    for row in rows:
        _merge_into(out, row)
    kept: dict[tuple[str, str, bytes], Row] = {}
    seen: dict[tuple[str, str], int] = {}
    for key in sorted(out):
        service = key[:2]
        seen[service] = seen.get(service, 0) + (key[2] != OVERFLOW)
        row = out[key]
        _merge_into(kept, row if seen[service] <= MAX_SHAPES else row._replace(shape=OVERFLOW))
    return [kept[key] for key in sorted(kept)]


def _merge_into(rows: dict[tuple[str, str, bytes], Row], row: Row) -> None:
    key = (row.environment, row.service, row.shape)
    other = rows.get(key)
    if other is not None:
        first = min(row, other, key=lambda r: (r.exemplar_time, r.exemplar))
        row = first._replace(
            lines=row.lines + other.lines,
            errors=row.errors + other.errors,
            severity=max(row.severity, other.severity),
        )
    rows[key] = row


@njit(nogil=True, cache=True)
def _add(codes: Any, time: Any, severity: Any, data: Any, start: Any, end: Any, rows: Any) -> None:
    """Count, and note for each code the row of the least (time, text) of this batch that may become its exemplar."""
    for i in range(len(codes)):
        row = rows[codes[i]]
        row.lines += 1
        row.errors += severity[i] >= ERROR_SEVERITY
        row.severity = max(row.severity, severity[i])
        if time[i] > row.time:
            continue
        best = row.best
        if best < 0 or time[i] < time[best] or (time[i] == time[best] and _less(data, start, end, i, best)):
            row.best = i


@njit(nogil=True, cache=True)
def _less(data: Any, start: Any, end: Any, a: Any, b: Any) -> Any:
    n = min(end[a] - start[a], end[b] - start[b])
    for k in range(n):
        x, y = data[start[a] + k], data[start[b] + k]
        if x != y:
            return x < y
    return end[a] - start[a] < end[b] - start[b]
