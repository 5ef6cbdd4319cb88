"""Which faults there are and when: kinds, targets and strengths drawn from a seed in, a plan of faults out.

A plan leaves the engine history to learn from (``warmup_s``), keeps faults apart, ends in quiet, and aims only at
services that see enough requests for anybody to notice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from aiops.simulate.kinds import (
    ALL_KINDS,
    DEPLOYED,
    DISTURBANCES,
    KINDS,
    RANGES,
    USUAL,
    quiet_edges,
    targets,
    tolerant_callers,
)
from aiops.simulate.mesh import Mesh, Service, demand
from aiops.simulate.pods import STEP


@dataclass(frozen=True, slots=True)
class Fault:
    """One injected fault, or a disturbance.

    Parameters
    ----------
    kind
        One of ``kinds.ALL_KINDS`` or ``kinds.DISTURBANCES``.
    start, duration
        Seconds since the start of the simulation; the start is taken down to a whole step.
    service
        The culprit.  ``edge_latency``, ``quiet_edge``: the callee; ``dependency_down``: the dependency;
        ``pool_exhausted``: the service whose pool it is; ``third_party``: the external peer; a kind on a host: a service
        that has a replica there.
    strength
        ``cpu``, ``batch_cpu``: share of the limit that is eaten; ``memory_leak``, ``late_leak``: share of the duration
        after which memory is exhausted; ``edge_latency``, ``quiet_edge``: one-way delay in seconds; ``code_error``,
        ``bad_deploy`` with mode ``errors``: probability that the path throws; ``bad_deploy`` with mode ``slow``: factor
        on service time; ``log_storm``: lines a second; ``gc_pause``: seconds a pause; ``retry_storm``: attempts of
        each call at mean load; ``pool_exhausted``, ``disk_full``: seconds until nothing is left; ``cascade``: seconds
        a statement;
        ``overload``: work that comes, as a multiple of what can be done; ``third_party``: probability of an error, or
        seconds of an answer with mode ``slow``; ``slow_dns``: seconds a lookup; ``noisy_neighbour``: share of the host
        that is taken; ``error_bursts``: probability that a call in a burst fails; ``surge``: users that come in
        addition, as a share of the mean; ``debug_logs``: lines a request; ``sampling``: share of traces kept;
        ``clock_skew``: seconds.  0 is the usual strength of the kind.
    caller
        Kinds on an edge: only calls from this service are hit; empty: all calls.
    operation
        ``code_error`` and ``bad_deploy``: which operation throws; empty: the busiest.
    mode
        ``bad_deploy``: ``errors`` or ``slow``; ``third_party``: likewise; ``partition``: ``services`` or ``zone``;
        ``certificate_expired``: ``tls`` or ``auth``.
    replicas
        ``bad_deploy``: how many replicas get the new version; 0 is all.
    host
        Kinds on a host: which; empty: that of the first replica of the service.
    others
        ``partition`` with mode ``services``: what is cut off together with the service.
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
    host: str = ""
    others: tuple[str, ...] = ()

    @property
    def end(self) -> float:
        """Seconds since the start at which it is over."""
        return self.start + self.duration


MODES = {
    "bad_deploy": ("errors", "slow"),
    "third_party": ("errors", "slow"),
    "partition": ("services", "zone"),
    "certificate_expired": ("tls", "auth"),
}
"""The modes of a kind, the usual one first."""

_SLOW = {"bad_deploy": 5.0, "third_party": 3.0}
TAKE_TIME = {"memory_leak": 480.0, "late_leak": 1500.0}
"""Shortest drawn duration of kinds that take their time, in seconds."""


def checked(mesh: Mesh, fault: Fault) -> Fault:
    """The fault with its defaults filled in and on a step; an error says what is wrong with it."""
    if fault.kind not in ALL_KINDS + DISTURBANCES:
        raise ValueError(f"no fault kind {fault.kind!r}: there are {', '.join(ALL_KINDS + DISTURBANCES)}")
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
        raise ValueError(f"{fault.kind}: {fault.caller!r} never calls {fault.service!r}")
    modes = MODES.get(fault.kind, ("",))
    mode = fault.mode or modes[0]
    if mode not in modes:
        raise ValueError(f"{fault.kind} has no mode {mode!r}: it has {', '.join(modes)}")
    unknown = [name for name in fault.others if name not in mesh.by_name]
    if unknown:
        raise ValueError(f"{fault.kind}: the mesh has no service {unknown[0]!r}: it has {', '.join(mesh.by_name)}")
    hosts = [f"node-{at + 1}" for at in range(mesh.nodes)]
    if fault.host and fault.host not in hosts:
        raise ValueError(f"{fault.kind}: the mesh has no host {fault.host!r}: it has {', '.join(hosts)}")
    operation, caller = fault.operation, fault.caller
    if fault.kind in ("code_error", "bad_deploy"):
        operation = operation or _busiest(mesh, mesh.by_name[fault.service])
        mesh.operation(fault.service, operation)
    if fault.kind == "quiet_edge" and not caller:
        caller = [caller for caller, callee in quiet_edges(mesh) if callee == fault.service][-1]
    if fault.kind == "error_bursts" and not caller:
        caller = tolerant_callers(mesh, fault.service)[0]
    strength = fault.strength or (_SLOW[fault.kind] if mode == "slow" else USUAL.get(fault.kind, 1.0))
    start = fault.start // STEP * STEP
    return replace(fault, start=start, strength=strength, mode=mode, operation=operation, caller=caller)


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
    unknown = [kind for kind in kinds if kind not in ALL_KINDS]
    if unknown:
        raise ValueError(f"no fault kind {unknown[0]!r}: there are {', '.join(ALL_KINDS)}")
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
        duration = max(float(rng.integers(60, 121)) * STEP, TAKE_TIME.get(kind, 0.0))
        if at + duration + quiet_end_s > seconds:
            break
        fitting = [name for name in targets(mesh, kind, rate) if name != previous]
        if fitting:
            previous = fitting[int(rng.integers(len(fitting)))]
            faults.append(drawn(mesh, rng, Fault(kind, at, duration, previous)))
        at += max(900.0, duration + 480.0, spacing_s * float(rng.uniform(0.8, 1.2)))
    return faults


def drawn(mesh: Mesh, rng: np.random.Generator, fault: Fault) -> Fault:
    """The fault with a strength and details that the generator decides, checked."""
    service = mesh.by_name[fault.service]
    if fault.kind in RANGES:
        fault = replace(fault, strength=float(rng.uniform(*RANGES[fault.kind])))
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
    if fault.kind == "third_party":
        slow = rng.random() < 0.5
        strength = float(rng.uniform(2.0, 6.0)) if slow else float(rng.uniform(0.5, 1.0))
        fault = replace(fault, strength=strength, mode="slow" if slow else "errors")
    if fault.kind in ("partition", "certificate_expired"):
        fault = replace(fault, mode=MODES[fault.kind][int(rng.random() < 0.4)])
    if fault.kind == "partition" and fault.mode == "services":
        below = sorted(callee for caller, callee in mesh.edges() if caller == service.name)
        kept = [name for name in below if mesh.by_name[name].traced and rng.random() < 0.5]
        fault = replace(fault, others=tuple(kept))
    return checked(mesh, fault)


def announced(faults: Sequence[Fault]) -> list[Fault]:
    """Those of some faults that a change brings."""
    return [fault for fault in faults if fault.kind in DEPLOYED]


def _busiest(mesh: Mesh, service: Service) -> str:
    visits = demand(mesh).visits
    return max(service.operations, key=lambda operation: visits.get((service.name, operation.name), 0.0)).name
