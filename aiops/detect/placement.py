"""Where instances run, by what their resources say -> of each service and machine: how many instances, how many in trouble.

A row is a number of numbers, so that what is sent grows with services and machines and not with what instances are called.
Nothing here judges: respond compares machines with each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aiops.detect.retention import Kept, refitted

if TYPE_CHECKING:
    from aiops.detect.heartbeat import Heartbeat
    from aiops.wire.tables import Entity

MAX_PLACES = 20_000  # machines of a partition; an instance on one beyond them runs nowhere that is known
DEVIATES = 3.0  # score of a latency or a utilisation from which an instance is in trouble

Place = tuple[str, str, bool]  # machine, zone, and whether the instance is the machine itself
NOWHERE: Place = ("", "", False)

I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Placed(NamedTuple):
    """Instances by service and machine.

    Attributes
    ----------
    service, place : int64 arrays, shape (n,)
        Codes of the directory and of ``Places``.
    counts : int32 array, shape (n, 3)
        Instances; those of them that are gone; those that deviate.
    """

    service: I64
    place: I64
    counts: NDArray[np.int32]


class Places:
    """Machines of a partition, and which of them every series and every instance was last seen on.

    Attributes
    ----------
    names : list of Place
        By code; 0 is nowhere.
    ignored : int
        Series on machines for which there was no room, since the process began.
    """

    def __init__(self) -> None:
        self.ignored = 0
        self.names: list[Place] = [NOWHERE]
        self._code: dict[Place, int] = {NOWHERE: 0}
        self._series: NDArray[np.int32] = np.zeros(64, np.int32)
        self._instance: NDArray[np.int32] = np.zeros(64, np.int32)

    def __len__(self) -> int:
        return len(self.names) - 1

    def learn(self, series: int, entity: Entity) -> None:
        """A series that was never seen is of this entity."""
        name: Place = (entity.node, entity.zone, entity.host) if entity.node or entity.zone else NOWHERE
        code = self._code.get(name)
        if code is None:
            if len(self) >= MAX_PLACES:
                self.ignored += 1
                code = 0
            else:
                code = self._code[name] = len(self.names)
                self.names.append(name)
        if series >= len(self._series):
            self._series = np.concatenate([self._series, np.zeros_like(self._series)])
        self._series[series] = code

    def beat(self, series: NDArray[np.int32], instance: I64, time: I64, last: I64) -> None:
        """These series have points.  An instance is where what is newer than all before says that it is.

        Parameters
        ----------
        series, instance, time : arrays, shape (n,)
            Codes, and the time of the newest point, Unix ns.
        last : int64 array, by instance
            Newest point of each instance before this window, -1 = none.
        """
        self._fit(len(last))
        place = self._series[series]
        moved = np.flatnonzero((place != self._instance[instance]) & (place > 0) & (time > last[instance]))
        if not len(moved):
            return
        # The newest decides, of equal ones the greater name: codes depend on who came first.  The last of equal indices counts.
        some = np.unique(place[moved])
        rank = np.zeros(int(some[-1]) + 1, np.int64)
        rank[some] = np.argsort(np.argsort(np.array([str(self.names[k]) for k in some.tolist()])))
        moved = moved[np.lexsort((rank[place[moved]], time[moved]))]
        self._instance[instance[moved]] = place[moved]

    def counted(self, now: int, heartbeat: Heartbeat, deviating: Mask) -> Placed:
        """All services and machines at event time `now` (Unix ns); `deviating`: bool array by instance."""
        there, gone = heartbeat.late(now)
        self._fit(len(there))
        place = self._instance[: len(there)].astype(np.int64)
        rows = np.flatnonzero(there & (place > 0))
        keys, of = np.unique(heartbeat.service[rows] * len(self.names) + place[rows], return_inverse=True)
        columns = [np.bincount(of, weight, len(keys)) for weight in (None, gone[rows], deviating[rows])]
        return Placed(keys // len(self.names), keys % len(self.names), np.stack(columns, 1).astype(np.int32))

    def _fit(self, instances: int) -> None:
        """Room for so many instances."""
        if (more := instances - len(self._instance)) > 0:
            more = max(more, len(self._instance))
            self._instance = np.concatenate([self._instance, np.zeros(more, np.int32)])

    # ---- eviction and state -----------------------------------------------------------------------------------------------
    def keep(self, series: Kept, instances: Kept) -> None:
        """Only these series and instances stay, and the machines that any of them is on."""
        self._fit(len(instances.code))
        self._series = refitted(self._series, series, 0)
        self._instance = refitted(self._instance, instances, 0)
        used = np.unique(np.concatenate([[0], self._series, self._instance]))
        self.names = [self.names[k] for k in used.tolist()]
        self._code = {name: code for code, name in enumerate(self.names)}
        self._series = np.searchsorted(used, self._series).astype(np.int32)
        self._instance = np.searchsorted(used, self._instance).astype(np.int32)

    def state(self, series: int, instances: int) -> dict[str, Any]:
        """For a snapshot; there are so many series and instances."""
        return {
            "names": [list(name) for name in self.names], "series": self._series[:series],
            "instance": self._instance[:instances], "ignored": self.ignored,
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self.names = [(node, zone, host) for node, zone, host in state["names"]]
        self._code = {name: code for code, name in enumerate(self.names)}
        self._series = np.concatenate([state["series"], np.zeros(64, np.int32)]).astype(np.int32)
        self._instance = np.concatenate([state["instance"], np.zeros(64, np.int32)]).astype(np.int32)
        self.ignored = state["ignored"]


def rows_of(placed: Placed, names: list[Place], services: list[int]) -> tuple[list[tuple[str, str]], NDArray[np.int32]]:
    """The machines of an environment, and its rows of ``aiops.findings.Findings.placed``.

    Parameters
    ----------
    services : list of int
        Codes of its services; their places are the rows of findings.
    """
    row = np.full(max([*services, int(placed.service.max(initial=-1))], default=-1) + 1, -1, np.int64)
    row[services] = np.arange(len(services))
    mine = np.flatnonzero(row[placed.service] >= 0)
    of = [names[k] for k in placed.place[mine].tolist()]
    machines = sorted({(node, zone) for node, zone, _ in of})
    place = {machine: k for k, machine in enumerate(machines)}
    out: NDArray[np.int32] = np.empty((len(mine), 6), np.int32)
    out[:, 0] = row[placed.service[mine]]
    out[:, 1] = [place[node, zone] for node, zone, _ in of]
    out[:, 2] = [host for _, _, host in of]
    out[:, 3:] = placed.counts[mine]
    return machines, out[np.lexsort((out[:, 2], out[:, 1], out[:, 0]))]
