"""``aiops produce``: recorded telemetry goes to Kafka as a Collector would send it; totals go to stderr."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from aiops.cli import _positive, _time
from aiops.errors import UserError
from aiops.recording import Recording
from aiops.records import rfc3339
from streams import clients_common
from streams.produce import Options, Summary, Watch, produce

_REFRESH = 0.2  # seconds
_COLUMNS = ("lines", "messages", "items", "bytes", "refused")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``produce``."""
    parser.description = (
        "Send DIR/{metrics,traces,logs}.jsonl[.gz] (OTLP/JSON, one export request a line) and "
        "DIR/{changes,alerts,commands}.jsonl[.gz] to Kafka, telemetry as OTLP protobuf, with the arrival times of "
        "aiops replay as timestamps; totals go to stderr."
    )
    parser.add_argument("folder", type=Path, metavar="DIR")
    clients_common.add_options(parser)
    parser.add_argument(
        "--end", action="store_true", help="then end the input: everything is due, open incidents can close"
    )
    parser.add_argument(
        "--speed", type=_positive, default=0.0, metavar="N", help="N times real time (default: as fast as it goes)"
    )
    parser.add_argument("--from", dest="begin", type=_time, default=0, metavar="T", help="RFC 3339 or Unix seconds")
    parser.add_argument("--until", type=_time, default=1 << 63, metavar="T", help="what arrived at T is not sent")


def run(args: argparse.Namespace) -> int:
    """Send the folder; returns the exit status."""
    if args.begin >= args.until:
        raise UserError("--from is not before --until: nothing would be sent")
    recording = Recording(args.folder)
    settings = clients_common.settings_of(args)
    options = Options(args.end, args.begin, args.until, args.speed)
    with progress(recording, sys.stderr) as watch:
        summary = produce(recording, settings, options, watch, _warn)
    sys.stderr.write(summary_table(summary))
    return 0


def _warn(text: str) -> None:
    sys.stderr.write(f"aiops produce: warning: {text}\n")


@contextmanager
def progress(recording: Recording, terminal: IO[str]) -> Iterator[Watch]:
    """What to call after each line, so that `terminal` shows how far it has come; nothing where it is none."""
    if not terminal.isatty():
        yield lambda _summary: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), TextColumn("{task.percentage:3.0f} %  {task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=terminal), transient=True) as bar:
        task = bar.add_task("", total=max(1, recording.size))
        began = shown = time.monotonic()

        def watch(summary: Summary) -> None:
            nonlocal shown
            now = time.monotonic()
            if now - shown < _REFRESH:
                return
            shown = now
            rate = summary.items / (now - began)
            about = f"{rfc3339(summary.until)[:19]}Z  {summary.items} items  {rate:,.0f} items/s"
            bar.update(task, completed=recording.read, description=about)

        yield watch


def summary_table(summary: Summary) -> str:
    """Totals by topic, then of the whole.

    >>> from streams.produce import Total
    >>> print(summary_table(Summary({"otlp_logs": Total(1, 4, 30, 5000)}, wall=2.0)).splitlines()[1].split())
    ['otlp_logs', '1', '4', '30', '5000', '0']
    """
    width = max([12, *map(len, summary.topics)])
    lines = [f"{'':{width}s}" + "".join(f"{name:>14s}" for name in _COLUMNS)]
    for topic, total in summary.topics.items():
        lines.append(f"{topic:{width}s}" + "".join(f"{getattr(total, name):14d}" for name in _COLUMNS))
    lines.append(f"{'arrivals':{width}s} {rfc3339(summary.begin)} .. {rfc3339(summary.until)}")
    if summary.ends:
        lines.append(f"{'end':{width}s} of input in {summary.ends} partitions, at {rfc3339(summary.clock)}")
    rate = summary.items / max(summary.wall, 1e-9)
    lines.append(f"{'took':{width}s} {summary.wall:.1f} s, {rate:,.0f} items/s")
    return "\n".join(lines) + "\n"
