"""State of pods and how it follows from what happens to them: load, noise and causes in, utilisation and slowness out.

A pod's processor time is counted by the requests that it works on; utilisation is that plus what faults and periodic
jobs take, and service times grow with utilisation as waiting times in a queue with two servers do.  Nothing here
decides what a detector will see: it only carries causes forward by one step of ``STEP`` seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from aiops.simulate.hindrances import Pool
from aiops.simulate.mesh import Service

STEP = 5.0
"""Seconds between two updates of state."""

LOAD_MEMORY_S = 30.0
TARGET_UTILISATION = 0.25
IDLE_UTILISATION = 0.06
MAX_RHO = 0.96
MAX_BACKLOG_S = 5.0
"""Seconds of waiting beyond which a pod drops what comes: less than a patient caller waits (``calls.TIMEOUT_S``)."""

FAIR_SHARE = 0.4
"""Share of its processors that a scheduler leaves a process, however much others ask for."""
DURATION_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Bounds of the duration histogram, in seconds: those that the OpenTelemetry conventions advise."""


@dataclass(slots=True)
class BrokenPath:
    """An operation that throws: with ``probability``, before its step number ``at``."""

    probability: float
    at: int


@dataclass(slots=True, eq=False)
class Node:
    """A host: its collector agent and its clock.

    Parameters
    ----------
    phase
        Seconds by which its agent's flushes lie after those of second 0.
    clock_offset_ns
        Added to every timestamp that is written on the host.
    stolen
        Share of the processors that other tenants take at the moment: it delays the pods and shows in no pod's metrics.
    neighbour
        Share that one noisy tenant takes beside that.
    alive
        Whether the host and its agent run.
    zone
        Zone that it says it is in; empty: it does not say.
    """

    name: str
    phase: float
    clock_offset_ns: int = 0
    noise: float = 0.0
    utilisation: float = 0.1
    stolen: float = 0.0
    stolen_until: float = 0.0
    neighbour: float = 0.0
    alive: bool = True
    zone: str = ""


@dataclass(slots=True, eq=False)
class Pod:
    """One replica.  Times are seconds since the start of the simulation; ``cores`` is its processor limit.

    ``epoch_ns`` is Unix nanoseconds of second 0 by the clock of its node; ``resource`` its resource as OTLP/JSON.
    """

    service: Service
    name: str
    node: Node
    version: str
    cores: float
    born: float
    scrape_phase: float
    epoch_ns: int = 0
    resource: str = ""

    # What faults, deploys and the scheduler do to it.
    alive: bool = True
    refusing: bool = False
    scraped: bool = True
    hog: float = 0.0
    leak: float = 0.0
    stretch: float = 1.0
    warm_at: float = -1.0
    job: float = 0.0
    batch: float = 0.0
    broken: dict[str, BrokenPath] = field(default_factory=dict)
    pauses: list[tuple[float, float]] = field(default_factory=list)
    back_at: float = math.inf

    # What follows.
    cpu_ms: float = 0.0
    load: float = 0.0
    noise: float = 0.0
    utilisation: float = IDLE_UTILISATION
    slow: float = 1.0
    heap: float = 0.0
    leaked: float = 0.0
    gc_seconds: float = 0.0
    gc_count: int = 0

    # In a rich mesh: work that waits (seconds), connections, and how full the disk is (share).
    queues: bool = False
    backlog: float = 0.0
    pools: dict[str, Pool] = field(default_factory=dict)
    disk: float = 0.5

    # What it counts since it was born.
    answered: int = 0
    refused: int = 0
    failed: int = 0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(DURATION_BOUNDS) + 1))
    duration_sum: float = 0.0
    bytes_in: float = 0.0
    bytes_out: float = 0.0

    # Telemetry that waits for the agent's next flushes, by number of flush.
    spans: dict[int, list[str]] = field(default_factory=dict)
    logs: dict[int, list[str]] = field(default_factory=dict)

    @property
    def memory(self) -> float:
        """Memory in use as a share of the limit; 1 is the end."""
        if self.service.runtime in ("database", "cache"):
            resident = 0.55
        elif self.service.runtime == "jvm":
            resident = 0.42
        else:
            resident = 0.3
        return resident + self.heap + self.leaked

    def pool(self, database: str) -> Pool:
        """Its connections to a database."""
        if database not in self.pools:
            self.pools[database] = Pool()
        return self.pools[database]

    def restart(self, now: float) -> None:
        """Begin a new process: everything counted starts at 0 and leaked memory is free again."""
        self.born = now
        self.alive = True
        self.back_at = math.inf
        self.heap = self.leaked = self.gc_seconds = self.duration_sum = 0.0
        self.gc_count = self.answered = self.refused = self.failed = 0
        self.buckets = [0] * len(self.buckets)
        self.pauses = []
        self.backlog = 0.0
        self.pools = {name: Pool() for name in self.pools}
        self.warm_at = now + WARM_UP_S


