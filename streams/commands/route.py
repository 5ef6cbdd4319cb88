"""``aiops route``: whom would the policy have told of recorded incidents, when and why?"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from aiops.notify.notification import Notification
from aiops.records import encode
from aiops.topology_text import plain
from streams.settings import load


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options."""
    parser.description = "Try routes, limits and silences on recorded incidents; nothing is sent."
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    test = actions.add_parser("test", help="every decision about the incidents of a file, and why")
    test.add_argument("file", type=Path, metavar="FILE", help="all versions of incidents, as aiops replay writes them")
    test.add_argument("--config", required=True, type=Path, metavar="FILE", help="settings (docs/configuration.md)")
    test.add_argument(
        "--status", type=Path, metavar="FILE", help="what aiops replay --status wrote: for notify.learning"
    )
    test.add_argument("--all", action="store_true", help="also versions of which the policy never tells")
    test.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Print the decisions; a summary goes to stderr.

    Raises
    ------
    UserError
    """
    from streams.sinks.files import decisions

    found = list(decisions(load(args.config).notify, args.file, args.status))
    for record in found:
        if args.all or record.outcome != "silent":
            sys.stdout.buffer.write((encode(record) if args.json else line_of(record).encode()) + b"\n")
    sys.stdout.buffer.flush()
    sys.stderr.write(summary(found))
    return 0


def line_of(record: Notification) -> str:
    """A decision in a line."""
    sinks = ", ".join(delivery.sink for delivery in record.deliveries)
    to = f" to {sinks}" if sinks else ""
    about = f"{record.environment}: {record.title}"
    when = f"{record.time[:10]} {record.time[11:19]}"
    ident = f"[{record.incident_id} v{record.incident_version}]"
    return plain(f"{when}  {record.outcome}{to}: {record.trigger}: {record.reason}; {about}  {ident}")


def summary(found: Iterable[Notification]) -> str:
    """How much became how little.

    >>> print(summary([]), end="")
    0 incidents, 0 told of; 0 notifications, 0.00 an incident; decisions: none
    """
    several = list(found)
    incidents = {record.incident_id for record in several}
    told = [record for record in several if record.outcome == "told"]
    outcomes = Counter(record.outcome for record in several)
    said = ", ".join(f"{n} {outcome}" for outcome, n in sorted(outcomes.items())) or "none"
    share = len(told) / max(1, len(incidents))
    return (
        f"{len(incidents)} incidents, {len({record.incident_id for record in told})} told of; {len(told)} notifications, "
        f"{share:.2f} an incident; decisions: {said}\n"
    )
