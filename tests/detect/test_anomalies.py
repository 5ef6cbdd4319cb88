"""Scores -> anomalies: hysteresis, few updates, ids that stay."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from aiops import state
from aiops.detect import anomalies as module
from aiops.detect.anomalies import OPEN, QUIET, STAY, UPDATE_EVERY, Candidate, Tracker
from aiops.records import rfc3339, unix_ns
from aiops.signals import SECOND, WINDOW, ServiceKey

T = 1_700_000_000 * SECOND
WEB, DB = ServiceKey("default", "prod", "web"), ServiceKey("default", "prod", "db")


def candidate(score: float, service: ServiceKey = WEB, **more: Any) -> Candidate:
    return Candidate(service, "metric", more.pop("signal", "cpu"), "levels", score, f"scored {score}", **more)


class Story:
    """One window after another, 10 s each."""

    def __init__(self) -> None:
        self.tracker, self.now = Tracker("1"), T

    def window(self, *candidates: Candidate) -> list[Any]:
        self.now += WINDOW
        return self.tracker.advance(self.now, list(candidates))

    def windows(self, *scores: float) -> list[Any]:
        """One signal; 0 is no candidate.  Everything that was said."""
        return [a for score in scores for a in self.window(*([candidate(score)] if score else []))]


def test_what_is_interesting_opens_nothing_before_it_is_strong():
    story = Story()
    assert story.windows(STAY, OPEN - 0.01, STAY) == []
    (opened,) = story.windows(OPEN)
    assert (opened.state, opened.version, opened.service, opened.score) == ("open", 1, "web", OPEN)
    assert opened.onset == rfc3339(T), "the onset is when the score became interesting"
    assert (opened.window.start, opened.window.end) == (rfc3339(story.now - WINDOW), rfc3339(story.now))


def test_a_score_that_was_interesting_long_ago_is_forgotten_when_it_fades():
    story = Story()
    (opened,) = story.windows(STAY, 0, 0, OPEN)
    assert unix_ns(opened.onset) == story.now - WINDOW


def test_a_detector_may_know_the_onset_better():
    story = Story()
    (opened,) = story.window(candidate(OPEN, onset=T - 77 * SECOND))
    assert unix_ns(opened.onset) == T - 77 * SECOND


def test_an_open_anomaly_stays_open_at_lower_scores_and_is_updated_seldom():
    story = Story()
    said = story.windows(OPEN, *[STAY] * 30)
    assert [a.state for a in said] == ["open"] + ["update"] * 10
    times = [unix_ns(a.window.end) for a in said]
    assert all(b - a >= UPDATE_EVERY for a, b in pairwise(times))
    assert [a.version for a in said] == list(range(1, 12))
    assert len({a.anomaly_id for a in said}) == 1
    assert len({a.onset for a in said}) == 1


def test_it_closes_after_a_quiet_and_says_so_once():
    story = Story()
    quiet = [0.0] * (QUIET // WINDOW)
    assert [a.state for a in story.windows(OPEN, *quiet)] == ["open"]
    (closed,) = story.windows(0)
    assert (closed.state, closed.version, closed.score) == ("closed", 2, OPEN)
    assert story.windows(*[0.0] * 20) == []
    assert story.tracker.open == 0


def test_a_pause_shorter_than_the_quiet_does_not_close_it():
    story = Story()
    said = story.windows(OPEN, *[0.0] * (QUIET // WINDOW), STAY, *[0.0] * (QUIET // WINDOW))
    assert [a.state for a in said] == ["open", "update"]


def test_the_next_time_is_another_anomaly():
    story = Story()
    said = story.windows(OPEN, *[0.0] * 10, OPEN)
    assert [a.state for a in said] == ["open", "closed", "open"]
    assert said[0].anomaly_id == said[1].anomaly_id != said[2].anomaly_id
    assert said[2].version == 1


def test_ids_are_made_of_content():
    assert Story().windows(OPEN)[0].anomaly_id == Story().windows(OPEN)[0].anomaly_id
    story = Story()
    others = [
        candidate(OPEN), candidate(OPEN, DB), candidate(OPEN, instance="a"), candidate(OPEN, instance="b"),
        candidate(OPEN, peer="b"), candidate(OPEN, signal="mem"),
    ]  # fmt: skip
    assert len({a.anomaly_id for a in story.window(*others)}) == len(others)


def test_what_is_said_is_in_canonical_order_whatever_the_order_of_the_candidates():
    found = [candidate(OPEN, DB), candidate(OPEN, signal="mem"), candidate(OPEN), candidate(OPEN, instance="x")]
    assert Story().window(*found) == Story().window(*found[::-1])


def test_of_several_scores_of_one_signal_the_greatest_counts():
    for order in ((OPEN, OPEN + 2), (OPEN + 2, OPEN)):
        assert [a.score for a in Story().window(*map(candidate, order))] == [OPEN + 2]


def test_there_are_never_more_open_than_allowed(monkeypatch):
    monkeypatch.setattr(module, "MAX_OPEN", 2)
    story = Story()
    assert len(story.window(*[candidate(OPEN, signal=f"s{k}") for k in range(5)])) == 2
    assert (story.tracker.open, story.tracker.refused) == (2, 3)


def test_memory_is_bounded_by_what_is_open_or_interesting():
    story = Story()
    for k in range(50):
        story.window(candidate(STAY, signal=f"s{k}"))
    assert len(story.tracker._since) == 1


@pytest.mark.parametrize("cut", range(0, 40, 3))
def test_a_restored_tracker_has_the_same_future(cut, rng):
    scores = rng.choice([0.0, STAY, OPEN, 6.0], (60, 4), p=[0.5, 0.2, 0.2, 0.1])
    story, other = Story(), Story()

    def found(k: int) -> list[Candidate]:
        return [
            candidate(s, signal=f"s{i}", logs=("x",), attributes={"a": "b"})
            for i, s in enumerate(scores[k].tolist())
            if s
        ]

    for k in range(cut):
        story.window(*found(k))
    other.tracker.restore(state.unpack(state.pack(story.tracker.state())))
    other.now = story.now
    for k in range(cut, 60):
        assert other.window(*found(k)) == story.window(*found(k))


def test_what_a_producer_names_at_length_is_cut_and_told_apart_all_the_same():
    story, name = Story(), "x" * 10_000
    long = [candidate(6.0, signal=name + end, attributes={"unit": name}) for end in "ab"]
    for one in long:
        one.statement = name
    found = story.window(*long)
    assert len({a.anomaly_id for a in found}) == 2
    assert {(len(a.signal), len(a.statement), len(a.attributes["unit"])) for a in found} == {(400, 2_000, 400)}
