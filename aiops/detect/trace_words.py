"""Evidence from traces -> words that a person reads, and candidates for anomalies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiops.detect.anomalies import Candidate
from aiops.detect.flows import Flow
from aiops.detect.rates import Rate
from aiops.detect.shares import Share
from aiops.detect.shifts import Shift, Slow
from aiops.detect.tails import EFFECTIVE, count_bounds, count_excess, share_bounds
from aiops.findings import NOVEL, PLAIN, Note
from aiops.records import rfc3339
from aiops.signals import CALL, LOG, OP, STEM, ServiceKey
from aiops.traces.durations import milliseconds

LEAST_MS = 1.0  # of the 90th percentile, ms: a smaller move opens no anomaly


def text(name: bytes) -> str:
    """A name of a span or a text of a log line."""
    return name.decode("utf-8", "replace")


def matters(found: Shift | Slow) -> bool:
    """Is it more than nothing in time?  What is slower by less than ``LEAST_MS`` nobody waits for, however rare it is."""
    return found.recent_p90 < 0 or milliseconds(found.recent_p90) - milliseconds(found.normal_p90) >= LEAST_MS


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


def percent(share: float) -> str:
    """A share as a person reads it."""
    return f"{100 * share:.2g} %"


def since(start: int) -> str:
    """Time of day of a window's start (Unix ns)."""
    return rfc3339(start)[11:19]


def run(what: str, found: Slow) -> str:
    """How durations have been since some window."""
    of = (
        f"{found.hits} of {found.trials} since {since(found.since)} took longer than {milliseconds(found.limit):.3g} ms"
    )
    return f"{what}: {of}, usually {percent(found.normal)}"


def run_candidate(
    key: ServiceKey, what: str, found: Slow, kind: str = "latency", peer: str | None = None, statement: str = ""
) -> Candidate:
    """Durations that have been too long since some window, as a candidate: the same signal as a rise."""
    observed = milliseconds(found.recent_p90) if found.recent_p90 >= 0 else None
    expected = milliseconds(found.normal_p90)
    return Candidate(
        key, kind, what, "duration-shift", found.score, statement or run(what, found), "up", None, peer, observed, expected,
        None, milliseconds(found.limit), found.since, (), {"unit": "ms"},
    )  # fmt: skip


def share(found: Share, what: str) -> str:
    """How often something was so."""
    when = f" since {since(found.since)}" if found.since >= 0 else ""
    return f"{found.hits} of {found.trials} {what}{when}, usually {percent(found.normal)}"


def share_candidate(
    key: ServiceKey, signal: str, found: Share, what: str, detector: str = "error-ratio", kind: str = "error",
    peer: str | None = None,
) -> Candidate:  # fmt: skip
    """A share that rose, as a candidate."""
    low, high = share_bounds(found.trials, found.normal, found.weight, EFFECTIVE)
    return Candidate(
        key, kind, signal, detector, found.score, share(found, what), "up", None, peer, found.hits / found.trials,
        found.normal, low, high, found.since if found.since >= 0 else None,
    )  # fmt: skip


def stronger(rises: list[Share], runs: list[Share]) -> list[Share]:
    """Of each key the rise or the run, whichever has the greater score."""
    best = {found.key: found for found in rises}
    for found in runs:
        if found.key not in best or found.score > best[found.key].score:
            best[found.key] = found
    return [best[key] for key in sorted(best)]


def traffic(service: str, found: Rate) -> str:
    """How many requests a service got."""
    return f"{service} got {found.times} requests, expected about {found.expected:.0f}"


def traffic_candidate(key: ServiceKey, found: Rate, shape: float) -> Candidate:
    """More or fewer requests than a service's share, as a candidate; `shape` as in ``count_excess``."""
    low, high = count_bounds(found.expected, shape)
    score = abs(float(count_excess(float(found.times), found.expected, shape)))
    return Candidate(
        key, "traffic", "requests", "share-of-traffic", score, traffic(key.service, found),
        "up" if found.score > 0 else "down", None, None, float(found.times), found.expected, low, high,
    )  # fmt: skip


def flow_candidate(key: ServiceKey, found: Flow) -> Candidate:
    """An edge that is new or carries no calls any more, as a candidate of the caller."""
    usually = "and never did before" if found.score > 0 else f"usually in {percent(found.normal)}"
    statement = f"{key.service} calls {found.callee} in {found.hits} of {found.visits} visits, {usually}"
    low, high = share_bounds(found.visits, found.normal, found.known, EFFECTIVE)
    return Candidate(
        key, "edge", f"calls to {found.callee}", "calls-per-visit", abs(found.score), statement,
        "up" if found.score > 0 else "down", None, found.callee, found.hits / found.visits, found.normal, low, high,
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
    if term in (NOVEL, PLAIN):
        what = event(events[item.event], display)
        return Note(f"{what} came in {item.seen} of {item.visits} visits, usually {100 * item.normal:.2g} %", "trace")
    x, y = event(events[item.x], display), event(events[item.y], display)
    share = f"it used to follow in {100 * item.normal:.3g} %"
    return Note(f"after {x}, {y} is missing in {item.missed} of {item.trials} visits; {share}", "trace")


def visit_candidate(
    key: ServiceKey, term: int, item: Any, events: list[tuple[Any, ...]], display: Callable[[int], str]
) -> Candidate:
    """A loss or a novelty as a candidate."""
    note = visit(term, item, events, display)
    novel = term == NOVEL
    told = events[item.event if novel else item.y]
    kind = "error" if told[-2] else "log" if told[1] in (LOG, STEM) else "traffic"
    observed = item.seen / item.visits if novel else 1.0 - item.missed / item.trials
    low, high = share_bounds(item.visits if novel else item.trials, min(item.normal, 1.0), EFFECTIVE, EFFECTIVE)
    return Candidate(
        key, kind, "new in visits" if novel else "missing in visits", "visit-events", item.score, note.statement,
        "up" if novel else "down", None, None, observed, item.normal, low, high,
    )  # fmt: skip
