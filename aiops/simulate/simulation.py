"""A simulated stretch of time of a service mesh: seed and length in; telemetry, truth, context and changes out.

Everything is decided by the arguments: truth, context and changes are known without a run, and each run of ``batches``
gives the same bytes.

Examples
--------
>>> simulation = Simulation(seed=1, hours=3.0)
>>> [fault["kind"] for fault in simulation.truth()["faults"]]
['gc_pause', 'code_error', 'cpu', 'bad_deploy', 'lost_pod']
>>> signal, line = next(iter(simulation.batches()))
>>> signal, line[:20]
('traces', b'{"resourceSpans":[{"')
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

from aiops.simulate.changes import plan_changes
from aiops.simulate.cluster import Cluster
from aiops.simulate.company import with_company
from aiops.simulate.disturbances import plan_disturbances
from aiops.simulate.draws import Streams
from aiops.simulate.faults import Fault, checked, plan
from aiops.simulate.kinds import ALL_KINDS, DISTURBANCES, KINDS, ON_HOSTS, targets
from aiops.simulate.mesh import Mesh, demand
from aiops.simulate.meshes import mesh_named
from aiops.simulate.pods import STEP
from aiops.simulate.run import Run
from aiops.simulate.truth import Hosts, Plan, alert_rows, decoy_rows, fault_rows, touched

START_UNIX = 1_740_988_800
"""2025-03-03T08:00:00Z, a Monday: the default start."""

_HOUR_NS = 3600 * 10**9
_WRONG_CLOCKS_NS = (3 * _HOUR_NS, -2 * _HOUR_NS, 6 * 365 * 24 * _HOUR_NS, -400 * 24 * _HOUR_NS)

Signal = str
"""``metrics``, ``traces``, ``logs``, ``changes`` or ``alerts``."""


class Simulation:
    """Telemetry of a mesh with faults whose truth is known.

    Parameters
    ----------
    seed
        At least 0.  Different seeds place pods, draw traffic and plan faults differently.
    hours
        Length.
    faults
        ``auto``: drawn from the seed out of ``kinds.KINDS``, every kind once before any comes again; ``all``: likewise out
        of every kind that can hit this mesh; a sequence of kinds: drawn from those; a sequence of ``Fault``: exactly
        those; None: none.
    rate
        Mean requests per second over a day.
    start_unix
        Unix seconds of the first request, taken down to a whole step.
    fault_free
        No faults whatever ``faults`` says.
    wrong_clock
        True: the clock of one host is wrong by a constant that the seed chooses; a number: by so many seconds; False:
        all clocks are right.
    warmup_s, spacing_s
        Quiet before the first drawn fault, and mean time from start to start (at least 900), in seconds.
    change_spacing_s
        Mean time between harmless changes, in seconds.
    weekly
        Whether weekends are quieter.
    environment
        ``deployment.environment.name`` of everything.
    mesh
        What is simulated: a description, or one of ``meshes.MESHES``, which the seed then varies.  It is made rich where
        other faults than ``kinds.KINDS`` or disturbances are asked for.
    disturbances
        What happens beside the faults and must not be blamed: ``all``, kinds, or exactly those; None: nothing.
    company
        Share of drawn faults beside which a second one begins.
    day
        Name of the day in the truth; the default names the seed.
    alerts
        Whether an Alertmanager with ordinary rules sends alerts beside the telemetry.
    zones
        Whether hosts, of which every other one is in another zone, say so.
    """

    def __init__(
        self,
        seed: int,
        hours: float,
        faults: Literal["auto", "all"] | Sequence[Fault] | Sequence[str] | None = "auto",
        *,
        rate: float = 2.0,
        start_unix: float = START_UNIX,
        fault_free: bool = False,
        wrong_clock: bool | float = True,
        warmup_s: float = 1800.0,
        spacing_s: float = 1500.0,
        change_spacing_s: float = 2400.0,
        weekly: bool = False,
        environment: str = "production",
        mesh: Mesh | str = "shop",
        disturbances: Literal["all"] | Sequence[Fault] | Sequence[str] | None = None,
        day: str = "",
        company: float = 0.0,
        alerts: bool = False,
        zones: bool = False,
    ) -> None:
        if not 0.0 < hours <= 24 * 366:
            raise ValueError(f"hours is {hours}: it must be above 0 and at most {24 * 366}")
        if not 0.0 < rate <= 1000.0:
            raise ValueError(f"rate is {rate}: it must be above 0 and at most 1000 requests per second")
        self._streams = Streams(seed)
        self.mesh = mesh_named(mesh, self._streams.generator("mesh")) if isinstance(mesh, str) else mesh
        self.seed = seed
        self._day = day or f"simulated-{seed}"
        self.rate = rate
        self.environment = environment
        self.seconds = hours * 3600.0 // STEP * STEP
        self.start_unix = int(start_unix // STEP * STEP)
        self._weekly = weekly
        self.alerts = alerts
        self.zones = zones
        self._warmup_s = warmup_s
        self._spacing_s = spacing_s
        clock = self._streams.generator("wrong clock")
        drawn = _WRONG_CLOCKS_NS[int(clock.integers(len(_WRONG_CLOCKS_NS)))]
        self.wrong_clock_ns = drawn * wrong_clock if isinstance(wrong_clock, bool) else int(wrong_clock * 10**9)
        self.faults = [] if fault_free or faults is None else self._faults(faults)
        self.disturbances = [] if disturbances is None else self._disturbances(disturbances)
        hosts = self._hosts() if any(one.kind in ON_HOSTS for one in self.faults + self.disturbances) else {}
        self.faults = [self._placed(fault, hosts) for fault in self.faults]
        if company:
            rng, kinds = self._streams.generator("company"), self._drawn_from(faults)
            self.faults = with_company(self.mesh, rng, self.faults, rate, kinds, company, hosts)
        self.disturbances = [self._placed(one, hosts) for one in self.disturbances]
        if any(one.kind not in KINDS for one in self.faults + self.disturbances):
            self.mesh = replace(self.mesh, rich=True)
        changes = plan_changes(
            self.mesh,
            self._streams.generator("changes"),
            self.faults,
            self.seconds,
            change_spacing_s,
            self.disturbances,
            lambda fault: touched(self.mesh, fault, hosts) if fault.host else {fault.service, *fault.others},
        )
        self._plan = Plan(self.mesh, seed, self.start_unix, environment, self.faults, self.disturbances, changes, hosts)

    def kinds(self) -> list[str]:
        """The kinds of fault that can hit this mesh."""
        return [kind for kind in ALL_KINDS if targets(self.mesh, kind, self.rate)]

    def plan(self, kinds: Sequence[str] = KINDS) -> list[Fault]:
        """The faults that the seed draws from some kinds, in order of time."""
        return plan(
            self.mesh,
            self._streams.generator("plan"),
            self.seconds,
            self.rate,
            kinds,
            warmup_s=self._warmup_s,
            spacing_s=self._spacing_s,
        )

    def truth(self) -> dict[str, Any]:
        """What was injected, in the form of ``truth.json`` (see ``truth``)."""
        faults = fault_rows(self._plan)
        return {
            "environment": self.environment,
            "day": self._day,
            "seed": self.seed,
            "wrong_clock_offset_s": self.wrong_clock_ns // 10**9,
            "faults": faults,
            "mesh": self.mesh.name,
            "expected_incidents": len({row["incident_group"] for row in faults}),
            "decoys": decoy_rows(self._plan),
        }

    def context(self) -> dict[str, Any]:
        """Hours, services and who calls whom, in the form of ``context.json``."""
        return {
            "start_unix": float(self.start_unix),
            "end_unix": float(self.start_unix + self.seconds),
            "services": sorted(self.mesh.by_name),
            "calls": [list(edge) for edge in self.mesh.edges()],
        }

    def changes(self) -> list[dict[str, str | None]]:
        """Every change, harmless or not, in order of time."""
        return [change.row(self.seed, self.start_unix * 10**9, self.environment) for change in self._plan.changes]

    def alert_rows(self, lines: Iterable[bytes]) -> list[dict[str, Any]]:
        """Each alert among some lines once, with the incident that it comes of; an empty one where it comes of no fault."""
        return alert_rows(self._plan, lines)

    def batches(self) -> Iterator[tuple[Signal, bytes]]:
        """Run the mesh; yields a signal and one line of JSON, without its end, in order of arrival."""
        for _, signal, line in self.arrivals():
            yield signal, line

    def arrivals(self) -> Iterator[tuple[int, Signal, bytes]]:
        """As ``batches``, each line with its time of arrival by a right clock, in Unix ns."""
        start_ns = self.start_unix * 10**9
        for _, lines in self.run().steps():
            for t, signal, line in lines:
                yield start_ns + int(t * 1e9), signal, line

    def run(self) -> Run:
        """A run that can be looked into while it goes on: pods, endpoints, state."""
        return Run(
            self.mesh,
            self.seed,
            self.seconds,
            self.rate,
            self.start_unix,
            self.environment,
            [*self.faults, *self.disturbances],
            self._plan.changes,
            self.wrong_clock_ns,
            self._weekly,
            self.alerts,
            self.zones,
        )

    def _faults(self, faults: Literal["auto", "all"] | Sequence[Fault] | Sequence[str]) -> list[Fault]:
        if isinstance(faults, str) and faults not in ("auto", "all"):
            raise ValueError(f"faults is {faults!r}: it is 'auto', 'all', None, a list of kinds or a list of Fault")
        given = [fault for fault in faults if isinstance(fault, Fault)]
        if not given:
            return self.plan(self._drawn_from(faults))
        if len(given) < len(faults):
            raise ValueError("faults holds kinds and Fault objects: it must be one or the other")
        return sorted((checked(self.mesh, fault) for fault in given), key=lambda fault: fault.start)

    def _drawn_from(self, faults: Literal["auto", "all"] | Sequence[Fault] | Sequence[str] | None) -> list[str]:
        """The kinds from which a plan is drawn."""
        if faults == "auto":
            return list(KINDS)
        if faults == "all":
            return self.kinds()
        kinds = [fault for fault in faults or () if isinstance(fault, str)]
        if faults and not kinds:
            raise ValueError("company is for a drawn plan: put a second Fault into the list of faults instead")
        return kinds

    def _disturbances(self, wanted: Literal["all"] | Sequence[Fault] | Sequence[str]) -> list[Fault]:
        given = [one for one in wanted if isinstance(one, Fault)]
        if given:
            return sorted((checked(self.mesh, one) for one in given), key=lambda one: one.start)
        kinds = DISTURBANCES if wanted == "all" else [one for one in wanted if isinstance(one, str)]
        rng = self._streams.generator("disturbances")
        return plan_disturbances(self.mesh, rng, self.seconds, self.rate, kinds, self.faults)

    def _hosts(self) -> Hosts:
        """On which hosts the replicas of every service will run: where they are when the run begins."""
        start_ns = self.start_unix * 10**9
        places = self._streams.generator("cluster")
        cluster = Cluster(self.mesh, self.seed, places, self.rate, start_ns, self.environment, self.wrong_clock_ns)
        return {name: tuple(pod.node.name for pod in pods) for name, pods in cluster.replicas.items()}

    def _placed(self, fault: Fault, hosts: Hosts) -> Fault:
        """A fault of a host with its host: that of the service, which then gives way to whom the host hurts most."""
        if fault.kind not in ON_HOSTS or fault.host:
            return fault
        host = hosts[fault.service][0]
        visits = demand(self.mesh)
        share = {name: places.count(host) / len(places) for name, places in hosts.items()}
        worst = max(hosts, key=lambda name: (share[name], visits.service_visits(name)))
        return replace(fault, host=host, service=worst)
