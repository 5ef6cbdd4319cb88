"""Scores of causes -> probabilities: in order, monotone, never above 1 together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.causes.confidence import FITTED, WHOLE, Facts, Map, columns, facts, probabilities, probability

PLAIN = Facts(0.6, 9.0, True, False)
NOTHING = Map(0.0, 0.0, 0.0, 0.0, 0.0, 0.5)


def test_the_share_is_that_of_all_causes_and_faint_ones_hardly_count():
    assert facts([6.0, 6.0], ["own"]) == Facts(0.5, 6.0, True, False)
    assert facts([8.0, 6.0], []).share == pytest.approx(0.64)
    assert facts([9.0, *[1.0] * 8], []).share > 0.9
    assert facts([9.0], []).share == 1.0


def test_values_of_metrics_are_no_effect_and_instances_that_ceased_are_gone():
    assert facts([9.0], ["resource", "metric"])[2:] == (False, False)
    assert facts([9.0], ["resource", "net"])[2:] == (True, False)
    assert facts([9.0], ["heartbeat"])[2:] == (True, True)


def test_a_greater_share_is_never_a_lower_probability_everything_else_alike():
    shares = [at / 100 for at in range(10, 101)]
    for one in (PLAIN, Facts(0.6, 3.0, False, False), Facts(0.6, 20.0, True, True)):
        found = [probability(one._replace(share=share)) for share in shares]
        assert found == sorted(found)
        assert found[0] < found[-1]
    assert FITTED.share > 0.0


def test_what_only_metrics_tell_is_less_likely_and_who_lost_instances_is_likelier():
    assert probability(PLAIN._replace(effect=False)) < probability(PLAIN) < probability(PLAIN._replace(gone=True))


def test_who_is_alone_is_not_surer_than_who_has_a_faint_rival():
    assert probability(PLAIN._replace(share=1.0)) == probability(PLAIN._replace(share=WHOLE)) < 1.0


@pytest.mark.parametrize("scores", [[9.0], [9.0, 9.0], [9.0, 8.9, 8.8, 8.7], [5.0, 0.6], [20.0, 3.0, 2.0, 1.0, 0.6]])
@pytest.mark.parametrize("base", [-9.0, FITTED.base, 9.0])
def test_probabilities_fall_from_cause_to_cause_and_are_at_most_one_together(scores, base):
    found = probabilities(scores, ["own"], replace(FITTED, base=base))
    assert found == sorted(found, reverse=True)
    assert all(0.0 < p < 1.0 for p in found)
    assert sum(found) <= 1.0 + 1e-12


def test_equal_causes_behind_the_first_are_equally_likely():
    first, second, third = probabilities([9.0, 4.0, 4.0], ["own"])
    assert second == third < first


def test_the_order_of_the_columns_is_that_of_the_coefficients():
    assert columns(Facts(0.5, 8.0, False, False)) == (1.0, 0.0, 0.0, 0.0, 0.0)
    assert probability(PLAIN, NOTHING) == 0.5
    assert probability(PLAIN, replace(NOTHING, base=1.0, effect=-1.0, gone=9.0)) == 0.5
    assert probability(Facts(0.2, 8.0, False, True), replace(NOTHING, share=1.0)) == pytest.approx(0.2)
    assert probability(Facts(0.2, 24.0, False, True), replace(NOTHING, score=1.0)) == pytest.approx(0.75)


def test_no_causes_have_no_probabilities():
    assert probabilities([], []) == []
