"""Findings, changes, alerts and commands -> versions of incidents, and notices; the last stage.

Everything is taken in due-time order: what somebody tells counts once the clock has reached its arrival, before every window
that is due later.  The same input gives the same incidents, byte for byte.
"""

from __future__ import annotations

from aiops import __version__, state
from aiops.causes.rank import Weights
from aiops.findings import Findings, merged
from aiops.incidents.alerts import Alerts
from aiops.incidents.commanded import Commanded
from aiops.incidents.correlation import CorrelationConfig
from aiops.incidents.criticality import Criticalities, ServicesConfig
from aiops.incidents.hearing import Hearing
from aiops.incidents.lifecycle import Policy
from aiops.incidents.noise import Noise
from aiops.incidents.noise_bounds import NoiseConfig
from aiops.incidents.place import Output, Place, Rules
from aiops.incidents.rule_ties import COUNTED, Compiled
from aiops.records import Told, rfc3339
from aiops.signals import LATENESS, WINDOW, Clocks, due

MAX_ENVIRONMENTS = 1_000  # beyond them, what is told of one without telemetry is not heard


class StepFailedError(RuntimeError):
    """The findings of a window of an environment could not be taken in; the state is half changed and of no use any more."""

    def __init__(self, time: int, tenant: str, environment: str) -> None:
        super().__init__(f"window until {rfc3339(time)} of environment {environment!r}")
        self.place = (time, tenant, environment)


