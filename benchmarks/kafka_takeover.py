"""A detect process with 100,000 series is killed; how long until the next one stands at the end of what it reads."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from aiops.errors import UserError
from aiops.signals import SECOND, WINDOW
from benchmarks.kafka_load import Load, Mix, Paced
from benchmarks.kafka_rates import Line, told
from benchmarks.kafka_site import Process, Site

BAR = 15.0  # s
SERIES, QUICK_SERIES = 100_000, 20_000
HISTORY, QUICK_HISTORY = 90, 20  # windows before: a quarter of an hour
LIVE = 60.0  # s of live telemetry before the kill
GIVE_UP = 180.0


def takeover(kafka: dict[str, str], folder: Path, quick: bool) -> list[Line]:
    """Killed under load, a new process is started at once, as a supervisor would."""
    series, history = (QUICK_SERIES, QUICK_HISTORY) if quick else (SERIES, HISTORY)
    load = Load.of(Mix(series // 10, 0, 0), 500)
    with Site(kafka, folder, ["metrics"]) as site:
        ingest, detect = site.start("ingest"), site.start("detect")
        site.until_read("ingest", ingest)
        live = (time.time_ns() // WINDOW + 1) * WINDOW
        start = live - history * WINDOW
        paced = Paced(site, load.messages(start, live + 600 * SECOND))
        begun = time.monotonic()
        paced.start()  # history at once, then as time passes
        while paced.last < live:
            time.sleep(0.5)
        site.until_read("ingest", ingest)
        site.until_read("detect", detect)
        warmed = time.monotonic() - begun
        time.sleep(20.0 if quick else LIVE)
        said = _snapshots(detect[0])
        killed = time.monotonic()
        detect[0].end(signal.SIGKILL)
        successor = site.start("detect")
        owned = 0.0
        while (behind := site.behind("detect", successor)) != 0:
            if behind is not None and not owned:
                owned = time.monotonic() - killed
            if time.monotonic() - killed > GIVE_UP:
                raise UserError(f"the next owner has not caught up after {GIVE_UP:g} s: {behind} records left")
            time.sleep(0.1)
        took = time.monotonic() - killed
        paced.stop()
        stored = {"topic_bytes": sum(size for _, _, size in site.records("snapshots.detect"))}
    line = Line(
        "kafka.takeover", f"kill of detect with {series:,d} series", took, "s to caught up", f"< {BAR:g} s", took < BAR,
        {"partitions_owned_after": round(owned or took, 1), "warmed_in": round(warmed), **said, **stored},
    )  # fmt: skip
    told(line)
    return [line]


def _snapshots(process: Process) -> dict[str, float]:
    """Sizes and CPU seconds of the last snapshots of all partitions, and records since."""
    of = process.samples()

    def sum_of(name: str) -> float:
        return sum(value for (metric, _, _), value in of.items() if metric == name)

    return {
        "snapshot_bytes": round(sum_of("aiops_snapshot_bytes")),
        "snapshot_cpu_seconds": round(sum_of("aiops_snapshot_cpu_seconds"), 2),
        "records_since_snapshot": round(sum_of("aiops_snapshot_behind_records")),
        "series": round(sum_of("aiops_stage_detect_series")),
    }
