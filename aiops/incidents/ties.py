"""What relates services beside calls -> who counts as near to whom, for how long, and why, in words.

A tie is between services that a machine, a rule of the configuration, a text or a trace has in common.  It counts like a call:
who is tied joins the same incident and opens none beside it.  A tie is forgotten when nothing has renewed it for its time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

MOST = 500  # ties of an environment; beyond it those go that end soonest
WIDEST = 200  # services of a tie; further ones are not taken in

Key = tuple[str, ...]


@dataclass(slots=True)
class Tie:
    """Services that something ties together.

    Attributes
    ----------
    type : str
        Type of reason that an incident shows: ``topology``, ``rule``, ``text`` or ``trace``.
    statement : str
        Why, in words.
    services : set of int
    until : int
        When it is over, Unix ns.
    hub : int
        The machine through which they are tied, so that they are two steps from each other; -1 = each to each.
    title : str
        What an incident is called in which it ties two services; empty: as ever.
    """

    type: str
    statement: str
    services: set[int]
    until: int
    hub: int = -1
    title: str = ""


class Ties:
    """The ties of an environment.

    Attributes
    ----------
    evicted : int
        Ties that went because there were too many, since the process began.
    """

    def __init__(self) -> None:
        self.evicted = 0
        self._of: dict[Key, Tie] = {}
        self._near: dict[int, set[int]] | None = None  # made when it is asked for

    def __len__(self) -> int:
        return len(self._of)

    def get(self, key: Key) -> Tie | None:
        """The tie that is known by this name."""
        return self._of.get(key)

    def all(self) -> list[tuple[Key, Tie]]:
        """All of them, in the order of their names."""
        return sorted(self._of.items())

    def tie(self, key: Key, tie: Tie) -> Tie:
        """Services are tied, or tied still: those of before stay in it, and what it says is what is said now."""
        known = self._of.get(key)
        if known is not None:
            more = known.services
            known.statement, known.until, known.title = tie.statement, max(known.until, tie.until), tie.title
            added = sorted(tie.services - more)[: max(0, WIDEST - len(more))]
            if added or known.hub != tie.hub:
                known.hub, self._near = tie.hub, None
                more.update(added)
            return known
        tie.services = set(sorted(tie.services)[:WIDEST])
        self._of[key], self._near = tie, None
        if len(self._of) > MOST:
            first = min(self._of, key=lambda k: (self._of[k].until, k))
            del self._of[first]
            self.evicted += 1
        return tie

    def drop(self, key: Key) -> None:
        """It ties nothing any more."""
        del self._of[key]
        self._near = None

    def advance(self, now: int) -> None:
        """Event time is `now`: what is over goes."""
        over = [key for key, tie in self._of.items() if tie.until < now]
        for key in over:
            del self._of[key]
        if over:
            self._near = None

    def near(self, service: int) -> set[int]:
        """Services that are tied to one."""
        if self._near is None:
            self._near = {}
            for tie in self._of.values():
                _spread(tie, self._near)
        return self._near.get(service, set())

    def tied(self, one: int, other: int) -> bool:
        """Are two services tied, directly or through one machine?"""
        near = self.near(one)
        return other in near or bool(near & self.near(other))

    def between(self, services: set[int]) -> list[tuple[Key, Tie]]:
        """Ties that hold at least two of these services, beside their machine."""
        return [(key, tie) for key, tie in self.all() if len((tie.services - {tie.hub}) & services) > 1]

    def held(self) -> set[int]:
        """All services in ties."""
        return {s for tie in self._of.values() for s in tie.services}

    def state(self) -> list[Any]:
        """For a snapshot."""
        return [
            [list(key), tie.type, tie.statement, sorted(tie.services), tie.until, tie.hub, tie.title]
            for key, tie in self.all()
        ]

    def restore(self, state: Iterable[Any]) -> None:
        """Take over the state of a snapshot."""
        self._near = None
        self._of = {
            tuple(key): Tie(type_, statement, set(services), until, hub, title)
            for key, type_, statement, services, until, hub, title in state
        }


def _spread(tie: Tie, near: dict[int, set[int]]) -> None:
    if tie.hub >= 0:
        others = tie.services - {tie.hub}
        near.setdefault(tie.hub, set()).update(others)
        for service in others:
            near.setdefault(service, set()).add(tie.hub)
        return
    for service in tie.services:
        near.setdefault(service, set()).update(tie.services - {service})
