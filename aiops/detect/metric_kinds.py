"""Name, unit and instrument of a metric -> what kind of quantity it is, and with it what a person would call a change.

Kinds are told by units first, which producers choose from a short list (UCUM), then by words of the name.  Where neither says
anything the kind is ``other``, which has the mildest gates.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from aiops.columns import SUM
from aiops.detect.values import LEVEL, RATE

MetricKind = Literal["ratio", "latency", "utilisation", "count", "size", "other"]

SECONDS = {"s": 1.0, "ms": 1e3, "us": 1e6, "µs": 1e6, "ns": 1e9, "min": 1 / 60, "h": 1 / 3600}  # how many are a second
_SPELLED = {"seconds": 1.0, "milliseconds": 1e3, "microseconds": 1e6}  # words of names, where there is no unit
_BYTES = re.compile(r"(?:[kKMGT]i?)?(?:By|B|bytes?)(?:/s)?")
_WORDS = re.compile(r"[a-z]+|[A-Z][a-z]*|[A-Z]+(?![a-z])")
_USED = frozenset({"utilization", "utilisation", "saturation"})
_LATENCY = frozenset({"duration", "latency", "delay", "elapsed", "rtt"})
_RATIO = frozenset({"ratio", "share", "fraction", "percent", "percentage", "availability"})
_PER_CENT = frozenset({"percent", "percentage"})
_MOMENT = frozenset({"uptime", "timestamp", "age", "start", "created", "expiry", "ttl", "boot", "since"})
_TRAFFIC = frozenset({"request", "requests", "calls", "queries", "commands", "commits", "messages", "transactions"})
_GOOD = frozenset(
    {"success", "successes", "available", "availability", "free", "hit", "hits", "idle", "ready", "healthy"}
)
_BAD = frozenset({"error", "errors", "fail", "failed", "failure", "failures", "miss", "misses", "dropped", "rejected"})


def words(name: str) -> frozenset[str]:
    """Words of a metric's name in lower case, however it joins them.

    >>> sorted(words("rpc.server.successRatio_p99"))
    ['p', 'ratio', 'rpc', 'server', 'success']
    """
    return frozenset(word.lower() for word in _WORDS.findall(name))


@lru_cache(maxsize=20_000)
def kind_of(name: str, unit: str, instrument: int, facet: int) -> MetricKind:
    """Kind of one facet of a metric.

    >>> from aiops.columns import GAUGE, HISTOGRAM
    >>> from aiops.detect.values import LEVEL, P95, RATE
    >>> kind_of("http.server.request.duration", "s", HISTOGRAM, P95)
    'latency'
    >>> kind_of("http.server.request.duration", "s", HISTOGRAM, RATE)
    'count'
    >>> kind_of("container.cpu.limit_utilization", "1", GAUGE, LEVEL)
    'utilisation'
    """
    said = words(name)
    size = _BYTES.fullmatch(unit.strip("{}")) is not None or (not unit and "bytes" in said)
    if facet == RATE:
        if instrument != SUM:
            return "count"  # of measurements
        return "size" if size else "other" if second(name, unit) is not None else "count"
    if size:
        return "size"
    if second(name, unit) is not None:
        return "other" if said & _MOMENT else "latency"
    if said & _USED:
        return "utilisation"
    if unit in ("", "1", "%", "percent"):
        if said & _RATIO:
            return "ratio"
        return "latency" if said & _LATENCY else "utilisation" if unit in ("%", "percent") else "other"
    return "count" if unit != "{cpu}" and (unit.startswith("{") or unit.endswith("/s")) else "other"


def golden(name: str, kind: MetricKind, facet: int) -> bool:
    """Is it a signal that people look at first: traffic, failures, latency, saturation?"""
    if kind in ("ratio", "latency", "utilisation"):
        return True
    return kind == "count" and facet in (LEVEL, RATE) and bool(words(name) & _TRAFFIC)


def whole(name: str, unit: str) -> float:
    """What stands for all of it where a metric is a share: 1, or 100 where it is written in per cent."""
    return 100.0 if unit in ("%", "percent") or (unit in ("", "1") and words(name) & _PER_CENT) else 1.0


def second(name: str, unit: str) -> float | None:
    """How many of the unit are one second; None where the metric is no time."""
    if unit.strip("{}") in SECONDS:
        return SECONDS[unit.strip("{}")]
    return next((_SPELLED[word] for word in sorted(words(name) & set(_SPELLED))), None) if unit in ("", "1") else None


def worse(name: str) -> Literal["up", "down", "both"]:
    """The direction in which a share gets worse, as far as its name says.

    >>> worse("rpc.server.success.ratio"), worse("cache.miss.ratio"), worse("mix.ratio")
    ('down', 'up', 'both')
    """
    said = words(name)
    if bool(said & _GOOD) == bool(said & _BAD):
        return "both"
    return "down" if said & _GOOD else "up"
