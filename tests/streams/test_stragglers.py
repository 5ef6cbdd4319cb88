"""Who is let go, who is taken back, and that the word is a record."""

from __future__ import annotations

import time
from typing import Any

from aiops.signals import SECOND, Clocks
from streams.records import Out, Record
from streams.stragglers import Stragglers


class Wall:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def told(clocks: Clocks, out: list[Out]) -> list[tuple[str, str]]:
    """Obey the records as the reader of the partition does."""
    said = []
    for o in out:
        record = Record(0, dict(o.headers), o.value or b"")
        source = record.value.decode()
        (clocks.let_go if record.kind == "straggler" else clocks.join)(source)
        said.append((record.kind, source))
    return said


def watched(limit: float | None = 300) -> tuple[Clocks, Wall, Any]:
    clocks, wall = Clocks(["a", "b", "c"]), Wall()
    stragglers = Stragglers(limit, wall)
    for source in "abc":
        clocks.set(source, 1000 * SECOND)
    return clocks, wall, lambda: stragglers.decide(clocks, "aiops.signals", 3)


def go_on(clocks: Clocks, wall: Wall, seconds: int, sources: str) -> None:
    wall.now += seconds
    for source in sources:
        clocks.set(source, clocks[source] + seconds * SECOND)


def test_a_source_that_stands_still_while_others_go_on_is_let_go_and_joins_when_it_has_caught_up():
    clocks, wall, decide = watched()
    assert decide() == []
    go_on(clocks, wall, 290, "ab")
    assert decide() == []
    go_on(clocks, wall, 20, "ab")
    out = decide()
    assert [(o.topic, o.partition) for o in out] == [("aiops.signals", 3)]
    assert told(clocks, out) == [("straggler", "c")]
    assert clocks.merged == clocks["a"]
    clocks.set("c", clocks["a"] - 5 * SECOND)
    assert decide() == []
    clocks.set("c", clocks["a"])
    assert told(clocks, decide()) == [("join", "c")]
    assert clocks.away == []


def test_a_source_that_is_far_behind_but_moves_is_waited_for():
    """As while a topic is caught up with: partitions are hours apart, and none is in trouble."""
    clocks, wall, decide = watched()
    for _ in range(100):
        go_on(clocks, wall, 60, "ab")
        clocks.set("c", clocks["c"] + SECOND)
        assert decide() == []


def test_the_word_is_said_once_until_it_is_obeyed():
    clocks, wall, decide = watched()
    decide()
    go_on(clocks, wall, 400, "ab")
    first = decide()
    assert len(first) == 1
    assert decide() == []
    told(clocks, first)
    go_on(clocks, wall, 10, "ab")
    assert decide() == []


def test_all_standing_still_is_no_straggler_and_never_means_never():
    clocks, wall, decide = watched()
    decide()
    wall.now += 10_000
    assert decide() == []
    clocks, wall, decide = watched(limit=None)
    decide()
    go_on(clocks, wall, 4000, "ab")
    assert decide() == []


def test_a_source_that_never_spoke_is_let_go_as_well():
    clocks, wall = Clocks(["a", "b"]), Wall()
    stragglers = Stragglers(300, wall)
    clocks.set("a", 1000 * SECOND)
    stragglers.decide(clocks, "t", 0)
    go_on(clocks, wall, 400, "a")
    assert told(clocks, stragglers.decide(clocks, "t", 0)) == [("straggler", "b")]
    assert clocks.merged == clocks["a"]


def test_many_sources_cost_no_more_than_their_number():
    clocks, wall = Clocks([f"raw/{k}" for k in range(10_000)]), Wall()
    stragglers = Stragglers(300, wall)
    for k in range(1, 10_000):
        clocks.set(f"raw/{k}", 1000 * SECOND)
    begun = time.process_time()
    assert stragglers.decide(clocks, "t", 0) == []
    wall.now += 400
    assert told(clocks, stragglers.decide(clocks, "t", 0)) == [("straggler", "raw/0")]
    assert time.process_time() - begun < 2.0
