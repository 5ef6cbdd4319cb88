"""When each metric of each instance last came -> metrics that ceased while their instance goes on, and that come back.

What is missed is a metric of an instance, whatever its attributes: a route that nobody asks for any more, a status code that does
not occur, a partition that moved are ordinary, and so is a new version that has other metrics, because its instances are new.
Latencies and ratios have no value where nobody asks, and delta metrics no point: they are not missed.
A scraper that lost its target, an exporter that died inside a living pod, or a renamed metric under a running process are not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from aiops.columns import DELTA, GAUGE
from aiops.detect.anomalies import Candidate
from aiops.detect.metric_kinds import kind_of
from aiops.detect.retention import Kept
from aiops.detect.values import LEVEL
from aiops.identity import Interner
from aiops.signals import SECOND

if TYPE_CHECKING:
    from aiops.signals import ServiceKey
    from aiops.wire.tables import SeriesInfo

CADENCES, GRACE = 5.0, 60 * SECOND  # a metric is missing after so many of its own intervals, and no sooner than this
LONGER, FADES = (
    3.0,
    0.99,
)  # and times its longest interval, of which a hundredth is forgotten with each: some come now and then
ALIVE = 40 * SECOND  # an instance goes on if another metric of it came so lately, or within three of its intervals
USUAL = 30  # intervals after which a metric is missed
SETTLE = 600 * SECOND  # what is missing for so long is gone for good
PRIOR = 1e5  # intervals of good conduct that a metric is credited with: it scores 5 the first time
CADENCE = 60e9  # ns between points of a metric that is new
LISTED = 3  # instances that a statement names

# By group: time of the newest point, smoothed interval and longest interval of late (ns), intervals so far, times that it ceased,
# missing since.
GROUP = np.dtype(
    [
        ("last", np.int64), ("cadence", np.float64), ("longest", np.float64), ("points", np.int64), ("lost", np.int64),
        ("missing", np.int64), ("instance", np.int64), ("service", np.int64), ("regular", np.int64),
    ]
)  # fmt: skip
_EMPTY = (-1, CADENCE, 0.0, 0, 0, -1, 0, 0, 0)

I64 = NDArray[np.int64]
Named = Callable[[I64], "list[tuple[ServiceKey, str]]"]


def regular(info: SeriesInfo) -> bool:
    """Does a series come whether or not anybody asks something of its service?"""
    if info.temporality == DELTA:
        return False
    return info.kind != GAUGE or kind_of(info.name, info.unit, GAUGE, LEVEL) not in ("latency", "ratio")


class Missing:
    """Metrics of instances, as *groups* of series."""

    def __init__(self) -> None:
        self._interner = Interner()
        self._groups: NDArray[np.void] = np.empty(0, GROUP)
        self._name: list[str] = []  # metric of each group
        self._group: NDArray[np.int32] = np.empty(0, np.int32)  # of each series
        self._new: list[tuple[int, str, int, int, int]] = []

    def __len__(self) -> int:
        return len(self._groups)

    def learn(self, service: ServiceKey, info: SeriesInfo, codes: tuple[int, int]) -> None:
        """The next series; `codes` are those of its instance and its service."""
        key = "\x1f".join((*service, info.instance, info.name))
        self._new.append((xxhash.xxh64_intdigest(key.encode()), info.name, *codes, int(regular(info))))

    def settle(self) -> None:
        """What was learned counts from now on."""
        if not self._new:
            return
        codes, fresh = self._interner.codes(np.array([new[0] for new in self._new], np.uint64))
        more = np.full(len(fresh), np.array(_EMPTY, GROUP))
        for k, row in enumerate(fresh.tolist()):
            _, name, more["instance"][k], more["service"][k], more["regular"][k] = self._new[row]
            self._name.append(name)
        self._groups = np.concatenate([self._groups, more])
        self._group = np.concatenate([self._group, codes])
        self._new.clear()

    def beat(self, series: NDArray[np.int32], time: I64) -> None:
        """These series have points, the newest of them at these times (Unix ns)."""
        newest = np.full(len(self._groups), -1, np.int64)
        np.maximum.at(newest, self._group[series], time)
        beaten = np.flatnonzero(newest > self._groups["last"])
        g = self._groups[beaten]
        gap, again = (newest[beaten] - g["last"]).astype(np.float64), g["last"] >= 0
        g["cadence"] = np.where(
            again, g["cadence"] + 0.2 * (np.minimum(gap, 5 * g["cadence"]) - g["cadence"]), g["cadence"]
        )
        g["longest"] = np.where(again, np.maximum(gap, FADES * g["longest"]), 0.0)
        g["points"] += again
        g["last"], g["missing"] = newest[beaten], -1
        self._groups[beaten] = g

    def evidence(self, now: int, services: list[ServiceKey], named: Named) -> list[Candidate]:
        """What is missing at event time `now`, one candidate a metric of a service; `named` says what instances are called."""
        g = self._groups
        if not len(g):
            return []
        newest = np.full(int(g["instance"].max()) + 1, -1, np.int64)
        np.maximum.at(newest, g["instance"], g["last"])
        shortest = np.full(len(newest), np.inf)
        np.minimum.at(shortest, g["instance"], g["cadence"])
        alive = now - newest <= np.maximum(ALIVE, 3.0 * shortest)
        silent = newest[g["instance"]] - g["last"]
        patience = np.maximum(np.maximum(GRACE, CADENCES * g["cadence"]), LONGER * g["longest"])
        missing = alive[g["instance"]] & (g["regular"] > 0) & (g["points"] >= USUAL) & (silent > patience)
        g["missing"] = np.where(missing, np.where(g["missing"] < 0, now, g["missing"]), -1)
        settled = missing & (now - g["missing"] >= SETTLE)
        g["lost"] += settled
        g["points"][settled] = 0  # to be missed again it must become usual again
        found: dict[tuple[int, str], list[int]] = {}
        for k in np.flatnonzero(missing & ~settled).tolist():
            found.setdefault((int(g["service"][k]), self._name[k]), []).append(k)
        return [self._candidate(services[service], name, rows, named) for (service, name), rows in found.items()]

    def _candidate(self, service: ServiceKey, name: str, rows: list[int], named: Named) -> Candidate:
        g = self._groups[rows]
        score = float(
            max(-math.log10((lost + 1) / (points + PRIOR)) for lost, points in g[["lost", "points"]].tolist())
        )
        who = sorted(name for _, name in named(g["instance"]))
        more = f" and {len(who) - LISTED} more" if len(who) > LISTED else ""
        every = float(np.median(g["cadence"])) / 1e9
        statement = (
            f"{name} of {', '.join(who[:LISTED])}{more} has ceased, though other metrics of the same instances go on; it used to"
            f" come every {every:.0f} s"
        )
        return Candidate(
            service, "heartbeat", f"points of {name}", "missing", score, statement, "down", observed=0.0,
            expected=float(len(rows)), onset=int(g["last"].min()), term="missing",
        )  # fmt: skip

    # ---- eviction and state -----------------------------------------------------------------------------------------------
    def keep(self, series: Kept, instances: Kept, services: Kept) -> None:
        """Only these series stay; a group goes with the last of its series."""
        left = self._group[series.rows]
        used, place = np.unique(left, return_inverse=True)
        self._interner = Interner.of(self._interner.identities()[used])
        self._groups, self._group = self._groups[used], place.astype(np.int32)
        self._name = [self._name[k] for k in used.tolist()]
        self._groups["instance"] = instances.code[self._groups["instance"]]
        self._groups["service"] = services.code[self._groups["service"]]

    def state(self) -> dict[str, Any]:
        """For a snapshot; who restores it has told the series anew, which numbers groups by the first of their series."""
        _, first = np.unique(self._group, return_index=True)
        return {"groups": self._groups[np.argsort(first)]}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self._groups = state["groups"]
