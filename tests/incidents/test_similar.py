"""What an incident is like: by what it is compared, what counts, what is remembered."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.incidents import similar
from aiops.incidents.lifecycle import Policy
from aiops.incidents.similar import LEAST, LISTED, WEIGHTS, Memory, Past
from aiops.incidents.stage import Respond
from aiops.records import Incident
from aiops.signals import SECOND
from tests.incidents.world import DETECT, Terms, World, anomaly, change

P = Policy()
CONFIRM, QUIET = P.confirm / SECOND + 20, P.quiet / SECOND + 30
CART: Terms = {"cart": {"own": 8.0, "lost": 7.0, "loss": 7.0}}
MAIL: Terms = {"spam": {"resource": 8.0}}
LATER = QUIET + P.episode / SECOND + 60  # seconds after which the same cause is another incident


def days(*faults: Terms, each: float = CONFIRM) -> list[Incident]:
    """The last version of each incident of some faults, far apart."""
    world = World()
    world.last_for(120)
    for fault in faults:
        world.last_for(each, fault)
        world.last_for(LATER)
    return sorted(world.latest.values(), key=lambda incident: incident.opened_at)


def past(name: str, closed: int = 0, **marks: str) -> Past:
    return Past(
        name, f"title of {name}", closed, "rolled back", {kind: sorted(of.split()) for kind, of in marks.items()}
    )


def memory(*pasts: Past) -> Memory:
    out = Memory()
    for one in pasts:
        out.remember(one)
    return out


# ---- in the life of an incident ------------------------------------------------------------------------------------------
def test_the_same_fault_again_is_like_the_one_before_and_another_is_not():
    first, other, again = days(CART, MAIL, CART)
    assert (first.similar_incidents, other.similar_incidents) == ((), ())
    (found,) = again.similar_incidents
    assert found.incident_id == first.incident_id
    assert found.score == 1.0
    assert found.title == first.title
    assert found.resolved_at == first.resolved_at
    assert "causes (cart" in (found.reason or "")


def test_what_ended_it_is_said():
    _, again = days(CART, CART)
    assert again.similar_incidents[0].resolution == "closed by itself after 1 min"
    _, *_, long = days(CART, CART, each=P.longest / SECOND + 60)
    assert long.similar_incidents[0].resolution == "still there after 15 min, then taken as the new normal"


def test_it_is_said_when_it_opens_and_once_more_when_it_is_settled():
    world = World()
    world.last_for(120)
    world.last_for(CONFIRM, CART)
    world.last_for(LATER)
    world.last_for(CONFIRM, CART)
    opening = world.said[-1]
    assert (opening.state, len(opening.similar_incidents)) == ("open", 1)
    # By the time it is settled, what seemed to be the cart is rather the database, which was never like this.
    world.last_for(P.settle / SECOND, {**CART, "db": {"resource": 8.0, "errors": 8.0, "heartbeat": 8.0}})
    settled = world.said[-1]
    assert settled.settled
    assert all(s.score < 1.0 for s in settled.similar_incidents)


def test_another_episode_is_not_like_itself():
    world = World()
    world.last_for(120)
    for _ in range(2):
        world.last_for(CONFIRM, CART)
        world.last_for(QUIET + P.cool / SECOND)
    assert world.only.episode == 2
    assert world.only.similar_incidents == ()
    assert world.respond.gauges()["respond_remembered_incidents"] == 1.0


def test_signals_words_and_changes_count():
    world = World()
    world.last_for(120)
    seen = []
    for k in range(2):
        world.respond.tell("changes/0", k, "changes", change("cart", world.now, f"c{k}"), world.now)
        log = anomaly("cart", world.now, signal=f"queue {k} full")
        world.last_for(10, CART, anomalies=[log])
        world.last_for(CONFIRM, CART)
        (state,) = world.respond._of.values()
        (case,) = state.lifecycle.open
        seen.append(similar.marks_of(case, state.environment, state._relevant(case)))
        world.last_for(LATER)
    assert seen[0] == seen[1]
    assert seen[0]["signals"] == ["cart/queue 0 full"]
    assert seen[0]["changes"] == ["cart/deploy"]
    assert "cart/own" in seen[0]["evidence"]


# ---- scores --------------------------------------------------------------------------------------------------------------
def test_what_few_have_counts_more_than_what_all_have():
    many = [past(f"p{k}", services="gateway cart") for k in range(20)]
    known = memory(*many, past("rare", services="gateway spam"))
    common = known.score({"services": ["cart", "gateway"]}, {"services": ["gateway", "spam"]})
    rare = known.score({"services": ["cart", "spam"]}, {"services": ["gateway", "spam"]})
    assert common < rare


def test_a_kind_of_mark_that_neither_has_does_not_count_and_one_that_one_has_does():
    known = memory()
    same = {"cause": ["cart"], "services": ["cart"]}
    assert known.score(same, same) == 1.0
    assert known.score({**same, "words": ["timeout"]}, same) == pytest.approx(4 / 5)
    assert known.score({}, {}) == 0.0


MARKS = st.dictionaries(st.sampled_from(sorted(WEIGHTS)), st.lists(st.sampled_from("abcdef"), unique=True).map(sorted))


@given(st.lists(MARKS, max_size=6), MARKS, MARKS)
def test_a_score_is_between_0_and_1_the_same_both_ways_and_1_for_the_same(pasts, one, other):
    known = memory(*(Past(f"p{k}", "", k, "", marks) for k, marks in enumerate(pasts)))
    score = known.score(one, other)
    assert 0.0 <= score <= 1.0
    assert score == known.score(other, one)
    assert known.score(one, one) == (1.0 if any(one.values()) else 0.0)


def test_the_three_most_similar_are_listed_the_newest_of_equal_ones_first():
    near = [past(f"n{k}", closed=k, cause="cart", services="cart web") for k in range(5)]
    known = memory(*near, past("far", cause="spam"))
    found = known.similar("me", {"cause": ["cart"], "services": ["cart", "web"]})
    assert [s.incident_id for s in found] == ["n4", "n3", "n2"]
    assert len(found) == LISTED
    assert known.similar("me", {"cause": ["pay"]}) == []
    assert all(s.score >= LEAST for s in found)


def test_somebody_may_say_afterwards_what_ended_it():
    known = memory(past("a", cause="cart"))
    known.resolved("a", "restarted the cache")
    known.resolved("unknown", "whatever")
    assert known.similar("me", {"cause": ["cart"]})[0].resolution == "restarted the cache"


# ---- bounds --------------------------------------------------------------------------------------------------------------
def test_memory_is_bounded_and_the_oldest_go_first(monkeypatch):
    monkeypatch.setattr(similar, "MOST", 10)
    known = memory(*(past(f"p{k}", closed=k, cause=f"s{k}") for k in range(25)))
    assert (len(known), known.evicted) == (10, 15)
    assert known.similar("me", {"cause": ["s14"]}) == []
    assert [s.incident_id for s in known.similar("me", {"cause": ["s15"]})] == ["p15"]
    assert len(known._having) == 10


def test_hostile_names_make_no_mark_too_many():
    world = World()
    world.last_for(120)
    flood = [anomaly("cart", world.now, signal="x" * (k + 1)) for k in range(300)]
    world.last_for(10, CART, anomalies=flood)
    world.last_for(CONFIRM, CART)
    (state,) = world.respond._of.values()
    (case,) = state.lifecycle.open
    marks = similar.marks_of(case, state.environment, [])
    assert {kind: len(of) for kind, of in marks.items()}["signals"] == similar.MARKS


def test_a_memory_that_is_restored_says_the_same(rng: np.random.Generator):
    names = [f"s{k}" for k in range(8)]
    pasts = [past(f"p{k}", closed=k, cause=" ".join(rng.choice(names, 2)), services="a b") for k in range(30)]
    known, again = memory(*pasts), Memory()
    again.restore(known.state())
    assert again.state() == known.state()
    for name in names:
        marks = {"cause": [name], "services": ["a"]}
        assert again.similar("me", marks) == known.similar("me", marks)


def test_a_snapshot_keeps_what_is_remembered():
    world = World()
    world.last_for(120)
    world.last_for(CONFIRM, CART)
    world.last_for(LATER)
    snapshot = world.respond.snapshot()
    world.respond = Respond([DETECT])
    world.respond.restore(snapshot)
    world.last_for(CONFIRM, CART)
    assert len(world.said[-1].similar_incidents) == 1
