"""What may be wrong on the way of a call, and what bounds it: hindrances, pools of connections, budgets of retries.

The way of a healthy call knows nothing of this: only an edge that is hindered or pooled is looked at (``calls``).
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapreplace

POOL_SIZE = 4
"""Connections of a pod to one database."""

POOL_WAIT_S = 3.0
"""Seconds for which a caller waits for a connection."""

RETRY_SHARE, RETRY_BURST = 0.1, 10
"""Retries that a first attempt earns, and the most that can be saved."""

LEAKED = float("inf")
"""When a connection is free that nobody gives back."""


@dataclass(slots=True, eq=False)
class Hindrance:
    """What is wrong with the calls on some edges.

    Parameters
    ----------
    reason
        What a caller logs where the call fails.
    share
        Share of the attempts that are hit.
    lookup_s
        Median extra seconds before the connection is made.
    fails_after_s
        Seconds after which the attempt fails, before the callee has heard of it; None: it does not fail.
    side
        Hosts on one side of a cut: only attempts from one side to the other are hit; None: all are.
    """

    reason: str = ""
    share: float = 1.0
    lookup_s: float = 0.0
    fails_after_s: float | None = None
    side: frozenset[str] | None = None

    def lies_between(self, caller_host: str, callee_host: str) -> bool:
        """Is it on the way between two hosts?"""
        return self.side is None or (caller_host in self.side) != (callee_host in self.side)


class Budget:
    """How many retries the calls of one step are worth, so that failures cannot multiply themselves for ever.

    Every first attempt earns ``RETRY_SHARE`` of a retry, up to ``RETRY_BURST``; clients of RPC libraries do so.  Without it
    a chain of eight callers that try twice asks 256 times for what cannot be had, and goes on when it could.

    >>> budget = Budget()
    >>> [budget.spend() for _ in range(RETRY_BURST + 1)].count(True)
    10
    >>> budget.earn(), budget.spend()
    (None, False)
    """

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = float(RETRY_BURST)

    def earn(self) -> None:
        """Count a first attempt."""
        self._left = min(float(RETRY_BURST), self._left + RETRY_SHARE)

    def spend(self) -> bool:
        """Take a retry, if there is one."""
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Pool:
    """Connections of one pod to one database.  Times are seconds since the start of the simulation.

    Requests are worked on one after the other, in order of their arrival at the gateway; so what a later one finds taken
    was taken by an earlier one, whatever their order at the pool.

    >>> pool = Pool(1)
    >>> begin = pool.take(10.0)
    >>> pool.give_back(12.0)
    >>> begin, pool.take(11.0), pool.used(11.5), pool.used(12.5)
    (10.0, 12.0, 1, 0)
    """

    __slots__ = ("_free_at", "_waiting")

    def __init__(self, size: int = POOL_SIZE) -> None:
        self._free_at = [0.0] * size
        self._waiting: list[tuple[float, float]] = []

    @property
    def size(self) -> int:
        """How many connections there are, leaked ones too."""
        return len(self._free_at)

    def take(self, t: float) -> float | None:
        """When a caller that comes at ``t`` has a connection; None: it gives up after ``POOL_WAIT_S``.

        What is taken must be given back before another is taken.
        """
        free = self._free_at[0]
        if free <= t:
            return t
        begin = min(free, t + POOL_WAIT_S)
        self._waiting.append((t, begin))
        return begin if free <= begin else None

    def give_back(self, t: float) -> None:
        """Let the connection that was taken be free from ``t`` on."""
        heapreplace(self._free_at, t)

    def leak(self, share: float) -> None:
        """Let a share of all connections be held by nobody who would give them back."""
        for _ in range(round(share * self.size) - self._free_at.count(LEAKED)):
            heapreplace(self._free_at, LEAKED)

    def used(self, now: float) -> int:
        """How many connections are taken at ``now``."""
        return sum(free > now for free in self._free_at)

    def waiting(self, now: float) -> int:
        """How many callers wait at ``now``; those who waited before are forgotten."""
        self._waiting = [wait for wait in self._waiting if wait[1] > now - POOL_WAIT_S]
        return sum(begin <= now < end for begin, end in self._waiting)
