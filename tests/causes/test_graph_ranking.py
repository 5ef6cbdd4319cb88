"""One metric and a call graph -> the cause: who accounts for the symptom by itself, not who is loudest."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.causes.graph_ranking import Settings, Suspect, rank_by_graph

WEB, CART, DB, MAIL = range(4)
CALLS = [(WEB, CART), (CART, DB), (WEB, MAIL)]
LEVEL = np.array([0.1, 0.05, 0.02, 0.03])
CALLED = np.array([100.0, 100.0, 200.0, 5.0])
ROWS = 200


def normal(noise: float = 0.01) -> np.ndarray:
    return LEVEL * (1 + noise * np.random.default_rng(1).normal(size=(ROWS, 4)))


def fault(**more: float) -> np.ndarray:
    """Three rows in which services have so much more, in seconds a call."""
    rows = np.tile(LEVEL, (3, 1))
    for name, excess in more.items():
        rows[:, {"web": WEB, "cart": CART, "db": DB, "mail": MAIL}[name]] += excess
    return rows


def ranked(
    rows: np.ndarray, before: np.ndarray | None = None, usual: np.ndarray | None = None, **more
) -> list[Suspect]:
    usual = normal() if usual is None else usual
    arguments = {"calls": np.tile(CALLED, (len(rows), 1)), "edges": CALLS, "symptom": WEB, **more}
    return rank_by_graph(usual, LEVEL[None, :] if before is None else before, rows, **arguments)


def first(*arguments, **more) -> int:
    return ranked(*arguments, **more)[0].node


def test_every_service_comes_once():
    assert sorted(s.node for s in ranked(fault(web=0.05, cart=0.05))) == [WEB, CART, DB, MAIL]


def test_a_caller_that_is_slow_as_its_callee_is_slow_is_excused():
    found = ranked(fault(web=0.05, cart=0.05))
    assert [s.node for s in found][:2] == [CART, WEB] or found[1].score < 0.1 * found[0].score
    assert first(fault(web=0.05, cart=0.05)) == CART


def test_a_chain_leads_to_its_end():
    assert first(fault(web=0.08, cart=0.08, db=0.04)) == DB


def test_who_is_slow_by_itself_is_blamed_though_a_caller():
    assert first(fault(web=0.05)) == WEB
    assert first(fault(web=0.08, cart=0.08, db=0.002)) == CART


def test_who_is_far_slower_but_hardly_called_accounts_for_little():
    found = {s.node: s for s in ranked(fault(web=0.05, cart=0.05, mail=0.3))}
    assert found[MAIL].ratio > found[CART].ratio
    assert found[MAIL].score < 0.5 * found[CART].score


def test_a_service_that_no_path_leads_to_is_no_cause():
    found = {s.node: s for s in ranked(fault(web=0.05, db=0.05))}
    assert found[DB].reach < 0.05, "cart between them is as quick as ever"
    assert first(fault(web=0.05, cart=0.05, db=0.05), edges=[(WEB, CART)]) == CART


def test_a_service_without_values_in_between_lets_the_path_through():
    rows, usual = fault(web=0.08, db=0.04), normal()
    rows[:, CART] = usual[:, CART] = np.nan
    before = LEVEL.copy()
    before[CART] = np.nan
    assert first(rows, before[None, :], usual) == DB


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_symptom_gives_the_direction(sign):
    up = sign * np.array([0.05, 0.05, 0.0, 0.0])
    rows = np.tile(LEVEL + up, (3, 1))
    rows[:, MAIL] -= sign * 0.02
    found = ranked(rows)
    assert found[0].node == CART
    assert next(s for s in found if s.node == MAIL).score == 0.0


def test_shares_that_succeed_are_judged_as_durations_are():
    usual = 100.0 - np.abs(np.random.default_rng(2).normal(0, 0.1, (ROWS, 4)))
    rows = np.full((3, 4), 100.0)
    rows[:, WEB], rows[:, CART], rows[:, MAIL] = 96.0, 96.0, 90.0
    assert first(rows, np.full((1, 4), 100.0), usual) == CART


def test_levels_that_drifted_before_the_fault_are_no_evidence():
    drifted = np.array([0.1, 0.05, 0.2, 0.03])  # db is ten times as slow as in the normal rows, and was so before
    rows = np.tile(drifted, (3, 1))
    rows[:, [WEB, CART]] += 0.05
    assert first(rows, drifted[None, :]) == CART


def test_without_rows_before_the_normal_ones_are_what_is_usual():
    assert first(fault(web=0.05, cart=0.05), np.empty((0, 4))) == CART


def test_a_series_that_jumps_all_day_is_no_evidence_when_it_jumps_again():
    usual = normal()
    usual[:, DB] = 0.02 + 0.04 * (np.arange(ROWS) // 4 % 2)
    assert first(fault(web=0.05, cart=0.05, db=0.04), usual=usual) == CART


def test_rows_count_by_what_the_symptom_shows_in_them():
    rows = fault(web=0.0)
    rows[1] += [0.05, 0.05, 0.0, 0.0]
    rows[2] += [0.0, 0.0, 0.03, 0.0]  # slow when the symptom is over
    assert first(rows) == CART
    weighed = {s.node: s for s in ranked(rows)}[DB].ratio
    assert weighed < {s.node: s for s in ranked(rows, settings=Settings(by_symptom=False))}[DB].ratio


def test_a_callee_that_fell_silent_shares_the_blame_with_its_caller():
    rows = fault(web=0.05, cart=0.05)
    rows[:, DB] = np.nan
    found = ranked(rows)
    assert {found[0].node, found[1].node} == {CART, DB}


def test_a_callee_that_is_often_silent_is_no_news():
    rows, usual = fault(web=0.05, cart=0.05), normal()
    rows[:, DB] = np.nan
    usual[::2, DB] = np.nan
    found = {s.node: s for s in ranked(rows, usual=usual)}
    assert found[DB].score < 0.2 * found[CART].score


def test_without_calls_all_services_count_alike():
    assert first(fault(web=0.05, cart=0.05), calls=None) == CART


def test_units_change_nothing():
    rows = fault(web=0.08, cart=0.08, db=0.04, mail=0.1)
    seconds = ranked(rows)
    milliseconds = ranked(rows * 1e3, LEVEL[None, :] * 1e3, normal() * 1e3)
    assert [s.node for s in seconds] == [s.node for s in milliseconds]
    assert [s.score for s in seconds] == pytest.approx([s.score for s in milliseconds])


def test_numbers_of_services_change_nothing():
    rows, turned = fault(web=0.08, cart=0.08, db=0.04, mail=0.1), [3, 2, 1, 0]
    edges = [(turned[a], turned[b]) for a, b in CALLS]
    other = rank_by_graph(
        normal()[:, turned], LEVEL[None, turned], rows[:, turned], np.tile(CALLED[turned], (3, 1)), edges, turned[WEB]
    )
    assert [turned[s.node] for s in other] == [s.node for s in ranked(rows)]


def test_callees_of_two_callers_count_by_calls():
    edges = [*CALLS, (MAIL, DB)]
    assert first(fault(web=0.08, cart=0.08, db=0.04), edges=edges) == DB


def test_who_calls_itself_or_in_circles_ends():
    edges = [*CALLS, (CART, CART), (DB, WEB)]
    assert first(fault(web=0.05, cart=0.05), edges=edges) == CART


def test_where_nothing_is_known_nobody_is_blamed_and_nothing_breaks():
    nothing = np.full((3, 4), np.nan)
    assert all(s.score == 0.0 for s in ranked(nothing, nothing[:1], np.full((ROWS, 4), np.nan)))
    assert all(s.score < 0.3 for s in ranked(fault()))


def test_holes_in_the_data_are_no_reason_to_give_up():
    usual, rows = normal(), fault(web=0.05, cart=0.05)
    usual[np.random.default_rng(3).random(usual.shape) < 0.3] = np.nan
    rows[0, CART] = rows[2, WEB] = np.nan
    assert first(rows, usual=usual) == CART
