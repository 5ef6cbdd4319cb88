"""A replay -> words on stderr: a progress bar while it runs, a table of totals after it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from aiops.engine import Engine
from aiops.recording import Recording
from aiops.records import rfc3339
from aiops.replay import Summary, Watch

_REFRESH = 0.2  # seconds
_COLUMNS = ("items", "refused", "late", "replaced_times", "repeats", "not_finite")


@contextmanager
def progress(recording: Recording, terminal: IO[str]) -> Iterator[Watch]:
    """What to call after each step, so that `terminal` shows how far a replay has come; nothing where it is none."""
    if not terminal.isatty():
        yield lambda _engine, _arrival: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), TextColumn("{task.percentage:3.0f} %  {task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=terminal), transient=True) as bar:
        task = bar.add_task("", total=max(1, recording.size))
        began = shown = time.monotonic()

        def watch(engine: Engine, arrival: int) -> None:
            nonlocal shown
            now = time.monotonic()
            if now - shown < _REFRESH:
                return
            shown = now
            items = sum(ingest.counters.items for ingest in engine.ingest.values())
            about = f"{rfc3339(arrival)[:19]}Z  {items} items  {items / (now - began):,.0f} items/s"
            bar.update(task, completed=recording.read, description=about)

        yield watch


def summary_table(summary: Summary) -> str:
    """Totals by source, then of the whole.

    >>> print(summary_table(Summary(items={"logs/0": 3}, wall=2.0)).splitlines()[1].split())
    ['logs/0', '3', '0', '0', '0', '0', '0']
    """
    lines = [f"{'':12s}" + "".join(f"{name.replace('_', ' '):>16s}" for name in _COLUMNS)]
    for source in summary.items:
        counts = (getattr(summary, name).get(source, 0) for name in _COLUMNS)
        lines.append(f"{source:12s}" + "".join(f"{count:16d}" for count in counts))
    lines.append(f"arrivals     {rfc3339(summary.begin)} .. {rfc3339(summary.until)}, {summary.messages} lines")
    lines.append(
        f"found        {summary.incidents} incidents, {summary.anomalies} anomalies opened, "
        f"{summary.notices} notices in {summary.windows} windows"
    )
    rate = summary.total / max(summary.wall, 1e-9)
    lines.append(f"took         {summary.wall:.1f} s wall, {summary.cpu:.1f} s CPU, {rate:,.0f} items/s")
    return "\n".join(lines) + "\n"
