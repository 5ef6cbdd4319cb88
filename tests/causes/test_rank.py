"""Evidence -> ranked causes: callers are excused by their callees, and nothing comes from nothing."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.causes.rank import DOWN, EDGE, N_TERMS, NET, Weights, rank
from aiops.findings import ERRORS, HEARTBEAT, LOG, LOST, METRIC, NOVEL, OWN, RESOURCE
from aiops.signals import SECOND

T = 1_700_000_000 * SECOND
WEB, CART, DB = range(3)
CALLS = {WEB: {CART}, CART: {DB}}


def ranked(
    evidence: dict[int, dict[int, float]],
    changed: dict[int, float] | None = None,
    calls: dict[int, set[int]] | None = None,
    first: dict[int, int] | None = None,
    weights: Weights | None = None,
):
    peak, onset = np.zeros((3, N_TERMS)), np.full(3, np.inf)
    for service, terms in evidence.items():
        onset[service] = T
        for term, value in terms.items():
            peak[service, term] = value
    for service, seconds in (first or {}).items():
        onset[service] = T + seconds * SECOND
    return rank(peak, onset, CALLS if calls is None else calls, changed or {}, weights or Weights())


def order(*arguments, **more):
    return [r.service for r in ranked(*arguments, **more)]


def test_without_evidence_there_is_no_cause():
    assert ranked({}) == []


@pytest.mark.parametrize(
    ("term", "kind"),
    [
        (RESOURCE, "resource"), (OWN, "resource"), (NET, "network"), (LOST, "code"), (NOVEL, "code"), (ERRORS, "code"),
        (HEARTBEAT, "resource"), (DOWN, "dependency"), (LOG, "code"), (METRIC, "unknown"),
    ],
)  # fmt: skip
def test_every_term_points_to_its_kind_of_cause(term, kind):
    (only,) = ranked({CART: {term: 8.0}})
    assert (only.service, only.kind) == (CART, kind)


@pytest.mark.parametrize("term", [RESOURCE, OWN, NET, LOST, NOVEL, ERRORS, HEARTBEAT, DOWN, LOG, METRIC])
def test_more_evidence_is_never_a_lower_score(term):
    scores = [ranked({CART: {OWN: 4.0, term: value}})[0].score for value in (4.0, 5.0, 8.0)]
    assert scores == sorted(scores)
    assert scores[0] < scores[-1]


def test_a_caller_that_fails_as_its_callee_fails_is_excused():
    assert order({WEB: {ERRORS: 8.0}, CART: {ERRORS: 7.0}}) == [CART, WEB]
    assert order({WEB: {ERRORS: 8.0}, CART: {ERRORS: 7.0}}, calls={}) == [WEB, CART]


def test_a_chain_of_failures_leads_to_its_end():
    assert order({s: {ERRORS: 7.0} for s in (WEB, CART, DB)})[0] == DB


def test_a_failure_explains_those_above_it_though_what_lies_between_is_quiet():
    assert order({WEB: {ERRORS: 8.0}, DB: {ERRORS: 7.0}}) == [DB, WEB]
    assert order({WEB: {ERRORS: 8.0}, DB: {ERRORS: 7.0}}, calls={WEB: {CART}}) == [WEB, DB]


def test_callers_that_time_out_are_excused_by_what_is_slow():
    for term in (RESOURCE, OWN, EDGE):
        excused = {r.service: r for r in ranked({WEB: {ERRORS: 8.0}, CART: {term: 8.0}})}[WEB]
        assert excused.score < ranked({WEB: {ERRORS: 8.0}})[0].score


def test_nobody_is_excused_by_itself_in_a_circle_of_calls():
    circle = {WEB: {CART}, CART: {DB}, DB: {WEB}}
    assert ranked({WEB: {ERRORS: 8.0}}, calls=circle) == ranked({WEB: {ERRORS: 8.0}}, calls={})


def test_a_callee_without_evidence_excuses_nobody():
    alone = ranked({WEB: {ERRORS: 8.0}}, calls={})
    assert ranked({WEB: {ERRORS: 8.0}}) == alone


def test_a_callee_that_is_gone_excuses_its_callers():
    for term in (HEARTBEAT, DOWN):
        found = ranked({WEB: {ERRORS: 8.0}, CART: {term: 7.0}})
        assert found[0].service == CART
        assert found[1].parts["code"] < ranked({WEB: {ERRORS: 8.0}})[0].parts["code"]


def test_what_a_service_does_by_itself_is_not_excused():
    for term, part in ((RESOURCE, "resource"), (OWN, "own"), (NET, "net")):
        found = {r.service: r for r in ranked({WEB: {term: 6.0}, CART: {ERRORS: 8.0}})}
        assert found[WEB].parts[part] == ranked({WEB: {term: 6.0}})[0].parts[part]


def test_a_service_that_calls_itself_does_not_excuse_itself():
    assert ranked({WEB: {ERRORS: 8.0}}, calls={WEB: {WEB}}) == ranked({WEB: {ERRORS: 8.0}}, calls={})


def test_two_that_call_each_other_are_both_excused_and_the_louder_leads():
    assert order({WEB: {ERRORS: 6.0}, CART: {ERRORS: 8.0}}, calls={WEB: {CART}, CART: {WEB}})[0] == CART


def test_who_lacks_a_resource_and_answers_late_lacks_a_resource():
    (found,) = ranked({CART: {NET: 8.0, RESOURCE: 5.0}})
    assert found.kind == "resource"
    (found,) = ranked({CART: {NET: 8.0, OWN: 6.0}})
    assert found.kind == "resource"
    (found,) = ranked({CART: {NET: 8.0, OWN: 1.0}})
    assert found.kind == "network"


def test_a_change_lifts_a_service_with_evidence():
    evidence = {WEB: {LOG: 6.0}, CART: {LOG: 5.8}}
    assert order(evidence) == [WEB, CART]
    found = ranked({WEB: {LOST: 6.0}, DB: {LOST: 5.8}}, changed={DB: 1.0})
    assert (found[0].service, found[0].kind) == (DB, "change")
    assert found[0].parts["change"] > 0


def test_a_change_makes_no_cause_of_a_service_without_evidence():
    assert order({WEB: {LOST: 6.0}}, changed={DB: 1.0, CART: 1.0}) == [WEB]
    faint = ranked({WEB: {LOST: 6.0}, DB: {LOST: 0.6}}, changed={DB: 1.0})
    assert faint[0].service == WEB
    assert faint[-1].kind == "code"


def test_a_change_long_ago_tells_no_kind():
    (found,) = ranked({WEB: {LOST: 6.0}}, changed={WEB: 0.2})
    assert found.kind == "code"


def test_of_equal_evidence_the_earlier_leads():
    evidence = {WEB: {LOST: 6.0}, DB: {LOST: 6.0}}
    assert order(evidence, first={WEB: 60, DB: 0}, calls={}) == [DB, WEB]
    assert order(evidence, first={WEB: 0, DB: 60}, calls={}) == [WEB, DB]


def test_ties_go_to_the_first_service():
    assert order({s: {OWN: 6.0} for s in (DB, CART, WEB)}, calls={}) == [WEB, CART, DB]


def test_the_parts_add_up_to_the_score():
    for found in ranked({WEB: {LOST: 6.0, NOVEL: 3.0, LOG: 2.0}, CART: {ERRORS: 5.0, NET: 1.0}}, changed={CART: 0.7}):
        assert sum(found.parts.values()) == pytest.approx(found.score)


def test_ranking_some_services_gives_what_they_have_among_all(rng):
    peak = rng.exponential(1.5, (12, N_TERMS))
    first = np.full(12, np.inf)
    first[:6] = rng.integers(0, 100, 6) * 1e9
    calls = {int(a): {int(b) for b in rng.integers(0, 12, 3)} for a in range(12)}
    among_all = rank(peak, first, calls, {2: 1.0}, Weights())
    some = {1, 2, 5, 11, 40}  # the last is not known yet
    assert rank(peak, first, calls, {2: 1.0}, Weights(), some) == [r for r in among_all if r.service in some]
