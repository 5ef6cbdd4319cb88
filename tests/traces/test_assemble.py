"""Items of several sources -> complete traces: polls, interleavings and restarts change nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from aiops.columns import CLIENT, SERVER
from aiops.signals import SECOND, WINDOW, due
from aiops.traces import assemble as assemble_module
from aiops.traces.assemble import HORIZON, Assemble
from aiops.traces.items import LogColumns, SpanColumns, TraceItems
from tests.traces.reference import ENVIRONMENT, MS, Expected, Record, Span, by_names, stem

START = 1_700_000_000 * SECOND
SOURCES = ["logs/0", "spans/0", "spans/1"]


class Shapes(SimpleNamespace):
    def __len__(self):
        return len(self.texts)


class Sender:
    """An ingest instance: tables of its own, and offsets that rise."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.services: list[tuple[str, str]] = []
        self.names: Any = SimpleNamespace(raw=[])
        self.peers: Any = SimpleNamespace(raw=[])
        self.shapes: Any = Shapes(texts=[], stems=[])

    def items(self, things: list[Any], offsets: list[int]) -> TraceItems:
        out = TraceItems(self.source, "default", self.services)
        high = np.full((len(things), 1), 7, np.uint64)
        trace = np.concatenate([high, np.array([[t.trace] for t in things], np.uint64)], 1)
        span = np.array([t.span for t in things], np.uint64)
        service = np.array([_code(self.services, (ENVIRONMENT, t.service)) for t in things], np.int32)
        error, offset = np.array([t.error for t in things], bool), np.array(offsets)
        if isinstance(things[0], Span):
            name = np.array([_code(self.names.raw, t.name.encode()) for t in things], np.int32)
            kind, parent = np.array([t.kind for t in things], np.int32), np.array([t.parent for t in things], np.uint64)
            peer = np.array([_code(self.peers.raw, t.peer.encode()) if t.peer else -1 for t in things], np.int32)
            start, end = np.array([t.start for t in things]), np.array([t.end for t in things])
            out.spans = SpanColumns(
                self.names, self.peers, offset, trace, span, parent, service, name, peer, kind, error, start, end
            )
        else:
            shape = np.array([_code(self.shapes.texts, t.shape.encode()) for t in things], np.int32)
            self.shapes.stems = [stem(text.decode()).encode() for text in self.shapes.texts]
            time = np.array([t.time for t in things])
            out.logs = LogColumns(self.shapes, offset, trace, span, service, shape, error, time)
        return out


def _code(table: list[Any], value: Any) -> int:
    if value not in table:
        table.append(value)
    return table.index(value)


def when(thing: Any) -> int:
    return int(thing.end if isinstance(thing, Span) else thing.time)


