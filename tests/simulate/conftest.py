"""Runs simulations and reads what they emit back from the OTLP/JSON, as a consumer would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
import pytest

from aiops.simulate import Fault, Simulation


class Span(NamedTuple):
    service: str
    pod: str
    version: str
    trace: str
    id: str
    parent: str
    name: str
    kind: int
    start: float
    end: float
    failed: bool


class Line(NamedTuple):
    service: str
    pod: str
    time: float
    severity: int
    body: str
    trace: str


class Point(NamedTuple):
    service: str
    pod: str
    node: str
    name: str
    time: float
    start: float
    value: Any


@dataclass
class Telemetry:
    """Everything a run emitted; times are seconds since its start."""

    simulation: Simulation
    spans: list[Span] = field(default_factory=list)
    logs: list[Line] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    lines: list[tuple[float, str, bytes]] = field(default_factory=list)
    touched: set[tuple[float, str]] = field(default_factory=set)

    def served(self, service: str, begin: float, end: float) -> list[Span]:
        return [s for s in self.spans if s.service == service and s.kind in (2, 5) and begin <= s.start < end]

    def calls(self, caller: str, callee: str, begin: float, end: float) -> list[tuple[Span, Span]]:
        """Client spans from one service to another with the server spans under them."""
        servers = {s.parent: s for s in self.spans if s.service == callee and s.kind == 2}
        return [
            (s, servers[s.id])
            for s in self.spans
            if s.service == caller and s.kind == 3 and begin <= s.start < end and s.id in servers
        ]

    def values(self, service: str, name: str, begin: float, end: float) -> list[float]:
        return [p.value for p in self.points if p.service == service and p.name == name and begin <= p.time < end]

    def lines_of(self, service: str, begin: float, end: float, worst: int = 0) -> list[Line]:
        return [r for r in self.logs if r.service == service and begin <= r.time < end and r.severity >= worst]


def attributes(holder: dict[str, Any]) -> dict[str, Any]:
    return {a["key"]: next(iter(a["value"].values())) for a in holder["attributes"]}


def spans_of(request: dict[str, Any], start: float) -> Iterator[Span]:
    for part in request["resourceSpans"]:
        about = attributes(part["resource"])
        for s in (s for scope in part["scopeSpans"] for s in scope["spans"]):
            yield Span(
                about["service.name"],
                about["k8s.pod.name"],
                about["service.version"],
                s["traceId"],
                s["spanId"],
                s.get("parentSpanId", ""),
                s["name"],
                s["kind"],
                int(s["startTimeUnixNano"]) / 1e9 - start,
                int(s["endTimeUnixNano"]) / 1e9 - start,
                s["status"].get("code") == 2,
            )


def logs_of(request: dict[str, Any], start: float) -> Iterator[Line]:
    for part in request["resourceLogs"]:
        about = attributes(part["resource"])
        for r in (r for scope in part["scopeLogs"] for r in scope["logRecords"]):
            time = int(r["timeUnixNano"]) / 1e9 - start
            body = r["body"]["stringValue"]
            yield Line(
                about["service.name"], about["k8s.pod.name"], time, r["severityNumber"], body, r.get("traceId", "")
            )


def points_of(request: dict[str, Any], start: float) -> Iterator[Point]:
    for part in request["resourceMetrics"]:
        about = attributes(part["resource"])
        for m in (m for scope in part["scopeMetrics"] for m in scope["metrics"]):
            data = m.get("gauge") or m.get("sum") or m["histogram"]
            for p in data["dataPoints"]:
                value = p.get("asDouble", p.get("asInt", p.get("count")))
                yield Point(
                    about.get("service.name", ""),
                    about.get("k8s.pod.name", ""),
                    about["k8s.node.name"],
                    m["name"],
                    int(p["timeUnixNano"]) / 1e9 - start,
                    int(p.get("startTimeUnixNano", 0)) / 1e9 - start,
                    float(value),
                )


def observe(simulation: Simulation) -> Telemetry:
    """Run a simulation and read all of it; also when which services had a cause at work in a pod."""
    seen = Telemetry(simulation)
    start = simulation.start_unix
    run = simulation.run()
    for end, lines in run.steps():
        for arrival, signal, line in lines:
            seen.lines.append((arrival, signal, line))
            if signal == "traces":
                seen.spans += spans_of(orjson.loads(line), start)
            elif signal == "logs":
                seen.logs += logs_of(orjson.loads(line), start)
            elif signal == "metrics":
                seen.points += points_of(orjson.loads(line), start)
        delayed = {call.callee for call in run.requests.calls if call.delay}
        for pod in run.cluster.pods():
            at_work = pod.hog or pod.leak or pod.stretch != 1.0 or pod.broken or pod.refusing or not pod.scraped
            if at_work or not pod.alive or pod.service.name in delayed:
                seen.touched.add((end, pod.service.name))
    return seen


FAULT_AT, FAULT_FOR, LENGTH = 600.0, 300.0, 1080.0


@pytest.fixture(scope="session")
def with_fault() -> Callable[..., Telemetry]:
    """Telemetry of 18 minutes with one fault from minute 10 to 15; each distinct fault runs once a session."""
    runs: dict[tuple[Any, ...], Telemetry] = {}

    def make(kind: str, service: str, **details: Any) -> Telemetry:
        key = (kind, service, *sorted(details.items()))
        if key not in runs:
            faults = [Fault(kind, FAULT_AT, FAULT_FOR, service, **details)] if kind else None
            runs[key] = observe(Simulation(7, LENGTH / 3600, faults, rate=3.0, wrong_clock=False, change_spacing_s=1e9))
        return runs[key]

    return make


@pytest.fixture(scope="session")
def quiet(with_fault: Callable[..., Telemetry]) -> Telemetry:
    """The same 18 minutes without a fault."""
    return with_fault("", "")


@pytest.fixture(scope="session")
def observed() -> Callable[[Simulation], Telemetry]:
    """Reads back any simulation."""
    return observe
