"""Window rows <-> MessagePack: totals, metric rows (``codec_metrics``), log rows and trace rows (``codec_traces``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from aiops.signals import END_OF_TIME, WINDOW, LogRow, MetricRows, TraceRows, WindowRows
from streams import codec_frame as frame
from streams.codec_metrics import MetricBody, metric_body, metric_rows
from streams.codec_traces import TraceBody, trace_body, trace_rows


class LogsBody(msgspec.Struct):
    """``n`` log rows: the fields of ``LogRow`` as columns."""

    n: int
    services: list[tuple[str, str]]
    service: memoryview
    shapes: list[bytes]
    lines: memoryview
    errors: memoryview
    severity: memoryview
    exemplar_time: memoryview
    exemplars: list[str]


class RowsBody(msgspec.Struct):
    """One ``WindowRows``."""

    source: str
    tenant: str
    window: int
    totals: list[tuple[str, str, int]]
    metrics: list[MetricBody]
    logs: LogsBody | None
    traces: TraceBody | None


_decoder = msgspec.msgpack.Decoder(RowsBody)


def encode_rows(rows: WindowRows) -> bytes:
    """Bytes of window rows; equal rows give equal bytes whatever the codes of the sender's tables."""
    return encode_some(rows, [(part, None) for part in rows.metrics], rows.logs, rows.traces)


def encode_some(
    rows: WindowRows,
    metrics: Sequence[tuple[MetricRows, NDArray[np.int64] | None]],
    logs: list[LogRow],
    traces: TraceRows | None,
) -> bytes:
    """The same of some of `rows`: of each part of its metrics the rows named, or all."""
    body = RowsBody(
        rows.source,
        rows.tenant,
        rows.window,
        [(*key, n) for key, n in sorted(rows.totals.items())],
        [metric_body(part, rows.window, some) for part, some in metrics],
        _logs_body(logs) if logs else None,
        trace_body(traces) if traces is not None else None,
    )
    return frame.framed(frame.ROWS, body)


def decode_rows(data: bytes) -> WindowRows:
    """What ``encode_rows`` was given; codes are those of tables that come with the message.

    Raises
    ------
    CodecError
    """
    return frame.opened(frame.ROWS, data, _decoder, _rows)


def _rows(body: RowsBody) -> WindowRows:
    if body.window < -WINDOW or body.window >= END_OF_TIME or body.window % WINDOW:
        raise frame.CodecError(f"window {body.window} is not the start of one")
    return WindowRows(
        body.source,
        body.tenant,
        body.window,
        {(environment, signal): n for environment, signal, n in body.totals},
        [metric_rows(part, body.window) for part in body.metrics],
        _logs(body.logs, body.window) if body.logs is not None else [],
        trace_rows(body.traces) if body.traces is not None else None,
    )


def _logs_body(rows: list[LogRow]) -> LogsBody:
    columns: tuple[Any, ...] = tuple(zip(*rows, strict=True))
    environment, service, shapes, lines, errors, severity, times, exemplars = columns
    codes: dict[tuple[str, str], int] = {}
    of = np.array([codes.setdefault(name, len(codes)) for name in zip(environment, service, strict=True)], np.int32)
    return LogsBody(
        len(rows), list(codes), frame.raw_codes(of, len(codes)), list(shapes), _integers(lines), _integers(errors),
        _integers(severity), _integers(times), list(exemplars),
    )  # fmt: skip


def _integers(values: tuple[int, ...]) -> memoryview:
    return frame.raw(np.array(values, np.int64), "<i8")


def _logs(b: LogsBody, window: int) -> list[LogRow]:
    n = b.n
    frame.same("logs.shapes", len(b.shapes), n, "logs")
    frame.same("logs.exemplars", len(b.exemplars), n, "logs")
    numbers = {
        name: frame.array(f"logs.{name}", getattr(b, name), "<i8", n)
        for name in ("lines", "errors", "severity", "exemplar_time")
    }
    for name in ("lines", "errors"):
        frame.least(f"logs.{name}", numbers[name], 0)
    frame.between("logs.exemplar_time", numbers["exemplar_time"], window, window + WINDOW)
    services = [b.services[k] for k in frame.codes("logs.service", b.service, n, len(b.services)).tolist()]
    lines, errors, severity, times = (column.tolist() for column in numbers.values())
    columns = zip(services, b.shapes, lines, errors, severity, times, b.exemplars, strict=True)
    return [LogRow(e, s, *rest) for (e, s), *rest in columns]
