"""When requests arrive: mean rate and time of day in, arrival times of one step out, the same for a seed.

The day is two smooth humps (noon and evening) around a quiet night with mean 1; on it lies slow noise of a few per
cent, as campaigns and weather make it, and Poisson scatter.
"""

from __future__ import annotations

import math

import numpy as np

_DRIFT_MEMORY_S = 600.0
_DRIFT_SIZE = 0.06
_WEEKEND = 0.75


def daily(unix_s: float, weekly: bool = False) -> float:
    """Factor on the mean rate at a time of day (UTC); its mean over a day is 1.

    >>> round(daily(4 * 3600), 2), round(daily(19 * 3600), 2)
    (0.55, 1.5)
    """
    hour = (unix_s / 3600.0) % 24.0
    day = 0.45 * math.cos(2 * math.pi * (hour - 16.0) / 24.0)
    factor = 1.0 + day + 0.18 * math.cos(4 * math.pi * (hour - 19.0) / 24.0)
    if weekly and (int(unix_s // 86400) + 3) % 7 >= 5:  # 1970-01-01 was a Thursday
        factor *= _WEEKEND
    return factor


class Arrivals:
    """Arrivals of requests, step by step.

    Parameters
    ----------
    rate
        Mean requests per second over a day.
    start_unix
        Unix seconds of time 0.
    rng
        Its own generator.
    weekly
        Whether weekends are quieter.
    """

    def __init__(self, rate: float, start_unix: float, rng: np.random.Generator, weekly: bool) -> None:
        self._rate = rate
        self._start = start_unix
        self._rng = rng
        self._weekly = weekly
        self._drift = 0.0

    def step(self, begin: float, length: float) -> list[float]:
        """Sorted arrival times in [begin, begin + length), in seconds since the start."""
        keep = math.exp(-length / _DRIFT_MEMORY_S)
        step = math.sqrt(1.0 - keep * keep) * _DRIFT_SIZE
        self._drift = keep * self._drift + step * float(self._rng.standard_normal())
        mean = self._rate * length * daily(self._start + begin, self._weekly) * (1.0 + self._drift)
        times = begin + length * self._rng.random(int(self._rng.poisson(max(0.0, mean))))
        times.sort()
        return [float(t) for t in times]


class Crowd:
    """Users that come in addition: a sale, a campaign, a robot.

    Parameters
    ----------
    rate
        Mean requests per second of the usual users over a day.
    start_unix
        Unix seconds of time 0.
    rng
        Its own generator: the usual users come as they would without the crowd.
    """

    def __init__(self, rate: float, start_unix: float, rng: np.random.Generator) -> None:
        self._rate = rate
        self._start = start_unix
        self._rng = rng
        self._wants: dict[object, tuple[float, float, float]] = {}

    def come(self, why: object, share: float, low: float = 0.0, high: float = 1.0) -> None:
        """Let a crowd come whose rate is ``share`` of the usual one and whose journeys lie in [low, high)."""
        self._wants[why] = share, low, high

    def leave(self, why: object) -> None:
        """Let the crowd go that came for a reason."""
        self._wants.pop(why, None)

    def step(self, begin: float, length: float) -> list[tuple[float, float]]:
        """Arrivals in [begin, begin + length), sorted: seconds since the start, and a number that says the journey."""
        arrivals = []
        for share, low, high in self._wants.values():
            mean = share * self._rate * length * daily(self._start + begin)
            count = int(self._rng.poisson(mean))
            times = begin + length * self._rng.random(count)
            choices = low + (high - low) * self._rng.random(count)
            arrivals += list(zip(times.tolist(), choices.tolist(), strict=True))
        return sorted(arrivals)
