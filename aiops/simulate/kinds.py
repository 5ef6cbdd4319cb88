"""Every kind of fault and of disturbance by name: what it can hit, how strong it is; a mesh in, suitable services out.

A *fault* is what somebody must be told.  A *disturbance* is what happens beside faults and must not be blamed: work that
has room, a crowd that is welcome, telemetry that is missing, a change that touches nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from aiops.simulate.mesh import Demand, Mesh, Service, all_calls, demand

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
"""Kinds that ``faults="auto"`` draws from; what a seed gives must not change, so that others are no part of it."""

MORE_KINDS = (
    "quiet_edge",
    "retry_storm",
    "pool_exhausted",
    "cascade",
    "overload",
    "third_party",
    "slow_dns",
    "noisy_neighbour",
    "host_down",
    "partition",
    "certificate_expired",
    "disk_full",
    "late_leak",
)
ALL_KINDS = KINDS + MORE_KINDS
DISTURBANCES = (
    "error_bursts",
    "batch_cpu",
    "surge",
    "debug_logs",
    "missing_traces",
    "missing_logs",
    "sampling",
    "clock_skew",
    "decoy_deploy",
    "decoy_flag",
)
DEPLOYED = ("bad_deploy", "late_leak")
"""Kinds that a change brings."""

ON_HOSTS = ("noisy_neighbour", "host_down", "clock_skew")
"""Kinds that hit a host and everything on it."""

LEAST_VISITS = 0.12
"""Visits per second below which a service is no target."""

LEAST_CALLS = 0.03
"""Calls per second below which an edge is no target: nobody could see it within ten minutes."""

QUIET_SHARE = 0.25
"""Share of a mesh's edges, those with the fewest calls, that ``quiet_edge`` draws from."""

FIRST_TO_FAIL = 0.8
"""A crowd overloads a service whose load it multiplies by at least this share of what it does to any other."""

USUAL = {
    "cpu": 0.7,
    "memory_leak": 0.45,
    "edge_latency": 0.2,
    "code_error": 0.8,
    "bad_deploy": 0.6,
    "log_storm": 120.0,
    "gc_pause": 2.5,
    "quiet_edge": 0.25,
    "retry_storm": 6.0,
    "pool_exhausted": 60.0,
    "cascade": 5.0,
    "overload": 1.5,
    "third_party": 0.7,
    "slow_dns": 1.0,
    "noisy_neighbour": 0.75,
    "disk_full": 60.0,
    "late_leak": 0.6,
    "error_bursts": 0.6,
    "batch_cpu": 0.65,
    "surge": 0.6,
    "debug_logs": 6.0,
    "sampling": 0.3,
    "clock_skew": 7.0,
}
RANGES = {
    "cpu": (0.55, 0.85),
    "memory_leak": (0.35, 0.5),
    "code_error": (0.5, 1.0),
    "log_storm": (80.0, 200.0),
    "gc_pause": (1.5, 4.0),
    "quiet_edge": (0.1, 0.5),
    "retry_storm": (5.0, 8.0),
    "pool_exhausted": (30.0, 90.0),
    "cascade": (4.0, 7.0),
    "overload": (1.3, 2.0),
    "slow_dns": (0.5, 2.0),
    "noisy_neighbour": (0.65, 0.85),
    "disk_full": (30.0, 90.0),
    "late_leak": (0.5, 0.7),
    "error_bursts": (0.4, 0.8),
    "batch_cpu": (0.5, 0.7),
    "surge": (0.4, 0.8),
    "debug_logs": (4.0, 8.0),
    "sampling": (0.1, 0.5),
    "clock_skew": (2.0, 30.0),
}
"""Strengths of drawn faults: uniform between these."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A service of a mesh and what is asked of it; what the rules below look at."""

    mesh: Mesh
    service: Service
    demand: Demand

    @property
    def called(self) -> bool:
        """Does anybody call it and wait for the answer?"""
        calls = [call for _, call in all_calls(self.mesh) if call.service == self.service.name]
        return bool(calls) and not any(call.queued for call in calls)

    @property
    def calls(self) -> bool:
        """Does it call anybody?"""
        return any(caller == self.service.name for caller, _ in self.mesh.edges())

    @property
    def uses_database(self) -> bool:
        """Does it call a database?"""
        return any(
            caller == self.service.name and self.mesh.by_name[callee].runtime == "database"
            for caller, callee in self.mesh.edges()
        )

    @property
    def written(self) -> bool:
        """Does it hold data, and is any of its statements a write?"""
        names = [operation.name for operation in self.service.operations]
        return self.service.runtime == "database" and any(writes(name) for name in names)


def writes(statement: str) -> bool:
    """Whether a statement changes data.

    >>> writes("INSERT order"), writes("SELECT user")
    (True, False)
    """
    return statement.split(maxsplit=1)[0] in {"INSERT", "UPDATE", "DELETE"}


