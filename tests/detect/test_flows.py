"""Who calls whom, per visit of the caller: what is new, what has ceased, and what says nothing."""

from __future__ import annotations

import numpy as np
import pytest

from aiops import state
from aiops.detect.contrast import Contrast
from aiops.detect.directory import Directory
from aiops.detect.flows import Flow, Flows
from aiops.signals import SECOND, WINDOW, ServiceKey

T = 1_000_000 * SECOND
QUIET = 60
LOUD = 4.0


class Life:
    """A service that calls others, and how many visits it has."""

    def __init__(self) -> None:
        self.directory = Directory()
        self.web = self.directory.service(ServiceKey("default", "prod", "web"))
        self.visits = Contrast(self.directory.suspicion)
        self.visits.grow(np.array(self.directory.service_subject, np.int32))
        self.flows, self.k = Flows(self.directory), 0

    def live(self, windows: int, visits: int, **calls: int) -> list[Flow]:
        for _ in range(windows):
            start = T + self.k * WINDOW
            if visits:
                self.visits.add(start, np.array([self.web]), np.array([float(visits)]), True)
            self.flows.add(start, {(self.web, callee): n for callee, n in calls.items() if n}, True)
            self.k += 1
            for part in (self.visits, self.flows):
                part.advance(T + self.k * WINDOW)
        return self.flows.evidence(T + self.k * WINDOW, self.visits, 2.0)


def test_what_is_as_usual_is_not_told():
    assert Life().live(QUIET, 10, cart=10, stock=3) == []


def test_an_edge_that_carries_no_calls_while_its_caller_is_asked_is_told():
    life = Life()
    life.live(QUIET, 10, cart=10, stock=3)
    (flow,) = life.live(6, 10, cart=10)
    assert flow.callee == "stock"
    assert flow.score <= -LOUD
    assert (flow.hits, flow.visits) == (0, 60)
    assert flow.normal == pytest.approx(0.3, abs=0.01)


def test_a_caller_that_is_not_asked_says_nothing():
    life = Life()
    life.live(QUIET, 10, cart=10, stock=3)
    assert life.live(6, 0) == []


def test_an_edge_that_carries_somewhat_fewer_calls_is_not_told():
    life = Life()
    life.live(QUIET, 10, cart=10, stock=4)
    assert life.live(12, 10, cart=10, stock=3) == []


def test_a_call_that_was_never_made_before_is_told():
    life = Life()
    life.live(QUIET, 10, cart=10)
    (flow,) = life.live(2, 10, cart=10, mail=4)
    assert (flow.callee, flow.hits, flow.normal) == ("mail", 8, 0.0)
    assert flow.score >= LOUD


def test_a_new_call_of_a_caller_that_is_hardly_known_is_not_told():
    life = Life()
    life.live(3, 5, cart=5)
    assert life.live(1, 5, cart=5, mail=2) == []


def test_a_single_call_is_no_edge():
    life = Life()
    life.live(QUIET, 10, cart=10)
    assert life.live(1, 10, cart=10, mail=1) == []


def test_restored_flows_have_the_same_future():
    one, two = Life(), Life()
    for visits, calls in ((10, {"cart": 10, "stock": 3}), (10, {"cart": 10}), (10, {"cart": 9, "mail": 5})):
        for _ in range(30):
            packed = state.pack(one.flows.state())
            two.flows.restore(state.unpack(packed))
            assert state.pack(two.flows.state()) == packed
            assert two.live(1, visits, **calls) == one.live(1, visits, **calls)
