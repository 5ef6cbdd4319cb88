"""Runs requests: an arrival at the gateway in, spans and log lines in the buffers of the pods that worked on it out.

The mesh is compiled into steps that know their texts, so that a request costs little more than its random numbers and
its bytes.  Spans nest: a child lies within its parent, but for queued work and for a server that outlives its caller's
timeout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiops.simulate.calls import CallStep, ParallelStep
from aiops.simulate.emission import CONSUMER, SERVER, LogSite
from aiops.simulate.hindrances import Budget
from aiops.simulate.mesh import Call, Internal, Log, Mesh, Parallel, Refuse, Service, Severity, Work
from aiops.simulate.mesh import Step as Description
from aiops.simulate.operations import Endpoints, Program, Sources
from aiops.simulate.steps import ChanceStep, InternalStep, RefuseStep, Step, WorkStep
from aiops.simulate.text import body_maker


class Requests:
    """The compiled mesh.

    Parameters
    ----------
    mesh
        What to compile.
    endpoints
        For every service the pods that answer, kept up to date by the caller.
    sources
        Random values.
    """

    def __init__(self, mesh: Mesh, endpoints: Mapping[str, Endpoints], sources: Sources) -> None:
        self.calls: list[CallStep] = []
        self._mesh = mesh
        self._endpoints = endpoints
        self._sources = sources
        self._programs: dict[tuple[str, str], Program] = {}
        for service in mesh.services:
            for operation in service.operations:
                self._program(service.name, operation.name)
        self._gateway = endpoints[mesh.services[0].name]
        total = sum(journey.weight for journey in mesh.journeys)
        self._journeys: list[tuple[float, Program]] = []
        share = 0.0
        for journey in mesh.journeys:
            share += journey.weight / total
            self._journeys.append((share, self._program(mesh.services[0].name, journey.operation)))

    def run(self, t: float, choice: float) -> None:
        """Let a user's request arrive at ``t``; ``choice`` in [0, 1) says which journey it is."""
        pods = [pod for pod in self._gateway.ready if pod.alive and not pod.refusing]
        program = next((program for share, program in self._journeys if choice < share), self._journeys[-1][1])
        if pods:  # nobody sees a request that no gateway takes
            pod = pods[int(next(self._sources.uniform) * len(pods))]
            program.serve(pod, t, next(self._sources.traces), "")

    def programs(self, service: str) -> list[Program]:
        """The operations of a service."""
        return [program for (name, _), program in self._programs.items() if name == service]

    def journey_range(self, operation: str) -> tuple[float, float]:
        """The choices with which ``run`` makes a request for an entry operation."""
        low = 0.0
        for share, program in self._journeys:
            if program.name == operation:
                return low, share
            low = share
        raise ValueError(f"no journey enters by {operation!r}")

    def log_sites(self, service: str, texts: Sequence[str], severity: Severity) -> list[Step]:
        """Steps that write these lines in the way of a service."""
        return [self._site(self._mesh.by_name[service], text, severity) for text in texts]

    def _program(self, service: str, name: str, queued: bool = False) -> Program:
        if (service, name) in self._programs:
            return self._programs[service, name]
        owner = self._mesh.by_name[service]
        operation = self._mesh.operation(service, name)
        program = Program(owner, operation, CONSUMER if queued else SERVER, owner.style, self._sources)
        self._programs[service, name] = program
        program.steps = self._compile(owner, operation.steps)
        return program

    def _compile(self, owner: Service, steps: tuple[Description, ...]) -> list[Step]:
        return [self._step(owner, step) for step in steps]

    def _step(self, owner: Service, step: Description) -> Step:
        sources = self._sources
        if isinstance(step, Work):
            return WorkStep(step, sources.normal)
        if isinstance(step, Log):
            return self._site(owner, step.text, step.severity)
        if isinstance(step, Refuse):
            return RefuseStep(step, self._site(owner, step.text, "ERROR" if step.failed else "WARN"), sources.uniform)
        if isinstance(step, Call):
            return self._call(owner, step)
        if isinstance(step, Parallel):
            return ParallelStep([self._call(owner, call) for call in step.calls])
        if isinstance(step, Internal):
            return InternalStep(step.name, self._compile(owner, step.steps), sources.spans)
        return ChanceStep(
            step.probability,
            self._compile(owner, step.then),
            self._compile(owner, step.otherwise),
            sources.uniform,
        )

    def _site(self, owner: Service, text: str, severity: Severity) -> LogSite:
        return LogSite(body_maker(text, severity, "handler", owner.style, self._sources.pools), severity)

    def _call(self, owner: Service, call: Call) -> CallStep:
        program = self._program(call.service, call.operation, call.queued)
        pooled = self._mesh.rich and self._mesh.by_name[call.service].runtime == "database"
        budget = Budget() if self._mesh.rich else None
        step = CallStep(owner, call, self._endpoints[call.service], program, self._sources, pooled, budget)
        self.calls.append(step)
        return step
