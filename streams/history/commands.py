"""Commands that were given through the API: written down before they are sent, settled when an incident's log tells of them.

``waiting``: sent, nothing heard of it yet.  ``obeyed`` and ``refused``: the log of the incident says so, or the engine has
nothing to say because the command names no incident.  ``unheard``: nothing was heard for ``PATIENCE``.  ``failed``: it could
not be sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, insert, select, update

from aiops.codec import encode
from aiops.incidents import arguments
from aiops.records import Command, Incident, decode_command
from streams.history.tables import commands

Status = Literal["waiting", "obeyed", "refused", "unheard", "failed"]
PATIENCE = 600_000_000_000  # ns: the engine's clock lags by a minute at most while it runs
MOST_WAITING = 200  # of an incident; more are not laid over it


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A command, who gave it, and what came of it; ``at`` in Unix ns of the wall clock."""

    command_id: int
    at: int
    author: str
    role: str
    client: str
    command: Command
    told_before: int
    status: Status
    effect: str


def told(incident: Incident, command: Command) -> int:
    """How many decisions of the incident's log are about a command like this one."""
    asked, author = arguments.asked(command), arguments.author(command)
    return sum(
        d.author == author and d.command == command.command and d.asked == asked for d in incident.log
    )  # fmt: skip


def write(connection: Connection, at: int, role: str, client: str, command: Command, incident: Incident | None) -> int:
    """Write a command down before it is sent; returns its number."""
    row = {
        "at": at, "author": command.author, "role": role, "client": client, "environment": command.environment,
        "incident_id": command.incident_id, "command": command.command, "said": encode(command),
        "told_before": 0 if incident is None else told(incident, command) + _ahead(connection, command),
        "status": "waiting" if command.incident_id else "obeyed", "effect": "" if command.incident_id else "sent",
    }  # fmt: skip
    (number,) = connection.execute(insert(commands).values(row)).inserted_primary_key or (0,)
    return int(number)


def _ahead(connection: Connection, command: Command) -> int:
    """Equal commands that wait already: each of them will have a decision of its own."""
    return sum(
        said.command.author == command.author
        and said.command.command == command.command
        and said.command.arguments == command.arguments
        for said in waiting(connection, [command.incident_id])
    )


def failed(connection: Connection, number: int, reason: str) -> None:
    """It could not be sent."""
    _mark(connection, number, "failed", reason)


def waiting(connection: Connection, incidents: Sequence[str]) -> list[Said]:
    """Commands of these incidents of which nothing was heard yet, in the order in which they were given."""
    chosen = select(commands).where(commands.c.incident_id.in_(incidents), commands.c.status == "waiting")
    return [of_row(row) for row in connection.execute(chosen.order_by(commands.c.command_id).limit(MOST_WAITING))]


def settle(connection: Connection, incidents: Iterable[Incident]) -> None:
    """New versions of incidents tell what came of commands."""
    of = {incident.incident_id: incident for incident in incidents}
    names = select(commands.c.incident_id).where(commands.c.status == "waiting").distinct()
    concerned = sorted({name for (name,) in connection.execute(names)} & of.keys())
    if not concerned:
        return
    for said in waiting(connection, concerned):
        log = of[said.command.incident_id].log
        asked = arguments.asked(said.command)
        mine = [d for d in log if (d.author, d.command, d.asked) == (said.author, said.command.command, asked)]
        if len(mine) > said.told_before:
            decision = mine[said.told_before]
            _mark(connection, said.command_id, "refused" if decision.refused else "obeyed", decision.effect)


def expire(connection: Connection, now: int) -> None:
    """Commands of which nothing was heard for long (`now`: Unix ns of the wall clock) are no longer laid over incidents."""
    old = (commands.c.status == "waiting") & (commands.c.at < now - PATIENCE)
    connection.execute(update(commands).where(old).values(status="unheard", effect="the engine has not said anything"))


def of_row(row: Any) -> Said:
    """A row of the table."""
    fields = row._asdict()
    return Said(
        command_id=fields["command_id"], at=fields["at"], author=fields["author"], role=fields["role"],
        client=fields["client"], command=decode_command(fields["said"]), told_before=fields["told_before"],
        status=fields["status"], effect=fields["effect"],
    )  # fmt: skip


def _mark(connection: Connection, number: int, status: str, effect: str) -> None:
    row = commands.c.command_id == number
    connection.execute(update(commands).where(row).values(status=status, effect=effect[:2_000]))
