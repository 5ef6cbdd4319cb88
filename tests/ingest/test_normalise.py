"""Which event times are believed, what stands in for those that are not, and how far a message moves a clock."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.ingest.normalise import FUTURE, PAST, plausible_times

NOW = 1_700_000_000_000_000_000
END = np.iinfo(np.int64).max


def one(time: int, arrival: int = NOW):
    return plausible_times(np.array([time]), np.zeros(1, np.int32), np.array([arrival]))


@pytest.mark.parametrize("time", [NOW, NOW - 1, NOW - PAST, NOW + FUTURE, 1 + NOW - PAST])
def test_a_plausible_time_is_kept(time):
    out = one(time)
    assert (out.time[0], out.newest[0], out.replaced[0]) == (time, time, 0)


@pytest.mark.parametrize("time", [0, -1, -END, NOW - PAST - 1, NOW + FUTURE + 1, END, 1])
def test_an_implausible_time_becomes_the_arrival_and_is_counted(time):
    out = one(time)
    assert (out.time[0], out.newest[0], out.replaced[0]) == (NOW, NOW, 1)


@pytest.mark.parametrize("time", [0, -1])
def test_no_time_is_no_time_also_in_the_first_days_of_the_epoch(time):
    assert one(time, arrival=1000).time[0] == 1000


def test_each_item_is_judged_by_the_arrival_of_its_own_message():
    message = np.array([0, 1, 2], np.int32)
    out = plausible_times(np.full(3, NOW), message, np.array([NOW, NOW + PAST + 1, NOW - FUTURE - 1]))
    assert out.time.tolist() == [NOW, NOW + PAST + 1, NOW - FUTURE - 1]
    assert out.replaced.tolist() == [0, 1, 1]


def test_a_clock_ahead_does_not_reach_beyond_the_arrival():
    assert one(NOW + FUTURE).reached[0] == NOW
    assert one(NOW - 5).reached[0] == NOW - 5


def test_a_message_reaches_its_newest_item_whatever_their_order():
    message = np.array([0, 0, 0, 1], np.int32)
    out = plausible_times(np.array([NOW - 3, NOW - 1, NOW - 2, NOW - 9]), message, np.array([NOW, NOW]))
    assert out.reached.tolist() == [NOW - 1, NOW - 9]


def test_a_message_without_items_reaches_nothing():
    out = plausible_times(np.array([NOW]), np.array([1], np.int32), np.array([NOW, NOW, NOW]))
    assert out.reached.tolist() == [-1, NOW, -1]


def test_the_times_given_are_not_changed():
    time = np.array([0])
    plausible_times(time, np.zeros(1, np.int32), np.array([NOW]))
    assert time[0] == 0
