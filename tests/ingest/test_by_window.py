"""Rows of each window, and repeated messages, against plain Python."""

from __future__ import annotations

import random

import numpy as np
import pytest

from aiops.ingest.by_window import rows_by_window
from aiops.ingest.normalise import Times
from aiops.ingest.repeats import SeenMessages
from aiops.signals import WINDOW, due


@pytest.mark.parametrize("windows", [1, 3, 50_000_000])
def test_every_item_on_time_is_in_its_window_in_order_and_the_others_are_counted(windows, seed):
    rnd = random.Random(seed)
    for _ in range(50):
        n, messages = rnd.randrange(40), rnd.randrange(1, 5)
        time = np.array([rnd.randrange(100 * WINDOW, (100 + windows) * WINDOW) for _ in range(n)], np.int64)
        message = np.array([rnd.randrange(messages) for _ in range(n)], np.int32)
        before = np.array([rnd.randrange(95 * WINDOW, 104 * WINDOW) for _ in range(messages)], np.int64)
        fresh, usable = (np.array([rnd.random() < 0.8 for _ in range(n)], np.bool_) for _ in range(2))
        expected: dict[int, list[int]] = {}
        late = 0
        for row in range(n):
            window = int(time[row] - time[row] % WINDOW)
            if fresh[row] and due(window) <= before[message[row]]:
                late += 1
            elif fresh[row] and usable[row]:
                expected.setdefault(window, []).append(row)
        got, late_items = rows_by_window(time, before, message, fresh, usable)
        assert [(window, rows.tolist()) for window, rows in got] == sorted(expected.items())
        assert late_items == late


def test_a_message_is_a_repeat_while_a_window_with_an_item_of_it_is_open(seed):
    rnd = random.Random(seed)
    known: dict[int, int] = {}
    seen, clock = SeenMessages(), 0
    for _ in range(200):
        n = rnd.randrange(30)
        digests = np.array([rnd.randrange(60) for _ in range(n)], np.uint64)
        now = [clock + rnd.randrange(-2 * WINDOW, WINDOW) for _ in range(n)]
        newest = np.array([max(t, -1) for t in now], np.int64)
        replaced = np.array([rnd.random() < 0.1 for _ in range(n)], np.int64)
        before, repeat, after = seen.admit(digests, Times(newest, newest, newest, replaced), clock)
        for i, digest in enumerate(np.maximum(digests, 1).tolist()):  # 0 stands for an empty slot: it shares with 1
            assert before[i] == clock
            mine = bool(newest[i] >= 0 and not replaced[i] and digest in known and due(known[digest]) > clock)
            assert repeat[i] == mine
            if not mine:
                if newest[i] >= 0 and not replaced[i]:
                    known[digest] = int(newest[i] - newest[i] % WINDOW)
                clock = max(clock, int(newest[i]))
        assert after == clock
        if rnd.random() < 0.3:
            seen.forget(clock)
            assert seen.size == sum(due(window) > clock for window in known.values())
