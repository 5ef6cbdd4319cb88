"""Days, simulated or recorded, through the engine -> the anomalies that opened, the signals that were watched, the truth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from aiops.engine import Engine
from aiops.ingest.stage import Message
from aiops.recording import SIGNALS, Recording, Sourced
from aiops.records import Anomaly, unix_ns
from aiops.replay import drive
from aiops.scoring import LABEL, Context, Fault, Truth, read_day
from aiops.signals import SECOND, WINDOW
from aiops.simulate import Simulation

AFTER = 600.0  # seconds after the beginning of a fault in which nothing counts as quiet
# Gauges of the engine -> signals that a row of it is watched for; of a service: instances, traffic, visits.
WATCHED = {"detect_series": 1, "detect_log_rates": 1, "detect_operations": 1, "detect_edges": 1, "detect_services": 3}


class Opening(NamedTuple):
    """An anomaly as it opened; `at` is the end of the window that opened it, Unix seconds."""

    at: float
    service: str
    detector: str
    kind: str
    signal: str
    score: float
    statement: str


@dataclass(slots=True)
class Day:
    """What came of one day.

    Attributes
    ----------
    begin, end : float
        Unix seconds.
    early : float
        Seconds by which the times of its faults may be late.
    watched : float
        Signal-hours outside of [fault - `early`, fault + ``AFTER``].
    hours : float
        Hours outside of them.
    """

    name: str
    begin: float
    end: float
    early: float
    faults: list[Fault]
    services: list[str]
    openings: list[Opening] = field(default_factory=list)
    watched: float = 0.0
    hours: float = 0.0

    def quiet(self, at: float) -> bool:
        """Is a time (Unix seconds) outside of what a fault may have done?"""
        return all(not f.time_unix - self.early <= at <= f.time_unix + AFTER for f in self.faults)


def simulated(seed: int, hours: float, rate: float, faults: bool) -> Day:
    """A simulated day, with a plan of faults or without any.

    Parameters
    ----------
    hours : float
    rate : float
        Requests a second.
    """
    simulation = Simulation(seed, hours, "auto" if faults else None, rate=rate)
    truth = msgspec.convert(simulation.truth(), Truth)
    context = msgspec.convert(simulation.context(), Context)
    day = _day(f"seed {seed}", truth, context, 0.0)
    _run(day, {f"{signal}/0": signal for signal in SIGNALS}, messages_of(simulation))
    return day


def recorded(folder: Path) -> Day:
    """A recorded day, with its faults."""
    recording = Recording(folder)
    day = _day(folder.name, *read_day(folder), LABEL)
    _run(day, recording.sources, recording.messages())
    return day


def _day(name: str, truth: Truth, context: Context, early: float) -> Day:
    faults = sorted(truth.faults, key=lambda fault: fault.time_unix)
    return Day(name, context.start_unix, context.end_unix, early, faults, list(context.services))


def messages_of(simulation: Simulation) -> Iterator[Sourced]:
    """What a simulation emits, as an engine takes it in."""
    offsets: dict[str, int] = dict.fromkeys(SIGNALS, 0)
    for arrival, signal, line in simulation.arrivals():
        yield Sourced(f"{signal}/0", Message(offsets[signal], arrival, line))
        offsets[signal] += 1


def _run(day: Day, sources: dict[str, str], messages: Iterable[Sourced]) -> None:
    engine = Engine(sources)
    for _, step in drive(engine, messages):
        if not step.findings:
            continue
        gauges = engine.gauges()
        watched = sum(n * gauges[name] for name, n in WATCHED.items())
        for found in step.findings:
            at = found.time / SECOND
            if at <= day.end + 60.0 and day.quiet(at):
                day.watched += watched * WINDOW / SECOND / 3600.0
                day.hours += WINDOW / SECOND / 3600.0
        day.openings += [_opening(a) for a in step.anomalies if a.state == "open"]


def _opening(anomaly: Anomaly) -> Opening:
    return Opening(
        unix_ns(anomaly.window.end) / SECOND, anomaly.service, anomaly.detector, anomaly.kind, anomaly.signal,
        anomaly.score, anomaly.statement,
    )  # fmt: skip
