"""What every task with state does with the records that are not its data, and how it starts again."""

from __future__ import annotations

from typing import Any

import pytest

from aiops.records import decode_notice
from aiops.signals import SECOND, WINDOW
from streams.control import sources_record
from streams.layout import Layout
from streams.records import CLOCK, JOIN, NOTICE, STRAGGLER, Out, Record, Refused, headers_of
from streams.tasks.assemble import AssembleTask
from streams.tasks.base import Snapshot
from streams.tasks.detect import DetectTask
from streams.tasks.respond import RespondTask

T = 1_700_000_000 * SECOND


class Partition:
    """A log that is written and read at once."""

    def __init__(self, task: AssembleTask | DetectTask | RespondTask) -> None:
        self.task = task
        self.log: list[Record] = []

    def add(self, kind: str, source: str, value: bytes, more: list[tuple[str, bytes]] | None = None) -> list[Out]:
        self.log.append(Record(len(self.log), dict(headers_of(kind, source, more)), value))
        return self.task.handle(self.log[-1])

    def sources(self, names: list[str], generation: int = 1) -> list[Out]:
        headers, value = sources_record(names, generation)
        self.log.append(Record(len(self.log), dict(headers), value))
        return self.task.handle(self.log[-1])

    def clock(self, source: str, clock: int) -> list[Out]:
        return self.add(CLOCK, source, b"%d" % clock)


def kinds(out: list[Out]) -> list[str]:
    return [dict(o.headers).get("kind", b"").decode() for o in out]


def test_nothing_moves_before_the_sources_are_known_and_have_spoken():
    p = Partition(DetectTask(0, Layout()))
    with pytest.raises(Refused, match="a clock record of source 'a' at offset 0: no sources record names it"):
        p.clock("a", T)
    assert p.task.refused == 1
    p.sources(["a", "b"])
    assert p.clock("a", T) == []
    assert kinds(p.clock("b", T)) == ["clock"]


def test_the_sources_of_the_highest_generation_hold():
    p = Partition(DetectTask(0, Layout()))
    p.sources(["a", "b"], 2)
    p.sources(["a"], 1)
    assert list(p.task.clocks.each()) == ["a", "b"]
    p.sources(["b", "c"], 3)
    assert list(p.task.clocks.each()) == ["b", "c"]


@pytest.mark.parametrize("value", [b"", b"soon", b"-7", b"9" * 25])
def test_a_clock_that_is_none_is_refused_by_name(value):
    p = Partition(DetectTask(0, Layout()))
    p.sources(["a"])
    with pytest.raises(Refused, match="clock"):
        p.add(CLOCK, "a", value)
    assert kinds(p.clock("a", T)) == ["clock"]


def test_a_straggler_is_let_go_by_a_record_and_people_are_told():
    p = Partition(DetectTask(0, Layout()))
    p.sources(["a", "b"])
    p.clock("a", T)
    p.clock("b", T + 600 * SECOND)
    out = p.add(STRAGGLER, "", b"a")
    assert kinds(out) == [NOTICE, "clock"]
    assert p.task.clocks.merged == T + 600 * SECOND
    notice = decode_notice(out[0].value or b"")
    assert (notice.kind, notice.source, notice.until) == ("straggler", "a", None)
    assert p.add(STRAGGLER, "", b"a") == []
    p.clock("a", T + 700 * SECOND)
    assert kinds(p.add(JOIN, "", b"a"))[0] == NOTICE
    assert p.task.clocks.merged == T + 600 * SECOND
    respond = Partition(RespondTask(0, Layout()))
    [public] = respond.add(NOTICE, "detect", out[0].value or b"")
    assert (public.topic, public.key, public.value) == ("aiops.notices", b"a", out[0].value)


def test_a_snapshot_says_from_where_to_read_what_is_not_in_it():
    p = Partition(RespondTask(0, Layout()))
    p.sources(["a"])
    p.clock("a", T)
    p.task.hold(T + 5 * WINDOW, 1)
    snapshot = p.task.snapshot()
    assert (snapshot.position, snapshot.read_from) == (2, 1)
    p.clock("a", T + 7 * WINDOW)
    assert p.task.snapshot().read_from == 3


def test_control_records_before_a_snapshot_are_not_obeyed_twice():
    """Else a source that was let go and has joined again would be let go for a moment, and rows would be missed."""
    p = Partition(DetectTask(0, Layout()))
    p.sources(["a", "b"])
    p.clock("a", T)
    p.clock("b", T + 600 * SECOND)
    p.task.hold(T + 700 * SECOND, 1)
    p.add(STRAGGLER, "", b"a")
    p.clock("a", T + 601 * SECOND)
    p.add(JOIN, "", b"a")
    data = p.task.snapshot().encode()
    again = DetectTask(0, Layout())
    again.restore(Snapshot.decode(data, "detect"))
    assert again.position == 1
    for record in p.log[1:]:
        assert again.handle(record) == []
        assert again.clocks.away == []
    assert again.position == p.task.position
    assert again.clocks.state() == p.task.clocks.state()


def test_a_record_that_was_taken_in_is_ignored():
    p = Partition(DetectTask(0, Layout()))
    p.sources(["a"])
    p.clock("a", T)
    assert p.task.handle(p.log[1]) == []
    assert p.task.position == 2


@pytest.mark.parametrize("make", [AssembleTask, DetectTask, RespondTask])
def test_what_does_not_belong_to_a_topic_is_refused_by_name(make):
    p = Partition(make(0, Layout()))
    p.sources(["a"])
    with pytest.raises(Refused, match="kind 'tea' at offset 1 does not belong here"):
        p.add("tea", "a", b"")
    with pytest.raises(Refused, match="does not say what it is"):
        p.task.handle(Record(2, {}, b""))
    assert p.task.position == 3


def test_a_state_is_not_carried_to_another_key_of_identities():
    p = Partition(DetectTask(0, Layout(key=7)))
    p.sources(["a"])
    with pytest.raises(Refused, match="taken with another tenant, identity_key or numbers of partitions"):
        DetectTask(0, Layout(key=8)).restore(p.task.snapshot())


@pytest.mark.parametrize("make", [AssembleTask, RespondTask])
def test_what_was_done_stays_done_when_the_merged_clock_goes_back(make):
    """A source that is added, or that joins again, takes the merged clock back; nothing is processed twice."""
    p = Partition(make(0, Layout()))
    p.sources(["a"])
    p.clock("a", T + 100 * SECOND)
    stage: Any = p.task.stage
    before = stage._done
    assert before == T + 90 * SECOND
    p.sources(["a", "b"], 2)
    assert p.task.clocks.merged == -1
    assert stage._done == before
    again = make(0, Layout())
    again.restore(p.task.snapshot())
    assert again.stage._done == before
