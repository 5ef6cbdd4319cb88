"""Windows of an environment -> how far the engine sees there: clock, what was heard last, how much of it is known."""

from __future__ import annotations

from typing import Any

from aiops.findings import Findings
from aiops.records import rfc3339
from aiops.signals import SECOND
from aiops.status import Status

KNOWN = 3600 * SECOND  # a service that was seen for so long is known: the levels of metrics are those of the last hour
FORGET_EVERY = 600 * SECOND


class Learning:
    """One environment; as many entries as it has services."""

    def __init__(self) -> None:
        self._since = -1  # end of the first window, Unix ns
        self._heard = -1  # end of the last one with items
        self._first: dict[str, int] = {}  # service -> end of the window that named it first

    def advance(self, found: Findings, known: dict[str, int], silent: list[str], open_incidents: int) -> Status:
        """A window was judged; `known` has a key for each service that respond still knows."""
        now = found.time
        if self._since < 0:
            self._since = now
        if any(found.totals.values()):
            self._heard = now
        for service in found.services:
            self._first.setdefault(service, now)
        if now % FORGET_EVERY == 0 or len(self._first) > 2 * len(known) + 100:
            self._first = {service: at for service, at in self._first.items() if service in known}
        shares = sum(min(now - at, KNOWN) for at in self._first.values())  # whole ns: the same in any order
        n = len(self._first)
        return Status(
            tenant=found.tenant, environment=found.environment, clock=rfc3339(now), since=rfc3339(self._since),
            heard=rfc3339(self._heard) if self._heard >= 0 else None, services=n,
            learned=round(shares / (n * KNOWN), 4) if n else 0.0, silent=tuple(silent), open_incidents=open_incidents,
        )  # fmt: skip

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {"since": self._since, "heard": self._heard, "first": dict(sorted(self._first.items()))}

    def restore(self, state: dict[str, Any] | None) -> None:
        """Take over the state of a snapshot; one of before this was kept has none."""
        if state is not None:
            self._since, self._heard, self._first = state["since"], state["heard"], state["first"]
