"""Faults at work: a plan in, changed causes in pods and edges out; what follows from them is left to the model.

Each kind touches only what it is about: a hog takes processor time, a leak takes memory, a delay lies on an edge.
Nothing here writes spans or metrics; log lines only where the faulty process itself would write them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from aiops.simulate import edge_faults, host_faults, strain
from aiops.simulate.faults import Fault
from aiops.simulate.host_faults import ENDPOINT_REMOVAL_S
from aiops.simulate.kinds import DEPLOYED
from aiops.simulate.mesh import Call, Parallel
from aiops.simulate.pods import STEP, BrokenPath, Pod, pause
from aiops.simulate.world import End, World

RESTART_S = 15.0
"""Seconds from an out-of-memory kill to the new process."""

LOST_PODS_REPLICA = 0
"""Which replica is lost; fixed, so that the truth can name it without a run."""

_BEGIN = edge_faults.KINDS | strain.KINDS | host_faults.KINDS


@dataclass(slots=True)
class _Storm:
    pods: list[Pod]
    rate: float
    fault: Fault


class Injection:
    """Brings faults about.

    Parameters
    ----------
    world
        The running system.
    rng
        Its own generator.
    """

    def __init__(self, world: World, rng: np.random.Generator) -> None:
        self._world = world
        self._mesh = world.mesh
        self._cluster = world.cluster
        self._requests = world.requests
        self._agenda = world.agenda
        self._journal = world.journal
        self._rng = rng
        self._storms: list[_Storm] = []
        self._pausing: dict[int, tuple[Pod, Fault, float]] = {}
        self._under_way: dict[Fault, End] = {}

    def enter(self, faults: list[Fault]) -> None:
        """Put faults and disturbances on the agenda; what a deploy brings comes with it (see ``Run``)."""
        for fault in faults:
            if fault.kind not in DEPLOYED and not fault.kind.startswith("decoy_"):
                self._agenda.at(fault.start, partial(self._begin, fault))
                self._agenda.at(fault.end, partial(self._end, fault))

    def spoil(self, pod: Pod, fault: Fault) -> None:
        """Give a pod the faulty version that a deploy brings."""
        if fault.kind == "late_leak":
            pod.leak = (1.0 - pod.memory) / (fault.strength * fault.duration)
        elif fault.mode == "slow":
            pod.stretch = fault.strength
        else:
            pod.broken[fault.operation] = BrokenPath(fault.strength, self._throws_at(fault))

    def step(self, begin: float) -> None:
        """Let go on what goes on by itself in [begin, begin + STEP): storms and pauses."""
        for storm in self._storms:
            for pod in storm.pods:
                count = int(self._rng.poisson(storm.rate * STEP / len(storm.pods)))
                for t in np.sort(begin + STEP * self._rng.random(count)).tolist():
                    self._journal.storm(pod, t)
        for key, (pod, fault, due) in list(self._pausing.items()):
            if due < begin + STEP:
                length = fault.strength * float(self._rng.uniform(0.8, 1.2))
                pause(pod, due, length)
                self._journal.collection(pod, due, length)
                self._pausing[key] = (pod, fault, due + length + float(self._rng.uniform(8.0, 16.0)))

    def exhaust(self, pod: Pod, now: float) -> None:
        """Kill a process that has used up its memory, and start it again a little later."""
        self._journal.out_of_memory(pod, now)
        pod.alive = False
        self._agenda.at(now + STEP, lambda _: self._cluster.route(pod.service.name))

        def back(at: float) -> None:
            if pod in self._cluster.replicas[pod.service.name] and pod.node.alive:
                pod.restart(at)
                self._journal.started(pod, at)
                self._cluster.route(pod.service.name)

        self._agenda.at(now + RESTART_S, back)

    def _begin(self, fault: Fault, now: float) -> None:
        if fault.kind in _BEGIN:
            self._under_way[fault] = _BEGIN[fault.kind](self._world, fault, now)
            return
        pods = self._cluster.replicas[fault.service]
        if fault.kind == "cpu":
            for pod in pods:
                pod.hog = fault.strength
        elif fault.kind == "memory_leak":
            for pod in pods:
                seconds = fault.strength * fault.duration * float(self._rng.uniform(0.9, 1.1))
                pod.leak = (1.0 - pod.memory) / seconds
        elif fault.kind == "edge_latency":
            self._delay(fault, fault.strength)
        elif fault.kind == "code_error":
            for pod in pods:
                pod.broken[fault.operation] = BrokenPath(fault.strength, self._throws_at(fault))
        elif fault.kind == "dependency_down":
            for pod in pods:
                pod.refusing = True
            self._journal.refusing(pods, now, fault.end)
        elif fault.kind == "lost_pod":
            pods[LOST_PODS_REPLICA].alive = False
            self._agenda.at(now + ENDPOINT_REMOVAL_S, lambda _: self._cluster.route(fault.service))
        elif fault.kind == "silent_metric":
            for pod in pods:
                pod.scraped = False
        elif fault.kind == "log_storm":
            self._storms.append(_Storm(list(pods), fault.strength, fault))
            for pod in pods:
                pod.job += 0.05  # writing lines costs something
        elif fault.kind == "gc_pause":
            for at, pod in enumerate(pods):
                self._pausing[id(pod)] = (pod, fault, now + at + float(self._rng.uniform(0.0, 8.0)))

    def _end(self, fault: Fault, now: float) -> None:
        if fault in self._under_way:
            self._under_way.pop(fault)(now)
            return
        pods = self._cluster.replicas[fault.service]
        if fault.kind == "edge_latency":
            self._delay(fault, 0.0)
        elif fault.kind == "lost_pod":
            _, new = self._cluster.swap(fault.service, LOST_PODS_REPLICA, pods[LOST_PODS_REPLICA].version, now)
            self._journal.started(new, now)
        elif fault.kind == "log_storm":
            self._storms = [storm for storm in self._storms if storm.fault is not fault]
            for pod in pods:
                pod.job -= 0.05
        elif fault.kind == "gc_pause":
            self._pausing = {key: entry for key, entry in self._pausing.items() if entry[1] is not fault}
        elif fault.kind == "memory_leak":
            # Somebody restarts what still runs with the leak: memory that leaked does not come back by itself.
            for pod in pods:
                pod.leak = 0.0
                if pod.alive:
                    pod.restart(now)
                    self._journal.started(pod, now)
        for pod in pods:
            if fault.kind == "cpu":
                pod.hog = 0.0
            elif fault.kind == "code_error":
                pod.broken.pop(fault.operation, None)
            elif fault.kind == "dependency_down":
                pod.refusing = False
            elif fault.kind == "silent_metric":
                pod.scraped = True

    def _delay(self, fault: Fault, seconds: float) -> None:
        for call in self._requests.calls:
            if call.callee == fault.service and fault.caller in ("", call.caller):
                call.delay = seconds

    def _throws_at(self, fault: Fault) -> int:
        """Number of the step before which the path throws: the first call, or the middle where it calls nobody."""
        steps = self._mesh.operation(fault.service, fault.operation).steps
        calls = (at for at, step in enumerate(steps) if isinstance(step, Call | Parallel))
        return next(calls, (len(steps) + 1) // 2)
