"""``aiops topics``: create, check and list the topics of the engine, tell the set of sources, and grant access."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aiops.errors import UserError
from streams.settings import Settings, load

if TYPE_CHECKING:
    from streams.admin import Admin, Difference
    from streams.topics_sync import Synced


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.description = "The topics of the engine: the roles check them when they start, and never create any."
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    helps = {
        "create": "create the topics that are missing, then sync; status 1 if others are not as configured",
        "sync": "tell the stages the set of sources: after partitions were added to a raw topic",
        "check": "compare the topics with the configuration; status 1 if anything differs",
        "list": "the table of topics",
        "acls": "the access rights that each kind of user needs",
    }
    of = {name: actions.add_parser(name, help=text) for name, text in helps.items()}
    for action in of.values():
        action.add_argument("--config", type=Path, required=True, metavar="FILE", help="settings of the engine")
    of["list"].add_argument("--offline", action="store_true", help="do not ask a broker what there is")
    of["acls"].add_argument("--apply", action="store_true", help="create them, instead of printing commands that do")
    of["acls"].add_argument(
        "--principal", action="append", default=[], metavar="USER=PRINCIPAL", type=_principal,
        help="who is the worker, producer, oncall or operator; only those named are granted anything "
        "(default: all four, as User:worker, ...)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Status 0: as it should be; 1: something differs.

    Raises
    ------
    UserError
    """
    settings = load(args.config)
    actions = {"create": _create, "sync": _sync, "check": _check, "list": _list, "acls": _acls}
    return actions[args.action](settings, args)


def _create(settings: Settings, args: argparse.Namespace) -> int:
    from streams.admin import CREATE, differences
    from streams.topics import table

    admin, topics = _admin(settings), table(settings)
    missing = {d.topic for d in differences(admin, topics) if d.mend == CREATE}
    created = admin.create(t for t in topics if t.name in missing)
    for name in created:
        print(f"created {name}")
    # Looked at again: a topic that somebody has just created may have seemed to be missing.
    differing = differences(admin, [t for t in topics if t.name not in created])
    _report(differing)
    if any(d.fatal for d in differing):
        raise UserError("the set of sources was not written: the topics do not fit the configuration")
    del args
    _say(settings, admin)
    return 1 if differing else 0


def _sync(settings: Settings, args: argparse.Namespace) -> int:
    del args
    _say(settings, _admin(settings))
    return 0


def _say(settings: Settings, admin: Admin) -> None:
    from streams.topics_sync import sync

    done: Synced = sync(admin, settings)
    what = f"told to {done.written} partitions" if done.written else "told already"
    print(f"{done.sources} sources, generation {done.generation}: {what}")


def _check(settings: Settings, args: argparse.Namespace) -> int:
    from streams.admin import CREATE, differences
    from streams.topics import table
    from streams.topics_sync import unsynced

    del args
    admin, topics = _admin(settings), table(settings)
    found = differences(admin, topics)
    _report(found)
    why = None if any(d.mend == CREATE for d in found) else unsynced(admin, settings)
    if why is not None:
        sys.stderr.write(f"{why}: aiops topics sync\n")
    if not found and why is None:
        print(f"{len(topics)} topics are as configured")
    return 1 if found or why else 0


def _report(found: Sequence[Difference]) -> None:
    for difference in found:
        sys.stderr.write(f"topic {difference.topic} {difference.text}: {difference.mend}\n")


def _list(settings: Settings, args: argparse.Namespace) -> int:
    from streams.topics import COLUMNS, row, table

    topics = table(settings)
    rows = [list(COLUMNS), *(list(row(topic)) for topic in topics)]
    if not args.offline:
        from streams.admin import differences

        said: dict[str, list[str]] = {}
        for difference in differences(_admin(settings), topics):
            said.setdefault(difference.topic, []).append(difference.text)
        rows[0].append("now")
        for topic, cells in zip(topics, rows[1:], strict=True):
            cells.append("; ".join(said.get(topic.name, ["as configured"])))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for cells in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
    return 0


def _acls(settings: Settings, args: argparse.Namespace) -> int:
    from streams.acls import USERS, bindings, rights, script

    principals = dict(args.principal) or {user: f"User:{user}" for user in USERS}
    wanted = rights(settings)
    if not args.apply:
        print("\n".join(script(wanted, principals, settings.admin_properties()["bootstrap.servers"])))
        return 0
    found = bindings(wanted, principals)
    _admin(settings).create_acls(found)
    print(f"{len(found)} access rights for {', '.join(principals.values())}")
    return 0


def _admin(settings: Settings) -> Admin:
    from streams.admin import Admin

    return Admin(settings.admin_properties())


def _principal(text: str) -> tuple[str, str]:
    from streams.acls import USERS

    user, _, principal = text.partition("=")
    if user not in USERS or ":" not in principal:
        raise argparse.ArgumentTypeError(
            f"{text!r}: USER=TYPE:NAME with one of {', '.join(USERS)}, as worker=User:aiops"
        )
    return user, principal
