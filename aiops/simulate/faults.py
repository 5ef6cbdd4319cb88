"""Which faults there are and when: kinds, targets and strengths drawn from a seed in, a plan of faults out.

A plan leaves the engine history to learn from (``warmup_s``), keeps faults apart, ends in quiet, and aims only at
services that see enough requests for anybody to notice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from aiops.simulate.mesh import Call, Demand, Mesh, Parallel, Service, demand
from aiops.simulate.pods import STEP

KINDS = (
    "cpu",
    "memory_leak",
    "edge_latency",
    "code_error",
    "dependency_down",
    "bad_deploy",
    "lost_pod",
    "silent_metric",
    "log_storm",
    "gc_pause",
)
LEAST_VISITS = 0.12
"""Visits per second below which a service is no target."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One injected fault.

    Parameters
    ----------
    kind
        One of ``KINDS``.
    start, duration
        Seconds since the start of the simulation; the start is taken down to a whole step.
    service
        The culprit; for ``edge_latency`` the callee, for ``dependency_down`` the dependency.
    strength
        ``cpu``: share of the limit that a foreign process eats; ``memory_leak``: share of the duration after which
        memory is exhausted; ``edge_latency``: one-way delay in seconds; ``code_error``, ``bad_deploy`` with mode
        ``errors``: probability that the path throws; ``bad_deploy`` with mode ``slow``: factor on service time;
        ``log_storm``: lines a second; ``gc_pause``: seconds a pause.  0 is the usual strength of the kind.
    caller
        ``edge_latency``: only calls from this service are delayed; empty: all calls.
    operation
        ``code_error`` and ``bad_deploy``: which operation throws; empty: the busiest.
    mode
        ``bad_deploy``: ``errors`` or ``slow``.
    replicas
        ``bad_deploy``: how many replicas get the new version; 0 is all.
    """

    kind: str
    start: float
    duration: float
    service: str
    strength: float = 0.0
    caller: str = ""
    operation: str = ""
    mode: str = ""
    replicas: int = 0

    @property
    def end(self) -> float:
        """Seconds since the start at which it is over."""
        return self.start + self.duration


_USUAL = {
    "cpu": 0.7,
    "memory_leak": 0.45,
    "edge_latency": 0.2,
    "code_error": 0.8,
    "bad_deploy": 0.6,
    "log_storm": 120.0,
    "gc_pause": 2.5,
}


def checked(mesh: Mesh, fault: Fault) -> Fault:
    """The fault with its defaults filled in and on a step; an error says what is wrong with it."""
    if fault.kind not in KINDS:
        raise ValueError(f"no fault kind {fault.kind!r}: there are {', '.join(KINDS)}")
    if fault.service not in mesh.by_name:
        raise ValueError(f"{fault.kind}: the mesh has no service {fault.service!r}: it has {', '.join(mesh.by_name)}")
    if fault.start < 0 or fault.duration <= 0:
        raise ValueError(
            f"{fault.kind} on {fault.service}: start {fault.start} must be >= 0, duration {fault.duration} > 0"
        )
    suitable = targets(mesh, fault.kind, None)
    if fault.service not in suitable:
        raise ValueError(f"{fault.kind} cannot hit {fault.service!r}: it can hit {', '.join(suitable)}")
    if fault.caller and (fault.caller, fault.service) not in mesh.edges():
        raise ValueError(f"edge_latency: {fault.caller!r} never calls {fault.service!r}")
    mode = fault.mode or ("errors" if fault.kind == "bad_deploy" else "")
    operation = fault.operation
    if fault.kind in ("code_error", "bad_deploy"):
        operation = operation or _busiest(mesh, mesh.by_name[fault.service])
        mesh.operation(fault.service, operation)
    strength = fault.strength or (5.0 if mode == "slow" else _USUAL.get(fault.kind, 1.0))
    return replace(fault, start=fault.start // STEP * STEP, strength=strength, mode=mode, operation=operation)


def targets(mesh: Mesh, kind: str, rate: float | None) -> list[str]:
    """Services that a kind can hit, of those that see enough of ``rate`` requests per second (None: any)."""
    asked = demand(mesh)
    return [
        service.name
        for service in mesh.services
        if _suits(mesh, service, kind, asked)
        and (rate is None or rate * asked.service_visits(service.name) >= LEAST_VISITS)
    ]


def plan(
    mesh: Mesh,
    rng: np.random.Generator,
    seconds: float,
    rate: float,
    kinds: Sequence[str] = KINDS,
    *,
    warmup_s: float = 1800.0,
    spacing_s: float = 1500.0,
    quiet_end_s: float = 900.0,
) -> list[Fault]:
    """Draw as many faults as fit, each kind once before any comes again.

    Parameters
    ----------
    mesh, rng
        Whom to hit, and the generator that decides.
    seconds, rate
        Length of the simulation and its mean requests per second.
    kinds
        Kinds to choose from.
    warmup_s, spacing_s, quiet_end_s
        Quiet before the first fault, mean time from start to start (at least 900), and quiet after the last, in
        seconds.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise ValueError(f"no fault kind {unknown[0]!r}: there are {', '.join(KINDS)}")
    if spacing_s < 900.0:
        raise ValueError(f"spacing_s is {spacing_s}: faults need at least 900 s from start to start to be told apart")
    faults: list[Fault] = []
    deck: list[str] = []
    at = warmup_s + float(rng.uniform(0.0, 0.2 * spacing_s))
    previous = ""
    while kinds:
        if not deck:
            deck = [kinds[int(i)] for i in rng.permutation(len(kinds))]
        kind = deck.pop()
        duration = float(rng.integers(60, 121)) * STEP
        if kind == "memory_leak":
            duration = max(duration, 480.0)
        if at + duration + quiet_end_s > seconds:
            break
        fitting = [name for name in targets(mesh, kind, rate) if name != previous]
        if fitting:
            previous = fitting[int(rng.integers(len(fitting)))]
            faults.append(checked(mesh, _draw(mesh, rng, Fault(kind, at, duration, previous))))
        at += max(900.0, duration + 480.0, spacing_s * float(rng.uniform(0.8, 1.2)))
    return faults


