"""Root cause with the onset known: how often is the true service the first suspect, and one of the first three?

`DATA` holds public sets with labels (``nezha``, ``petshop``, ``root-cause-bench``); they have their own licences and are no part
of the project.  AC@k: share of cases whose true service is among the first k suspects; Avg@5: mean of AC@1 to AC@5.  Rules of
others run on the same cases in the same run.  What was chosen on which part is in docs/root-cause.md.

    python -m benchmarks.root_cause DATA [--only nezha petshop bench speed] [--baro PYTHON] [--rankings FOLDER] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aiops.causes.graph_ranking import rank_by_graph
from aiops.causes.rank import N_TERMS, Weights, rank
from aiops.scoring import Fault
from benchmarks import results
from benchmarks import root_cause_bench as bench
from benchmarks import root_cause_days as days
from benchmarks import root_cause_peers as peers
from benchmarks import root_cause_petshop as petshop

PARTS = ("nezha", "petshop", "bench", "speed")
LEAST = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
SERVICES = 500  # of the ranking that is timed


def place(ranking: Sequence[str], true: str) -> int | None:
    """Place of the true service among the distinct ones, from 1; None where it is not there."""
    distinct = list(dict.fromkeys(ranking))
    return distinct.index(true) + 1 if true in distinct else None


def shares(places: Sequence[int | None]) -> dict[str, Any]:
    """AC@1, AC@3 and Avg@5 of some cases."""
    n = len(places)
    at = [sum(p is not None and p <= k for p in places) / n if n else 0.0 for k in range(1, 6)]
    return {"n": n, "ac1": round(at[0], 4), "ac3": round(at[2], 4), "avg5": round(sum(at) / 5, 4)}


def chance(services: int) -> dict[str, float]:
    """What drawing services at random comes to."""
    at = [min(1.0, k / services) for k in range(1, 6)]
    return {"ac1": at[0], "ac3": at[2], "avg5": sum(at) / 5}


def _line(name: str, of: dict[str, Any]) -> None:
    n = f"{of['n']:5d}" if "n" in of else "     "
    print(f"  {name:44s}{n} {of['ac1']:7.3f} {of['ac3']:7.3f} {of['avg5']:7.3f}", flush=True)


def _head(text: str) -> None:
    print(f"\n{text}\n  {'':44s}{'n':>5s} {'AC@1':>7s} {'AC@3':>7s} {'Avg@5':>7s}", flush=True)


class Tally:
    """Prints lines of a table and keeps what they say by their permanent ids; writes rankings for other scorers."""

    def __init__(self, folder: Path | None) -> None:
        self.found: dict[str, dict[str, Any]] = {}
        self.folder = folder

    def line(self, id_: str, name: str, places: Sequence[int | None]) -> None:
        self.found[id_] = shares(places)
        _line(name, self.found[id_])

    def rankings(self, name: str, cases: Iterable[tuple[str, Sequence[str]]]) -> None:
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            lines = [json.dumps({"case": case, "ranking": list(ranking)}) for case, ranking in cases]
            (self.folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")


# ---- recorded days -----------------------------------------------------------------------------------------------------------
def nezha(data: Path, tally: Tally, baro: str | None) -> None:
    pooled: dict[tuple[str, int], list[tuple[Fault, int | None]]] = {}
    for name in days.DAYS:
        folder = data / "nezha" / name
        if not folder.is_dir():
            print(f"\n{folder} is not there")
            continue
        day, context = days.followed(folder)
        _head(f"recorded day {name}: {len(day.faults)} faults, {len(context.services)} services")
        middle = len(day.faults) // 2
        for way, until in [(way, until) for way in ("peak", "lasting") for until in days.UNTIL]:
            found = days.rankings(day, until, way == "lasting")
            places = [place(r, f.service) for r, f in zip(found, day.faults, strict=True)]
            pooled.setdefault((way, until), []).extend(zip(day.faults, places, strict=True))
            id_ = f"root_cause.nezha.{name}.{way}.{until}"
            tally.line(f"{id_}.all", f"engine, {way}, {until} s after the onset", places)
            tally.line(f"{id_}.first", "  first half of the day", places[:middle])
            tally.line(f"{id_}.second", "  second half", places[middle:])
            for kind in sorted({f.kind for f in day.faults}):
                some = [p for p, f in zip(places, day.faults, strict=True) if f.kind == kind]
                tally.line(f"{id_}.{kind}", f"  {kind}", some)
            tally.rankings(
                f"nezha-{name}-{way}-{until}", ((_case(f), r) for f, r in zip(day.faults, found, strict=True))
            )
        for five in (True, False):
            cases = list(days.tables(folder, day.faults, five))
            _peers(
                f"root_cause.nezha.{name}",
                "five" if five else "all metrics",
                cases,
                [f.service for f in day.faults],
                tally,
                baro,
            )
        _line("chance", chance(len(context.services)))
    if pooled:
        _head("both days")
        for (way, until), some in pooled.items():
            id_ = f"root_cause.nezha.both.{way}.{until}"
            tally.line(f"{id_}.all", f"engine, {way}, {until} s after the onset", [p for _, p in some])
            for kind in sorted({f.kind for f, _ in some}):
                tally.line(f"{id_}.{kind}", f"  {kind}", [p for f, p in some if f.kind == kind])


def _case(fault: Fault) -> str:
    """A fault's name in a file of rankings: its time as truth.json has it."""
    return f"{fault.time_unix:.0f}" if fault.time_unix.is_integer() else str(fault.time_unix)