class Respond:
    """One partition of the findings topic; environments do not influence each other.

    Parameters
    ----------
    sources : list of str, optional
        Detect partitions and the raw sources of what is told; where they are not given they come with a record.
    """

    def __init__(
        self,
        sources: list[str] | None = None,
        policy: Policy | None = None,
        weights: Weights | None = None,
        config_hash: str = "",
        tenant: str = "default",
        services: ServicesConfig | None = None,
        correlation: CorrelationConfig | None = None,
        noise: NoiseConfig | None = None,
    ) -> None:
        self.clocks = Clocks(sources)
        self.tenant = tenant  # of what is told, which does not name one
        about = (__version__, config_hash)
        self.rules = Rules(
            policy or Policy(), weights or Weights(), Criticalities(services), about,
            Compiled.of(correlation or CorrelationConfig()), noise or NoiseConfig(),
        )  # fmt: skip
        self.late = 0  # findings of a source that was let go, or repeats
        self._done = -1
        self._findings: dict[int, dict[tuple[str, str, str], Findings]] = {}  # time -> (source, tenant, environment) ->
        self.unheard = 0  # told of environments that nobody knows, when there are too many
        self._hearing = Hearing()
        self._of: dict[tuple[str, str], Place] = {}

    @property
    def open(self) -> int:
        """Open incidents: a gauge."""
        return sum(len(s.lifecycle.open) for s in self._of.values())

    @property
    def done_until(self) -> int:
        """Findings of windows that end by this clock (Unix ns) have been taken in; -1 before the first.

        It never goes back, as the merged clock does when a source is added or joins again.
        """
        return self._done

    def process(self, source: str, findings: list[Findings]) -> None:
        """Take in findings of a detect partition; what comes again is ignored, and so is what comes too late."""
        done = self.done_until
        for found in findings:
            if found.time <= done:
                self.late += 1
                continue
            self._findings.setdefault(found.time, {})[source, found.tenant, found.environment] = found

    def tell(self, source: str, offset: int, signal: str, told: Told, arrival: int) -> None:
        """Take in what arrived at `arrival` (Unix ns) as number `offset` of its source; it is never late."""
        self._hearing.tell(source, offset, signal, told, arrival)

    def advance(self, source: str, clock: int) -> Output:
        """Source `source` has reached `clock` (Unix ns)."""
        self.clocks.set(source, clock)
        out, reached = Output(), self.clocks.merged
        self._done = max(self._done, reached - LATENESS if reached >= 0 else -1)
        for time in sorted(t for t in self._findings if due(t - WINDOW) <= reached):
            self._hear(due(time - WINDOW), out)
            parts: dict[tuple[str, str], list[Findings]] = {}
            for (_, *key), found in sorted(self._findings.pop(time).items(), key=lambda item: item[0]):
                parts.setdefault((key[0], key[1]), []).append(found)
            for place in sorted(parts):
                try:
                    self._place(*place).step(merged(parts[place]), self.rules, out)
                except Exception as error:
                    raise StepFailedError(time, *place) from error
        self._hear(reached, out)
        return out

    def gauges(self) -> dict[str, float]:
        """Fill of every table, and what was evicted or refused since the process began (``_total``)."""
        states = self._of.values()
        noise = Noise("", "").gauges()
        for s in states:
            noise.update(s.noise.gauges())
        sizes = {
            "environments": len(states), "services": sum(s.environment.sizes[0] for s in states),
            "edges": sum(s.environment.sizes[1] for s in states), "open_incidents": self.open,
            "closed_incidents": sum(len(s.lifecycle.closed) for s in states),
            "anomalies": sum(len(s.noise.ledger) for s in states), "changes": sum(len(s.changes) for s in states),
            "waiting_windows": len(self._findings), "waiting_told": len(self._hearing), "unheard_total": self.unheard,
            "remembered_incidents": sum(len(s.memory) for s in states),
            "remembered_evicted_total": sum(s.memory.evicted for s in states),
            "ties": sum(len(s.environment.ties) for s in states),
            "evicted_ties_total": sum(s.environment.ties.evicted for s in states),
            "rule_groups": sum(len(s.rule_ties) for s in states),
            **{f"rule_{n}_total": sum(s.rule_ties.counted[n] for s in states) for n in COUNTED},
            "topology_rows": sum(len(s.topology) for s in states),
            "topology_evicted_total": sum(s.topology.evicted for s in states),
            "topology_refused_total": sum(s.topology.refused for s in states),
            "habits": sum(len(s.environment.habits) for s in states),
            "evicted_services_total": sum(s.environment.evicted for s in states), "late_findings_total": self.late,
            **{f"noise_{name}": n for name, n in noise.items()},
        }  # fmt: skip
        parts = (Alerts("", ""), Commanded(), *(part for s in states for part in (s.alerts, s.commanded)))
        for part in parts:  # the first two are empty: a gauge is there before the first environment is
            for name, n in part.gauges().items():
                sizes[name] = sizes.get(name, 0) + n
        return {f"respond_{name}": float(n) for name, n in sizes.items()}

    def _hear(self, until: int, out: Output) -> None:
        """What was told has arrived by `until`, Unix ns: it is in force."""
        for heard in self._hearing.until(until):
            place = (self.tenant, heard.told.environment)
            if place not in self._of and len(self._of) >= MAX_ENVIRONMENTS:
                self.unheard += 1
            else:
                self._place(*place).hear(heard.arrival, heard.told, self.rules, out)

    def _place(self, tenant: str, environment: str) -> Place:
        key = (tenant, environment)
        if key not in self._of:
            self._of[key] = Place(tenant, environment, self.rules.policy, self.rules.noise)
        return self._of[key]

    def snapshot(self) -> bytes:
        """Everything that the future depends on but findings not yet due, which are read again."""
        return state.pack(
            {
                "clocks": self.clocks.state(),
                "done": self._done,
                "told": self._hearing.state(),
                "states": [s.state() for _, s in sorted(self._of.items())],
            }
        )

    def restore(self, snapshot: bytes) -> None:
        """Take over the state of a snapshot; findings after ``done_until`` are read again."""
        read = state.unpack(snapshot)
        self.clocks.restore(read["clocks"])
        self._hearing.restore(read["told"])
        self._findings, self._of = {}, {}
        self._done = read["done"]
        for value in read["states"]:
            restored = Place.of(value, self.rules.policy, self.rules.noise)
            self._of[restored.environment.tenant, restored.environment.name] = restored
