"""Short days with a lesson: a name and a seed in, a simulation with a known number of incidents out.

Each begins with 25 minutes in which nothing is wrong.  What a scenario expects is written down here, and a test holds it
against the truth, which counts incidents by a rule of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiops.simulate.chain import BANK, DATABASE
from aiops.simulate.draws import Streams
from aiops.simulate.faults import Fault
from aiops.simulate.kinds import quiet_edges
from aiops.simulate.mesh import Mesh
from aiops.simulate.meshes import mesh_named
from aiops.simulate.simulation import START_UNIX, Simulation

AT, FOR = 1500.0, 480.0
"""When the fault of a scenario begins, and how long it lasts, in seconds."""

Faults = Callable[[Mesh], list[Fault]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A short day.

    Parameters
    ----------
    lesson
        What is to be told, or not to be told.
    incidents
        How many incidents there should be.
    faults, disturbances
        What happens, in a given mesh.
    mesh
        Name of its mesh.
    minutes
        Length.
    zones
        Whether hosts say in which zone they are.
    """

    lesson: str
    incidents: int
    faults: Faults
    disturbances: Faults = lambda _: []
    mesh: str = "shop"
    minutes: float = 45.0
    zones: bool = False


def _one(kind: str, service: str, **details: object) -> Faults:
    return lambda _: [Fault(kind, AT, FOR, service, **details)]  # type: ignore[arg-type]


def _nothing(_: Mesh) -> list[Fault]:
    return []


def _beside(kind: str, service: str, start: float, duration: float, **details: object) -> Faults:
    return lambda _: [Fault(kind, start, duration, service, **details)]  # type: ignore[arg-type]


def _quiet_edge(mesh: Mesh) -> list[Fault]:
    caller, callee = quiet_edges(mesh, 2.0)[-1]
    return [Fault("quiet_edge", AT, FOR, callee, strength=0.3, caller=caller)]


