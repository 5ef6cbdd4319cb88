"""What judging a metric point costs: the bank and the light tier over many series, river beside them, snapshots.

Every series has lived 3,000 points before anything is timed.  Points come in random order of their series, one of each series a
batch, so a series' state is never in the cache.  A second is a second of ``process_time`` of this single-threaded process, and
the best pass counts.

    python -m benchmarks.detect [--series N ...] [--json FILE]

A million series take 6.5 GB.  Drain3 is measured where it is installed; it is no dependency.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from aiops import state
from aiops.bank import BYTES, Bank
from aiops.detect.levels import Levels
from aiops.detect.suspicion import Suspicion
from benchmarks import results

MINUTE = 60_000_000_000  # ns
LIVED = 3_000  # points of every series before it is timed
SIZES = [10_000, 100_000, 1_000_000]
SNAPSHOT_OF, FEW = 100_000, 1_000  # series of the snapshot, and how many of them changed since the last
MOST = 2_000_000  # points of a pass
BARS = {"bank": 1.0, "levels": 0.3, "out_and_back": 2.0, "changed": 0.5, "ratio": 30.0}
PEER_POINTS = 3_000


def best(work: Callable[[], Any], times: int = 3) -> float:
    """CPU seconds of the best of some passes."""
    found = []
    gc.collect()
    for _ in range(times):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def values(rng: np.random.Generator, n: int) -> Any:
    return np.exp(0.3 * rng.standard_normal(n)) * 100.0


def lived_bank(series: int, rng: np.random.Generator) -> Bank:
    """A bank in which every series has the state of one that has lived `LIVED` points."""
    one, bank = Bank(), Bank()
    one.grow(1)
    one.feed(np.zeros(LIVED, np.int64), MINUTE * np.arange(LIVED), values(rng, LIVED))
    bank.grow(series)
    whole = bank.state()
    for name, array in one.state().items():
        if name != "size":
            whole[name][:] = array
    bank.restore(whole)
    return bank


def lived_levels(series: int, rng: np.random.Generator) -> tuple[Levels, Suspicion]:
    suspicion = Suspicion()
    suspicion.grow(series)
    levels = Levels(suspicion)
    levels.grow(list(range(series)))
    rows = np.arange(series)
    for k in range(120):  # fills the circles: one value a minute
        levels.add(rows, np.full(series, (LIVED - 120 + k) * MINUTE), values(rng, series))
        levels.advance((LIVED - 119 + k) * MINUTE)
    return levels, suspicion


def cost(series: int, rng: np.random.Generator, feed: Callable[[Any, Any, Any], Any]) -> float:
    """CPU seconds a point, in random order of the series."""
    rounds = max(2, 400_000 // series)
    batches = [(rng.permutation(series), values(rng, series)) for _ in range(rounds)]
    clock = [LIVED]

    def go() -> None:
        for rows, value in batches:
            feed(rows, np.full(series, clock[0] * MINUTE), value)
            clock[0] += 1

    return best(go) / (rounds * series)


def snapshots(found: dict[str, Any]) -> None:
    rng = np.random.default_rng(2)
    bank, other = lived_bank(SNAPSHOT_OF, rng), Bank()
    rows = rng.choice(SNAPSHOT_OF, FEW, replace=False)
    held: dict[str, Any] = {}

    def out_and_back() -> None:
        other.restore(state.unpack(state.pack(bank.state())))

    def write() -> None:
        held["bytes"] = state.pack(bank.changed())

    def passes(work: Callable[[], None], before: Callable[[], Any]) -> float:
        taken = []
        for _ in range(3):
            before()
            start = time.process_time()
            work()
            taken.append(time.process_time() - start)
        return min(taken)

    whole = passes(out_and_back, gc.collect)
    few = passes(write, lambda: bank.feed(rows, np.full(FEW, LIVED * MINUTE), values(rng, FEW)))
    back = best(lambda: other.restore(state.unpack(held["bytes"])))
    found["detect.snapshot.out_and_back"] = {"seconds": whole, "bytes": bank.bytes, "bar": BARS["out_and_back"]}
    found["detect.snapshot.changed"] = {"seconds": few + back, "bytes": len(held["bytes"]), "bar": BARS["changed"]}
    print(
        f"snapshot of {SNAPSHOT_OF} series, {bank.bytes / 1e6:.0f} MB, out and back: {whole:.2f} s (bar {BARS['out_and_back']})"
    )
    print(
        f"the {FEW} that changed, {len(held['bytes']) / 1e6:.1f} MB: {few + back:.3f} s (bar {BARS['changed']})",
        flush=True,
    )


def peers(found: dict[str, Any], bank: float) -> None:
    """Peers on the same values; `bank` is what a point costs ours, in seconds."""
    from river import anomaly

    points = [{"x": x} for x in (values(np.random.default_rng(3), PEER_POINTS) / 1000.0).tolist()]

    def half_space_trees(n: int) -> Any:
        return anomaly.HalfSpaceTrees(n_trees=n, height=8, seed=1)

    def one_by_one(model: Any) -> Callable[[], None]:
        def go() -> None:
            for x in points:
                model.score_one(x)
                model.learn_one(x)

        return go

    def gaussian() -> None:
        model = anomaly.GaussianScorer()
        for x in points:
            model.score_one(None, x["x"])
            model.learn_one(None, x["x"])

    for id_, title, work in (
        ("half_space_trees", "river HalfSpaceTrees, 10 of depth 8", one_by_one(half_space_trees(10))),
        ("half_space_trees_25", "river HalfSpaceTrees, 25 of depth 8", one_by_one(half_space_trees(25))),
        ("gaussian_scorer", "river GaussianScorer", gaussian),
    ):
        each = best(work) / PEER_POINTS
        found[f"detect.peer.{id_}"] = {"us": each * 1e6, "times_bank": each / bank}
        bar = f" (bar {BARS['ratio']:g})" if id_ == "half_space_trees" else ""
        print(f"{title:40s} {each * 1e6:8.2f} us a point, {each / bank:6.1f} times the bank{bar}", flush=True)
    if importlib.util.find_spec("drain3"):
        import drain3

        lines = [
            f"order {k} of user {k % 977} took {k % 311} ms, status {500 if k % 13 == 0 else 200}"
            for k in range(20_000)
        ]
        miner = drain3.TemplateMiner()
        each = best(lambda: [miner.add_log_message(line) for line in lines], 1) / len(lines)
        found["detect.peer.drain3"] = {"us": each * 1e6}
        print(f"{'Drain3':40s} {each * 1e6:8.2f} us a line", flush=True)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument(
        "--series", type=int, nargs="+", default=SIZES, help="live series (default 10000 100000 1000000)"
    )
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args(arguments)
    results.introduce("CPU microseconds a point, series in random order, the best of three passes")
    found: dict[str, Any] = {}
    rng = np.random.default_rng(1)
    print(f"a series of the bank has {BYTES} bytes; bars {BARS['bank']:g} and {BARS['levels']:g}")
    print(f"{'series':>9s} {'bank':>8s} {'levels':>8s}")
    of_bank = []
    for series in options.series:
        bank = lived_bank(series, rng)
        full = cost(series, rng, bank.feed)
        del bank
        levels, _suspicion = lived_levels(series, rng)
        light = cost(series, rng, lambda rows, at, value, levels=levels: levels.add(rows, at, value))
        del levels
        of_bank.append(full)
        found[f"detect.series_{series}"] = {"bank_us": full * 1e6, "levels_us": light * 1e6, "bytes": BYTES}
        print(f"{series:9d} {full * 1e6:8.3f} {light * 1e6:8.3f}", flush=True)
    snapshots(found)
    peers(found, of_bank[0])
    results.write(options.json, found)


if __name__ == "__main__":
    main()
