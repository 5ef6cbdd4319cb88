"""Compile the kernels that only the roles use, of protobuf and of internal topics, before a role answers anybody.

``python -m streams.warm`` does it beforehand, with those of ``aiops.warm``, as when an image is built.  They are compiled by
being used: a few simulated minutes pass through the tasks of ingest, assemble and detect.
"""

from __future__ import annotations

import sys

from aiops import warm
from aiops.signals import SECOND
from streams.layout import Layout
from streams.produce_split import Split
from streams.records import Out, Raw, Record
from streams.tasks.assemble import AssembleTask
from streams.tasks.base import LogTask
from streams.tasks.detect import DetectTask
from streams.tasks.ingest import IngestTask

SIGNALS = ("metrics", "logs", "traces")


def cold() -> bool:
    """Is a kernel missing that only the roles use?"""
    from aiops.wire.walk import _outer
    from streams.codec_kernels import by_partition

    return not (warm.cached(_outer) and warm.cached(by_partition))


def once() -> None:
    """Compile what is missing."""
    if cold():
        sys.stderr.write("compiling the kernels of the roles, once after an installation: about a minute\n")
        Tasks().run()


class Tasks:
    """Two partitions of each internal topic, so that everything is split and put together again."""

    def __init__(self) -> None:
        layout = Layout(traces=2, signals=2)
        self._ingest = {signal: IngestTask(signal, 0, signal, "auto", layout) for signal in SIGNALS}
        self._split = {signal: Split(signal, 1) for signal in SIGNALS}
        self._below: dict[tuple[str, int | None], LogTask] = {}
        for p in range(2):
            self._below[layout.topic("traces"), p] = AssembleTask(p, layout)
            self._below[layout.topic("signals"), p] = DetectTask(p, layout)
        for (topic, _), task in self._below.items():
            traces = [layout.source("traces", p) for p in range(2)]
            told = ("logs", "traces") if topic == layout.topic("traces") else SIGNALS
            task.clocks.sources([f"{name}/0" for name in told] + (traces if told is SIGNALS else []))

    def run(self) -> None:
        """Let the minutes pass."""
        from aiops.simulate import Simulation

        offset = last = 0
        for arrival, signal, line in Simulation(1, 0.1, None, rate=1.0, wrong_clock=False).arrivals():
            if signal not in self._split:
                continue
            for part in self._split[signal].parts(line):
                self._hand(self._ingest[signal].process([Raw(offset, arrival, part.key, part.value, [])]))
                offset, last = offset + 1, arrival
        for task in self._ingest.values():
            self._hand(task.tick(last + 120 * SECOND))

    def _hand(self, out: list[Out]) -> None:
        for made in out:
            task = self._below.get((made.topic, made.partition))
            if task is not None:
                self._hand(task.handle(Record(task.position, dict(made.headers), made.value or b"")))


if __name__ == "__main__":
    if warm.cold():
        warm.warm()
    once()