def streams(rng: np.random.Generator, traces: int = 40) -> dict[str, list[Any]]:
    """Three minutes, each source in its order of arrival, up to 9 s late; some traces are long, or have gaps."""
    things: dict[str, list[tuple[int, Any]]] = {source: [] for source in SOURCES}

    def send(source: str, thing: Any) -> None:
        things[source].append((when(thing) + int(rng.integers(9 * SECOND)), thing))

    for trace in range(1, traces + 1):
        begin = START + int(rng.integers(180_000)) * MS
        length = int(rng.choice([100, 15_000, 100_000]))
        for span in range(1, int(rng.integers(2, 9))):
            start = begin + int(rng.integers(length)) * MS
            end = start + int(rng.integers(length // 4 + 1)) * MS
            thing = Span(
                trace, span, 0 if span == 1 else int(rng.integers(1, span)), start, end,
                f"s{rng.integers(3)}", f"n{rng.integers(3)}", int(rng.choice([1, SERVER, CLIENT])),
                bool(rng.random() < 0.2), str(rng.choice(["", "redis", "s1"])),
            )  # fmt: skip
            if thing.peer == thing.service or thing.kind != CLIENT:
                thing = thing._replace(peer="")
            send(f"spans/{rng.integers(2)}", thing)
            if rng.random() < 0.5:
                send("logs/0", Record(trace, span, thing.start, thing.service, f"a line{rng.integers(2)}"))
    return {source: [t for _, t in sorted(of, key=lambda pair: pair[0])] for source, of in things.items()}


def run(of: dict[str, list[Any]], rng: np.random.Generator, most: int, restart: bool = False) -> dict[int, Any]:
    """Feed the sources in a random interleaving, in polls of up to `most` items; rows by window, by names."""
    assemble, senders = Assemble("aiops.traces/0", SOURCES), {source: Sender(source) for source in SOURCES}
    at, clock = dict.fromkeys(SOURCES, 0), dict.fromkeys(SOURCES, 0)
    out: dict[int, Any] = {}
    end = max(when(t) for things in of.values() for t in things) + HORIZON + 10 * WINDOW

    def take(found: Any) -> None:
        for rows in found.rows:
            assert rows.window not in out, "a window is sent once"
            out[rows.window] = by_names(rows.traces)

    while pending := [source for source in SOURCES if at[source] < len(of[source])]:
        source = pending[int(rng.integers(len(pending)))]
        low = at[source]
        high = at[source] = min(len(of[source]), low + int(rng.integers(1, most + 1)))
        assemble.process(senders[source].items(of[source][low:high], list(range(low, high))))
        clock[source] = max(clock[source], *(when(t) for t in of[source][low:high]))
        take(assemble.advance(source, clock[source]))
        if restart:
            snapshot, assemble = assemble.snapshot(), Assemble("aiops.traces/0", SOURCES)
            assemble.restore(snapshot)
            assert assemble.snapshot() == snapshot
    for source in SOURCES:
        take(assemble.advance(source, end))
    assert assemble.open_items == 0
    return out


def expected(of: dict[str, list[Any]]) -> dict[int, Any]:
    """The rule of completeness, trace by trace: window -> rows."""
    done: dict[int, list[Any]] = {}
    traces: dict[int, list[Any]] = {}
    for thing in (t for things in of.values() for t in things):
        traces.setdefault(thing.trace, []).append(thing)
    for things in traces.values():
        open_: list[Any] = []
        window = min(when(t) for t in things) // WINDOW * WINDOW
        while open_ or any(when(t) >= window for t in things):
            open_ += [t for t in things if window <= when(t) < window + WINDOW]
            if open_ and (max(map(when, open_)) < window or min(map(when, open_)) < window + WINDOW - HORIZON):
                done.setdefault(window - WINDOW, []).extend(open_)
                open_ = []
            window += WINDOW
    return {
        window: Expected(spans, [t for t in things if isinstance(t, Record)]).rows()
        for window, things in sorted(done.items())
        if (spans := [t for t in things if isinstance(t, Span)])
    }


@pytest.mark.parametrize("round_", range(3))
def test_traces_are_joined_as_the_rule_says_whatever_the_polls_and_interleavings(round_, seed):
    of = streams(np.random.default_rng([seed, round_]))
    truth = expected(of)
    assert len(truth) > 10
    for most in (1, 7, 1000):
        assert run(of, np.random.default_rng([seed, round_, most]), most) == truth


def test_a_restart_after_every_poll_changes_nothing(rng):
    of = streams(rng)
    assert run(of, rng, 5, restart=True) == expected(of)


def one_source(*spans: Span, upto: int) -> dict[int, Any]:
    sender, assemble = Sender("spans/0"), Assemble("t", ["spans/0"])
    for offset, span in enumerate(spans):
        assemble.process(sender.items([span], [offset]))
    return {rows.window: by_names(rows.traces) for rows in assemble.advance("spans/0", upto).rows}


def span(k: int, end: int, parent: int = 0, service: str = "a") -> Span:
    return Span(1, k, parent, end - SECOND, end, service, "x", SERVER)


def test_a_trace_that_goes_on_in_the_next_window_is_joined_once():
    window = START - START % WINDOW
    found = one_source(
        span(2, window + 9 * SECOND, 1, "b"), span(1, window + 12 * SECOND), upto=due(window + 9 * WINDOW)
    )
    assert list(found) == [window + WINDOW]
    assert found[window + WINDOW]["edge"] == {("a", "b"): (1, 0)}


def test_a_trace_is_complete_when_a_whole_window_has_passed_without_it():
    window = START - START % WINDOW
    assert one_source(span(1, window), upto=due(window + WINDOW) - 1) == {}
    assert list(one_source(span(1, window), upto=due(window + WINDOW))) == [window]


def test_a_trace_that_never_ends_is_cut_at_the_horizon():
    window = START - START % WINDOW
    spans = [span(k, window + k * 5 * SECOND, k - 1) for k in range(1, 40)]
    sender, assemble = Sender("spans/0"), Assemble("t", ["spans/0"])
    assemble.process(sender.items(spans, list(range(len(spans)))))
    found = assemble.advance("spans/0", due(window + 100 * WINDOW))
    assert assemble.counters.cut_traces > 1
    visits = [sum(n for n in by_names(rows.traces)["visit"].values()) for rows in found.rows if rows.traces]
    assert sum(visits) == len(spans), "what is cut is not lost"
    assert max(visits) <= HORIZON // (5 * SECOND) + 2


def test_nothing_moves_before_every_source_has_spoken():
    assemble, sender = Assemble("t", ["spans/0", "spans/1"]), Sender("spans/0")
    assemble.process(sender.items([span(1, START)], [0]))
    assert assemble.advance("spans/0", START + 1000 * SECOND).rows == []
    assert len(assemble.advance("spans/1", START + 1000 * SECOND).rows) == 1


def test_its_clock_stands_one_window_behind_its_sources():
    assemble = Assemble("t", ["spans/0", "spans/1"])
    assemble.advance("spans/0", 500 * SECOND)
    assert assemble.advance("spans/1", 300 * SECOND).clock == 300 * SECOND - WINDOW


def test_rows_of_a_window_never_come_after_the_clock_has_passed_it(rng):
    of = streams(rng)["spans/0"]
    sender, assemble, passed = Sender("spans/0"), Assemble("t", ["spans/0"]), -1
    clock = 0
    for offset, thing in enumerate(of):
        assemble.process(sender.items([thing], [offset]))
        clock = max(clock, when(thing))
        out = assemble.advance("spans/0", clock)
        assert all(due(rows.window) > passed for rows in out.rows)
        passed = out.clock


def test_what_an_ingest_that_restarted_sends_again_is_ignored():
    assemble, window = Assemble("t", ["spans/0"]), START - START % WINDOW
    spans = [span(k, window, k - 1) for k in range(1, 9)]
    assemble.process(Sender("spans/0").items(spans[:5], [3, 3, 4, 5, 5]))
    assemble.process(Sender("spans/0").items(spans[2:], [4, 5, 5, 6, 7, 7]))
    (rows,) = assemble.advance("spans/0", due(window + 9 * WINDOW)).rows
    assert by_names(rows.traces)["op"] == {("a", "x"): (8, 0)}
    assert assemble.counters.spans == 8


def test_lines_without_any_span_of_their_trace_make_no_rows():
    assemble = Assemble("t", ["logs/0"])
    assemble.process(Sender("logs/0").items([Record(1, 1, START, "a", "x y")], [0]))
    assert assemble.advance("logs/0", START + 1000 * SECOND).rows == []
    assert assemble.open_items == 0


@pytest.mark.parametrize("most", [1, 30])
def test_names_that_are_dropped_at_every_window_change_nothing(rng, monkeypatch, most):
    monkeypatch.setattr(assemble_module, "FORGET_EVERY", WINDOW)
    of = streams(rng)
    assert run(of, rng, most, restart=most > 1) == expected(of)


def test_names_hold_no_more_memory_than_an_hour_of_them():
    """A message brings its own tables, as on a topic; every one has names that never come again."""
    assemble, sizes = Assemble("aiops.traces/0", ["spans/0"]), []
    for k in range(3 * 360):
        at = START + k * WINDOW
        sender = Sender("spans/0")
        spans = [Span(k + 1, n, 0, at, at + MS, f"service-{k}-{n}", f"name {k} of {n}", SERVER) for n in (1, 2, 3)]
        assemble.process(sender.items(spans, [k] * len(spans)))
        assemble.advance("spans/0", at + MS)
        gauges = assemble.gauges()
        sizes.append(gauges["assemble_services"] + gauges["assemble_operations"])
    assert max(sizes) < 6 * 370
    assert assemble.counters.forgotten_names > 4000


def test_many_names_are_dropped_sooner_than_in_an_hour(monkeypatch):
    monkeypatch.setattr(assemble_module, "MANY", 100)
    assemble, sizes = Assemble("aiops.traces/0", ["spans/0"]), []
    for k in range(300):
        at = START + k * WINDOW
        sender = Sender("spans/0")
        spans = [Span(k + 1, n, 0, at, at + MS, "service", f"name {k} of {n}", SERVER) for n in (1, 2, 3)]
        assemble.process(sender.items(spans, [k] * len(spans)))
        assemble.advance("spans/0", at + MS)
        sizes.append(len(assemble.tables))
    assert max(sizes) < 100 + 3 * 30 + 10
