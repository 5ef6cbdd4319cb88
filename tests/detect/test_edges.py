"""Edges: failing calls, calls that reach nobody and slow calls are told once, of the callee, with the caller as peer."""

from __future__ import annotations

from typing import Any

import numpy as np

from aiops import state
from aiops.detect.anomalies import Candidate
from aiops.detect.directory import Directory
from aiops.detect.logs import LogDetector
from aiops.detect.traces import TraceDetector
from aiops.signals import SECOND, WINDOW, ServiceKey
from aiops.traces.durations import duration_bin

T = 1_000_000 * SECOND
QUIET = 60
LOUD = 4.0


class Mesh:
    """web calls cart by one client operation; what the calls do is said window by window."""

    def __init__(self, *peers: str) -> None:
        self.directory = Directory()
        self.web = self.directory.service(ServiceKey("default", "prod", "web"))
        self.cart = self.directory.service(ServiceKey("default", "prod", "cart"))
        self.traces = TraceDetector(self.directory, LogDetector(self.directory))
        self.edges, self.k = self.traces.edges, 0
        self.edge = np.array([self.directory.edge("web", self.cart)])
        self.call = np.array([self.traces._call_key(self.web, b"cart.Get")])
        self.traces.events._peers[self.web, b"cart.Get"] = set(peers or ("cart",))
        self.traces._grow()

    def live(self, windows: int, calls: int, failed: int = 0, nobody: int = 0, ms: float = 2.0) -> list[Candidate]:
        """The candidates of the last window, by strength."""
        found: list[Candidate] = []
        for _ in range(windows):
            start, n = T + self.k * WINDOW, np.array([calls])
            if calls:
                self.edges.failures.add(start, self.edge, n, np.array([failed]), True)
                self.edges.calls.add(start, self.call, n, np.array([nobody]), True)
                self.edges.gap.add(start, self.edge, np.array([duration_bin(int(ms * 1e6))]), n, True)
            self.k += 1
            self.edges.advance(T + self.k * WINDOW)
            found = []
            self.edges.evidence(T + self.k * WINDOW, {}, {}, found)
        return sorted(found, key=lambda c: -c.score)


def about(candidate: Candidate) -> tuple[Any, ...]:
    return candidate.service.service, candidate.peer, candidate.kind, candidate.detector


def test_calls_as_usual_are_not_told():
    assert Mesh().live(QUIET, 10, failed=1) == []


def test_failing_calls_are_told_with_their_counts_and_bounds():
    mesh = Mesh()
    mesh.live(QUIET, 10)
    (told,) = mesh.live(6, 10, failed=9)
    assert about(told) == ("cart", "web", "edge", "error-ratio")
    assert told.score >= LOUD
    assert told.observed == 0.9
    assert told.expected == 0.0
    assert told.upper is not None
    assert 0.0 < told.upper < 0.5
    assert told.statement.startswith("54 of 60 calls web -> cart failed")


def test_calls_that_reach_nobody_without_failing_are_told():
    mesh = Mesh()
    mesh.live(QUIET, 10)
    (told,) = mesh.live(5, 10, nobody=10)
    assert about(told) == ("cart", "web", "edge", "unreachable")
    assert told.score >= LOUD


def test_calls_of_an_operation_that_reaches_several_do_not_say_who_is_gone():
    mesh = Mesh("cart", "stock")
    mesh.live(QUIET, 10)
    assert mesh.live(5, 10, nobody=10) == []


def test_one_failed_call_in_five_minutes_adds_up_where_it_is_the_only_call():
    mesh = Mesh()
    mesh.live(QUIET, 1)
    scores = []
    for _ in range(5):
        mesh.live(29, 0)
        told = mesh.live(1, 1, failed=1)
        scores.append(told[0].score if told else 0.0)
    assert scores[0] == 0.0
    assert scores[-1] >= LOUD
    assert "5 of 5 calls web -> cart failed since" in told[0].statement


def test_slow_calls_are_one_anomaly_whichever_test_finds_them():
    mesh = Mesh()
    mesh.live(QUIET, 10)
    told = mesh.live(5, 10, ms=50.0)
    assert {about(c) for c in told} == {("cart", "web", "edge", "duration-shift")}
    assert len({c.key for c in told}) == 1
    assert told[0].score >= LOUD


def test_a_move_of_less_than_a_millisecond_is_not_told():
    mesh = Mesh()
    mesh.live(QUIET, 10, ms=0.05)
    assert mesh.live(6, 10, ms=0.9) == []


def test_restored_edges_have_the_same_future():
    one, two = Mesh(), Mesh()
    for calls, failed, nobody, ms in ((10, 0, 0, 2.0), (10, 6, 0, 30.0), (1, 1, 1, 2.0), (0, 0, 0, 2.0)):
        for _ in range(12):
            packed = state.pack(one.edges.state())
            two.edges.restore(state.unpack(packed))
            assert state.pack(two.edges.state()) == packed
            assert two.live(1, calls, failed, nobody, ms) == one.live(1, calls, failed, nobody, ms)
