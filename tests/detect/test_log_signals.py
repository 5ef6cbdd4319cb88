"""News, surges, mixes and numbers of log lines: what is told, what is held back, and that a restart changes nothing."""

from __future__ import annotations

import random

import numpy as np
import pytest

from aiops import state
from aiops.detect.anomalies import OPEN, STAY, Candidate
from aiops.detect.directory import Directory
from aiops.detect.gates import PLAIN
from aiops.detect.log_news import News
from aiops.detect.log_values import LEARN, RING, Values
from aiops.detect.logs import LogDetector
from aiops.detect.rates import Rates
from aiops.detect.suspicion import Suspicion
from aiops.detect.template_successors import Successors
from aiops.detect.templates import Merge, Templates
from aiops.findings import CHATTER, LOG, TERMS, Note
from aiops.ingest.shapes import shape_of
from aiops.signals import WINDOW, LogRow

INFO, WARN, ERROR = 9, 13, 17
HOUR = 360  # windows
Lines = dict[str, tuple[int, int]]  # line -> how often, severity


class Feed:
    """A detector that gets lines window by window."""

    def __init__(self, templates: Templates | None = None) -> None:
        self.directory = Directory()
        self.logs = LogDetector(self.directory)
        if templates is not None:
            self.logs.templates = templates
        self.window = 0
        self.terms = np.zeros((1, len(TERMS)))
        self.notes: dict[tuple[int, int], Note] = {}

    def __call__(self, *services: Lines, times: int = 1) -> list[Candidate]:
        found: list[Candidate] = []
        for _ in range(times):
            rows = sorted(
                LogRow("e", f"s{number}", shape_of(line.encode()), n, 0, severity, self.window, line)
                for number, lines in enumerate(services)
                for line, (n, severity) in lines.items()
            )
            self.directory.begin(self.window)
            environment = self.directory.environment("t", "e")
            self.logs.add(self.window, "t", rows, {environment: 1} if rows else {})
            self.window += WINDOW
            self.logs.advance(self.window)
            self.terms, self.notes = np.zeros((len(self.directory.services), len(TERMS))), {}
            found = self.logs.evidence(self.window, self.terms, self.notes)
        return found

    def suspect(self) -> None:
        """Make the first service suspect for other reasons."""
        strength = np.zeros(len(self.directory.services))
        strength[0] = 6.0
        self.directory.suspect(self.window, strength, np.zeros(0))

    def snapshot(self) -> bytes:
        return state.pack({"directory": self.directory.state(), "logs": self.logs.state()})

    def restored(self) -> Feed:
        read, other = state.unpack(self.snapshot()), Feed()
        other.directory.restore(read["directory"])
        other.logs.restore(read["logs"])
        other.window = self.window
        return other


USUAL: Lines = {"request 1 done": (40, INFO), "cache has 7 entries": (10, INFO)}


def of(found: list[Candidate], detector: str) -> list[Candidate]:
    return [candidate for candidate in found if candidate.detector == detector]


# ---- news ---------------------------------------------------------------------------------------------------------------
def test_an_error_that_was_never_said_is_told_when_it_comes_again():
    feed = Feed()
    assert feed(USUAL, times=HOUR) == []
    broken = {**USUAL, "payment 3 was refused": (2, ERROR)}
    (first,) = of(feed(broken), "log-news")
    assert (first.gate, first.score >= STAY) == (PLAIN, True)
    (again,) = of(feed(broken), "log-news")
    assert (again.gate, again.score >= OPEN) == ("", True)
    assert again.onset == HOUR * WINDOW
    assert (again.observed, again.expected) == (4.0, 0.0)
    assert again.logs == ("payment 3 was refused",)
    assert again.statement == (
        'new log line "payment <*> was refused": 4 lines in 120 s, the first at 1970-01-01T01:00:00.000Z, none expected; '
        "errors that it had never said come about once in 700 windows of this service"
    )


