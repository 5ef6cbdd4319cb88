"""OTLP protobuf bytes -> window rows: items per second and core, against plain protobuf objects in the same run.

Everything on the way is included: decode, normalise, clocks, windows, sealing; for spans also the assembly of traces.
Event time moves on from poll to poll, so that windows really seal.  A core second is a second of ``process_time`` of
this single-threaded process, and the best pass counts: other work on the machine can only make a pass slower.

    python -m benchmarks.ingest [--seconds S] [--json FILE] [--only WORD]
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, Protocol

from aiops.ingest.stage import Ingest, Message
from aiops.signals import END_OF_TIME, WindowRows
from aiops.traces.assemble import Assemble
from aiops.wire import keep_memory
from benchmarks import payloads, plain_protobuf, results
from benchmarks.payloads import TRACES, Poll

POLL = 20_000  # items a poll
PASS = 200_000  # items a pass of ours at least: a window of logs or spans
WARM_UP = 3  # windows that must pass before as much is sealed as comes in
WIDTH = plain_protobuf.WIDTH


class Case(NamedTuple):
    """One line of the table; `id` is permanent."""

    id: str
    title: str
    signal: str
    target: int  # items per second and core
    polls: Callable[[], list[Poll]]


POINTS, RECORDS, SPANS = 2_000_000, 1_500_000, 1_000_000  # targets

CASES = (
    *(
        Case(
            f"metrics_{size}_{series // 1000}k", f"metrics, {size} a message, {series // 1000} k series", "metrics", POINTS,
            partial(payloads.metrics, series, size, POLL),
        )
        for size in (500, 100) for series in (1_000, 100_000)
    ),
    *(
        Case(f"logs_{size}", f"logs, {size} a message", "logs", RECORDS, partial(payloads.logs, size, POLL))
        for size in (500, 100)
    ),
    *(
        Case(f"spans_{size}", f"spans, {size} a message", "traces", SPANS, partial(payloads.spans, size, POLL))
        for size in (500, 100)
    ),
    Case("spans_4", "spans, 4 a message, by trace id", "traces", SPANS, partial(payloads.spans, 4, POLL, by_trace=True)),
)  # fmt: skip


class Runner(Protocol):
    def take(self, raw: list[bytes], arrival: list[int]) -> None: ...
    def end(self) -> None: ...
    def totals(self) -> dict[str, float]: ...


class Engine:
    """Ours: the stages as the engine chains them."""

    def __init__(self, signal: str) -> None:
        self.ingest = Ingest("bench/0", signal)
        self.assemble = Assemble("traces/0", ["bench/0"]) if signal == "traces" else None
        self.rows: list[WindowRows] = []
        self._offset = 0

    def take(self, raw: list[bytes], arrival: list[int]) -> None:
        offset = self._offset
        out = self.ingest.process(list(map(Message, range(offset, offset + len(raw)), arrival, raw)))
        self._offset += len(raw)
        self._pass_on(out)

    def end(self) -> None:
        self._pass_on(self.ingest.advance(END_OF_TIME))

    def _pass_on(self, out: Any) -> None:
        if self.assemble is None:
            self.rows += out.rows
            return
        if out.items is not None:
            self.assemble.process(out.items)
        self.rows += self.assemble.advance("bench/0", out.clock).rows

    def totals(self) -> dict[str, float]:
        assert self.ingest.counters.late == self.ingest.counters.repeats == self.ingest.counters.replaced_times == 0
        if self.assemble is None:
            cells = [part.cells for window in self.rows for part in window.metrics]
            logs = [row for window in self.rows for row in window.logs]
            return {
                "windows": len(self.rows),
                "cells": sum(map(len, cells)),
                "points": sum(int(c["points"].sum()) for c in cells),
                "measurements": sum(float(c["count"].sum()) for c in cells),
                "last": math.fsum(float(v) for c in cells for v in c["last"]),
                "shapes": len(logs),
                "lines": sum(row.lines for row in logs),
                "errors": sum(row.errors for row in logs),
                "exemplars": sum(row.exemplar_time % WIDTH for row in logs),
            }
        rows = [window.traces for window in self.rows if window.traces is not None]
        return {
            "windows": len(rows),
            **{what: sum(int(getattr(r, column)[:, i].sum()) for r in rows) for what, column, i in (
                ("visits", "op_counts", 0), ("failed visits", "op_counts", 1), ("calls of edges", "edge_counts", 0),
                ("failed calls", "edge_counts", 1), ("calls", "call_counts", 0), ("missing", "call_counts", 1))},
            **{what: sum(int(getattr(r, column).sum()) for r in rows) for what, column in (
                ("durations", "duration_counts"), ("own times", "own_counts"), ("gaps", "gap_counts"))},
            "edges": sum(len(r.edge) for r in rows),
            "distinct visits": sum(len(r.visit) for r in rows),
        }  # fmt: skip


class Peer:
    """Plain protobuf objects."""

    def __init__(self, signal: str) -> None:
        kinds: dict[str, type[plain_protobuf.Metrics | plain_protobuf.Logs | plain_protobuf.Spans]] = {
            "metrics": plain_protobuf.Metrics, "logs": plain_protobuf.Logs, "traces": plain_protobuf.Spans,
        }  # fmt: skip
        self.signal, self.work = signal, kinds[signal]()

    def take(self, raw: list[bytes], arrival: list[int]) -> None:
        for payload, time_ in zip(raw, arrival, strict=True):
            self.work.process(payload, time_)

    def end(self) -> None:
        self.work.end()

    def totals(self) -> dict[str, float]:
        sealed = self.work.sealed
        cells = [cell for _, table in sealed for cell in table.values()]
        if self.signal == "metrics":
            return {
                "windows": len(sealed), "cells": len(cells), "points": sum(c[0] for c in cells),
                "measurements": sum(c[8] for c in cells), "last": math.fsum(c[7] for c in cells),
            }  # fmt: skip
        if self.signal == "logs":
            return {
                "windows": len(sealed), "shapes": len(cells), "lines": sum(c[0] for c in cells),
                "errors": sum(c[1] for c in cells), "exemplars": sum(c[3] % WIDTH for c in cells),
            }  # fmt: skip

        def sum_of(what: str) -> int:
            return sum(n for _, table in sealed for key, n in table.items() if key[0] == what)

        names = {
            "op": "visits", "op errors": "failed visits", "edge": "calls of edges", "edge errors": "failed calls",
            "call": "calls", "missing": "missing", "duration": "durations", "own": "own times", "gap": "gaps",
        }  # fmt: skip
        return {
            "windows": len(sealed),
            **{ours: sum_of(what) for what, ours in names.items()},
            "edges": sum(key[0] == "edge" for _, table in sealed for key in table),
            "distinct visits": sum(key[0] == "visit" for _, table in sealed for key in table),
        }


def moving(polls: list[Poll], apart: int = 0) -> Iterator[tuple[list[bytes], list[int], int]]:
    """The polls again and again, later and later: messages, arrivals, items.  `apart`: event time of a poll at least."""
    now, number = 0, 0
    while True:
        for poll in polls:
            yield *poll.later(now, number * TRACES), poll.items
            number += 1
            if len(polls) == 1:
                now += max(apart, poll.span)
        if len(polls) > 1:
            now += polls[0].span


def agree(signal: str, polls: list[Poll]) -> None:
    """Both give the same counts, or there is nothing to compare."""
    runners: list[Runner] = [Engine(signal), Peer(signal)]
    for runner in runners:
        stream = moving(polls, WIDTH)
        for _ in range(max(2, len(polls))):
            raw, arrival, _ = next(stream)
            runner.take(raw, arrival)
        runner.end()
    ours, theirs = (runner.totals() for runner in runners)
    for what, value in theirs.items():
        if not math.isclose(ours[what], value, rel_tol=1e-12):
            raise SystemExit(f"{what}: the engine says {ours[what]}, plain protobuf objects say {value}")


def rate(runner: Engine | Peer, polls: list[Poll], seconds: float, items_a_pass: int, apart: int = 0) -> float:
    """Items per CPU second of the best pass; what makes the messages is not timed."""
    stream = moving(polls, apart)
    warm_up = WARM_UP * WIDTH
    best, spent, passes = 0.0, 0.0, 0
    gc.collect()
    gc.disable()
    first = -1
    while passes < 3 or spent < seconds:
        items, took = 0, 0.0
        while items < items_a_pass:
            raw, arrival, n = next(stream)
            begin = time.process_time()
            runner.take(raw, arrival)
            took += time.process_time() - begin
            items += n
        if isinstance(runner, Engine):
            runner.rows.clear()
        else:
            runner.work.sealed.clear()
        first = arrival[0] if first < 0 else first
        if arrival[-1] - first > warm_up:
            best, spent, passes = max(best, items / took), spent + took, passes + 1
    gc.enable()
    return best


def main() -> None:
    arguments = results.options(__doc__, [case.id for case in CASES], 3.0, "of ours a case")
    keep_memory()
    found: dict[str, Any] = {}
    results.introduce(
        "Items are points, log records or spans; a core second is a CPU second of one single-threaded process."
    )
    print(
        f"{'items per second and core (thousands)':40s}{'engine':>10s}{'plain protobuf':>16s}{'ratio':>8s}{'target':>9s}"
    )
    for case in CASES:
        if case.id not in arguments.cases:
            continue
        polls = case.polls()
        agree(case.signal, polls)
        size = polls[0].items
        ours = rate(Engine(case.signal), polls, arguments.seconds, max(PASS // size, len(polls)) * size)
        theirs = rate(Peer(case.signal), polls, 0.0, size, WIDTH)
        found[f"ingest.{case.id}"] = {
            "items_per_core_second": round(ours), "plain_protobuf": round(theirs), "ratio": round(ours / theirs, 2),
            "target": case.target,
        }  # fmt: skip
        print(
            f"{case.title:40s}{ours / 1e3:10.0f}{theirs / 1e3:16.1f}{ours / theirs:8.1f}{case.target / 1e3:9.0f}",
            flush=True,
        )
    results.write(arguments.json, found)


if __name__ == "__main__":
    main()
