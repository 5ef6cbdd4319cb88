"""Recorded days with known onsets: the engine's evidence rows around each fault -> services ranked as its cause.

The day goes through the whole engine, and a plain ``Environment`` takes in its findings as respond does.  Then the time of
each fault is given: evidence from ``LABEL`` before it (labels are late) until `until` seconds after it is ranked over all
services, by the ranking of the engine.  What the engine finds out by itself (that and when there is an incident, and where) is
given here, so the figures say how good the ranking is and nothing more.
"""

from __future__ import annotations

import gzip
import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aiops.causes.rank import N_TERMS, Weights, rank
from aiops.engine import Engine
from aiops.incidents.environment import ACTIVE, Environment
from aiops.recording import Recording
from aiops.replay import drive
from aiops.scoring import LABEL, Context, Fault, read_day
from aiops.signals import SECOND

UNTIL = (180, 240, 300)  # seconds after the onset at which is ranked
LASTING = 7  # windows: what happened in one moment stays in what detect counts over 60 s for six
DAYS = ("2022-08-22", "2023-01-29")
USUAL_FIVE = ("cpu", "memory", "duration.p90", "request.rate", "success.ratio")  # words in the names of metrics
BASELINE = 3600.0  # seconds of metrics before a fault that peers are given
FAULT_METRICS = 240.0  # seconds of metrics after it


class Row(NamedTuple):
    """Evidence of all services in one window; later rows may hold more services.

    `time`: its end, Unix ns; `evidence`: float64[n, N_TERMS]; `strength`: float64[n].
    """

    time: int
    evidence: Any
    strength: Any


@dataclass(slots=True)
class Day:
    """What the engine saw: `callees` holds, for each fault, who called whom by then."""

    name: str
    faults: list[Fault]
    services: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    callees: list[dict[int, set[int]]] = field(default_factory=list)


def followed(folder: Path) -> tuple[Day, Context]:
    """The evidence rows of a recorded day."""
    truth, context = read_day(folder)
    day = Day(folder.name, sorted(truth.faults, key=lambda fault: fault.time_unix))
    recording = Recording(folder)
    environment: Environment | None = None
    for _, step in drive(Engine(recording.sources), recording.messages()):
        for found in step.findings:
            if environment is None:
                environment = Environment(found.tenant, found.environment)
            assert environment.name == found.environment, "a recorded day holds one environment"
            while (k := len(day.callees)) < len(day.faults) and found.time > _ns(day.faults[k], max(UNTIL)):
                day.callees.append({s: set(of) for s, of in environment.callees.items()})
            environment.update(found)
            day.rows.append(Row(found.time, environment.evidence, environment.strength))
    assert environment is not None, f"{folder}: no findings"
    while len(day.callees) < len(day.faults):
        day.callees.append(environment.callees)
    day.services = environment.services
    return day, context


def _ns(fault: Fault, after: float) -> int:
    return round((fault.time_unix + after) * SECOND)


def since(rows: Sequence[Row], onset: int, until: int, n: int, lasting: bool = False) -> tuple[Any, Any]:
    """Evidence of each service in (onset, until], float64[n, N_TERMS], and when it first took part, Unix ns or inf.

    The greatest of each term, as in an incident; `lasting`: the mean of that and of what held for ``LASTING`` windows, so that
    a burst that is over counts by half.
    """
    times = [row.time for row in rows]
    some = rows[bisect_right(times, onset) : bisect_right(times, until)]
    values, first = np.zeros((max(LASTING, len(some)), n, N_TERMS)), np.full(n, np.inf)
    for row, value in zip(some, values, strict=False):
        k = len(row.evidence)
        value[:k] = row.evidence
        first[np.flatnonzero((row.strength >= ACTIVE) & (first[:k] == np.inf))] = row.time
    values.sort(axis=0)
    return (0.5 * (values[-1] + values[-LASTING]) if lasting else values[-1]), first


def rankings(day: Day, until: float, lasting: bool = False) -> list[list[str]]:
    """Of each fault, the services from the first suspect on, `until` seconds after its label; `lasting` as of `since`."""
    out = []
    for fault, callees in zip(day.faults, day.callees, strict=True):
        n = len(day.services)
        peak, first = since(day.rows, _ns(fault, -LABEL), _ns(fault, until), n, lasting)
        out.append([day.services[r.service] for r in rank(peak, first, callees, {}, Weights())])
    return out


class Table(NamedTuple):
    """Metrics of one case as peers take them: columns are (service, metric); NaN where there is none."""

    columns: list[str]
    services: list[str]
    normal: Any  # float64[rows, columns]
    fault: Any


def tables(folder: Path, faults: Sequence[Fault], five: bool) -> Iterator[Table]:
    """The metrics around each fault, `five`: only those that the literature takes.

    A line of the recording is a scrape of all pods and counts as of the median of its times: one host's clock is years ahead.
    """
    series: dict[tuple[str, str, str], list[tuple[float, float]]] = defaultdict(list)
    with gzip.open(folder / "metrics.jsonl.gz", "rb") as lines:
        for line in lines:  # the recording holds NaN, which strict decoders refuse
            points = list(_points(json.loads(line)))
            at = float(np.median([time for *_, time, _ in points])) if points else 0.0
            for service, pod, metric, _, value in points:
                if not five or any(word in metric for word in USUAL_FIVE):
                    series[service, pod, metric].append((at, value))
    names = sorted(series)
    arrays = [np.array(series[name]) for name in names]
    for fault in faults:
        before = [a[(a[:, 0] >= fault.time_unix - BASELINE) & (a[:, 0] < fault.time_unix)][:, 1] for a in arrays]
        after = [a[(a[:, 0] >= fault.time_unix) & (a[:, 0] < fault.time_unix + FAULT_METRICS)][:, 1] for a in arrays]
        yield Table([" ".join(name) for name in names], [name[0] for name in names], _columns(before), _columns(after))


def _columns(series: Sequence[Any]) -> Any:
    out = np.full((max((len(s) for s in series), default=0), len(series)), np.nan)
    for k, s in enumerate(series):
        out[: len(s), k] = s
    return out


def _points(request: Any) -> Iterator[tuple[str, str, str, float, float]]:
    for of in request["resourceMetrics"]:
        about = {a["key"]: a["value"].get("stringValue", "") for a in of["resource"]["attributes"]}
        for scope in of["scopeMetrics"]:
            for metric in scope["metrics"]:
                for point in (metric.get("gauge") or metric.get("sum") or {}).get("dataPoints", []):
                    value = float(point.get("asDouble", point.get("asInt", 0)))
                    seconds = int(point["timeUnixNano"]) / 1e9
                    yield about["service.name"], about.get("k8s.pod.name", ""), metric["name"], seconds, value
