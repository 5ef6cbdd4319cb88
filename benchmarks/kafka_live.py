"""The whole engine live: how long after a window was due its results are in Kafka; and a soak of many minutes."""

from __future__ import annotations

import time
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import numpy as np

from aiops.errors import UserError
from aiops.signals import LATENESS, SECOND, WINDOW, due
from benchmarks.kafka_load import Load, Mix, Paced, preload
from benchmarks.kafka_rates import MESSAGE, QUICK_UNIT, ROLES, UNIT, Line, told
from benchmarks.kafka_site import Process, Site, cpu_of, rss_of

LATENCY_BAR = 1.0  # s, p95
FLAT_BAR = 0.05  # growth of memory after warm-up
STUCK_BAR = 30.0  # s between two records of a clock; each is told every 10 s
CALM = 60.0  # s before anything is measured: kernels, and windows in which every series is new
SAMPLE = 5.0  # s between samples of memory
_MS = 1_000_000


def saturation(kafka: dict[str, str], folder: Path, quick: bool) -> list[Line]:
    """What this machine takes when producer, broker and all roles, a process each, run at once and as fast as they can.

    The first window, in which every series is new, is part of it.
    """
    load = Load.of(QUICK_UNIT if quick else UNIT, MESSAGE)
    with Site(kafka, folder, ["metrics", "logs", "traces"]) as site:
        processes = {role: site.start(role) for role in ROLES}
        for role in ROLES:
            site.until_read(role, processes[role])
        before = {role: cpu_of(processes[role][0].pid) for role in ROLES}
        begun = time.monotonic()
        items = preload(site, load, 6 if quick else 36)
        for role in ROLES:
            site.until_read(role, processes[role], 0.1)
        wall = time.monotonic() - begun
        cores = {role: round((cpu_of(processes[role][0].pid) - before[role]) / wall, 3) for role in ROLES}
    line = Line(
        "kafka.saturation", "saturation, everything at once", items / wall, "items/s", "", None,
        {"items": items, "wall_seconds": round(wall, 1), "cores": cores},
    )  # fmt: skip
    told(line)
    return [line]


def saturated(lines: list[Line]) -> float:
    """Items a second of the part saturation."""
    for line in lines:
        if line.id == "kafka.saturation" and line.value is not None:
            return line.value
    raise UserError("half of saturation is not known without the part saturation: run it too, or give --rate")


def half(lines: list[Line], quick: bool, rate: float | None) -> Mix:
    """The mix at `rate` items a second, or at half of saturation."""
    unit = QUICK_UNIT if quick else UNIT
    return unit.times((saturated(lines) / 2 if rate is None else rate) / unit.items)


def latency(kafka: dict[str, str], folder: Path, quick: bool, before: list[Line], rate: float | None) -> list[Line]:
    """Live: results in Kafka after their window was due, by the clock of the wall."""
    mix, seconds = half(before, quick, rate), 150 if quick else 300
    load = Load.of(mix, MESSAGE, fault=True)
    with Site(kafka, folder, ["metrics", "logs", "traces"], live=True) as site:
        processes = [p for role in ROLES for p in site.start(role)]
        start, paced = _live(site, load, processes, seconds)
        measured = start + round(CALM * SECOND)
        used = {p.role: cpu_of(p.pid) for p in processes}
        begun = time.monotonic()
        _until(start + seconds * SECOND, processes)
        busy = {p.role: round((cpu_of(p.pid) - used[p.role]) / (time.monotonic() - begun), 3) for p in processes}
        paced.stop()
        time.sleep(2.0)  # what is under way
        after = _after_due(site, measured)
        for process in processes:
            process.end()
    lines = []
    for stage, found in after.items():
        if not found:
            lines.append(Line(f"kafka.latency.{stage}", f"{stage}, after due: nothing came", None, "s p95", "", False))
            told(lines[-1])
            continue
        p50, p95, p99 = np.percentile(found, [50, 95, 99]).tolist()
        lines.append(Line(
            f"kafka.latency.{stage}", f"{stage}, after due", p95, "s p95", f"< {LATENCY_BAR:g} s", p95 < LATENCY_BAR,
            {"p50": round(p50, 3), "p95": round(p95, 3), "p99": round(p99, 3), "records": len(found),
             "items_per_second": mix.items, "producer_late_at_most": round(paced.late, 2), "cores": busy},
        ))  # fmt: skip
        told(lines[-1])
    return lines


