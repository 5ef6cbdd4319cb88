"""What stays of a table, decided by event times and content; and that what stays says what it would have said."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from aiops import state
from aiops.detect.contrast import Contrast
from aiops.detect.levels import Levels
from aiops.detect.retention import ALIVE, HOUR, Kept, Rule
from aiops.detect.stage import Detect
from aiops.detect.suspicion import Suspicion
from aiops.ingest.stage import Ingest, Message
from aiops.signals import SECOND, WINDOW
from tests.churning import T, resource, shortened

NOW = 500_000 * HOUR
LIMIT = 64


def names(rows: Any) -> list[str]:
    return [f"{row:03d}" for row in rows.tolist()]


def test_only_what_has_not_been_seen_for_the_retention_goes_and_only_at_the_hour():
    seen = [NOW - 6 * HOUR - WINDOW, NOW - 6 * HOUR, NOW - WINDOW]
    assert Rule(NOW, hourly=True).stays(seen, 6 * HOUR, LIMIT, names).tolist() == [False, True, True]
    assert Rule(NOW, hourly=False).stays(seen, 6 * HOUR, LIMIT, names).all()


def test_of_a_table_that_is_nearly_full_the_oldest_go_down_to_three_quarters():
    seen = NOW - ALIVE - SECOND * np.arange(1, 61)  # row 59 is the oldest
    stays = Rule(NOW, hourly=False).stays(seen, 6 * HOUR, LIMIT, names)
    assert stays.tolist() == [True] * 48 + [False] * 12
    assert Rule(NOW, hourly=False).stays(seen[:56], 6 * HOUR, LIMIT, names).all(), "seven eighths are not nearly full"


def test_what_is_in_use_never_gives_way():
    seen = np.full(64, NOW - ALIVE)
    assert Rule(NOW, hourly=False).stays(seen, 6 * HOUR, LIMIT, names).all()
    seen[[3, 5, 8]] = NOW - 2 * ALIVE
    assert np.flatnonzero(~Rule(NOW, hourly=False).stays(seen, 6 * HOUR, LIMIT, names)).tolist() == [3, 5, 8]


def test_a_table_is_not_rebuilt_for_a_row_or_two():
    seen = np.full(3200, NOW - ALIVE)
    seen[:99] = NOW - 2 * ALIVE
    assert Rule(NOW, hourly=False).stays(seen, 6 * HOUR, 3200, names).all()


def test_among_rows_of_one_age_identity_decides_and_not_the_code(rng):
    """The rows in another order: the same identities stay."""
    identity = rng.permutation(1000).tolist()
    seen = (NOW - 2 * ALIVE - SECOND * (np.arange(60) // 25)).tolist()
    gone = set()
    for _ in range(5):
        order = rng.permutation(60)
        called = np.array(identity)[order]
        stays = Rule(NOW, hourly=False).stays([seen[k] for k in order], 6 * HOUR, LIMIT, called.__getitem__)
        gone.add(frozenset(called[~stays].tolist()))
    assert len(gone) == 1
    assert len(next(iter(gone))) == 12


def test_a_crowded_group_gives_way_at_the_hour_and_leaves_the_others_alone():
    group = np.repeat([0, 1], [60, 40])
    seen = np.full(100, NOW - 2 * ALIVE)
    stays = Rule(NOW, hourly=True).stays_in_each(seen, group, LIMIT, names)
    assert stays[60:].all()
    assert np.count_nonzero(~stays[:60]) == 12
    assert Rule(NOW, hourly=False).stays_in_each(seen, group, LIMIT, names).all()


def test_rows_that_stay_keep_their_order():
    kept = Kept(np.array([True, False, True, True]))
    assert kept.rows.tolist() == [0, 2, 3]
    assert kept.code.tolist() == [0, -1, 1, 2]
    assert kept.of(["a", "b", "c", "d"]) == ["a", "c", "d"]
    assert (kept.gone, kept.all) == (1, False)


@pytest.mark.parametrize("width", [1, 3])
def test_the_cells_that_stay_say_what_they_would_have_said(rng, width):
    keys, stays = 20, rng.random(20) < 0.5
    suspicions = [Suspicion(), Suspicion()]
    whole, part = (Contrast(s) for s in suspicions)
    for suspicion, contrast in zip(suspicions, (whole, part), strict=True):
        suspicion.grow(keys)
        contrast.grow(np.repeat(np.arange(keys, dtype=np.int32), width))
    kept, of = Kept(stays), np.arange(keys)
    for k in range(120):
        start, n = NOW + k * WINDOW, keys * width
        if k == 60:
            part.keep(kept, width, kept)
            suspicions[1].keep(kept)
            of = kept.code
        cells = np.flatnonzero(rng.random(n) < 0.5)
        counts = rng.integers(1, 9, len(cells)).astype(float)
        strength = rng.random(keys) * 6
        whole.add(start, cells, counts, True)
        there = of[cells // width] >= 0
        part.add(start, (of[cells // width] * width + cells % width)[there], counts[there], True)
        for suspicion, contrast, rows in zip(suspicions, (whole, part), (slice(None), of >= 0), strict=True):
            suspicion.advance(start + WINDOW, strength[rows])
            contrast.advance(start + WINDOW)
        of_kept = np.repeat(stays, width) if k >= 60 else slice(None)
        for length in (60 * SECOND, 120 * SECOND):
            for a, b in zip(whole.split(start + WINDOW, length), part.split(start + WINDOW, length), strict=True):
                assert a[of_kept].tolist() == b.tolist()
    other = Contrast(suspicions[1])
    other.restore(state.unpack(state.pack(part.state())))
    assert state.pack(other.state()) == state.pack(part.state())


def test_the_levels_that_stay_say_what_they_would_have_said_and_new_ones_begin_empty(rng):
    stays = np.arange(8) % 3 > 0
    suspicion, other = Suspicion(), Suspicion()
    whole, part = Levels(suspicion), Levels(other)
    for s, levels in ((suspicion, whole), (other, part)):
        s.grow(8)
        levels.grow(list(range(8)))
    kept, of = Kept(stays), np.arange(8)
    for k in range(200):
        now, values = NOW + k * WINDOW, rng.normal(size=8) * (10 if k > 150 else 1)
        if k == 100:
            part.keep(kept, kept)
            other.keep(kept)
            of = kept.code
        whole.add(np.arange(8), np.full(8, now), values)
        there = of >= 0
        part.add(of[there], np.full(np.count_nonzero(there), now), values[there])
        for levels in (whole, part):
            levels.advance(now + WINDOW)
        rows = stays if k >= 100 else slice(None)
        assert whole.evidence(now + WINDOW)[rows].tolist() == part.evidence(now + WINDOW).tolist()
    other.grow(3)
    part.grow([5, 6, 7])
    assert part.head["count"][: part.size].tolist()[-3:] == [0, 0, 0]
    assert (part.time[5:8] == -1).all()


def gauge(k: int, **pods: float) -> Message:
    """One value of `cpu` of each pod."""
    time = str(T + k * WINDOW + SECOND)
    found = [
        {
            "resource": resource("web", pod),
            "scopeMetrics": [
                {"metrics": [{"name": "cpu", "gauge": {"dataPoints": [{"timeUnixNano": time, "asDouble": value}]}}]}
            ],
        }
        for pod, value in pods.items()
    ]
    return Message(k, T + (k + 1) * WINDOW, json.dumps({"resourceMetrics": found}).encode())


def returned(away: int) -> Detect:
    """A pod that is back at another level after `away` windows."""
    detect, ingest = Detect(["metrics/0"]), Ingest("metrics/0", "metrics")
    for k in range(100 + away):
        pods = {"a": 0.5}
        if k < 80:
            pods["b"] = 0.3 + 0.01 * (k % 7)
        elif k >= 80 + away:
            pods["b"] = 0.9
        out = ingest.process([gauge(k, **pods)])
        for rows in out.rows:
            detect.process(rows)
        detect.advance("metrics/0", out.clock)
        if k % 10 == 0:
            other = Detect(["metrics/0"])
            other.restore(detect.snapshot())
            assert other.snapshot() == detect.snapshot()
    return detect


def about_b(detect: Detect) -> tuple[float, int]:
    """Greatest score of pod b's latest points, and how many values were learned of it."""
    (code,) = (k for k, info in enumerate(detect.metrics._info) if info.instance == "b")
    levels = detect.metrics.signals.levels
    return float(abs(levels.score[code]).max()), int(levels.head["count"][code])


def test_a_series_that_returns_after_its_eviction_is_learned_anew(monkeypatch):
    shortened(monkeypatch)
    remembered, anew = returned(30), returned(60)
    assert anew.directory.evicted["series"] == 1
    assert remembered.directory.evicted["series"] == 0
    scores, learned = zip(*(about_b(detect) for detect in (remembered, anew)), strict=True)
    assert scores[0] > 3.0, "before its eviction it is known, and unusual"
    assert learned[0] > 15
    assert scores[1] == 0.0
    assert learned[1] < 6