def test_a_plain_line_that_was_never_said_opens_nothing_unless_its_service_is_suspect():
    feed = Feed()
    feed(USUAL, times=HOUR)
    told = {**USUAL, "config 3 was reloaded": (50, INFO)}
    (candidate,) = of(feed(told, times=2), "log-news")
    assert (candidate.gate, candidate.score >= STAY) == (PLAIN, True)
    feed.suspect()
    (candidate,) = of(feed(told), "log-news")
    assert (candidate.gate, candidate.score >= OPEN) == ("", True)


def test_a_service_that_says_new_things_all_day_is_no_news():
    feed, draw = Feed(), random.Random(7)
    for number in range(HOUR):
        words = " ".join("".join(draw.choices("abcdefgh", k=7)) for _ in range(4))
        feed({**USUAL, words: (1, ERROR)} if number % 5 == 0 else USUAL)
    (candidate,) = of(feed({**USUAL, "never heard of that": (2, ERROR)}, times=2), "log-news")
    assert candidate.score < 3.0
    assert "errors that it had never said come about once in 6 windows of this service" in candidate.statement


def test_the_first_minutes_of_a_service_are_no_news():
    feed = Feed()
    feed(USUAL, times=HOUR)
    assert of(feed(USUAL, {"hello from me": (3, ERROR)}, times=20), "log-news") == []


def test_news_of_a_suspect_service_hardly_makes_the_next_usual():
    calm, suspect = News(), News()
    one, none = np.array([0]), np.empty(0, np.int64)
    for news, flag in ((calm, False), (suspect, True)):
        for _ in range(100):
            news.add(one, none, none, np.array([flag]))
        for _ in range(9):
            news.add(one, one, np.array([ERROR]), np.array([flag]))
    assert suspect.score(8, ERROR, 1) - calm.score(8, ERROR, 1) > 0.7


# ---- rates --------------------------------------------------------------------------------------------------------------
def test_a_surge_of_errors_is_told_with_what_was_usual():
    feed = Feed()
    usual = {**USUAL, "retry 1 of upstream": (1, WARN)}
    assert feed(usual, times=HOUR) == []
    (candidate,) = of(feed({**USUAL, "retry 1 of upstream": (60, WARN)}, times=2), "log-rates")
    assert (candidate.gate, candidate.score >= OPEN) == ("", True)
    assert candidate.statement.startswith(
        'surging log line "retry <*> of upstream": 124 lines in 60 s, expected about 6'
    )


def test_what_has_burst_before_is_no_surge_when_it_does_so_again():
    feed = Feed()
    feed({**USUAL, "purged 7 rows": (0 + 1, WARN)})
    feed(USUAL, times=HOUR)
    burst = {**USUAL, "purged 7 rows": (30, WARN)}
    assert of(feed(burst, times=2), "log-rates")
    feed(USUAL, times=HOUR)
    assert of(feed(burst, times=2), "log-rates") == []
    worse = {**USUAL, "purged 7 rows": (900, WARN)}
    assert of(feed(worse), "log-rates")


def test_a_burst_of_a_suspect_service_does_not_become_usual():
    rates = Rates(suspicion := Suspicion(), 5.0, 10.0, own=True)
    suspicion.grow(1)
    rates.add_group()
    rates.grow([0], [0])
    group, one = np.zeros(1, np.int64), np.ones(1)

    def windows(first: int, n: int, lines: int, strength: float) -> float:
        score = 0.0
        for k in range(first, first + n):
            rates.add(k * WINDOW, group, np.array([lines]), group, one, True)
            rates.advance((k + 1) * WINDOW)
            score = max([score, *(rate.score for rate in rates.evidence((k + 1) * WINDOW, 2.0))])
            suspicion.advance((k + 1) * WINDOW, np.array([strength]))
        return score

    windows(0, 60, 1, 0.0)
    assert windows(60, 12, 50, 6.0) > 4.0
    windows(72, 60, 1, 0.0)
    assert windows(132, 6, 50, 0.0) > 4.0


