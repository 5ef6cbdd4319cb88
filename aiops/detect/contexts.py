"""Open contexts of template tuples: where do enough different words stand at one place that the place must be data?

A context is the 64-bit identity of a tuple with one place, or two, taken to be data.  Every cluster is noted under its
contexts; the table says when one is full.  Bounded: when there are too many, the oldest half goes, which only means
that those places are learned anew.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import NamedTuple


class Context(NamedTuple):
    """A tuple with `places` open."""

    identity: int
    weight: int  # of the word, or the lighter of the two words, that stands there now
    enough: int  # weight of distinct words from which the context is full
    places: tuple[int, ...]


class Contexts:
    """A table of open contexts.

    Parameters
    ----------
    limit : int
    entries : dict, context identity -> [weight so far, cluster, ...], in order of age
        A table as ``entries`` gave it.
    """

    __slots__ = ("_limit", "entries")

    def __init__(self, limit: int, entries: dict[int, list[int]]) -> None:
        self._limit = limit
        self.entries = entries

    def __len__(self) -> int:
        return len(self.entries)

    def note(self, cluster: int, contexts: list[Context]) -> tuple[list[int], tuple[int, ...]] | None:
        """Note a new cluster under each context; take out the context with most clusters of those that are full now.

        Returns
        -------
        clusters, places
            Of that context; None if none is full.
        """
        best: Context | None = None
        for context in contexts:
            entry = self.entries.get(context.identity)
            if entry is None:
                if len(self.entries) >= self._limit:
                    for old in list(self.entries)[: self._limit // 2]:
                        del self.entries[old]
                self.entries[context.identity] = [context.weight, cluster]
                continue
            entry[0] += context.weight
            entry.append(cluster)
            if entry[0] >= context.enough and (best is None or len(entry) > len(self.entries[best.identity])):
                best = context
        return (self.take(best.identity), best.places) if best else None

    def take(self, identity: int) -> list[int]:
        """The clusters noted under a context, which is forgotten."""
        return self.entries.pop(identity, [0])[1:]

    def resolve(self, root: Callable[[int], int], gone: AbstractSet[int]) -> None:
        """Name clusters by their roots; forget contexts of a root that is gone."""
        kept = {}
        for identity, (weight, *clusters) in self.entries.items():
            roots = [root(cluster) for cluster in clusters]
            if gone.isdisjoint(roots):
                kept[identity] = [weight, *roots]
        self.entries = kept