SCENARIOS: dict[str, Scenario] = {
    "quiet-edge": Scenario("a slow network on an edge with few calls", 1, _quiet_edge, mesh="wide"),
    "retry-storm": Scenario("the trigger is over at once, the storm is not", 1, _one("retry_storm", "pricing")),
    "pool-exhausted": Scenario(
        "leaked connections look like a slow database", 1, _one("pool_exhausted", "orders"), mesh="chain"
    ),
    "cascade": Scenario(
        "database slow, pools full, callers time out, entry fails", 1, _one("cascade", DATABASE), mesh="chain"
    ),
    "background-errors": Scenario(
        "bursts that come all day are no incident",
        0,
        _nothing,
        _beside("error_bursts", "recommendation", 0.0, 3600.0),
        minutes=60.0,
    ),
    "background-errors-and-fault": Scenario(
        "bursts that come all day are not the cause",
        1,
        _one("code_error", "account"),
        _beside("error_bursts", "recommendation", 0.0, 2700.0),
    ),
    "batch": Scenario("a processor at its limit harms nobody", 0, _nothing, _beside("batch_cpu", "search", AT, FOR)),
    "sale": Scenario("more users than usual, and room for them", 0, _nothing, _beside("surge", "gateway", AT, FOR)),
    "sale-too-big": Scenario("more users than there is room for", 1, _one("overload", "search")),
    "debug-logs": Scenario(
        "many more lines by a change of level", 0, _nothing, _beside("debug_logs", "catalog", AT, FOR)
    ),
    "two-unrelated": Scenario(
        "two faults that have nothing to do with each other",
        2,
        lambda _: [Fault("dependency_down", AT, FOR, "catalog-db"), Fault("cpu", AT + 60.0, FOR, "shipping", 0.85)],
    ),
    "two-related": Scenario(
        "two faults on one way of calls",
        1,
        lambda _: [
            Fault("cpu", AT, FOR, "ledger", 0.8),
            Fault("edge_latency", AT + 60.0, FOR, "stock", 0.3),
        ],
        mesh="chain",
    ),
    "third-party": Scenario("somebody else's service fails", 1, _one("third_party", BANK, mode="errors"), mesh="chain"),
    "slow-dns": Scenario("everything is slow now and then", 1, _one("slow_dns", "gateway")),
    "noisy-host": Scenario(
        "what is slow has nothing in common but the host", 1, _one("noisy_neighbour", "gateway"), mesh="wide"
    ),
    "host-down": Scenario("a host is gone with all that ran on it", 1, _one("host_down", "gateway"), mesh="wide"),
    "zone-partition": Scenario(
        "half of the hosts do not reach the others",
        1,
        _one("partition", "orders", mode="zone"),
        mesh="chain",
        zones=True,
    ),
    "service-partition": Scenario(
        "a group of services is cut off", 1, _one("partition", "inventory", others=("orders-db",))
    ),
    "certificate": Scenario("nobody is let in any more", 1, _one("certificate_expired", "inventory")),
    "disk-full": Scenario("reads go on, writes fail", 1, _one("disk_full", "orders-db")),
    "late-leak": Scenario(
        "the deploy is the cause and shows late",
        1,
        lambda _: [Fault("late_leak", AT, 2100.0, "search")],
        minutes=75.0,
    ),
    "decoy-changes": Scenario(
        "a deploy and a flag elsewhere, minutes before",
        1,
        _one("code_error", "payment"),
        lambda _: [
            Fault("decoy_deploy", AT - 150.0, 60.0, "recommendation"),
            Fault("decoy_flag", AT - 60.0, 60.0, "search"),
        ],
    ),
    "missing-traces": Scenario(
        "the culprit sends no spans",
        1,
        _one("cpu", "pricing", strength=0.8),
        _beside("missing_traces", "pricing", 1200.0, 1400.0),
    ),
    "missing-logs": Scenario(
        "the culprit sends no logs",
        1,
        _one("code_error", "checkout"),
        _beside("missing_logs", "checkout", 1200.0, 1400.0),
    ),
    "sampling": Scenario("fewer traces are no fewer requests", 0, _nothing, _beside("sampling", "gateway", AT, 900.0)),
    "sampled-fault": Scenario(
        "a slow edge seen in few traces",
        1,
        _one("edge_latency", "inventory", strength=0.3),
        _beside("sampling", "gateway", 1000.0, 1700.0),
    ),
    "clock-skew": Scenario(
        "a host is some seconds late",
        1,
        _one("cpu", "catalog", strength=0.8),
        _beside("clock_skew", "catalog", 1200.0, 1400.0),
    ),
}


def simulate_scenario(
    name: str,
    seed: int,
    rate: float = 3.0,
    start_unix: float = START_UNIX,
    environment: str = "production",
    alerts: bool = False,
) -> Simulation:
    """The simulation of a scenario; another seed gives other users, pods and changes, and another chain or fan-out.

    Parameters
    ----------
    name
        One of ``SCENARIOS``.
    seed, rate, start_unix, environment, alerts
        See ``Simulation``.
    """
    if name not in SCENARIOS:
        raise ValueError(f"no scenario {name!r}: there are {', '.join(SCENARIOS)}")
    scenario = SCENARIOS[name]
    mesh = mesh_named(scenario.mesh, Streams(seed).generator("mesh"))
    return Simulation(
        seed,
        scenario.minutes / 60.0,
        scenario.faults(mesh) or None,
        rate=rate,
        start_unix=start_unix,
        wrong_clock=False,
        environment=environment,
        mesh=mesh,
        disturbances=scenario.disturbances(mesh) or None,
        day=f"{name}-{seed}",
        alerts=alerts,
        zones=scenario.zones,
    )


def listing() -> str:
    """All scenarios as a table."""
    lines = [f"{'scenario':28s} {'mesh':6s} {'min':>4s} {'incidents':>9s}  lesson"]
    for name, one in SCENARIOS.items():
        lines.append(f"{name:28s} {one.mesh:6s} {one.minutes:4.0f} {one.incidents:9d}  {one.lesson}")
    return "\n".join(lines)
