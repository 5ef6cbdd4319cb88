"""A simulated shop breaks and is explained: telemetry of a seeded simulation in, incidents in words on the screen.

The engine sees what a replay of recorded files would show it, and nothing of the truth; after the last message its
incidents are compared with what was injected.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
from rich.console import Console

from aiops.demo_text import closed, comparison, introduction, next_steps, opened, settled
from aiops.engine import Engine
from aiops.ingest.stage import Message
from aiops.recording import SIGNALS, Sourced, arrived, merged
from aiops.records import Incident, rfc3339
from aiops.replay import Pace, drive
from aiops.scoring import Context, Score, Truth, score
from aiops.simulate import Simulation
from aiops.simulate.simulation import START_UNIX

KINDS = ("bad_deploy", "cpu", "code_error", "edge_latency", "dependency_down")
"""Kinds of fault that the demo draws from: those that show within minutes (a leak takes longer); others: `simulate`."""

SEED = 3
MINUTES = 90.0
RATE = 4.0
_QUIET = 1500.0  # seconds of history before the first fault
_SPACING = 900.0  # seconds from fault to fault
_CHANGES = 600.0  # mean seconds between harmless changes: a deploy nearby is no proof
_LEAST_MINUTES = 60.0  # room for the quiet, one fault, and the quiet after it
_SOURCES = {f"{signal}/0": signal for signal in SIGNALS}


@dataclass(slots=True)
class Shown:
    """What of an incident's episode is on the screen."""

    episode: int = 0
    settled: bool = False
    over: bool = False


def simulation(
    seed: int = SEED, minutes: float = MINUTES, rate: float = RATE, start: float | None = None
) -> Simulation:
    """The simulated stretch of time; `start` in Unix seconds.

    Raises
    ------
    ValueError
        It is too short for a fault, or the rate is out of range.
    """
    if minutes < _LEAST_MINUTES:
        raise ValueError(f"--minutes {minutes:g} leaves no room for a fault: at least {_LEAST_MINUTES:g}")
    return Simulation(
        seed,
        minutes / 60.0,
        KINDS,
        rate=rate,
        warmup_s=_QUIET,
        spacing_s=_SPACING,
        change_spacing_s=_CHANGES,
        start_unix=START_UNIX if start is None else start,
    )


def demo(console: Console, seed: int = SEED, minutes: float = MINUTES, rate: float = RATE, live: bool = False) -> Score:
    """Simulate, watch, explain, compare.

    Parameters
    ----------
    console : Console
        Takes the text, in colour where it is a terminal.
    seed, minutes, rate
        Of the simulation.
    live : bool
        A simulated second takes a second, starting now; else as fast as possible.
    """
    began = time.monotonic()
    simulated = simulation(seed, minutes, rate, time.time() if live else None)
    console.print(introduction(simulated, _QUIET, live))
    engine = Engine(_SOURCES)
    incidents: list[Incident] = []
    shown: dict[str, Shown] = {}
    messages = live_messages(simulated) if live else recorded_messages(simulated)
    heard = 0.0
    for arrival, step in drive(engine, messages, pace=Pace(1.0) if live else None):
        for incident in step.incidents:
            incidents.append(incident)
            _show(console, incident, shown.setdefault(incident.incident_id, Shown()))
        if live and time.monotonic() - heard > 60.0:
            heard = time.monotonic()
            items = sum(ingest.counters.items for ingest in engine.ingest.values())
            console.print(f"[dim]{rfc3339(arrival)}  {items} items taken in, {len(shown)} incidents so far[/dim]")
    result = score(msgspec.convert(simulated.truth(), Truth), msgspec.convert(simulated.context(), Context), incidents)
    items = sum(ingest.counters.items for ingest in engine.ingest.values())
    console.print(comparison(simulated, result, items, time.monotonic() - began))
    console.print(next_steps(seed, minutes))
    return result


def _show(console: Console, incident: Incident, shown: Shown) -> None:
    """Print an incident when it opens, when its causes are settled, and when it is over; not at every version."""
    if incident.episode > shown.episode:
        shown.episode, shown.settled, shown.over = incident.episode, False, False
        console.print(opened(incident))
    over = incident.state in ("resolved", "merged")
    if (incident.settled or over) and not shown.settled:
        shown.settled = True
        console.print(settled(incident))
    if over and not shown.over:
        shown.over = True
        console.print(closed(incident))


def live_messages(simulated: Simulation) -> Iterator[Sourced]:
    """Messages with the time at which they would reach a broker: to look ahead would hold them back."""
    offsets = dict.fromkeys(_SOURCES, 0)
    for arrival, signal, line in simulated.arrivals():
        source = f"{signal}/0"
        yield Sourced(source, Message(offsets[source], arrival, line))
        offsets[source] += 1


def recorded_messages(simulated: Simulation) -> Iterator[Sourced]:
    """Messages with arrivals as of recorded files, made while the simulation runs."""
    batches = simulated.batches()
    waiting: dict[str, deque[bytes]] = {signal: deque() for signal in SIGNALS}
    # Changes are few: to look ahead in them would run the whole simulation first.  They are known without a run.
    changes = [msgspec.json.encode(change) for change in simulated.changes()]

    def lines(signal: str) -> Iterator[bytes]:
        mine = waiting[signal]
        while True:
            while not mine:
                try:
                    other, line = next(batches)
                except StopIteration:
                    return
                waiting[other].append(line)
            yield mine.popleft()

    def of(signal: str) -> Iterator[bytes]:
        return iter(changes) if signal == "changes" else lines(signal)

    return merged({source: arrived(source, signal, of(signal)) for source, signal in _SOURCES.items()})
