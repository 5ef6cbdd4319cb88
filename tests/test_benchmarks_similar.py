"""What the benchmark of similar incidents counts, and that the days it makes hold each fault twice."""

from __future__ import annotations

from collections import Counter

import pytest

from aiops.incidents.similar import LISTED
from benchmarks.similar import Seen, by, count, newest, pooled, same_cause, twice

CART, PAY = ("cart", "cpu"), ("pay", "code_error")


def seen(name: str, opened: float, fault: tuple[str, str] | None, *listed: str, cause: str = "") -> Seen:
    marks = {"cause": [cause, f"{cause}/x"]} if cause else {}
    return Seen(name, opened, opened + 100.0, fault, marks, [], list(listed))


DAY = [
    seen("a", 0.0, CART, cause="cart"),
    seen("b", 5_000.0, PAY, cause="pay"),
    seen("c", 10_000.0, CART, "a", "b", cause="cart"),
    seen("d", 15_000.0, None, "b", cause="web"),
]


def test_it_counts_what_is_named_of_what_came_again_and_what_is_right_of_what_is_named():
    counts = count([DAY], lambda one, _: one.listed)
    assert (counts.again, counts.named, counts.first) == (1, 1, 1)
    assert (counts.listed, counts.right) == (3, 1)
    assert (counts.new, counts.new_listing) == (3, 1)
    assert counts.rates()["precision"] == pytest.approx(1 / 3, abs=1e-3)


def test_the_peers_name_the_newest_and_those_of_the_same_first_cause():
    assert newest(DAY[3], DAY[:3]) == ["c", "b", "a"][:LISTED]
    assert same_cause(DAY[2], DAY[:2]) == ["a"]
    assert by({"cause": 1.0}, 0.5)(DAY[2], DAY[:2]) == ["a"]


def test_nothing_that_is_still_open_is_looked_at():
    overlapping = [seen("a", 0.0, CART)._replace(closed=9_999.0), seen("b", 100.0, CART, "a")]
    assert count([overlapping], lambda one, _: one.listed).again == 0


def test_a_day_holds_every_fault_twice_far_apart():
    faults = twice(651, 4, 3.0).faults
    assert set(Counter((f.service, f.kind) for f in faults).values()) == {2}
    assert len(faults) == 8
    for one, again in zip(faults[:4], faults[4:], strict=True):
        assert (one.service, one.kind, one.mode) == (again.service, again.kind, again.mode)
        assert again.start - one.end > 1800.0 + 900.0


def test_days_are_put_together_one_after_another():
    together = pooled([DAY, DAY])
    assert [one.incident_id for one in together[:5]] == ["0/a", "0/b", "0/c", "0/d", "1/a"]
    assert together[4].opened - together[0].opened == 86_400.0
    counts = count([together], by({"cause": 1.0}, 0.5))
    assert (counts.again, counts.named) == (4, 4)  # c, and on the second day a, b and c
