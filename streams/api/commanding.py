"""Operations by which people command: checked, written down, handed over; the engine obeys when its clock reaches them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import get_args

import msgspec
from sqlalchemy import select

from aiops.errors import UserError
from aiops.incidents import arguments
from aiops.incidents.arguments import RefusedError as CannotError
from aiops.records import (
    CauseKind,
    Command,
    FeedbackVerdict,
    Incident,
    RecordError,
    Severity,
    decode_command,
    encode,
    rfc3339,
)
from streams import durations
from streams.api.incidents import IncidentAnswer, found, one
from streams.api.operations import Call, Operation
from streams.api.problem import RefusedError
from streams.api.requests import AuditQuery, CommandBody, WideCommandBody
from streams.history import commands, incident_queries, tables


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A command was handed over; what came of it is told by the audit trail."""

    command_id: int
    status: str


class Audited(msgspec.Struct, frozen=True, kw_only=True):
    """A command, who gave it, from where, and what came of it."""

    command_id: int
    at: str
    author: str
    role: str
    client: str
    environment: str
    incident_id: str
    command: str
    arguments: dict[str, str]
    status: commands.Status
    effect: str


class AuditPage(msgspec.Struct, frozen=True, kw_only=True):
    """Commands, newest first."""

    items: list[Audited]


def command(call: Call) -> IncidentAnswer:
    """Command one incident; answers it as it will be."""
    body: CommandBody = call.body
    name = call.path["incident_id"]
    if body.command == "maintenance":
        raise RefusedError(422, "maintenance is of services, not of an incident: POST /api/v1/commands")
    with call.store.reading() as connection:
        incident = found(incident_queries.one(connection, name), name)
        if body.command == "merge":
            into = body.arguments.get("into", "")
            found(incident_queries.one(connection, into), into[:64] or "of no name")
    _send(call, body.command, body.arguments, incident.environment, incident)
    return one(call)


def wide(call: Call) -> Sent:
    """Command what is about no single incident."""
    body: WideCommandBody = call.body
    number = _send(call, body.command, body.arguments, body.environment, None)
    return Sent(command_id=number, status="obeyed")


def audit(call: Call) -> AuditPage:
    """What was commanded."""
    query: AuditQuery = call.query
    table = tables.commands
    statement = select(table).order_by(table.c.command_id.desc()).limit(query.limit)
    if query.incident_id is not None:
        statement = statement.where(table.c.incident_id == query.incident_id)
    if query.before is not None:
        statement = statement.where(table.c.command_id < query.before)
    with call.store.reading() as connection:
        said = [commands.of_row(row) for row in connection.execute(statement)]
    return AuditPage(items=[_audited(one) for one in said])


OPERATIONS = (
    Operation(
        "POST", "/incidents/{incident_id}/commands", "commandIncident", "Acknowledge, assign, resolve, merge, split, ...",
        command, IncidentAnswer, role="operator", body=CommandBody, status=202, refusals=(404, 422),
    ),
    Operation(
        "POST", "/commands", "command", "A silence by matchers, or maintenance of services", wide, Sent, role="operator",
        body=WideCommandBody, status=202, refusals=(422,),
    ),
    Operation(
        "GET", "/commands", "listCommands", "The audit trail: who commanded what, from where, and what came of it", audit,
        AuditPage, query=AuditQuery,
    ),
)  # fmt: skip


def _send(call: Call, name: str, given: dict[str, str], environment: str, incident: Incident | None) -> int:
    now = call.backend.now()
    record = Command(
        command=name, incident_id="" if incident is None else incident.incident_id, author=call.caller.name,  # type: ignore[arg-type]
        time=rfc3339(now), arguments=_timed(given, now), environment=environment,
    )  # fmt: skip
    try:
        record = decode_command(encode(record))
        CHECKS[name](record)
    except (CannotError, RecordError, UnicodeEncodeError) as error:
        raise RefusedError(422, f"{name}: {error}") from None
    with call.store.writing() as connection:
        number = commands.write(connection, time.time_ns(), call.caller.role, call.client, record, incident)
    try:
        call.backend.send(record)
    except UserError as error:
        with call.store.writing() as connection:
            commands.failed(connection, number, str(error))
        raise RefusedError(503, f"the command was written down but not sent: {error}") from None
    call.commanded(record.incident_id)
    return number


def _timed(given: dict[str, str], now: int) -> dict[str, str]:
    """``for`` is a length from now on, where the record wants ``until``."""
    if "for" not in given:
        return dict(given)
    try:
        length = durations.parse(given["for"])
    except ValueError as error:
        raise RefusedError(422, f"for: {error}") from None
    return {**{name: value for name, value in given.items() if name != "for"}, "until": rfc3339(now + length)}


# ---- what the engine would refuse whatever it knows ---------------------------------------------------------------------
def _nothing(_command: Command) -> None:
    """Takes no argument that could be wrong."""


def _assign(c: Command) -> None:
    if not {"assignee", "team"} & set(c.arguments):
        raise CannotError("it names neither assignee nor team")


def _label(c: Command) -> None:
    if not c.arguments or "" in c.arguments:
        raise CannotError("it names no label" if not c.arguments else "a label needs a name")


def _needs(name: str) -> Callable[[Command], None]:
    def check(c: Command) -> None:
        arguments.required(c, name)

    return check


def _judge(c: Command) -> None:
    arguments.required(c, "service")
    arguments.one_of(c, "kind", get_args(CauseKind))


def _feedback(c: Command) -> None:
    arguments.required(c, "verdict")
    arguments.one_of(c, "verdict", get_args(FeedbackVerdict))


def _silence(c: Command) -> None:
    arguments.time(c, "until")
    arguments.one_of(c, "severity", get_args(Severity))
    arguments.one_of(c, "cause_kind", get_args(CauseKind))
    if not (c.incident_id or {"service", "severity", "cause_kind"} & set(c.arguments)):
        raise CannotError("it would silence everything: name a service, severity or cause_kind")


def _maintenance(c: Command) -> None:
    arguments.time(c, "until")
    arguments.services(c)
    if "from" in c.arguments:
        arguments.time(c, "from")


def _split(c: Command) -> None:
    arguments.services(c)


CHECKS: dict[str, Callable[[Command], None]] = {
    "acknowledge": _nothing, "resolve": _nothing, "reopen": _nothing, "assign": _assign, "comment": _needs("text"),
    "label": _label, "merge": _needs("into"), "split": _split, "confirm": _judge, "reject": _judge, "feedback": _feedback,
    "silence": _silence, "maintenance": _maintenance,
}  # fmt: skip


def _audited(said: commands.Said) -> Audited:
    return Audited(
        command_id=said.command_id, at=rfc3339(said.at), author=said.author, role=said.role, client=said.client,
        environment=said.command.environment, incident_id=said.command.incident_id, command=said.command.command,
        arguments=said.command.arguments, status=said.status, effect=said.effect,
    )  # fmt: skip
