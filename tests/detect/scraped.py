"""Metrics of pods that are scraped every 10 s, as OTLP/JSON through ingest and detect, with a policy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from aiops.detect.rules import DetectConfig
from aiops.detect.stage import Detect
from aiops.findings import Findings
from aiops.ingest.stage import Ingest, Message
from aiops.records import Anomaly
from aiops.signals import SECOND, WINDOW

T = 1_700_000_000 * SECOND // WINDOW * WINDOW
SOURCE = "metrics/0"


class Point(NamedTuple):
    """What one pod says of one metric in one window; `total` is a cumulative sum since `start`."""

    pod: str
    metric: str
    value: float
    unit: str = "1"
    service: str = "web"
    attributes: tuple[tuple[str, str], ...] = ()
    total: bool = False
    start: int = T
    node: str = ""
    zone: str = ""
    about: tuple[tuple[str, str], ...] = ()  # of the resource, instead of service and pod


def _attributes(of: dict[str, str]) -> list[Any]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in of.items()]


def message(k: int, points: list[Point]) -> Message:
    """One scrape of all pods in window `k`."""
    found = []
    for p in points:
        who = dict(p.about) or {"service.name": p.service, "service.instance.id": p.pod}
        who |= {"deployment.environment": "prod"}
        who |= {"k8s.node.name": p.node} if p.node else {}
        who |= {"cloud.availability_zone": p.zone} if p.zone else {}
        point: dict[str, Any] = {"timeUnixNano": str(T + k * WINDOW + 3 * SECOND), "asDouble": p.value}
        point["attributes"] = _attributes(dict(p.attributes))
        metric: dict[str, Any] = {"name": p.metric, "unit": p.unit}
        if p.total:
            point["startTimeUnixNano"] = str(p.start)
            metric["sum"] = {"dataPoints": [point], "aggregationTemporality": 2, "isMonotonic": True}
        else:
            metric["gauge"] = {"dataPoints": [point]}
        found.append({"resource": {"attributes": _attributes(who)}, "scopeMetrics": [{"metrics": [metric]}]})
    return Message(k, T + (k + 1) * WINDOW, json.dumps({"resourceMetrics": found}).encode())


class Scraped:
    """A detect that is fed window by window; ``anomalies`` is all that it said."""

    def __init__(self, config: DetectConfig | None = None) -> None:
        self.config = config or DetectConfig()
        self.detect = Detect([SOURCE], config=self.config)
        self.ingest = Ingest(SOURCE, "metrics")
        self.window = 0
        self.anomalies: list[Anomaly] = []
        self.findings: list[Findings] = []

    def take(self, points: list[Point]) -> None:
        """One window."""
        out = self.ingest.process([message(self.window, points)])
        for rows in out.rows:
            self.detect.process(rows)
        for found in self.detect.advance(SOURCE, out.clock):
            self.findings.append(found)
            self.anomalies += found.anomalies
        self.window += 1

    def restart(self, config: DetectConfig | None = None) -> None:
        """Another process takes over, perhaps with another policy."""
        snapshot, waiting = self.detect.snapshot(), self.detect._waiting
        self.config = config or self.config
        self.detect = Detect([SOURCE], config=self.config)
        self.detect.restore(snapshot)
        if config is None:
            assert self.detect.snapshot() == snapshot
        for _, of in sorted(waiting.items()):
            for rows in of.values():
                self.detect.process(rows)

    def opened(self, **of: Any) -> Iterator[Anomaly]:
        """Anomalies that opened and have these fields."""
        for a in self.anomalies:
            if a.state == "open" and all(getattr(a, name) == value for name, value in of.items()):
                yield a
