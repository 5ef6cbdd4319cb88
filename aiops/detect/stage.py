"""Window rows of all sources -> findings: evidence rows of every service and edge, and anomalies.

The windows of all sources are merged and processed in order when they are due by the merged clock; every window is processed,
silent ones too, because evidence fades with time.  A service is judged by what is keyed to it alone, so the number of
partitions does not matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aiops import state
from aiops.detect.anomalies import Candidate, Tracker
from aiops.detect.directory import Directory
from aiops.detect.explain import LONGEST_STATEMENT, short
from aiops.detect.forget import TABLES, forget
from aiops.detect.gates import REASONS
from aiops.detect.logs import LogDetector
from aiops.detect.metrics import MetricDetector
from aiops.detect.placement import rows_of
from aiops.detect.rules import DetectConfig
from aiops.detect.traces import TraceDetector
from aiops.findings import (
    CHATTER,
    EDGE_TERMS,
    ERRORS,
    GAP,
    HEARTBEAT,
    LOG,
    LOSS,
    NOVEL,
    OWN,
    PLAIN,
    RESOURCE,
    TERMS,
    TRAFFIC,
    Findings,
    Note,
)
from aiops.ingest.log_windows import bounded
from aiops.signals import WINDOW, Clocks, WindowRows, due

VERSION = "1"
REST = 0.3  # weight of the evidence beside the strongest
# Evidence that makes a service suspect; metrics that are no resources swing too freely.
_SUSPECT = [RESOURCE, OWN, LOSS, NOVEL, ERRORS, HEARTBEAT, TRAFFIC, LOG, PLAIN, CHATTER]
_ABSENT = (float("nan"), 0.0)  # of the edge terms: a gap that was not judged is not a gap of 0
IDLE = 60 * WINDOW  # silence after which windows without anything are skipped


class Detect:
    """One partition of the signals topic.

    Parameters
    ----------
    sources : list of str, optional
        All sources that write to it, assemble's among them; where they are not given they come with a record.
    config : DetectConfig, optional
        What detection is told; no part of the state.
    """

    def __init__(
        self, sources: list[str] | None = None, tenant: str = "default", config: DetectConfig | None = None
    ) -> None:
        self.clocks = Clocks(sources)
        self.tenant, self.config = tenant, config or DetectConfig()
        self.windows = 0
        self.late = 0  # rows of a source that was let go, or repeats
        self._waiting: dict[int, dict[str, WindowRows]] = {}
        self._next = -1
        self._last_data = -1
        self._build()

    def _build(self) -> None:
        self.directory = Directory()
        self.logs = LogDetector(self.directory)
        self.metrics = MetricDetector(self.directory, self.config)
        self.traces = TraceDetector(self.directory, self.logs)
        self.tracker = Tracker(VERSION)

    @property
    def clock(self) -> int:
        """What this stage has reached for those behind it, Unix ns: every window due by then has been processed."""
        return self.clocks.merged

    @property
    def done_until(self) -> int:
        """Start of the first window that has not been processed, -1 before the first (Unix ns): what is older is late."""
        return self._next

    def process(self, rows: WindowRows) -> None:
        """Take in the rows of one source for one window; a repeat is ignored, and so is what comes too late."""
        waiting = self._waiting.get(rows.window, {})
        if rows.window < self._next or rows.source in waiting:
            self.late += rows.window < self._next
            return
        waiting[rows.source] = rows
        self._waiting[rows.window] = waiting

    def advance(self, source: str, clock: int) -> list[Findings]:
        """Source `source` has reached `clock` (Unix ns): process the windows that are due."""
        self.clocks.set(source, clock)
        out: list[Findings] = []
        merged = self.clocks.merged
        while True:
            first = min(self._waiting, default=None)
            if self._next < 0:
                # Not before all sources have spoken: one of them may hold an earlier window.
                if first is None or due(first) > merged:
                    break
                self._next = first
            if self._next - self._last_data > IDLE and self._last_data >= 0:
                # All has been silent for long: go on at the next window that holds anything, once it is sure to be it.
                if first is None or due(first) > merged:
                    break
                self._next = max(self._next, first)
            if due(self._next) > merged:
                break
            window, self._next = self._next, self._next + WINDOW
            out.extend(self._step(window, self._waiting.pop(window, {})))
        return out

    def _step(self, window: int, rows: dict[str, WindowRows]) -> list[Findings]:
        """One window, whole."""
        forget(window, self.directory, self.metrics, self.logs, self.traces)
        now, self.windows = window + WINDOW, self.windows + 1
        totals: dict[tuple[str, str], int] = {}
        for source in sorted(rows):
            self._last_data = window
            for key, n in rows[source].totals.items():
                totals[key] = totals.get(key, 0) + n
        codes = {key: self.directory.environment(self.tenant, key[0]) for key in sorted(totals)}
        of = {
            signal: {codes[key]: n for key, n in totals.items() if key[1] == signal}
            for signal in ("metrics", "logs", "traces")
        }
        ordered = [rows[source] for source in sorted(rows)]
        self.metrics.add(self.tenant, [part for r in ordered for part in r.metrics])
        self.logs.add(window, self.tenant, bounded([row for r in ordered for row in r.logs]), of["logs"])
        self.traces.add(window, self.tenant, [r.traces for r in ordered if r.traces is not None], of["traces"])
        self.metrics.signals.advance(now)
        self.logs.advance(now)
        self.traces.advance(now)
        return self._findings(now, totals)

    def _findings(self, now: int, totals: dict[tuple[str, str], int]) -> list[Findings]:
        d = self.directory
        terms = np.zeros((len(d.services), len(TERMS)))
        notes: dict[Any, Note] = {}
        edge_terms: dict[tuple[str, str, int, int], float] = {}
        candidates: list[Candidate] = self.metrics.evidence(now, terms, notes)
        candidates += self.logs.evidence(now, terms, notes)
        traced, visits, failed = self.traces.evidence(now, terms, edge_terms, notes)
        np.round(terms, 4, out=terms)
        self._suspect(now, terms, edge_terms)
        anomalies = self.tracker.advance(now, candidates + traced)
        notes = {key: Note(short(note.statement, LONGEST_STATEMENT), note.type) for key, note in notes.items()}
        placed = self.metrics.placed(now)
        out = []
        for environment, (tenant, name) in sorted(enumerate(d.environments), key=lambda pair: pair[1]):
            of = [code for code, e in enumerate(d.service_environment) if e == environment]
            of.sort(key=lambda code: d.services[code])
            edges = {(a, b): code for code, (a, b) in self._edges_of(environment)}
            for caller, callee, e, _ in edge_terms:
                if e == environment:
                    edges.setdefault((caller, callee), -1)
            pairs = sorted(edges)
            table = np.array(
                [
                    [round(edge_terms.get((*p, environment, k), _ABSENT[k]), 4) for k in range(len(EDGE_TERMS))]
                    for p in pairs
                ]
            ).reshape(-1, len(EDGE_TERMS))
            calls = self.traces.calls_now
            counts = np.array([calls[edges[p]] if 0 <= edges[p] < len(calls) else 0.0 for p in pairs])
            machines, rows = rows_of(placed, self.metrics.places.names, of)
            said: dict[tuple[str, ...], Note] = {}
            for key, note in notes.items():
                if len(key) == 2 and d.service_environment[key[0]] == environment:
                    said[d.services[key[0]].service, TERMS[key[1]]] = note
                elif len(key) == 4 and key[2] == environment:
                    said[key[0], key[1], EDGE_TERMS[key[3]]] = note
            found = Findings(
                tenant, name, now, [d.services[code].service for code in of], terms[of], visits[of], failed[of],
                pairs, table, counts,
                dict(sorted(said.items())), [a for a in anomalies if (a.tenant, a.environment) == (tenant, name)],
                {signal: n for (e, signal), n in sorted(totals.items()) if e == name}, machines, rows,
            )  # fmt: skip
            out.append(found)
        return out

    def _edges_of(self, environment: int) -> list[tuple[int, tuple[str, str]]]:
        d = self.directory
        return [
            (code, (caller, d.services[callee].service))
            for code, (caller, callee) in enumerate(d.edges)
            if d.service_environment[callee] == environment
        ]

    def _suspect(self, now: int, terms: Any, edge_terms: dict[tuple[str, str, int, int], float]) -> None:
        d = self.directory
        gaps = np.zeros(len(d.edges))
        worst = np.zeros(len(d.services))
        for code, (caller, callee) in enumerate(d.edges):
            key = (caller, d.services[callee].service, d.service_environment[callee], GAP)
            gaps[code] = edge_terms.get(key, 0.0)
            worst[callee] = max(worst[callee], gaps[code])
        x = np.concatenate([terms[:, _SUSPECT], worst[:, None]], 1)
        top = x.max(1, initial=0.0)
        rest = np.zeros(len(top))
        for column in range(x.shape[1]):  # in this order on every machine
            rest += x[:, column]
        d.suspect(now, top + REST * (rest - top), gaps)

    def gauges(self) -> dict[str, float]:
        """Fill of every table, and what was evicted or left out since the process began (``_total``)."""
        sizes = {
            "services": len(self.directory.services), "edges": len(self.directory.edges),
            "environments": len(self.directory.environments), **self.metrics.sizes(), **self.logs.sizes(), **self.traces.sizes(),
            "open_anomalies": self.tracker.open, "waiting_windows": len(self._waiting),
        }  # fmt: skip
        miner = {f"miner_{name}": size for name, size in self.logs.templates.sizes().items()}
        left_out = {
            "ignored_series_total": self.metrics.ignored, "ignored_log_rows_total": self.logs.ignored,
            "ignored_visit_rows_total": self.traces.visits.ignored, "ignored_machines_total": self.metrics.places.ignored,
            "refused_anomalies_total": self.tracker.refused,
            "evicted_templates_total": self.logs.templates.evicted, "late_rows_total": self.late,
        }  # fmt: skip
        held_back = {f"held_back_{gate}_total": self.tracker.held_back[gate] for gate in REASONS}
        evicted = {f"evicted_{table}_total": self.directory.evicted[table] for table in TABLES}
        of_signals = {**self.metrics.signals.left_out(), **self.metrics.signals.challengers.gauges()}
        every = {**sizes, **miner, **left_out, **of_signals, **held_back, **evicted}
        return {f"detect_{name}": float(n) for name, n in every.items()}

    # ---- state ----------------------------------------------------------------------------------------------------------
    def snapshot(self) -> bytes:
        """Everything that the future depends on but rows of windows not processed yet, which are read again."""
        return state.pack(
            {
                "clocks": self.clocks.state(), "next": self._next, "last_data": self._last_data,
                "windows": self.windows, "directory": self.directory.state(), "logs": self.logs.state(),
                "metrics": self.metrics.state(), "traces": self.traces.state(), "tracker": self.tracker.state(),
            }
        )  # fmt: skip

    def restore(self, snapshot: bytes) -> None:
        """Take over the state of a snapshot; the rows from window ``done_until`` on are read again."""
        read = state.unpack(snapshot)
        self._build()
        self.clocks.restore(read["clocks"])
        self._next, self._last_data = read["next"], read["last_data"]
        self.windows, self._waiting = read["windows"], {}
        self.directory.restore(read["directory"])
        self.logs.restore(read["logs"])
        self.metrics.restore(read["metrics"])
        self.traces.restore(read["traces"])
        self.tracker.restore(read["tracker"])
