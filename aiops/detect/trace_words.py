"""Evidence from traces -> words that a person reads, and candidates for anomalies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiops.detect.anomalies import Candidate
from aiops.detect.shifts import Shift
from aiops.findings import NOVEL, Note
from aiops.signals import CALL, LOG, OP, STEM, ServiceKey
from aiops.traces.durations import milliseconds


def text(name: bytes) -> str:
    """A name of a span or a text of a log line."""
    return name.decode("utf-8", "replace")


def shift(what: str, found: Shift) -> str:
    """How durations moved."""
    return (
        f"{what}: median {milliseconds(found.recent_p50):.3g} ms, p90 {milliseconds(found.recent_p90):.3g} ms;"
        f" usually {milliseconds(found.normal_p50):.3g} and {milliseconds(found.normal_p90):.3g} ms"
    )


def shift_candidate(
    key: ServiceKey, what: str, found: Shift, kind: str = "latency", peer: str | None = None, statement: str = ""
) -> Candidate:
    """Durations that rose, as a candidate."""
    return Candidate(
        key, kind, what, "duration-shift", found.score, statement or shift(what, found), "up", None, peer,
        milliseconds(found.recent_p90), milliseconds(found.normal_p90), None, milliseconds(found.normal_p90), None, (),
        {"unit": "ms"},
    )  # fmt: skip


def event(key: tuple[Any, ...], display: Callable[[int], str]) -> str:
    """An event of a visit; `display` gives the text of a log template."""
    _, type_, *rest = key
    times = f" #{rest[-1]}" if rest[-1] > 1 else ""
    if type_ == OP:
        return f"{'failed ' if rest[1] else ''}operation {text(rest[0])}{times}"
    if type_ == CALL:
        return f"call {text(rest[0])} to {rest[1] or 'nobody'} {text(rest[2])}".rstrip() + times
    if type_ == LOG:
        return f'log line "{display(rest[0])[:120]}"{times}'
    return f'log line beginning "{text(rest[0])}"{times}'


def visit(term: int, item: Any, events: list[tuple[Any, ...]], display: Callable[[int], str]) -> Note:
    """What a loss or a novelty says."""
    if term == NOVEL:
        what = event(events[item.event], display)
        return Note(f"{what} came in {item.seen} of {item.visits} visits, usually {100 * item.normal:.2g} %", "trace")
    x, y = event(events[item.x], display), event(events[item.y], display)
    share = f"it used to follow in {100 * item.normal:.3g} %"
    return Note(f"after {x}, {y} is missing in {item.missed} of {item.trials} visits; {share}", "trace")


def visit_candidate(key: ServiceKey, term: int, item: Any, events: list[tuple[Any, ...]], note: Note) -> Candidate:
    """A loss or a novelty as a candidate."""
    novel = term == NOVEL
    told = events[item.event if novel else item.y]
    kind = "error" if told[-2] else "log" if told[1] in (LOG, STEM) else "traffic"
    observed = item.seen / item.visits if novel else 1.0 - item.missed / item.trials
    return Candidate(
        key, kind, "new in visits" if novel else "missing in visits", "visit-events", item.score, note.statement,
        "up" if novel else "down", None, None, observed, item.normal,
    )  # fmt: skip
