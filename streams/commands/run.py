"""``aiops run``: a role of the engine on Kafka, until it is told to stop."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from aiops.cli import compile_once
from streams import warm
from streams.health import parse_address
from streams.running import ROLES, supervise
from streams.running import run as run_role
from streams.settings import Http, load


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.description = (
        "Run a role until SIGTERM, which drains and saves progress; a second signal leaves at once.  Any number of "
        "processes of a role share its partitions.  all: the four of them as processes of this one."
    )
    parser.add_argument("--role", required=True, choices=(*ROLES, "all"))
    parser.add_argument("--config", required=True, type=Path, metavar="FILE", help="settings (docs/configuration.md)")
    parser.add_argument(
        "--http", metavar="HOST:PORT",
        help="where /healthz, /readyz and /metrics are, instead of http in the settings; all: of the first role, the "
        "others follow; port 0: any that is free",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Run it; returns the exit status."""
    settings = load(args.config)
    if args.http is not None:
        settings = msgspec.structs.replace(settings, http=Http(*parse_address(args.http)))
    compile_once()
    warm.once()
    return supervise(args.config, settings.http) if args.role == "all" else run_role(settings, args.role)
