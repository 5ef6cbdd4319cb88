"""Requests that enter an environment, window by window -> how much slowness a crowd explains.

With more users everything waits longer: a process that is busy half of the time answers in twice its time when half as many
again come.  What is slow then and does not fail is served, and nobody can act on it but by more machines, of which the
resource evidence tells.  What is usual is the median of ten-minute means of the last two hours: a sampler that drops
traces for a while, or a sale, do not move it.
"""

from __future__ import annotations

from statistics import median
from typing import Any

from aiops.signals import SECOND

SPAN = 600 * SECOND  # over which requests are averaged
SPANS = 12
LEAST = 30.0  # usual requests a minute below which their number says nothing
MORE = 1.2  # times the usual number up to which it is no crowd: load drifts
SHARP = 8  # power with which more than that explains slowness


class Crowd:
    """Of one environment."""

    def __init__(self) -> None:
        self._span = -1  # number of the span in hand
        self._sum, self._windows = 0.0, 0
        self._means: list[float] = []

    def take(self, now: int, requests: float) -> float:
        """How many times the usual number of requests entered; 1 where nothing is known yet.

        Parameters
        ----------
        now : int
            End of the window, Unix ns.
        requests : float
            Of the last minute.
        """
        span = now // SPAN
        if span != self._span:
            if self._windows:
                self._means = [*self._means[1 - SPANS :], self._sum / self._windows]
            self._span, self._sum, self._windows = span, 0.0, 0
        self._sum, self._windows = self._sum + requests, self._windows + 1
        usual = median(self._means) if self._means else 0.0
        return requests / usual if usual >= LEAST else 1.0

    def state(self) -> list[Any]:
        """For a snapshot."""
        return [self._span, self._sum, self._windows, self._means]

    def restore(self, state: list[Any]) -> None:
        """Take over the state of a snapshot."""
        self._span, self._sum, self._windows, self._means = state


def weight(times: float) -> float:
    """Of slowness while so many times the usual number of requests enter.

    >>> weight(1.1), round(weight(1.5), 2), round(weight(2.0), 2)
    (1.0, 0.17, 0.02)
    """
    more = MORE / max(times, MORE)
    out = 1.0
    for _ in range(SHARP):  # products, not powers: the same on every machine
        out *= more
    return out


def words(times: float) -> str:
    """What a person reads of slowness in a crowd."""
    return f"; {times:.1f} times as many requests as usual come: it counts {100 * weight(times):.0f} %"
