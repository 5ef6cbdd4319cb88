"""Scores of incidents against a truth, on cases small enough to be worked out by hand."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from aiops.errors import UserError
from aiops.records import Cause, CauseKind, Incident, encode, rfc3339
from aiops.scoring import (
    KINDS_OF,
    TOGETHER,
    Context,
    Fault,
    Truth,
    average,
    found,
    read_day,
    read_incidents,
    score,
    table,
    top,
    true_service,
)
from aiops.simulate import ALL_KINDS

CONTEXT = Context(0.0, 3600.0, ("a", "b", "c", "z"), (("a", "b"), ("b", "c")))
TRUTH = Truth((Fault(1000, "b", "x"), Fault(2000, "c", "y")))


def incident(key, opened, services, causes, version=1, updated=None, episode=1):
    return Incident(
        incident_id=key,
        version=version,
        episode=episode,
        tenant="default",
        environment="production",
        state="open",
        severity="low",
        title="",
        summary="",
        opened_at=rfc3339(int(opened * 1e9)),
        onset_at=rfc3339(int(opened * 1e9)),
        updated_at=rfc3339(int((opened if updated is None else updated) * 1e9)),
        services=tuple(services),
        causes=tuple(
            Cause(rank=i, service=s, kind="code", score=1.0, confidence=0.5, summary="")
            for i, s in enumerate(causes, 1)
        ),
        engine_version="0",
        config_hash="0",
    )


DAY = [
    incident("1", 1010, "a", "aab"),  # a caller of b; b is second among the services of its causes
    incident("2", 2300, "c", "c", updated=2310),
    incident("2", 2300, "c", "bc", version=2, updated=2700),
    incident("3", 2301, "c", "c"),  # a second too late: false
    incident("4", 1020, "z", ""),  # in time, but elsewhere: extra
]


def test_a_day_worked_out_by_hand():
    result = score(TRUTH, CONTEXT, DAY)
    assert result.incidents == 4
    assert [i.incident_id for i in result.false] == ["3"]
    assert result.hours == pytest.approx((3600 - 2 * 390) / 3600)
    assert result.chance == 0.25
    final, early = result.final, result.early
    assert final.extra == 1
    assert final.delay == pytest.approx((10 + 300) / 2)
    assert (found(final.outcomes), true_service(final.outcomes)) == (1.0, 0.5)
    assert (top(final.outcomes, 1), top(final.outcomes, 3)) == (0.0, 1.0)
    assert average(final.outcomes) == pytest.approx(0.8)
    assert top(early.outcomes, 1) == 0.5
    assert average(early.outcomes) == pytest.approx(0.9)
    assert average(dict(final.kinds())["x"]) == pytest.approx(0.8)


def test_the_order_of_versions_does_not_matter():
    assert score(TRUTH, CONTEXT, DAY[::-1]) == score(TRUTH, CONTEXT, DAY)


def test_nothing_said_is_nothing_found_and_nothing_false():
    result = score(TRUTH, CONTEXT, [])
    assert (found(result.final.outcomes), len(result.false), result.final.delay) == (0.0, 0, None)


def test_an_incident_in_two_spans_answers_for_one_fault():
    truth = Truth((Fault(0, "b", "x"), Fault(100, "c", "x")))
    result = score(truth, CONTEXT, [incident("1", 150, "bc", "cb")])
    assert [o.found for o in result.final.outcomes] == [True, False]


def test_the_true_service_comes_before_a_caller_of_an_earlier_fault():
    truth = Truth((Fault(0, "b", "x"), Fault(100, "a", "x")))
    result = score(truth, CONTEXT, [incident("1", 150, "a", "a")])
    assert [o.found for o in result.final.outcomes] == [False, True]


@pytest.mark.parametrize(("opened", "inside"), [(909.9, False), (910, True), (1300, True), (1300.1, False)])
def test_the_span_of_a_fault_includes_its_ends(opened, inside):
    result = score(Truth((Fault(1000, "b", "x"),)), CONTEXT, [incident("1", opened, "b", "b")])
    assert (len(result.false) == 0) is inside
    assert result.final.outcomes[0].found is inside


def test_every_episode_counts_as_an_incident():
    versions = [incident("1", 1010, "b", "b"), incident("1", 3000, "b", "b", version=2, episode=2)]
    result = score(TRUTH, CONTEXT, versions)
    assert (result.incidents, len(result.false)) == (2, 1)


def test_spans_that_overlap_are_taken_from_the_hours_once():
    truth = Truth((Fault(1000, "b", "x"), Fault(1100, "c", "x")))
    assert score(truth, CONTEXT, []).hours == pytest.approx((3600 - 490) / 3600)


def test_a_cause_of_an_incident_without_the_service_or_a_caller_is_no_find():
    result = score(TRUTH, CONTEXT, [incident("1", 1010, "z", "b")])
    assert not result.final.outcomes[0].found


def test_the_table_has_a_line_for_all_and_one_a_kind():
    lines = table(score(TRUTH, CONTEXT, DAY)).splitlines()
    assert [line.split()[0] for line in lines[3:6]] == ["ALL", "x", "y"]
    assert lines[3].split()[1:] == ["2", "1.000", "0.500", "0.000", "1.000", "0.800"]


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UserError, match=r"truth\.json: No such file"):
        read_day(tmp_path)
    (tmp_path / "truth.json").write_text('{"faults": [{"service": "a"}]}')
    with pytest.raises(UserError, match=r"truth\.json: .*time_unix"):
        read_day(tmp_path)
    (tmp_path / "incidents.jsonl").write_bytes(encode(DAY[0]) + b"\n\nno\n")
    with pytest.raises(UserError, match=r"incidents\.jsonl: line 3: incident: "):
        list(read_incidents(tmp_path / "incidents.jsonl"))
    with pytest.raises(UserError, match=r"none\.jsonl: No such file"):
        list(read_incidents(tmp_path / "none.jsonl"))


# ---- what simulated days say more ----------------------------------------------------------------------------


def grouped(*faults):
    return Truth(tuple(Fault(at, service, "x", 400.0, (), group) for at, service, group in faults))


def test_faults_of_one_group_are_one_problem_for_which_any_of_their_services_is_right():
    truth = grouped((1000, "b", "g1"), (1060, "c", "g1"))
    result = score(truth, CONTEXT, [incident("1", 1100, "bc", "cb")])
    (outcome,) = result.final.outcomes
    assert (outcome.found, outcome.rank, outcome.delay, outcome.kind) == (True, 1, 100.0, TOGETHER)
    assert result.final.extra == 0


def test_faults_of_two_groups_are_two_problems():
    truth = grouped((1000, "b", "g1"), (1060, "c", "g2"))
    result = score(truth, CONTEXT, [incident("1", 1100, "bc", "cb")])
    assert [o.found for o in result.final.outcomes] == [True, False]


def test_a_host_is_found_by_any_service_that_it_took_along_and_right_is_any_of_them():
    wide = Context(0.0, 3600.0, tuple("abcdefz"), (("a", "b"), ("b", "c")))
    truth = Truth((Fault(1000, "b", "host_down", 400.0, ("b", "d"), "g1", "node-1"),))
    (outcome,) = score(truth, wide, [incident("1", 1100, "d", "d")]).final.outcomes
    assert (outcome.found, outcome.true_service, outcome.rank, outcome.right) == (True, False, None, True)
    (outcome,) = score(truth, wide, [incident("1", 1100, "b", "e")]).final.outcomes
    assert (outcome.found, outcome.right) == (True, False)
    (outcome,) = score(truth, wide, [incident("1", 1100, ["node-1"], ["node-1"])]).final.outcomes
    assert (outcome.found, outcome.right) == (True, True), "the host itself has metrics"


def test_what_hits_everything_makes_nothing_right_but_its_service_or_to_be_unsure():
    truth = Truth((Fault(1000, "b", "slow_dns", 400.0, ("a", "b", "c", "z"), "g1", "dns"),))
    told = incident("1", 1100, "b", "z")
    unsure = msgspec.structs.replace(told, no_confident_cause=True)
    assert [score(truth, CONTEXT, [one]).final.outcomes[0].right for one in (told, unsure)] == [False, True]
    assert (
        score(TRUTH, CONTEXT, [msgspec.structs.replace(told, no_confident_cause=True)]).final.outcomes[0].right is False
    )


def test_of_a_service_outside_its_callers_may_be_named_for_only_they_tell_of_it():
    truth = Truth((Fault(1000, "z", "third_party", 400.0, (), "g1", "z"),))
    context = Context(0.0, 3600.0, ("a", "b", "z"), (("a", "z"), ("b", "a")))
    right = {s: score(truth, context, [incident("1", 1100, "a", s)]).final.outcomes[0].right for s in "abz"}
    assert right == {"a": True, "b": False, "z": True}


@pytest.mark.parametrize(("kind", "right"), [("cpu", False), ("code_error", True), ("silent_metric", None)])
def test_the_kind_of_a_cause_is_judged_where_the_service_is_right_and_the_kind_of_fault_has_one(kind, right):
    truth = Truth((Fault(1000, "b", kind),))  # causes of `incident` are of code
    assert score(truth, CONTEXT, [incident("1", 1100, "b", "b")]).final.outcomes[0].kind_right is right
    assert score(truth, CONTEXT, [incident("1", 1100, "b", "ab")]).final.outcomes[0].kind_right is None


def test_every_kind_of_cause_that_is_right_for_a_fault_exists():
    assert {kind for kinds in KINDS_OF.values() for kind in kinds} <= set(get_args(CauseKind))
    assert set(ALL_KINDS) - set(KINDS_OF) == {"silent_metric"}
