"""Arrival times of recorded lines: what a host with a wrong clock must not set."""

from __future__ import annotations

import itertools

import pytest

from aiops.arrival import AHEAD, SLACK, with_arrival

SECOND = 10**9
START = 1_700_000_000 * SECOND
YEAR = 365 * 86_400 * SECOND


def arrivals(rows):
    """Arrival of each row, which is the times of its resources."""
    lines = [str(i).encode() for i in range(len(rows))]
    timed = list(with_arrival(lines, lambda line: rows[int(line)]))
    assert [t.line for t in timed] == lines
    assert all(a.arrival <= b.arrival for a, b in itertools.pairwise(timed))
    return [t.arrival for t in timed]


def at(second):
    return START + second * SECOND


def hosts(offsets, n=400, step=1):
    """Hosts that take turns, each with a line every `len(offsets)` steps, and its own error of the clock (seconds)."""
    names = sorted(offsets)
    return [
        {name: at(i * step) + int(offsets[name] * SECOND)}
        for i, name in zip(range(n), itertools.cycle(names), strict=False)
    ]


RIGHT = {f"host{i}": 0.0 for i in range(5)}


def test_right_clocks_are_believed():
    assert arrivals(hosts(RIGHT)) == [at(i) for i in range(400)]


@pytest.mark.parametrize("ahead", [3600.0, 2 * 3600.0, 6 * 365 * 86_400.0], ids=["an hour", "two hours", "six years"])
def test_a_host_whose_clock_is_ahead_moves_no_arrival(ahead):
    got = arrivals(hosts({**RIGHT, "wrong": ahead}))
    assert max(abs(arrival - at(i)) for i, arrival in enumerate(got[:-AHEAD])) <= 2 * SECOND


@pytest.mark.parametrize("behind", [60.0, 2 * 3600.0, 6 * 365 * 86_400.0], ids=["a minute", "two hours", "six years"])
def test_a_host_whose_clock_is_behind_moves_no_arrival(behind):
    got = arrivals(hosts({**RIGHT, "wrong": -behind}))
    assert max(abs(arrival - at(i)) for i, arrival in enumerate(got[1:], 1)) <= 2 * SECOND


def test_a_clock_within_the_slack_is_believed():
    got = arrivals(hosts({**RIGHT, "hasty": SLACK / SECOND / 2}))
    assert max(got) <= at(400) + SLACK / 2
    assert got[0] == at(0) + SLACK // 2  # it has the first turn


def test_a_file_of_one_resource_has_nothing_to_compare_with_and_is_believed():
    rows = [{"only": at(i)} for i in range(100)]
    assert arrivals(rows) == [at(i) for i in range(100)]


def test_a_resource_is_not_contradicted_by_its_own_later_times():
    rows = [{"only": at(i)} for i in range(50)] + [{"only": at(10)}] + [{"only": at(i)} for i in range(51, 60)]
    assert arrivals(rows)[50] == at(49)


def test_a_first_line_from_the_future_does_not_set_the_arrival_of_all():
    got = arrivals([{"wrong": START + YEAR}, *hosts(RIGHT)])
    assert got[0] == at(0)  # the first plausible one
    assert got[1:] == [at(i) for i in range(400)]


def test_a_first_line_from_the_past_takes_its_own_time():
    got = arrivals([{"wrong": START - YEAR}, *hosts(RIGHT)])
    assert got[1:] == [at(i) for i in range(400)]


def test_a_last_line_from_the_future_with_others_beside_it_is_not_believed():
    rows = hosts(RIGHT)
    rows[-1] = {"wrong": START + YEAR, "host0": at(399), "host1": at(399)}
    assert arrivals(rows)[-1] == at(399)


@pytest.mark.parametrize("ahead", [3600, 6 * 365 * 86_400])
def test_a_host_known_to_be_ahead_is_not_believed_on_the_last_line_either(ahead):
    rows = [*hosts({**RIGHT, "wrong": float(ahead)}), *[{"wrong": at(400 + ahead)}] * 3]
    assert max(arrivals(rows)) <= at(400)


def test_two_resources_on_a_host_that_is_ahead_do_not_vouch_for_each_other():
    wrong = {"wrong1": 3600.0, "wrong2": 3600.0}
    rows = [*hosts({**RIGHT, **wrong}), {"wrong1": at(4000)}, {"wrong2": at(4000)}, {"wrong1": at(4001)}]
    assert max(arrivals(rows)) <= at(400)


def test_when_most_clocks_were_behind_and_are_set_right_they_are_believed():
    rows = [
        *hosts({**dict.fromkeys(RIGHT, -1e6), "right": 0.0}),
        *[{name: at(400 + i) for name in RIGHT} for i in range(100)],
    ]
    got = arrivals(rows)
    assert got[300] < at(0)
    assert got[-1] == at(499)


def test_a_clock_that_was_set_right_is_believed_again():
    rows = [*hosts({**RIGHT, "wrong": 3600.0}), *hosts({**RIGHT, "wrong": 0.0}), {"wrong": at(500)}]
    assert arrivals(rows)[-1] == at(500)


def test_after_a_gap_the_one_that_speaks_last_is_believed():
    assert arrivals([*hosts(RIGHT), {"host0": at(9000)}])[-1] == at(9000)


def test_one_line_with_a_right_and_a_wrong_resource_takes_the_right_one():
    rows = [{f"host{i}": at(second) for i in range(4)} | {"wrong": at(second) + YEAR} for second in range(200)]
    assert arrivals(rows) == [at(second) for second in range(200)]


def test_times_zero_and_unreadable_lines_arrive_with_what_came_before():
    assert arrivals([{"a": at(1)}, {"a": 0}, {}, {"a": at(2)}]) == [at(1), at(1), at(1), at(2)]


def test_lines_before_any_time_arrive_with_the_first_time():
    assert arrivals([{}, {"a": 0}, {"a": at(5)}]) == [at(5)] * 3


def test_a_file_without_any_time_arrives_at_zero():
    assert arrivals([{}, {"a": 0}]) == [0, 0]


def test_an_empty_file_has_no_arrivals():
    assert arrivals([]) == []


def test_no_more_is_read_ahead_than_promised():
    taken = []

    def lines():
        for i in range(1000):
            taken.append(i)
            yield str(i).encode()

    timed = with_arrival(lines(), lambda line: {"a": at(int(line))})
    next(timed)
    assert len(taken) <= AHEAD + 1


@pytest.mark.parametrize("jumps", range(5))
def test_arrivals_never_fall_whatever_the_clocks_do(rng, jumps):
    names = [f"host{i}" for i in range(jumps + 1)]
    rows = [
        {str(name): at(int(rng.integers(-10_000, 10_000))) for name in rng.choice(names, size=int(rng.integers(0, 3)))}
        for _ in range(500)
    ]
    assert len(arrivals(rows)) == 500
