"""Bytes of log records -> where their bodies and ids stand, their times and severities."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.columns import Slices
from aiops.wire.layout import frozen
from aiops.wire.walk import I32, I64, Items, fixed64, id_half, int32_of, read_length, read_tag, skip_field, varint64

U64 = NDArray[np.uint64]


class LogFields(NamedTuple):
    """Fields of ``n`` log records: ids as in ``LogBatch``, times in Unix ns."""

    body: Slices
    trace: U64
    span: U64
    severity: I32
    time: U64
    observed: U64


@njit(nogil=True, cache=True)
def _records(
    data: Any, start: Any, end: Any, message: Any, base: Any, fault: Any, body: Any, trace: Any, span: Any, severity: Any,
    time: Any,
) -> None:  # fmt: skip
    for row in range(len(start)):
        i: Any = np.int64(start[row])
        at, stop = i, np.int64(end[row])
        body[0, row] = body[1, row] = severity[row] = 0
        trace[row, 0] = trace[row, 1] = span[row] = np.uint64(0)
        time[0, row] = time[1, row] = np.uint64(0)
        while 0 <= i < stop:
            at = i
            tag, i = read_tag(data, i, stop)
            if i < 0:
                break
            if tag == 42:
                begin, i = read_length(data, i, stop)
                body[0, row], body[1, row] = begin, i
            elif tag == 74:
                begin, i = read_length(data, i, stop)
                good = i - begin == 16
                trace[row, 0] = id_half(data, begin) if good else np.uint64(0)
                trace[row, 1] = id_half(data, begin + 8) if good else np.uint64(0)
            elif tag == 82:
                begin, i = read_length(data, i, stop)
                span[row] = id_half(data, begin) if i - begin == 8 else np.uint64(0)
            elif tag == 9 or tag == 89:  # times
                if i + 8 > stop:
                    i = -1
                    break
                time[0 if tag == 9 else 1, row] = fixed64(data, i)
                i += 8
            elif tag == 16:
                value, i = varint64(data, i, stop)
                severity[row] = int32_of(value)
            else:
                i = skip_field(data, i, stop, tag)
        if i < 0 and fault[message[row]] < 0:
            fault[message[row]] = at - base[message[row]]


def log_fields(found: Items, base: I64) -> LogFields:
    """Fields of the items of `found`; where one is no log record, the fault of its payload is noted there.

    Parameters
    ----------
    base : int64 array, shape (n_payloads,), where each payload begins in the buffer
    """
    data, start, end = found.items
    n = len(start)
    body, severity, time = np.empty((2, n), np.int32), np.empty(n, np.int32), np.empty((2, n), np.uint64)
    trace, span = np.empty((n, 2), np.uint64), np.empty(n, np.uint64)
    _records(data, start, end, found.message, base, found.fault, body, trace, span, severity, time)
    return LogFields(Slices(data, *frozen(body)), trace, span, severity, time[0], time[1])
