"""The vocabulary a service mesh is described in, and what load a description implies; it guarantees that names resolve.

A mesh is data: services with operations, operations with steps, journeys of users through the gateway.  Nothing here
knows about time, chance or telemetry formats; ``requests`` turns a description into something that can be run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

LogStyle = Literal["plain", "json", "logfmt"]
Severity = Literal["DEBUG", "INFO", "WARN", "ERROR"]
Runtime = Literal["jvm", "native", "database", "cache", "external"]


@dataclass(frozen=True, slots=True)
class Work:
    """Time a service spends by itself: log-normal around a median, stretched when its processor is busy.

    Parameters
    ----------
    median_ms
        Median duration on an idle processor.
    sigma
        Standard deviation of the natural logarithm of the duration.
    cpu
        Share of the median that is processor time; only this share grows with utilisation.
    """

    median_ms: float
    sigma: float = 0.3
    cpu: float = 0.7


@dataclass(frozen=True, slots=True)
class Log:
    """A log line at this point of an operation; ``{words}`` in the text name kinds of values (see ``text``)."""

    text: str
    severity: Severity = "INFO"


@dataclass(frozen=True, slots=True)
class Call:
    """A synchronous call with a CLIENT span around it, or (``queued``) a message that is worked on afterwards.

    Parameters
    ----------
    service, operation
        Whom to call.  For a database or cache the operation is a statement; such a service emits no spans of its own.
    required
        Whether the caller fails when the call does; otherwise it logs a warning and goes on without.
    attempts
        How often the call is tried before it counts as failed.
    """

    service: str
    operation: str
    required: bool = True
    attempts: int = 1
    queued: bool = False


@dataclass(frozen=True, slots=True)
class Parallel:
    """Calls that start together; the step ends with the last of them."""

    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Internal:
    """An INTERNAL span around steps."""

    name: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Chance:
    """Either of two branches: a cache that hits or not, an optional feature."""

    probability: float
    then: tuple[Step, ...]
    otherwise: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Refuse:
    """With a small probability the operation ends here for a reason that everybody is used to.

    ``failed`` makes it a server error (status 500, an error span), otherwise it is the client's (402, 404).
    """

    probability: float
    text: str
    failed: bool = False


Step = Work | Log | Call | Parallel | Internal | Chance | Refuse


@dataclass(frozen=True, slots=True)
class Operation:
    """What a service does for one kind of request; ``name`` is the name of its SERVER span or statement."""

    name: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Service:
    """A deployable unit with its replicas.

    Parameters
    ----------
    memory_mb
        Memory limit of one replica, in MiB.
    style
        How it writes its log lines.
    runtime
        ``jvm`` and ``native`` services emit spans; ``database`` and ``cache`` only metrics and logs; ``external`` is
        somebody else's and emits nothing: it is seen only in the spans of those who call it.
    """

    name: str
    replicas: int
    operations: tuple[Operation, ...]
    style: LogStyle = "plain"
    runtime: Runtime = "jvm"
    memory_mb: int = 512

    @property
    def traced(self) -> bool:
        """Whether it emits spans of its own."""
        return self.runtime in ("jvm", "native")


@dataclass(frozen=True, slots=True)
class Journey:
    """An entry operation of the gateway and its weight among all requests."""

    operation: str
    weight: float


@dataclass(frozen=True, slots=True)
class Mesh:
    """A whole system: the first service is the gateway, where every request enters.

    ``nodes`` hosts carry the pods; ``hourly_job`` names a service that does something heavy for a minute each hour.
    ``rich``: requests queue where a pod has more work than it can do, connections to databases come from pools, and
    pools and disks are measured; without it the mesh is as the first version of the simulator was, byte for byte.
    """

    services: tuple[Service, ...]
    journeys: tuple[Journey, ...]
    nodes: int = 5
    hourly_job: str = ""
    name: str = "shop"
    rich: bool = False
    by_name: dict[str, Service] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {service.name: service for service in self.services})
        for service in self.services:
            for operation in service.operations:
                for call in calls_of(operation.steps):
                    self.operation(call.service, call.operation)
        for journey in self.journeys:
            self.operation(self.services[0].name, journey.operation)

    def operation(self, service: str, name: str) -> Operation:
        """The named operation; an error names what does not exist."""
        if service not in self.by_name:
            raise ValueError(f"the mesh has no service {service!r}; it has {', '.join(self.by_name)}")
        for operation in self.by_name[service].operations:
            if operation.name == name:
                return operation
        raise ValueError(f"service {service!r} has no operation {name!r}")

    def edges(self) -> list[tuple[str, str]]:
        """Who calls whom, sorted and without repeats."""
        return sorted({(caller, call.service) for caller, call in all_calls(self)})


def calls_of(steps: tuple[Step, ...]) -> Iterator[Call]:
    """Every call that the steps may make, in order."""
    for step in steps:
        if isinstance(step, Call):
            yield step
        elif isinstance(step, Parallel):
            yield from step.calls
        elif isinstance(step, Internal):
            yield from calls_of(step.steps)
        elif isinstance(step, Chance):
            yield from calls_of(step.then + step.otherwise)


def all_calls(mesh: Mesh) -> list[tuple[str, Call]]:
    """Every call of the mesh with the name of its caller, in order of the description."""
    return [
        (service.name, call)
        for service in mesh.services
        for operation in service.operations
        for call in calls_of(operation.steps)
    ]


@dataclass(slots=True)
class Demand:
    """What one average request asks of the mesh.

    Attributes
    ----------
    visits
        Expected visits of each (service, operation).
    cpu_ms
        Expected processor milliseconds of each service.
    calls
        Expected calls over each edge, as (caller, callee).
    """

    visits: dict[tuple[str, str], float] = field(default_factory=dict)
    cpu_ms: dict[str, float] = field(default_factory=dict)
    calls: dict[tuple[str, str], float] = field(default_factory=dict)

    def service_visits(self, service: str) -> float:
        """Expected visits of all operations of a service."""
        return sum(n for (name, _), n in self.visits.items() if name == service)


def demand(mesh: Mesh) -> Demand:
    """Work out what an average request asks of every service, from the journeys down."""
    total = Demand(cpu_ms={service.name: 0.0 for service in mesh.services})
    weights = sum(journey.weight for journey in mesh.journeys)

    def visit(service: str, name: str, share: float) -> None:
        total.visits[service, name] = total.visits.get((service, name), 0.0) + share
        walk(service, mesh.operation(service, name).steps, share)

    def walk(service: str, steps: tuple[Step, ...], share: float) -> None:
        for step in steps:
            if isinstance(step, Work):
                total.cpu_ms[service] += share * step.median_ms * step.cpu
            elif isinstance(step, Call | Parallel):
                for call in calls_of((step,)):
                    edge = service, call.service
                    total.calls[edge] = total.calls.get(edge, 0.0) + share
                    visit(call.service, call.operation, share)
            elif isinstance(step, Internal):
                walk(service, step.steps, share)
            elif isinstance(step, Chance):
                walk(service, step.then, share * step.probability)
                walk(service, step.otherwise, share * (1.0 - step.probability))

    for journey in mesh.journeys:
        visit(mesh.services[0].name, journey.operation, journey.weight / weights)
    return total