def _live(site: Site, load: Load, processes: list[Process], seconds: int) -> tuple[int, Paced]:
    """Wait for the processes, then send from the next multiple of 10 s on; returns that (Unix ns), and what sends.

    A load that has faults has them from half time on.
    """
    for role in ROLES:
        site.until_read(role, [p for p in processes if p.role == role])
    start = (time.time_ns() // WINDOW + 1) * WINDOW
    until = start + (seconds + 60) * SECOND
    paced = Paced(site, load.messages(start, until, (start + seconds * SECOND // 2, until)))
    paced.start()
    return start, paced


def _until(moment: int, processes: list[Process]) -> None:
    """Wait until a Unix ns, as long as all live."""
    while (left := moment / 1e9 - time.time()) > 0:
        for process in processes:
            process.samples()
        time.sleep(min(left, SAMPLE))


def _after_due(site: Site, measured: int) -> dict[str, list[float]]:
    """Stage -> seconds after due of each of its records about windows from `measured` (Unix ns) on.

    A trace is whole a window later than its spans, by design: so is what detect and respond wait for.
    """
    out: dict[str, list[float]] = {"rows": [], "assembled": [], "findings": [], "incidents": []}
    traces = f"{site.topic('traces')}/".encode()
    for ms, headers, _ in site.records("signals"):
        if headers.get("kind") == b"rows" and (window := int(headers["window"])) >= measured:
            stage = "assembled" if headers["source"].startswith(traces) else "rows"
            out[stage].append((ms * _MS - due(window) - (WINDOW if stage == "assembled" else 0)) / 1e9)
    for ms, headers, _ in site.records("findings"):
        if headers.get("kind") == b"findings" and (at := int(headers["time"])) - WINDOW >= measured:
            out["findings"].append((ms * _MS - at - LATENESS - WINDOW) / 1e9)
    for ms, headers, _ in site.records("incident-events"):
        updated = datetime.fromisoformat(headers["ce_time"].decode()).timestamp()
        out["incidents"].append(ms / 1e3 - updated - (LATENESS + WINDOW) / 1e9)
    return out


def soak(
    kafka: dict[str, str], folder: Path, quick: bool, before: list[Line], rate: float | None, minutes: float
) -> list[Line]:
    """Half load for minutes: memory after the first quarter, and whether every clock went on."""
    mix, seconds = half(before, quick, rate), round(minutes * 60)
    load = Load.of(mix, MESSAGE)
    memory: dict[str, list[int]] = defaultdict(list)
    with Site(kafka, folder, ["metrics", "logs", "traces"], live=True) as site:
        processes = [p for role in ROLES for p in site.start(role)]
        _, paced = _live(site, load, processes, seconds)
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < seconds:
            for process in processes:
                process.samples()
                if passed > seconds / 4:
                    memory[process.role].append(rss_of(process.pid))
            time.sleep(SAMPLE)
        paced.stop()
        time.sleep(2.0)
        silent = _longest_silence(site)
        for process in processes:
            process.end()
    lines = []
    for role, samples in memory.items():
        part = max(1, len(samples) // 4)
        first, last = float(np.median(samples[:part])), float(np.median(samples[-part:]))
        growth = last / first - 1
        lines.append(Line(
            f"kafka.soak.{role}", f"{role}, memory over {minutes:g} minutes", growth, "growth", f"<= {FLAT_BAR}",
            growth <= FLAT_BAR,
            {"first_mib": round(first / 2**20), "last_mib": round(last / 2**20), "most_mib": round(max(samples) / 2**20),
             "items_per_second": mix.items},
        ))  # fmt: skip
        told(lines[-1])
    source, longest = max(silent.items(), key=lambda pair: pair[1])
    lines.append(Line(
        "kafka.soak.clocks", "longest silence of a clock", longest, "s", f"<= {STUCK_BAR:g} s", longest <= STUCK_BAR,
        {"source": source.removeprefix(site.prefix), "sources": len(silent)},
    ))  # fmt: skip
    told(lines[-1])
    return lines


def _longest_silence(site: Site) -> dict[str, float]:
    """Source -> seconds between two records of its clock, or from its last to the end, at most."""
    last: dict[str, int] = {}
    longest: dict[str, float] = defaultdict(float)
    newest = 0
    for topic in ("traces", "signals", "findings"):
        for ms, headers, _ in site.records(topic):
            newest = max(newest, ms)
            if headers.get("kind") == b"clock":
                source = f"{topic} < {headers['source'].decode()}"
                longest[source] = max(longest[source], (ms - last.get(source, ms)) / 1e3)
                last[source] = max(ms, last.get(source, ms))
    return {source: max(silence, (newest - last[source]) / 1e3) for source, silence in longest.items()}
