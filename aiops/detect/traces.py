"""Trace rows of a window -> evidence about services: own time, latency, loss, novelty, errors, traffic.

What the rows say of edges is handed to ``aiops.detect.edges``.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aiops.detect import trace_words as words
from aiops.detect.anomalies import STAY, Candidate
from aiops.detect.contrast import LENGTHS
from aiops.detect.directory import Directory
from aiops.detect.edges import Edges
from aiops.detect.events import Events
from aiops.detect.explain import rarity
from aiops.detect.logs import LogDetector
from aiops.detect.operations import Operations
from aiops.detect.rates import Rates
from aiops.detect.retention import Kept, Mask, Rule
from aiops.detect.shares import Shares
from aiops.detect.shifts import Durations
from aiops.detect.suspicion import CALM
from aiops.detect.unseen import Silences
from aiops.findings import ERRORS, LOSS, LOST, NOVEL, OWN, PLAIN, TERMS, TRAFFIC, Note
from aiops.signals import SECOND, ServiceKey, TraceRows

LEAST_OWN, FULL_OWN = 5, 1.5  # durations that are compared at all
HOLD = 110 * SECOND  # so long after the last span its windows are still contrasted; then silence says nothing
SILENCE, CUT = 60 * SECOND, 10 * SECOND  # after so long a silence of all spans, the first seconds are not used
STEADY = 20.0  # over-dispersion of a service's share of all spans
SENDS = 1.0  # visits, faded ones, of a service that sends spans
LEAST_SPANS = 500.0  # of the environment before a share of them is judged


class TraceRowsKept(NamedTuple):
    """Which rows stay: bool arrays."""

    ops: Mask
    calls: Mask
    events: Mask
    pairs: Mask
    flows: Mask


class TraceDetector:
    """Visits, durations, errors and calls of the services and edges of a partition."""

    def __init__(self, directory: Directory, logs: LogDetector) -> None:
        suspicion = directory.suspicion
        self._directory, self._logs = directory, logs
        self.own = Durations(suspicion, LEAST_OWN, FULL_OWN)
        self.whole = Durations(suspicion, LEAST_OWN, FULL_OWN)
        self.errors = Shares(suspicion)
        self.traffic = Rates(suspicion, STEADY, LEAST_SPANS)
        self._ops, self._clients = Operations(directory), Operations(directory)
        self.events = Events(directory, logs, self._clients)
        self.visits = self.events.visits
        self.silences = Silences()
        self.edges = Edges(directory, self._clients, self.events)
        self._known = [0, 0]  # services and environments that the parts have been told of
        self._last: dict[int, int] = {}  # environment -> start of the last window with spans
        self._cut: dict[int, int] = {}  # environment -> until when windows are not used
        self.calls_now: NDArray[np.float64] = np.empty(0)

    # ---- one window -----------------------------------------------------------------------------------------------------
    def add(self, window: int, tenant: str, parts: list[TraceRows], spans: dict[int, int]) -> None:
        """All rows of one window of all sources; `spans` counts the spans of each environment in it."""
        for environment, n in spans.items():
            if n:
                if window - self._last.get(environment, -(1 << 60)) > SILENCE:
                    # Traces and logs that begin before the stream does look incomplete.
                    self._cut[environment] = window + CUT
                self._last[environment] = window
        op: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        call: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        edge: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        histograms: tuple[dict[tuple[int, int], int], ...] = (defaultdict(int), defaultdict(int), defaultdict(int))
        visits: dict[tuple[ServiceKey, int], list[Any]] = {}
        self._register(tenant, parts)
        used = np.array([window >= self._cut.get(e, 0) for e in self._directory.service_environment], bool)
        # Of a service that sends spans, a call without any says nothing of the network: its spans are missing.
        recent, normal = self.visits.seen.split(window, max(LENGTHS))
        traced = recent + normal >= SENDS
        for part in parts:
            # Of a table that only grows, and may hold more than this window knows of, just what the window names.
            service = {
                s: self._directory.service(ServiceKey(tenant, *part.services[s]))
                for s in {*part.op[:, 0].tolist(), *part.call[:, 0].tolist(), *part.edge[:, 1].tolist()}
            }
            for (s, o), (n, failed) in zip(part.op.tolist(), part.op_counts.tolist(), strict=True):
                if used[service[s]]:
                    counts = op[self._op_key(service[s], part.operations[o])]
                    counts[0], counts[1] = counts[0] + n, counts[1] + failed
            for which, rows, counted in ((0, part.own, part.own_counts), (1, part.duration, part.duration_counts)):
                for (s, o, b), n in zip(rows.tolist(), counted.tolist(), strict=True):
                    if used[service[s]]:
                        histograms[which][self._op_key(service[s], part.operations[o]), b] += n
            for (s, o), (n, missing) in zip(part.call.tolist(), part.call_counts.tolist(), strict=True):
                if used[service[s]]:
                    counts = call[self._call_key(service[s], part.operations[o])]
                    counts[0], counts[1] = counts[0] + n, counts[1] + missing
            for (a, b), (n, failed) in zip(part.edge.tolist(), part.edge_counts.tolist(), strict=True):
                if used[service[b]]:
                    counts = edge[self._edge_key(part.services[a][1], service[b])]
                    counts[0], counts[1] = counts[0] + n, counts[1] + failed
            gaps = ((part.gap, part.gap_counts, False), (part.unseen, part.unseen_counts, True))
            for rows, counted, untraced in gaps:
                for (a, b, bin_), n in zip(rows.tolist(), counted.tolist(), strict=True):
                    if used[service[b]] and not (untraced and traced[service[b]]):
                        histograms[2][self._edge_key(part.services[a][1], service[b]), bin_] += n
            for s, visit, n in zip(
                part.visit.tolist(), part.visit_hash.tolist(), part.visit_counts.tolist(), strict=True
            ):
                if used[service[s]]:
                    found = visits.setdefault((self._directory.services[service[s]], visit), [service[s], 0, part])
                    found[1] += n
        self._grow()
        self._count(window, op, call, edge, histograms, any(spans.values()))
        self._count_visits(window, visits, spans)

    def _register(self, tenant: str, parts: list[TraceRows]) -> None:
        """Give what a window names its codes in the order of the names: where scores tie, the first code decides."""
        ops, calls, edges = set(), set(), set()
        for part in parts:
            names, operations = part.services, part.operations
            ops |= {(names[s], operations[o]) for s, o in part.op.tolist()}
            calls |= {(names[s], operations[o]) for s, o in part.call.tolist()}
            edges |= {(names[b], names[a]) for a, b in part.edge.tolist()}
        services = {name for name, _ in ops} | {name for name, _ in calls} | {callee for callee, _ in edges}
        code = {name: self._directory.service(ServiceKey(tenant, *name)) for name in sorted(services)}
        self._grow()
        for name, operation in sorted(ops):
            self._op_key(code[name], operation)
        for name, operation in sorted(calls):
            self._call_key(code[name], operation)
        for callee, caller in sorted(edges):
            self._edge_key(caller[1], code[callee])

    def _count(self, window: int, op: Any, call: Any, edge: Any, histograms: Any, live: bool) -> None:
        for durations, histogram in zip((self.own, self.whole, self.edges.gap), histograms, strict=True):
            keys = sorted(histogram)
            table = np.array(keys, np.int64).reshape(-1, 2)
            durations.add(window, table[:, 0], table[:, 1], np.array([histogram[k] for k in keys], np.int64), live)
        for shares, counts in ((self.errors, op), (self.edges.calls, call), (self.edges.failures, edge)):
            keys = sorted(counts)
            table = np.array([counts[k] for k in keys], np.int64).reshape(-1, 2)
            shares.add(window, np.array(keys, np.int64), table[:, 0], table[:, 1], live)
        self.calls_now = np.zeros(len(self._directory.edges))
        for key, (n, _) in edge.items():
            self.calls_now[key] = n

    def _count_visits(
        self, window: int, visits: dict[tuple[ServiceKey, int], list[Any]], spans: dict[int, int]
    ) -> None:
        """Distinct visits in canonical order, so that events get their codes in the same order whatever came first."""
        cells: list[tuple[NDArray[np.int64], int]] = []
        per_service: dict[int, int] = defaultdict(int)
        calling: dict[tuple[int, str], int] = defaultdict(int)
        spoken: dict[int, int] = defaultdict(int)
        for (_, visit), (service, n, part) in sorted(visits.items(), key=lambda item: item[0]):
            found = self.events.visit(service, visit, part)
            cells.append((found.cells, n))
            per_service[service] += n
            spoken[service] += n * found.spoken
            for callee in found.called:
                calling[service, callee] += n
        keys = np.array(sorted(per_service), np.int64)
        counts = np.array([per_service[k] for k in keys.tolist()], np.int64)
        self.visits.add(window, cells, keys, counts, any(spans.values()))
        with_lines = np.array([float(spoken[k]) for k in keys.tolist()])
        self.silences.add(window, keys, counts.astype(np.float64), with_lines, self._logs.speaking)
        self.edges.flows.add(window, calling, any(spans.values()))
        group = np.array(sorted(e for e, n in spans.items() if n), np.int64)
        self.traffic.add(
            window, keys, counts, group, np.array([float(spans[e]) for e in group.tolist()]), any(spans.values())
        )

    # ---- keys -----------------------------------------------------------------------------------------------------------
    def _grow(self) -> None:
        """Tell the parts of services, edges and environments that are new in the directory."""
        d, known = self._directory, self._known
        for _ in range(known[1], len(d.environments)):
            self.traffic.add_group()
        for service in range(known[0], len(d.services)):
            self.visits.grow(d.service_subject[service])
            self.traffic.grow([d.service_subject[service]], [d.service_environment[service]])
        self.edges.grow()
        self.silences.grow(len(d.services))
        self._known = [len(d.services), len(d.environments)]

    def _op_key(self, service: int, name: bytes) -> int:
        known, key = len(self._ops), self._ops.code(service, name)
        if key == known:
            owner = [self._directory.service_subject[service]]
            self.own.grow(owner)
            self.whole.grow(owner)
            self.errors.grow(owner)
        return key

    def _call_key(self, service: int, name: bytes) -> int:
        known, key = len(self._clients), self._clients.code(service, name)
        if key == known:
            self.edges.calls.grow([self._directory.service_subject[service]])
        return key

    def _edge_key(self, caller: str, callee: int) -> int:
        key = self._directory.edge(caller, callee)
        self._grow()
        return key

    # ---- eviction -------------------------------------------------------------------------------------------------------
    def sizes(self) -> dict[str, int]:
        """Fill of every table, for metrics."""
        events, pairs = self.visits.sizes
        return {
            "operations": len(self._ops), "calls": len(self._clients), "flows": len(self.edges.flows),
            "visit_events": events, "visit_pairs": pairs,
        }  # fmt: skip

    @property
    def nearly_full(self) -> bool:
        """May rows go before the hour?"""
        tables = (self._ops, self._clients, self.visits, self.edges.flows)
        return any(table.nearly_full for table in tables)

    def stays(self, rule: Rule, services: Mask, numbers: Mask) -> TraceRowsKept:
        """Which rows stay where these services, and numbers of log templates, do."""
        events, pairs = self.events.stays(rule, services, numbers)
        ops, calls = self._ops.stays(rule, services), self._clients.stays(rule, services)
        return TraceRowsKept(ops, calls, events, pairs, self.edges.flows.stays(rule, services))

    def keep(
        self, rows: TraceRowsKept, services: Kept, edges: Kept, environments: Kept, subjects: Kept, numbers: Kept
    ) -> None:
        """Only these stay; the directory still has all that it had."""
        self._grow()
        ops, calls = Kept(rows.ops), Kept(rows.calls)
        self.own.keep(ops, subjects)
        self.whole.keep(ops, subjects)
        self.errors.keep(ops, subjects)
        self.edges.keep(edges, calls, Kept(rows.flows), services, subjects)
        self.traffic.keep(services, environments, subjects)
        self.silences.keep(services)
        self._ops.keep(ops, services)
        self._clients.keep(calls, services)
        self.events.keep(Kept(rows.events), Kept(rows.pairs), services, subjects, numbers)
        of = environments.code.tolist()
        self._last = {of[e]: last for e, last in self._last.items() if of[e] >= 0}
        self._cut = {of[e]: until for e, until in self._cut.items() if of[e] >= 0}
        self._known = [len(services.rows), len(environments.rows)]
        self.calls_now = np.zeros(len(edges.rows))

    # ---- evidence -------------------------------------------------------------------------------------------------------
    def advance(self, now: int) -> None:
        """Event time is `now`."""
        for part in (self.own, self.whole, self.errors):
            part.contrast.advance(now)
        self.edges.advance(now)
        self.visits.advance(now)
        self.traffic.advance(now)

    def evidence(
        self,
        now: int,
        terms: NDArray[np.float64],
        edge_terms: dict[tuple[str, str, int, int], float],
        notes: dict[Any, Note],
    ) -> tuple[list[Candidate], NDArray[np.float64], NDArray[np.float64]]:
        """Fill the terms of services and edges at event time `now`.

        Also returns the visits of the last minute of every service, and how many of them failed.

        `edge_terms` is keyed by (caller, callee, environment code, term).
        """
        d = self._directory
        recent = np.zeros(len(d.services))
        self._grow()
        heard = {e for e, last in self._last.items() if now - last - 10 * SECOND <= HOLD}
        if not heard:
            return [], recent, recent
        found: list[Candidate] = []
        heard_service = np.array([e in heard for e in d.service_environment], bool)
        self._own(now, terms, notes, found)
        failing = {self._clients[share.key] for share in self.edges.calls.evidence(now) if share.score >= CALM}
        loss, lost, novel, plain = self.visits.evidence(now, self.events.hidden(self.silences.dark(now), failing))
        for term, best in ((LOSS, loss), (LOST, lost), (NOVEL, novel), (PLAIN, plain)):
            for service, item in best.items():
                if item.score > terms[service, term]:
                    terms[service, term] = item.score
                    notes[service, term] = words.visit(term, item, self.events.keys, self._logs.display)
        news = plain | {s: item for s, item in novel.items() if s not in plain or item.score >= plain[s].score}
        for term, best in ((LOSS, loss), (NOVEL, news)):
            for service, item in best.items():
                if item.score >= STAY:
                    found.append(
                        words.visit_candidate(d.services[service], term, item, self.events.keys, self._logs.display)
                    )
        self._errors(now, terms, notes, found)
        self.edges.evidence(now, edge_terms, notes, found)
        self._traffic(now, terms, notes, found)
        # Calls that used to come in most visits are missed there already.
        told = {service for service, item in loss.items() if item.score >= STAY}
        flows = [
            f for f in self.edges.flows.evidence(now, self.visits.seen, STAY) if f.score > 0 or f.caller not in told
        ]
        found += [words.flow_candidate(d.services[flow.caller], flow) for flow in flows]
        terms[~heard_service] = np.where(_TRACE_TERMS, 0.0, terms[~heard_service])
        seen, _ = self.visits.seen.split(now, 60 * SECOND)
        recent[: len(seen)] = seen
        trials, _ = self.errors.contrast.split(now, 60 * SECOND)
        failed = np.zeros(len(d.services))
        np.add.at(failed, np.array([service for service, _ in self._ops], np.int64), trials.reshape(-1, 2)[:, 1])
        for candidate in found:
            candidate.statement += f"; {rarity(candidate.score, 'windows')}"
        said = [c for c in found if d.environment(c.service.tenant, c.service.environment) in heard]
        return said, recent, failed

    def _own(self, now: int, terms: NDArray[np.float64], notes: dict[Any, Note], found: list[Candidate]) -> None:
        for kind, durations in (("own time", self.own), ("latency", self.whole)):
            for shift in durations.evidence(now):
                service, name = self._ops[shift.key]
                if kind == "own time" and shift.score > terms[service, OWN]:
                    terms[service, OWN] = shift.score
                    notes[service, OWN] = Note(words.shift(f"own time of {words.text(name)}", shift), "trace")
                if shift.score >= STAY and words.matters(shift):
                    found.append(
                        words.shift_candidate(self._directory.services[service], f"{kind} of {words.text(name)}", shift)
                    )
            for run in filter(words.matters, durations.runs(now, STAY)):
                service, name = self._ops[run.key]
                found.append(
                    words.run_candidate(self._directory.services[service], f"{kind} of {words.text(name)}", run)
                )

    def _errors(self, now: int, terms: NDArray[np.float64], notes: dict[Any, Note], found: list[Candidate]) -> None:
        rises = self.errors.evidence(now)
        for share in rises:
            service, name = self._ops[share.key]
            if share.score > terms[service, ERRORS]:
                terms[service, ERRORS] = share.score
                notes[service, ERRORS] = Note(words.share(share, f"requests to {words.text(name)} failed"), "trace")
        for share in words.stronger(rises, self.errors.runs(now, STAY)):
            service, name = self._ops[share.key]
            what = f"requests to {words.text(name)} failed"
            if share.score >= STAY:
                found.append(
                    words.share_candidate(
                        self._directory.services[service], f"error ratio of {words.text(name)}", share, what
                    )
                )

    def _traffic(self, now: int, terms: NDArray[np.float64], notes: dict[Any, Note], found: list[Candidate]) -> None:
        _, known = self.traffic.counts.split(now, max(LENGTHS))
        for rate in self.traffic.evidence(now, STAY):
            key = self._directory.services[rate.key]
            if rate.score < 0:
                terms[rate.key, TRAFFIC] = -rate.score
                notes[rate.key, TRAFFIC] = Note(words.traffic(key.service, rate), "trace")
            # What is expected is itself known from so many visits only: a service that is new has no share yet.
            shape = 1.0 / (1.0 / STEADY + 1.0 / (known[rate.key] + 1.0))
            candidate = words.traffic_candidate(key, rate, shape)
            if candidate.score >= STAY:
                found.append(candidate)

    # ---- state ----------------------------------------------------------------------------------------------------------
    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {
            "own": self.own.state(), "whole": self.whole.state(), "errors": self.errors.state(),
            "edges": self.edges.state(), "events": self.events.state(),
            "silences": self.silences.state(), "traffic": self.traffic.state(), "ops": self._ops.state(),
            "clients": self._clients.state(), "known": self._known, "last": self._last, "cut": self._cut,
            "calls_now": self.calls_now,
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot; the directory and the templates have been restored before."""
        for name in ("own", "whole", "errors", "edges", "events", "silences"):
            getattr(self, name).restore(state[name])
        self.traffic.restore(state["traffic"])
        self._ops.restore(state["ops"])
        self._clients.restore(state["clients"])
        self._known, self._last, self._cut = state["known"], state["last"], state["cut"]
        self.calls_now = state["calls_now"]


_TRACE_TERMS = np.zeros(len(TERMS), bool)
_TRACE_TERMS[[OWN, LOSS, LOST, NOVEL, ERRORS, TRAFFIC, PLAIN]] = True
