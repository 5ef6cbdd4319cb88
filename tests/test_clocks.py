"""The merged clock: what it waits for, and what it no longer waits for."""

from __future__ import annotations

import pytest

from aiops import state
from aiops.signals import END_OF_TIME, Clocks


def test_nothing_moves_before_every_source_has_spoken():
    clocks = Clocks(["a", "b"])
    clocks.set("a", 50)
    assert clocks.merged == -1
    clocks.set("b", 20)
    assert clocks.merged == 20


def test_nothing_moves_before_the_sources_are_known():
    clocks = Clocks()
    assert clocks.merged == -1
    clocks.sources([])
    assert clocks.merged == END_OF_TIME


def test_a_clock_never_goes_back_and_a_stranger_is_refused():
    clocks = Clocks(["a"])
    clocks.set("a", 50)
    clocks.set("a", 40)
    assert clocks["a"] == 50
    with pytest.raises(KeyError, match="'c' is not one of"):
        clocks.set("c", 1)


def test_a_source_that_is_added_is_waited_for_and_those_that_stay_keep_their_clocks():
    clocks = Clocks(["a", "b"])
    clocks.set("a", 50)
    clocks.set("b", 60)
    clocks.sources(["b", "c"])
    assert "a" not in clocks
    assert clocks.merged == -1
    clocks.set("c", 55)
    assert clocks.merged == 55


def test_a_straggler_is_not_waited_for_until_it_joins():
    clocks = Clocks(["a", "b"])
    clocks.set("a", 50)
    clocks.set("b", 10)
    clocks.let_go("b")
    assert clocks.merged == 50
    assert clocks.away == ["b"]
    clocks.set("b", 45)
    clocks.join("b")
    assert clocks.merged == 45


def test_time_does_not_end_because_every_source_is_a_straggler():
    clocks = Clocks(["a", "b"])
    clocks.set("a", 50)
    for source in ("a", "b"):
        clocks.let_go(source)
    assert clocks.merged == -1


def test_restored_clocks_are_the_same():
    clocks, other = Clocks(["a", "b"]), Clocks()
    clocks.set("a", 50)
    clocks.let_go("b")
    other.restore(state.unpack(state.pack(clocks.state())))
    assert other.state() == clocks.state()
    assert other.merged == 50
