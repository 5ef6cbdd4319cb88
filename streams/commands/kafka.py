"""``aiops kafka``: a local broker, or three, started in the background, looked at, stopped; its data stays between starts."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path

from streams.local_kafka import LocalKafka
from streams.local_kafka_java import VERSION, cache, cached

PORT = 9092


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.description = (
        f"Apache Kafka {VERSION} on this machine, for trying things out: needs Java 17 or newer, Maven for the first "
        "start, openssl for --secure.  No container."
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    start = actions.add_parser("start", help="start it in the background; prints the bootstrap address")
    status = actions.add_parser("status", help="what runs, and where; exit status 1 if not all of it runs")
    stop = actions.add_parser("stop", help="stop it; its data stays for the next start")
    start.add_argument("--nodes", type=int, choices=(1, 3), help="brokers (default: 1)")
    start.add_argument("--secure", action="store_true", default=None, help="TLS, passwords and access control")
    start.add_argument(
        "--port", type=int, metavar="P", help=f"of the first broker (default: {PORT}); the ports after it are used too"
    )
    stop.add_argument("--delete", action="store_true", help="delete its data, too")
    for action in (start, status, stop):
        action.add_argument(
            "--dir", type=Path, default=_folder(), metavar="D", help="data, logs, certificates (default: %(default)s)"
        )


def run(args: argparse.Namespace) -> int:
    """Do what was asked; returns the exit status."""
    actions = {"start": _start, "status": _status, "stop": _stop}
    return actions[args.action](args)


def _folder() -> Path:
    """Return where the broker lives unless told otherwise: with the user's data, not in a cache that anybody may clean."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "aiops" / "kafka"


def _start(args: argparse.Namespace) -> int:
    there = LocalKafka.at(args.dir)
    kafka = LocalKafka(  # of a cluster that is there, only what is asked for has to agree
        nodes=args.nodes or (there.cluster.nodes if there else 1),
        secure=there.cluster.secure if there and args.secure is None else bool(args.secure),
        folder=args.dir,
        port=args.port or (None if there else PORT),
    )
    if kafka.cluster.secure:
        importlib.import_module("confluent_kafka")  # grants need it: say so before a broker runs
    if len(kafka.running) == kafka.cluster.nodes:
        _say(f"Kafka runs already, with its data in {kafka.folder}")
    else:
        if not cached(cache() / f"kafka-{VERSION}"):
            _say(f"fetching Kafka {VERSION} with Maven into {cache()}, once: about 40 MB")
        kafka.start(detach=True)
        if kafka.cluster.secure:
            kafka.grant()
        _say(f"Kafka {VERSION} runs, with its data in {kafka.folder}; 'aiops kafka stop' stops it")
    _show(kafka)
    return 0


def _status(args: argparse.Namespace) -> int:
    kafka = LocalKafka.at(args.dir)
    if kafka is None:
        _say(f"no Kafka in {args.dir}")
        return 1
    running = kafka.running
    for node in range(1, kafka.cluster.nodes + 1):
        _say(f"node {node}: " + (f"runs, process {kafka.pid(node)}" if node in running else "stopped"))
    _show(kafka)
    return int(len(running) < kafka.cluster.nodes)


def _stop(args: argparse.Namespace) -> int:
    kafka = LocalKafka.at(args.dir)
    if kafka is None:
        _say(f"no Kafka in {args.dir}")
        return 0
    was = kafka.running
    if args.delete:
        kafka.delete()
        _say(f"deleted {kafka.folder}")
    else:
        kafka.stop()
        _say("stopped" if was else "it did not run")
    return 0


def _show(kafka: LocalKafka) -> None:
    """What a program wants to know goes to stdout: the address, then a file for each user."""
    print(kafka.bootstrap)
    for user, path in kafka.users.items():
        print(f"{user}\t{path}")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
