"""Merges of templates -> which id stands now for one that was given out before.

Bounded: beyond ``MAX_MERGES`` the oldest are forgotten, and an id that only they knew stands for itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from aiops.detect.templates import Merge

MAX_MERGES = 20_000


class Successors:
    """Ids of templates that have been merged into others.

    Parameters
    ----------
    limit : int

    Examples
    --------
    >>> successors = Successors()
    >>> successors.add([Merge("web", "a", "b"), Merge("web", "b", "c")])
    >>> successors.now("a"), successors.now("x")
    ('c', 'x')
    """

    def __init__(self, limit: int = MAX_MERGES) -> None:
        self._limit = limit
        self._next: dict[str, str] = {}  # in order of age

    def __len__(self) -> int:
        return len(self._next)

    def add(self, merges: Iterable[Merge]) -> None:
        """Take in merges in the order in which they came about."""
        for merge in merges:
            self.lives(merge.new)  # so there is never a circle
            self._next.pop(merge.old, None)
            self._next[merge.old] = merge.new
        for old in list(self._next)[: max(0, len(self._next) - self._limit)]:
            del self._next[old]

    def lives(self, name: str) -> None:
        """A template has this id: it stands for itself."""
        self._next.pop(name, None)

    def now(self, name: str) -> str:
        """The id that stands for `name` now."""
        while name in self._next:
            name = self._next[name]
        return name

    def state(self) -> list[list[str]]:
        """For a snapshot."""
        return [list(pair) for pair in self._next.items()]

    def restore(self, state: list[list[str]]) -> None:
        """Take over the state of a snapshot."""
        self._next = {pair[0]: pair[1] for pair in state}
