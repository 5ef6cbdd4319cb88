"""Lines of a file in order -> the arrival of each: the greatest plausible event time of the file so far.

A file has no arrival times, and a host whose clock is wrong must not set them.  A resource's time in a line is
plausible unless most of the others that speak in this line or the next ``AHEAD`` ones are still more than ``SLACK``
behind.  A resource whose time was not plausible has no say about others; where nobody else speaks, that stays so until
time has caught up with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from aiops.signals import SECOND

AHEAD = 64  # lines looked ahead
SLACK = 300 * SECOND


class Timed(NamedTuple):
    """A line and its arrival time, Unix ns."""

    arrival: int
    line: bytes


def with_arrival(lines: Iterable[bytes], times: Callable[[bytes], dict[str, int]]) -> Iterator[Timed]:
    """Give every line its arrival.

    Parameters
    ----------
    lines : iterable of bytes
    times : callable
        Line -> newest event time (Unix ns) of each resource in it; empty where the line has none or cannot be read.

    Yields
    ------
    Timed
        In the order of the lines; arrivals never fall.  A line before any plausible time gets the first one.
    """
    window: deque[tuple[bytes, dict[str, int]]] = deque()
    newest: dict[str, list[tuple[int, int]]] = {}  # resource -> (line number, time), rising numbers and falling times
    ahead: set[str] = set()  # resources whose last time was not plausible
    number, first, arrival = 0, 0, 0
    held: list[bytes] = []

    def take(line: bytes) -> None:
        nonlocal number
        of = {resource: time for resource, time in times(line).items() if time > 0}
        window.append((line, of))
        for resource, time in of.items():
            queue = newest.setdefault(resource, [])
            while queue and queue[-1][1] <= time:
                queue.pop()
            queue.append((number, time))
        number += 1

    def give() -> Iterator[Timed]:
        nonlocal first, arrival
        line, of = window.popleft()
        best = arrival
        for resource, time in of.items():
            if _plausible(resource, time, best, newest, ahead):
                best = max(best, time)
        for resource in of:
            queue = newest[resource]
            while queue and queue[0][0] <= first:
                queue.pop(0)
            if not queue:
                del newest[resource]
        first += 1
        if best <= 0:
            held.append(line)
            return
        arrival = best
        for waiting in held:
            yield Timed(arrival, waiting)
        held.clear()
        yield Timed(arrival, line)

    for line in lines:
        take(line)
        if len(window) > AHEAD:
            yield from give()
    while window:
        yield from give()
    for line in held:
        yield Timed(0, line)


def _plausible(
    resource: str, time: int, arrival: int, newest: dict[str, list[tuple[int, int]]], ahead: set[str]
) -> bool:
    if time <= arrival:
        ahead.discard(resource)
        return True
    others = against = 0
    for other, queue in newest.items():
        if other != resource and other not in ahead:
            others += 1
            against += queue[0][1] < time - SLACK
    if not others:  # as on the last lines of a file: a clock that was wrong before still is
        return resource not in ahead
    if against * 2 > others:
        ahead.add(resource)
        return False
    ahead.discard(resource)
    return True
