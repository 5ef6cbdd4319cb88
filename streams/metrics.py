"""Metrics of a role for Prometheus; ``docs/operating.md`` says what each means.

Labels are names from the configuration (role, topic, partition, source, queue): what telemetry says never becomes one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from aiops import __version__
from aiops.signals import END_OF_TIME, WINDOW
from streams.metrics_reading import PlaceReading, Reading

LIVE = 3_600.0  # seconds; what was due longer ago is recorded data or a backlog, whose delay says nothing of the engine
_STEP = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ADDED = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0, 900.0)

QUEUES = "Records that wait in a queue of the process."
TOTALS = {
    "records_in": "Records taken in.",
    "records_out": "Records handed to the producer.",
    "bytes_out": "Bytes of their values.",
    "rebalances": "Changes of the assignment.",
    "repeats": "Records that Faust delivered again.",
    "holes": "Records that Faust did not deliver, read from the log.",
    "aside": "Records that failed twice and were set aside.",
    "rewritten": "Incidents written again because an older version came after a newer one.",
}
PLACES = {
    "position": "Offset of the next record.",
    "lag_records": "Records between position and end of the partition.",
    "lag_seconds": "Merged clock behind the source that is furthest; of ingest: age of the newest message.",
    "merged_clock_seconds": "Clock of the partition, Unix time.",
    "snapshot_age_seconds": "Since the last snapshot, or since the partition was taken over.",
    "snapshot_behind_records": "Records taken in since the last snapshot.",
    "snapshot_bytes": "Size of the last snapshot, compressed.",
    "snapshot_cpu_seconds": "CPU time that the last snapshot took.",
}
PLACE_TOTALS = {
    "refused_records": "Records of an internal topic that could not be read.",
    "dead_letters": "Messages sent to the dead letters.",
}


class Metrics(Collector):
    """Metrics of one process.

    Parameters
    ----------
    digest : str
        Of the configuration, as in the incidents.
    """

    def __init__(self, role: str, digest: str) -> None:
        self.registry = CollectorRegistry()
        self.loop_age: Callable[[], float] = _no_age  # seconds since the loop turned
        self._role, self._digest = role, digest
        self._reading: Reading | None = None
        self._steps = Histogram(
            "aiops_step_seconds", "Wall time of a step: some records of a partition.", ["role"],
            buckets=_STEP, registry=self.registry,
        ).labels(role)  # fmt: skip
        self._added = Histogram(
            "aiops_added_latency_seconds", "Wall clock when what was due had been done, after it was due; live only.",
            ["role"], buckets=_ADDED, registry=self.registry,
        ).labels(role)  # fmt: skip
        ProcessCollector(registry=self.registry)
        self.registry.register(self)

    def stepped(self, seconds: float) -> None:
        """A step took so long."""
        self._steps.observe(seconds)

    def reached(self, before: int, clock: int) -> None:
        """A merged clock (Unix ns) moved.

        Everything is due at a multiple of a window; of those passed the last one counts.
        """
        if before < 0 or clock >= END_OF_TIME or clock // WINDOW <= before // WINDOW:
            return
        after = time.time() - clock // WINDOW * WINDOW / 1e9
        if abs(after) < LIVE:  # clocks of two machines differ: a little below 0 is none
            self._added.observe(max(0.0, after))

    def publish(self, reading: Reading) -> None:
        """What the next scrapes say."""
        self._reading = reading

    # ---- scrape -------------------------------------------------------------------------------------------------------
    def collect(self) -> Iterator[Metric]:
        """All that is not counted here."""
        build = GaugeMetricFamily(
            "aiops_build_info", "Version and configuration.", labels=["role", "version", "config"]
        )
        build.add_metric([self._role, __version__, self._digest], 1)
        yield build
        yield self._gauge("loop_age_seconds", "Since the loop turned.", self.loop_age())
        if (reading := self._reading) is None:
            return
        yield self._gauge("reading_age_seconds", "Age of the values below.", time.monotonic() - reading.at)
        yield self._gauge("assigned_partitions", "Partitions owned.", len(reading.places))
        yield self._gauge("paused", "1: nothing is fetched, because the outbox is full.", float(reading.paused))
        for name, total in reading.totals.items():
            counter = CounterMetricFamily(f"aiops_{name}", TOTALS[name], labels=["role"])
            counter.add_metric([self._role], total)
            yield counter
        yield from self._queues(reading)
        yield from self._places(reading)
        yield from self._sources(reading)
        yield from self._stages(reading)

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        gauge = GaugeMetricFamily(f"aiops_{name}", text, labels=["role"])
        gauge.add_metric([self._role], value)
        return gauge

    def _queues(self, reading: Reading) -> Iterator[Metric]:
        labels = ["role", "queue"]
        waiting = GaugeMetricFamily("aiops_queue_records", QUEUES, labels=labels)
        limit = GaugeMetricFamily("aiops_queue_limit_records", "How many may.", labels=labels)
        for name, (n, most) in reading.queues.items():
            waiting.add_metric([self._role, name], n)
            if most:
                limit.add_metric([self._role, name], most)
        yield waiting
        yield limit

    def _places(self, reading: Reading) -> Iterator[Metric]:
        labels = ["role", "topic", "partition"]
        gauges = {name: GaugeMetricFamily(f"aiops_{name}", text, labels=labels) for name, text in PLACES.items()}
        totals = {
            name: CounterMetricFamily(f"aiops_{name}", text, labels=labels) for name, text in PLACE_TOTALS.items()
        }
        for (topic, partition), place in reading.places.items():
            where = [self._role, topic, str(partition)]
            for name, value in _values(place).items():
                gauges[name].add_metric(where, value)
            totals["refused_records"].add_metric(where, place.task.refused)
            totals["dead_letters"].add_metric(where, place.task.dead_letters)
        yield from gauges.values()
        yield from totals.values()

    def _sources(self, reading: Reading) -> Iterator[Metric]:
        # Of all partitions the one that knows least: sources times partitions would be very many series.
        labels, clocks, away = ["role", "source"], dict[str, int](), set[str]()
        for place in reading.places.values():
            away |= place.task.away
            for source, clock in place.task.clocks.items():
                clocks[source] = min(clock, clocks.get(source, clock))
        clock_of = GaugeMetricFamily("aiops_source_clock_seconds", "Clock of a source, Unix time.", labels=labels)
        let_go = GaugeMetricFamily("aiops_source_away", "1: the source is not waited for.", labels=labels)
        for source, clock in clocks.items():
            clock_of.add_metric([self._role, source], max(clock, 0) / 1e9)
            let_go.add_metric([self._role, source], float(source in away))
        yield clock_of
        yield let_go

    def _stages(self, reading: Reading) -> Iterator[Metric]:
        labels = ["role", "topic", "partition"]
        families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
        for (topic, partition), place in reading.places.items():
            for name, value in place.task.gauges.items():
                full = f"aiops_stage_{name}" if name.startswith(f"{self._role}_") else f"aiops_{name}"
                if full not in families:
                    make = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
                    families[full] = make(full, f"{name.replace('_', ' ')} of the stage.", labels=labels)
                families[full].add_metric([self._role, topic, str(partition)], value)
        yield from families.values()


def _no_age() -> float:
    """Nothing turns yet."""
    return 0.0


def _values(place: PlaceReading) -> dict[str, float]:
    """What is known of a partition, by the names of `PLACES`."""
    task = place.task
    found: dict[str, float] = {"position": place.position, "lag_seconds": task.lag}
    if (behind := place.behind) is not None:
        found["lag_records"] = behind
    if 0 <= task.merged < END_OF_TIME:
        found["merged_clock_seconds"] = task.merged / 1e9
    if task.snapshot is not None:
        found["snapshot_age_seconds"] = task.snapshot.age
        found["snapshot_behind_records"] = task.snapshot.behind
        found["snapshot_bytes"] = task.snapshot.size
        found["snapshot_cpu_seconds"] = task.snapshot.seconds
    return found