def _visited(a: Asked) -> bool:
    return a.service.runtime != "external" and a.demand.service_visits(a.service.name) > 0.0


def _jvm(a: Asked) -> bool:
    return a.service.runtime == "jvm"


def _traced(a: Asked) -> bool:
    return a.service.traced


def _entry(a: Asked) -> bool:
    return a.service is a.mesh.services[0]


def _behind_the_entry(a: Asked) -> bool:
    return a.called and a.service.traced and not _entry(a)


_RULES: dict[str, Callable[[Asked], bool]] = {
    "memory_leak": _jvm,
    "gc_pause": _jvm,
    "late_leak": _jvm,
    "code_error": _traced,
    "bad_deploy": _traced,
    "log_storm": _traced,
    "debug_logs": _traced,
    "missing_traces": _behind_the_entry,
    "missing_logs": _traced,
    "decoy_deploy": _traced,
    "decoy_flag": _traced,
    "edge_latency": lambda a: a.called and a.service.runtime != "external",
    "dependency_down": lambda a: a.called and not a.calls and a.service.runtime != "external",
    "lost_pod": lambda a: a.service.replicas > 1,
    "retry_storm": _behind_the_entry,
    "pool_exhausted": lambda a: a.uses_database,
    "cascade": lambda a: a.service.runtime == "database",
    "overload": lambda a: _behind_the_entry(a) and crowded(a.mesh, a.service.name) is not None,
    "third_party": lambda a: a.service.runtime == "external",
    "slow_dns": _entry,
    "surge": _entry,
    "sampling": _entry,
    "partition": _behind_the_entry,
    "certificate_expired": _behind_the_entry,
    "disk_full": lambda a: a.written,
    "error_bursts": lambda a: bool(tolerant_callers(a.mesh, a.service.name)),
}


def targets(mesh: Mesh, kind: str, rate: float | None) -> list[str]:
    """Services that a kind can hit, of those that see enough of ``rate`` requests per second (None: any)."""
    asked = demand(mesh)
    suits = _RULES.get(kind, _visited)
    if kind == "quiet_edge":
        called = {callee for _, callee in quiet_edges(mesh, rate)}
        return [service.name for service in mesh.services if service.name in called]
    return [
        service.name
        for service in mesh.services
        if suits(Asked(mesh, service, asked))
        and (rate is None or rate * asked.service_visits(service.name) >= LEAST_VISITS)
    ]


def quiet_edges(mesh: Mesh, rate: float | None = None) -> list[tuple[str, str]]:
    """The edges between services with spans that see the fewest calls, the fewest first; enough at ``rate`` to be seen."""
    rates = edge_rates(mesh)
    traced = [edge for edge in rates if all(mesh.by_name[name].traced for name in edge)]
    quiet = sorted(traced, key=lambda edge: (rates[edge], edge))[: max(1, int(QUIET_SHARE * len(traced)))]
    return [edge for edge in quiet if rate is None or rate * rates[edge] >= LEAST_CALLS]


def edge_rates(mesh: Mesh) -> dict[tuple[str, str], float]:
    """Expected calls of an average request over each edge on which the caller waits."""
    queued = {(caller, call.service) for caller, call in all_calls(mesh) if call.queued}
    return {edge: calls for edge, calls in demand(mesh).calls.items() if edge not in queued}


def tolerant_callers(mesh: Mesh, service: str) -> list[str]:
    """Callers that can do without an answer of the service, or try again, in order of name."""
    calls = [(caller, call) for caller, call in all_calls(mesh) if call.service == service and not call.queued]
    names = sorted({caller for caller, _ in calls})
    return [name for name in names if all(c.attempts > 1 or not c.required for caller, c in calls if caller == name)]


def crowded(mesh: Mesh, service: str) -> tuple[str, float] | None:
    """The journey with which a crowd would overload a service before, or hardly after, any other.

    Returns
    -------
    (str, float) or None
        The entry operation, and the share of the mean rate whose requests, all of this kind, ask as much of the service
        as all users usually do; None where every journey asks more of somebody else.
    """
    usual = demand(mesh).cpu_ms
    own = [name for name, ms in usual.items() if ms > 0.0 and mesh.by_name[name].runtime != "external"]
    best: tuple[float, str, float] | None = None
    for journey in mesh.journeys:
        asked = demand(replace(mesh, journeys=(journey,))).cpu_ms
        growth = {name: asked[name] / usual[name] for name in own}
        share = growth.get(service, 0.0) / max(growth.values())
        if share >= FIRST_TO_FAIL and (best is None or share > best[0]):
            best = share, journey.operation, 1.0 / growth[service]
    return best and best[1:]
