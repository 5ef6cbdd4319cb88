"""What repeats in telemetry, as dense codes kept across batches: resources, span names, metric series."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.columns import EXPONENTIAL, Slices
from aiops.identity import DEFAULT_KEY, Interner, hash64, mix, murmur
from aiops.wire.attributes import AttributeArena, AttributeHashes, grown
from aiops.wire.buckets import GRID
from aiops.wire.layout import frozen
from aiops.wire.resources import Entity, Resources
from aiops.wire.values import worded

U64 = NDArray[np.uint64]
I32 = NDArray[np.int32]

__all__ = ["Entity", "Names", "Resources", "Series", "SeriesInfo", "Tables"]


class Names:
    """Byte strings -> dense codes; ``raw[code]`` is the byte string."""

    __slots__ = ("_identity", "_interner", "_key", "raw", "text_bytes")

    def __init__(self, key: int = DEFAULT_KEY) -> None:
        self._key = key
        self._interner = Interner()
        self._identity: U64 = np.zeros(64, np.uint64)
        self.raw: list[bytes] = []
        self.text_bytes = 0  # of all of them

    def __len__(self) -> int:
        return len(self.raw)

    @property
    def identity(self) -> U64:
        """Keyed hash of the bytes of every code: uint64, shape (len,)."""
        return self._identity[: len(self.raw)]

    def codes(self, column: Slices, hashes: U64 | None = None) -> I32:
        """Code of every row: int32, shape (n,).  `hashes`: ``hash64`` of the rows under the same key, if at hand."""
        if hashes is None:
            hashes = hash64(column, self._key)
        codes, fresh = self._interner.codes(hashes)
        if len(fresh):
            first = len(self.raw)
            new = [column.raw(row) for row in fresh.tolist()]
            self.raw += new
            self.text_bytes += sum(map(len, new))
            self._identity = grown(self._identity, len(self.raw))
            self._identity[first : len(self.raw)] = hashes[fresh]
        return codes


class SeriesInfo(NamedTuple):
    """What a series code stands for.

    ``kind``, ``temporality``: ``aiops.columns``.  ``bounds``: upper bounds of all histogram buckets but the last.
    """

    environment: str
    service: str
    instance: str
    name: str
    unit: str
    kind: int
    temporality: int
    monotonic: bool
    bounds: tuple[float, ...]
    attributes: tuple[tuple[str, str], ...]


class FreshPoints(NamedTuple):
    """Columns of the ``n`` points of one kind, read only where a series is new; some have one row a metric instead."""

    metric: I32
    resource: I32
    name: Slices
    unit: Slices
    temporality: I32
    monotonic: NDArray[np.bool_]
    attributes: Slices
    attribute_offsets: NDArray[np.int32]
    bounds: NDArray[np.float64]
    bound_offsets: NDArray[np.int32]
    bound_hashes: U64


class Series:
    """Identity of a metric series -> dense code, and what each stands for; about 100 bytes each.

    What series share is held once, and numbered when a series is new: its attributes (``sets``), and all that the series
    of a metric have in common (``metric``), so that whoever writes many series need not compare them.
    """

    __slots__ = (
        "_about", "_bounds_interner", "_identity", "_interner", "_key", "_kind", "_metric", "_metric_interner",
        "_monotonic", "_of_metric", "_order", "_resources", "_set", "_set_interner", "_temporality", "bounds", "hashes",
        "names", "sets",
    )  # fmt: skip

    def __init__(self, resources: Resources, key: int = DEFAULT_KEY) -> None:
        self._resources, self._key = resources, np.uint64(key)
        self.names = Names(key)  # of metrics and units
        self.hashes = AttributeHashes(key)
        self.sets = AttributeArena()  # of attributes, each once
        self.bounds: list[tuple[float, ...]] = []  # of histograms, each once
        self._interner, self._bounds_interner = Interner(), Interner()
        self._metric_interner, self._set_interner = Interner(), Interner()
        self._of_metric: I32 = np.zeros(64, np.int32)
        self._metric: I32 = np.zeros(1024, np.int32)
        self._set: I32 = np.zeros(1024, np.int32)
        self._about: I32 = np.zeros((1024, 4), np.int32)
        self._identity: U64 = np.zeros(1024, np.uint64)
        self._order: I32 = np.empty(0, np.int32)
        self._kind: NDArray[np.int8] = np.zeros(1024, np.int8)
        self._temporality: NDArray[np.int8] = np.zeros(1024, np.int8)
        self._monotonic: NDArray[np.bool_] = np.zeros(1024, np.bool_)

    def __len__(self) -> int:
        return self._interner.size

    @property
    def size(self) -> int:
        """Distinct series, names and bounds."""
        return self._interner.size + len(self.names) + len(self.bounds)

    @property
    def text_bytes(self) -> int:
        """Of names and attributes, each once."""
        return self.names.text_bytes + len(self.sets.data)

    @property
    def identity(self) -> U64:
        """The same on every worker for one key: uint64, shape (len,)."""
        return self._identity[: len(self)]

    @property
    def order(self) -> I32:
        """Codes in ascending order of identity, sorted again only after the table has grown: int32, shape (len,)."""
        if len(self._order) != len(self):
            self._order = np.argsort(self.identity).astype(np.int32)
        return self._order

    @property
    def kind(self) -> NDArray[np.int8]:
        """``aiops.columns.GAUGE`` .. ``SUMMARY``: int8, shape (len,)."""
        return self._kind[: len(self)]

    @property
    def temporality(self) -> NDArray[np.int8]:
        """0 not given or not applicable, 1 delta, 2 cumulative: int8, shape (len,)."""
        return self._temporality[: len(self)]

    @property
    def monotonic(self) -> NDArray[np.bool_]:
        """Sums that never fall but at a reset: bool, shape (len,)."""
        return self._monotonic[: len(self)]

    @property
    def resource(self) -> I32:
        """Resource code: int32, shape (len,)."""
        return self._about[: len(self), 0]

    @property
    def about(self) -> I32:
        """Codes of resource, name, unit (both of ``names``) and bounds (-1 = none): int32, shape (len, 4).

        For whoever describes many series at once: ``describe`` takes microseconds for each.
        """
        return self._about[: len(self)]

    @property
    def metric(self) -> I32:
        """Number of what a series shares with others of its metric: name, unit, bounds, kind, temporality, monotonicity.

        int32, shape (len,).
        """
        return self._metric[: len(self)]

    @property
    def of_metric(self) -> I32:
        """The first series of each number in ``metric``: int32, shape (metrics,)."""
        return self._of_metric[: self._metric_interner.size]

    @property
    def attributes(self) -> I32:
        """Number of the attributes in ``sets``: int32, shape (len,)."""
        return self._set[: len(self)]

    @property
    def entities(self) -> list[Entity]:
        """By resource code."""
        return self._resources.entities

    def codes(self, identities: U64, kind: int, points: FreshPoints) -> I32:
        """Codes of the points with these identities (uint64, shape (n,)): int32, shape (n,)."""
        codes, fresh = self._interner.codes(identities)
        if len(fresh):
            self._learn(fresh, identities[fresh], kind, points)
        return codes

    def _learn(self, fresh: I32, identities: U64, kind: int, points: FreshPoints) -> None:
        n, metric = len(self), points.metric[fresh]
        new = slice(n - len(fresh), n)
        for name in ("_about", "_identity", "_kind", "_temporality", "_monotonic", "_metric", "_set"):
            setattr(self, name, grown(getattr(self, name), n))
        self._identity[new], self._kind[new] = identities, kind
        self._temporality[new], self._monotonic[new] = points.temporality[metric], points.monotonic[metric]
        about = self._about[new]
        about[:, 0] = points.resource[metric]
        for column, field in ((1, points.name), (2, points.unit)):
            some = Slices(field.data, frozen(field.start[metric]), frozen(field.end[metric]))
            about[:, column] = self.names.codes(some)
        about[:, 3] = -1
        if len(points.bound_hashes):
            bounds, unseen = self._bounds_interner.codes(points.bound_hashes[fresh])
            for row in fresh[unseen].tolist():
                edges = points.bounds[points.bound_offsets[row] : points.bound_offsets[row + 1]]
                self.bounds.append(tuple(edges.tolist()))
            about[:, 3] = bounds
        shared = np.empty(len(fresh), np.uint64)
        _metric_hashes(about, kind, self._temporality[new], self._monotonic[new], self._key, shared)
        self._metric[new], unseen = self._metric_interner.codes(shared)
        self._of_metric = grown(self._of_metric, self._metric_interner.size)
        self._of_metric[self._metric_interner.size - len(unseen) : self._metric_interner.size] = new.start + unseen
        attributes = points.attributes
        _set_hashes(
            attributes.data, attributes.start, attributes.end, points.attribute_offsets, fresh, self._key, shared
        )
        self._set[new], unseen = self._set_interner.codes(shared)
        self.sets.append(attributes, points.attribute_offsets, fresh[unseen])

    def entity_of(self, code: int) -> Entity:
        """What a series is about, and where that runs."""
        return self._resources.entities[int(self._about[code, 0])]

    def describe(self, code: int) -> SeriesInfo:
        """Decode one series; called for the few that are reported, not for the millions that are not."""
        resource, name, unit, bounds = self._about[code].tolist()
        if not 0 <= code < len(self):
            raise IndexError(f"series {code} is not one of {len(self)}")
        kind = int(self._kind[code])
        attributes = [said for raw in self.sets[self._set[code]] if (said := worded(raw)) is not None]
        entity = self._resources.entities[resource]
        return SeriesInfo(
            entity.environment,
            entity.service,
            entity.instance,
            self.names.raw[name].decode("utf-8", "replace"),
            self.names.raw[unit].decode("utf-8", "replace"),
            kind,
            int(self._temporality[code]),
            bool(self._monotonic[code]),
            tuple(GRID.tolist()) if kind == EXPONENTIAL else self.bounds[bounds] if bounds >= 0 else (),
            tuple(sorted(attributes)),
        )


@njit(nogil=True, cache=True)
def _metric_hashes(about: Any, kind: Any, temporality: Any, monotonic: Any, key: Any, out: Any) -> None:
    """Keyed hash of all that a series shares with others of its metric."""
    for row in range(len(about)):
        flags = (
            np.uint64(kind) | np.uint64(temporality[row]) << np.uint64(8) | np.uint64(monotonic[row]) << np.uint64(16)
        )
        h = mix(key + flags)
        for k in range(1, 4):
            h = mix(h + np.uint64(about[row, k] + 1))
        out[row] = h


@njit(nogil=True, cache=True)
def _set_hashes(data: Any, start: Any, end: Any, offsets: Any, rows: Any, key: Any, out: Any) -> None:
    """Keyed hash of the attributes of each row, as they were written: another order is another set."""
    for k in range(len(rows)):
        h = mix(key)
        for i in range(offsets[rows[k]], offsets[rows[k] + 1]):
            h = mix(h + murmur(data, start[i], end[i], key))
        out[k] = h


class Tables:
    """All that the codes in a batch refer to.

    The caller bounds it: when ``size`` or ``text_bytes`` is too large, start new tables and let go of the old ones
    with their batches.

    Parameters
    ----------
    key : int
        Key of all identities, the same on every worker.
    """

    __slots__ = ("key", "operations", "peers", "resources", "series")

    def __init__(self, key: int = DEFAULT_KEY) -> None:
        self.key = key
        self.resources = Resources(key)
        self.operations = Names(key)
        self.peers = Names(key)
        self.series = Series(self.resources, key)

    @property
    def size(self) -> int:
        """Distinct resources, span names, peers and series held."""
        return self.resources.spellings + len(self.operations) + len(self.peers) + self.series.size

    @property
    def text_bytes(self) -> int:
        """Of all that they quote, which no number of them bounds: a name may be as long as a message."""
        return self.resources.text_bytes + self.operations.text_bytes + self.peers.text_bytes + self.series.text_bytes
