"""Items per second and core of each role on Kafka, against the stage of ingest alone; and how that scales."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from aiops.errors import UserError
from aiops.ingest.stage import Ingest, Message
from aiops.signals import SECOND, WINDOW
from benchmarks.kafka_load import Load, Mix, preload
from benchmarks.kafka_site import PARTITIONS, SETTLED, Sent, Site, cpu_of, recent
from benchmarks.kafka_transport import transport
from streams.tasks.ingest import STEP

ROLES = ("ingest", "assemble", "detect", "respond")
INGEST_BAR = 0.70  # of the stage alone
SCALE_BAR = 0.90  # of linear
WORKERS = (1, 2, 4)
NOISE = 0.1  # CPU seconds by which two starts of a process may differ: what took less is said to have taken this
MESSAGE = 500  # items a message, where nothing else is said
UNIT = Mix(10_000, 20_000, 20_000)  # items a second of event time: 100,000 series
QUICK_UNIT = Mix(2_000, 4_000, 4_000)
WINDOWS, QUICK_WINDOWS = (3, 21), (1, 4)  # of ingest, in a short run and in a long one


def beyond(whole: float, start_up: float) -> float:
    """CPU seconds of the work itself: of a process whose start alone takes `start_up`."""
    return max(NOISE, whole - start_up)


@dataclass(slots=True)
class Line:
    """A line of the table; `id` is permanent."""

    id: str
    title: str
    value: float | None  # None: it could not be measured
    unit: str
    bar: str = ""
    good: bool | None = None
    more: dict[str, Any] = field(default_factory=dict)


def alone(signal: str, messages: Iterable[Sent]) -> float:
    """CPU seconds that the stages take for messages of each partition, in steps as large as a worker's."""
    stages = [Ingest(f"bench/{p}", signal) for p in range(PARTITIONS)]
    held: list[list[Message]] = [[] for _ in stages]
    offsets, sizes = [0] * PARTITIONS, [0] * PARTITIONS
    took = 0.0

    def step(p: int) -> None:
        nonlocal took
        begun = time.process_time()
        stages[p].process(held[p])
        took += time.process_time() - begun
        held[p], sizes[p] = [], 0

    last = 0
    for message in messages:
        p, last = message.partition, message.time
        if sizes[p] + len(message.value) > STEP:
            step(p)
        held[p].append(Message(offsets[p], message.time, message.value))
        offsets[p] += 1
        sizes[p] += len(message.value)
    begun = time.process_time()
    for p, stage in enumerate(stages):
        step(p)
        stage.advance(last + 60 * SECOND)
    return took + time.process_time() - begun


class Cost(NamedTuple):
    """CPU seconds for the same messages; of the role with its start."""

    stage: float
    role: float
    transport: float

    def less(self, other: Cost) -> Cost:
        """What a longer run took more than a shorter one."""
        return Cost(*(a - b for a, b in zip(self, other, strict=True)))


def ingest(kafka: dict[str, str], folder: Path, quick: bool, best_of: int) -> list[Line]:
    """The role on topics that are full, and the stage alone on the same messages.

    A short run and a long one: their difference is free of what starting costs, and of learning what series there are.
    """
    lines = []
    for signal, mix in (
        ("metrics", Mix(UNIT.points, 0, 0)), ("logs", Mix(0, UNIT.records, 0)), ("traces", Mix(0, 0, UNIT.spans))
    ):  # fmt: skip
        what = "spans" if signal == "traces" else signal
        for size in (500, 100):
            load = Load.of(mix, size)
            short, long = QUICK_WINDOWS if quick else WINDOWS
            scale = 2 if signal == "metrics" else 1  # as many points as there are spans
            runs = [  # the first start on a machine may compile
                _cost(kafka, folder, signal, load, scale * short, best_of + 1),
                _cost(kafka, folder, signal, load, scale * long, best_of),
            ]
            cost = runs[1].less(runs[0])
            items = load.items(scale * long * WINDOW) - load.items(scale * short * WINDOW)
            role, bare = max(cost.role, NOISE), max(cost.transport, NOISE)
            share = cost.stage / role
            about = {"items": items, "cpu_seconds": round(role, 2), "cpu_seconds_of_short_run": round(runs[0].role, 2)}
            lines.append(Line(
                f"kafka.ingest.{what}_{size}", f"ingest, {what}, {size} a message", items / role, "items/s/core",
                f"{INGEST_BAR:.0%} of the stage alone", share >= INGEST_BAR,
                {"stage_alone": round(items / cost.stage), "share": round(share, 3), **about},
            ))  # fmt: skip
            told(lines[-1])
            lines.append(Line(
                f"kafka.ingest.{what}_{size}.transport", "  transport alone", items / bare, "items/s/core", "", None,
                {"cpu_seconds": round(bare, 2), "share_if_nothing_else": round(cost.stage / (cost.stage + bare), 3)},
            ))  # fmt: skip
            told(lines[-1])
    return lines


def _cost(kafka: dict[str, str], folder: Path, signal: str, load: Load, windows: int, best_of: int) -> Cost:
    """The best of some runs of each."""
    span = windows * WINDOW
    start = recent(span)
    stage = min(alone(signal, load.messages(start, start + span)) for _ in range(best_of + 1))
    role = bare = float("inf")
    for _ in range(best_of):
        with Site(kafka, folder, [signal]) as site:
            preload(site, load, windows)
            role = min(role, site.cost("ingest"))
            bare = min(bare, transport(site))
    return Cost(stage, role, bare)