def _peers(
    id_: str, what: str, cases: Sequence[days.Table], true: Sequence[str], tally: Tally, baro: str | None
) -> None:
    library = peers.by_library(baro, cases) if baro else {}
    for rule in peers.RULES:
        found = [place(peers.ranking(case, rule), service) for case, service in zip(cases, true, strict=True)]
        tally.line(f"{id_}.{rule}.{what.split(maxsplit=1)[0]}", f"{rule}, {what}", found)
        if rule in library:
            found = [place(r, service) for r, service in zip(library[rule], true, strict=True)]
            tally.line(f"{id_}.{rule}.{what.split(maxsplit=1)[0]}.library", f"{rule}, {what}, fse-baro", found)


# ---- PetShop -----------------------------------------------------------------------------------------------------------------
def _petshop(data: Path, tally: Tally, baro: str | None) -> None:
    by = {name: petshop.cases(data / "petshop" / name) for name in petshop.SCENARIOS}
    every = [case for some in by.values() for case in some]
    roots = sorted({case.root for case in every})
    _head(f"PetShop: {len(every)} faults, {len(every[0].nodes)} nodes, root nodes: {', '.join(roots)}")

    def places(cases: Sequence[petshop.Case], settings: Any = petshop.USUAL) -> list[int | None]:
        return [place(petshop.ranking(case, settings), case.root) for case in cases]

    tally.line("root_cause.petshop.all", "graph ranking", places(every))
    tally.rankings("petshop", ((case.name.replace("/", "/train/"), petshop.ranking(case)) for case in every))
    for kind in sorted({case.kind for case in every}):
        tally.line(f"root_cause.petshop.{kind}", f"  {kind}", places([c for c in every if c.kind == kind]))
    for name, some in by.items():
        tally.line(f"root_cause.petshop.{name}", f"  {name}", places(some))
    chosen = {name: _chosen(places, some) for name, some in by.items()}
    for name, other in (petshop.SCENARIOS, petshop.SCENARIOS[::-1]):
        text = f"  setting chosen on {other}: {chosen[other]}"
        tally.line(f"root_cause.petshop.{name}.chosen", f"{name},{text}", places(by[name], petshop.GRID[chosen[other]]))
    for setting, settings in petshop.GRID.items():
        tally.line(f"root_cause.petshop.setting.{setting}", f"  {setting}", places(every, settings))
    tally.line("root_cause.petshop.traversal", "traversal", [place(petshop.traversal(c), c.root) for c in every])
    tables = [petshop.table(case) for case in every]
    _peers("root_cause.petshop", "all metrics", tables, [c.root for c in every], tally, baro)
    _line("chance", chance(len(every[0].nodes)))
    _head("PetShop, planted on every busy node by the ranking's own idea of how a fault spreads")
    for name, some in by.items():
        for kind in sorted({case.kind for case in some}):
            planted = list(petshop.planted(next(c for c in some if c.kind == kind)))
            found = [place(petshop.ranking(case), root) for case, root in planted]
            tally.line(f"root_cause.petshop.planted.{name}.{kind}", f"{name}, {kind}", found)


def _chosen(places: Any, cases: Sequence[petshop.Case]) -> str:
    """The setting that is best on some cases; the first of equal ones."""
    quality = {name: shares(places(cases, settings)) for name, settings in petshop.GRID.items()}
    return max(quality, key=lambda name: (quality[name]["ac1"], quality[name]["avg5"]))


