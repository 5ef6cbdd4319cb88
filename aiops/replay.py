"""Messages in order of arrival -> the steps of an engine, and a recording -> files of what the engine made of it.

One code path for recordings and for the demo; which messages are taken together changes no incident's last version.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

from aiops.config import EngineConfig
from aiops.engine import Engine, Step
from aiops.findings import EDGE_TERMS, TERMS, Findings
from aiops.ingest.stage import Message
from aiops.recording import Recording, RecordingError, Sourced, of_told
from aiops.records import Incident, encode, rfc3339
from aiops.signals import SECOND

BATCH = 64  # messages taken together
_QUANTUM = 0.25  # wall seconds that a paced replay takes together


Watch = Callable[[Engine, int], None]
"""Called after every step with the engine and the last arrival before it."""


class At(NamedTuple):
    """A step and the arrival (Unix ns) of the last message before it."""

    arrival: int
    step: Step


def drive(engine: Engine, messages: Iterable[Sourced], batch: int = BATCH, pace: Pace | None = None) -> Iterator[At]:
    """Feed an engine to the end of the messages.

    Parameters
    ----------
    engine : Engine
    messages : iterable of Sourced
        In order of arrival.
    batch : int
        Messages taken together, at least 1.
    pace : Pace, optional
        Waits for the time of a message; None: as fast as possible.

    Yields
    ------
    At
        One a batch and one for the end; none without messages.
    """
    pending: dict[str, list[Message]] = {}
    count, last = 0, None

    def flush(arrival: int) -> Iterator[At]:
        for source, taken in pending.items():
            yield At(arrival, engine.process(source, taken))
        pending.clear()
        yield At(arrival, engine.idle(arrival))

    for source, message in messages:
        if last is not None and (count >= batch or (pace is not None and pace.later(message.arrival))):
            yield from flush(last)
            count = 0
        if pace is not None:
            pace.wait(message.arrival)
        pending.setdefault(source, []).append(message)
        count, last = count + 1, message.arrival
    if last is not None:
        yield from flush(last)
        yield At(last, engine.end(last))


class Pace:
    """Holds messages back so that event time goes `speed` times as fast as the clock.

    Parameters
    ----------
    speed : float
        Above 0.
    sleep, clock : callable
        Of the wall, in seconds; tests pass their own.
    """

    def __init__(
        self, speed: float, sleep: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.speed, self._sleep, self._clock = speed, sleep, clock
        self._begin: tuple[int, float] | None = None
        self._taken = 0.0

    def later(self, arrival: int) -> bool:
        """Is the message due so much later than those before it that they go first?"""
        return self._due(arrival) - self._taken > _QUANTUM

    def wait(self, arrival: int) -> None:
        """Return when the message is due."""
        if self.later(arrival) or self._begin is None:
            self._taken = self._due(arrival)
            if (seconds := self._taken - self._clock()) > 0:
                self._sleep(seconds)

    def _due(self, arrival: int) -> float:
        if self._begin is None:
            self._begin = arrival, self._clock()
        return self._begin[1] + (arrival - self._begin[0]) / SECOND / self.speed


@dataclass(frozen=True, slots=True)
class Options:
    """What to replay and where it goes.

    Attributes
    ----------
    final : bool
        Only the last version of each incident, by incident id; else every version, in order.
    begin, until : int
        Arrivals (Unix ns) taken: from `begin` on, before `until`.
    speed : float
        Times real time; 0: as fast as possible.
    anomalies, findings, notices, topology, noise, status, refused : Path or None
        Files of JSON lines.
    config : EngineConfig
        Of the engine.
    """

    final: bool = False
    begin: int = 0
    until: int = 1 << 63
    speed: float = 0.0
    batch: int = BATCH
    anomalies: Path | None = None
    findings: Path | None = None
    notices: Path | None = None
    topology: Path | None = None
    noise: Path | None = None
    status: Path | None = None
    refused: Path | None = None
    config: EngineConfig = field(default_factory=EngineConfig)


@dataclass(slots=True)
class Summary:
    """Totals of a replay; `items` by source, times in seconds."""

    items: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    late: dict[str, int] = field(default_factory=dict)
    replaced_times: dict[str, int] = field(default_factory=dict)
    repeats: dict[str, int] = field(default_factory=dict)
    not_finite: dict[str, int] = field(default_factory=dict)
    messages: int = 0
    windows: int = 0
    anomalies: int = 0
    incidents: int = 0
    notices: int = 0
    wall: float = 0.0
    cpu: float = 0.0
    begin: int = 0
    until: int = 0

    @property
    def total(self) -> int:
        """Items of all sources."""
        return sum(self.items.values())


def replay(
    recording: Recording,
    out: IO[bytes],
    options: Options | None = None,
    watch: Watch = lambda _engine, _arrival: None,
) -> Summary:
    """Run a recording through an engine and write what comes out.

    Parameters
    ----------
    recording : Recording
    out : binary file
        Takes the incidents, one JSON object a line.
    options : Options, optional
    watch : Watch

    Raises
    ------
    RecordingError
        A file cannot be read to its end, or nothing arrived in the span of time asked for.
    """
    options = options or Options()
    summary, engine = Summary(), Engine(recording.sources, options.config)
    last: dict[str, Incident] = {}
    wall, cpu = time.monotonic(), time.process_time()
    with ExitStack() as stack:

        def opened(path: Path | None) -> IO[bytes] | None:
            return None if path is None else stack.enter_context(path.open("wb"))

        outputs = (options.anomalies, options.findings, options.notices, options.topology, options.noise)
        anomalies, findings, notices, topology, noise = map(opened, outputs)
        status, refused = opened(options.status), opened(options.refused)
        messages = _between(recording, options, summary)
        pace = Pace(options.speed) if options.speed else None
        try:
            for arrival, step in drive(engine, messages, options.batch, pace):
                _count(summary, step)
                for incident in step.incidents:
                    last[incident.incident_id] = incident
                if not options.final:
                    _write(out, map(encode, step.incidents))
                _write(anomalies, map(encode, step.anomalies))
                _write(findings, map(findings_json, step.findings))
                _write(notices, map(encode, step.notices))
                _write(topology, map(encode, step.topology))
                _write(noise, map(encode, step.noise))
                _write(status, map(encode, step.status))
                _write(refused, (_refusal(source, r.message, r.reason) for source, r in step.refused))
                watch(engine, arrival)
        except RecordingError:
            if options.final:  # what was found until the file broke off
                _write(out, (encode(last[i]) for i in sorted(last)))
            raise
    if not summary.messages:
        raise RecordingError(f"{recording.folder}: nothing arrived {_span(options)}")
    if options.final:
        _write(out, (encode(last[i]) for i in sorted(last)))
    summary.incidents = len(last)
    for source, ingest in engine.ingest.items():
        counters = ingest.counters
        for name in ("items", "late", "replaced_times", "repeats", "not_finite"):
            getattr(summary, name)[source] = getattr(counters, name)
    summary.wall, summary.cpu = time.monotonic() - wall, time.process_time() - cpu
    return summary


def findings_json(found: Findings) -> bytes:
    """One JSON object: terms by name, 3 decimals, zeros left out; null is "too little seen to judge"."""

    def terms(names: tuple[str, ...], row: Any) -> dict[str, float | None]:
        values = {name: round(float(value), 3) for name, value in zip(names, row, strict=True)}
        return {name: None if math.isnan(value) else value for name, value in values.items() if value}

    services = {
        service: {"visits": round(float(visits), 3), **terms(TERMS, row)}
        for service, visits, row in zip(found.services, found.visits, found.terms, strict=True)
    }
    edges = [
        {"caller": caller, "callee": callee, "calls": round(float(calls), 3), **terms(EDGE_TERMS, row)}
        for (caller, callee), calls, row in zip(found.edges, found.calls, found.edge_terms, strict=True)
    ]
    notes = [
        {"about": list(about), "type": n.type, "statement": n.statement} for about, n in sorted(found.notes.items())
    ]
    line = {
        "tenant": found.tenant,
        "environment": found.environment,
        "time": rfc3339(found.time),
        "services": services,
        "edges": edges,
        "notes": notes,
        "anomalies": [{"anomaly_id": a.anomaly_id, "version": a.version, "state": a.state} for a in found.anomalies],
        "totals": dict(sorted(found.totals.items())),
    }
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode()


def _between(recording: Recording, options: Options, summary: Summary) -> Iterator[Sourced]:
    for sourced in recording.messages():
        arrival = sourced.message.arrival
        if arrival >= options.until:
            return
        if arrival >= options.begin:
            summary.messages += 1
            summary.begin = summary.begin or arrival
            summary.until = arrival
            if of_told(sourced.source):
                summary.items[sourced.source] = summary.items.get(sourced.source, 0) + 1
            yield sourced


def _count(summary: Summary, step: Step) -> None:
    summary.windows += len(step.findings)
    summary.anomalies += sum(anomaly.state == "open" for anomaly in step.anomalies)
    summary.notices += len(step.notices)
    for source, _ in step.refused:
        summary.refused[source] = summary.refused.get(source, 0) + 1
        if of_told(source):
            summary.items[source] -= 1


def _write(file: IO[bytes] | None, lines: Iterable[bytes]) -> None:
    if file is None:
        return
    for line in lines:
        file.write(line + b"\n")
    file.flush()  # a slow replay is watched while it runs


def _refusal(source: str, offset: int, reason: str) -> bytes:
    return json.dumps({"source": source, "line": offset + 1, "reason": reason}, ensure_ascii=False).encode()


def _span(options: Options) -> str:
    begin = f"from {rfc3339(options.begin)}" if options.begin else "at all"
    return begin + (f" until {rfc3339(options.until)}" if options.until < 1 << 63 else "")