def chain(kafka: dict[str, str], folder: Path, quick: bool, broker: int | None) -> list[Line]:
    """Each role in turn, one process, on what the one before it has left; rates by the raw items that went in."""
    unit = QUICK_UNIT if quick else UNIT
    load, lines = Load.of(unit, MESSAGE, fault=True), list[Line]()
    with Site(kafka, folder, ["metrics", "logs", "traces"]) as site:
        nothing = {role: site.start_up(role) for role in ROLES}
        at_broker = cpu_of(broker) if broker else 0.0
        begun = time.process_time()
        items = preload(site, load, 6 if quick else 18)
        producer = time.process_time() - begun
        for role in ROLES:
            cpu = beyond(site.cost(role), nothing[role])
            records = sum(site.ends(site.read_by(role)).values())
            lines.append(Line(
                f"kafka.chain.{role}", f"{role}, of the mix", items / cpu, "items/s/core", "", None,
                {"items": items, "records": records, "cpu_seconds": round(cpu, 2),
                 "start_up_cpu_seconds": round(nothing[role], 2)},
            ))  # fmt: skip
            told(lines[-1])
        total = sum(line.more["cpu_seconds"] for line in lines)
        lines.append(Line(
            "kafka.chain.all", "all four roles, of the mix", items / total, "items/s/core", "", None,
            {"items": items, "cpu_seconds": round(total, 2),
             "broker_cpu_seconds": round(cpu_of(broker) - at_broker, 2) if broker else None,
             "producer_cpu_seconds": round(producer, 2)},
        ))  # fmt: skip
        told(lines[-1])
    return lines


def scaling(kafka: dict[str, str], folder: Path, quick: bool) -> list[Line]:
    """The same job done by 1, 2 and 4 processes of each role, all roles at once: CPU seconds of all processes of a role.

    Partitions are shared out before anything is sent: what a rebalance costs is the subject of the takeover.
    """
    unit = QUICK_UNIT if quick else UNIT
    load, used = Load.of(unit, MESSAGE), dict[tuple[str, int], float]()
    roles = ("ingest", "assemble", "detect")
    for n in WORKERS:
        with Site(kafka, folder, ["metrics", "logs", "traces"]) as site:
            processes = {role: site.start(role, n) for role in roles}
            for role in roles:
                site.until_read(role, processes[role])
            time.sleep(SETTLED)  # a group may share out once more
            for role in roles:
                site.until_read(role, processes[role])
            before = {role: sum(cpu_of(process.pid) for process in processes[role]) for role in roles}
            preload(site, load, 6 if quick else 18)
            for role in roles:
                site.until_read(role, processes[role])
                used[role, n] = sum(cpu_of(process.pid) for process in processes[role]) - before[role]
    lines = []
    for role in roles:
        for n in WORKERS:
            share = used[role, 1] / used[role, n]
            lines.append(Line(
                f"kafka.scale.{role}.{n}", f"{role}, {n} processes", share, "of linear",
                f">= {SCALE_BAR}", share >= SCALE_BAR, {"cpu_seconds": round(used[role, n], 2)},
            ))  # fmt: skip
            told(lines[-1])
    return lines + machine(quick)


def machine(quick: bool) -> list[Line]:
    """What the machine itself keeps: the stage of ingest alone, without Kafka, in processes that have nothing in common.

    Cores that share a memory bus, or are two threads of one core, take more CPU seconds for the same work when all are busy.
    """
    lines = []
    used = {n: _at_once(n, quick) for n in WORKERS}
    for n in WORKERS[1:]:
        share = used[1] / used[n]
        lines.append(Line(
            f"kafka.scale.machine.{n}", f"the machine, {n} processes apart", share, "of linear", "", None,
            {"cpu_seconds_each": round(used[n], 2)},
        ))  # fmt: skip
        told(lines[-1])
    return lines


def _at_once(n: int, quick: bool) -> float:
    """Mean CPU seconds of `n` processes that each do the same at the same time."""
    context = multiprocessing.get_context("spawn")
    ready, found = context.Barrier(n), context.SimpleQueue()
    processes = [context.Process(target=_alone_when, args=(ready, found, quick)) for _ in range(n)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise UserError("a process that measures the stage alone has failed")
    return sum(found.get() for _ in processes) / n


def _alone_when(ready: Any, found: Any, quick: bool) -> None:
    load, start = Load.of(Mix((QUICK_UNIT if quick else UNIT).points, 0, 0), MESSAGE), recent(0)
    messages = list(load.messages(start, start + 6 * WINDOW))
    alone("metrics", messages)  # kernels
    ready.wait(300.0)
    found.put(sum(alone("metrics", messages) for _ in range(3 if quick else 10)))


def heading() -> None:
    """Print what the columns of the table are."""
    print(f"{'what':42s}{'value':>12s} {'unit':14s}{'bar':>24s} {'':8s} details", flush=True)


def told(line: Line) -> None:
    """Print a line of the table."""
    mark = {True: "met", False: "NOT MET", None: ""}[line.good]
    more = ", ".join(f"{name} {value}" for name, value in line.more.items())
    value = "-" if line.value is None else f"{line.value:,.0f}" if line.value >= 1000 else f"{line.value:.3g}"
    print(f"{line.title:42s}{value:>12s} {line.unit:14s}{line.bar:>24s} {mark:8s} {more}", flush=True)
