"""A message of what the engine is told -> all that it tells, each with a number of its own within its source."""

from __future__ import annotations

from aiops.alert_formats import MOST, decode_alerts
from aiops.told import Told, decode_told, moment

_ROOM = 1024  # numbers of a message; a power of two above the most that one holds
assert _ROOM > MOST


def decode_all(signal: str, line: bytes) -> list[Told]:
    """Read a message of a signal of ``TOLD``: one change or command, or the alerts that a tool sends together.

    Raises
    ------
    RecordError
        Naming what is at fault.
    """
    return list(decode_alerts(line)) if signal == "alerts" else [decode_told(signal, line)]


def number(offset: int, k: int) -> int:
    """Of what stands at place `k` of the message at `offset` of its source: rises with both.

    >>> number(3, 999) < number(4, 0)
    True
    """
    return offset * _ROOM + k


def latest(several: list[Told]) -> tuple[str, int]:
    """Who says a message and when (Unix ns): the latest of what it tells, for the arrival of a recorded line."""
    return max((moment(told) for told in several), key=lambda said: said[1])
