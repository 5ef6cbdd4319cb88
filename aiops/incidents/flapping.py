"""Openings and closings by identity -> which identities flap: they change so often that one more change is no news.

An identity is open while any of its anomalies is.  It flaps from the fifth change within an hour on (BigPanda's public default
is more than four in an hour) until it has not changed for 15 minutes.  Time is that of the windows: a replay says the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aiops.incidents.noise_bounds import NoiseConfig
from aiops.incidents.noise_names import Identity

USUAL = NoiseConfig()
ENTER, SPAN, CALM = (
    USUAL.flapping_changes,
    USUAL.flapping_span,
    USUAL.flapping_calm,
)  # what holds if nothing else is said
MAX_IDENTITIES = 20_000  # followed in an environment; those whose last change is longest ago go first


@dataclass(slots=True)
class _Row:
    open: int = 0  # anomalies of this identity
    turned: int = 0  # when one of them opened or closed last, Unix ns
    changes: list[int] = field(
        default_factory=list
    )  # the last times, as many as must be, at which the identity opened or closed
    since: int = -1  # when it began to flap, -1: it does not
    count: int = 0  # changes since its first that count


class Flapping:
    """The identities of one environment that changed of late.

    Attributes
    ----------
    now : dict
        Those that flap, and since when (Unix ns).
    evicted : int
        Identities that were no longer followed because there were too many, since the process began.
    """

    def __init__(self, bounds: NoiseConfig = USUAL) -> None:
        self._bounds = bounds
        self.now: dict[Identity, int] = {}
        self.evicted = 0
        self._rows: dict[Identity, _Row] = {}  # in the order of their last turn

    def __len__(self) -> int:
        return len(self._rows)

    def turn(self, now: int, identity: Identity, opens: bool) -> bool:
        """An anomaly of the identity opens or closes at `now` (Unix ns); does it begin to flap by that?"""
        row = self._rows.pop(identity, None) or _Row()
        self._rows[identity] = row
        before, row.open = row.open, max(0, row.open + (1 if opens else -1))
        row.turned = now
        enter, began = self._bounds.flapping_changes, False
        if (before == 0) != (row.open == 0):
            row.changes = [*row.changes[1 - enter :], now]
            row.count += 1
            if row.since < 0 and len(row.changes) == enter and now - row.changes[0] <= self._bounds.flapping_span:
                row.since = self.now[identity] = now
                began = True
        if len(self._rows) > MAX_IDENTITIES:
            oldest = next(iter(self._rows))
            del self._rows[oldest]
            self.now.pop(oldest, None)
            self.evicted += 1
        return began

    def advance(self, now: int) -> None:
        """Those leave the state that are calm, and those are forgotten that have not turned for the span of changes."""
        for identity in list(self.now):
            row = self._rows[identity]
            if now - row.changes[-1] >= self._bounds.flapping_calm:
                del self.now[identity]
                row.since, row.changes, row.count = -1, [], 0
        while self._rows and now - (oldest := next(iter(self._rows.items())))[1].turned > self._bounds.flapping_span:
            del self._rows[oldest[0]]

    def words(self, identity: Identity) -> str:
        """Why changes of an identity are no news."""
        row = self._rows[identity]
        return f"{identity.words} flaps: {row.count} changes between open and closed"

    def state(self) -> list[Any]:
        """For a snapshot."""
        return [[list(k), r.open, r.turned, r.changes, r.since, r.count] for k, r in self._rows.items()]

    def restore(self, state: list[Any]) -> None:
        """Take over the state of a snapshot."""
        self._rows = {Identity(*k): _Row(*values) for k, *values in state}
        flapping = sorted((row.since, k) for k, row in self._rows.items() if row.since >= 0)
        self.now = {k: since for since, k in flapping}
