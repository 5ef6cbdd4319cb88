"""Compile the numba kernels into their file cache, in two processes side by side: a first run waits half as long.

``python -m aiops.warm`` does it once, after an installation or when an image is built; `demo` and `replay` do it by themselves
where the cache is cold.  Kernels are compiled by running a few simulated minutes, so that the list of them cannot go stale;
the metric bank's, which take longest, first and in the process that has less to do.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

PARTS = ("bank and logs", "traces and metrics")


def cold() -> bool:
    """Is there no compiled kernel yet?  A cache that cannot be looked into counts as warm: then kernels compile as needed."""
    from aiops.ingest.shapes import _shape_hashes
    from aiops.traces.join import visit_sets

    return not (cached(_shape_hashes) and cached(visit_sets))


def cached(kernel: Any) -> bool:
    """Is a kernel in the file cache?"""
    index = getattr(getattr(getattr(kernel, "_cache", None), "_cache_file", None), "_index_path", None)
    return index is None or Path(index).exists()


def warm() -> None:
    """Fill the cache; what fails here fails again, with its message, where it is needed."""
    processes = [subprocess.Popen([sys.executable, "-m", "aiops.warm", part]) for part in PARTS]  # noqa: S603 - our own
    for process in processes:
        process.wait()


def compile_part(part: str) -> None:
    """Run what a part is named after: points through a metric bank, a few simulated minutes of a signal through the engine."""
    for name in part.split(" and "):
        if name == "bank":
            _bank()
        else:
            _signal(name)


def _bank() -> None:
    from aiops.bank.bank import Bank

    bank = Bank()
    bank.grow(2, np.array([-1, 0]))
    for detail in (False, True):
        for rows in ([0, 1], [1, 0]):
            bank.feed(np.array(rows), np.full(2, 10**18), np.zeros(2), detail=detail)


def _signal(signal: str) -> None:
    from aiops.engine import Engine
    from aiops.ingest.stage import Message
    from aiops.simulate import Simulation

    engine = Engine({signal: signal})
    simulation = Simulation(1, 0.1, None, rate=1.0, wrong_clock=False)
    last = 0
    for offset, (arrival, of, line) in enumerate(simulation.arrivals()):
        if of == signal:
            engine.process(signal, [Message(offset, arrival, line)])
            last = arrival
    engine.end(last)


def main() -> None:
    """Entry point of ``python -m aiops.warm [part]``."""
    if len(sys.argv) > 1:
        compile_part(sys.argv[1])
    else:
        warm()


if __name__ == "__main__":
    main()
