"""Fragments of OTLP/JSON export requests: attributes, resources, and whole lines around spans, records and metrics.

Telemetry is assembled from strings, most of which are made once; building an object for each span and encoding it costs
five times as much.  64-bit integers are strings and ids are hex, as OTLP/JSON demands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aiops.simulate.text import escape

SCOPE = "aiops.simulate"

_OPENING = {
    "traces": ('{"resourceSpans":[', '"scopeSpans":[{"scope":{"name":"aiops.simulate"},"spans":['),
    "logs": ('{"resourceLogs":[', '"scopeLogs":[{"scope":{"name":"aiops.simulate"},"logRecords":['),
    "metrics": ('{"resourceMetrics":[', '"scopeMetrics":[{"scope":{"name":"aiops.simulate"},"metrics":['),
}


def attributes(values: Mapping[str, str | int]) -> str:
    """A list of attributes.

    >>> attributes({"code": 200})
    '[{"key":"code","value":{"intValue":"200"}}]'
    """
    return (
        "["
        + ",".join(
            f'{{"key":"{key}","value":{{"intValue":"{value}"}}}}'
            if isinstance(value, int)
            else f'{{"key":"{key}","value":{{"stringValue":"{escape(value)}"}}}}'
            for key, value in values.items()
        )
        + "]"
    )


def resource(values: Mapping[str, str | int]) -> str:
    """A ``resource`` member."""
    return f'"resource":{{"attributes":{attributes(values)}}}'


def request(signal: str, parts: Iterable[tuple[str, list[str]]]) -> bytes:
    """One export request, a line without its end.

    Parameters
    ----------
    signal
        ``traces``, ``logs`` or ``metrics``.
    parts
        For each resource its ``resource`` member and its items.
    """
    opening, scope = _OPENING[signal]
    body = ",".join(f"{{{who},{scope}{','.join(items)}]}}]}}" for who, items in parts)
    return f"{opening}{body}]}}".encode()
