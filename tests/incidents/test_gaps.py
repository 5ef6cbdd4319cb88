"""A signal that falls silent while others go on: a notice, once, and another when it is back."""

from __future__ import annotations

import pytest

from aiops import state
from aiops.incidents.gaps import SILENT, Gaps
from aiops.records import unix_ns
from aiops.signals import SECOND, WINDOW

T = 1_700_000_000 * SECOND
ALL = {"logs": 5, "metrics": 5, "traces": 5}


class Story:
    def __init__(self) -> None:
        self.gaps, self.now = Gaps("default", "prod"), T

    def last_for(self, seconds: int, **totals: int):
        out = []
        for _ in range(seconds * SECOND // WINDOW):
            self.now += WINDOW
            out += self.gaps.advance(self.now, totals)
        return out


@pytest.mark.parametrize("signal", sorted(ALL))
def test_a_signal_that_stops_is_told_once_with_its_last_time(signal):
    story = Story()
    assert story.last_for(300, **ALL) == []
    last = story.now
    (notice,) = story.last_for(1200, **{**ALL, signal: 0})
    assert (notice.kind, notice.signal, notice.environment, notice.until) == ("silence", signal, "prod", None)
    assert unix_ns(notice.since) == last


def test_a_signal_that_comes_back_is_told():
    story = Story()
    story.last_for(300, **ALL)
    story.last_for(300, logs=5, metrics=5)
    end = story.now
    (notice,) = story.last_for(300, **ALL)
    assert notice.until is not None
    assert unix_ns(notice.until) == end
    assert "are back" in notice.text


def test_a_short_silence_is_not_told():
    story = Story()
    story.last_for(300, **ALL)
    assert story.last_for(SILENT // SECOND - 10, logs=5, metrics=5) + story.last_for(60, **ALL) == []


def test_silence_of_everything_is_nobodys_fault():
    story = Story()
    story.last_for(300, **ALL)
    assert story.last_for(1200) == []


def test_a_signal_that_was_never_there_is_not_missed():
    assert Story().last_for(1200, metrics=5) == []


def test_restored_gaps_have_the_same_future():
    plan = [(300, ALL), (400, {"logs": 1, "metrics": 1}), (200, ALL), (300, {"traces": 1}), (100, ALL)]
    plain, restarted = Story(), Story()
    for seconds, totals in plan:
        for _ in range(seconds // 20):
            packed = state.pack(restarted.gaps.state())
            restarted.gaps = Gaps("default", "prod")
            restarted.gaps.restore(state.unpack(packed))
            assert restarted.last_for(20, **totals) == plain.last_for(20, **totals)
