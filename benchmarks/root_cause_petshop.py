"""PetShop: metrics of every node of a cloud application each 300 s, its call graph, and faults felt at the front end.

A case gives the time of the fault, the metric on which it is felt, and the graph.  ``normal`` rows come from other months;
rows that ended before the fault's time are the ones just before it.  In the half of the set that is public for training every
fault has the same root node, so a ranking that knew its name would be right always: the ranking here knows no name, and
`planted` faults on the other nodes, made from normal rows, show that it does not depend on this one.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aiops.causes.graph_ranking import Settings, Suspect, rank_by_graph
from benchmarks.root_cause_days import Table

STEP = 300  # seconds of a row
SCENARIOS = ("low_traffic", "high_traffic")
USUAL = Settings()
GRID = {
    "usual": USUAL,
    "tail .95": replace(USUAL, tail=0.95),
    "tail 1": replace(USUAL, tail=1.0),
    "half at 1": replace(USUAL, half=1.0),
    "half at 4": replace(USUAL, half=4.0),
    "sharp 1": replace(USUAL, sharp=1.0),
    "sharp 4": replace(USUAL, sharp=4.0),
    "half explained": replace(USUAL, explain=0.5),
    "not explained": replace(USUAL, explain=0.0),
    "rows alike": replace(USUAL, by_symptom=False),
}
"""The usual setting and its neighbours, declared before any was run; two of them leave a part out and are ablations."""


class Rows(NamedTuple):
    """Rows of one file: `time` Unix s; `values`: (metric, statistic) -> float64[rows, nodes], NaN where there is none."""

    time: Any
    values: dict[tuple[str, str], Any]


class Case(NamedTuple):
    """A fault: `metric`, `statistic` and `symptom` say what is felt where, `kind` is the metric."""

    name: str
    kind: str
    root: str
    symptom: str
    nodes: list[str]
    edges: list[tuple[int, int]]
    normal: Rows
    rows: Rows
    onset: float
    statistic: str = "Average"


def read_rows(path: Path, nodes: dict[str, int]) -> Rows:
    """Rows of a ``metrics.csv``, its columns by the numbers of `nodes`."""
    with path.open(newline="") as file:
        lines = list(csv.reader(file))
    names, metrics, statistics = lines[:3]
    body = [line for line in lines[3:] if line and line[0] and line[0] != "unix_timestamp"]
    time = np.array([float(line[0]) for line in body])
    values: dict[tuple[str, str], Any] = {}
    for k in range(1, len(names)):
        of = values.setdefault((metrics[k], statistics[k]), np.full((len(body), len(nodes)), np.nan))
        for i, line in enumerate(body):
            if line[k]:
                of[i, nodes[names[k]]] = float(line[k])
    return Rows(time, values)


def cases(scenario: Path) -> list[Case]:
    """The faults of one traffic scenario."""
    with (scenario / "graph.csv").open(newline="") as file:
        graph = list(csv.reader(file))
    issues = sorted((scenario / "train").glob("issue_*"), key=lambda p: int(p.name.split("_")[1]))
    names = {name for line in graph for name in line[:1] if name} | set(graph[0][1:])
    for path in (scenario / "noissue", *issues):
        with (path / "metrics.csv").open(newline="") as file:
            names |= set(next(csv.reader(file))[1:])
    nodes = sorted(names)
    number = {name: k for k, name in enumerate(nodes)}
    edges = [
        (number[line[0]], number[callee])
        for line in graph[1:]
        for callee, there in zip(graph[0][1:], line[1:], strict=True)
        if there and float(there) > 0
    ]
    normal = read_rows(scenario / "noissue" / "metrics.csv", number)
    out = []
    for issue in issues:
        target = json.loads((issue / "target.json").read_text())
        felt = target["target"]
        out.append(
            Case(
                f"{scenario.name}/{issue.name}", felt["metric"], target["root_cause"]["node"], felt["node"], nodes, edges,
                normal, read_rows(issue / "metrics.csv", number), float(felt["timestamp"]), felt["agg"],
            )
        )  # fmt: skip
    return out


def ranked(case: Case, settings: Settings = USUAL) -> list[Suspect]:
    """Suspects of a case."""
    key = (case.kind, case.statistic)
    rows, calls = case.rows.values[key], case.rows.values.get(("requests", "Sum"))
    earlier = case.rows.time + STEP <= case.onset
    return rank_by_graph(
        case.normal.values[key],
        rows[earlier],
        rows[~earlier],
        None if calls is None else calls[~earlier],
        case.edges,
        case.nodes.index(case.symptom),
        settings,
    )


def ranking(case: Case, settings: Settings = USUAL) -> list[str]:
    """Names of the suspects that a path leads to, best first."""
    return [case.nodes[s.node] for s in ranked(case, settings) if s.reach > 0.0]


def table(case: Case) -> Table:
    """All metrics and statistics of a case, as peers take them."""
    earlier = case.rows.time + STEP <= case.onset
    columns, services, normal, fault = [], [], [], []
    for key in sorted(case.rows.values):
        for k, node in enumerate(case.nodes):
            columns.append(" ".join((node, *key)))
            services.append(node)
            whole = case.normal.values.get(key)
            normal.append(np.full(len(case.normal.time), np.nan) if whole is None else whole[:, k])
            fault.append(case.rows.values[key][~earlier, k])
    return Table(columns, services, np.array(normal).T, np.array(fault).T)


def traversal(case: Case, bound: float = 5.0) -> list[str]:
    """Anomalous nodes without an anomalous callee, on a path of anomalous nodes from the symptom, by robust deviation.

    The simplest rule for a given graph (as in the set's own baseline): a node is anomalous where it is more than `bound`
    median absolute deviations from its normal median.
    """
    key = (case.kind, case.statistic)
    normal, rows = case.normal.values[key], case.rows.values[key][case.rows.time + STEP > case.onset]
    score = np.zeros(len(case.nodes))
    for k in range(len(case.nodes)):
        usual, now = normal[:, k][np.isfinite(normal[:, k])], rows[:, k][np.isfinite(rows[:, k])]
        if len(usual) and len(now):
            middle = np.median(usual)
            spread = 1.4826 * np.median(np.abs(usual - middle)) or 1e-9
            score[k] = np.abs(now - middle).max() / spread
    below: dict[int, list[int]] = {}
    for a, b in case.edges:
        below.setdefault(a, []).append(b)
    seen, todo, ends = set(), [case.nodes.index(case.symptom)], []
    while todo:
        v = todo.pop()
        if v in seen:
            continue
        seen.add(v)
        worse = [c for c in below.get(v, []) if score[c] > bound]
        if not worse:
            ends.append(v)
        todo += worse
    return [case.nodes[v] for v in sorted(ends, key=lambda v: (-score[v], v))]


def planted(case: Case, every: int = 60, share: float = 0.4) -> Iterator[tuple[Case, str]]:
    """Faults on nodes that have values and calls all the time, one after another, made from normal rows.

    The node gets slower, or fails, by as much as makes the symptom change by `share` of its level (latency) or by `share` of a
    tenth of it (availability), in three rows; callers get what falls on their calls.  By the ranking's own idea of how a fault
    spreads: this shows whether the ranking depends on one node or on quiet neighbours, not that real faults spread so.
    """
    values, calls = case.normal.values[case.kind, case.statistic], case.normal.values["requests", "Sum"]
    symptom = case.nodes.index(case.symptom)
    callers: dict[int, list[int]] = {}
    for a, b in case.edges:
        callers.setdefault(b, []).append(a)
    good = np.isfinite(values).mean(0) > 0.99
    for place, root in enumerate(np.flatnonzero(good & (np.nan_to_num(calls).mean(0) >= 20)).tolist()):
        start = (place * every) % (len(values) - 5)
        rows, n = values[start : start + 5].copy(), np.nan_to_num(calls[start : start + 5])
        whole = n.mean(0)
        passed = {root: 1.0}  # excess of a node, in parts of the root's
        todo = [root]
        while todo:
            v = todo.pop(0)
            total = sum(whole[u] for u in callers.get(v, []))
            for u in callers.get(v, []):
                if total > 0 and whole[u] > 0 and u != root:
                    if u not in passed:
                        todo.append(u)
                    passed[u] = passed.get(u, 0.0) + passed[v] * whole[u] / total
        if symptom not in passed:
            continue
        level = float(np.nanmedian(values[:, symptom]))
        change = share * level if case.kind == "latency" else -0.1 * share * level
        for v, part in passed.items():
            excess = change * whole[symptom] / passed[symptom] * part / whole[v]
            rows[1:4, v] += excess * np.array([0.4, 1.0, 0.8])
            if case.kind == "availability":
                rows[:, v] = np.clip(rows[:, v], 0.0, 100.0)
        time = case.normal.time[start : start + 5]
        made = {(case.kind, case.statistic): rows, ("requests", "Sum"): calls[start : start + 5]}
        yield case._replace(rows=Rows(time, made), onset=float(time[1]) + 60.0), case.nodes[root]
