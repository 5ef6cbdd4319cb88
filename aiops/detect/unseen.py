"""What of visits cannot be seen, though it may well have happened: lines of a service that sends none, calls without spans.

An exporter that is broken, a host whose clock is wrong, so that its spans come after their trace was complete, an agent that
drops: the service works and nobody sees it.  What is missing then is telemetry, and no step of the code.  Two rules tell:

- A service whose visits nearly all have log lines sends none at all any more, traced or not, while its visits go on.
- A call succeeded although no span of its callee is there, which it used to be: the caller did call.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiops.detect.contrast import DECAY, LENGTHS
from aiops.detect.retention import Kept, refitted
from aiops.detect.tails import EFFECTIVE, at_least

SURE = 3.0  # -log10 of the chance that so many visits in a row have no line by themselves
LEAST = 10.0  # visits of a service before its silence is told

_ROW = np.dtype(
    [
        ("visits", np.float64),  # usual ones, faded
        ("spoken", np.float64),  # those of them with a line
        ("silent", np.float64),  # visits since the last line
        ("until", np.int64),  # Unix ns: so long losses of lines say nothing, for what was silent is still counted
    ]
)

F64 = NDArray[np.float64]


class Silences:
    """Which services of a partition say nothing at all while they are at work; rows are codes of services.

    A window in which a service says anything ends its silence; 120 s later, the longest length over which visits are counted,
    its lines are missed again.
    """

    def __init__(self) -> None:
        self._rows: NDArray[np.void] = np.zeros(64, _ROW)
        self._size = 0

    def grow(self, services: int) -> None:
        """There are so many services."""
        if services > len(self._rows):
            rows = np.zeros(2 * services, _ROW)
            rows[: self._size] = self._rows[: self._size]
            self._rows = rows
        self._size = services

    def add(self, window: int, service: NDArray[np.int64], visits: F64, spoken: F64, lines: NDArray[np.int64]) -> None:
        """One window.

        Parameters
        ----------
        window : int
            Its start, Unix ns.
        service : int64 array, codes, each at most once;  visits, spoken : float64 arrays, visits and those with lines
        lines : int64 array, codes of services that said anything, in a visit or not
        """
        rows = self._rows
        says = np.zeros(self._size, bool)
        says[service[spoken > 0]] = says[lines] = True
        over = says & self._silent()
        rows["until"][: self._size][over] = window + max(LENGTHS)
        rows["silent"][: self._size][says] = 0.0
        quiet = service[~says[service]]
        rows["silent"][quiet] += visits[~says[service]]
        heard = says[service]
        rows["visits"][service[heard]] = DECAY * rows["visits"][service[heard]] + visits[heard]
        rows["spoken"][service[heard]] = DECAY * rows["spoken"][service[heard]] + spoken[heard]

    def dark(self, now: int) -> NDArray[np.bool_]:
        """Of which services no line can be missed at event time `now` (Unix ns): bool, by code."""
        out: NDArray[np.bool_] = self._silent() | (self._rows["until"][: self._size] >= now)
        return out

    def _silent(self) -> NDArray[np.bool_]:
        out = np.zeros(self._size, bool)
        for s in np.flatnonzero((self._rows["silent"] > 0) & (self._rows["visits"] >= LEAST)).tolist():
            row = self._rows[s]
            without = 1.0 - min(1.0, float(row["spoken"]) / float(row["visits"]))
            chance = at_least(float(row["silent"]), float(row["silent"]), without, float(row["visits"]), EFFECTIVE)
            out[s] = chance >= SURE
        return out

    # ---- eviction and state -----------------------------------------------------------------------------------------------
    def keep(self, services: Kept) -> None:
        """Only these stay."""
        self._rows, self._size = refitted(self._rows[: self._size], services, np.zeros(1, _ROW)[0]), len(services.rows)

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {"rows": self._rows[: self._size]}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self.__init__()  # type: ignore[misc]
        self.grow(len(state["rows"]))
        self._rows[: self._size] = state["rows"]
