"""A handful of series and lines of every service -> when each began to deviate, and which of them failed first.

For what is too small for baselines in a stream: a minute's resolution, a hundred log lines, three traces.  From the service
that alerted down the calls, to the last that fails: who fails because its callee fails is a victim, whoever was loud first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

HEAD = 0.3  # share of a series that counts as its baseline
FEW = 5  # points of a baseline, at least
LEAST = 4.0  # robust deviations from the median that are news, whatever the baseline's own tail
BEYOND = 1.2  # times the baseline's own tail that are news
WARNING = 13  # OpenTelemetry's severity numbers
ERROR = 17


class Onset(NamedTuple):
    """Since when a service deviates, in seconds on the clock of its series; `failing`: it says itself that it fails."""

    at: float
    failing: bool


def series_onset(times: F64, values: F64) -> float | None:
    """First of two points in a row that lie outside of what the first part of a series says is usual.

    Parameters
    ----------
    times, values : float64 arrays, shape (n,)
        Seconds, rising; values may be NaN and are left out then.

    Returns
    -------
    float or None
        Seconds; None where nothing deviates or too little is known.

    Examples
    --------
    >>> series_onset(np.arange(20.0), np.array([1.0, 1.1] * 7 + [3.0] * 6))
    14.0
    """
    there = np.isfinite(values)
    times, values = times[there], values[there]
    head = values[: max(FEW, int(HEAD * len(values)))]
    if len(values) < len(head) + 2:
        return None
    middle = float(np.median(head))
    low, high = np.quantile(head, [0.25, 0.75])
    scale = max(float(high - low) / 1.349, 0.05 * abs(middle), 1e-6)
    away = (values - middle) / scale
    bound = max(LEAST, BEYOND * float(np.quantile(np.abs(away[: len(head)]), 0.99)))
    beyond = (np.abs(away) > bound) & (np.arange(len(values)) >= len(head))
    twice = beyond[:-1] & beyond[1:] & (np.sign(away[:-1]) == np.sign(away[1:]))
    first = np.flatnonzero(twice)
    return float(times[first[0]]) if len(first) else None


def log_onset(lines: Sequence[tuple[float, int, str]], begin: float, end: float) -> tuple[float | None, bool]:
    """First line of warning or worse of a kind that the first part of the recording did not hold.

    Parameters
    ----------
    lines : sequence of (seconds, severity number, shape)
        Of one service, in any order.
    begin, end : float
        Of the recording, seconds.

    Returns
    -------
    (seconds or None, whether a new line is an error)
    """
    usual = {shape for at, _, shape in lines if at < begin + HEAD * (end - begin)}
    new = [(at, severity) for at, severity, shape in lines if severity >= WARNING and shape not in usual]
    if not new:
        return None, False
    return min(at for at, _ in new), any(severity >= ERROR for _, severity in new)


def failing_first(
    onsets: Mapping[str, Onset], calls: Iterable[tuple[str, str]], alerted: str, slack: float = 120.0
) -> list[str]:
    """Services in the order in which they are suspected of having failed first.

    Parameters
    ----------
    onsets : mapping, service -> Onset
        Of those that deviate.
    calls : iterable of (caller, callee)
    alerted : str
        The service whose alert asked.
    slack : float
        Seconds by which a callee may seem to begin after its caller: series have a minute's resolution.

    Returns
    -------
    list of str
        The deepest failing service below the alerted one first, then those on the way to it, then the others by onset.
    """
    below: dict[str, set[str]] = {}
    for caller, callee in calls:
        if caller != callee:
            below.setdefault(caller, set()).add(callee)
    way = [alerted]
    while True:
        here = way[-1]
        at = onsets[here].at if here in onsets else float("inf")
        worse = [
            (onsets[c].at, c)
            for c in sorted(below.get(here, ()))
            if c not in way and c in onsets and onsets[c].failing and onsets[c].at <= at + slack
        ]
        if not worse:
            break
        way.append(min(worse)[1])
    rest = sorted((s for s in onsets if s not in way), key=lambda s: (not onsets[s].failing, onsets[s].at, s))
    return [*reversed(way), *rest]
