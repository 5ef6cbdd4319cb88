"""What /metrics says: names and labels that docs/operating.md lists, and no label from the data."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from aiops.ingest.stage import Counters
from aiops.signals import END_OF_TIME, SECOND
from aiops.told import TOLD
from streams.control import sources_record
from streams.layout import Layout
from streams.metrics import LIVE, PLACE_TOTALS, PLACES, TOTALS, Metrics
from streams.metrics_reading import Observer, PlaceReading, Reading, SnapshotReading, TaskReading, wall_lag
from streams.records import CLOCK, SOURCES, Record, clock_record
from streams.roles import IngestRole, LogRole
from streams.settings import RawTopic
from streams.tasks.assemble import AssembleTask
from streams.tasks.base import LogTask
from streams.tasks.detect import DetectTask
from streams.tasks.respond import RespondTask

OPERATING = Path(__file__).resolve().parents[2] / "docs" / "operating.md"
LABELS = {"role", "topic", "partition", "source", "queue", "version", "config", "le"}

Samples = dict[tuple[str, tuple[str, ...]], float]


def scraped(metrics: Metrics) -> Samples:
    text = generate_latest(metrics.registry).decode()
    return {
        (sample.name, tuple(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def place(position: int = 7, end: int = 9, **task: Any) -> PlaceReading:
    return PlaceReading(TaskReading(**task), position, end)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("detect", "abcdef012345")


# ---- values -----------------------------------------------------------------------------------------------------------
def test_a_process_that_has_said_nothing_yet_says_who_it_is(metrics):
    found = scraped(metrics)
    assert found["aiops_build_info", ("abcdef012345", "detect", "0.1.0")] == 1
    assert ("aiops_assigned_partitions", ("detect",)) not in found
    assert found["process_resident_memory_bytes", ()] > 1e6


def test_a_partition_shows_where_it_stands(metrics):
    snapshot = SnapshotReading(12.0, 5, 1000, 0.25)
    task: dict[str, Any] = {"merged": 50 * SECOND, "lag": 3.5, "refused": 2, "dead_letters": 1, "snapshot": snapshot}
    metrics.publish(Reading({("aiops.signals", 3): place(**task)}))
    found = scraped(metrics)
    at = ("3", "detect", "aiops.signals")
    assert {name: found[f"aiops_{name}", at] for name in PLACES} == {
        "position": 7, "lag_records": 2, "lag_seconds": 3.5, "merged_clock_seconds": 50, "snapshot_age_seconds": 12,
        "snapshot_behind_records": 5, "snapshot_bytes": 1000, "snapshot_cpu_seconds": 0.25,
    }  # fmt: skip
    assert {name: found[f"aiops_{name}_total", at] for name in PLACE_TOTALS} == {
        "refused_records": 2,
        "dead_letters": 1,
    }


def test_what_is_not_known_is_not_told(metrics):
    metrics.publish(Reading({("t", 0): place(end=-1001), ("t", 1): place(merged=END_OF_TIME)}))
    found = scraped(metrics)
    assert ("aiops_lag_records", ("0", "detect", "t")) not in found
    assert not [name for name, _ in found if name in {"aiops_merged_clock_seconds", "aiops_snapshot_bytes"}]


def test_a_partition_that_is_given_up_is_gone_from_the_next_scrape(metrics):
    metrics.publish(Reading({("t", 0): place(), ("t", 1): place()}))
    metrics.publish(Reading({("t", 1): place()}))
    assert {labels[0] for name, labels in scraped(metrics) if name == "aiops_position"} == {"1"}


def test_of_a_source_the_partition_counts_that_knows_least(metrics):
    first = place(clocks={"a/0": 9 * SECOND, "b/0": -1}, away=frozenset({"b/0"}))
    metrics.publish(Reading({("t", 0): first, ("t", 1): place(clocks={"a/0": 4 * SECOND, "b/0": 5 * SECOND})}))
    found = scraped(metrics)
    assert found["aiops_source_clock_seconds", ("detect", "a/0")] == 4
    assert found["aiops_source_clock_seconds", ("detect", "b/0")] == 0
    assert found["aiops_source_away", ("detect", "a/0")] == 0
    assert found["aiops_source_away", ("detect", "b/0")] == 1


def test_numbers_of_a_stage_keep_their_names(metrics):
    gauges = {"detect_series": 3.0, "detect_late_rows_total": 4.0, "open_incidents": 5.0}
    metrics.publish(Reading({("t", 0): place(gauges=gauges)}))
    found = scraped(metrics)
    at = ("0", "detect", "t")
    assert found["aiops_stage_detect_series", at] == 3
    assert found["aiops_stage_detect_late_rows_total", at] == 4
    assert found["aiops_open_incidents", at] == 5


def test_queues_show_their_bounds_where_they_have_one(metrics):
    metrics.publish(Reading({}, {"outbox": (3, 0), "early": (4, 12_000)}, dict.fromkeys(TOTALS, 6), paused=True))
    found = scraped(metrics)
    assert found["aiops_queue_records", ("outbox", "detect")] == 3
    assert found["aiops_queue_limit_records", ("early", "detect")] == 12_000
    assert ("aiops_queue_limit_records", ("outbox", "detect")) not in found
    assert found["aiops_paused", ("detect",)] == 1
    assert {found[f"aiops_{name}_total", ("detect",)] for name in TOTALS} == {6}


# ---- added latency ----------------------------------------------------------------------------------------------------
def observed(metrics: Metrics) -> tuple[float, float]:
    found = scraped(metrics)
    at = ("detect",)
    return found["aiops_added_latency_seconds_count", at], found["aiops_added_latency_seconds_sum", at]


def test_what_is_due_is_timed_when_a_clock_passes_a_multiple_of_a_window(metrics):
    due = time.time_ns() // (10 * SECOND) * 10 * SECOND - 30 * SECOND
    metrics.reached(due - 1, due + 3 * SECOND)
    count, seconds = observed(metrics)
    assert count == 1
    assert 30 <= seconds < 60
    metrics.reached(due, due + 9 * SECOND)
    assert observed(metrics)[0] == 1


def test_recorded_days_and_ends_say_nothing_of_latency(metrics):
    now = time.time_ns()
    metrics.reached(0, 10 * SECOND)
    metrics.reached(now, END_OF_TIME)
    metrics.reached(-1, now)
    metrics.reached(now - round(2 * LIVE) * SECOND, now - round(1.5 * LIVE) * SECOND)
    assert observed(metrics) == (0, 0)


def test_the_newest_message_ages_only_while_more_wait():
    assert wall_lag(-1, False) == 0
    assert wall_lag(time.time_ns() - 60 * SECOND, True) == 0
    assert 60 <= wall_lag(time.time_ns() - 60 * SECOND, False) < 120


# ---- roles ------------------------------------------------------------------------------------------------------------
class Told(Observer):
    def __init__(self) -> None:
        self.moved: list[tuple[int, int]] = []

    def reached(self, before: int, clock: int) -> None:
        self.moved.append((before, clock))


def records(sources: list[str], clocks: list[tuple[str, int]]) -> list[Record]:
    headers, value = sources_record(sources, 1)
    out = [Record(0, dict(headers), value)]
    for source, clock in clocks:
        made = clock_record("t", 0, source, clock)
        out.append(Record(len(out), dict(made.headers), made.value or b""))
    assert [out[0].kind, out[-1].kind] == [SOURCES, CLOCK]
    return out


@pytest.mark.parametrize(
    ("make", "topic"), [(AssembleTask, "traces"), (DetectTask, "signals"), (RespondTask, "findings")]
)
def test_a_role_tells_of_its_clocks(make, topic):
    told, layout = Told(), Layout()
    role: LogRole[LogTask] = LogRole(lambda p: make(p, layout), topic, layout, "g", 1, 1.0, None, {}, observer=told)
    task = make(0, layout)
    kept = kept_of(task)
    for record in records(["a/0", "b/0"], [("a/0", 30 * SECOND), ("b/0", 20 * SECOND), ("a/0", 70 * SECOND)]):
        role.handled(kept, record)
    role.handled(kept, Record(4, dict(clock_record("t", 0, "b/0", 40 * SECOND).headers), b"%d" % (40 * SECOND)))
    assert told.moved == [(20 * SECOND, 20 * SECOND), (20 * SECOND, 40 * SECOND)]
    found = role.reading(kept)
    assert (found.merged, found.lag) == (40 * SECOND, 30.0)
    assert found.clocks == {"a/0": 70 * SECOND, "b/0": 40 * SECOND}
    assert found.snapshot is not None
    assert found.snapshot.behind == 5
    assert found.gauges == task.gauges()


def kept_of(task: LogTask) -> Any:
    from streams.roles import Kept
    from streams.stragglers import Stragglers

    return Kept(task, Stragglers(None))


@pytest.mark.parametrize("signal", ["metrics", "logs", "traces", "changes", "alerts"])
def test_ingest_tells_of_its_stage(signal):
    role = IngestRole([RawTopic("raw", signal)], Layout(), "g", None, 10.0)
    task, _ = role.open(TopicPartition("raw", 2), TopicPartition("raw", 2, 5))
    found = role.reading(task, True)
    assert found.clocks == {"raw/2": -1}
    names = {f"ingest_{name}_total" for name in Counters.__slots__}
    assert names <= set(found.gauges) if signal not in TOLD else set(found.gauges) == {"ingest_messages_ahead_total"}


# ---- documents --------------------------------------------------------------------------------------------------------
def everything(role: str, gauges: dict[str, float]) -> Metrics:
    metrics = Metrics(role, "abcdef012345")
    snapshot = SnapshotReading(1, 1, 1, 1)
    task: dict[str, Any] = {"gauges": gauges, "merged": 1, "clocks": {"a/0": 1}, "snapshot": snapshot}
    metrics.publish(Reading({("t", 0): place(**task)}, {"early": (1, 2)}, dict.fromkeys(TOTALS, 1)))
    return metrics


def names_of(metrics: Metrics) -> set[str]:
    return {family.name + ("_total" if family.type == "counter" else "") for family in metrics.registry.collect()}


def test_every_metric_is_in_the_document_and_every_one_of_the_document_exists():
    documented = set(re.findall(r"^\| `((?:aiops|process)_\w+)`", OPERATING.read_text(), re.MULTILINE))
    exported = {n for n in names_of(everything("respond", {"open_incidents": 1})) if n.startswith("aiops_")}
    assert {n for n in documented if n.startswith("aiops_") and not n.startswith("aiops_stage_")} == exported


def test_alerts_of_the_document_name_metrics_that_exist():
    exported = names_of(everything("respond", {"open_incidents": 1}))
    for role, task in (("assemble", AssembleTask), ("detect", DetectTask), ("respond", RespondTask)):
        exported |= names_of(everything(role, task(0, Layout()).gauges()))
    ingest = IngestRole([RawTopic("raw", "logs")], Layout(), "g", None, 10.0)
    task_, _ = ingest.open(TopicPartition("raw", 0), TopicPartition("raw", 0, 0))
    exported |= names_of(everything("ingest", ingest.reading(task_, True).gauges))
    used = set(re.findall(r"\b(?:aiops_[a-z]\w+|process_\w+)\b", OPERATING.read_text()))
    used = {re.sub(r"_(bucket|count|sum)$", "", name) for name in used}
    assert used - exported == set()


def test_no_label_comes_from_the_data():
    text = generate_latest(everything("respond", RespondTask(0, Layout()).gauges()).registry).decode()
    labels = {
        label
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("aiops_")
        for label in sample.labels
    }
    assert labels <= LABELS
