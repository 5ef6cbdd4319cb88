"""Log records -> ``LogBatch``, with the body text as slices of the decoded buffer.

No Python object per line; a body that is no plain string (map, list, number) is rendered on the slow path.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.columns import LogBatch, Slices
from aiops.wire.attributes import varint
from aiops.wire.layout import appended, frozen
from aiops.wire.metrics import clamped
from aiops.wire.tables import Tables
from aiops.wire.values import render


class RawLogs(NamedTuple):
    """``n`` log records as an encoding delivers them; ``owner`` is the row of each one's resource; ids as in ``LogBatch``."""

    resource: Slices
    owner: NDArray[np.int32]
    message: NDArray[np.int32]
    time: NDArray[np.uint64]
    observed: NDArray[np.uint64]
    severity: NDArray[np.int32]
    text: Slices
    trace: NDArray[np.uint64]
    span: NDArray[np.uint64]


def finish_logs(raw: RawLogs, tables: Tables) -> LogBatch:
    """Codes and times of the records, in the order in which they came."""
    return LogBatch(
        message=raw.message,
        time=clamped(np.where(raw.time != 0, raw.time, raw.observed)),
        severity=raw.severity,
        resource=tables.resources.codes(raw.resource)[raw.owner],
        trace=raw.trace,
        span=raw.span,
        text=raw.text,
    )


def body_text(bodies: Slices) -> Slices:
    """AnyValue bytes -> text: the start of a string body moves past tag and length, others are rendered."""
    start: NDArray[np.int32] = np.empty(len(bodies.start), np.int32)
    odd: NDArray[np.int32] = np.empty(len(bodies.start), np.int32)
    n_odd = _strip(bodies.data, bodies.start, bodies.end, start, odd)
    rows = odd[:n_odd]
    return appended(
        Slices(bodies.data, frozen(start), bodies.end), rows, [render(bodies.raw(row)) for row in rows.tolist()]
    )


@njit(nogil=True, cache=True)
def _strip(data: Any, start: Any, end: Any, out: Any, odd: Any) -> Any:
    n_odd = 0
    for row in range(len(start)):
        out[row] = end[row]
        if start[row] < end[row]:
            size, text = varint(data, start[row] + 1, end[row])
            if data[start[row]] == 10 and text >= 0 and size == end[row] - text:
                out[row] = text
            else:
                odd[n_odd] = row
                n_odd += 1
    return n_odd
