"""Sources that hold everybody up are let go, and wait to be taken back; the decision is a record, so that all obey it.

Deciding takes the wall clock: while a topic is caught up with, sources are far apart in event time although none is in
trouble.  So a source is a straggler when it is behind by more than the limit in event time *and* its clock has not moved
for as long.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from aiops.signals import SECOND, Clocks
from streams.records import JOIN, STRAGGLER, Out, headers_of


class Stragglers:
    """Watches the clocks of one partition.

    Parameters
    ----------
    limit : float or None
        Seconds; None: a source is waited for for ever.
    """

    def __init__(self, limit: float | None, wall: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._wall = limit, wall
        self._moved: dict[str, tuple[int, float]] = {}  # source -> clock, and since when it stands there
        self._said: set[tuple[str, str]] = set()  # records sent and not read back yet

    def decide(self, clocks: Clocks, topic: str, partition: int) -> list[Out]:
        """Records to write to the partition that is read."""
        if self._limit is None or not clocks.known:
            return []
        now, each, away = self._wall(), clocks.each(), set(clocks.away)
        self._moved = {
            s: at if (at := self._moved.get(s)) is not None and at[0] == clock else (clock, now)
            for s, clock in each.items()
        }
        present = sorted(c for s, c in each.items() if s not in away)
        out: list[Out] = []
        for source, clock in each.items():
            if source in away:
                if present and clock >= present[0]:
                    out += self._say(JOIN, source, topic, partition)
                continue
            if len(present) < 2:
                continue
            # The others are as far as they can be for one that waits; the furthest says how far that is.
            furthest = present[-2] if clock == present[-1] else present[-1]
            behind = furthest - max(clock, 0) > self._limit * SECOND and furthest >= 0
            if behind and now - self._moved[source][1] > self._limit:
                out += self._say(STRAGGLER, source, topic, partition)
        self._said = {(kind, s) for kind, s in self._said if (kind == STRAGGLER) != (s in away)}
        return out

    def _say(self, kind: str, source: str, topic: str, partition: int) -> list[Out]:
        if (kind, source) in self._said:
            return []
        self._said.add((kind, source))
        return [Out(topic, partition, source.encode(), headers_of(kind, source))]
