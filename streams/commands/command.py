"""``aiops command``: what a person tells the engine about an incident goes to the topic of commands, or to a file.

That it was sent does not mean that it is obeyed: the incident's log says so, or a notice says why not.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from aiops.cli import _time
from aiops.errors import UserError
from aiops.records import (
    CauseKind,
    Command,
    CommandName,
    FeedbackVerdict,
    RecordError,
    Severity,
    decode_command,
    encode,
    rfc3339,
)
from streams import durations

if TYPE_CHECKING:
    from streams.settings import Settings

_HELP = {
    "acknowledge": "somebody looks at it",
    "assign": "to a person, a team or both; an empty text takes it back",
    "comment": "a line for its log",
    "label": "NAME=VALUE ...; without a value the label goes",
    "resolve": "it is over",
    "reopen": "it is not over",
    "silence": "an incident, or all that match, keep from notifying until a time",
    "maintenance": "incidents of services keep from notifying until a time",
    "merge": "it is part of another incident",
    "split": "some of its services are an incident of their own",
    "confirm": "a service is the cause",
    "reject": "a service is not the cause",
    "feedback": "was it a problem?  true, expected, false, new_trend",
}
_WITHOUT_INCIDENT = ("silence", "maintenance")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the commands and their options."""
    parser.description = "Tell the engine something about an incident: to Kafka, or to a file that aiops replay reads."
    actions = parser.add_subparsers(dest="action", metavar="COMMAND", required=True)
    of = {}
    for name in get_args(CommandName):
        action = of[name] = actions.add_parser(name, help=_HELP[name])
        if name not in _WITHOUT_INCIDENT:
            action.add_argument("incident", metavar="INCIDENT", help="id of the incident")
    of["silence"].add_argument("incident", metavar="INCIDENT", nargs="?", default="", help="only this incident")
    _arguments(of)
    for action in of.values():
        _common(action)


def _arguments(of: dict[str, argparse.ArgumentParser]) -> None:
    of["assign"].add_argument("--assignee", metavar="NAME")
    of["assign"].add_argument("--team", metavar="NAME")
    of["comment"].add_argument("text", metavar="TEXT")
    of["label"].add_argument("labels", metavar="NAME=VALUE", nargs="+", type=_label)
    of["resolve"].add_argument("--resolution", metavar="TEXT", help="what resolved it")
    for name in _WITHOUT_INCIDENT:
        until = of[name].add_mutually_exclusive_group(required=True)
        until.add_argument(
            "--until", type=_time, metavar="T", help="RFC 3339 or Unix seconds; a time that is over ends it"
        )
        until.add_argument("--for", dest="length", type=_length, metavar="D", help="30min, 2h, 7d")
        of[name].add_argument("--reason", metavar="TEXT")
    of["silence"].add_argument("--service", metavar="NAME", help="incidents with this service")
    of["silence"].add_argument("--severity", choices=get_args(Severity), help="incidents of this severity")
    of["silence"].add_argument("--cause-kind", choices=get_args(CauseKind), help="whose first cause is of this kind")
    of["maintenance"].add_argument("services", metavar="SERVICES", help="names with commas between them, * = all")
    of["maintenance"].add_argument("--from", dest="begin", type=_time, metavar="T", help="(default: now)")
    of["merge"].add_argument("--into", required=True, metavar="INCIDENT")
    of["split"].add_argument("--services", required=True, metavar="NAMES", help="with commas between them")
    for name in ("confirm", "reject"):
        of[name].add_argument("service", metavar="SERVICE")
        of[name].add_argument("--kind", choices=get_args(CauseKind), help="only as a cause of this kind")
    of["feedback"].add_argument("verdict", choices=get_args(FeedbackVerdict))
    of["feedback"].add_argument("--text", metavar="TEXT")


def _common(action: argparse.ArgumentParser) -> None:
    action.add_argument("--author", required=True, metavar="NAME", help="who says it")
    action.add_argument("--environment", default="default", metavar="NAME", help="of the incident (default: default)")
    action.add_argument("--time", type=_time, metavar="T", help="when it is said, for a file (default: now)")
    where = action.add_mutually_exclusive_group(required=True)
    where.add_argument("--bootstrap", metavar="HOST:PORT", help="a broker; all else is as without a configuration")
    where.add_argument("--config", type=Path, metavar="FILE", help="the configuration that the roles run with")
    where.add_argument("--file", type=Path, metavar="FILE", help="append to this file, a commands.jsonl of a recording")


def run(args: argparse.Namespace) -> int:
    """Send the command; returns the exit status.

    Raises
    ------
    UserError
    """
    line = encode(command_of(args, time.time_ns()))
    if args.file is not None:
        with args.file.open("ab") as file:
            file.write(line + b"\n")
        return 0
    if args.time is not None:
        raise UserError("--time is for --file: on Kafka a command is said when it arrives")
    from streams.clients_common import settings_of

    _send(settings_of(args), args.incident if "incident" in args else "", line)
    return 0


def command_of(args: argparse.Namespace, now: int) -> Command:
    """The record of what the arguments say at Unix time `now`.

    Raises
    ------
    UserError
    """
    said = now if args.time is None else args.time
    command = Command(
        command=args.action, incident_id=getattr(args, "incident", ""), author=args.author, time=rfc3339(said),
        arguments=_said(args, said), environment=args.environment,
    )  # fmt: skip
    try:
        return decode_command(encode(command))
    except (RecordError, UnicodeEncodeError) as error:
        raise UserError(str(error)) from None


def _said(args: argparse.Namespace, now: int) -> dict[str, str]:
    if args.action == "label":
        return dict(args.labels)
    if args.action == "assign" and args.assignee is None and args.team is None:
        raise UserError("assign: --assignee or --team says to whom")
    if args.action == "silence" and not (args.incident or args.service or args.severity or args.cause_kind):
        raise UserError("silence: an INCIDENT, --service, --severity or --cause-kind says what is silenced")
    names = (
        "assignee", "team", "text", "resolution", "reason", "service", "severity", "cause_kind", "services", "into", "kind",
        "verdict",
    )  # fmt: skip
    said = {name: value for name in names if (value := getattr(args, name, None)) is not None}
    if args.action in _WITHOUT_INCIDENT:
        begin = getattr(args, "begin", None)
        until = args.until if args.length is None else (now if begin is None else begin) + args.length
        said["until"] = rfc3339(until)
        if begin is not None:
            said["from"] = rfc3339(begin)
    return said


def _send(settings: Settings, incident: str, line: bytes) -> None:
    from confluent_kafka import KafkaError, KafkaException, Message, Producer

    from streams.clients_common import PATIENCE, Connection

    connection, topic = Connection(Producer, settings.producer_properties()), settings.topic("commands")
    connection.partitions(topic)
    failed: list[KafkaError] = []

    def delivered(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failed.append(error)

    producer: Producer = connection.client
    try:
        producer.produce(topic, line, incident.encode() or None, on_delivery=delivered)
    except KafkaException as error:
        raise connection.failed(f"the command was not taken by {topic}", error) from None
    left = producer.flush(PATIENCE)
    if failed:
        raise connection.failed(f"the command was not taken by {topic}", failed[0])
    if left:
        raise UserError(f"the command was not taken by {topic}: no acknowledgement after {PATIENCE:g} s")
    sys.stderr.write(f"sent to {topic}\n")


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _length(text: str) -> int:
    try:
        return durations.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
