"""OTLP of a small shop for as long as wanted: web -> cart -> db, with a fault of cart from some window on."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from aiops.ingest.stage import Message
from aiops.signals import SECOND, WINDOW

T = 1_700_000_000 * SECOND // WINDOW * WINDOW
MS = 1_000_000
SOURCES = {"otlp_logs/0": "logs", "otlp_metrics/0": "metrics", "otlp_metrics/1": "metrics", "otlp_spans/0": "traces"}
PODS = {"web": 2, "cart": 3, "db": 1}


def _resource(service: str, pod: int) -> Any:
    values = {"service.name": service, "deployment.environment": "prod", "service.instance.id": f"{service}-{pod}"}
    return {"attributes": [{"key": k, "value": {"stringValue": v}} for k, v in values.items()]}


def _metrics(k: int, pods: list[tuple[str, int]], faulty: bool, rng: np.random.Generator) -> bytes:
    out = []
    for service, pod in pods:
        if faulty and (service, pod) == ("cart", 2):
            continue  # it is gone
        time, busy = str(T + k * WINDOW + 3 * SECOND), faulty and service == "cart"
        cpu = 0.3 + 0.02 * float(rng.normal()) + (0.6 if busy else 0.0)
        counts = rng.multinomial(100, [0.0, 0.1, 0.9] if busy else [0.7, 0.25, 0.05]).tolist()
        histogram = {
            "timeUnixNano": time,
            "count": "100",
            "sum": 5.0,
            "bucketCounts": [str(c) for c in counts],
            "explicitBounds": [0.1, 1.0],
        }
        total = {"timeUnixNano": time, "startTimeUnixNano": str(T), "asDouble": 20.0 * k + float(rng.integers(5))}
        metrics = [
            {"name": "cpu.usage", "gauge": {"dataPoints": [{"timeUnixNano": time, "asDouble": cpu}]}},
            {"name": "requests", "sum": {"dataPoints": [total], "aggregationTemporality": 2, "isMonotonic": True}},
            {"name": "latency", "unit": "s", "histogram": {"dataPoints": [histogram], "aggregationTemporality": 1}},
        ]
        out.append({"resource": _resource(service, pod), "scopeMetrics": [{"metrics": metrics}]})
    return json.dumps({"resourceMetrics": out}).encode()


def _requests(k: int, faulty: bool, rng: np.random.Generator) -> tuple[bytes, bytes]:
    """Logs and spans of eight requests."""
    spans: dict[str, list[Any]] = {s: [] for s in PODS}
    logs: dict[str, list[Any]] = {s: [] for s in PODS}
    for n in range(8):
        trace, start = f"{k * 100 + n + 1:032x}", T + k * WINDOW + int(rng.integers(8 * SECOND))
        slow = (5.0 if faulty else 1.0) * float(np.exp(0.2 * rng.normal()))
        failed = faulty and rng.random() < 0.8
        told = failed and rng.random() < 0.6  # the others return early and say nothing
        work, query = int(20 * slow * MS), int(5 * MS)

        def span(
            service: str,
            id_: int,
            parent: int,
            name: str,
            kind: int,
            a: int,
            b: int,
            error: bool = False,
            trace: str = trace,
        ) -> None:
            spans[service].append(
                {
                    "traceId": trace, "spanId": f"{id_:016x}", "parentSpanId": f"{parent:016x}" if parent else "",
                    "name": name, "kind": kind, "startTimeUnixNano": str(a), "endTimeUnixNano": str(b),
                    "status": {"code": 2 if error else 0},
                }
            )  # fmt: skip

        def log(service: str, id_: int, body: str, severity: int, trace: str = trace, time: int = start) -> None:
            logs[service].append(
                {
                    "timeUnixNano": str(time), "traceId": trace, "spanId": f"{id_:016x}", "severityNumber": severity,
                    "body": {"stringValue": body},
                }
            )  # fmt: skip

        whole = start + work + query + 4 * MS
        span("web", 1, 0, "GET /cart", 2, start, whole, told)
        span("web", 2, 1, "cart.Get", 3, start + MS, whole - MS)
        span("cart", 3, 2, "Get", 2, start + 2 * MS, whole - 2 * MS, told)
        log("web", 1, f"request {n} took {n * 7} ms", 9)
        if told:
            log("cart", 3, f"cannot load cart {n}: connection refused", 17)
        if not failed:
            span("cart", 4, 3, "db.Query", 3, start + 3 * MS, start + 3 * MS + query)
            span("db", 5, 4, "SELECT", 2, start + 3 * MS, start + 3 * MS + query // 2)
            log("cart", 3, f"loaded cart {n}", 9)
    by_service = [(s, 0) for s in PODS]
    log_body = [{"resource": _resource(s, p), "scopeLogs": [{"logRecords": logs[s]}]} for s, p in by_service]
    span_body = [{"resource": _resource(s, p), "scopeSpans": [{"spans": spans[s]}]} for s, p in by_service]
    return json.dumps({"resourceLogs": log_body}).encode(), json.dumps({"resourceSpans": span_body}).encode()


def shop(windows: int, fault: int, until: int, rng: np.random.Generator) -> dict[str, list[Message]]:
    """Messages of each source, one a window."""
    out: dict[str, list[Message]] = {source: [] for source in SOURCES}
    pods = [(s, p) for s, n in PODS.items() for p in range(n)]
    for k in range(windows):
        faulty = fault <= k < until
        logs, spans = _requests(k, faulty, rng)
        arrival = T + (k + 1) * WINDOW
        out["otlp_logs/0"].append(Message(k, arrival, logs))
        out["otlp_spans/0"].append(Message(k, arrival, spans))
        for half in (0, 1):
            out[f"otlp_metrics/{half}"].append(Message(k, arrival, _metrics(k, pods[half::2], faulty, rng)))
    return out
