"""Which snapshot counts, among all that lie in a partition."""

from __future__ import annotations

import random

import pytest

pytest.importorskip("confluent_kafka", reason="needs the extra 'kafka'")

from streams import snapshots
from streams.records import Out, Refused
from streams.tasks.base import Snapshot


def taken(position: int, size: int = 5_000) -> Snapshot:
    return Snapshot("detect", position, position - 3, 1, random.Random(position).randbytes(size), "layout")


def written(snapshot: Snapshot, part: int = 700) -> tuple[list[Out], Out, snapshots.Manifest]:
    return snapshots.records("s", 0, snapshot, part)


def found(*outs: Out) -> Snapshot | None:
    newest = snapshots.newest([(o.key, o.value) for o in outs], "detect")
    return newest[0] if newest else None


def test_a_snapshot_comes_back_whole():
    parts, head, manifest = written(taken(10))
    assert len(parts) > 5
    assert found(*parts, head) == taken(10)
    assert manifest.position == 10


def test_the_highest_position_counts_not_the_last_one():
    one, two = written(taken(10)), written(taken(20))
    assert found(*two[0], two[1], *one[0], one[1]) == taken(20)


def test_one_whose_writing_broke_off_does_not_count():
    one, two = written(taken(10)), written(taken(20))
    assert found(*one[0], one[1], *two[0]) == taken(10)
    assert found(*one[0], one[1], *two[0][:-1], two[1]) == taken(10)
    damaged = two[0][0]._replace(value=b"x" * len(two[0][0].value or b""))
    assert found(*one[0], one[1], damaged, *two[0][1:], two[1]) == taken(10)


def test_parts_that_were_deleted_or_compacted_away_do_not_count():
    one, two = written(taken(10)), written(taken(20))
    gone = snapshots.deletions("s", 0, snapshots.keys(one[2]))
    assert found(*one[0], one[1], *two[0], two[1], *gone) == taken(20)
    assert found(*one[0], one[1], *gone) is None
    assert found() is None


def test_a_snapshot_of_another_stage_or_version_is_refused():
    parts, head, _ = written(taken(10))
    with pytest.raises(Refused, match="'detect', not version 2 of 'assemble'"):
        snapshots.newest([(o.key, o.value) for o in [*parts, head]], "assemble")
    with pytest.raises(Refused, match="snapshot of detect"):
        Snapshot.decode(b"\xc1", "detect")
