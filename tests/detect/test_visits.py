"""Sets of events: what no longer follows is found, what is new as well, and nobody is blamed for work not asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from aiops import state
from aiops.detect import visits as visits_module
from aiops.detect.suspicion import Suspicion
from aiops.detect.visits import Visits
from aiops.signals import SECOND, WINDOW

T = 1_000_000 * SECOND
QUIET = 60
LOUD, NOISE = 4.0, 2.5
# Events by name; those that begin with "!" are errors.
Mix = Mapping[Any, int]  # visit -> how often in a window


class Life:
    """One or more services whose windows are mixes of visits; events get their numbers as they come."""

    def __init__(self, services: int = 1, numbering: tuple[str, ...] = ()) -> None:
        self.suspicion = Suspicion()
        self.suspicion.grow(services)
        self.visits = Visits(self.suspicion)
        for s in range(services):
            self.visits.grow(s)
        self.codes: dict[tuple[int, str], int] = {}
        self.names: dict[int, str] = {}
        self.k = 0
        for name in numbering:
            self.code(0, name)

    def code(self, service: int, name: str) -> int:
        if (service, name) not in self.codes:
            code = self.codes[service, name] = self.visits.event(service, name.startswith("!"))
            self.names[code] = name
        return self.codes[service, name]

    def window(self, *mixes: Mix) -> None:
        start = T + self.k * WINDOW
        cells: list[tuple[Any, int]] = []
        for service, mix in enumerate(mixes):
            for names, n in mix.items():
                cells.append((self.visits.cells([self.code(service, name) for name in names], service), n))
        used = [(s, sum(mix.values())) for s, mix in enumerate(mixes) if mix]
        self.visits.add(
            start, cells, np.array([s for s, _ in used], np.int64), np.array([n for _, n in used], np.int64), True
        )
        self.k += 1
        self.visits.advance(start + WINDOW)

    def evidence(self) -> Any:
        return self.visits.evidence(T + self.k * WINDOW)

    def told(self) -> Any:
        loss, lasting, errors, plain = self.evidence()
        novel = plain | errors
        return (
            {s: (self.names[x.x], self.names[x.y], *x[2:]) for s, x in loss.items()},
            {s: (self.names[x.x], self.names[x.y], *x[2:]) for s, x in lasting.items()},
            {s: (self.names[x.event], *x[1:]) for s, x in novel.items()},
        )


NORMAL: Mix = {("in", "query", "save"): 8, ("in", "query"): 0, ("health",): 4}


def lived(*then: Mix, normal: Mix = NORMAL, life: Life | None = None) -> Life:
    life = life or Life()
    for _ in range(QUIET):
        life.window({k: n for k, n in normal.items() if n})
    for mix in then:
        life.window(mix)
    return life


def test_a_step_that_no_longer_follows_is_lost():
    loss, lasting, novel = lived(*[{("in", "query"): 8, ("health",): 4}] * 6).told()
    x, y, score, trials, missed, normal = loss[0]
    assert (x in {"in", "query"}, y) == (True, "save")
    assert score >= LOUD
    assert missed == trials
    assert normal == pytest.approx(1.0)
    assert lasting[0][1] == "save"
    assert novel == {}


def test_the_usual_visits_lose_nothing():
    for outcome in lived(*[NORMAL] * 6).told():
        assert all(row[-4 if len(row) > 5 else 1] < NOISE for row in outcome.values())


def test_a_mix_that_shifts_to_other_visits_loses_nothing():
    """Conditional on x: twice the health checks and half the orders is no loss of `save`."""
    loss, lasting, _ = lived(*[{("in", "query", "save"): 2, ("health",): 16}] * 6).told()
    assert loss == lasting == {}


def test_a_service_that_is_asked_nothing_any_more_has_lost_nothing():
    loss, lasting, novel = lived(*[{("health",): 4}] * 6).told()
    assert loss == lasting == novel == {}


def test_a_burst_weighs_less_as_a_lasting_loss_than_a_fault_that_stays():
    burst = lived(*[NORMAL] * 10, *[{("in", "query"): 8}] * 2).told()[1]
    fault = lived(*[NORMAL] * 2, *[{("in", "query"): 8}] * 10).told()[1]
    assert (burst[0][2] if burst else 0.0) < fault[0][2]


def test_an_error_that_ends_is_recovery():
    loss, _, _ = lived(*[{("in", "query"): 8}] * 6, normal={("in", "query", "!failed"): 8}).told()
    assert loss == {}


def test_what_followed_only_sometimes_is_not_missed():
    normal: Mix = {("in", "cached"): 4, ("in", "query"): 4}
    loss, _, _ = lived(*[{("in", "query"): 8}] * 6, normal=normal).told()
    assert loss == {}


def test_a_new_event_is_novel_and_an_error_more_so():
    plain = lived(*[{("in", "query", "save", "retry"): 8, ("health",): 4}] * 6).told()[2]
    error = lived(*[{("in", "query", "save", "!retry"): 8, ("health",): 4}] * 6).told()[2]
    assert plain[0][0] == "retry"
    assert error[0][0] == "!retry"
    assert error[0][1] >= LOUD
    assert plain[0][1] < error[0][1]


def test_nothing_is_new_in_a_service_without_a_past():
    life = Life()
    life.window({("in", "!boom"): 3})
    assert life.told()[2] == {}


def test_few_visits_are_not_judged():
    assert lived({("in", "query"): 1}).told()[0] == {}


def test_random_visits_at_the_usual_rates_are_no_evidence():
    for k in range(10):
        rng, life = np.random.default_rng(k), Life()
        for _ in range(QUIET + 12):
            mix: dict[Any, int] = {}
            for _ in range(10):
                visit = (
                    "in",
                    *[name for name, p in (("a", 0.95), ("b", 0.6), ("c", 0.1), ("!e", 0.02)) if rng.random() < p],
                )
                mix[visit] = mix.get(visit, 0) + 1
            life.window(mix)
        loss, lasting, novel, plain = life.evidence()
        assert all(x.score < LOUD for found in (loss, lasting, novel, plain) for x in found.values())


@pytest.mark.parametrize("numbering", [("save", "query", "in"), ("!x", "health", "save", "in")])
def test_the_numbering_of_events_does_not_change_the_scores(numbering):
    def scores(life: Life) -> Any:
        return [{s: (x.score, *x[3:]) for s, x in found.items()} for found in life.evidence()]

    then: list[Mix] = [{("in", "query"): 6, ("in", "query", "save", "!x"): 2}] * 6
    assert scores(lived(*then, life=Life(numbering=numbering))) == scores(lived(*then))


def test_services_do_not_influence_each_other():
    both = Life(2)
    for _ in range(QUIET):
        both.window(NORMAL, NORMAL)
    for _ in range(6):
        both.window({("in", "query"): 8, ("health",): 4}, NORMAL)
    alone = lived(*[{("in", "query"): 8, ("health",): 4}] * 6)
    assert both.told()[0][0] == alone.told()[0][0]
    assert 1 not in both.told()[0]


def test_a_service_with_too_many_events_learns_no_more(monkeypatch):
    monkeypatch.setattr(visits_module, "MAX_EVENTS", 3)
    life = Life()
    assert [life.visits.event(0, False) for _ in range(5)] == [0, 1, 2, -1, -1]
    assert life.visits.ignored == 2


def test_of_a_wide_visit_only_so_many_events_are_paired():
    life = Life()
    assert len(life.visits.cells(list(range(500)), 0)) == visits_module.WIDEST**2


def test_restored_visits_have_the_same_future():
    life = lived()
    for k in range(20):
        other = Visits(life.suspicion)
        other.restore(state.unpack(state.pack(life.visits.state())))
        assert state.pack(other.state()) == state.pack(life.visits.state())
        before, life.visits = life.visits, other
        life.window({("in", "query"): 8, ("in", f"n{k}"): 2})
        evidence = life.evidence()
        copy, life.visits, life.k = life.visits, before, life.k - 1
        life.codes.pop((0, f"n{k}"), None)
        life.window({("in", "query"): 8, ("in", f"n{k}"): 2})
        assert life.evidence() == evidence
        assert state.pack(copy.state()) == state.pack(life.visits.state())
