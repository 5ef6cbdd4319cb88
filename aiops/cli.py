"""The command ``aiops``: arguments in; an exit status out, and one clear line on stderr where something is wrong.

Status 0: done; 1: done, but something was refused (``decode``); 2: wrong arguments or files; 130: interrupted.  Each command
imports what it needs when it runs, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from aiops import __version__

if TYPE_CHECKING:
    from aiops.replay import Options, Summary

_INTERRUPTED = 130  # what a shell reports for a command that Ctrl-C ended
_CLOSED_PIPE = 141  # and for one whose reader went away


class UsageError(ValueError):
    """Arguments that make no sense together; the message is for the person who typed them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    parsed = _parser(simulate="simulate" in arguments[:1]).parse_args(arguments)
    try:
        status: int = parsed.run(parsed)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes stdout when it ends, which would fail once more, aloud.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _CLOSED_PIPE
    except OSError as error:
        return _failed(parsed.command, f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except ValueError as error:
        if type(error).__name__ not in _FOR_PEOPLE:
            raise
        return _failed(parsed.command, str(error))
    return status


# Errors whose message names the file or argument at fault; by name, since their modules are imported only when needed.
_FOR_PEOPLE = ("UsageError", "RecordingError", "ScoreError")


def _failed(command: str, message: str) -> int:
    sys.stderr.write(f"aiops {command}: {message}\n")
    return 2


def _parser(simulate: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aiops", description="Turns logs, metrics, traces and changes into few, explained incidents."
    )
    parser.add_argument("--version", action="version", version=f"aiops {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _demo_parser(commands.add_parser("demo", help="simulate a shop, break it, and print the incidents found"))
    _replay_parser(commands.add_parser("replay", help="read recorded telemetry and write its incidents"))
    if simulate:
        from aiops.simulate.cli import add_parser

        add_parser(commands)
    else:  # its options name what can break, and to know that takes numpy
        commands.add_parser("simulate", help="write simulated telemetry with injected faults and their truth")
    _score_parser(commands.add_parser("score", help="compare incidents with the truth of a recorded day"))
    _decode_parser(commands.add_parser("decode", help="show what the engine reads in files of OTLP, item by item"))
    return parser


def _demo_parser(parser: argparse.ArgumentParser) -> None:
    parser.description = "Simulate a shop, break it, and print the incidents that the engine finds, then the truth."
    parser.add_argument("--seed", type=int, help="another seed is another day (default: a fixed one)")
    parser.add_argument("--minutes", type=float, help="simulated minutes (default: 90)")
    parser.add_argument("--rate", type=float, help="requests a second (default: 4)")
    parser.add_argument("--live", action="store_true", help="in real time, starting now")
    parser.set_defaults(run=_demo)


def _replay_parser(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Read DIR/{metrics,traces,logs}.jsonl[.gz] (OTLP/JSON, one export request a line) and DIR/changes.jsonl[.gz], "
        "and write the incidents, one JSON object a line; a summary goes to stderr."
    )
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--out", default="-", metavar="FILE", help="incidents; - is stdout (default)")
    parser.add_argument("--final", action="store_true", help="only the last version of each incident, sorted by id")
    parser.add_argument("--from", dest="begin", type=_time, default=0, metavar="T", help="RFC 3339 or Unix seconds")
    parser.add_argument("--until", type=_time, default=1 << 63, metavar="T", help="what arrived at T is not read")
    parser.add_argument(
        "--speed", type=_positive, default=0.0, metavar="N", help="N times real time (default: as fast as it goes)"
    )
    parser.add_argument("--batch", type=_count, default=64, metavar="N", help="messages taken together (default: 64)")
    parser.add_argument("--anomalies", type=Path, metavar="FILE", help="every anomaly record")
    parser.add_argument("--findings", type=Path, metavar="FILE", help="evidence of every service and edge, by window")
    parser.add_argument("--notices", type=Path, metavar="FILE", help="what is wrong with the telemetry itself")
    parser.add_argument("--refused", type=Path, metavar="FILE", help="lines that do not decode, and why")
    parser.set_defaults(run=_replay)


def _score_parser(parser: argparse.ArgumentParser) -> None:
    parser.description = "Compare incidents with DIR/truth.json, given DIR/context.json (aiops simulate writes both)."
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("incidents", type=Path, metavar="INCIDENTS", help="what aiops replay wrote")
    parser.set_defaults(run=_score)


def _decode_parser(parser: argparse.ArgumentParser) -> None:
    parser.description = "Print each log record, span or metric point as a JSON line; status 1 if any was refused."
    parser.add_argument("--encoding", choices=("auto", "otlp_proto", "otlp_json"), default="auto")
    parser.add_argument("--signal", choices=("logs", "metrics", "traces"), help="(default: what the file tells)")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    parser.set_defaults(run=_decode)


def _demo(args: argparse.Namespace) -> int:
    from rich.console import Console

    from aiops.demo import MINUTES, RATE, SEED, demo, simulation
    from aiops.wire import keep_memory

    keep_memory()
    seed = SEED if args.seed is None else args.seed
    minutes, rate = args.minutes or MINUTES, args.rate or RATE
    try:
        simulation(seed, minutes, rate)
    except ValueError as error:
        raise UsageError(str(error)) from None
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    demo(console, seed, minutes, rate, args.live)
    return 0


def _replay(args: argparse.Namespace) -> int:
    from aiops.recording import Recording
    from aiops.replay import Options, replay
    from aiops.wire import keep_memory

    if args.begin >= args.until:
        raise UsageError("--from is not before --until: nothing would be read")
    recording = Recording(args.folder)
    _distinct(args, list(recording.files.values()))
    options = Options(
        final=args.final,
        begin=args.begin,
        until=args.until,
        speed=args.speed,
        batch=args.batch,
        anomalies=args.anomalies,
        findings=args.findings,
        notices=args.notices,
        refused=args.refused,
    )
    keep_memory()
    if args.out == "-":
        summary = _watched(recording, sys.stdout.buffer, options)
    else:
        with Path(args.out).open("wb") as out:
            summary = _watched(recording, out, options)
    from aiops.replay_text import summary_table

    sys.stderr.write(summary_table(summary))
    return 0
