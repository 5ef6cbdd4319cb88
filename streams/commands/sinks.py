"""``aiops sinks``: tell people and tools of incidents, or try whether they can be told."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import msgspec

from aiops.errors import UserError
from aiops.ids import notification_id
from aiops.notify.message import Message
from streams.health import parse_address
from streams.settings import Http, Settings, load


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options."""
    parser.description = "Tell people and tools of incidents, as the section notify of the configuration says."
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    running = actions.add_parser("run", help="follow the incidents until SIGTERM; or those of a file, to its end")
    running.add_argument("--http", metavar="HOST:PORT", help="where /healthz, /readyz and /metrics are")
    running.add_argument(
        "--from-beginning",
        action="store_true",
        help="where it first runs: tell of the past too, not only of the last hour",
    )
    running.add_argument(
        "--file", type=Path, metavar="FILE", help="incidents that aiops replay wrote, instead of Kafka"
    )
    running.add_argument(
        "--state", type=Path, metavar="FILE", help="with --file: what was told, in SQLite (default: FILE.told)"
    )
    running.add_argument("--status", type=Path, metavar="FILE", help="with --file: what aiops replay --status wrote")
    running.add_argument(
        "--record", default=os.devnull, metavar="FILE", help="with --file: append decisions and deliveries"
    )
    running.add_argument(
        "--patience",
        type=float,
        metavar="S",
        help="with --file: end when nothing could be delivered for so many seconds",
    )
    running.add_argument("--dry-run", action="store_true", help="decide and record, and send nothing")
    testing = actions.add_parser("test", help="send every sink a message that says that this is a test")
    testing.add_argument("--sink", metavar="NAME", help="only this one")
    for action in (running, testing):
        action.add_argument(
            "--config", required=True, type=Path, metavar="FILE", help="settings (docs/configuration.md)"
        )


def run(args: argparse.Namespace) -> int:
    """Run the action; returns the exit status: 1 where something could not be delivered.

    Raises
    ------
    UserError
    """
    settings = load(args.config)
    if args.action == "test":
        return _test(settings, args.sink)
    for_file = ("state", "status", "patience")
    if args.file is None and (given := [name for name in for_file if getattr(args, name) is not None]):
        raise UserError(f"--{given[0]} is for --file: on Kafka the state is in a topic")
    if args.file is not None:
        return _file(args, settings)
    from streams.sinks.running import run as run_role

    if args.http is not None:
        settings = msgspec.structs.replace(settings, http=Http(*parse_address(args.http)))
    return run_role(settings, args.from_beginning, args.dry_run)


def _file(args: argparse.Namespace, settings: Settings) -> int:
    from streams.sinks.couriers import Couriers
    from streams.sinks.files import deliver

    if not settings.notify.sinks:
        raise UserError("notify.sinks names nobody to tell (docs/notifications.md)")
    couriers = Couriers(settings.notify.sinks, dry_run=args.dry_run)
    couriers.start()
    state = args.state or args.file.with_name(args.file.name + ".told")
    try:
        with Path(args.record).open("ab") as records:
            left = deliver(settings.notify, args.file, state, couriers, records, args.status, args.patience)
    finally:
        couriers.stop()
    told = sum(courier.tallies.sent for courier in couriers.of.values())
    lost = sum(courier.tallies.refused + courier.tallies.given_up for courier in couriers.of.values())
    sys.stderr.write(f"delivered {told}, refused or given up {lost}, left for the next run {left}\n")
    return int(bool(lost or left))


def _test(settings: Settings, only: str | None) -> int:
    from streams.sinks.kinds import speaker

    sinks = [sink for sink in settings.notify.sinks if only in (None, sink.name)]
    if not sinks:
        raise UserError(f"there is no sink {only!r}" if only else "notify.sinks names nobody to tell")
    failed, now = False, time.time_ns()
    for sink in sinks:
        message = Message(
            notification_id=notification_id(sink.name, now, "test"), key="test", trigger="heartbeat", firing=True, time=now,
            since=now, tenant=settings.tenant, environment="test", severity="info", title="a test of aiops: all is well",
            lines=["This was sent by aiops sinks test."], labels={"alertname": "AIOpsTest", "severity": "none"},
        )  # fmt: skip
        sent = speaker(sink).send(message, "", ())
        print(f"{sink.name}: {'delivered' if sent.done else sent.said}")
        failed |= not sent.done
    return int(failed)
