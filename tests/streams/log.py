"""A log in memory and the tasks of all roles on it, taken in turns drawn from a seed, crashed and restarted at will.

What a broker promises and no more: each partition keeps its records in order; a worker that dies begins again from what it
had saved; one that was thought dead may go on sending for a while.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec

from aiops.config import EngineConfig
from aiops.recording import Recording
from aiops.signals import SECOND
from aiops.told import TOLD
from streams.layout import Layout
from streams.records import CONTROL, END, SOURCES, Out, Raw, Record, headers_of
from streams.tasks.assemble import AssembleTask
from streams.tasks.base import LogTask, Snapshot
from streams.tasks.detect import DetectTask
from streams.tasks.ingest import IngestTask
from streams.tasks.respond import RespondTask

SIGNALS = {
    "metrics": "otlp_metrics",
    "logs": "otlp_logs",
    "traces": "otlp_spans",
    "changes": "changes",
    "alerts": "alerts",
    "commands": "aiops.commands",
}
TICK = 10 * SECOND


class Log:
    """Topics with partitions; public topics, which nobody here reads, have none."""

    def __init__(self) -> None:
        self.of: dict[tuple[str, int], list[Record]] = defaultdict(list)
        self.public: dict[str, list[Out]] = defaultdict(list)

    def append(self, out: Out) -> None:
        if out.partition is None:
            self.public[out.topic].append(out)
            return
        records = self.of[out.topic, out.partition]
        records.append(Record(len(records), dict(out.headers), out.value or b""))


class Cluster:
    """All tasks of an engine, one process each in spirit; raw topics have `raw` partitions."""

    def __init__(self, layout: Layout, raw: int, seed: int) -> None:
        self.layout, self.config = layout, EngineConfig()
        self.log, self.draw, self.partitions = Log(), random.Random(seed), raw
        self.raw: dict[tuple[str, int], list[Raw]] = {(t, p): [] for t in SIGNALS.values() for p in range(raw)}
        self.signal = {topic: signal for signal, topic in SIGNALS.items()}
        self.saved: dict[Any, Any] = {}
        self.tasks: dict[Any, IngestTask | LogTask] = {}
        self.read: dict[Any, int] = {}
        self.crashes = 0
        names = [("traces", layout.traces, AssembleTask), ("signals", layout.signals, DetectTask)]
        self.makers: dict[tuple[str, int], Any] = {
            (layout.topic(topic), p): (lambda p=p, make=make: make(p, layout))
            for topic, n, make in names
            for p in range(n)
        }
        for p in range(layout.findings):
            self.makers[layout.topic("findings"), p] = lambda p=p: RespondTask(p, layout, self.config)
        self._sources()
        for place in [*self.raw, *self.makers]:
            self.start(place)

    def _sources(self) -> None:
        layout = self.layout
        raw = {(t, p): f"{t}/{p}" for t, p in self.raw}
        traced = [name for (t, _), name in raw.items() if self.signal[t] in ("logs", "traces")]
        told = [name for (t, _), name in raw.items() if self.signal[t] in TOLD]
        telemetry = [name for (t, _), name in raw.items() if self.signal[t] not in TOLD]
        sets = {
            "traces": traced,
            "signals": telemetry + [layout.source("traces", p) for p in range(layout.traces)],
            "findings": told + [layout.source("signals", p) for p in range(layout.signals)],
        }
        for topic, p in self.makers:
            sources = sorted(sets[topic.rpartition(".")[2]])
            value = msgspec.msgpack.encode({"sources": sources, "generation": 1})
            self.log.append(Out(topic, p, value, headers_of(SOURCES, "")))

    # ---- input --------------------------------------------------------------------------------------------------------
    def produce(self, recording: Recording) -> None:
        """Every line to a partition at random, then the end to all."""
        last = 0
        for source, message in recording.messages():
            topic = SIGNALS[source.partition("/")[0]]
            part = self.raw[topic, self.draw.randrange(self.partitions)]
            part.append(Raw(len(part), message.arrival, None, message.value, []))
            last = message.arrival
        clock = last // TICK * TICK + self.config.drain
        for part in self.raw.values():
            part.append(Raw(len(part), last, None, b"%d" % clock, [(CONTROL, END)]))

    # ---- life ---------------------------------------------------------------------------------------------------------
    def start(self, place: tuple[str, int]) -> None:
        """As after an assignment: from what was saved."""
        saved = self.saved.get(place)
        if place in self.raw:
            topic, p = place
            offset, progress = saved or (0, None)
            self.tasks[place] = IngestTask(topic, p, self.signal[topic], "otlp_json", self.layout, progress)
            self.read[place] = offset
            return
        task = self.makers[place]()
        if saved is not None:
            task.restore(Snapshot.decode(saved, task.name))
        self.tasks[place], self.read[place] = task, task.position

    def save(self, place: tuple[str, int]) -> None:
        task = self.tasks[place]
        if isinstance(task, IngestTask):
            if task.position >= 0:
                self.saved[place] = (task.needed_from, task.progress)
        else:
            self.saved[place] = task.snapshot().encode()

    def step(self, place: tuple[str, int], lose: bool = False) -> bool:
        """Some records of a partition; with `lose`, the worker dies when only some of what it made has been sent."""
        task, at = self.tasks[place], self.read[place]
        n = self.draw.randrange(1, 40)
        out: list[Out] = []
        if isinstance(task, IngestTask):
            raw = self.raw[place][at : at + n]
            out = task.process(raw)
            self.read[place] = at + len(raw)
            worked = bool(raw)
        else:
            records = self.log.of[place][at : at + n]
            for record in records:
                out += task.handle(record)
            self.read[place] = at + len(records)
            worked = bool(records)
        if lose:
            self.crashes += 1
            out = out[: self.draw.randrange(len(out) + 1)]
        for made in out:
            self.log.append(made)
        if lose:
            self.start(place)
        return worked

    def run(self, crashes: int = 0) -> bytes:
        """Until nothing is left to read; the last version of each incident, sorted by id."""
        places = list(self.tasks)
        silent = 0
        while silent < 3:
            worked = False
            for place in self.draw.sample(places, len(places)):
                worked |= self.step(place, lose=self.crashes < crashes and self.draw.random() < 0.05)
                if self.draw.random() < 0.2:
                    self.save(place)
            silent = 0 if worked else silent + 1
        return self.incidents()

    def topology(self) -> bytes:
        best = highest(self.log.public[self.layout.topic("topology")])
        return b"".join(best[key] + b"\n" for key in sorted(best))

    def incidents(self) -> bytes:
        best = highest(self.log.public[self.layout.topic("incidents")])
        return b"".join(best[key] + b"\n" for key in sorted(best))


def highest(sent: Iterable[Out]) -> dict[bytes, bytes]:
    """The highest version of each id; of two with one version, the later one."""
    best: dict[bytes, tuple[int, bytes]] = {}
    for out in sent:
        version = int(dict(out.headers)["version"])
        assert out.key is not None
        assert out.value is not None
        if out.key not in best or version >= best[out.key][0]:
            best[out.key] = version, out.value
    return {key: value for key, (_, value) in best.items()}
