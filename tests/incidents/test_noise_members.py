"""Anomalies become members of the incidents that hold their service: each once, in order, and none is looked at without need."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from aiops.causes.rank import N_TERMS
from aiops.incidents import members
from aiops.incidents.lifecycle import Case
from aiops.incidents.members import RECENT, Ledger
from aiops.incidents.noise_names import identity_of
from aiops.records import Anomaly
from aiops.signals import SECOND, WINDOW
from tests.incidents.noise_world import alert, closed
from tests.incidents.world import SERVICES, T, anomaly


def case(name: str) -> Case:
    return Case(name, T, T, set(), np.zeros((0, N_TERMS)), np.zeros(0))


class Plain:
    """The rule without an index: every anomaly is looked at for every case."""

    def __init__(self) -> None:
        self.anomalies: dict[str, Anomaly] = {}
        self.claimed: dict[str, str] = {}

    def take(self, of: Case, names: list[str]) -> None:
        for key, found in self.anomalies.items():
            owner = self.claimed.get(key)
            if owner is None and found.service in names and of.closed < 0:
                owner = self.claimed[key] = of.incident_id
                if len(of.members) >= members.MAX_MEMBERS:
                    of.more_members += 1
            if owner == of.incident_id and (key in of.members or len(of.members) < members.MAX_MEMBERS):
                of.members[key] = found


def test_it_does_what_looking_at_every_anomaly_for_every_case_would_do(rng, monkeypatch):
    monkeypatch.setattr(members, "MAX_MEMBERS", 12)
    plain, ledger = Plain(), Ledger()
    cases = {k: (case(f"i{k}"), case(f"i{k}")) for k in range(3)}
    known: list[Anomaly] = []
    for step in range(300):
        now = T + step * WINDOW
        for _ in range(rng.integers(0, 4)):
            new = anomaly(SERVICES[rng.integers(len(SERVICES))], now, signal=f"s{len(known)}x")
            known.append(new)
        for k in rng.integers(0, max(1, len(known)), 3).tolist() if known else []:
            if known[k].state != "closed":
                known[k] = closed(known[k], now) if rng.random() < 0.3 else msgspec.structs.replace(known[k], score=7.0)
        for found in known:
            if plain.anomalies.get(found.anomaly_id) is not found:
                plain.anomalies[found.anomaly_id] = found
                ledger.put(found)
        for k in sorted(cases):
            if cases[k][0].closed >= 0:
                if rng.random() < 0.8:
                    continue
                cases[k] = case(f"i{k}"), case(f"i{k}")  # another episode
                ledger.again(f"i{k}")
            (one, other), names = cases[k], SERVICES[k : k + 3]  # they overlap: the first one has it
            if rng.random() < 0.05:
                one.closed = other.closed = now
            plain.take(one, names)
            ledger.take(other, names)
            assert list(one.members.items()) == list(other.members.items())
            assert one.more_members == other.more_members
            if one.closed == now:
                ledger.over(f"i{k}")
        ledger = Ledger.of(ledger.state(), [f"i{k}" for k, (one, _) in cases.items() if one.closed < 0])
    assert len(plain.claimed) > 50


def test_a_step_without_news_looks_at_no_anomaly(monkeypatch):
    ledger, of = Ledger(), case("i")
    for k in range(100):
        ledger.put(anomaly("cart", T, signal=f"s{k}x"))
    ledger.take(of, ["cart"])
    monkeypatch.setattr(members, "identity_of", None)  # whoever asks for an identity fails
    ledger.put(anomaly("pay", T))
    ledger.take(of, ["cart"])
    assert len(of.members) == 100


def test_what_comes_back_is_counted_and_the_first_member_shows_its_state():
    ledger, of = Ledger(), case("i")
    first, second = anomaly("cart", T, 5.0), anomaly("cart", T + 300 * SECOND, 7.0)
    ledger.put(first)
    assert ledger.take(of, ["cart"]) == []
    ledger.put(closed(first, T + 100 * SECOND))
    ledger.take(of, ["cart"])
    assert [m.state for m in of.members.values()] == ["closed"]
    ledger.put(second)
    assert ledger.take(of, ["cart"]) == [("repeat", second)]
    (member,) = of.members.values()
    assert (member.anomaly_id, member.onset, member.state, member.score) == (
        first.anomaly_id, first.onset, "open", 7.0,
    )  # fmt: skip


def test_what_comes_back_while_it_flaps_is_counted_as_that():
    ledger, of = Ledger(), case("i")
    first, second = anomaly("cart", T), anomaly("cart", T + 300 * SECOND)
    ledger.put(first)
    ledger.put(second)
    assert ledger.take(of, ["cart"], {identity_of(first)}) == [("flapping", second)]


def test_an_urgent_alert_is_a_member_of_its_own_whatever_it_resembles():
    ledger, of = Ledger(), case("i")
    for k in range(3):
        twin = msgspec.structs.replace(alert("cart", T, number=k), attributes={"severity": "critical"})
        ledger.put(twin)
    assert ledger.take(of, ["cart"]) == []
    assert len(of.members) == 3
    assert ledger.urgent["joined"] == 3


def test_an_alert_that_fires_again_after_its_incident_closed_may_join_another_one():
    ledger, one, two = Ledger(), case("one"), case("two")
    found = alert("cart", T)
    ledger.put(found)
    ledger.take(one, ["cart"])
    ledger.put(closed(found, T + 60 * SECOND))
    ledger.take(one, ["cart"])
    one.closed = T + 100 * SECOND
    ledger.over("one")
    ledger.put(msgspec.structs.replace(found, version=3))
    ledger.take(two, ["cart"])
    assert list(two.members) == [found.anomaly_id]


def test_what_closed_is_forgotten_after_a_while_and_what_is_open_is_not():
    ledger = Ledger()
    over, lasting = anomaly("cart", T), anomaly("cart", T, signal="mem")
    ledger.put(lasting)
    ledger.put(closed(over, T))
    assert ledger.forget(T + RECENT) == 0
    assert ledger.forget(T + RECENT + WINDOW) == 1
    assert (over.anomaly_id in ledger, lasting.anomaly_id in ledger) == (False, True)
    assert ledger.free(["cart"]) == [lasting]


def test_there_is_room_for_a_limited_number_and_a_part_of_it_is_for_what_is_urgent(monkeypatch):
    monkeypatch.setattr(members, "MAX_ANOMALIES", 10)
    monkeypatch.setattr(members, "RESERVED", 4)
    ledger = Ledger()
    while ledger.has_room(plain := anomaly("cart", T, signal=f"s{len(ledger)}")):
        ledger.put(plain)
    assert len(ledger) == 6
    while ledger.has_room(urgent := alert("cart", T, number=len(ledger))):
        ledger.put(urgent)
    assert len(ledger) == 10


def test_nothing_is_left_of_what_was_forgotten():
    ledger = Ledger()
    of = case("i")
    for k in range(50):
        ledger.put(closed(anomaly(SERVICES[k % 6], T, signal=f"s{k}x"), T))
    ledger.take(of, SERVICES[:3])
    ledger.over("i")
    ledger.forget(T + RECENT + WINDOW)
    left: dict[str, Any] = {
        name: getattr(ledger, name) for name in ("_entries", "_free", "_owned", "_news", "_shown", "_over")
    }
    assert not any(left.values()), left
