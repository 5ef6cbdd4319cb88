"""Complete traces -> rows, against a reference that is too plain to be wrong in the same way."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.columns import CLIENT, SERVER
from aiops.signals import CALL, LOG, OP, STEM
from aiops.traces import rows as rows_module
from aiops.traces.assemble import Counters
from aiops.traces.durations import duration_bin
from aiops.traces.rows import Tables, trace_rows
from tests.traces.reference import MS, Expected, Record, Span, by_names, random_traces, record_array, span_array

INTERNAL = 1


def joined(spans: list[Span], records: list[Record] | None = None, counters: Counters | None = None):
    tables = Tables()
    records = records or []
    return by_names(
        trace_rows(span_array(spans, tables), record_array(records, tables), tables, counters or Counters())
    )


@pytest.mark.parametrize("round_", range(12))
def test_random_traces_give_what_the_reference_says(round_, seed):
    spans, records = random_traces(np.random.default_rng([seed, round_]), spread=(12, 3)[round_ % 2])
    found, expected = joined(spans, records), Expected(spans, records).rows()
    for what, content in expected.items():
        assert found[what] == content, what


@pytest.mark.parametrize("round_", range(8))
def test_the_order_of_arrival_changes_nothing(round_, seed):
    rng = np.random.default_rng([seed, 99, round_])
    spans, records = random_traces(rng, n=60, spread=3)
    first = joined(spans, records)
    for _ in range(4):
        mixed, mixed_records = list(spans), list(records)
        rng.shuffle(mixed)
        rng.shuffle(mixed_records)
        assert joined(mixed, mixed_records) == first


def test_spans_of_one_id_that_differ_only_in_service_are_told_apart_by_names_not_by_arrival():
    twins = [Span(1, 5, 0, 0, 9 * MS, service, "get", INTERNAL) for service in ("a", "b", "c", "d")]
    child = Span(1, 6, 5, 1 * MS, 2 * MS, "z", "put", SERVER)
    outcomes = [joined([*twins[k:], *twins[:k], child])["edge"] for k in range(4)]
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert len(outcomes[0]) == 1


def test_a_cycle_is_one_visit_whatever_comes_first():
    ring = [Span(1, k, k % 3 + 1, k * MS, 9 * MS, "a", f"n{k}", INTERNAL) for k in (1, 2, 3)]
    tail = Span(1, 9, 2, 8 * MS, 9 * MS, "a", "tail", INTERNAL)
    outcomes = [
        joined(spans)
        for spans in ([*ring, tail], [tail, *ring], [*ring[::-1], tail], [ring[1], tail, ring[2], ring[0]])
    ]
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert outcomes[0]["op"] == {("a", "n1"): (1, 0)}


def test_a_span_that_is_its_own_parent_is_a_root():
    assert joined([Span(1, 1, 1, 0, MS, "a", "x", INTERNAL)])["op"] == {("a", "x"): (1, 0)}


def test_own_time_is_the_time_in_which_no_child_was_at_work():
    parent = Span(1, 1, 0, 0, 100 * MS, "a", "x", SERVER)
    parallel = [Span(1, 2, 1, 10 * MS, 60 * MS, "b", "y", SERVER), Span(1, 3, 1, 30 * MS, 70 * MS, "c", "y", SERVER)]
    inside = Span(1, 4, 1, 35 * MS, 40 * MS, "c", "y", SERVER)
    outlives = Span(1, 5, 1, 90 * MS, 500 * MS, "d", "y", SERVER)
    skewed = Span(1, 6, 1, -400 * MS, -300 * MS, "d", "y", SERVER)
    assert Expected([parent, *parallel, inside, outlives, skewed], []).own[parent] == 30 * MS
    found = joined([parent, *parallel, inside, outlives, skewed])
    assert found["own"]["a", "x", int(duration_bin(30 * MS))] == 1


def test_many_children_are_joined(rng):
    children = [
        Span(1, 10 + k, 1, int(rng.integers(0, 900)) * MS, int(rng.integers(900, 999)) * MS, "b", "y", SERVER)
        for k in range(3000)
    ]
    rng.shuffle(children)
    found = joined([Span(1, 1, 0, 0, 1000 * MS, "a", "x", SERVER), *children])
    assert found["edge"] == {("a", "b"): (3000, 0)}


def test_a_call_that_no_span_of_another_service_answers_is_missing():
    server = Span(1, 1, 0, 0, 9 * MS, "a", "x", SERVER)
    answered, lost = Span(1, 2, 1, 0, 3 * MS, "a", "call", CLIENT), Span(1, 3, 1, 3 * MS, 6 * MS, "a", "call", CLIENT)
    answer = Span(1, 4, 2, MS, 2 * MS, "b", "y", SERVER, error=True)
    found = joined([server, answered, lost, answer])
    assert found["call"] == {("a", "call"): (2, 1)}
    assert found["edge"] == {("a", "b"): (1, 1)}
    assert found["gap"] == {("a", "b", int(duration_bin(2 * MS))): 1}


def test_a_visit_is_a_set_of_events_with_multiplicities_up_to_four():
    spans = [Span(1, 1, 0, 0, 99 * MS, "a", "x", SERVER)]
    spans += [Span(1, 2 + k, 1, k * MS, (k + 1) * MS, "a", "query", CLIENT) for k in range(7)]
    spans += [Span(1, 20, 3, 0, 0, "db", "select", SERVER)]
    records = [Record(1, 1, 0, "a", "cart loaded"), Record(1, 1, 0, "a", "cart saved", error=True)]
    visits = joined(spans, records)["visit"]
    assert visits["a", frozenset({
        ((OP, b"x", "", b"", False), 1), ((CALL, b"query", "", b"", False), 4),
        ((CALL, b"query", "db", b"select", False), 1),
        ((LOG, b"cart loaded", "", b"", False), 1), ((STEM, b"cart", "", b"", False), 1),
        ((LOG, b"cart saved", "", b"", True), 1), ((STEM, b"cart", "", b"", True), 1),
    })] == 1  # fmt: skip


def test_a_line_of_another_service_or_of_no_span_belongs_to_no_visit():
    spans = [Span(1, 1, 0, 0, 9 * MS, "a", "x", SERVER)]
    assert joined(
        spans, [Record(1, 1, 0, "b", "x y"), Record(1, 8, 0, "a", "x y"), Record(2, 1, 0, "a", "x y")]
    ) == joined(spans)


def test_a_span_sent_twice_is_counted_once():
    counters, spans = Counters(), random_traces(np.random.default_rng(5))[0]
    distinct = list(dict.fromkeys(spans))
    assert joined([*spans, *spans], counters=counters) == joined(distinct)
    assert counters.repeated_spans == 2 * len(spans) - len(distinct)


def test_of_too_many_distinct_visits_the_same_are_kept_whatever_came_first(monkeypatch):
    monkeypatch.setattr(rows_module, "MAX_VISITS", 5)
    spans = [Span(k, 1, 0, 0, MS, "a", f"n{k % 12}", SERVER) for k in range(1, 61)]
    one, two = Counters(), Counters()
    first, second = joined(spans, counters=one), joined(spans[::-1], counters=two)
    assert first == second
    assert len(first["visit"]) == 5
    assert one.cut_visits == two.cut_visits == 60 - sum(first["visit"].values())
    assert sum(n for n, _ in first["op"].values()) == 60, "what was cut is still counted"


def test_traces_of_equal_low_halves_are_kept_apart():
    tables = Tables()
    a = span_array([Span(1, 1, 0, 0, MS, "a", "x", SERVER), Span(1, 2, 1, 0, MS, "b", "y", SERVER)], tables)
    a["trace_high"][1] = 8
    found = by_names(trace_rows(a, record_array([], tables), tables, Counters()))
    assert found["edge"] == {}


def test_a_call_to_a_peer_that_sends_no_spans_is_an_edge_and_missing_only_where_it_failed():
    server = Span(1, 1, 0, 0, 9 * MS, "a", "x", SERVER)
    fine = Span(1, 2, 1, 0, 3 * MS, "a", "GET", CLIENT, peer="redis")
    failed = Span(1, 3, 1, 4 * MS, 9 * MS, "a", "GET", CLIENT, error=True, peer="redis")
    found = joined([server, fine, failed])
    assert found["call"] == {("a", "GET"): (2, 1)}
    assert found["edge"] == {("a", "redis"): (2, 1)}
    assert found["gap"] == {("a", "redis", int(duration_bin(5 * MS))): 1}, "how long it took to fail"
    assert found["unseen"] == {("a", "redis", int(duration_bin(3 * MS))): 1}, "whether that is a gap depends on redis"


def test_visits_of_many_events_do_not_fill_the_memory_of_the_cache(monkeypatch):
    monkeypatch.setattr(rows_module, "MAX_CACHED_MEMBERS", 50)
    tables, found = Tables(), []
    for step in range(20):
        spans = [Span(1, k, 1 if k > 1 else 0, 0, 9 * MS, "a", f"n{step}.{k}", INTERNAL) for k in range(1, 9)]
        found.append(trace_rows(span_array(spans, tables), record_array([], tables), tables, Counters()).visit_events)
        assert sum(map(len, tables.visits.values())) == tables.visit_members <= 50 + 8
    assert all(len(members) == 8 for of in found for members in of.values())
