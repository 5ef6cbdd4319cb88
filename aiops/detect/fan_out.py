"""Tuples of words that matched nothing -> which places of them have shown so many words that they must be data.

Every such tuple is noted under its open contexts: itself with one place open, and with two.  The log of what was noted says all
about the two tables of contexts: they are rebuilt from it when a snapshot is taken over, so a snapshot holds one tuple where the
tables hold a context for each place and each pair of places.  When templates are evicted the log loses their tuples and the
tables are rebuilt, so a table is a function of the log at any time.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import NamedTuple

import numpy as np

from aiops.detect.contexts import Contexts
from aiops.detect.template_words import ANY, QUARTERS, Template, identity, opening, weight

# Quarters of weight of distinct words that make a place data: elsewhere, first word of the tuple, two places at once
FAN, FAN_FIRST, FAN_PAIR = 4 * QUARTERS, 8 * QUARTERS, 6 * QUARTERS
LONGEST_SINGLE, LONGEST_PAIR = 60, 30  # words of a tuple of which one place, two places may be opened

_M64 = (1 << 64) - 1


class Noted(NamedTuple):
    """A tuple of a service, and the cluster that it became."""

    cluster: int
    service: str
    key: Template


class Full(NamedTuple):
    """Clusters that differ in `places` alone, and are so many that these are data."""

    clusters: list[int]
    places: tuple[int, ...]


def places_to_open(key: Template) -> tuple[list[int], list[int]]:
    """Places of which one may be opened, and those of which two may be."""
    places = [place for place, word in enumerate(key) if word != ANY]
    singles = places if len(places) > 1 and len(key) <= LONGEST_SINGLE else []
    pairs = places if len(places) > 3 and len(key) <= LONGEST_PAIR else []
    return singles, pairs


class FanOut:
    """Open contexts of all services.

    Parameters
    ----------
    limit : int
        Open contexts, of each of two tables; the oldest half goes.
    noted : list of Noted
        A log as ``noted`` gave it.
    """

    def __init__(self, limit: int, noted: list[Noted]) -> None:
        self._limit = limit
        self.noted: list[Noted] = []
        self._singles, self._pairs = Contexts(limit), Contexts(limit)
        for one in noted:
            self.note(one)

    @property
    def sizes(self) -> tuple[int, int]:
        """Open contexts with one place, and with two."""
        return len(self._singles), len(self._pairs)

    def note(self, one: Noted) -> tuple[list[int], Full | None]:
        """Note a new tuple.

        Returns
        -------
        clusters
            Those that waited for just this place to become data.
        full
            The fullest context of those that are full now; one place wins over two.
        """
        self.noted.append(one)
        code, opens = identity(one.service, one.key), opening(one.key)
        waited = self._singles.take(code) + self._pairs.take(code)
        # Sums wrap at 64 bits, as identities do.
        wide = np.array([term & _M64 for term in opens], np.uint64)
        weights = np.array([weight(word) for word in one.key], np.int64)
        singles, pairs = (np.array(places, np.int64) for places in places_to_open(one.key))
        base = np.uint64(code)
        enough = np.full(len(singles), FAN)
        enough[:1] = FAN_FIRST
        found = self._singles.note(one.cluster, base + wide[singles], weights[singles], enough)
        if found >= 0:
            place = int(singles[found])
            return waited, Full(self._singles.take((code + opens[place]) & _M64), (place,))
        # Not two places that differ with the first word among them: that is another message.
        i, j = (pairs[1:][side] for side in np.triu_indices(max(0, len(pairs) - 1), 1))
        light = np.minimum(weights[i], weights[j])
        found = self._pairs.note(one.cluster, base + wide[i] + wide[j], light, np.full(len(i), FAN_PAIR))
        if found < 0:
            return waited, None
        a, b = int(i[found]), int(j[found])
        return waited, Full(self._pairs.take((code + opens[a] + opens[b]) & _M64), (a, b))

    def without(self, root: Callable[[int], int], gone: AbstractSet[int]) -> FanOut:
        """What is left of it when the templates `gone` are; clusters are named by their roots."""
        left = [Noted(root(one.cluster), one.service, one.key) for one in self.noted if root(one.cluster) not in gone]
        return FanOut(self._limit, left)
