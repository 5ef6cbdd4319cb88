"""What callers may ask and say: query parameters and bodies, each a struct from which the OpenAPI document is made too."""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from aiops.records import (
    AnomalyKind,
    AnomalyState,
    CauseKind,
    CommandName,
    IncidentState,
    Severity,
    unix_ns,
)
from streams.api.problem import RefusedError

S = TypeVar("S", bound=msgspec.Struct)

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Text = Annotated[str, msgspec.Meta(max_length=2_000, pattern=r"^[^\x00]*$")]
Moment = Annotated[str, msgspec.Meta(max_length=64, description="RFC 3339", extra_json_schema={"format": "date-time"})]
Limit = Annotated[int, msgspec.Meta(ge=1, le=200)]
Most = Annotated[int, msgspec.Meta(ge=1, le=1_000)]
Cursor = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_-]+$")]
_LAST = (1 << 63) - 1


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No parameters; base of those that have some."""


class IncidentsQuery(Query, frozen=True, kw_only=True):
    """Which incidents; of several states or severities any; ``q``: all these words, the last one may be a beginning."""

    state: tuple[IncidentState, ...] = ()
    severity: tuple[Severity, ...] = ()
    environment: Name | None = None
    service: Name | None = None
    cause_service: Name | None = None
    cause_kind: CauseKind | None = None
    team: Name | None = None
    assignee: Name | None = None
    q: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    since: Moment | None = None
    until: Moment | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


class FiguresQuery(Query, frozen=True, kw_only=True):
    """Of which incidents, by when they opened."""

    environment: Name | None = None
    service: Name | None = None
    team: Name | None = None
    since: Moment | None = None
    until: Moment | None = None


class AnomaliesQuery(Query, frozen=True, kw_only=True):
    """Which anomalies, by time those that overlap."""

    environment: Name | None = None
    service: Name | None = None
    kind: AnomalyKind | None = None
    state: AnomalyState | None = None
    template_id: Name | None = None
    since: Moment | None = None
    until: Moment | None = None
    limit: Limit = 50


class SeriesQuery(Query, frozen=True, kw_only=True):
    """How much around the incident, and how many of its anomalies, those of the highest score."""

    before: Annotated[int, msgspec.Meta(ge=0, le=7_200, description="seconds before the onset")] = 900
    after: Annotated[int, msgspec.Meta(ge=0, le=7_200, description="seconds after the last version")] = 300
    limit: Annotated[int, msgspec.Meta(ge=1, le=50)] = 12


class SpanQuery(Query, frozen=True, kw_only=True):
    """Records of a stretch of time, newest first."""

    environment: Name | None = None
    since: Moment | None = None
    until: Moment | None = None
    limit: Most = 100


class TemplatesQuery(Query, frozen=True, kw_only=True):
    """Templates of log lines that opened anomalies."""

    environment: Name | None = None
    service: Name | None = None
    limit: Limit = 50


class TopologyQuery(Query, frozen=True, kw_only=True):
    """The graph at a time; without one as it is now."""

    environment: Name | None = None
    at: Moment | None = None


class DifferenceQuery(Query, frozen=True, kw_only=True):
    """What differs between two times; without ``until`` until now."""

    since: Moment
    until: Moment | None = None
    environment: Name | None = None


class AuditQuery(Query, frozen=True, kw_only=True):
    """Commands, newest first; ``before``: those with a lesser number."""

    incident_id: Name | None = None
    before: Annotated[int, msgspec.Meta(ge=1, le=_LAST)] | None = None
    limit: Limit = 50


class CommandBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is commanded; arguments as of ``aiops command``."""

    command: CommandName
    arguments: Annotated[dict[Annotated[str, msgspec.Meta(max_length=200)], Text], msgspec.Meta(max_length=50)] = {}


class WideCommandBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A silence by matchers, or maintenance, in an environment."""

    command: Literal["silence", "maintenance"]
    environment: Name
    arguments: Annotated[dict[Annotated[str, msgspec.Meta(max_length=200)], Text], msgspec.Meta(max_length=50)] = {}


def parse(kind: type[S], items: Iterable[tuple[str, str]]) -> S:
    """Query parameters as the struct that is meant.

    Raises
    ------
    RefusedError
        One that is not known, is there twice, or has a value that is none.
    """
    lists = several(kind)
    given: dict[str, Any] = {}
    for name, value in items:
        if name in lists:
            given.setdefault(name, []).append(value)
        elif name in given:
            raise RefusedError(400, f"parameter {name[:64]!r} is there twice")
        else:
            given[name] = value
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise RefusedError(400, f"parameters: {error}") from None


def several(kind: type[msgspec.Struct]) -> set[str]:
    """Parameters that may be there several times."""
    hints = get_type_hints(kind, include_extras=True)
    return {name for name, hint in hints.items() if get_origin(_bare(hint)) is tuple}


def _bare(hint: Any) -> Any:
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(part for part in get_args(hint) if part is not type(None))
    return hint


def moment(name: str, text: str | None) -> int | None:
    """Unix ns of a parameter; times that the engine's clocks cannot hold become the first or the last that they can.

    Raises
    ------
    RefusedError
    """
    if text is None:
        return None
    try:
        return min(max(unix_ns(text), 0), _LAST)
    except ValueError as error:
        raise RefusedError(400, f"parameter {name!r}: {error}") from None
