"""``aiops config``: is a file of settings right, and what do they come to?"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from streams.settings import Settings, faust_broker
from streams.settings_clients import client_error
from streams.settings_file import Loaded, read
from streams.settings_text import as_yaml, clients_as_yaml


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.description = "Check a file of settings, or show what they come to; no broker is asked."
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="is everything in the file right?")
    check.add_argument("file", type=Path, metavar="FILE")
    show = actions.add_parser("show", help="all settings with their defaults, as YAML, secrets replaced")
    show.add_argument("file", type=Path, metavar="FILE")
    show.add_argument("--all", action="store_true", help="also the properties with which Kafka clients are made")


def run(args: argparse.Namespace) -> int:
    """Status 0: right.

    Raises
    ------
    UserError
    """
    loaded = read(args.file, Settings, os.environ)
    settings = loaded.settings
    _warn(args.file, loaded)
    if args.action == "show":
        print(f"# digest {settings.engine_config().digest()}, which every incident carries")
        print(as_yaml(settings), end="")
        if args.all:
            print(f"---\n# properties of Kafka clients\n{clients_as_yaml(settings)}", end="")
        return 0
    check_clients(settings)
    print(f"{args.file}: right; digest {settings.engine_config().digest()}")
    return 0


def _warn(file: Path, loaded: Loaded[Settings]) -> None:
    for name in loaded.defaulted:
        sys.stderr.write(f"aiops config: {file}: {name} is not set in this environment: its default counts\n")


def check_clients(settings: Settings) -> None:
    """Let every kind of client look at its properties, without a connection.

    Raises
    ------
    UserError
        A property or a file that it names is wrong.
    """
    from confluent_kafka import Consumer, Producer
    from confluent_kafka.admin import AdminClient

    # Without an address nothing is sent; and the error says all that the log would.
    kinds = (
        ("consumer", Consumer, settings.consumer_properties(settings.group("check"))),
        ("producer", Producer, settings.producer_properties()),
        ("admin client", AdminClient, settings.admin_properties()),
    )
    for name, kind, properties in kinds:
        del properties["bootstrap.servers"]
        with client_error(properties, name):
            client = kind({**properties, "log_level": "0"})
            if isinstance(client, Consumer):
                client.close()
    faust_broker(settings)