WARM_UP_S = 6.0
"""Seconds for which a new process is slower (cold caches, code not yet compiled)."""


def update(pod: Pod, now: float, noise: Iterator[float], chance: Iterator[float]) -> list[tuple[float, float]]:
    """Carry a pod from the step that ends at ``now`` to the next; what it counted in the step becomes its load.

    Parameters
    ----------
    pod
        Changed in place; ``cpu_ms`` is consumed.
    now
        Seconds since the start.
    noise, chance
        Standard normal and uniform numbers.

    Returns
    -------
    list of (float, float)
        Collections that stop the process in the next step: start and length in seconds.
    """
    pod.load += (pod.cpu_ms / (1000.0 * STEP) - pod.load) * (1.0 - math.exp(-STEP / LOAD_MEMORY_S))
    pod.noise = 0.85 * pod.noise + 0.012 * next(noise)
    allocated = pod.cpu_ms / (1000.0 * STEP * pod.cores)
    pod.cpu_ms = 0.0
    pod.pauses = [pause for pause in pod.pauses if pause[1] > now - 2.0 * STEP]
    if not pod.alive:
        pod.utilisation = pod.backlog = 0.0
        return []

    collections: list[tuple[float, float]] = []
    pressure = 0.0
    if pod.service.runtime == "jvm":
        pod.heap += 0.01 + 0.02 * allocated * (0.8 + 0.4 * next(chance))
        pod.leaked += pod.leak * STEP
        # A collector works the harder, the less room what cannot be freed leaves it.
        pressure = min(1.0, max(0.0, (pod.leaked - 0.2) / 0.36)) ** 2
        if pod.heap > 0.16 * (1.0 - pressure) + 0.005:
            length = 0.015 + 0.03 * next(chance) + 0.9 * pressure * (0.5 + next(chance))
            collections.append((now + STEP * next(chance), length))
            pod.heap = 0.01 * next(chance)
    else:
        pod.heap = max(0.0, min(0.2, pod.heap + 0.002 * next(noise)))

    hog = pod.hog * (1.0 + 0.06 * next(noise)) if pod.hog else 0.0
    total = IDLE_UTILISATION + pod.load / pod.cores + abs(pod.noise) + pod.job + hog + 0.55 * pressure
    if now < pod.warm_at:
        total += 0.25
    pod.utilisation = min(1.0, total + pod.batch)
    others = pod.node.stolen + pod.node.neighbour
    rho = min(MAX_RHO, total + others)
    pod.slow = 1.0 / (1.0 - rho * rho)
    if pod.queues:
        asked = pod.load / pod.cores
        room = max(FAIR_SHARE, 1.0 - (total - asked) - others)
        pod.backlog = min(MAX_BACKLOG_S, max(0.0, pod.backlog + STEP * (asked - room)))
        if pod.backlog:
            pod.utilisation = 1.0
    return collections


def pause(pod: Pod, start: float, length: float) -> None:
    """Stop the process from ``start`` for ``length`` seconds; work that is under way or comes ends that much later."""
    pod.pauses.append((start, start + length))
    pod.gc_seconds += length
    pod.gc_count += 1


def stalled(pod: Pod, start: float, end: float) -> float:
    """When work from ``start`` to ``end`` really ends, given the pauses of its process."""
    for begin, over in pod.pauses:
        if start < over and end > begin:
            end += over - max(begin, start)
    return end
