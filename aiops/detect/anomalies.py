"""Scores of one window -> anomalies that open, are updated at most every 30 s, and close: hysteresis, in event time.

Identity is content: series, detector and the time of opening.  What is over is forgotten, so state is bounded by what is open.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec

from aiops.detect.explain import LONGEST_SIGNAL, LONGEST_STATEMENT, once_in, short
from aiops.detect.gates import BAR
from aiops.records import Anomaly, AnomalyState, Exemplars, Tier, Window, anomaly_id, rfc3339
from aiops.signals import SECOND, WINDOW, ServiceKey

OPEN = 4.0  # score that opens an anomaly
STAY = 2.0  # below it an open anomaly is quiet, and one that is not open is forgotten
UPDATE_EVERY = 30 * SECOND
QUIET = 60 * SECOND
MAX_OPEN = 20_000  # of a partition; beyond it new ones are counted and not opened


@dataclass(slots=True)
class Candidate:
    """A score of ``STAY`` or more of one signal in one window, with what a person wants to know of it."""

    service: ServiceKey
    kind: str
    signal: str
    detector: str
    score: float
    statement: str
    direction: str = "up"
    instance: str | None = None
    peer: str | None = None
    observed: float | None = None
    expected: float | None = None
    lower: float | None = None
    upper: float | None = None
    onset: int | None = None
    logs: tuple[str, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)
    series: str = ""  # identity of the signal where its name is not
    bar: float = OPEN  # score that opens an anomaly of it
    gate: str = ""  # why it opens none whatever its score
    term: str | None = None
    learned: float | None = None
    tier: Tier | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """Identity of the signal within the partition, and the canonical order."""
        return (*self.service, self.detector, self.series or self.signal, self.instance or "", self.peer or "")


class Tracker:
    """State of the anomalies of one partition.

    Attributes
    ----------
    refused : int
        Anomalies that were not opened because too many are open, since the process began.
    held_back : Counter
        Deviations that scored enough and were held back by a gate, by its reason, each once.
    """

    def __init__(self, version: str) -> None:
        self.version = version
        self.refused = 0
        self.held_back: Counter[str] = Counter()
        self._held: dict[tuple[str, ...], str] = {}  # by which gate a signal was held back last
        self._since: dict[tuple[str, ...], int] = {}  # not open yet: when the score became interesting
        self._open: dict[tuple[str, ...], dict[str, Any]] = {}

    @property
    def open(self) -> int:
        """How many are open: a gauge."""
        return len(self._open)

    def advance(self, now: int, candidates: list[Candidate]) -> list[Anomaly]:
        """Event time is `now`, the end of the window that the candidates speak of."""
        found = {c.key: c for c in sorted(candidates, key=lambda c: (c.key, c.score))}
        out: list[tuple[tuple[str, ...], Anomaly]] = []
        self._since = {key: since for key, since in self._since.items() if key in found}
        self._held = {key: gate for key, gate in self._held.items() if key in found}
        for key, candidate in found.items():
            state = self._open.get(key)
            if state is None:
                since = self._since.setdefault(key, candidate.onset if candidate.onset is not None else now - WINDOW)
                if self._holds_back(key, candidate):
                    continue
                if len(self._open) >= MAX_OPEN:
                    self.refused += 1
                    continue
                name = "\x1f".join(key[4:])
                identity = anomaly_id(*candidate.service, name, candidate.detector, now)
                state = self._open[key] = {"id": identity, "version": 1, "onset": since, "sent": now, "quiet": -1}
                del self._since[key]
                self._held.pop(key, None)
                out.append((key, self._record(state, candidate, "open", now)))
            else:
                state["quiet"] = -1
                if now - state["sent"] >= UPDATE_EVERY:
                    state["version"] += 1
                    state["sent"] = now
                    out.append((key, self._record(state, candidate, "update", now)))
        for key, state in list(self._open.items()):
            if key in found:
                continue
            if state["quiet"] < 0:
                state["quiet"] = now
            if now - state["quiet"] >= QUIET:
                state["version"] += 1
                del self._open[key]
                out.append((key, self._closed(state, now)))
        return [anomaly for _, anomaly in sorted(out, key=lambda pair: pair[0])]

    def _holds_back(self, key: tuple[str, ...], candidate: Candidate) -> bool:
        """Does the candidate not open an anomaly?"""
        if candidate.score < min(candidate.bar, OPEN):
            return True
        gate = candidate.gate or (BAR if candidate.score < candidate.bar else "")
        if gate and self._held.get(key) != gate:
            self._held[key] = gate
            self.held_back[gate] += 1
        return bool(gate)

    def _record(self, state: dict[str, Any], c: Candidate, what: AnomalyState, now: int) -> Anomaly:
        fields: dict[str, Any] = {
            "anomaly_id": state["id"], "tenant": c.service.tenant, "environment": c.service.environment,
            "service": c.service.service, "instance": c.instance, "peer": c.peer, "kind": c.kind,
            "signal": short(c.signal, LONGEST_SIGNAL),
            "onset": rfc3339(state["onset"]), "observed": c.observed, "expected": c.expected, "lower": c.lower,
            "upper": c.upper, "direction": c.direction, "score": round(c.score, 3), "detector": c.detector,
            "detector_version": self.version, "statement": short(c.statement, LONGEST_STATEMENT),
            "exemplars": Exemplars(logs=c.logs),
            "attributes": {key: short(c.attributes[key], LONGEST_SIGNAL) for key in sorted(c.attributes)},
            "one_in": once_in(c.score), "term": c.term, "learned": c.learned, "tier": c.tier,
        }  # fmt: skip
        anomaly = Anomaly(
            **fields, version=state["version"], state=what, window=Window(start=rfc3339(now - WINDOW), end=rfc3339(now))
        )
        state["last"] = anomaly
        return anomaly

    def _closed(self, state: dict[str, Any], now: int) -> Anomaly:
        last: Anomaly = state["last"]
        window = Window(start=rfc3339(now - WINDOW), end=rfc3339(now))
        return msgspec.structs.replace(last, version=state["version"], state="closed", window=window)

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        open_ = [[list(k), {**s, "last": msgspec.to_builtins(s["last"])}] for k, s in self._open.items()]
        return {
            "since": [[list(k), v] for k, v in self._since.items()], "open": open_,
            "held": [[list(k), v] for k, v in self._held.items()],
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self._since = {tuple(k): v for k, v in state["since"]}
        self._held = {tuple(k): v for k, v in state["held"]}
        self._open = {tuple(k): {**s, "last": msgspec.convert(s["last"], Anomaly)} for k, s in state["open"]}
