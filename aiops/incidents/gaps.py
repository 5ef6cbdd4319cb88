"""Items per signal and window -> notices when all of a signal of an environment falls silent while others go on.

That is a matter of the collection of telemetry, not an incident of the services.
"""

from __future__ import annotations

from typing import Any

from aiops.records import Notice, rfc3339
from aiops.signals import SECOND, WINDOW

SILENT = 120 * SECOND
SIGNALS = ("logs", "metrics", "traces")


class Gaps:
    """One environment."""

    def __init__(self, tenant: str, environment: str) -> None:
        self.tenant, self.environment = tenant, environment
        self._last: dict[str, int] = {}  # end of the last window with items
        self._since: dict[str, int] = {}  # open notices

    def advance(self, now: int, totals: dict[str, int]) -> list[Notice]:
        """The window that ends at `now` (Unix ns) held `totals` items."""
        out = []
        for signal in SIGNALS:
            if totals.get(signal, 0):
                since = self._since.pop(signal, None)
                self._last[signal] = now
                if since is not None:
                    out.append(self._notice(signal, since, now - WINDOW))
        others = max(self._last.values(), default=-1)
        for signal, last in self._last.items():
            if signal not in self._since and others - last >= SILENT:
                self._since[signal] = last
                out.append(self._notice(signal, last, None))
        return out

    @property
    def silent(self) -> list[str]:
        """Signals that have stopped while others go on."""
        return sorted(self._since)

    def _notice(self, signal: str, since: int, until: int | None) -> Notice:
        text = f"no {signal} of environment {self.environment!r} since {rfc3339(since)}, while other signals go on"
        if until is not None:
            text = f"{signal} of environment {self.environment!r} are back; none came from {rfc3339(since)} to {rfc3339(until)}"
        return Notice(
            kind="silence", tenant=self.tenant, environment=self.environment, signal=signal, since=rfc3339(since),
            until=rfc3339(until) if until is not None else None, text=text,
        )  # fmt: skip

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {"last": self._last, "since": self._since}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self._last, self._since = state["last"], state["since"]
