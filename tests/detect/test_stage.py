"""The whole of detect on the telemetry of a small shop: what it finds; no interleaving or restart changes it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aiops.detect.stage import Detect
from aiops.findings import EDGE_TERMS, TERMS, Findings
from aiops.ingest.stage import Ingest
from aiops.records import encode, rfc3339
from aiops.signals import WINDOW
from aiops.traces.assemble import Assemble
from tests.detect.telemetry import SOURCES, T, shop

WINDOWS, FAULT, UNTIL = 150, 110, 135
TRACES = "aiops.traces/0"
LOUD, NOISE = 4.0, 3.0


@pytest.fixture(scope="module")
def telemetry():
    return shop(WINDOWS, FAULT, UNTIL, np.random.default_rng(20240229))


def content(found: Findings) -> Any:
    arrays = (found.terms, found.visits, found.failed, found.edge_terms, found.calls)
    return (
        found.tenant, found.environment, found.time, found.services, found.edges, found.notes, found.totals,
        [encode(a) for a in found.anomalies], [(a.shape, a.tobytes()) for a in arrays],
    )  # fmt: skip


class Engine:
    """Ingest, assemble and detect in a row; messages are taken in any interleaving of the sources."""

    def __init__(self) -> None:
        self.ingest = {s: Ingest(s, signal) for s, signal in SOURCES.items()}
        self.traced = [s for s, signal in SOURCES.items() if signal != "metrics"]
        self.assemble = Assemble(TRACES, self.traced)
        self.detect = Detect([*SOURCES, TRACES])
        self.found: list[Findings] = []

    def hand_on(self, source: str, out: Any) -> None:
        for rows in out.rows:
            self.detect.process(rows)
        if source in self.traced:
            if out.items is not None:
                self.assemble.process(out.items)
            assembled = self.assemble.advance(source, out.clock)
            for rows in assembled.rows:
                self.detect.process(rows)
            self.found += self.detect.advance(TRACES, assembled.clock)
        self.found += self.detect.advance(source, out.clock)

    def end(self) -> list[Findings]:
        for source, ingest in self.ingest.items():
            self.hand_on(source, ingest.advance(T + (WINDOWS + 10) * WINDOW))
        return self.found


def run(messages: dict[str, Any], rng: np.random.Generator | None = None, most: int = 1, restart: bool = False):
    engine = Engine()
    at = dict.fromkeys(SOURCES, 0)
    while pending := [s for s in SOURCES if at[s] < len(messages[s])]:
        source = pending[int(rng.integers(len(pending)))] if rng else min(pending, key=lambda s: at[s])
        n = int(rng.integers(1, most + 1)) if rng else most
        engine.hand_on(source, engine.ingest[source].process(messages[source][at[source] : at[source] + n]))
        at[source] += n
        if restart:
            snapshot, waiting = engine.detect.snapshot(), engine.detect._waiting
            engine.detect = Detect()
            engine.detect.restore(snapshot)
            assert engine.detect.snapshot() == snapshot
            for rows in [rows for _, of in sorted(waiting.items()) for rows in of.values()]:  # as read again
                engine.detect.process(rows)
    return engine.end()


@pytest.fixture(scope="module")
def found(telemetry):
    return run(telemetry)


def test_every_window_is_told_once_and_in_order(found):
    assert [f.time for f in found] == [T + (k + 1) * WINDOW for k in range(len(found))]
    assert len(found) >= WINDOWS


def test_no_interleaving_of_the_sources_and_no_poll_size_changes_a_byte(telemetry, found, rng):
    expected = [content(f) for f in found]
    for most in (1, 9, 200):
        assert [content(f) for f in run(telemetry, rng, most)] == expected


def test_a_restart_after_every_message_changes_no_byte(telemetry, found):
    assert [content(f) for f in run(telemetry, restart=True)] == [content(f) for f in found]


def worst(found: list[Findings], low: int, high: int) -> dict[tuple[str, str], float]:
    """(service, term) -> greatest evidence in windows [low, high)."""
    out: dict[tuple[str, str], float] = {}
    for f in found[low:high]:
        for s, row in zip(f.services, f.terms, strict=True):
            for term, value in zip(TERMS, row.tolist(), strict=True):
                out[s, term] = max(out.get((s, term), 0.0), value)
    return out


def test_a_healthy_shop_makes_nobody_suspect(found):
    quiet = worst(found, 0, FAULT)
    assert max(value for (_, term), value in quiet.items() if term != "metric") < NOISE


def test_the_fault_is_seen_in_every_signal_of_its_service(found):
    loud = worst(found, FAULT, UNTIL + 2)
    for term in ("resource", "own", "loss", "lost", "novel", "errors", "metric", "heartbeat"):
        assert loud["cart", term] >= LOUD, term
    for term in ("resource", "own", "heartbeat"):
        assert loud["db", term] < NOISE, term
        assert loud["web", term] < NOISE, term
    assert loud["db", "loss"] < NOISE, "it was not asked"


def test_evidence_is_put_into_words(found):
    notes = {key: note.statement for f in found[FAULT:UNTIL] for key, note in f.notes.items()}
    assert "cpu.usage of cart-" in notes["cart", "resource"]
    assert "own time of Get" in notes["cart", "own"]
    assert "of usually 3 instances of cart report: silent are cart-2" in notes["cart", "heartbeat"]
    assert "requests to Get failed" in notes["cart", "errors"]
    assert "db" in notes["cart", "loss"] or "loaded cart" in notes["cart", "loss"]


def test_anomalies_open_and_close_with_the_fault(found):
    said = [a for f in found for a in f.anomalies]
    opened = [a for a in said if a.state == "open" and a.service == "cart"]
    assert {"metric", "latency", "error", "heartbeat"} <= {a.kind for a in opened}
    assert all(a.window.start >= rfc3339(T + FAULT * WINDOW) for a in opened)
    versions: dict[str, list[int]] = {}
    for a in said:
        versions.setdefault(a.anomaly_id, []).append(a.version)
    assert all(v == list(range(1, len(v) + 1)) for v in versions.values())


def test_edges_and_totals_are_told_for_every_window(found):
    middle = found[50]
    assert middle.edges == [("cart", "db"), ("web", "cart")]
    assert middle.calls.tolist() == [8.0, 8.0]
    assert middle.edge_terms.shape == (2, len(EDGE_TERMS))
    assert middle.totals == {"logs": 16, "metrics": 18, "traces": 40}
    assert middle.visits.tolist() == [48.0, 48.0, 48.0]


def test_silence_of_everything_is_not_the_fault_of_any_service(telemetry):
    engine = Engine()
    for source, messages in telemetry.items():
        engine.hand_on(source, engine.ingest[source].process(messages[:100]))
    engine.found.clear()
    for k in range(110, 200):
        for source, ingest in engine.ingest.items():
            engine.hand_on(source, ingest.advance(T + k * WINDOW))
    assert max(worst(engine.found, 0, 200).values()) < NOISE


def test_rows_that_come_again_are_ignored(telemetry, found):
    engine = Engine()
    seen: list[Any] = []
    process = engine.detect.process

    def twice(rows: Any) -> None:
        process(rows)
        seen.append(rows)
        for old in seen[-5:]:
            process(old)

    engine.detect.process = twice  # type: ignore[method-assign]
    for k in range(0, 60, 10):
        for source, messages in telemetry.items():
            engine.hand_on(source, engine.ingest[source].process(messages[k : k + 10]))
    assert [content(f) for f in engine.found] == [content(f) for f in found[: len(engine.found)]]
    assert len(engine.found) > 40
