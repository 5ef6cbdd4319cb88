"""What faults act upon: the running parts of a simulation in one place, and the shape of a fault's beginning."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from aiops.simulate.agenda import Agenda
from aiops.simulate.calls import CallStep
from aiops.simulate.cluster import Cluster
from aiops.simulate.delivery import Delivery
from aiops.simulate.faults import Fault
from aiops.simulate.hindrances import Hindrance
from aiops.simulate.journal import Journal
from aiops.simulate.load import Crowd
from aiops.simulate.mesh import Mesh
from aiops.simulate.pods import STEP, Pod
from aiops.simulate.requests import Requests

End = Callable[[float], None]
"""Ends what a fault began; called with seconds since the start."""


@dataclass(frozen=True, slots=True)
class World:
    """The running system, and a generator for what faults draw."""

    mesh: Mesh
    cluster: Cluster
    requests: Requests
    agenda: Agenda
    journal: Journal
    delivery: Delivery
    crowd: Crowd
    rng: np.random.Generator

    def pods(self, service: str) -> list[Pod]:
        """The replicas of a service as they are now."""
        return self.cluster.replicas[service]

    def calls(self, fault: Fault) -> list[CallStep]:
        """The calls into the service of a fault, from its caller only where it names one."""
        return [c for c in self.requests.calls if c.callee == fault.service and fault.caller in ("", c.caller)]

    def hinder(self, calls: Iterable[CallStep], hindrance: Hindrance) -> End:
        """Lay something in the way of calls."""
        hindered = list(calls)
        for call in hindered:
            call.hinder(hindrance)

        def end(_: float) -> None:
            for call in hindered:
                call.clear(hindrance)

        return end

    def every_step(self, act: Callable[[float], None]) -> End:
        """Act now and at every step from now on."""
        going = [True]

        def again(now: float) -> None:
            if going[0]:
                act(now)
                self.agenda.at(now + STEP, again)

        def end(_: float) -> None:
            going[0] = False

        self.agenda.at(0.0, again)
        return end

    def restart(self, service: str, now: float) -> None:
        """Begin new processes in every pod that runs: what somebody does who wants it to be over."""
        for pod in self.pods(service):
            if pod.alive:
                pod.restart(now)
                self.journal.started(pod, now)


Begin = Callable[[World, Fault, float], End]
"""Lets a fault begin at a time; returns what ends it."""
