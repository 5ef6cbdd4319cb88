"""Which problem each incident comes of, and whether what it says first is right."""

from __future__ import annotations

import msgspec
import pytest

from aiops.records import Cause, Evidence, Incident, rfc3339
from aiops.scoring import Context, Decoy, Fault, Truth
from aiops.verdicts import verdicts

CONTEXT = Context(0.0, 7200.0, ("a", "b", "c", "z"), (("a", "b"), ("b", "c")))
TRUTH = Truth((Fault(1000, "b", "x", 600.0), Fault(3000, "c", "y")))


def incident(opened: float, services: str, causes: str, version: int = 1, episode: int = 1, ref: str = "") -> Incident:
    at = rfc3339(int(opened * 1e9))
    evidence = (Evidence(type="change", ref=ref, statement="deploy", weight=1.0),) if ref else ()
    return Incident(
        incident_id=f"at {opened}", version=version, episode=episode, tenant="default", environment="production",
        state="open", severity="low", title="", summary="", opened_at=at, onset_at=at, updated_at=at,
        services=tuple(services), engine_version="0", config_hash="0",
        causes=tuple(
            Cause(rank=i, service=s, kind="code", score=1.0, confidence=0.5, summary="", evidence=evidence)
            for i, s in enumerate(causes, 1)
        ),
    )  # fmt: skip


def of(*incidents: Incident, truth: Truth = TRUTH):
    return [
        (None if v.problem is None else v.problem.faults[0].service, v.right(v.last))
        for v in verdicts(truth, CONTEXT, incidents)
    ]


def test_several_incidents_may_come_of_one_fault_and_each_is_right_or_wrong():
    assert of(incident(1050, "ab", "b"), incident(1200, "a", "a"), incident(3050, "c", "c")) == [
        ("b", True), ("b", False), ("c", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("opened", "service"), [(900, None), (910, "b"), (1900, "b"), (1901, None), (3300, "c"), (3301, None)]
)
def test_a_late_incident_still_comes_of_a_fault_until_five_minutes_after_its_end(opened, service):
    assert of(incident(opened, "abc", "z"))[0][0] == service


def test_of_two_faults_that_last_it_is_the_one_that_is_named_then_the_one_that_is_held_then_a_callers():
    truth = Truth((Fault(1000, "b", "x", 600.0), Fault(1100, "z", "y", 600.0)))
    assert of(incident(1200, "bz", "zb"), truth=truth) == [("z", True)]
    assert of(incident(1200, "z", "a"), truth=truth) == [("z", False)]
    assert of(incident(1200, "a", "c"), truth=truth) == [("b", False)]
    assert of(incident(1200, "c", "c"), truth=truth) == [("b", False)], "of neither: the earlier"


def test_what_a_version_said_is_judged_by_itself():
    first = incident(1050, "b", "a")
    (verdict,) = verdicts(TRUTH, CONTEXT, [first, msgspec.structs.replace(incident(1050, "b", "b"), version=2)])
    assert [verdict.right(version) for version in verdict.versions] == [False, True]


def test_a_decoy_is_blamed_by_a_first_cause_that_holds_its_change_for_evidence():
    (verdict,) = verdicts(TRUTH, CONTEXT, [incident(1050, "b", "b", ref="chg-1")])
    assert verdict.blames(Decoy(900, "b", "decoy_deploy", 60.0, "chg-1"))
    assert not verdict.blames(Decoy(900, "b", "decoy_deploy", 60.0, "chg-2"))
    assert not verdict.blames(Decoy(900, "b", "surge"))


def test_an_incident_without_causes_is_never_right():
    assert of(incident(1050, "b", "")) == [("b", False)]
