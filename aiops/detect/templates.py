"""Shapes -> templates: the stateful level of template mining.  Few shapes reach it; every step is a hash look-up.

A shape becomes a tuple of words; clusters of tuples are a union-find forest.  A tuple joins a template that equals it
but for one or two of its words; where many tuples of a service differ in the same place, that place becomes data and
they unite (*fan-out*).  The result is a function of the order in which distinct shapes first came and of the windows,
of nothing else: callers that feed each window's shapes in canonical order get the same templates on every worker and in
every replay.  Described, with its measured accuracy, in ``docs/log-templates.md``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from aiops.columns import Slices
from aiops.detect.fan_out import FanOut, Noted, places_to_open
from aiops.detect.template_words import (
    ANY,
    Template,
    display,
    identity,
    opening,
    parameters,
    template_id,
    template_text,
    term,
    words,
)
from aiops.identity import Interner, mix
from aiops.ingest.shapes import LONGEST as LONGEST_LINE
from aiops.ingest.shapes import shape_hashes, shape_text

FORMAT = 2  # of a snapshot

_M64 = (1 << 64) - 1


class Merge(NamedTuple):
    """From now on `new` stands for `old`: after a fan-out (a new text), or a union of two templates."""

    service: str
    old: str
    new: str


class _Root(msgspec.Struct, array_like=True):
    """A live template."""

    service: str
    template: Template
    id: str
    used: int  # last window
    example: str | None = None  # its least shape: a display that does not depend on the order


class _State(msgspec.Struct, array_like=True):
    """A snapshot."""

    format: int
    window: int
    size: int
    parent: dict[int, int]
    roots: dict[int, _Root]
    of: dict[int, int]
    noted: list[Noted]
    merges: list[Merge]


class Templates:
    r"""Templates of all services of one detect partition.

    A *cluster* is an int that is known until its template is evicted, which only ``advance`` does; ``root(cluster)`` is
    its template now.  Resolve clusters to ids when the window has been fed, not in between: then nothing depends on
    where in the window a merge fell.

    Parameters
    ----------
    max_tuples : int
        Known tuples of all services; beyond it the least recently used templates go, down to half.
    max_contexts : int
        Open contexts, of each of two tables; the oldest half goes.
    max_per_service : int
        Live templates of a service; beyond it, shapes it has not shown get its template ``<*>`` until the window ends.
    max_cached : int
        Shapes whose cluster is remembered; cleared when full, which changes no result.

    Attributes
    ----------
    overflowed, evicted : int
        Shapes that got an overflow template, and templates evicted, since the process began.
    evictions : int
        How often clusters may have become unknown, since the process began.

    Examples
    --------
    >>> templates = Templates()
    >>> for name in "ann bob cid dan".split():
    ...     cluster = templates.match("production\0web", f"session of {name} is open".encode())
    >>> templates.text(cluster)
    'session of <*> is open'
    >>> len(templates.advance(1))
    4
    """

    def __init__(
        self,
        *,
        max_tuples: int = 200_000,
        max_contexts: int = 400_000,
        max_per_service: int = 5_000,
        max_cached: int = 500_000,
    ) -> None:
        self._max_tuples, self._max_contexts = max_tuples, max_contexts
        self._max_per_service, self._max_cached = max_per_service, max_cached
        self.overflowed = self.evicted = self.evictions = 0
        self._take(_State(FORMAT, 0, 0, {}, {}, {}, [], []))

    def _take(self, state: _State) -> None:
        self._window, self._size = state.window, state.size
        self._parent, self._roots, self._of = state.parent, state.roots, state.of
        self._fan_out = FanOut(self._max_contexts, state.noted)
        self._merges = state.merges
        self._live: dict[str, int] = {}  # service -> live templates
        for root in self._roots.values():
            self._live[root.service] = self._live.get(root.service, 0) + 1
        self._cache: dict[tuple[str, bytes], int] = {}

    # ---- shapes -> clusters -----------------------------------------------------------------------------------------

    def match(self, service: str, shape: bytes) -> int:
        """Cluster of one shape of a service: the root of its template as it is now."""
        cached = self._cache.get((service, shape))
        if cached is not None:
            cluster = self.root(cached)
            self._roots[cluster].used = self._window
            return cluster
        text = shape.decode("utf-8", "replace")
        key = tuple(word.text for word in words(text))
        if self._live.get(service, 0) >= self._max_per_service and identity(service, key) not in self._of:
            self.overflowed += 1
            key, text = (ANY,), ANY
        cluster = self.root(self._match(service, key))
        root = self._roots[cluster]
        root.used = self._window
        if root.example is None or text < root.example:
            root.example = text
        # An overflow may be remembered too: a full service makes no new tuple, so no merge, until `advance` evicts.
        if len(self._cache) >= self._max_cached:
            self._cache.clear()
        self._cache[service, shape] = cluster
        return cluster

    def codes(
        self, service: NDArray[np.int32], names: list[str], text: Slices, longest: int = LONGEST_LINE
    ) -> NDArray[np.int64]:
        """Cluster of every line.

        Parameters
        ----------
        service : int32 array, shape (n,)
            ``names[service[i]]`` wrote line i.
        names : list of str
        text : Slices, n lines
        longest : int
            Bytes of a line that count.

        Returns
        -------
        int64 array, shape (n,)
        """
        salt = np.array([mix(np.uint64(term(-1, name))) for name in names], np.uint64)
        pairs = shape_hashes(text, longest) ^ salt[service]
        pairs[pairs == 0] = 1
        codes, fresh = Interner(len(pairs)).codes(pairs)
        new = [self.match(names[service[row]], shape_text(text, row, longest)) for row in fresh.tolist()]
        clusters: NDArray[np.int64] = np.array(new, np.int64)[codes]
        return clusters

    def touch(self, clusters: Iterable[int]) -> None:
        """Lines of these clusters came: their templates are in use.  As ``match`` of their shapes, which are known."""
        for cluster in set(clusters):
            self._roots[self.root(cluster)].used = self._window

    def root(self, cluster: int) -> int:
        """The cluster that stands for the template this one belongs to now; KeyError if that was evicted."""
        parent = self._parent
        while parent[cluster] != cluster:
            parent[cluster] = parent[parent[cluster]]
            cluster = parent[cluster]
        return cluster

    def known(self, cluster: int) -> bool:
        """Whether the template of a cluster is still there."""
        return cluster in self._parent

    # ---- what a template says ---------------------------------------------------------------------------------------

    def id(self, cluster: int) -> str:
        """Identity of the cluster's template: 32 hex digits made of the service and the text."""
        return self._roots[self.root(cluster)].id

    def service(self, cluster: int) -> str:
        """The service whose template it is."""
        return self._roots[self.root(cluster)].service

    def text(self, cluster: int) -> str:
        """Template in words: what the id is made of."""
        return template_text(self._roots[self.root(cluster)].template)

    def display(self, cluster: int) -> str:
        """Template with the punctuation of its least shape."""
        root = self._roots[self.root(cluster)]
        return display(root.template, ANY if root.example is None else root.example)

    def parameters(self, cluster: int, line: bytes, longest: int = LONGEST_LINE) -> list[str]:
        """What stands in a line of the cluster at each ``<*>`` of ``text(cluster)``."""
        return parameters(self._roots[self.root(cluster)].template, line, longest)

    # ---- windows, bounds, state -------------------------------------------------------------------------------------

    def advance(self, window: int) -> list[Merge]:
        """Begin a window: evict if need be, and return the merges since the last call.

        Every id ever given out leads through the merges to a live one, unless that was evicted; the newest comes last in
        each chain.  Clusters of evicted templates are unknown from here on.
        """
        self._window = window
        if len(self._of) > self._max_tuples:
            self._evict(self._max_tuples // 2, None)
        for service, n in sorted(self._live.items()):
            if n >= self._max_per_service:
                self._evict(self._max_per_service // 2, service)
        merges, self._merges = self._merges, []
        return merges

    def sizes(self) -> dict[str, int]:
        """Fill of every bounded table, for metrics."""
        return {
            "templates": len(self._roots),
            "clusters": len(self._parent),
            "tuples": len(self._of),
            "noted_tuples": len(self._fan_out.noted),
            "contexts": self._fan_out.sizes[0],
            "pair_contexts": self._fan_out.sizes[1],
            "cached_shapes": len(self._cache),
            "largest_service": max(self._live.values(), default=0),
        }

    def snapshot(self) -> bytes:
        """State for ``restore``: equal histories give equal bytes."""
        # Look-ups shorten the paths of the forest; the snapshot has them at their shortest, so that it does not tell.
        parent = {cluster: self.root(cluster) for cluster in self._parent}
        noted = self._fan_out.noted
        state = _State(FORMAT, self._window, self._size, parent, self._roots, self._of, noted, self._merges)
        return msgspec.msgpack.encode(state)

    def restore(self, state: bytes) -> None:
        """Take over a snapshot; the future is the one that its writer had."""
        read = msgspec.msgpack.decode(state, type=_State)
        if read.format != FORMAT:
            raise ValueError(f"snapshot of templates has format {read.format}; this release reads {FORMAT}")
        self._take(read)

    def _evict(self, keep: int, service: str | None) -> None:
        """Keep the most recently used templates: `keep` of a service, or those that own `keep` tuples together."""
        owned: dict[int, int] = {}
        for cluster in self._of.values():
            root = self.root(cluster)
            owned[root] = owned.get(root, 0) + 1
        total, gone, trimmed = 0, set(), set()
        for root in sorted(self._roots, key=lambda root: (-self._roots[root].used, root)):
            if service is not None and self._roots[root].service != service:
                continue
            cost = owned.get(root, 1) if service is None else 1
            if total + cost <= keep:
                total += cost
            elif total < keep:  # its text alone finds most of its tuples again
                total += 1
                trimmed.add(root)
            else:
                gone.add(root)
        texts = {identity(self._roots[root].service, self._roots[root].template) for root in trimmed}
        self._of = {
            code: root
            for code, cluster in self._of.items()
            if (root := self.root(cluster)) not in gone and (root not in trimmed or code in texts)
        }
        self._fan_out = self._fan_out.without(self.root, gone | trimmed)
        for root in gone:
            self._drop(root)
        others = [cluster for cluster in self._parent if cluster not in self._roots and self.root(cluster) not in gone]
        others = sorted(others)[-self._max_tuples // 2 :]
        self._parent = {cluster: self.root(cluster) for cluster in sorted([*self._roots, *others])}
        self.evicted += len(gone)
        self.evictions += 1
        self._cache.clear()

    def _drop(self, root: int) -> None:
        service = self._roots.pop(root).service
        self._live[service] -= 1
        if not self._live[service]:
            del self._live[service]

    # ---- the search -------------------------------------------------------------------------------------------------

    def _match(self, service: str, key: Template, united: int | None = None) -> int:
        """Cluster of a tuple.  `united`: the cluster that takes this tuple as its text, after a fan-out."""
        code = identity(service, key)
        if code in self._of:
            return self._join(united, self._of[code])
        opens, (singles, pairs) = opening(key), places_to_open(key)
        wider = self._known_but_for_one_or_two(code, opens, singles, pairs)
        if wider is not None:
            self._of[code] = found = self._join(united, self._of[wider])
            return found
        cluster = self._name(service, key, united)
        self._of[code] = cluster
        waited, full = self._fan_out.note(Noted(cluster, service, key))
        for other in waited:
            self._join(other, cluster)
        if full is None:
            return cluster
        members, at = full
        first = self.root(members[0])
        for other in members[1:]:
            self._join(other, first)
        return self._match(service, tuple(ANY if place in at else word for place, word in enumerate(key)), first)

    def _known_but_for_one_or_two(
        self, code: int, opens: list[int], singles: list[int], pairs: list[int]
    ) -> int | None:
        """Identity of a known tuple that is this one with one or two places open, or None."""
        for i in singles:
            wider = (code + opens[i]) & _M64
            if wider in self._of:
                return wider
        for a, i in enumerate(pairs):
            wide = code + opens[i]
            for j in pairs[a + 1 :]:
                wider = (wide + opens[j]) & _M64
                if wider in self._of:
                    return wider
        return None

    def _name(self, service: str, key: Template, cluster: int | None) -> int:
        """A new cluster with this text, or this text for an old one."""
        name = template_id(service, key)
        if cluster is None:
            cluster = self._size
            self._size += 1
            self._parent[cluster] = cluster
            self._roots[cluster] = _Root(service, key, name, self._window)
            self._live[service] = self._live.get(service, 0) + 1
            return cluster
        cluster = self.root(cluster)
        root = self._roots[cluster]
        self._merges.append(Merge(service, root.id, name))
        root.template, root.id = key, name
        return cluster

    def _join(self, cluster: int | None, into: int) -> int:
        into = self.root(into)
        if cluster is None or self.root(cluster) == into:
            return into
        cluster = self.root(cluster)
        old, new = self._roots[cluster], self._roots[into]
        self._parent[cluster] = into
        self._merges.append(Merge(new.service, old.id, new.id))
        if old.example is not None:
            new.example = old.example if new.example is None else min(old.example, new.example)
        self._drop(cluster)
        return into
