"""Open contexts of template tuples: where do enough different words stand at one place that the place must be data?

A context is the 64-bit identity of a tuple with one place, or two, taken to be data.  Every cluster is noted under its
contexts; the table says when one is full.  Bounded: when there are too many, the oldest half goes, which only means
that those places are learned anew.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Contexts:
    """A table of open contexts.

    Parameters
    ----------
    limit : int

    Attributes
    ----------
    entries : dict, context identity -> [weight so far, cluster, ...], in order of age
    """

    __slots__ = ("_limit", "entries")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.entries: dict[int, list[int]] = {}

    def __len__(self) -> int:
        return len(self.entries)

    def note(self, cluster: int, identity: NDArray[np.uint64], weight: NDArray[Any], enough: NDArray[Any]) -> int:
        """Note a new cluster under its contexts.

        Parameters
        ----------
        cluster : int
        identity : uint64 array, shape (n,)
        weight : int array, shape (n,)
            Of the word, or the lighter of the two words, that stands there now.
        enough : int array, shape (n,)
            Weight of distinct words from which a context is full.

        Returns
        -------
        int
            Place in the arrays of the context with most clusters of those that are full now, -1 if none is.
        """
        entries, best, most = self.entries, -1, 0
        for k, (key, light) in enumerate(zip(identity.tolist(), weight.tolist(), strict=True)):
            entry = entries.get(key)
            if entry is None:
                if len(entries) >= self._limit:
                    for old in list(entries)[: self._limit // 2]:
                        del entries[old]
                entries[key] = [light, cluster]
                continue
            entry[0] += light
            entry.append(cluster)
            if len(entry) > most and entry[0] >= enough[k]:
                best, most = k, len(entry)
        return best

    def take(self, identity: int) -> list[int]:
        """The clusters noted under a context, which is forgotten."""
        return self.entries.pop(identity, [0])[1:]
