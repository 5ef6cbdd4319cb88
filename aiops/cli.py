"""The command ``aiops``: arguments in; an exit status out, and one clear line on stderr where something is wrong.

Status 0: done; 1: done, but something was refused (``decode``); 2: wrong arguments or files; 130: interrupted.  Each
command imports what it needs when it runs, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
import importlib
import math
import os
import sys
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, NoReturn

from aiops import __version__
from aiops.errors import UserError

if TYPE_CHECKING:
    from aiops.recording import Recording
    from aiops.replay import Options, Summary

_INTERRUPTED = 130  # what a shell reports for a command that Ctrl-C ended
_CLOSED_PIPE = 141  # and for one whose reader went away


class Command(NamedTuple):
    """A command whose options live in a module, imported only when it is asked for.

    The module has ``configure(parser)`` and ``run(args) -> exit status``.
    """

    name: str
    help: str
    module: str


SIMULATE = Command("simulate", "write simulated telemetry with injected faults and their truth", "aiops.simulate.cli")


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong, not under the whole usage."""

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"{self.prog}: {message} (see {self.prog} --help)\n")
        sys.exit(2)


def main(argv: Sequence[str] | None = None, more: Sequence[Command] = ()) -> int:
    """Run a command, one of this module's or of `more`; returns the exit status."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    parsed = _parser([SIMULATE, *more], arguments[:1]).parse_args(arguments)
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
    except UserError as error:
        return _failed(parsed.command, str(error))
    return status


def _failed(command: str, message: str) -> int:
    sys.stderr.write(f"aiops {command}: {message}\n")
    return 2


def _parser(modules: Sequence[Command], asked: Sequence[str]) -> _Parser:
    parser = _Parser(
        prog="aiops", description="Turns logs, metrics, traces, changes and alerts into few, explained incidents."
    )
    parser.add_argument("--version", action="version", version=f"aiops {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    demo = commands.add_parser("demo", help="simulate a shop, break it, and print the incidents found")
    _demo_parser(demo)
    _replay_parser(commands.add_parser("replay", help="read recorded telemetry and write its incidents"))
    _score_parser(commands.add_parser("score", help="compare incidents with the truth of a recorded day"))
    _decode_parser(commands.add_parser("decode", help="show what the engine reads in files of OTLP, item by item"))
    console = next((command.module for command in modules if command.name == "console"), None)
    if console is not None and "demo" in asked:
        importlib.import_module(console).configure_demo(demo)
        demo.set_defaults(console_module=console)
    for command in modules:
        parser_of = commands.add_parser(command.name, help=command.help)
        if command.name in asked:  # to know its options may take numpy or a client library
            module = importlib.import_module(command.module)
            module.configure(parser_of)
            parser_of.set_defaults(run=module.run)
    return parser


def _demo_parser(parser: argparse.ArgumentParser) -> None:
    parser.description = "Simulate a shop, break it, and print the incidents that the engine finds, then the truth."
    parser.add_argument("--seed", type=_seed, help="another seed is another day (default: a fixed one)")
    parser.add_argument("--minutes", type=_positive, help="simulated minutes (default: 90)")
    parser.add_argument("--rate", type=_positive, help="requests a second (default: 4)")
    parser.add_argument("--live", action="store_true", help="in real time, starting now")
    parser.set_defaults(run=_demo)


def _replay_parser(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Read DIR/{metrics,traces,logs}.jsonl[.gz] (OTLP/JSON, one export request a line) and "
        "DIR/{changes,alerts,commands}.jsonl[.gz], and write the incidents, one JSON object a line; a summary goes to stderr."
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
    parser.add_argument("--detect", type=Path, metavar="FILE", help="rules: the section detect of aiops.yaml, as JSON")
    parser.add_argument("--services", type=Path, metavar="FILE", help="criticality: the section services, as JSON")
    parser.add_argument("--correlation", type=Path, metavar="FILE", help="rules: the section correlation, as JSON")
    parser.add_argument("--anomalies", type=Path, metavar="FILE", help="every anomaly record")
    parser.add_argument("--findings", type=Path, metavar="FILE", help="evidence of every service and edge, by window")
    parser.add_argument("--notices", type=Path, metavar="FILE", help="what is wrong with the telemetry itself")
    parser.add_argument("--topology", type=Path, metavar="FILE", help="services and who calls whom, as they change")
    parser.add_argument("--noise", type=Path, metavar="FILE", help="how much became how little, every five minutes")
    parser.add_argument(
        "--status", type=Path, metavar="FILE", help="how far the engine sees, and how much of it is known"
    )
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


def compile_once() -> None:
    """Kernels are compiled at their first use; two processes do it in half the time."""
    from aiops.warm import cold, warm

    if cold():
        sys.stderr.write("compiling kernels, once after an installation: about a quarter of a minute\n")
        warm()


def _demo(args: argparse.Namespace) -> int:
    if getattr(args, "console", False):
        status: int = importlib.import_module(args.console_module).demo(args)
        return status
    from rich.console import Console

    compile_once()
    from aiops.demo import MINUTES, RATE, SEED, demo, simulation
    from aiops.wire import keep_memory

    keep_memory()
    seed = SEED if args.seed is None else args.seed
    minutes, rate = args.minutes or MINUTES, args.rate or RATE
    try:
        simulation(seed, minutes, rate)
    except ValueError as error:
        raise UserError(str(error)) from None
    # Lines are wrapped for eyes, not for a pipe.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)
    demo(console, seed, minutes, rate, args.live)
    return 0


def _replay(args: argparse.Namespace) -> int:
    from aiops.config import EngineConfig
    from aiops.detect import rules
    from aiops.incidents import correlation
    from aiops.incidents.criticality import ServicesConfig
    from aiops.recording import Recording
    from aiops.replay import Options
    from aiops.replay_text import summary_table
    from aiops.section_file import read_section
    from aiops.wire import keep_memory

    if args.begin >= args.until:
        raise UserError("--from is not before --until: nothing would be read")
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
        topology=args.topology,
        noise=args.noise,
        status=args.status,
        refused=args.refused,
        config=EngineConfig(
            detect=read_section(args.detect, rules.DetectConfig, rules.problems),
            services=read_section(args.services, ServicesConfig),
            correlation=read_section(args.correlation, correlation.CorrelationConfig, correlation.problems),
        ),
    )
    compile_once()
    keep_memory()
    if args.out == "-":
        summary = _watched(recording, sys.stdout.buffer, options)
    else:
        with Path(args.out).open("wb") as out:
            summary = _watched(recording, out, options)

    sys.stderr.write(summary_table(summary))
    return 0


def _watched(recording: Recording, out: IO[bytes], options: Options) -> Summary:
    from aiops.replay import replay
    from aiops.replay_text import progress

    with progress(recording, sys.stderr) as watch:
        return replay(recording, out, options, watch)


def _distinct(args: argparse.Namespace, read: list[Path]) -> None:
    """Refuse to write two things to one file, or over what is read."""
    outputs = ("anomalies", "findings", "notices", "topology", "noise", "status", "refused")
    named = [("--out", None if args.out == "-" else Path(args.out))]
    named += [(f"--{name}", getattr(args, name)) for name in outputs]
    taken = {path.resolve(): f"the recording's {path.name}" for path in read}
    for option, path in named:
        if path is None:
            continue
        if (other := taken.get(path.resolve())) is not None:
            raise UserError(f"{option} {path} is also {other}: it would be overwritten")
        if path.resolve() != Path(os.devnull):
            taken[path.resolve()] = option


def _score(args: argparse.Namespace) -> int:
    from aiops.scoring import read_day, read_incidents, score, table

    print(table(score(*read_day(args.folder), read_incidents(args.incidents))))
    return 0


def _decode(args: argparse.Namespace) -> int:
    import orjson

    from aiops.wire.items import decode_files

    for path in args.files:
        if not path.is_file():
            raise UserError(f"{path} is no file")
    refused = False
    for item in decode_files(args.files, args.encoding, args.signal):
        refused |= "error" in item
        sys.stdout.buffer.write(orjson.dumps(item) + b"\n")
    sys.stdout.buffer.flush()
    return int(refused)


def _time(text: str) -> int:
    """Unix ns of RFC 3339 text or of Unix seconds."""
    from aiops.times import unix_ns

    try:
        seconds = Decimal(text)
    except InvalidOperation:
        try:
            ns = unix_ns(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
    else:
        ns = int(seconds * 1_000_000_000) if seconds.is_finite() and abs(seconds) < 1 << 40 else -1
    if not 0 <= ns < 1 << 63:
        raise argparse.ArgumentTypeError(f"{text} is outside 1970-01-01 .. 2262-04-11")
    return ns


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
