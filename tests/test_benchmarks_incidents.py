"""What the benchmark of incidents counts, on days small enough to be worked out by hand; and how confidences are judged."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest

from aiops.causes.confidence import FITTED, Facts, Map, probability
from aiops.records import Cause, Incident, rfc3339
from aiops.scoring import Context, Decoy, Fault, Truth
from benchmarks import fit_confidence, incident_days, incidents, reliability
from benchmarks.fit_confidence import Case, fitted, left_out
from benchmarks.incident_days import Played
from benchmarks.reliability import Said

SERVICES = ("a", "b", "c", "d", "z")
CONTEXT = Context(0.0, 7200.0, SERVICES, (("a", "b"), ("b", "c")))
TRUTH = Truth(
    (Fault(1000, "b", "cpu", 300.0, (), "g1"), Fault(3000, "c", "code_error", 300.0, (), "g2")),
    (
        Decoy(5000, "z", "surge", 300.0),
        Decoy(0, "z", "error_bursts", 7200.0),
        Decoy(900, "d", "decoy_flag", 60.0, "chg-1"),
    ),
)


def said(opened: float, services: str, causes: str, confidence: float = 0.8, unsure: bool = False) -> Incident:
    at = rfc3339(int(opened * 1e9))
    return Incident(
        incident_id=f"at {opened}", version=1, tenant="default", environment="production", state="open", severity="low",
        title="", summary="", opened_at=at, onset_at=at, updated_at=at, services=tuple(services), engine_version="0",
        config_hash="0", no_confident_cause=unsure,
        causes=tuple(
            Cause(rank=i, service=s, kind="code", score=1.0, confidence=confidence, summary="")
            for i, s in enumerate(causes, 1)
        ),
    )  # fmt: skip


def played(*what: Incident, mesh: str = "shop", truth: Truth = TRUTH) -> incidents.Judged:
    return incidents.judged(Played("7", mesh, True, truth, CONTEXT, list(what)))


DAY = played(
    said(1050, "b", "b"), said(1200, "a", "a", 0.3), said(3100, "bc", "bc", 0.6), said(5100, "z", "z", 0.4, unsure=True)
)


def test_a_day_worked_out_by_hand():
    all_ = incidents.altogether([DAY])
    assert (all_["faults"], all_["found"], all_["top_1"], all_["top_3"]) == (2, 1.0, 0.5, 1.0)
    assert (all_["incidents_a_fault"], all_["false"], all_["of_nothing"], all_["extra"]) == (2.0, 1, 1, 1)
    assert all_["median_delay_s"] == 75.0
    kinds = incidents.by_kind([DAY])
    assert kinds["cpu"]["incidents_a_fault"] == 2.0, "the late caller came of it too"
    assert kinds["cpu"]["kind_right"] == 0.0, "code is no right kind of cause for a processor"
    assert kinds["code_error"]["incidents_a_fault"] == 1.0
    assert incidents.counts([DAY])["too_many"] == 2


def test_incidents_of_nothing_are_told_by_the_shortest_disturbance():
    assert incidents.of_nothing([DAY]) == {"surge": 1}
    assert incidents.of_nothing([played(said(6500, "z", "z"))]) == {"error_bursts": 1}


def test_only_changes_are_decoys():
    assert incidents.decoys([DAY]) == {"decoys": 1, "blamed": 0, "share": 0.0, "by_kind": {"decoy_flag": "0 of 1"}}


def test_every_incident_is_held_against_its_confidence_false_ones_too():
    held = incidents.measured([DAY])
    assert incidents.said(held) == [Said(0.8, True), Said(0.3, False), Said(0.6, False), Said(0.4, False)]
    result = incidents.confidence(held)
    assert (result["confident"], result["right_where_confident"]) == (3, 0.333)
    assert (result["not_confident"], result["right_where_not"]) == (1, 0.0)
    assert result["ece"] == pytest.approx((0.2 + 0.3 + 0.6 + 0.4) / 4)
    assert result["told_apart"] == 1.0


def test_of_a_recorded_day_confidence_is_measured_on_services_on_which_nothing_is_chosen():
    day = played(said(1050, "b", "b"), said(3100, "c", "c"), said(5000, "z", "z"), mesh="")
    assert [v.last.services for v in incidents.measured([day])] == [("c",), ("z",)], (
        "the last is nearest to the fault of c"
    )


def test_the_report_has_a_line_a_kind_and_permanent_ids(capsys):
    out = incidents.report([DAY, played(said(3100, "c", "c"), mesh="")])
    assert set(out) == {
        "incidents.simulated.all", "incidents.simulated.mesh.shop", "incidents.simulated.disturbed", "incidents.recorded.7",
        "incidents.simulated.kind.cpu", "incidents.simulated.kind.code_error", "incidents.simulated.external",
        "incidents.simulated.count", "incidents.simulated.decoys", "incidents.simulated.of_nothing",
        "incidents.confidence.simulated", "incidents.confidence.recorded", "incidents.confidence.together",
    }  # fmt: skip
    json.dumps(out)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("cpu") and "below" not in line for line in lines)
    assert any(line.startswith("code_error") and line.endswith("below the bar") for line in lines)


def test_a_day_that_was_kept_is_the_same_day(tmp_path):
    day = Played("8", "wide", True, TRUTH, CONTEXT, [said(1050, "b", "b")])
    incident_days.keep(tmp_path, day)
    assert incident_days.kept(tmp_path, "8") == day
    incidents.main(["--kept", str(tmp_path), "--seeds", "8", "--list", "--json", str(tmp_path / "out.json")])
    results = json.loads((tmp_path / "out.json").read_bytes())["results"]
    assert results["incidents.simulated.all"]["found"] == 0.5


def test_seeds_see_every_mesh_with_and_without_disturbances():
    shapes = {(incident_days.mesh_of(seed), incident_days.disturbed(seed)) for seed in range(601, 607)}
    assert len(shapes) == 6


def test_a_short_day_is_played_to_its_end():
    day = incident_days.simulated(3, 0.2, 1.0)
    assert (day.name, day.mesh, day.disturbed, day.truth.faults) == ("3", "shop", False, ())


def test_a_plan_of_a_seed_has_groups_and_decoys_that_the_truth_tells():
    truth = msgspec.convert(incident_days.simulation_of(600, 3.0, 2.0).truth(), Truth)
    assert all(fault.incident_group and fault.duration_s > 0 for fault in truth.faults)
    assert {d.kind for d in truth.decoys if d.change_id} >= {"decoy_deploy", "decoy_flag"}


def test_a_wrong_range_of_seeds_is_an_error_in_words(capsys):
    with pytest.raises(SystemExit):
        incidents.main(["--seeds", "a-b"])
    assert "--seeds: a-b: it must be one number, or the first and the last: 601-650" in capsys.readouterr().err


# ---- calibration ---------------------------------------------------------------------------------------------


def test_the_error_of_confidences_that_keep_their_promise_is_nothing_whatever_their_order():
    perfect = [Said(p / 10, at < p) for p in (2, 5, 9) for at in range(10)]
    assert reliability.error(perfect) == pytest.approx(0.0)
    assert reliability.error(perfect[::-1]) == pytest.approx(0.0)


def test_the_error_is_the_mean_distance_of_the_parts():
    sure = [Said(0.9, at % 2 == 0) for at in range(50)]
    modest = [Said(0.1, at % 10 == 0) for at in range(50)]
    assert reliability.error(sure + modest) == pytest.approx(0.5 * 0.4)
    assert [part.answers for part in reliability.bins(sure + modest)] == [10] * 10


def test_few_answers_have_an_error_by_luck_and_many_hardly():
    few, many = ([Said(at / n, True) for at in range(n)] for n in (30, 3000))
    assert reliability.by_luck(few) > 0.1
    assert reliability.by_luck(many, draws=50) < 0.03


def test_right_and_wrong_are_told_apart_by_the_order_of_their_confidences():
    assert reliability.told_apart([Said(0.9, True), Said(0.4, False), Said(0.4, True), Said(0.1, False)]) == 0.875
    assert reliability.told_apart([Said(0.9, True)]) is None
    assert reliability.error([]) == 0.0


# ---- the fit ------------------------------------------------------------------------------------------------


def drawn(by: Map, n: int, rng: np.random.Generator) -> list[Case]:
    cases = []
    for k in range(n):
        one = Facts(rng.uniform(0.2, 0.95), rng.uniform(3, 20), bool(k % 2), k % 7 == 0)
        cases.append(Case(f"day {k % 10}", one, bool(rng.random() < probability(one, by)), 1.0, True))
    return cases


def test_coefficients_that_made_the_truth_are_found_again():
    by = Map(0.5, 1.5, 0.8, -0.7, 1.0, 0.5)
    cases = drawn(by, 20_000, np.random.default_rng(1))
    found = fitted(cases)
    for case in cases[:50]:
        assert probability(case.facts, found) == pytest.approx(probability(case.facts, by), abs=0.05)
    assert abs(np.mean([probability(case.facts, found) for case in cases]) - np.mean([c.right for c in cases])) < 0.01


def test_a_share_that_speaks_against_the_first_cause_is_not_believed():
    against = Map(1.0, -2.0, 0.8, 0.5, 1.0, 0.5)
    assert fitted(drawn(against, 1000, np.random.default_rng(2))).share == 0.0


def test_every_day_is_judged_by_coefficients_of_other_days():
    cases = drawn(FITTED, 200, np.random.default_rng(3))
    said = left_out(cases)
    assert len(said) == 200
    assert {one.confidence for one in said} != {probability(case.facts, fitted(cases)) for case in cases}


def test_an_incident_is_taken_as_it_opened_and_as_it_ended_and_false_ones_are_wrong():
    cases = fit_confidence.cases_of([DAY])
    assert [(case.right, case.last) for case in cases] == [
        (True, False), (True, True), (False, False), (False, True), (False, False), (False, True), (False, False),
        (False, True),
    ]  # fmt: skip
    assert {case.weight for case in cases} == {0.5}


def test_the_share_of_right_causes_further_down_is_taken_from_what_was_wrong():
    assert fit_confidence.named_further_down([DAY]) == pytest.approx((1 + 1) / (3 + 2))
