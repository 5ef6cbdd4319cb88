"""Which series of a service say the same of different instances, and what they lend to one that is new.

*Kin* are all series of one metric and facet of a service; *peers* are those among them with the same attributes, which differ in
nothing but the instance.  A pod that starts is judged by the spread and the own tail of its kin until it has its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash
from numba import njit
from numpy.typing import NDArray

from aiops.detect.levels import FEW, FEW_TAILS
from aiops.detect.retention import Kept
from aiops.identity import Interner

if TYPE_CHECKING:
    from aiops.signals import ServiceKey
    from aiops.wire.tables import SeriesInfo

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]


class Groups:
    """Levels by groups: of each level the code of its group, of each group its levels."""

    def __init__(self) -> None:
        self._interner = Interner()
        self._code: NDArray[np.int32] = np.empty(0, np.int32)
        self._rows: tuple[I64, I64] | None = None

    def __len__(self) -> int:
        return len(self._code)

    @property
    def code(self) -> NDArray[np.int32]:
        """Group of every level: int32, shape (levels,)."""
        return self._code

    def add(self, identities: U64) -> None:
        """The next levels are of these groups."""
        if len(identities):
            codes, _ = self._interner.codes(identities)
            self._code, self._rows = np.concatenate([self._code, codes]), None

    def keep(self, levels: Kept) -> None:
        """Only these levels stay."""
        left = self._code[levels.rows]
        used, place = np.unique(left, return_inverse=True)
        self._interner = Interner.of(self._interner.identities()[used])
        self._code, self._rows = place.astype(np.int32), None

    def rows(self) -> tuple[I64, I64]:
        """Levels in order of their groups, and where each group begins (one more than there are groups)."""
        if self._rows is None:
            order = np.argsort(self._code, kind="stable")
            starts = np.concatenate([[0], np.cumsum(np.bincount(self._code, minlength=self._interner.size))])
            self._rows = order, starts.astype(np.int64)
        return self._rows


class Siblings:
    """Kin and peers of all levels of a partition."""

    def __init__(self) -> None:
        self.kin, self.peers = Groups(), Groups()
        self._new: list[tuple[int, int]] = []

    def learn(self, service: ServiceKey, info: SeriesInfo, facet: int) -> None:
        """The next level; it belongs to its groups from ``settle`` on."""
        metric = "\x1f".join((*service, info.name, info.unit, str(info.kind), str(facet)))
        # An attribute that repeats the name of the instance would make everyone an only child.
        attributes = (f"\x1e{key}\x1f{value}" for key, value in info.attributes if value != info.instance)
        peers = metric + "".join(attributes)
        self._new.append((xxhash.xxh64_intdigest(metric.encode()), xxhash.xxh64_intdigest(peers.encode())))

    def settle(self) -> int:
        """What was learned belongs to its groups; returns the first of the levels that are new."""
        first = len(self.kin)
        if self._new:
            new = np.array(self._new, np.uint64)
            self.kin.add(new[:, 0])
            self.peers.add(new[:, 1])
            self._new.clear()
        return first

    def lent(self, first: int, head: NDArray[np.void]) -> tuple[F64, F64]:
        """What the levels from `first` on are lent by their kin.

        Parameters
        ----------
        head : HEAD array, shape (first,) at least
            Of ``Levels``.

        Returns
        -------
        two float64 arrays
            Median of the spreads, as a share of the level, and median of the own tails, of those of their kin that have learned
            enough; 0 where there are none.
        """
        groups, place = np.unique(self.kin.code[first:], return_inverse=True)
        spread, own = np.zeros(len(groups)), np.zeros(len(groups))
        if first and len(groups):
            _lend(groups, *self.kin.rows(), first, head, spread, own)
        return spread[place], own[place]

    def keep(self, levels: Kept) -> None:
        """Only these levels stay."""
        self.kin.keep(levels)
        self.peers.keep(levels)


@njit(nogil=True, cache=True)
def _lend(groups: Any, rows: Any, starts: Any, first: Any, head: Any, spread: Any, own: Any) -> None:
    for k in range(len(groups)):
        members = rows[starts[groups[k]] : starts[groups[k] + 1]]
        spreads, owns = np.empty(len(members)), np.empty(len(members))
        n = 0
        for i in members:
            if i < first and head[i].count >= FEW and head[i].tails >= FEW_TAILS and head[i].expected != 0.0:
                spreads[n], owns[n] = head[i].spread / head[i].own / abs(head[i].expected), head[i].own
                n += 1
        if n:
            spread[k], own[k] = np.median(spreads[:n]), np.median(owns[:n])
