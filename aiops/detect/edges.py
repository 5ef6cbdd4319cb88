"""Calls between services of a partition -> evidence about edges: network time, failures, calls that reach nobody, new and gone.

What comes is counted by ``aiops.detect.traces``; an edge is judged where the callee is, but calls that reach nobody, and
whether a caller calls at all, where the caller is.
"""

from __future__ import annotations

from typing import Any

from aiops.detect import trace_words as words
from aiops.detect.anomalies import STAY, Candidate
from aiops.detect.directory import Directory
from aiops.detect.events import Events
from aiops.detect.flows import Flows
from aiops.detect.operations import Operations
from aiops.detect.retention import Kept
from aiops.detect.shares import Share, Shares
from aiops.detect.shifts import Durations
from aiops.findings import GAP, UNREACHABLE, Note
from aiops.signals import ServiceKey

LEAST_GAP, FULL_GAP = 3, 1.0  # calls that are compared at all, fewer than of own times: gaps vary less

EdgeTerms = dict[tuple[str, str, int, int], float]  # (caller, callee, environment code, term) -> evidence


class Edges:
    """Keys of `gap` and `failures` are edges of the directory, those of `calls` are client operations."""

    def __init__(self, directory: Directory, clients: Operations, events: Events) -> None:
        self._directory, self._clients, self._events = directory, clients, events
        self.gap = Durations(directory.suspicion, LEAST_GAP, FULL_GAP)
        self.failures, self.calls = Shares(directory.suspicion), Shares(directory.suspicion)
        self.flows = Flows(directory)
        self._known = 0  # edges that the parts have been told of

    def grow(self) -> None:
        """Tell the parts of edges that are new in the directory."""
        new = self._directory.edge_subject[self._known :]
        if new:
            self.gap.grow(new)
            self.failures.grow(new)
            self._known += len(new)

    def keep(self, edges: Kept, calls: Kept, flows: Kept, services: Kept, subjects: Kept) -> None:
        """Only these stay; the directory still has all that it had."""
        self.gap.keep(edges, subjects)
        self.failures.keep(edges, subjects)
        self.calls.keep(calls, subjects)
        self.flows.keep(flows, services, subjects)
        self._known = len(edges.rows)

    def advance(self, now: int) -> None:
        """Event time is `now`."""
        for part in (self.gap, self.failures, self.calls):
            part.contrast.advance(now)
        self.flows.advance(now)

    # ---- evidence -------------------------------------------------------------------------------------------------------
    def evidence(self, now: int, terms: EdgeTerms, notes: dict[Any, Note], found: list[Candidate]) -> None:
        """Fill the terms of edges at event time `now`, and add what stands out."""
        self._slow(now, terms, notes, found)
        self._failing(now, found)
        self._unreachable(now, terms, notes, found)

    def _slow(self, now: int, terms: EdgeTerms, notes: dict[Any, Note], found: list[Candidate]) -> None:
        d = self._directory
        for shift in self.gap.evidence(now):
            caller, callee = d.edges[shift.key]
            key = d.services[callee]
            terms[caller, key.service, d.service_environment[callee], GAP] = shift.score
            if shift.score <= 0:
                continue
            statement = words.shift(f"network time of calls {caller} -> {key.service}", shift)
            notes[caller, key.service, d.service_environment[callee], GAP] = Note(statement, "edge")
            if shift.score >= STAY and words.matters(shift):
                found.append(
                    words.shift_candidate(key, f"network time from {caller}", shift, "edge", caller, statement)
                )
        for run in filter(words.matters, self.gap.runs(now, STAY)):
            caller, callee = d.edges[run.key]
            key = d.services[callee]
            statement = words.run(f"network time of calls {caller} -> {key.service}", run)
            found.append(words.run_candidate(key, f"network time from {caller}", run, "edge", caller, statement))

    def _failing(self, now: int, found: list[Candidate]) -> None:
        d = self._directory
        for share in words.stronger(self.failures.evidence(now), self.failures.runs(now, STAY)):
            caller, callee = d.edges[share.key]
            if share.score >= STAY:
                what = f"calls {caller} -> {d.services[callee].service} failed"
                found.append(
                    words.share_candidate(
                        d.services[callee], f"failures of calls from {caller}", share, what, kind="edge", peer=caller
                    )
                )

    def _unreachable(self, now: int, terms: EdgeTerms, notes: dict[Any, Note], found: list[Candidate]) -> None:
        d = self._directory
        rises = self.calls.evidence(now)
        for (caller, callee, environment), share in self._by_edge(rises):
            terms[caller, callee, environment, UNREACHABLE] = share.score
            statement = words.share(share, f"calls {caller} -> {callee} reached nobody")
            notes[caller, callee, environment, UNREACHABLE] = Note(statement, "edge")
        # Calls of one operation to several services do not tell which of them is gone.
        strong = [s for s in words.stronger(rises, self.calls.runs(now, STAY)) if s.score >= STAY]
        for (caller, callee, environment), share in self._by_edge(strong, alone=True):
            key, what = ServiceKey(*d.environments[environment], callee), f"calls {caller} -> {callee} reached nobody"
            signal = f"calls from {caller} that reach nobody"
            found.append(words.share_candidate(key, signal, share, what, "unreachable", "edge", caller))

    def _by_edge(self, shares: list[Share], alone: bool = False) -> list[tuple[tuple[str, str, int], Share]]:
        """Of each (caller, callee, environment code) the strongest share of a client operation; of all that it reaches or one."""
        d = self._directory
        best: dict[tuple[str, str, int], Share] = {}
        for share in shares:
            service, name = self._clients[share.key]
            peers = self._events.peers(service, name)
            for peer in () if alone and len(peers) > 1 else peers:
                edge = (d.services[service].service, peer, d.service_environment[service])
                if edge not in best or share.score > best[edge].score:
                    best[edge] = share
        return sorted(best.items())

    # ---- state ----------------------------------------------------------------------------------------------------------
    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {
            "gap": self.gap.state(), "failures": self.failures.state(), "calls": self.calls.state(),
            "flows": self.flows.state(), "known": self._known,
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot; the directory and the client operations have been restored before."""
        for name in ("gap", "failures", "calls", "flows"):
            getattr(self, name).restore(state[name])
        self._known = state["known"]