def test_a_warning_that_ends_opens_nothing():
    feed = Feed()
    feed({**USUAL, "disk 1 is slow": (20, WARN)}, times=HOUR)
    (candidate,) = of(feed(USUAL, times=12), "log-rates")
    assert candidate.direction == "down"
    assert (candidate.gate, candidate.score >= STAY) == (PLAIN, True)


def test_a_storm_of_plain_lines_is_evidence_of_its_service():
    feed = Feed()
    feed(USUAL, times=HOUR)
    feed({**USUAL, "debug dump 7": (400, INFO)})
    assert feed.terms[0, CHATTER] >= 3.0
    assert feed.terms[0, LOG] == 0.0
    assert feed.notes[0, CHATTER].statement.startswith(
        'new log line "debug dump <*>": 400 lines in 60 s, expected about 0.0'
    )


# ---- mix ----------------------------------------------------------------------------------------------------------------
def mixed(draw: random.Random, shares: dict[str, float], lines: int) -> Lines:
    names = list(shares)
    got = draw.choices(names, [shares[name] for name in names], k=lines)
    return {name: (got.count(name), INFO) for name in names if name in got}


def test_a_mix_of_lines_that_changes_is_told_and_opens_nothing():
    feed, draw = Feed(), random.Random(1)
    shares = {"get 1": 0.6, "put 1": 0.3, "cache miss 1": 0.05, "cache hit 1": 0.05}
    told = [of(feed(mixed(draw, shares, 30)), "log-mix") for _ in range(HOUR)]
    assert sum(map(bool, told)) <= 2
    assert [of(feed(mixed(draw, shares, 300)), "log-mix") for _ in range(12)][-1] == []  # more of all is no other mix
    changed = {"get 1": 0.3, "put 1": 0.15, "cache miss 1": 0.5, "cache hit 1": 0.05}
    (candidate,) = [of(feed(mixed(draw, changed, 30)), "log-mix") for _ in range(15)][-1]
    assert (candidate.gate, candidate.score >= STAY) == (PLAIN, True)
    assert '"cache miss <*>" is ' in candidate.statement
    assert candidate.observed is not None
    assert candidate.observed > 0.4


# ---- numbers ------------------------------------------------------------------------------------------------------------
def numbered(feed: Feed, line: str) -> list[Candidate]:
    return of(feed({**USUAL, line: (5, INFO)}), "log-values")


def test_a_number_that_leaves_its_range_is_told_and_a_counter_is_not():
    feed, draw = Feed(), random.Random(2)
    for k in range(4 * LEARN):
        assert numbered(feed, f"took {draw.randrange(20, 60)} ms, order {10**6 + k * 50}") == []
    found = [numbered(feed, f"took {draw.randrange(400, 600)} ms, order {2**40 + k}") for k in range(6)][-1]
    assert {candidate.series[-2:] for candidate in found} == {"/0", "/1"}
    first = next(candidate for candidate in found if candidate.series.endswith("/0"))
    assert (first.gate, first.score >= STAY) == (PLAIN, True)
    assert (first.lower, first.upper) == (16.0, 64.0)
    assert "outside in 6 of the last 12 windows" in first.statement


def test_numbers_that_always_grow_say_nothing():
    values, calm = Values(), np.zeros(1, bool)
    for k in range(400):
        values.add(k * WINDOW, np.zeros(1, np.int64), np.ones(1, np.int64), [f"seq {2.0 ** (k / 12):.0f}"], calm)
        assert k < 300 or values.evidence((k + 1) * WINDOW, STAY) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [("7", 7.0), ("1.5s", 1.5), ("250ms", 0.25), ("3kB", 3000.0), ("12%", 12.0), ("10.0.0.1", -1.0), ("a7", -1.0), ("7x", -1.0)],
)  # fmt: skip
def test_numbers_are_read_with_their_units(text, value):
    values = Values()
    values.add(0, np.zeros(1, np.int64), np.ones(1, np.int64), [f"is {text}"], np.zeros(1, bool))
    assert values._value[: len(values)].tolist() == ([] if value < 0 else [pytest.approx(value)])


