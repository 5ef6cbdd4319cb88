"""Which waiting traces are complete, against plain Python."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np

from aiops.traces.complete import chosen, split_traces
from aiops.traces.join import RECORD, SPAN


def test_a_trace_waits_while_it_is_young_and_something_of_it_ended_in_the_window(seed):
    rnd = random.Random(seed)
    for _ in range(60):
        spans, records = ([table(rnd, kind) for _ in range(rnd.randrange(1, 4))] for kind in (SPAN, RECORD))
        window, oldest = 60, 20
        times: dict[tuple[int, int], list[int]] = {}
        for chunks, field in ((spans, "end"), (records, "time")):
            for chunk in chunks:
                for row in chunk:
                    times.setdefault((int(row["trace_high"]), int(row["trace_low"])), []).append(int(row[field]))
        old = {t for t, all_ in times.items() if min(all_) < oldest}
        done = old | {t for t, all_ in times.items() if max(all_) < window}
        split = split_traces(spans, records, window, oldest)
        assert split.traces == len(done)
        assert split.cut == sum(max(times[t]) >= window for t in old)
        for got, waiting, chunks in (
            (split.spans, split.open_spans, spans),
            (split.records, split.open_records, records),
        ):
            rows = np.concatenate(chunks).tolist()
            assert sorted(got.tolist()) == sorted(row for row in rows if row[:2] in done)
            assert waiting.tolist() == [row for row in rows if row[:2] not in done]
        runs = [row[:2] for row in split.spans.tolist()]
        assert sum(a != b for a, b in pairwise(runs)) + 1 <= max(1, len(set(runs)))


def test_chosen_rows_are_those_that_numpy_would_choose():
    rows = table(random.Random(1), SPAN, 30)
    which = np.array([3, 3, 0, 29], np.int32)
    assert chosen(rows, which).tolist() == rows[which].tolist()


def table(rnd, kind, n=None):
    rows = np.zeros(rnd.randrange(12) if n is None else n, kind)
    for row in rows:
        row["trace_high"], row["trace_low"] = rnd.randrange(3), rnd.randrange(4)
        row["span"] = rnd.randrange(1 << 60)
        row["end" if kind is SPAN else "time"] = rnd.randrange(10, 90)
    return rows
