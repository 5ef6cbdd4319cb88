"""Changes -> which one is plausible as the cause: never the latest for being the latest."""

from __future__ import annotations

import pytest

from aiops.causes.changes import (
    BEHIND,
    HALF,
    SLACK,
    Candidate,
    first,
    near,
    of_services,
    plausibilities,
    relations,
    words,
)
from aiops.records import Change, rfc3339
from aiops.signals import SECOND

T = 1_700_000_000 * SECOND


def change(service: str, before: float, summary: str = "", **more) -> Change:
    """A change so many seconds before T."""
    return Change(
        change_id=f"{service}-{before}", time=rfc3339(T - round(before * SECOND)), kind="deploy", service=service,
        environment="prod", summary=summary, **more,
    )  # fmt: skip


def test_what_came_after_its_effect_is_no_cause():
    assert near(-SLACK - 1) == 0.0
    assert near(-SLACK) == near(0.0) == 1.0, "clocks and windows are not exact"


def test_minutes_hardly_count_and_half_an_hour_does():
    assert near(300.0) > 0.85
    assert near(HALF) == 0.5
    assert near(1800.0) < 0.25
    assert [near(t) for t in (0, 60, 600, 1800)] == sorted((near(t) for t in (0, 60, 600, 1800)), reverse=True)


def test_a_version_that_did_not_change_is_no_change():
    same, other = Candidate(60.0, "", "v1", "v1"), Candidate(60.0, "", "v1", "v2")
    assert plausibilities([same, other, Candidate(60.0)]) == [0.0, round(near(60.0), 6), round(near(60.0), 6)]


def test_what_the_errors_name_beats_what_came_later():
    culprit = Candidate(400.0, "shorten retries of the token client")
    decoy = Candidate(30.0, "new colours of the header")
    without, with_ = plausibilities([culprit, decoy]), plausibilities([culprit, decoy], ["no retries left for token"])
    assert without[0] < without[1]
    assert with_[0] > with_[1]


def test_words_that_are_always_about_name_nothing():
    texts = ["request handler", "cache ttl"]
    usual = [f"request number {name}" for name in ("one", "two", "three", "four")]
    often, rare = relations(texts, ["request failed: cache empty"], usual)
    assert rare > often


def test_a_word_that_several_signals_name_counts_more():
    once, twice = relations(["cache ttl", "index size"], ["cache miss", "cache hit ratio", "index full"], [])[::-1]
    assert twice > once


def test_what_only_a_change_that_came_too_late_is_about_lowers_nobody():
    late = Candidate(-500.0, "token client retries")
    (early, after) = plausibilities([Candidate(60.0, "colours"), late], ["token retries"])
    assert early == pytest.approx(near(60.0), abs=1e-6)
    assert after == 0.0


def test_a_change_without_rivals_counts_by_its_time_alone():
    assert plausibilities([Candidate(120.0, "colours")], ["token expired"]) == [round(near(120.0), 6)]
    assert plausibilities([]) == []


def test_words_are_cut_where_people_cut_them():
    assert words("TSOClock maxAttempts=2 v1.4 of_db cas_retry") == {"tso", "clock", "max", "attempts", "cas", "retry"}
    assert words("http error in the handler") == set(), "what any code and any log is full of names nothing"


def test_of_each_service_the_most_plausible_change_counts():
    found = of_services([change("cart", 60), change("cart", 1200), change("web", 700)], {"cart": T, "web": T}, [])
    assert found == {"cart": round(near(60.0), 6), "web": round(near(700.0), 6)}


def test_a_change_is_judged_by_the_onset_of_its_own_service():
    began = {"cart": float(T), "web": float(T - 600 * SECOND)}
    assert of_services([change("web", 60)], began, []) == {"web": 0.0}, "web was ill before it changed"
    assert of_services([change("web", 660)], began, [])["web"] > 0.9


def test_a_change_of_a_service_that_follows_long_after_the_first_is_less_plausible():
    assert first(0.0) == first(SLACK) == 1.0
    assert first(SLACK + BEHIND) == 0.5
    began = {"cart": float(T), "web": float(T - 600 * SECOND)}
    assert of_services([change("cart", 60)], began, [])["cart"] < 0.5
    assert of_services([change("cart", 60)], {"cart": float(T)}, [])["cart"] > 0.9


def test_changes_of_services_without_evidence_are_no_rivals():
    token = change("mail", 60, "token client")
    assert of_services([token], {"cart": T}, ["token expired"]) == {}
    alone = of_services([change("cart", 60, "colours")], {"cart": T}, ["token expired"])
    assert of_services([change("cart", 60, "colours"), token], {"cart": T}, ["token expired"]) == alone


def test_words_of_other_changes_name_none_of_them():
    texts, evidence = ["shrink pool", "index size"], ["pool empty", "index gone"]
    alike, rarer = relations(texts, evidence), relations(texts, evidence, others=["pool docs", "pool tests", "colours"])
    assert alike[0] == alike[1]
    assert rarer[0] < rarer[1]


def test_the_name_of_a_service_is_no_word_of_its_evidence():
    rivals = [change("cart", 60, "release cart"), change("web", 60, "release web")]
    assert of_services(rivals, {"cart": T, "web": T}, ["cart lost instances"]) == of_services(
        rivals, {"cart": T, "web": T}, []
    )


def test_the_order_in_which_changes_are_told_changes_nothing():
    rivals = [change("cart", 60, "a token"), change("web", 300, "b colours"), change("db", 900, "c size")]
    began = dict.fromkeys(("cart", "web", "db"), float(T))
    assert of_services(rivals, began, ["token"]) == of_services(rivals[::-1], dict(reversed(began.items())), ["token"])
