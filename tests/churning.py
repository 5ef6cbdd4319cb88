"""A shop that never stands still: pods with new names all the time, previews of services and whole environments that come and go.

web -> cart -> db serve requests throughout; cart has a fault near the end.  An hour of the retentions is a minute here
(``shortened``), so that days of churn pass in a few hundred windows.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from aiops.detect import directory, logs, metrics, operations, retention, visits
from aiops.incidents import environment
from aiops.ingest.stage import Message
from aiops.signals import SECOND, WINDOW
from aiops.traces import assemble
from tests.replaying import Order

T = 1_700_000_000 * SECOND // WINDOW * WINDOW
SOURCES = {"logs/0": "logs", "metrics/0": "metrics", "traces/0": "traces"}
MS = 1_000_000
MINUTE = 60 * SECOND
WINDOWS_OF_A_DAY = (
    26 * MINUTE // WINDOW + 6
)  # where an hour lasts a minute: how long the longest retention of a service is
ROLL = 90  # windows between deployments, which rename all pods
PREVIEW_EVERY, PREVIEW_LIVES = 10, 20  # windows; a preview is two services: one that calls the other
PLACE_EVERY, PLACE_LIVES = 40, 15  # an environment with one service that sends metrics


def shortened(patch: pytest.MonkeyPatch) -> None:
    """Let an hour of every retention last a minute."""
    for module, names in (
        (directory, ("HOUR", "LASTING", "PLACES")), (metrics, ("BRIEF",)), (operations, ("LASTING",)),
        (visits, ("LASTING",)), (logs, ("LASTING",)), (assemble, ("FORGET_EVERY",)),
        (environment, ("EDGE_LIFE", "SERVICE_LIFE")),
    ):  # fmt: skip
        for name in names:
            patch.setattr(module, name, getattr(module, name) // 60)
    patch.setattr(environment, "FORGET_EVERY", MINUTE)
    patch.setattr(retention, "ALIVE", MINUTE)


def resource(service: str, pod: str, place: str = "prod") -> Any:
    """Attributes of a pod."""
    values = {"service.name": service, "deployment.environment": place, "service.instance.id": pod}
    return {"attributes": [{"key": k, "value": {"stringValue": v}} for k, v in values.items()]}


def previews(k: int) -> list[int]:
    """Numbers of the previews that run in window `k`."""
    return [n for n in range(k // PREVIEW_EVERY + 1) if n * PREVIEW_EVERY <= k < n * PREVIEW_EVERY + PREVIEW_LIVES]


def pods(k: int) -> list[tuple[str, str, str]]:
    """(service, pod, environment) of all that runs in window `k`."""
    roll = k // ROLL
    out = [(s, f"{s}-{roll}-{i}", "prod") for s, n in (("web", 2), ("cart", 3), ("db", 1)) for i in range(n)]
    out += [(f"{s}-{n}", f"{s}-{n}-pod", "prod") for n in previews(k) for s in ("driver", "preview")]
    if k % PLACE_EVERY < PLACE_LIVES:
        out.append(("site", f"site-{k // PLACE_EVERY}", f"pr-{k // PLACE_EVERY}"))
    return out


def _metrics(k: int, faulty: bool, rng: np.random.Generator) -> bytes:
    out = []
    for service, pod, place in pods(k):
        time = str(T + k * WINDOW + 3 * SECOND)
        cpu = 0.3 + 0.02 * float(rng.normal()) + (0.6 if faulty and service == "cart" else 0.0)
        total = {"timeUnixNano": time, "startTimeUnixNano": str(T), "asDouble": 20.0 * k}
        size = {"timeUnixNano": time, "startTimeUnixNano": str(T), "count": str(9 * k), "sum": 5.0 * k}
        size |= {"bucketCounts": [str(6 * k), str(3 * k)], "explicitBounds": [0.5]}
        found = [
            {"name": "cpu.usage", "gauge": {"dataPoints": [{"timeUnixNano": time, "asDouble": cpu}]}},
            {"name": "requests", "sum": {"dataPoints": [total], "aggregationTemporality": 2, "isMonotonic": True}},
            {"name": "size", "histogram": {"dataPoints": [size], "aggregationTemporality": 2}},
        ]
        out.append({"resource": resource(service, pod, place), "scopeMetrics": [{"metrics": found}]})
    return json.dumps({"resourceMetrics": out}).encode()


def _requests(k: int, faulty: bool, rng: np.random.Generator) -> tuple[bytes, bytes]:
    spans: dict[str, list[Any]] = {}
    lines: dict[str, list[Any]] = {}

    def span(n: int, service: str, id_: int, parent: int, name: str, kind: int, a: int, b: int, error: bool) -> None:
        spans.setdefault(service, []).append(
            {
                "traceId": f"{k * 100 + n + 1:032x}", "spanId": f"{id_:016x}",
                "parentSpanId": f"{parent:016x}" if parent else "", "name": name, "kind": kind,
                "startTimeUnixNano": str(a), "endTimeUnixNano": str(b), "status": {"code": 2 if error else 0},
            }
        )  # fmt: skip

    def line(n: int, service: str, id_: int, text: str, severity: int, time: int) -> None:
        lines.setdefault(service, []).append(
            {
                "timeUnixNano": str(time), "traceId": f"{k * 100 + n + 1:032x}", "spanId": f"{id_:016x}",
                "severityNumber": severity, "body": {"stringValue": text},
            }
        )  # fmt: skip

    for n in range(8):
        start = T + k * WINDOW + int(rng.integers(8 * SECOND))
        failed = faulty and rng.random() < 0.8
        work = int(20 * MS * float(np.exp(0.2 * rng.normal())) * (5.0 if faulty else 1.0))
        end = start + work + 9 * MS
        span(n, "web", 1, 0, "GET /cart", 2, start, end, failed)
        span(n, "web", 2, 1, "cart.Get", 3, start + MS, end - MS, failed)
        span(n, "cart", 3, 2, "Get", 2, start + 2 * MS, end - 2 * MS, failed)
        line(n, "web", 1, f"request {n} took {n * 7} ms", 9, start)
        if failed:
            line(n, "cart", 3, f"cannot load cart {n}: connection refused", 17, start)
        else:
            span(n, "cart", 4, 3, "db.Query", 3, start + 3 * MS, start + 8 * MS, False)
            span(n, "db", 5, 4, "SELECT", 2, start + 4 * MS, start + 6 * MS, False)
            line(n, "cart", 3, f"loaded cart {n}", 9, start)
    for p in previews(k):
        start, n = T + k * WINDOW + SECOND, 50 + p % 40
        word = "".join(chr(97 + int(c)) for c in str(p))  # a text of its own, which no mask takes for data
        span(n, f"driver-{p}", 1, 0, f"drive {word}", 2, start, start + 9 * MS, False)
        span(n, f"driver-{p}", 2, 1, f"call {word}", 3, start + MS, start + 8 * MS, False)
        span(n, f"preview-{p}", 3, 2, f"show {word}", 2, start + 2 * MS, start + 7 * MS, False)
        line(n, f"preview-{p}", 3, f"the {word} preview shows its {word} page", 9, start)
    bodies = []
    for of, inner, outer, scope in ((lines, "logRecords", "resourceLogs", "scopeLogs"),
                                    (spans, "spans", "resourceSpans", "scopeSpans")):  # fmt: skip
        found = [{"resource": resource(s, f"{s}-0"), scope: [{inner: items}]} for s, items in of.items()]
        bodies.append(json.dumps({outer: found}).encode())
    return bodies[0], bodies[1]


def churn(windows: int, fault: int, until: int, seed: int) -> Order:
    """Messages of all sources, one a window each, in order of arrival."""
    rng, out = np.random.default_rng(seed), []
    for k in range(windows):
        faulty, arrival = fault <= k < until, T + (k + 1) * WINDOW
        lines, spans = _requests(k, faulty, rng)
        for source, value in (("logs/0", lines), ("metrics/0", _metrics(k, faulty, rng)), ("traces/0", spans)):
            out.append((source, Message(k, arrival, value)))
    return out
