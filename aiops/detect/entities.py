"""Values of series that name an entity -> one value an entity and window, judged by a baseline of its own.

An entity is what an attribute of metrics names: a device, a host, a tenant, a user.  Its value is the sum, the mean or the
maximum of the newest values of its series of one metric and service; those that have fallen silent do not count.  An entity lives
as long as any of its series (``retention``), so that names which come and go leave in event order.
"""

from __future__ import annotations

from fnmatch import translate
from re import compile as compiled
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xxhash
from numba import njit
from numpy.typing import NDArray

from aiops.detect.levels import HISTORY, Levels
from aiops.detect.retention import Kept
from aiops.detect.suspicion import Suspicion
from aiops.identity import Interner

if TYPE_CHECKING:
    from aiops.detect.metric_values import Values
    from aiops.detect.rules import EntityRule
    from aiops.signals import ServiceKey
    from aiops.wire.tables import SeriesInfo

FRESH = 3.0  # intervals of a series within which its newest value counts
SUM, MEAN, MAX = range(3)
_VALUES = {"sum": SUM, "mean": MEAN, "max": MAX}

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


class Entity(NamedTuple):
    """What one is called: by which rule, and by the attribute; and one of its signals."""

    rule: str
    attribute: str
    name: str
    signal: int


class Entities:
    """All entities of a partition.

    Attributes
    ----------
    ignored : int
        Signals that named an entity for which there was no room, since the process began.
    """

    def __init__(self, suspicion: Suspicion, rules: tuple[EntityRule, ...]) -> None:
        self.ignored = 0
        self.levels = Levels(suspicion)
        self._rules = [(rule, compiled(translate(rule.metric))) for rule in rules]
        self._interner = Interner()
        self._rule: list[int] = []  # by entity
        self._count = [0] * len(rules)  # entities of each rule
        self._of_level: NDArray[np.int64] = np.empty(0, np.int64)  # entity of each level, -1 = it names none
        self._new: list[tuple[int, int]] = []  # (identity, rule) of the levels that are new; 0 = names none
        self._rows: tuple[I64, I64] | None = None

    def __len__(self) -> int:
        return self._interner.size

    def learn(self, service: ServiceKey, info: SeriesInfo, facet: int) -> None:
        """The next level; it belongs to its entity from ``settle`` on."""
        attributes = dict(info.attributes)
        for k, (rule, metric) in enumerate(self._rules):
            if (name := attributes.get(rule.attribute)) is not None and metric.match(info.name):
                key = "\x1f".join((*service, rule.name, name, info.name, info.unit, str(info.kind), str(facet)))
                self._new.append((xxhash.xxh64_intdigest(key.encode()) or 1, k))
                return
        self._new.append((0, -1))

    def settle(self, owners: list[int]) -> None:
        """What was learned counts from now on; `owners` are the subjects of the new levels."""
        if not self._new:
            return
        if self._rules:
            entity = [
                self._entity(identity, rule, owner) for (identity, rule), owner in zip(self._new, owners, strict=True)
            ]
        else:
            entity = [-1] * len(self._new)
        self._of_level, self._rows = np.concatenate([self._of_level, np.array(entity, np.int64)]), None
        self._new.clear()

    def _entity(self, identity: int, rule: int, owner: int) -> int:
        if rule < 0:
            return -1
        identities = np.array([identity], np.uint64)
        code = int(self._interner.find(identities)[0])
        if code >= 0:
            return code
        if self._count[rule] >= self._rules[rule][0].most:
            self.ignored += 1
            return -1
        codes, _ = self._interner.codes(identities)
        self._rule.append(rule)
        self._count[rule] += 1
        self.levels.grow([owner])
        return int(codes[0])

    def names(self, level: int) -> bool:
        """Does a level name an entity, which is judged in its place?"""
        return bool(self._of_level[level] >= 0)

    def described(self, entity: int, info: list[SeriesInfo]) -> Entity:
        """What an entity is called; `info` is by level."""
        rows, starts = self._members()
        level = int(rows[starts[entity]])
        rule = self._rules[self._rule[entity]][0]
        return Entity(rule.name, rule.attribute, dict(info[level].attributes)[rule.attribute], level)

    def add(self, values: Values, head: NDArray[np.void], time: I64) -> None:
        """The values of a window have been taken in.

        Parameters
        ----------
        head, time : HEAD array, and int64 array of shape (levels, HISTORY)
            Of the levels of series, after that.
        """
        if not len(self):
            return
        entity = self._of_level[values.level]
        touched = np.unique(entity[entity >= 0])
        if not len(touched):
            return
        newest = np.zeros(len(self), np.int64)
        np.maximum.at(newest, entity[entity >= 0], values.time[entity >= 0])
        how = np.array([_VALUES[self._rules[self._rule[k]][0].value] for k in touched.tolist()], np.int64)
        value = np.empty(len(touched))
        _together(touched, how, *self._members(), newest, head, time, value)
        ok = np.isfinite(value)
        self.levels.add(touched[ok], newest[touched[ok]], value[ok])

    def _members(self) -> tuple[I64, I64]:
        """Levels by entity, and where each entity's begin."""
        if self._rows is None:
            order = np.argsort(self._of_level, kind="stable")
            count = np.bincount(self._of_level[self._of_level >= 0], minlength=len(self))
            starts = np.concatenate([[0], np.cumsum(count)]) + np.count_nonzero(self._of_level < 0)
            self._rows = order, starts.astype(np.int64)
        return self._rows

    def keep(self, levels: Kept, subjects: Kept) -> None:
        """Only these levels stay, and the entities that they name."""
        left = self._of_level[levels.rows]
        used = np.zeros(len(self), bool)
        used[left[left >= 0]] = True
        entities = Kept(used)
        self._of_level = np.where(left >= 0, entities.code[left], -1) if len(self) else left
        self._interner = Interner.of(self._interner.identities()[entities.rows])
        self._rule, self._rows = entities.of(self._rule), None
        self._count = [self._rule.count(k) for k in range(len(self._rules))]
        self.levels.keep(entities, subjects)

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        names = [rule.name for rule, _ in self._rules]
        return {
            "levels": self.levels.state(), "identities": self._interner.identities(), "names": names, "rule": self._rule,
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot, before the levels are told anew: those of other rules are forgotten by ``keep``."""
        self._interner = Interner.of(state["identities"])
        self.levels.restore(state["levels"])
        place = {rule.name: k for k, (rule, _) in enumerate(self._rules)}
        self._rule = [place.get(state["names"][k], -1) for k in state["rule"]]
        self._count = [self._rule.count(k) for k in range(len(self._rules))]


@njit(nogil=True, cache=True)
def _together(touched: Any, how: Any, rows: Any, starts: Any, newest: Any, head: Any, time: Any, value: Any) -> None:
    """One value of each entity, of its levels that are fresh."""
    for k in range(len(touched)):
        entity = touched[k]
        total, most, n = 0.0, -np.inf, 0
        for at in range(starts[entity], starts[entity + 1]):
            level = rows[at]
            last = time[level, HISTORY - 1]
            if last >= 0 and newest[entity] - last <= FRESH * head[level].cadence:
                total += head[level].value
                most = max(most, head[level].value)
                n += 1
        value[k] = np.nan if n == 0 else total if how[k] == SUM else total / n if how[k] == MEAN else most
