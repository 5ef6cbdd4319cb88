"""What the stages hand on for the telemetry of a small shop, from senders whose tables have different codes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aiops.detect.stage import Detect
from aiops.findings import Findings
from aiops.ingest.stage import Ingest, Message
from aiops.signals import END_OF_TIME, WINDOW, WindowRows
from aiops.traces.assemble import Assemble
from aiops.traces.items import TraceItems
from tests.detect.telemetry import SOURCES, T, shop

TRACES = "aiops.traces/0"
FIRST = 5  # windows that only one of two senders may have seen


@dataclass(slots=True)
class Sample:
    """Rows and items of windows `FIRST` and later, and all findings."""

    rows: list[WindowRows] = field(default_factory=list)
    items: list[TraceItems] = field(default_factory=list)
    findings: list[Findings] = field(default_factory=list)


def sample(windows: int = 60, prelude: bool = False) -> Sample:
    """A sender with a `prelude` has seen a window before, in which everything stood in the opposite order."""
    out, traced = Sample(), [s for s, signal in SOURCES.items() if signal != "metrics"]
    assemble, detect = Assemble(TRACES, traced), Detect([*SOURCES, TRACES])
    stages = {source: Ingest(source, signal) for source, signal in SOURCES.items()}
    telemetry = shop(windows, windows * 2 // 3, windows - 10, np.random.default_rng(7))

    def hand_on(source: str, done: Any) -> None:
        rows = list(done.rows)
        if source in traced:
            if done.items is not None:
                out.items.append(done.items)
                assemble.process(done.items)
            assembled = assemble.advance(source, done.clock)
            rows += assembled.rows
        for part in rows:
            detect.process(part)
        out.rows.extend(part for part in rows if part.window >= T + FIRST * WINDOW)
        if source in traced:
            out.findings.extend(detect.advance(TRACES, assembled.clock))
        out.findings.extend(detect.advance(source, done.clock))

    if prelude:
        for source, messages in telemetry.items():
            reverse = json.dumps(_reversed(json.loads(messages[0].value))).encode()
            hand_on(source, stages[source].process([Message(0, messages[0].arrival, reverse)]))
        out.items.clear()
    for k in range(FIRST, windows):
        for source, messages in telemetry.items():
            hand_on(source, stages[source].process([messages[k]]))
    for source, ingest in stages.items():
        hand_on(source, ingest.advance(T + (windows + 10) * WINDOW))
    assert out.rows
    assert out.items
    assert out.findings
    return out


def _reversed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _reversed(v) for key, v in value.items()}
    return [_reversed(v) for v in reversed(value)] if isinstance(value, list) else value


def ingested(signal: str, body: Any) -> tuple[list[WindowRows], TraceItems | None]:
    """What ingest makes of one OTLP/JSON request: (rows, items)."""
    ingest = Ingest("otlp/0", signal)
    done = ingest.process([Message(0, T + WINDOW, json.dumps(body).encode())])
    assert not done.refused
    return ingest.advance(END_OF_TIME).rows, done.items
