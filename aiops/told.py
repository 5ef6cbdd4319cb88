"""What respond is told beside telemetry: changes, alerts of other tools, commands of people; JSON lines -> records.

One way for the three of them: a file or a topic of JSON, one record a message.  Each is placed at its arrival and is never
late; the time that it names says since when it holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from aiops.codec import PublicRecord, RecordError, Time, decode, utc
from aiops.times import unix_ns

TOLD = ("changes", "alerts", "commands")  # as files, topics and sources name them
LONGEST_NAME = 255  # characters of a name that count, as of names in telemetry: it stands in titles, causes and members
LONGEST_TEXT = 2_000  # of a text; whoever tells it may have pasted a whole log of commits

Severity = Literal["critical", "high", "medium", "low", "info"]
AlertStatus = Literal["firing", "resolved"]
ChangeKind = Literal["deploy", "config", "flag", "scale", "migration", "infra"]
CommandName = Literal[
    "acknowledge", "resolve", "reopen", "merge", "split", "assign", "label", "feedback",
    "comment", "silence", "maintenance", "confirm", "reject",
]  # fmt: skip


class Change(PublicRecord, frozen=True, kw_only=True):
    """Something that people or automation did to a service: the usual root cause.  ``time`` is when it took effect."""

    change_id: str
    time: Time
    kind: ChangeKind
    service: str
    environment: str
    version_from: str | None = None
    version_to: str | None = None
    state: str | None = None
    summary: str = ""
    author: str | None = None
    url: str | None = None


class Alert(PublicRecord, frozen=True, kw_only=True):
    """What another tool says is wrong, or no longer wrong.

    ``alert_id`` is the name that the tool gives this alert through all its repeats (Alertmanager's ``fingerprint``); empty:
    it is told apart by source, name, service, instance and labels.  ``starts_at`` is since when it fires, ``ends_at`` when
    it ended, or at the latest ends by itself if nobody repeats it.  ``sent_at`` is when this message was sent: in a
    recording, where there is no arrival, it stands for it.  ``environment``: as the telemetry names it.
    """

    alert_id: str = ""
    name: str
    status: AlertStatus
    starts_at: Time
    ends_at: Time | None = None
    sent_at: Time | None = None
    environment: str = "default"
    service: str | None = None
    instance: str | None = None
    severity: Severity = "medium"
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    summary: str = ""
    url: str | None = None
    source: str = ""


class Command(PublicRecord, frozen=True, kw_only=True):
    """What a person tells the engine about an incident; obeyed in the order of the log.

    ``incident_id`` is empty where the command is about no single incident (silence, maintenance).  ``environment`` is that
    of the incident: it decides who hears the command.
    """

    command: CommandName
    incident_id: str
    author: str
    time: Time
    arguments: dict[str, str] = msgspec.field(default_factory=dict)
    environment: str = "default"


Told = Change | Alert | Command


def decode_change(line: bytes) -> Change:
    """Read one line of ``changes.jsonl`` or one change event; its time may carry any offset and comes back in UTC.

    Raises
    ------
    RecordError
        Naming the field at fault.
    """
    change = decode("change", _CHANGE, line)
    _named("change", change_id=change.change_id, service=change.service, environment=change.environment)
    if len(change.change_id) > LONGEST_NAME:
        raise RecordError(f"change: change_id is longer than {LONGEST_NAME} characters")
    return msgspec.structs.replace(change, time=utc("change", "time", change.time), **_cut(change))


def decode_alert(line: bytes) -> Alert:
    """Read one line of ``alerts.jsonl`` or one alert; its times may carry any offset and come back in UTC.

    An ``ends_at`` in the year 1 is how Alertmanager says that there is none.

    Raises
    ------
    RecordError
        Naming the field at fault.
    """
    alert = decode("alert", _ALERT, line)
    _named("alert", name=alert.name, environment=alert.environment)
    ends = None if (alert.ends_at or "").startswith("0001-") else alert.ends_at
    return msgspec.structs.replace(
        alert,
        starts_at=utc("alert", "starts_at", alert.starts_at),
        ends_at=None if ends is None else utc("alert", "ends_at", ends),
        sent_at=None if alert.sent_at is None else utc("alert", "sent_at", alert.sent_at),
        **_cut(alert),
    )


def decode_command(line: bytes) -> Command:
    """Read a command; its time may carry any offset and comes back in UTC.

    Raises
    ------
    RecordError
        Naming the field at fault.
    """
    command = decode("command", _COMMAND, line)
    _named("command", author=command.author, environment=command.environment)
    return msgspec.structs.replace(command, time=utc("command", "time", command.time), **_cut(command))


def decode_told(signal: str, line: bytes) -> Told:
    """Read a record of a signal of ``TOLD``.

    Raises
    ------
    RecordError
        Naming the field at fault.
    """
    return _DECODE[signal](line)


def moment(told: Told) -> tuple[str, int]:
    """Who says it and when (Unix ns), for the arrival of a recorded line.

    >>> moment(decode_alert(b'{"name":"a","status":"firing","starts_at":"1970-01-01T00:00:07Z","source":"am"}'))
    ('am', 7000000000)
    """
    if isinstance(told, Change):
        return told.service, unix_ns(told.time)
    if isinstance(told, Command):
        return told.author, unix_ns(told.time)
    ended = told.ends_at if told.status == "resolved" else None
    return told.source, unix_ns(told.sent_at or ended or told.starts_at)


def partition_key(told: Told) -> str:
    """What must stay in order is in one partition: a service's changes, an alert's repeats, an incident's commands."""
    if isinstance(told, Change):
        return told.service
    if isinstance(told, Command):
        return told.incident_id or told.environment
    return told.alert_id or f"{told.name} {told.service or ''}"


def _named(what: str, **fields: str) -> None:
    for name, value in fields.items():
        if not value:
            raise RecordError(f"{what}: {name} is empty")


# What tells records apart is never cut: two that begin alike would be one.
_WHOLE = frozenset(
    {"change_id", "alert_id", "incident_id", "time", "starts_at", "ends_at", "sent_at", "schema_version"}
)
_TEXTS = frozenset({"summary", "url"})


def _cut(told: Told) -> dict[str, str]:
    """Fields that are longer than what counts of them, cut to that."""
    out = {}
    for name in told.__struct_fields__:
        value, most = getattr(told, name), LONGEST_TEXT if name in _TEXTS else LONGEST_NAME
        if isinstance(value, str) and len(value) > most and name not in _WHOLE:
            out[name] = value[:most]
    return out


_CHANGE = msgspec.json.Decoder(Change)
_ALERT = msgspec.json.Decoder(Alert)
_COMMAND = msgspec.json.Decoder(Command)
_DECODE: dict[str, Callable[[bytes], Told]] = {
    "changes": decode_change,
    "alerts": decode_alert,
    "commands": decode_command,
}
