"""Findings of one environment -> records of its topology: services and edges that are new, change, vanish and come back.

Windows are put together to intervals of five minutes of event time.  At the end of each, a service or an edge is told where it
differs enough from what was told of it last; so a quiet system says little, and the last record of each is how it is now.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aiops.findings import Findings
from aiops.ids import topology_id
from aiops.incidents.machines import running
from aiops.records import rfc3339
from aiops.signals import SECOND, WINDOW
from aiops.topology import Topology, TopologySpan

EVERY = 300 * SECOND
PLACED_EVERY = 60 * SECOND  # machines change slowly, and there may be many instances
LEAST = 6  # windows with traces in an interval, below which it is judged together with the next
FACTOR = 2.0  # by which a rate must change
SIGMAS = 4.0  # and by so many standard deviations of a count: few calls swing by chance
POINTS = 0.05  # by which a share of errors must change
REFRESH = 72  # intervals, 6 h: after which one that is still seen is told again, so that its last_seen is not older
LIFE = 24 * 3600 * SECOND  # what was not seen for so long is gone, as in the topology by which causes are ranked
FORGET = 8 * LIFE  # and after so long it is forgotten, so that the topic does not fill with what once was
EARLIER = 16  # entries of how it was before
MOST = 20_000  # services and edges of an environment; beyond it the longest unseen go, and new ones are not told

Key = tuple[str, str]  # (service, "") or (caller, callee)


@dataclass(slots=True)
class _Row:
    """A service or an edge, and what was told of it last; times are Unix ns."""

    first: int
    last: int
    traced: bool = False  # was it ever seen in traces?  Only then its rate means anything
    count: float = 0.0  # requests or calls of the interval in hand
    failed: float = 0.0
    gone: bool = False
    rate: float | None = None
    errors: float | None = None
    since: int = -1
    told: int = -1  # number of the interval in which it was told last, -1: never
    told_last: int = -1  # its last time seen as it was told
    truncated: bool = False
    about: str = ""  # node, zone or runs_on; empty: a service, or calls
    earlier: list[list[Any]] = field(default_factory=list)  # [since, gone, rate, errors], oldest first


class TopologyTracker:
    """Everything of one (tenant, environment).

    Attributes
    ----------
    refused : int
        Sightings of services and edges that were not known and for which there was no room, since the process began.
    evicted : int
        Services and edges that were forgotten, since the process began.
    """

    def __init__(self, tenant: str, environment: str) -> None:
        self.tenant, self.environment = tenant, environment
        self.refused = self.evicted = 0
        self._rows: dict[Key, _Row] = {}
        self._interval = -1  # number of the one in hand
        self._windows = 0  # with traces, since rates were judged last

    def __len__(self) -> int:
        return len(self._rows)

    def advance(self, found: Findings) -> tuple[list[Topology], list[str]]:
        """Take in a window; records of an interval that it ends, in order of their names, and ids that are forgotten."""
        interval = (found.time - 1) // EVERY
        records: list[Topology] = []
        forgotten: list[str] = []
        if 0 <= self._interval < interval:
            records = self._judge()
            forgotten = self._forget()
        self._interval = max(interval, self._interval)
        self._count(found)
        return records, forgotten

    # ---- a window ---------------------------------------------------------------------------------------------------------
    def _count(self, found: Findings) -> None:
        traced = found.totals.get("traces", 0) > 0  # where all traces are silent, nothing is said of rates
        self._windows += traced
        share = WINDOW / (60 * SECOND)  # visits are those of the last minute
        for service, visits, failed in zip(found.services, found.visits.tolist(), found.failed.tolist(), strict=True):
            row = self._seen((service, ""), found.time, visits > 0)
            if row is not None and traced:
                row.count += visits * share
                row.failed += failed * share
        for (caller, callee), calls in zip(found.edges, found.calls.tolist(), strict=True):
            if calls > 0:
                row = self._seen((caller, callee), found.time, True)
                if row is not None:
                    row.count += calls
                for service in (caller, callee):
                    if (of := self._seen((service, ""), found.time, False)) is not None:
                        of.last = found.time
        if found.time % PLACED_EVERY == 0:
            self._place(found)

    def _place(self, found: Findings) -> None:
        """Machines and zones, and what runs where."""
        for key, about in running(found):
            row = self._seen(key, found.time, False)
            if row is not None and not row.traced:
                row.about, row.last = about, found.time

    def _seen(self, key: Key, now: int, in_traces: bool) -> _Row | None:
        row = self._rows.get(key)
        if row is None:
            if len(self._rows) >= MOST:
                self.refused += 1
                return None
            row = self._rows[key] = _Row(now, now)
        # Detect goes on naming a service for a day after its last telemetry: that is no sight of one that has spans.
        row.traced = row.traced or in_traces
        if in_traces or not row.traced:
            row.last = now
        return row

    # ---- the end of an interval -------------------------------------------------------------------------------------------
    def _judge(self) -> list[Topology]:
        end = (self._interval + 1) * EVERY
        minutes = self._windows * WINDOW / (60 * SECOND)
        judged = self._windows >= LEAST
        out = []
        for key in sorted(self._rows):
            row = self._rows[key]
            reason = self._changed(key, row, end, minutes if judged else 0.0)
            if reason:
                row.told, row.told_last = self._interval, row.last
                out.append(self._record(key, row, end, reason))
            if judged:
                row.count = row.failed = 0.0
        if judged:
            self._windows = 0
        return out

    def _changed(self, key: Key, row: _Row, end: int, minutes: float) -> str:
        """Why it is to be told, empty: it is not; what is told then stands in the row.  0 `minutes`: rates are not judged."""
        measured = minutes > 0 and row.traced
        rate = round(row.count / minutes, 3) if measured else row.rate
        # Of a service that has no spans of its own, and of edges, nobody says which failed.
        asked = measured and not key[1] and row.count > 0
        errors = min(1.0, row.failed / row.count) if asked else None
        told = row.errors if errors is None else round(errors, 4)
        begin = self._interval * EVERY
        if row.told < 0:
            self._now(row, row.first, False, rate, told)
            return "new"
        if row.gone:
            if row.last <= row.told_last:
                return ""
            self._now(row, max(begin, row.since), False, rate, told)
            return "back"
        if end - row.last > LIFE:
            self._now(row, end, True, None, None)
            return "gone"
        if measured and (row.rate is None or _other(row.rate * minutes, row.count)):
            self._now(row, begin, False, rate, told)
            return "rate"
        if errors is not None and (row.errors is None or _worse(row.errors, errors, row.count)):
            self._now(row, begin, False, rate, told)
            return "errors"
        turn = (int(self._id(key)[:8], 16) + self._interval) % REFRESH == 0  # each in its turn, not all at once
        return "seen" if turn and row.last > row.told_last else ""

    @staticmethod
    def _now(row: _Row, since: int, gone: bool, rate: float | None, errors: float | None) -> None:
        """What holds from `since` on; what held before goes to the past."""
        if row.told >= 0:
            row.earlier.append([row.since, row.gone, row.rate, row.errors])
            row.truncated = row.truncated or len(row.earlier) > EARLIER
            del row.earlier[:-EARLIER]
        row.since, row.gone, row.rate, row.errors = since, gone, rate, errors

    def _forget(self) -> list[str]:
        """Forget what was not seen for long; where little room is left, the longest unseen first.  Ids that were told of."""
        begin = self._interval * EVERY
        unseen = sorted((row.last, key) for key, row in self._rows.items() if row.last <= begin)
        over = len(self._rows) - MOST * 3 // 4 if len(self._rows) >= MOST * 7 // 8 else 0
        going = [key for k, (last, key) in enumerate(unseen) if k < over or begin - last > FORGET]
        told = [self._id(key) for key in going if self._rows[key].told >= 0]
        for key in going:
            del self._rows[key]
        self.evicted += len(going)
        return sorted(told)

    def _id(self, key: Key) -> str:
        return topology_id(self.tenant, self.environment, *key)

    def _record(self, key: Key, row: _Row, end: int, reason: str) -> Topology:
        return Topology(
            topology_id=self._id(key),
            version=end // EVERY,
            tenant=self.tenant,
            environment=self.environment,
            kind="edge" if key[1] else "service",
            service=None if key[1] else key[0],
            caller=key[0] if key[1] else None,
            callee=key[1] or None,
            state=_state(row.gone),
            calls_per_minute=row.rate,
            error_ratio=row.errors,
            since=rfc3339(row.since),
            first_seen=rfc3339(row.first),
            last_seen=rfc3339(row.last),
            updated_at=rfc3339(end),
            reason=reason,  # type: ignore[arg-type]
            earlier=tuple(
                TopologySpan(since=rfc3339(since), state=_state(gone), calls_per_minute=rate, error_ratio=errors)
                for since, gone, rate, errors in row.earlier
            ),
            earlier_truncated=row.truncated,
            entity=row.about if row.about in ("node", "zone") else "service",  # type: ignore[arg-type]
            relation="runs_on" if row.about == "runs_on" else "calls",
        )

    # ---- state ------------------------------------------------------------------------------------------------------------
    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        rows = [[*key, *(getattr(row, name) for name in _Row.__slots__)] for key, row in self._rows.items()]
        return {"interval": self._interval, "windows": self._windows, "rows": rows}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self._interval, self._windows = state["interval"], state["windows"]
        self._rows = {(a, b): _Row(*values) for a, b, *values in state["rows"]}


def _state(gone: bool) -> Any:
    return "gone" if gone else "present"


def _other(expected: float, counted: float) -> bool:
    """Is a count clearly another than the one that was expected?"""
    low, high = min(expected, counted), max(expected, counted)
    return high >= FACTOR * low and (high - low) ** 2 > SIGMAS**2 * high


def _worse(told: float, now: float, of: float) -> bool:
    """Is a share of so many clearly another than the one that was told?"""
    return abs(now - told) >= POINTS and (now - told) ** 2 * of > SIGMAS**2 * max(now, told)