# ---- root-cause-bench --------------------------------------------------------------------------------------------------------
def _bench(data: Path, tally: Tally) -> None:
    folders = sorted(p for p in (data / "root-cause-bench").iterdir() if (p / "ground_truth.json").is_file())
    cases = [bench.read(folder) for folder in folders]
    _head(f"root-cause-bench: {len(cases)} incidents; first failing service")
    found = [bench.services(case) for case in cases]
    tally.line(
        "root_cause.bench.services",
        "from the alerted service down",
        [place(r, c.first_failing) for r, c in zip(found, cases, strict=True)],
    )
    tally.rankings("bench", ((case.name, ranking) for case, ranking in zip(cases, found, strict=True)))
    tally.line("root_cause.bench.alerted", "the alerted service", [place([c.alerted], c.first_failing) for c in cases])
    earliest = [[s for _, s in sorted((o.at, s) for s, o in bench.onsets(c).items())] for c in cases]
    tally.line(
        "root_cause.bench.earliest",
        "earliest onset",
        [place(r, c.first_failing) for r, c in zip(earliest, cases, strict=True)],
    )

    print(f"\nroot-cause-bench: which change\n  {'':44s}{'right':>7s} {'wrong':>7s} {'none':>7s}")
    withheld = [case for case in cases if case.culprit is not None]
    blamed = [bench.blames(case) for case in cases]
    without = [bench.blames(case, case.culprit) for case in withheld]
    for least in LEAST:
        picks = [b[0].change.id if b and b[0].related >= least else None for b in blamed]
        _told(f"root_cause.bench.change.{least:g}", f"plausible change, relation >= {least:g}", picks, cases, tally)
        still = sum(not b or b[0].related < least for b in without)
        tally.found[f"root_cause.bench.withheld.{least:g}"] = {"n": len(withheld), "abstained": still}
        print(f"  {'  culprit withheld: nobody is blamed':44s}{still:7d} of {len(withheld)}", flush=True)
    _told(
        "root_cause.bench.latest",
        "latest deploy before the alert",
        [bench.latest(case) for case in cases],
        cases,
        tally,
    )
    for case, of in zip(cases, blamed, strict=True):
        first = ", ".join(f"{b.change.id[:8]} {b.plausible:.2f}/{b.related:.2f}" for b in of[:3])
        print(f"  {case.name:44s} culprit {(case.culprit or 'none')[:8]}: {first}")
    opened, right = 0, 0
    for case in cases:
        incidents = bench.through_engine(case)
        opened += bool(incidents)
        right += any(i.causes and i.causes[0].service == case.first_failing for i in incidents)
    tally.found["root_cause.bench.engine"] = {"n": len(cases), "opened": opened, "right": right}
    print(f"  the engine alone opens an incident in {opened}, with the right service first in {right}")


def _told(id_: str, name: str, picks: Sequence[str | None], cases: Sequence[bench.Case], tally: Tally) -> None:
    right = sum(p is not None and p == c.culprit for p, c in zip(picks, cases, strict=True))
    none = sum(p is None for p in picks)
    wrong = len(cases) - right - none
    tally.found[id_] = {"n": len(cases), "right": right, "wrong": wrong, "none": none}
    print(f"  {name:44s}{right:7d} {wrong:7d} {none:7d}", flush=True)


# ---- speed -------------------------------------------------------------------------------------------------------------------
def speed(tally: Tally) -> None:
    rng = np.random.default_rng(1)
    peak = rng.uniform(0.0, 8.0, (SERVICES, N_TERMS))
    first = 1e18 + rng.uniform(0.0, 1e11, SERVICES)
    edges = [(a, int(b)) for a in range(SERVICES) for b in rng.integers(0, SERVICES, 8)]
    callees: dict[int, set[int]] = {}
    for a, b in edges:
        callees.setdefault(a, set()).add(b)
    changed = dict.fromkeys(range(0, SERVICES, 5), 0.5)
    normal, fault = rng.uniform(1.0, 2.0, (600, SERVICES)), rng.uniform(2.0, 4.0, (4, SERVICES))
    print(f"\none ranking of {SERVICES} services with 8 callees each, all evidence lit: CPU seconds, best of 5")
    for id_, name, run in (
        ("evidence", "evidence rows", lambda: rank(peak, first, callees, changed, Weights())),
        ("graph", "one metric, 600 normal rows", lambda: rank_by_graph(normal, normal[-1:], fault, fault, edges, 0)),
    ):
        took = []
        for _ in range(5):
            start = time.process_time()
            run()
            took.append(time.process_time() - start)
        tally.found[f"root_cause.speed.{id_}"] = {"seconds": min(took), "services": SERVICES}
        print(f"  {name:44s}{min(took):10.4f}", flush=True)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to run")
    parser.add_argument(
        "--baro", metavar="PYTHON", help="an interpreter that has fse-baro; else its rule as written down here"
    )
    parser.add_argument(
        "--rankings", type=Path, metavar="FOLDER", help="write the rankings there, a file of JSON lines a set"
    )
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args(arguments)
    results.introduce("Root cause with the onset known")
    tally = Tally(options.rankings)
    if "nezha" in options.only:
        nezha(options.data, tally, options.baro)
    if "petshop" in options.only:
        _petshop(options.data, tally, options.baro)
    if "bench" in options.only:
        _bench(options.data, tally)
    if "speed" in options.only:
        speed(tally)
    results.write(options.json, tally.found)


if __name__ == "__main__":
    main()
