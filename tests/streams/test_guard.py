"""A deliverer that skips and repeats records, and records that fail: the incidents stay what the log says."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("confluent_kafka", reason="needs the extra 'kafka'")

from aiops.findings import Findings
from aiops.incidents.place import Place
from streams.guard import Guard
from streams.layout import Layout
from streams.progress import WorkerError
from streams.records import Out, Record, headers_of
from streams.roles import Kept
from streams.stragglers import Stragglers
from streams.tasks.base import Snapshot
from streams.tasks.respond import RespondTask
from tests.streams.log import Cluster, highest


class Role:
    """Opens a task from the snapshot that the test took last."""

    topics = ("aiops.findings",)

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.saved: bytes | None = None

    def open(self, place: Any, _committed: Any) -> tuple[Kept[RespondTask], int]:
        task = RespondTask(place.partition, self.layout)
        if self.saved is not None:
            task.restore(Snapshot.decode(self.saved, "respond"))
        return Kept(task, Stragglers(None)), task.position

    def begin(self, kept: Kept[RespondTask], offset: int) -> None:
        kept.task.position = offset

    def handled(self, kept: Kept[RespondTask], record: Record) -> list[Out]:
        return kept.task.handle(record)


class Story:
    """The findings of a simulated day in one partition, and what a guard makes of them."""

    def __init__(self, records: list[Record], layout: Layout) -> None:
        self.records = records
        self.role = Role(layout)
        self.sent: list[Out] = []
        self.reads = 0
        self.end = 0  # of the log, as the deliverer has got to it
        self.low = 0  # what is before it was deleted
        self.guard = Guard(self.role, self, self.sent.extend)  # type: ignore[arg-type]

    def begin(self, _partition: int, start: int) -> int:
        return max(self.low, start)

    def read(self, _partition: int, start: int, end: int | None = None) -> Iterator[Record]:
        self.reads += 1
        yield from self.records[start : self.end if end is None else end]

    def incidents(self) -> dict[bytes, bytes]:
        return highest(out for out in self.sent if out.topic == "aiops.incidents")

    def save(self) -> None:
        self.role.saved = self.guard.kept[0].task.snapshot().encode()


@pytest.fixture(scope="module")
def findings(faulty_hour) -> list[Record]:
    cluster = Cluster(Layout(), 1, seed=1)
    cluster.produce(faulty_hour)
    cluster.run()
    return cluster.log.of["aiops.findings", 0]


@pytest.fixture(scope="module")
def expected(findings) -> dict[bytes, bytes]:
    story = Story(findings, Layout())
    for record in findings:
        story.guard.deliver(0, record)
    assert story.incidents()
    assert (story.guard.repeats, story.guard.holes, story.guard.aside) == (0, 0, 0)
    return story.incidents()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_skipped_is_read_and_what_is_repeated_is_ignored(findings, expected, seed):
    story, draw, at = Story(findings, Layout()), random.Random(seed), 0
    while at < len(findings):
        story.end = max(story.end, at)
        chance = draw.random()
        if chance < 0.05:
            at += draw.randrange(1, 30)  # records that are never delivered
        elif chance < 0.10:
            at = max(0, at - draw.randrange(1, 60))  # and those that are again
        elif chance < 0.13:
            story.save()
        elif chance < 0.15:  # another process takes over
            story.guard.drop(0)
        if at < len(findings):
            story.guard.deliver(0, findings[at])
        at += 1
        if not story.guard.kept:
            story.guard.open(0)
    story.guard.fill(0, len(findings))
    assert story.incidents() == expected
    assert story.guard.holes > 0
    assert story.guard.repeats > 0


def test_a_failure_that_does_not_come_again_changes_nothing(findings, expected, monkeypatch):
    story, failed = Story(findings, Layout()), set[int]()
    whole = Role.handled

    def handled(self: Role, kept: Kept[RespondTask], record: Record) -> list[Out]:
        out = whole(self, kept, record)
        if record.offset % 100 == 99 and record.offset not in failed:
            failed.add(record.offset)
            raise RuntimeError("after the state was changed")
        return out

    monkeypatch.setattr(Role, "handled", handled)
    for record in findings:
        story.guard.deliver(0, record)
        if record.offset % 300 == 0:
            story.save()
    assert len(failed) > 2
    assert story.incidents() == expected
    assert story.guard.aside == 0


def test_a_record_that_fails_twice_is_set_aside_and_the_rest_goes_on(findings, monkeypatch):
    story = Story(findings, Layout())
    poisonous = len(findings) // 2
    whole = Role.handled

    def handled(self: Role, kept: Kept[RespondTask], record: Record) -> list[Out]:
        out = whole(self, kept, record)
        if record.offset == poisonous:
            raise RuntimeError("always")
        return out

    monkeypatch.setattr(Role, "handled", handled)
    for record in findings:
        story.guard.deliver(0, record)
    without = Story([r for r in findings if r.offset != poisonous], Layout())
    monkeypatch.setattr(Role, "handled", whole)
    for record in without.records:
        without.guard._take(0, record) if without.guard.kept else without.guard.deliver(0, record)
    dead = [out for out in story.sent if out.topic == "aiops.findings.dlq"]
    assert [dict(out.headers)["dlq.reason"] for out in dead] == [b"RuntimeError: always"]
    assert story.guard.aside == 1
    assert story.incidents() == without.incidents()


def test_findings_that_fail_when_they_are_due_are_set_aside_and_no_more(findings, expected, monkeypatch):
    """They fail at the clock that makes them due, not when they come."""
    story, whole = Story(findings, Layout()), Place.step
    times = sorted({int(r.headers["time"]) for r in findings if r.kind == "findings"})
    bad = times[len(times) // 4]  # before the first incident, so that it does not decide one

    def step(self: Place, found: Findings, *rest: Any) -> None:
        whole(self, found, *rest)
        if found.time == bad:
            raise ZeroDivisionError("poison")

    monkeypatch.setattr(Place, "step", step)
    for record in findings:
        story.guard.deliver(0, record)
    dead = [dict(out.headers)["dlq.reason"].decode() for out in story.sent if out.topic == "aiops.findings.dlq"]
    assert len(dead) == story.guard.aside == 1
    assert "window until" in dead[0]
    assert "ZeroDivisionError: poison" in dead[0]
    assert story.incidents().keys() == expected.keys()
    assert story.guard.kept[0].task.stage.done_until > times[-2]


def test_what_was_deleted_before_it_was_read_is_passed_over_once(findings):
    """Else the hole could never be filled, and the process would end at every start."""
    story = Story(findings, Layout())
    story.low = story.end = 20
    with contextlib.suppress(ValueError):  # it names a source that no record has told
        story.guard.deliver(0, findings[20])
    assert story.guard.kept[0].task.position == 21
    story.low = 40
    with contextlib.suppress(ValueError):
        story.guard.deliver(0, findings[40])
    assert story.guard.kept[0].task.position == 41


def test_a_hole_that_cannot_be_read_ends_the_process(findings):
    story = Story(findings, Layout())
    story.guard.deliver(0, findings[0])
    story.records = story.records[:5]
    with pytest.raises(WorkerError, match=r"aiops\.findings/0: offsets 5 to 9 cannot be read"):
        story.guard.deliver(0, findings[10])


def test_a_foreign_record_is_counted_and_passed_over(findings):
    story = Story(findings, Layout())
    stranger = Record(0, dict(headers_of("clock", "nobody")), b"5")
    with pytest.raises(ValueError, match="no sources record names it"):
        RespondTask(0, Layout()).handle(stranger)
    story.guard.open(0)
    assert story.guard.kept[0].task.position == 0
