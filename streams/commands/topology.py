"""``aiops topology``: the services and who calls whom, at a time, or what differs between two; from the topic or a file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from aiops.cli import _time
from aiops.errors import UserError
from aiops.records import RecordError
from aiops.topology import Topology, decode_topology
from aiops.topology_graph import History
from aiops.topology_text import FORMATS, as_json, difference_text, exported


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``topology``."""
    parser.description = (
        "Write the topology that the engine saw, or what differs between two times; from the topic of a cluster or from a "
        "file that aiops replay --topology wrote."
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    export = actions.add_parser("export", help="services and edges as JSON, for Graphviz, or for Mermaid")
    export.add_argument("--format", choices=FORMATS, default="json", help="(default: json)")
    export.add_argument("--at", type=_time, metavar="T", help="RFC 3339 or Unix seconds (default: as it is now)")
    diff = actions.add_parser("diff", help="services and edges that were added, removed or changed")
    diff.add_argument("--from", dest="since", type=_time, required=True, metavar="T1", help="RFC 3339 or Unix seconds")
    diff.add_argument("--to", dest="until", type=_time, metavar="T2", help="(default: as it is now)")
    diff.add_argument("--format", choices=("text", "json"), default="text", help="(default: text)")
    for action in (export, diff):
        where = action.add_mutually_exclusive_group(required=True)
        where.add_argument("--file", type=Path, metavar="FILE", help="records, one a line; no broker is asked")
        where.add_argument("--bootstrap", metavar="HOST:PORT", help="a broker; all else is as without a configuration")
        where.add_argument("--config", type=Path, metavar="FILE", help="the configuration that the roles run with")
        action.add_argument("--prefix", help="of the topics (default: that of the configuration, or aiops)")
        action.add_argument("--environment", metavar="NAME", help="only this one (default: all)")


def run(args: argparse.Namespace) -> int:
    """Write to stdout; returns the exit status.

    Raises
    ------
    UserError
        Nothing is known of the time, or the records cannot be read.
    """
    history = History(_of_file(args.file) if args.file is not None else _of_topic(args), args.environment)
    if args.action == "export":
        sys.stdout.write(exported(history.at(args.at), args.format))
        return 0
    if args.until is not None and args.since >= args.until:
        raise UserError("--from is not before --to")
    found = history.difference(args.since, args.until)
    sys.stdout.write(difference_text(found) if args.format == "text" else as_json(found))
    return 0


def _of_file(path: Path) -> Iterator[Topology]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield decode_topology(line)
                except RecordError as error:
                    raise UserError(f"{path}: line {number}: {error}") from None


def _of_topic(args: argparse.Namespace) -> Iterator[Topology]:
    from streams import clients_common
    from streams.client import Topologies

    settings = clients_common.settings_of(args)
    with Topologies(settings, f"{args.prefix or settings.prefix}.topology") as reader:
        forgotten: set[bytes | None] = set()
        records = []
        for event in reader.until_end():
            if event.record is None:
                forgotten.add(event.key)
            else:
                forgotten.discard(event.key)
                records.append(event.record)
        yield from (r for r in records if r.topology_id.encode() not in forgotten)
