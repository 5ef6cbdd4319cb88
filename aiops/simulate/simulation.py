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

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from aiops.simulate.changes import ChangePlan, first_version, plan_changes
from aiops.simulate.cluster import pod_name
from aiops.simulate.draws import Streams
from aiops.simulate.faults import KINDS, Fault, checked, plan
from aiops.simulate.injection import LOST_PODS_REPLICA
from aiops.simulate.mesh import Mesh
from aiops.simulate.pods import STEP
from aiops.simulate.run import Run
from aiops.simulate.shop import web_shop

START_UNIX = 1_740_988_800
"""2025-03-03T08:00:00Z, a Monday: the default start."""

_HOUR_NS = 3600 * 10**9
_WRONG_CLOCKS_NS = (3 * _HOUR_NS, -2 * _HOUR_NS, 6 * 365 * 24 * _HOUR_NS, -400 * 24 * _HOUR_NS)

Signal = str
"""``metrics``, ``traces``, ``logs`` or ``changes``."""


class Simulation:
    """Telemetry of a mesh with faults whose truth is known.

    Parameters
    ----------
    seed
        At least 0.  Different seeds place pods, draw traffic and plan faults differently.
    hours
        Length.
    faults
        ``auto``: drawn from the seed, every kind once before any comes again; a sequence of kinds: drawn from those; a
        sequence of ``Fault``: exactly those; None: none.
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
        What is simulated; the default is ``shop.web_shop()``.
    """

    def __init__(
        self,
        seed: int,
        hours: float,
        faults: Literal["auto"] | Sequence[Fault] | Sequence[str] | None = "auto",
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
        mesh: Mesh | None = None,
    ) -> None:
        if not 0.0 < hours <= 24 * 366:
            raise ValueError(f"hours is {hours}: it must be above 0 and at most {24 * 366}")
        if not 0.0 < rate <= 1000.0:
            raise ValueError(f"rate is {rate}: it must be above 0 and at most 1000 requests per second")
        self.mesh = mesh or web_shop()
        self.seed = seed
        self.rate = rate
        self.environment = environment
        self.seconds = hours * 3600.0 // STEP * STEP
        self.start_unix = int(start_unix // STEP * STEP)
        self._weekly = weekly
        self._streams = Streams(seed)
        self._warmup_s = warmup_s
        self._spacing_s = spacing_s
        clock = self._streams.generator("wrong clock")
        drawn = _WRONG_CLOCKS_NS[int(clock.integers(len(_WRONG_CLOCKS_NS)))]
        self.wrong_clock_ns = drawn * wrong_clock if isinstance(wrong_clock, bool) else int(wrong_clock * 10**9)
        self.faults = [] if fault_free or faults is None else self._faults(faults)
        self._changes = plan_changes(
            self.mesh, self._streams.generator("changes"), self.faults, self.seconds, change_spacing_s
        )

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
        """What was injected, in the form of ``truth.json``; ``pod`` is empty where a fault hits every replica."""
        return {
            "environment": self.environment,
            "day": f"simulated-{self.seed}",
            "seed": self.seed,
            "wrong_clock_offset_s": self.wrong_clock_ns // 10**9,
            "faults": [self._truth(fault) for fault in self.faults],
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
        return [change.row(self.seed, self.start_unix * 10**9, self.environment) for change in self._changes]

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
            self.faults,
            self._changes,
            self.wrong_clock_ns,
            self._weekly,
        )

    def _faults(self, faults: Literal["auto"] | Sequence[Fault] | Sequence[str]) -> list[Fault]:
        if faults == "auto":
            return self.plan()
        if isinstance(faults, str):
            raise ValueError(f"faults is {faults!r}: it is 'auto', None, a list of kinds or a list of Fault")
        kinds = [fault for fault in faults if isinstance(fault, str)]
        given = [fault for fault in faults if isinstance(fault, Fault)]
        if kinds and given:
            raise ValueError("faults holds kinds and Fault objects: it must be one or the other")
        if kinds:
            return self.plan(kinds)
        return sorted((checked(self.mesh, fault) for fault in given), key=lambda fault: fault.start)

    def _truth(self, fault: Fault) -> dict[str, Any]:
        row: dict[str, Any] = {
            "time_unix": self.start_unix + int(fault.start),
            "duration_s": int(fault.duration),
            "service": fault.service,
            "pod": "",
            "kind": fault.kind,
            "strength": round(fault.strength, 4),
        }
        if fault.kind == "lost_pod":
            row["pod"] = self._pod_of(fault, fault.start)
        if fault.caller:
            row["caller"] = fault.caller
        if fault.operation:
            row["operation"] = fault.operation
        if fault.kind == "bad_deploy":
            change = next(change for change in self._changes if change.fault is fault)
            row["change_id"] = change.row(self.seed, self.start_unix * 10**9, self.environment)["change_id"]
            row["mode"] = fault.mode
            if fault.replicas:
                row["pod"] = self._pod_of(fault, fault.start + STEP)
        return row

    def _pod_of(self, fault: Fault, t: float) -> str:
        """Name of the fault's first replica at ``t``, from the changes and losses before."""
        history: list[tuple[float, ChangePlan | Fault]] = [
            (change.swap_at, change)
            for change in self._changes
            if change.service == fault.service and change.swap_at is not None and LOST_PODS_REPLICA in change.replicas
        ]
        history += [(f.end, f) for f in self.faults if f.kind == "lost_pod" and f.service == fault.service]
        before = [event for at, event in sorted(history, key=lambda entry: entry[0]) if at < t]
        deployed = [event for event in before if isinstance(event, ChangePlan)]
        version = deployed[-1].version_to if deployed else first_version(fault.service)
        return pod_name(self.seed, fault.service, version, LOST_PODS_REPLICA, len(before))