# ---- tables -------------------------------------------------------------------------------------------------------------
def some_windows(n: int, seed: int) -> list[tuple[Lines, Lines]]:
    draw = random.Random(seed)
    words = "disk node user cart order failed started stopped slow full empty gone".split()

    def lines() -> Lines:
        texts = [f"{draw.choice(words)} {draw.choice(words)} {draw.randrange(99)} ms" for _ in range(draw.randrange(9))]
        return {text: (draw.randrange(1, 40), draw.choice((INFO, WARN, ERROR))) for text in texts}

    return [(lines(), lines()) for _ in range(n)]


def test_a_restart_at_any_window_changes_nothing():
    windows = some_windows(100, 3)
    feed, other = Feed(), Feed()
    for number, lines in enumerate(windows):
        if number % 9 == 0:
            other = other.restored()
        assert feed(*lines) == other(*lines)
        assert feed.snapshot() == other.snapshot()


def test_counts_of_templates_are_those_of_their_lines():
    feed, windows = Feed(), some_windows(6, 4)
    for lines in windows:
        feed(*lines)
    recent, _ = feed.logs.rates.counts.split(feed.window, 6 * WINDOW)
    assert recent.sum() == sum(n for window in windows for lines in window for n, _ in lines.values())
    assert len(recent) == feed.logs.sizes()["log_rates"]


def test_what_the_miner_forgot_is_asked_for_again():
    windows = some_windows(60, 5)
    feed, asking = Feed(Templates(max_per_service=20)), Feed(Templates(max_per_service=20))
    for lines in windows:
        asking.logs._asked = -1  # every window anew, as if nothing were remembered
        feed(*lines)
        asking(*lines)
        assert feed.snapshot() == asking.snapshot()
    assert feed.logs.templates.evictions > 0


def test_values_fill_their_ring_and_no_more():
    values = Values()
    for k in range(3 * RING):
        values.add(k * WINDOW, np.zeros(1, np.int64), np.ones(1, np.int64), ["is 7"], np.zeros(1, bool))
    assert values._counts[0].sum() == 2 * RING


# ---- ids ----------------------------------------------------------------------------------------------------------------
def test_an_anomaly_names_the_template_as_first_emitted_and_the_one_that_it_was_merged_into():
    feed = Feed()
    feed(USUAL, times=HOUR)
    (one,) = of(feed({**USUAL, "session of ann is broken": (3, ERROR)}), "log-news")
    assert "template_id_now" not in one.attributes
    for name in ("bob", "cid", "dan"):
        feed({**USUAL, f"session of {name} is broken": (1, ERROR)})
    (same,) = [c for c in of(feed(USUAL), "log-news") if c.series == one.series]
    assert same.attributes["template_id"] == one.attributes["template_id"]
    merged = feed.logs.templates.match("t\0e\0s0", shape_of(b"session of eve is broken"))
    assert same.attributes["template_id_now"] == feed.logs.templates.id(merged)


def test_ids_are_followed_through_a_bounded_number_of_merges():
    successors = Successors(3)
    successors.add([Merge("s", "a", "b"), Merge("s", "b", "c")])
    assert successors.now("a") == "c"
    successors.add([Merge("s", "c", "a")])  # what was merged is said again: no circle
    assert [successors.now(name) for name in "abc"] == ["a", "a", "a"]
    successors.add([Merge("s", "d", "e"), Merge("s", "e", "f")])
    assert len(successors) == 3
    assert successors.now("d") == "f"
    other = Successors()
    other.restore(successors.state())
    assert other.state() == successors.state()
