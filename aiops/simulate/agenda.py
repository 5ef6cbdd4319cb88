"""What is to happen at which time: actions in, the due ones out in order of time and then of entry."""

from __future__ import annotations

import heapq
from collections.abc import Callable

Action = Callable[[float], None]
"""Called with the time of the step in which it falls, in seconds since the start."""


class Agenda:
    """A queue of actions.

    >>> agenda, seen = Agenda(), []
    >>> agenda.at(7.0, seen.append)
    >>> agenda.run(5.0)
    >>> agenda.run(10.0)
    >>> seen
    [10.0]
    """

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Action]] = []
        self._count = 0

    def at(self, time: float, action: Action) -> None:
        """Enter an action; one entered for the past is due at once."""
        heapq.heappush(self._entries, (time, self._count, action))
        self._count += 1

    def run(self, now: float) -> None:
        """Do everything that is due by ``now``, also what an action enters for no later than that."""
        while self._entries and self._entries[0][0] <= now:
            heapq.heappop(self._entries)[2](now)
