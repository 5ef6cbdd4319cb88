"""The columns that all decoders produce and everything behind them reads: parallel numpy arrays, no object a row.

Row ``i`` of a batch is one log record, metric point or span.  Text is a ``Slices`` view of one flat buffer.  What repeats
(resources, metric series, span names) is a dense code into ``aiops.wire.tables.Tables``.  Codes depend on arrival order:
they never leave the process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# OTLP enums (opentelemetry-proto 1.x, trace.proto and metrics.proto)
SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5
ERROR_STATUS = 2
ERROR_SEVERITY = 17  # SEVERITY_NUMBER_ERROR; from here on a log record is an error
DELTA, CUMULATIVE = 1, 2
GAUGE, SUM, HISTOGRAM, EXPONENTIAL, SUMMARY = range(5)
KINDS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")


class Slices(NamedTuple):
    """``n`` byte strings: row ``i`` is ``data[start[i]:end[i]]``.

    data : uint8 array, shape (n_bytes,)
    start, end : int32 arrays, shape (n,)
    """

    data: NDArray[np.uint8]
    start: NDArray[np.int32]
    end: NDArray[np.int32]

    def raw(self, row: int) -> bytes:
        """The bytes of one row."""
        return self.data[self.start[row] : self.end[row]].tobytes()


@dataclass(slots=True)
class LogBatch:
    """``n`` log records, in order of arrival.

    Attributes
    ----------
    message : int32 array, shape (n,)
        Which of the decoded payloads the record came in.
    time : int64 array, shape (n,)
        Unix ns: the record's own time, else its observed time, else 0 (to be replaced by arrival).
    severity : int32 array, shape (n,)
        OTLP severity number, 0 = not given.
    resource : int32 array, shape (n,)
        Code in ``Tables.resources``.
    trace : uint64 array, shape (n, 2);  span : uint64 array, shape (n,)
        Big-endian halves; 0 = none or malformed.
    text : Slices
        Body as text, UTF-8 not checked.  A body that is no string is rendered as one line of JSON with sorted keys.
    """

    message: NDArray[np.int32]
    time: NDArray[np.int64]
    severity: NDArray[np.int32]
    resource: NDArray[np.int32]
    trace: NDArray[np.uint64]
    span: NDArray[np.uint64]
    text: Slices

    def __len__(self) -> int:
        return len(self.time)


@dataclass(slots=True)
class SpanBatch:
    """``n`` spans, in order of arrival.

    Attributes
    ----------
    message : int32 array, shape (n,)
    trace : uint64 array, shape (n, 2);  span, parent : uint64 arrays, shape (n,)
        Big-endian halves; parent 0 = root.
    bad_id : bool array, shape (n,)
        Trace or span id missing, zero or of a wrong length: such a span cannot be joined.
    name : int32 array, shape (n,)
        Code in ``Tables.operations``.
    peer : int32 array, shape (n,)
        Code in ``Tables.peers`` of whom a client span says it calls, -1 where it does not say.
    resource : int32 array, shape (n,)
    kind : int32 array, shape (n,)
        OTLP enum, 0 unspecified .. 5 consumer.
    error : bool array, shape (n,)
        Status is ERROR, or ``http.response.status_code`` (``http.status_code``) is 500 or more.
    start, end : int64 arrays, shape (n,), Unix ns; 0 = absent; values beyond int64 are its maximum.
    """

    message: NDArray[np.int32]
    trace: NDArray[np.uint64]
    span: NDArray[np.uint64]
    parent: NDArray[np.uint64]
    bad_id: NDArray[np.bool_]
    name: NDArray[np.int32]
    peer: NDArray[np.int32]
    resource: NDArray[np.int32]
    kind: NDArray[np.int32]
    error: NDArray[np.bool_]
    start: NDArray[np.int64]
    end: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.end)


@dataclass(slots=True)
class MetricBatch:
    """``n`` metric points of any kind, in order of arrival within each kind.

    Attributes
    ----------
    message : int32 array, shape (n,)
    series : int32 array, shape (n,)
        Code in ``Tables.series``, which knows the kind, temporality, monotonicity, name, unit, attributes and bucket bounds.
    time, start : int64 arrays, shape (n,), Unix ns; start 0 = not given.
    value : float64 array, shape (n,)
        Gauge and sum: the value.  Histogram, exponential histogram and summary: the sum of all measurements, NaN if absent.
    count : float64 array, shape (n,)
        Number of measurements; 1 for gauge and sum.
    stale : bool array, shape (n,)
        NO_RECORDED_VALUE, or neither value present: the series says that it has ended; `value` means nothing.
    bucket_offsets : int64 array, shape (n + 1,);  buckets : float64 array, shape (bucket_offsets[-1],)
        Histograms: the bucket counts of point i are ``buckets[bucket_offsets[i]:bucket_offsets[i + 1]]``, one more than
        the bounds of its series.  Exponential histograms: counts in the fixed grid ``aiops.wire.metrics.GRID``.
        Other kinds: empty.
    """

    message: NDArray[np.int32]
    series: NDArray[np.int32]
    time: NDArray[np.int64]
    start: NDArray[np.int64]
    value: NDArray[np.float64]
    count: NDArray[np.float64]
    stale: NDArray[np.bool_]
    bucket_offsets: NDArray[np.int64]
    buckets: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.time)


class Refusal(NamedTuple):
    """A payload that could not be decoded: its place in the batch, and why, in words."""

    message: int
    reason: str
