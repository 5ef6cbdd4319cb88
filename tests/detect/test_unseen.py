"""Telemetry that is missing is no loss: lines of a service that sends none, calls whose callee sends no spans."""

from __future__ import annotations

import numpy as np
import pytest

from aiops import state
from aiops.columns import CLIENT, SERVER
from aiops.detect.retention import Kept
from aiops.detect.stage import Detect
from aiops.detect.unseen import Silences
from aiops.findings import GAP, LOSS, PLAIN, Findings
from aiops.signals import SECOND, WINDOW, LogRow, TraceRows, WindowRows, due
from aiops.traces.assemble import Counters
from aiops.traces.rows import Tables, trace_rows
from tests.traces.reference import ENVIRONMENT, MS, Record, Span, record_array, span_array

T = 1_000_000 * SECOND
QUIET, LOUD = 60, 4.0


class Shop:
    """web calls cart, and both write a line a visit; who is seen is said window by window."""

    def __init__(self) -> None:
        self.detect = Detect(["traces/0"], "default")
        self.tables, self.k = Tables(), 0

    def rows(self, visits: int, spans: bool, lines: bool, step: bool, fails: bool, ms: int) -> TraceRows:
        seen: list[Span] = []
        said: list[Record] = []
        for n in range(1, visits + 1):
            seen.append(Span(n, 1, 0, 0, (ms + 4) * MS, "web", "GET /", SERVER))
            seen.append(Span(n, 2, 1, MS, (ms + 2) * MS, "web", "cart/Get", CLIENT, fails, "cart"))
            said.append(Record(n, 1, 0, "web", "page <*>"))
            if spans and not fails:
                seen.append(Span(n, 3, 2, MS, (ms + 1) * MS, "cart", "Get", SERVER))
                if step:
                    seen.append(Span(n, 4, 3, MS, 2 * MS, "cart", "load", 1))
                if lines:
                    said.append(Record(n, 3, 0, "cart", "cart of <*>"))
        return trace_rows(span_array(seen, self.tables), record_array(said, self.tables), self.tables, Counters())

    def live(
        self, windows: int, visits: int = 8, *, spans: bool = True, lines: bool = True, step: bool = True, fails: bool = False,
        ms: int = 6,
    ) -> Findings:  # fmt: skip
        """Findings of the last of so many windows."""
        for _ in range(windows):
            window = T + self.k * WINDOW
            said = [LogRow(ENVIRONMENT, "web", b"page", visits, 0, 9, window, "page 7")]
            if lines:
                said.append(LogRow(ENVIRONMENT, "cart", b"cart", visits, 0, 9, window, "cart of 7"))
            totals = {(ENVIRONMENT, "traces"): 4 * visits, (ENVIRONMENT, "logs"): 2 * visits}
            rows = self.rows(visits, spans, lines, step, fails, ms)
            self.detect.process(WindowRows("traces/0", "default", window, totals, [], said, rows))
            (found,) = self.detect.advance("traces/0", due(window))
            self.k += 1
        return found


def term(found: Findings, service: str, name: int) -> float:
    return float(found.terms[found.services.index(service), name])


def gap(found: Findings) -> float:
    return float(found.edge_terms[found.edges.index(("web", "cart")), GAP])


def test_a_step_that_is_missing_is_lost():
    shop = Shop()
    shop.live(QUIET)
    assert term(shop.live(6, step=False), "cart", LOSS) >= LOUD


@pytest.mark.parametrize("silent", [2, 6, 30])
def test_a_service_whose_lines_are_not_sent_has_lost_none_not_even_when_they_come_again(silent):
    shop = Shop()
    shop.live(QUIET)
    for k in range(silent + 15):
        assert term(shop.live(1, lines=k >= silent), "cart", LOSS) < 1.0, k


def test_what_a_service_that_sends_no_lines_does_otherwise_is_judged():
    shop = Shop()
    shop.live(QUIET)
    shop.live(4, lines=False)
    assert term(shop.live(6, lines=False, step=False), "cart", LOSS) >= LOUD


def test_a_caller_has_lost_nothing_where_its_callee_sends_no_spans_and_the_network_is_no_slower():
    shop = Shop()
    shop.live(QUIET)
    for _ in range(20):
        found = shop.live(1, spans=False, lines=False)
        assert max(term(found, "web", LOSS), term(found, "web", PLAIN)) < 1.0
        assert not gap(found) > 0.0
    found = shop.live(10)
    assert max(term(found, "web", LOSS), term(found, "web", PLAIN)) < 1.0
    assert not gap(found) > 0.0


def test_calls_that_fail_without_reaching_anybody_are_told_as_before():
    shop = Shop()
    shop.live(QUIET)
    found = shop.live(6, fails=True)
    assert float(found.edge_terms[found.edges.index(("web", "cart")), 1]) >= LOUD
    assert term(found, "web", LOSS) >= LOUD, "the call that reached the cart is lost"


def test_the_gap_of_a_peer_that_never_sends_spans_is_the_whole_call():
    shop = Shop()
    shop.live(QUIET, spans=False, lines=False)
    assert gap(shop.live(6, spans=False, lines=False, ms=60)) >= LOUD


def test_a_restart_changes_nothing():
    shop = Shop()
    shop.live(QUIET)
    shop.live(3, lines=False)
    again = Detect(["traces/0"], "default")
    again.restore(shop.detect.snapshot())
    other = Shop()
    other.detect, other.k = again, shop.k
    for k in range(20):
        one, two = shop.live(1, lines=k > 4), other.live(1, lines=k > 4)
        assert one.terms.tobytes() == two.terms.tobytes()


def test_silence_is_told_after_so_many_visits_as_make_it_no_chance():
    silences = Silences()
    silences.grow(2)

    def window(k: int, visits: float, spoken: float) -> bool:
        silences.add(k * WINDOW, np.array([1]), np.array([visits]), np.array([spoken]), np.array([], np.int64))
        return bool(silences.dark((k + 1) * WINDOW)[1])

    assert not any(window(k, 4.0, 4.0) for k in range(30))
    assert not window(30, 1.0, 0.0)
    assert window(31, 2.0, 0.0)
    assert window(32, 4.0, 4.0), "what was silent is still counted"
    assert not window(45, 4.0, 4.0)


def test_a_service_that_often_says_nothing_is_not_silent_so_soon():
    silences = Silences()
    silences.grow(1)
    for k in range(60):
        silences.add(k * WINDOW, np.array([0]), np.array([4.0]), np.array([2.0]), np.array([], np.int64))
    silences.add(60 * WINDOW, np.array([0]), np.array([4.0]), np.array([0.0]), np.array([], np.int64))
    assert not silences.dark(61 * WINDOW)[0]


def test_silences_outlive_an_eviction_and_a_snapshot():
    silences = Silences()
    silences.grow(3)
    for k in range(30):
        silences.add(k * WINDOW, np.array([2]), np.array([4.0]), np.array([4.0]), np.array([], np.int64))
    silences.add(30 * WINDOW, np.array([2]), np.array([4.0]), np.array([0.0]), np.array([], np.int64))
    silences.keep(Kept(np.array([False, True, True])))
    again = Silences()
    again.restore(state.unpack(state.pack(silences.state())))
    assert silences.dark(31 * WINDOW).tolist() == again.dark(31 * WINDOW).tolist() == [False, True]
