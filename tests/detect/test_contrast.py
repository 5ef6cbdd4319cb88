"""The last minutes against what was normal before, against sums over plain lists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aiops import state
from aiops.detect import contrast
from aiops.detect.contrast import ADMIT, DECAY, LEAK, LENGTHS, Contrast
from aiops.detect.suspicion import Suspicion
from aiops.signals import SECOND, WINDOW

T = 1_000_000 * SECOND


class Plain:
    """Keeps every window, and says why each count weighs what it weighs."""

    def __init__(self, owners: list[int]) -> None:
        self.owners = owners
        self.windows: list[tuple[int, dict[int, float]]] = []
        self.admitted: list[tuple[int, dict[int, float]]] = []  # with the trust at the time of admission

    def trusted(self, suspicion: Suspicion, start: int, counts: dict[int, float]) -> dict[int, float]:
        suspect = suspicion.at(start)
        return {cell: n * (LEAK if suspect[self.owners[cell]] else 1.0) for cell, n in counts.items()}

    def advance(self, now: int, suspicion: Suspicion) -> None:
        done = len(self.admitted)
        for start, counts in self.windows[done:]:
            if start < now - ADMIT:
                self.admitted.append((start, self.trusted(suspicion, start, counts)))

    def split(self, now: int, length: int, suspicion: Suspicion) -> tuple[dict[int, float], dict[int, float]]:
        recent: dict[int, float] = dict.fromkeys(range(len(self.owners)), 0.0)
        normal: dict[int, float] = dict.fromkeys(range(len(self.owners)), 0.0)
        for age, (_, counts) in enumerate(reversed(self.admitted)):
            for cell, n in counts.items():
                normal[cell] += n * DECAY**age
        for start, counts in self.windows[len(self.admitted) :]:
            if start < now - length:
                for cell, n in self.trusted(suspicion, start, counts).items():
                    normal[cell] += n
        for start, counts in self.windows:
            if start >= now - length:
                for cell, n in counts.items():
                    recent[cell] += n
        return recent, normal


def drive(steps: int, rng: np.random.Generator, check: Any, restart: bool = False) -> None:
    owners = [0, 0, 1, 1, 2, 2, 2]
    suspicion = Suspicion()
    suspicion.grow(3)
    found, plain = Contrast(suspicion), Plain(owners)
    found.grow(np.array(owners[:4], np.int32))
    found.grow(np.array(owners[4:], np.int32))
    for k in range(steps):
        start = T + k * WINDOW
        cells = np.flatnonzero(rng.random(len(owners)) < 0.7)
        counts = rng.integers(1, 9, len(cells)).astype(np.float64)
        live = len(cells) > 0 or bool(rng.random() < 0.5)
        found.add(start, cells, counts, live)
        if live:
            plain.windows.append((start, dict(zip(cells.tolist(), counts.tolist(), strict=True))))
        now = start + WINDOW
        found.advance(now)
        plain.advance(now, suspicion)
        suspicion.advance(now, rng.choice([0.0, 8.0], 3, p=[0.8, 0.2]) if k % 40 > 20 else np.zeros(3))
        if restart:
            packed = state.pack(found.state())
            found = Contrast(suspicion)
            found.restore(state.unpack(packed))
            assert state.pack(found.state()) == packed
        for length in LENGTHS:
            check(found.split(now, length), plain.split(now, length, suspicion))


def same(found: Any, expected: Any) -> None:
    for part, truth in zip(found, expected, strict=True):
        np.testing.assert_allclose(part, [truth[c] for c in range(len(truth))], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("restart", [False, True])
def test_recent_and_normal_counts_are_those_of_a_plain_reference(rng, restart):
    drive(120, rng, same, restart)


def test_the_gain_of_newer_windows_may_grow_beyond_all_bounds(rng, monkeypatch):
    """Hours of windows: the baseline is scaled back, and nobody notices."""
    monkeypatch.setattr(contrast, "DECAY", 0.5)
    monkeypatch.setitem(globals(), "DECAY", 0.5)
    drive(120, rng, same)


def test_a_count_enters_the_baseline_late():
    found = Contrast(_calm())
    found.grow(np.zeros(1, np.int32))
    found.add(T, np.array([0]), np.array([5.0]), True)
    for seconds, recent, normal in ((10, 5.0, 0.0), (60, 5.0, 0.0), (70, 0.0, 5.0)):
        found.advance(T + seconds * SECOND)
        assert [float(x[0]) for x in found.split(T + seconds * SECOND, 60 * SECOND)] == [recent, normal]


def test_what_its_owner_is_suspect_for_hardly_teaches():
    suspicion = _calm()
    suspicion.advance(T, np.array([8.0]))
    found = Contrast(suspicion)
    found.grow(np.zeros(1, np.int32))
    found.add(T, np.array([0]), np.array([100.0]), True)
    found.advance(T + ADMIT + WINDOW)
    assert found.split(T + ADMIT + WINDOW, 60 * SECOND)[1][0] == pytest.approx(100 * LEAK)


def test_a_suspicion_that_is_dropped_before_admission_costs_nothing():
    suspicion = _calm()
    suspicion.advance(T, np.array([8.0]))
    found = Contrast(suspicion)
    found.grow(np.zeros(1, np.int32))
    found.add(T, np.array([0]), np.array([100.0]), True)
    suspicion.advance(T + WINDOW, np.array([0.0]))
    found.advance(T + ADMIT + WINDOW)
    assert found.split(T + ADMIT + WINDOW, 60 * SECOND)[1][0] == pytest.approx(100)


def test_baselines_fade_by_windows_in_which_the_signal_spoke_not_by_those_with_cells_of_their_own():
    """What shares a partition with a cell must not matter to it, and silence is no news."""
    alone, together, silent = (Contrast(_calm()) for _ in range(3))
    for found, cells in ((alone, 1), (together, 2), (silent, 1)):
        found.grow(np.zeros(cells, np.int32))
    for k in range(200):
        start, now = T + k * WINDOW, T + (k + 1) * WINDOW
        none, one = np.empty(0, np.int64), np.array([0])
        alone.add(start, one if k == 0 else none, np.ones(int(k == 0)), True)
        together.add(start, np.array([0, 1]) if k == 0 else np.array([1]), np.ones(1 + int(k == 0)), True)
        silent.add(start, one if k == 0 else none, np.ones(int(k == 0)), k == 0)
        for found in (alone, together, silent):
            found.advance(now)
    normal = [found.split(T + 200 * WINDOW, 60 * SECOND)[1][0] for found in (alone, together, silent)]
    assert normal[0] == normal[1] < 1.0
    assert normal[2] == 1.0


def test_memory_is_bounded_by_what_waits():
    found = Contrast(_calm())
    found.grow(np.zeros(1, np.int32))
    for k in range(500):
        found.add(T + k * WINDOW, np.array([0]), np.array([1.0]), True)
        found.advance(T + (k + 1) * WINDOW)
    assert len(found._recent) <= max(LENGTHS) // WINDOW + 1
    assert len(found._pending) <= ADMIT // WINDOW + 1


def _calm() -> Suspicion:
    out = Suspicion()
    out.grow(1)
    return out
