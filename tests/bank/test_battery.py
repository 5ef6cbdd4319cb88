"""What every detector of metric values must stand: one list, and a detector joins by being in it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from aiops import state
from aiops.bank import Bank
from aiops.detect.levels import Levels
from aiops.detect.suspicion import Suspicion

MINUTE = 60_000_000_000
DAY = 1440
START = 1_700_000_000_000_000_000 // MINUTE * MINUTE
LOUD = 4.0


class Window(NamedTuple):
    """Points of one window, and its end; at most one a series."""

    now: int
    rows: Any
    time: Any
    value: Any


class BankDetector:
    """The full tier."""

    def __init__(self, series: int) -> None:
        self.bank = Bank()
        self.bank.grow(series)
        self.said = np.zeros((series, 6))

    def take(self, rows: Any, time: Any, value: Any) -> None:
        out = self.bank.feed(rows, time, value)
        self.said[rows] = np.stack([out.score, out.evidence, out.term, out.alert, out.lower, out.upper], axis=1)

    def close(self, now: int) -> Any:  # noqa: ARG002 - the bank knows event times only
        return self.said

    def loud(self) -> Any:
        """Which series alert by their newest point?"""
        return (self.said[:, 0] >= LOUD) & (self.said[:, 3] > 0)

    def grow(self, more: int) -> None:
        self.bank.grow(more)
        self.said = np.concatenate([self.said, np.zeros((more, 6))])

    def save(self) -> bytes:
        return state.pack(self.bank.state())

    def load(self, saved: bytes) -> None:
        self.bank.restore(state.unpack(saved))


class LevelsDetector:
    """The light tier: it is given a window as a whole, by ascending series, and without what is not finite."""

    def __init__(self, series: int) -> None:
        self.suspicion = Suspicion()
        self.levels = Levels(self.suspicion)
        self.taken: list[tuple[Any, Any, Any]] = []
        self.grow(series)

    def take(self, rows: Any, time: Any, value: Any) -> None:
        self.taken.append((rows, time, value))

    def close(self, now: int) -> Any:
        rows, time, value = (np.concatenate(column) for column in zip(*self.taken, strict=True))
        self.taken.clear()
        order = np.argsort(rows)
        there = order[np.isfinite(value[order])]
        self.levels.add(rows[there], time[there], value[there])
        self.levels.advance(now)
        self.evidence = self.levels.evidence(now)
        return self.evidence

    def loud(self) -> Any:
        return np.abs(self.evidence) >= LOUD

    def grow(self, more: int) -> None:
        start = self.levels.size
        self.suspicion.grow(start + more)
        self.levels.grow(list(range(start, start + more)))

    def save(self) -> bytes:
        return state.pack(self.levels.state())

    def load(self, saved: bytes) -> None:
        self.levels.restore(state.unpack(saved))
        self.suspicion.grow(self.levels.size)


DETECTORS = [BankDetector, LevelsDetector]
pytestmark = pytest.mark.parametrize("make", DETECTORS)

# One series each: name, and values of one point a minute.
HOSTILE = {
    "constant": lambda n, _: np.full(n, 7.0),
    "zeros": lambda n, _: np.zeros(n),
    "nothing": lambda n, _: np.full(n, np.nan),
    "missing": lambda n, rng: np.where(rng.random(n) < 0.3, np.nan, rng.standard_normal(n)),
    "infinite": lambda n, rng: np.where(rng.random(n) < 0.05, -np.inf, rng.standard_normal(n)),
    "absurd": lambda n, rng: np.where(np.arange(n) == n // 2, 1e300, rng.standard_normal(n)),
    "absurd first": lambda n, rng: np.where(np.arange(n) == 0, -1e300, rng.standard_normal(n)),
    "greatest": lambda n, rng: np.where(rng.random(n) < 0.5, 1.7e308, -1.7e308),
    "denormal": lambda n, rng: rng.standard_normal(n) * 5e-324 * 1000,
    "tiny": lambda n, rng: 1e-12 * (1.0 + 0.1 * rng.standard_normal(n)),
    "huge and narrow": lambda n, rng: 1e12 + rng.standard_normal(n),
    "sparse": lambda n, rng: np.where(rng.random(n) < 0.01, 5.0, np.nan),
    "counter with resets": lambda n, _: np.arange(n) % 300 * 10.0,
    "rare events": lambda n, rng: rng.poisson(0.05, n).astype(float),
    "negative zero": lambda n, rng: np.where(rng.random(n) < 0.5, -0.0, 0.0),
}


def hostile(n: int, seed: int = 5) -> Any:
    rng = np.random.default_rng(seed)
    return np.stack([make(n, rng) for make in HOSTILE.values()])


def windows(values: Any, irregular: bool = True) -> list[Window]:
    """One window a minute; where times are irregular, a tenth of the points is missing and the others lie anywhere in it."""
    series, n = values.shape
    rng = np.random.default_rng(9)
    out = []
    for k in range(n):
        end = START + (k + 1) * MINUTE
        rows = np.flatnonzero(rng.random(series) < (0.9 if irregular else 2.0))
        time = end - rng.integers(1, MINUTE, len(rows)) if irregular else np.full(len(rows), end - MINUTE)
        out.append(Window(end, rows, time, values[rows, k]))
    return out


def stream(series: int = 12, n: int = 420) -> list[Window]:
    """Quiet and hostile series side by side."""
    rng = np.random.default_rng(3)
    quiet = rng.standard_normal((series, n)) + 10.0 * np.sin(np.arange(n) / 40.0) + 100.0
    quiet[1, n - 60 :] += 50.0
    return windows(np.concatenate([quiet, hostile(n)]))


def life(detector: Any, of: list[Window], parts: Any = None) -> list[bytes]:
    """What a detector says at the end of every window, as bytes."""
    said = []
    for window in of:
        for rows in parts(window) if parts else [slice(None)]:
            detector.take(window.rows[rows], window.time[rows], window.value[rows])
        said.append(np.ascontiguousarray(detector.close(window.now)).tobytes())
    return said


def size_of(of: list[Window]) -> int:
    return 1 + max(int(window.rows.max(initial=0)) for window in of)


def test_it_does_not_matter_where_batches_are_cut(make):
    of = stream()
    n = size_of(of)
    whole, cut = make(n), make(n)
    rng = np.random.default_rng(1)
    said = life(whole, of)
    assert life(cut, of, lambda w: np.array_split(np.arange(len(w.rows)), rng.integers(1, 5))) == said
    assert cut.save() == whole.save()
    assert any(np.frombuffer(one).any() for one in said)


def test_it_does_not_matter_in_which_order_series_arrive_within_a_window(make):
    of = stream()
    n = size_of(of)
    whole, shuffled = make(n), make(n)
    rng = np.random.default_rng(2)
    said = life(whole, of)
    assert life(shuffled, of, lambda w: [rng.permutation(len(w.rows))]) == said
    assert shuffled.save() == whole.save()


def test_a_restored_detector_has_the_same_future_wherever_it_was_saved(make):
    of = stream()
    n = size_of(of)
    one, other = make(n), make(n)
    said = life(one, of)
    at = 0
    for cut in [1, 2, 21, 33, 64, 200, 257, 310, 380, len(of)]:
        assert life(other, of[at:cut])[-1] == said[cut - 1]
        saved = other.save()
        other = make(0)
        other.load(saved)
        if isinstance(other, BankDetector):
            other.said = np.frombuffer(said[cut - 1]).reshape(n, -1).copy()
        at = cut
    assert other.save() == one.save()


def test_hostile_series_do_not_disturb_their_neighbours_nor_speak_nonsense(make):
    rng = np.random.default_rng(4)
    quiet = rng.standard_normal((3, 400)) + 50.0
    alone, beside = make(3), make(3 + len(HOSTILE))
    of, both = windows(quiet, irregular=False), windows(np.concatenate([quiet, hostile(400)]), irregular=False)
    for one, two in zip(of, both, strict=True):
        alone.take(*one[1:])
        beside.take(*two[1:])
        mine = np.ascontiguousarray(alone.close(one.now))
        others = np.asarray(beside.close(two.now))
        assert np.ascontiguousarray(others[:3]).tobytes() == mine.tobytes()
        assert not np.isinf(others).any()


@pytest.mark.parametrize("name", ["constant", "zeros", "nothing", "negative zero"])
def test_what_never_changes_is_never_news(make, name):
    detector = make(1)
    for window in windows(HOSTILE[name](500, np.random.default_rng(1))[None], irregular=False):
        detector.take(*window[1:])
        detector.close(window.now)
        assert not detector.loud().any()


def test_values_of_any_size_are_judged_alike(make):
    """A jump is found in nanoseconds as in bytes, however narrow its series is."""
    rng = np.random.default_rng(8)
    n, jump = 700, 650
    shape = 1.0 + 0.1 * rng.standard_normal(n)
    shape[jump:] += 3.0
    sizes = np.array([1e-12, 1.0, 1e12])
    detector = make(len(sizes))
    heard = np.zeros(len(sizes), bool)
    for k, window in enumerate(windows(sizes[:, None] * shape, irregular=False)):
        detector.take(*window[1:])
        detector.close(window.now)
        if k >= jump:
            heard |= detector.loud()
    assert heard[1]
    assert heard.all() == (make is BankDetector)  # the light tier has an absolute floor of the spread


def test_an_absurd_first_value_does_not_blind_for_good(make):
    rng = np.random.default_rng(8)
    value = 100.0 + rng.standard_normal(1500)
    value[0], value[1400:] = 1e300, 300.0
    detector, heard = make(1), False
    for k, window in enumerate(windows(value[None], irregular=False)):
        detector.take(*window[1:])
        detector.close(window.now)
        heard |= k >= 1400 and bool(detector.loud()[0])
    assert heard


def test_a_day_that_is_shifted_by_an_hour_does_not_cry_all_day(make):
    """Daylight saving: ten days of a daily pattern, then everything happens an hour earlier; and a holiday."""
    rng = np.random.default_rng(6)
    minute = np.arange(0, 13 * DAY, 5)
    day = (minute + np.where(minute >= 10 * DAY, 60, 0)) % DAY
    pattern = 100.0 + 50.0 * np.clip(np.sin(2 * np.pi * (day / DAY - 0.25)) * 3.0, -1.0, 1.0)
    pattern = np.where((minute >= 12 * DAY), 60.0, pattern)  # the holiday
    value = pattern + rng.standard_normal((5, len(minute)))
    detector = make(5)
    loud = np.zeros(len(minute))
    for k in range(len(minute)):
        now = START // (DAY * MINUTE) * DAY * MINUTE + int(minute[k] + 5) * MINUTE
        detector.take(np.arange(5), np.full(5, now - MINUTE), value[:, k])
        detector.close(now)
        loud[k] = detector.loud().sum()
    shifted, holiday = loud[minute >= 10 * DAY][: 2 * DAY // 5].sum() / 5, loud[minute >= 12 * DAY].sum() / 5
    assert shifted <= 8
    assert holiday <= 8


def test_new_series_without_end_cost_little_and_say_nothing(make):
    """As many as come in a deployment storm; a million in the benchmark."""
    detector, at = make(0), 0
    for k in range(10):
        detector.grow(2000)
        rows = np.arange(at, at + 2000)
        at += 2000
        detector.take(rows, np.full(2000, START + k * MINUTE), np.arange(2000) * 1.5)
        detector.close(START + (k + 1) * MINUTE)
        assert not detector.loud().any()
