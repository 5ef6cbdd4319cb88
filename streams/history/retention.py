"""What the store forgets, and when: by the greatest event time that it was told, so that a recorded day stays as it is.

An incident that is open stays, however old.  What people commanded stays for as long as incidents do.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, select

from streams.durations import UNITS
from streams.history import commands, tables, words
from streams.history.keep import Keep
from streams.history.store import ROWS, Store

EVERY = UNITS["h"]  # of event time


class Forgetting:
    """Forgets as the clock of a store goes on.

    Parameters
    ----------
    keep : Keep
    """

    def __init__(self, store: Store, keep: Keep) -> None:
        self._store, self._keep = store, keep
        self._done = 0

    def look(self, now: int) -> int:
        """Forget what is due; returns how many rows went.

        Parameters
        ----------
        now : int
            Wall clock, Unix ns, for commands that nobody has answered.
        """
        with self._store.writing() as connection:
            commands.expire(connection, now)
        clock = self._store.clock()
        if clock - self._done < EVERY:
            return 0
        self._done = clock
        with self._store.writing() as connection:
            return forget(connection, clock, self._keep)


def forget(connection: Connection, clock: int, keep: Keep) -> int:
    """Delete what is older than `keep` at event time `clock` (Unix ns); returns how many rows went."""
    t, gone = tables, 0
    c = t.incidents.c
    over = (c.updated_at < clock - keep.incidents) & c.state.in_(("resolved", "merged"))
    while names := [name for (name,) in connection.execute(select(c.incident_id).where(over).limit(ROWS))]:
        for table in (t.incident_services, t.transitions, t.commands, t.incidents):
            gone += connection.execute(delete(table).where(table.c.incident_id.in_(names))).rowcount
        words.forget(connection, names)
    a, points = t.anomalies.c, t.anomaly_points
    old = a.until < clock - keep.anomalies
    while names := [name for (name,) in connection.execute(select(a.anomaly_id).where(old).limit(ROWS))]:
        gone += connection.execute(delete(points).where(points.c.anomaly_id.in_(names))).rowcount
        gone += connection.execute(delete(t.anomalies).where(a.anomaly_id.in_(names))).rowcount
    rest: tuple[tuple[Any, Any], ...] = (
        (t.evidence, t.evidence.c.at < clock - keep.evidence),
        (t.topology, t.topology.c.last_seen < clock - keep.topology),
        (t.noise, t.noise.c.until < clock - keep.incidents),
        (t.notices, t.notices.c.since < clock - keep.incidents),
        (t.changes, t.changes.c.at < clock - keep.incidents),
        # Of an incident that is open the newest transitions stay in the record itself.
        (t.transitions, t.transitions.c.at < clock - keep.incidents),
        # Commands that name no incident, by the wall clock: they have no other time.
        (t.commands, (t.commands.c.incident_id == "") & (t.commands.c.at < clock - keep.incidents)),
    )
    for table, condition in rest:
        gone += connection.execute(delete(table).where(condition)).rowcount
    return gone
