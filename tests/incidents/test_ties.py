"""Ties relate services like calls, for as long as something renews them."""

from __future__ import annotations

from aiops.incidents import ties as module
from aiops.incidents.ties import Tie, Ties
from aiops.signals import SECOND
from tests.incidents.world import T


def tied(*services: int, hub: int = -1, until: int = T) -> Tie:
    return Tie("rule", "because", set(services), until, hub)


def test_services_of_a_tie_are_near_each_other():
    ties = Ties()
    ties.tie(("rule", "a"), tied(1, 2, 3))
    ties.tie(("rule", "b"), tied(3, 4))
    assert ties.near(1) == {2, 3}
    assert ties.near(3) == {1, 2, 4}
    assert ties.near(9) == set()
    assert ties.tied(1, 2)
    assert not ties.tied(1, 9)


def test_what_a_machine_ties_is_two_steps_apart():
    ties = Ties()
    ties.tie(("host", "n"), tied(1, 2, 7, hub=7))
    assert ties.near(1) == {7}
    assert ties.near(7) == {1, 2}
    assert ties.tied(1, 2)


def test_a_tie_that_nothing_renews_is_over():
    ties = Ties()
    ties.tie(("rule", "a"), tied(1, 2, until=T + 10 * SECOND))
    ties.advance(T + 10 * SECOND)
    assert ties.near(1) == {2}
    ties.tie(("rule", "a"), tied(3, until=T + 20 * SECOND))
    ties.advance(T + 20 * SECOND)
    assert ties.near(1) == {2, 3}
    ties.advance(T + 21 * SECOND)
    assert ties.near(1) == set()
    assert len(ties) == 0


def test_there_are_not_more_than_so_many_and_those_go_that_end_soonest(monkeypatch):
    monkeypatch.setattr(module, "MOST", 3)
    ties = Ties()
    for k in range(5):
        ties.tie(("rule", str(k)), tied(k, k + 1, until=T + k))
    assert [key for key, _ in ties.all()] == [("rule", "2"), ("rule", "3"), ("rule", "4")]
    assert ties.evicted == 2
    assert ties.near(0) == set()


def test_a_tie_holds_not_more_than_so_many_services(monkeypatch):
    monkeypatch.setattr(module, "WIDEST", 3)
    ties = Ties()
    ties.tie(("rule", "a"), tied(5, 4, 3, 2))
    ties.tie(("rule", "a"), tied(1))
    (found,) = ties.all()
    assert found[1].services == {2, 3, 4}


def test_a_restart_changes_nothing():
    ties, again = Ties(), Ties()
    ties.tie(("host", "n"), tied(1, 2, 7, hub=7, until=T + 5))
    ties.tie(("rule", "a", "x"), tied(2, 9, until=T + 9))
    again.restore(ties.state())
    assert again.all() == ties.all()
    assert again.near(2) == ties.near(2) == {7, 9}