def _draw(mesh: Mesh, rng: np.random.Generator, fault: Fault) -> Fault:
    """Strength and details of a planned fault."""
    service = mesh.by_name[fault.service]
    ranges = {
        "cpu": (0.55, 0.85),
        "memory_leak": (0.35, 0.5),
        "code_error": (0.5, 1.0),
        "log_storm": (80.0, 200.0),
        "gc_pause": (1.5, 4.0),
    }
    if fault.kind in ranges:
        fault = replace(fault, strength=float(rng.uniform(*ranges[fault.kind])))
    if fault.kind == "edge_latency":
        callers = [caller for caller, callee in mesh.edges() if callee == service.name]
        one = rng.random() < 0.3
        caller = callers[int(rng.integers(len(callers)))] if one else ""
        fault = replace(fault, strength=float(np.exp(rng.uniform(np.log(0.05), np.log(0.4)))), caller=caller)
    if fault.kind == "bad_deploy":
        slow, canary = rng.random() < 0.4, rng.random() < 0.4
        strength = float(rng.uniform(3.0, 8.0)) if slow else float(rng.uniform(0.3, 0.9))
        replicas = 1 if canary and service.replicas > 1 else 0
        fault = replace(fault, strength=strength, mode="slow" if slow else "errors", replicas=replicas)
    return fault


def _suits(mesh: Mesh, service: Service, kind: str, asked: Demand) -> bool:
    called = any(callee == service.name for _, callee in mesh.edges())
    queued = any(
        call.queued and call.service == service.name
        for other in mesh.services
        for operation in other.operations
        for step in operation.steps
        for call in ([step] if isinstance(step, Call) else step.calls if isinstance(step, Parallel) else [])
    )
    if kind in ("memory_leak", "gc_pause"):
        return service.runtime == "jvm"
    if kind in ("code_error", "bad_deploy", "log_storm"):
        return service.traced
    if kind == "edge_latency":
        return called and not queued
    if kind == "dependency_down":
        calls_others = any(caller == service.name for caller, _ in mesh.edges())
        return called and not queued and not calls_others
    if kind == "lost_pod":
        return service.replicas > 1
    return asked.service_visits(service.name) > 0.0


def _busiest(mesh: Mesh, service: Service) -> str:
    visits = demand(mesh).visits
    return max(service.operations, key=lambda operation: visits.get((service.name, operation.name), 0.0)).name
