"""Findings -> records of the topology: what is told, when, and what is not."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from aiops import state
from aiops.findings import EDGE_TERMS, TERMS, Findings
from aiops.incidents import topology
from aiops.incidents.stage import Respond
from aiops.incidents.topology import EARLIER, EVERY, FORGET, LIFE, REFRESH, TopologyTracker
from aiops.records import unix_ns
from aiops.signals import SECOND, WINDOW
from aiops.topology import Topology
from tests.incidents.world import DETECT, EDGES, SERVICES, T, World, findings

START = -(-T // EVERY) * EVERY  # where an interval begins
PER = EVERY // WINDOW


class Tracked:
    """A tracker, the time, and all that it said."""

    def __init__(self) -> None:
        self.tracker, self.now = TopologyTracker("default", "prod"), START
        self.said: list[Topology] = []
        self.forgotten: list[str] = []

    def last_for(self, windows: int, step: int = WINDOW, **more) -> list[Topology]:
        """Windows of the shop; returns what was said meanwhile, but for what is only still seen."""
        before = len(self.said)
        for _ in range(windows):
            self.now += step
            self.take(findings(self.now, {}, **more))
        return [r for r in self.said[before:] if r.reason != "seen"]

    def take(self, found: Findings) -> None:
        records, forgotten = self.tracker.advance(found)
        self.said += records
        self.forgotten += forgotten

    def told_of(self, interval: int) -> list[Topology]:
        """What was said at the end of an interval, counted from 0; a window of the next one ends it."""
        end = START + (interval + 1) * EVERY
        return [r for r in self.said if r.reason != "seen" and unix_ns(r.updated_at) == end]

    def restart(self) -> None:
        saved = state.pack(self.tracker.state())
        self.tracker = TopologyTracker("default", "prod")
        self.tracker.restore(state.unpack(saved))
        assert state.pack(self.tracker.state()) == saved


def name(record: Topology) -> str:
    return record.service or f"{record.caller}->{record.callee}"


def named(records: list[Topology]) -> dict[str, Topology]:
    return {name(record): record for record in records}


def crowd(now: int, names: list[str]) -> Findings:
    n = len(names)
    return Findings(
        "default", "prod", now, names, np.zeros((n, len(TERMS))), np.full(n, 6.0), np.zeros(n), [],
        np.zeros((0, len(EDGE_TERMS))), np.zeros(0), totals={"traces": 5},
    )  # fmt: skip


def test_everything_is_told_once_and_then_nothing_while_nothing_changes():
    world = Tracked()
    first = world.last_for(PER + 1)
    assert sorted(map(name, first)) == sorted([*SERVICES, *(f"{a}->{b}" for a, b in EDGES)])
    assert {(r.reason, r.state) for r in first} == {("new", "present")}
    of = named(first)
    assert (of["cart"].calls_per_minute, of["cart"].error_ratio) == (30.0, 0.0)
    assert (of["cart->db"].calls_per_minute, of["cart->db"].error_ratio) == (120.0, None)
    assert unix_ns(of["cart"].first_seen) == unix_ns(of["cart"].since) == START + WINDOW
    assert unix_ns(of["cart"].last_seen) == unix_ns(of["cart"].updated_at) == START + EVERY
    assert world.last_for(10 * PER) == []


def test_what_is_still_seen_is_told_again_each_in_its_turn():
    world = Tracked()
    world.last_for(PER + 1)
    before = len(world.said)
    world.last_for(REFRESH * PER)
    again = world.said[before:]
    assert Counter(map(name, again)) == Counter([*SERVICES, *(f"{a}->{b}" for a, b in EDGES)])
    assert {r.reason for r in again} == {"seen"}
    assert len({r.version for r in again}) > 1
    assert all(r.earlier == () for r in again)


def test_a_rate_that_changes_by_a_factor_is_told_with_what_it_was():
    world = Tracked()
    world.last_for(3 * PER)
    world.last_for(PER + 1, calls={("cart", "db"): 8.0})
    (changed,) = world.told_of(3)
    assert (name(changed), changed.reason, changed.calls_per_minute) == ("cart->db", "rate", 48.0)
    assert unix_ns(changed.since) == START + 3 * EVERY
    (before,) = changed.earlier
    assert (before.calls_per_minute, before.state, unix_ns(before.since)) == (120.0, "present", START + WINDOW)
    assert not changed.earlier_truncated


@pytest.mark.parametrize("calls", [11.0, 30.0])
def test_a_rate_that_changes_by_less_is_not(calls):
    world = Tracked()
    world.last_for(PER + 1)
    assert world.last_for(2 * PER, calls={("cart", "db"): calls}) == []


def test_few_calls_swing_by_chance(rng: np.random.Generator):
    world = Tracked()
    world.last_for(PER, calls=dict.fromkeys(EDGES, 1.0))
    for _ in range(60 * PER):
        drawn = dict(zip(EDGES, rng.poisson(1.0, len(EDGES)).astype(float).tolist(), strict=True))
        world.last_for(1, calls=drawn)
    assert Counter(r.reason for r in world.said)["rate"] <= 1


def test_a_share_of_errors_that_changes_is_told():
    world = Tracked()
    world.last_for(PER)
    world.last_for(PER, failed={"cart": 6.0})
    world.last_for(PER + 1)
    (worse,), (better,) = world.told_of(1), world.told_of(2)
    assert (name(worse), worse.reason, worse.error_ratio) == ("cart", "errors", 0.2)
    assert (better.reason, better.error_ratio) == ("errors", 0.0)
    assert [span.error_ratio for span in better.earlier] == [0.0, 0.2]


def test_an_edge_that_carries_no_calls_has_a_rate_of_0_and_is_gone_after_a_day():
    world, silent = Tracked(), {("cart", "db"): 0.0}
    world.last_for(2 * PER)
    last = world.now
    world.last_for(PER + 1, calls=silent)
    (stopped,) = world.told_of(2)
    assert (stopped.reason, stopped.calls_per_minute, stopped.state) == ("rate", 0.0, "present")
    world.last_for(LIFE // EVERY + 2, step=EVERY, calls=silent)
    (gone,) = (r for r in world.said if r.reason == "gone")
    assert (name(gone), gone.state, gone.calls_per_minute) == ("cart->db", "gone", None)
    assert unix_ns(gone.last_seen) == last
    assert unix_ns(gone.updated_at) - unix_ns(gone.last_seen) > LIFE
    before = len(world.said)
    world.last_for(2 * PER)
    (back,) = (r for r in world.said[before:] if r.reason == "back")
    assert (name(back), back.state, back.first_seen) == ("cart->db", "present", gone.first_seen)
    assert [span.state for span in back.earlier] == ["present", "present", "gone"]


def test_what_is_gone_for_long_is_forgotten():
    world, silent = Tracked(), {("cart", "db"): 0.0}
    world.last_for(2 * PER)
    (edge,) = (r.topology_id for r in world.said if name(r) == "cart->db")
    world.last_for(FORGET // EVERY, step=EVERY, calls=silent)
    assert world.forgotten == []
    world.last_for(4, step=EVERY, calls=silent)
    assert world.forgotten == [edge]
    assert len(world.tracker) == len(SERVICES) + len(EDGES) - 1


def test_while_no_traces_come_nothing_is_said_of_rates():
    world = Tracked()
    world.last_for(2 * PER)
    nothing: dict[str, Any] = {"calls": dict.fromkeys(EDGES, 0.0), "visits": dict.fromkeys(SERVICES, 0.0)}
    assert world.last_for(3 * PER, totals={"logs": 10, "metrics": 10, "traces": 0}, **nothing) == []
    assert world.last_for(2 * PER) == []


def test_a_service_without_spans_has_no_rate():
    world = Tracked()
    quiet: dict[str, Any] = {"calls": dict.fromkeys(EDGES, 0.0), "visits": dict.fromkeys(SERVICES, 0.0)}
    said = world.last_for(PER + 1, totals={"metrics": 10}, **quiet)
    assert sorted(map(name, said)) == sorted(SERVICES)
    assert {r.calls_per_minute for r in said} == {None}


def test_how_it_was_is_kept_for_a_bounded_number_of_changes():
    world = Tracked()
    for k in range(EARLIER + 5):
        world.last_for(PER, calls={("cart", "db"): 20.0 if k % 2 else 2.0})
    last = [r for r in world.said if name(r) == "cart->db"][-1]
    assert len(last.earlier) == EARLIER
    assert last.earlier_truncated
    since = [unix_ns(span.since) for span in last.earlier]
    assert since == sorted(set(since))


def test_versions_rise_also_of_what_was_forgotten_meanwhile():
    world = Tracked()
    for k in range(5):
        world.last_for(PER, calls={("cart", "db"): 20.0 if k % 2 else 2.0})
    versions = [r.version for r in world.said if name(r) == "cart->db"]
    assert versions == sorted(set(versions))
    anew = Tracked()
    anew.now = world.now
    anew.last_for(2 * PER)
    assert min(r.version for r in anew.said) > versions[-1]


def test_hostile_names_are_bounded_and_what_lives_stays(monkeypatch):
    monkeypatch.setattr(topology, "MOST", 100)
    world = Tracked()
    world.last_for(PER)
    for k in range(3 * PER):
        world.now += WINDOW
        world.take(crowd(world.now, sorted([*SERVICES, *(f"evil-{k}-{j}" for j in range(40))])))
        assert len(world.tracker) <= 100
    assert world.tracker.refused > 0
    assert world.tracker.evicted > 0
    world.last_for(2)
    assert {(service, "") for service in SERVICES} <= set(world.tracker._rows)
    told = [r.topology_id for r in world.said]
    assert set(world.forgotten) <= set(told)  # there is nothing to forget of what was never told
    assert world.forgotten


def test_a_restart_after_every_window_changes_nothing():
    plain, restarted = Tracked(), Tracked()
    for k in range(12 * PER):
        calls = {("cart", "db"): 2.0 if k // (2 * PER) % 2 else 20.0}
        failed = {"pay": 9.0 if k % (4 * PER) > 2 * PER else 0.0}
        plain.last_for(1, calls=calls, failed=failed)
        restarted.last_for(1, calls=calls, failed=failed)
        restarted.restart()
    assert restarted.said == plain.said
    assert {r.reason for r in plain.said} >= {"new", "rate", "errors"}


def test_a_stage_hands_it_on_and_counts_it():
    world = World(Respond([DETECT]))
    world.last_for(2 * EVERY / SECOND)
    new = [r for r in world.topology if r.reason == "new"]
    assert sorted(map(name, new)) == sorted([*SERVICES, *(f"{a}->{b}" for a, b in EDGES)])
    assert world.respond.gauges()["respond_topology_rows"] == len(SERVICES) + len(EDGES)
