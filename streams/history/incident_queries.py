"""Questions about incidents -> rows of the store, newest first, a page at a time."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from statistics import fmean, median
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from aiops.errors import UserError
from aiops.records import Incident, decode_incident, rfc3339
from streams.history import words
from streams.history.tables import incident_services, incidents, transitions

MOST_FIGURES = 100_000  # incidents that figures are made of, the newest
NS = 1_000_000_000


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """An incident in a list."""

    incident_id: str
    version: int
    episode: int
    environment: str
    state: str
    severity: str
    title: str
    cause_service: str | None
    cause_kind: str | None
    confidence: float | None
    team: str | None
    assignee: str | None
    onset_at: str
    opened_at: str
    updated_at: str
    resolved_at: str | None


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """A version of an incident, in short; ``seq`` is the order in which the store came to know them."""

    seq: int
    incident_id: str
    version: int
    kind: str
    at: str
    environment: str
    state: str
    severity: str
    title: str


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of event time over some incidents; null: of none of them."""

    incidents: int
    mean: float | None
    median: float | None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """How incidents of a stretch of time went.

    ``to_detect``: from the onset to the opening; ``to_acknowledge`` and ``to_resolve``: from the opening on.  ``open_now``
    counts by severity what is not over, whenever it opened.
    """

    incidents: int
    by_severity: dict[str, int]
    by_state: dict[str, int]
    open_now: dict[str, int]
    reopened: int
    without_confident_cause: int
    to_detect: Spread
    to_acknowledge: Spread
    to_resolve: Spread


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which incidents; empty: all.  Times in Unix ns are about the opening, `since` inclusive, `until` exclusive."""

    states: Sequence[str] = ()
    severities: Sequence[str] = ()
    environment: str | None = None
    service: str | None = None
    cause_service: str | None = None
    cause_kind: str | None = None
    team: str | None = None
    assignee: str | None = None
    question: str | None = None
    since: int | None = None
    until: int | None = None


def page(
    connection: Connection, wanted: Filter, limit: int, cursor: str | None = None
) -> tuple[list[Item], str | None]:
    """Incidents in order of opening, newest first, and the cursor of the next page where there is one.

    Raises
    ------
    UserError
        The cursor is none of ours.
    """
    c = incidents.c
    statement = select(*(c[name] for name in _COLUMNS)).where(*_conditions(connection.dialect.name, wanted))
    if cursor is not None:
        opened, name = _place(cursor)
        statement = statement.where(or_(c.opened_at < opened, and_(c.opened_at == opened, c.incident_id < name)))
    statement = statement.order_by(c.opened_at.desc(), c.incident_id.desc()).limit(limit + 1)
    rows = connection.execute(statement).all()
    more = len(rows) > limit
    rows = rows[:limit]
    following = _cursor(rows[-1].opened_at, rows[-1].incident_id) if more else None
    return [_item(row) for row in rows], following


def one(connection: Connection, name: str) -> Incident | None:
    """The last version of an incident."""
    value = connection.scalar(select(incidents.c.record).where(incidents.c.incident_id == name))
    return None if value is None else decode_incident(value)


def versions(connection: Connection, name: str, limit: int = 500) -> list[Transition]:
    """Its versions, the newest `limit` of them, oldest first."""
    statement = select(transitions).where(transitions.c.incident_id == name)
    rows = connection.execute(statement.order_by(transitions.c.version.desc()).limit(limit)).all()
    return [_transition(row) for row in reversed(rows)]


def after(connection: Connection, seq: int, limit: int) -> list[Transition]:
    """What the store came to know after transition number `seq`, in that order."""
    statement = select(transitions).where(transitions.c.seq > seq).order_by(transitions.c.seq).limit(limit)
    return [_transition(row) for row in connection.execute(statement)]


def newest(connection: Connection) -> tuple[int, int]:
    """Least and greatest number of the transitions that are kept; (1, 0): there is none."""
    low, high = connection.execute(select(func.min(transitions.c.seq), func.max(transitions.c.seq))).one()
    return (1, 0) if high is None else (int(low), int(high))


def figures(connection: Connection, wanted: Filter) -> Figures:
    """How the incidents that match went."""
    c = incidents.c
    columns = (
        c.severity, c.state, c.episode, c.cause_service, c.onset_at, c.opened_at, c.acknowledged_at, c.resolved_at
    )  # fmt: skip
    conditions = _conditions(connection.dialect.name, wanted)
    statement = select(*columns).where(*conditions).order_by(c.opened_at.desc()).limit(MOST_FIGURES)
    rows = connection.execute(statement).all()
    going = select(c.severity, func.count()).where(c.state.in_(("open", "acknowledged"))).group_by(c.severity)
    if wanted.environment is not None:
        going = going.where(c.environment == wanted.environment)
    real = [row for row in rows if row.state != "merged"]
    return Figures(
        incidents=len(rows),
        by_severity=_counted(row.severity for row in rows),
        by_state=_counted(row.state for row in rows),
        open_now={row[0]: int(row[1]) for row in connection.execute(going.order_by(c.severity))},
        reopened=sum(row.episode > 1 for row in rows),
        without_confident_cause=sum(row.cause_service is None for row in real),
        to_detect=_spread([row.opened_at - row.onset_at for row in real]),
        to_acknowledge=_spread([r.acknowledged_at - r.opened_at for r in real if r.acknowledged_at is not None]),
        to_resolve=_spread([r.resolved_at - r.opened_at for r in real if r.resolved_at is not None]),
    )


def _conditions(dialect: str, wanted: Filter) -> list[ColumnElement[bool]]:
    c = incidents.c
    found: list[ColumnElement[bool]] = []
    if wanted.states:
        found.append(c.state.in_(wanted.states))
    if wanted.severities:
        found.append(c.severity.in_(wanted.severities))
    equal = ("environment", "cause_service", "cause_kind", "team", "assignee")
    found += [c[name] == value for name in equal if (value := getattr(wanted, name)) is not None]
    if wanted.service is not None:
        of = incident_services.c
        found.append(c.incident_id.in_(select(of.incident_id).where(of.service == wanted.service)))
    if wanted.question is not None and (matching := words.matching(dialect, wanted.question)) is not None:
        found.append(c.incident_id.in_(matching))
    if wanted.since is not None:
        found.append(c.opened_at >= wanted.since)
    if wanted.until is not None:
        found.append(c.opened_at < wanted.until)
    return found


def _counted(values: Any) -> dict[str, int]:
    out: dict[str, int] = {}
    for value in values:
        out[value] = out.get(value, 0) + 1
    return dict(sorted(out.items()))


def _spread(ns: list[int]) -> Spread:
    seconds = [max(0, n) / NS for n in ns]
    if not seconds:
        return Spread(incidents=0, mean=None, median=None)
    return Spread(incidents=len(seconds), mean=round(fmean(seconds), 1), median=round(median(seconds), 1))


_COLUMNS = Item.__struct_fields__


def _item(row: Any) -> Item:
    fields = row._asdict()
    for name in ("onset_at", "opened_at", "updated_at"):
        fields[name] = rfc3339(fields[name])
    fields["resolved_at"] = None if fields["resolved_at"] is None else rfc3339(fields["resolved_at"])
    return Item(**fields)


def _transition(row: Any) -> Transition:
    fields = row._asdict()
    return Transition(**{**fields, "at": rfc3339(fields["at"])})


_PLACE = re.compile(r"(\d{1,19}) ([0-9a-zA-Z_-]{1,64})")


def _cursor(opened: int, name: str) -> str:
    return base64.urlsafe_b64encode(f"{opened} {name}".encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[int, str]:
    """Of the last one of the page before.

    >>> _place(_cursor(17, "ab"))
    (17, 'ab')
    """
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    match = _PLACE.fullmatch(text)
    if match is None or int(match[1]) >= 1 << 63:
        raise UserError("cursor: not one that a page of this list gave")
    return int(match[1]), match[2]
