"""Bytes of OTLP messages, protobuf or JSON -> columns: the one door to the decoders.

What a message holds is in the batch, or the message is in the list of refusals; no bytes whatever make it raise.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from aiops.columns import LogBatch, MetricBatch, Refusal, SpanBatch
from aiops.wire import otlp_json, otlp_proto
from aiops.wire.interleave import by_message
from aiops.wire.logs import finish_logs
from aiops.wire.metrics import finish_metrics
from aiops.wire.otlp_proto import keep_memory
from aiops.wire.spans import finish_spans
from aiops.wire.tables import Tables

__all__ = [
    "ENCODINGS", "SIGNALS", "Tables", "decode_logs", "decode_metrics", "decode_spans", "keep_memory", "recognise",
]  # fmt: skip

ENCODINGS = ("auto", "otlp_proto", "otlp_json")
SIGNALS = ("logs", "metrics", "traces")

# A protobuf request starts with byte 0x0a, which is a line feed, and the length after it may be 0x7b, which is "{".  So
# after white space a "{" counts only with what must follow it in JSON, and what cannot follow in a request.
_JSON = re.compile(rb'(?:\xef\xbb\xbf)?(?:\{|[ \t\r\n]+\{[ \t\r\n]*(?:"[^\x00-\x1f]|\}[ \t\r\n]*\Z))')

Batch = TypeVar("Batch", LogBatch, MetricBatch, SpanBatch)


def recognise(payload: bytes) -> str:
    """``"otlp_json"`` or ``"otlp_proto"``.

    >>> recognise(b' {"resourceLogs": []}'), recognise(b"")
    ('otlp_json', 'otlp_proto')
    """
    return "otlp_json" if _JSON.match(payload) else "otlp_proto"


def decode_logs(payloads: list[bytes], tables: Tables, encoding: str = "auto") -> tuple[LogBatch, list[Refusal]]:
    """Log records of all payloads, in the order of the payloads, and the payloads that do not decode."""
    return _decode(payloads, tables, encoding, otlp_proto.raw_logs, otlp_json.raw_logs, finish_logs)


def decode_spans(payloads: list[bytes], tables: Tables, encoding: str = "auto") -> tuple[SpanBatch, list[Refusal]]:
    """Spans of all payloads, in the order of the payloads, and the payloads that do not decode."""
    return _decode(payloads, tables, encoding, otlp_proto.raw_spans, otlp_json.raw_spans, finish_spans)


def decode_metrics(payloads: list[bytes], tables: Tables, encoding: str = "auto") -> tuple[MetricBatch, list[Refusal]]:
    """Points of all payloads, by kind and then in the order of the payloads, and the payloads that do not decode."""
    return _decode(payloads, tables, encoding, otlp_proto.raw_metrics, otlp_json.raw_metrics, finish_metrics)


Reader = Callable[[list[bytes], NDArray[np.int32]], tuple[Any, list[Refusal]]]


def _decode(
    payloads: list[bytes],
    tables: Tables,
    encoding: str,
    proto: Reader,
    text: Reader,
    finish: Callable[[Any, Tables], Batch],
) -> tuple[Batch, list[Refusal]]:
    if encoding not in ENCODINGS:
        raise ValueError(f"encoding {encoding!r} is not one of {', '.join(map(repr, ENCODINGS))}")
    message = np.arange(len(payloads), dtype=np.int32)
    # `map` and `any` are loops in C: a message may hold a handful of spans, and then a line of Python each is felt.
    found = list(map(_JSON.match, payloads)) if encoding == "auto" else []
    if not any(found) or all(found):
        raw, refused = (text if (found and found[0]) or encoding == "otlp_json" else proto)(payloads, message)
        return finish(raw, tables), refused
    is_json = [match is not None for match in found]
    batches, refused = [], []
    for read, wanted in ((proto, False), (text, True)):
        chosen = [i for i, j in enumerate(is_json) if j is wanted]
        raw, faults = read([payloads[i] for i in chosen], message[chosen])
        batches.append(finish(raw, tables))
        refused += faults
    return by_message(batches, tables), sorted(refused)
