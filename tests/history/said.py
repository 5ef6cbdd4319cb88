"""Records made by hand, as an engine might have said them."""

from __future__ import annotations

import random
from typing import Any

import msgspec

from aiops.noise_report import NoiseReport
from aiops.records import (
    Anomaly,
    Cause,
    CauseKind,
    Change,
    Episode,
    Evidence,
    FirstSymptom,
    Impact,
    Incident,
    Member,
    Notice,
    Window,
    rfc3339,
)
from aiops.signals import SECOND
from aiops.topology import Topology
from streams.history.batch import Batch
from streams.tasks.respond import transition
from tests.incidents.world import findings

T = 1_700_000_000 * SECOND
SERVICES = ("cart", "checkout", "db", "pay", "web")
KINDS: tuple[CauseKind, ...] = ("code", "network", "resource")
SEVERITIES = ("critical", "high", "medium", "low", "info")


def name(n: int) -> str:
    return f"{n:032x}"


def incident(n: int, version: int = 1, **fields: Any) -> Incident:
    """Incident number `n`, a minute after the one before it."""
    opened = T + 60 * n * SECOND
    service, kind = SERVICES[n % 5], KINDS[n % 3]
    cause = Cause(
        rank=1, service=service, kind=kind, score=6.0, confidence=0.8, summary=f"{service} behaves differently",
        evidence=(Evidence(type="trace", statement=f"{service} is slow: 900 ms, usually 80 ms", weight=2.0),),
    )  # fmt: skip
    other = Cause(rank=2, service="web", kind="network", score=1.0, confidence=0.1, summary="web is slow to reach")
    given: dict[str, Any] = {
        "incident_id": name(n), "version": version, "tenant": "default", "environment": "prod" if n % 2 else "staging",
        "state": "open", "severity": SEVERITIES[n % 5], "title": f"{service}: requests fail", "summary": f"{service} fails",
        "opened_at": rfc3339(opened), "onset_at": rfc3339(opened - 40 * SECOND),
        "updated_at": rfc3339(opened + version * SECOND), "episodes": (Episode(opened_at=rfc3339(opened)),),
        "services": tuple(sorted({service, "web"})), "causes": (cause, other),
        "first_symptom": FirstSymptom(service="web", signal="failed requests", at=rfc3339(opened)),
        "impact": Impact(services=("web",), blast_radius=1, felt=("web",), requests_affected_ratio=0.12),
        "members": (
            Member(
                anomaly_id=name(1000 + n), service=service, signal="duration of GET /", state="open", onset=rfc3339(opened),
                score=6.0,
            ),
        ),
        "engine_version": "0", "config_hash": "0",
    }  # fmt: skip
    return Incident(**{**given, **fields})


def resolved(n: int, version: int, seconds: int = 600, **fields: Any) -> Incident:
    """The same, over."""
    end = rfc3339(T + (60 * n + seconds) * SECOND)
    return incident(n, version, state="resolved", resolved_at=end, updated_at=end, **fields)


def anomaly(n: int, version: int = 1, **fields: Any) -> Anomaly:
    """The member of incident number `n`."""
    onset = T + 60 * n * SECOND
    end = onset + version * 30 * SECOND
    given: dict[str, Any] = {
        "anomaly_id": name(1000 + n), "version": version, "state": "open" if version == 1 else "update", "tenant": "default",
        "environment": "prod" if n % 2 else "staging", "service": SERVICES[n % 5], "kind": "latency",
        "signal": "duration of GET /", "onset": rfc3339(onset),
        "window": Window(start=rfc3339(end - 10 * SECOND), end=rfc3339(end)), "observed": 900.0 + version, "expected": 80.0,
        "lower": 20.0, "upper": 200.0, "direction": "up", "score": 6.0, "detector": "durations", "detector_version": "1",
        "statement": "900 ms, usually 80 ms",
    }  # fmt: skip
    return Anomaly(**{**given, **fields})


def log_anomaly(n: int, template: str) -> Anomaly:
    """An anomaly of a log line."""
    attributes = {"template": template, "template_id": f"t{n}"}
    return anomaly(n, kind="log", signal=f'log line "{template}"', attributes=attributes)


def edge(caller: str, callee: str, version: int, minute: int, state: str = "present") -> Topology:
    """A record of an edge."""
    at = rfc3339(T + 60 * minute * SECOND)
    first = at if version == 1 else rfc3339(T)
    fields: dict[str, Any] = {"kind": "edge", "state": state, "reason": "new"}
    return Topology(
        topology_id=f"{caller}-{callee}", version=version, tenant="default", environment="prod", caller=caller, callee=callee,
        calls_per_minute=10.0 * version, since=at, first_seen=first, last_seen=at, updated_at=at, **fields,
    )  # fmt: skip


def change(n: int, service: str = "pay") -> Change:
    """A deploy."""
    return Change(
        change_id=f"c{n}",
        time=rfc3339(T + 60 * n * SECOND),
        kind="deploy",
        service=service,
        environment="prod",
        summary=f"v{n}",
    )


def notice(n: int, over: bool = False) -> Notice:
    """A signal fell silent, or is back."""
    since = T + 60 * n * SECOND
    return Notice(
        kind="silence", tenant="default", environment="prod", signal="traces", since=rfc3339(since),
        until=rfc3339(since + 60 * SECOND) if over else None, text="all traces stopped",
    )  # fmt: skip


def noise(n: int) -> NoiseReport:
    """Figures of five minutes."""
    until = T + 300 * (n + 1) * SECOND
    return NoiseReport(
        tenant="default", environment="prod", since=rfc3339(until - 300 * SECOND), until=rfc3339(until), items=1000, records=20,
        anomalies=5, incidents=1, suppressed={"repeat": 2},
    )  # fmt: skip


def history(n: int = 12) -> list[Batch]:
    """All that was said of `n` incidents, a batch a record."""
    out: list[Batch] = []
    for i in range(n):
        said = [incident(i, 1), incident(i, 2, settled=True), resolved(i, 3)]
        out += [Batch(incidents=[(version, transition(version))]) for version in said]
        out += [Batch(anomalies=[anomaly(i, version)]) for version in (1, 2, 3)]
        out += [Batch(changes=[change(i)]), Batch(notices=[notice(i)]), Batch(notices=[notice(i, over=True)])]
        out += [Batch(topology=[edge("web", "pay", i + 1, i)]), Batch(noise=[noise(i)])]
        out.append(Batch(findings=[("", findings(T + 10 * i * SECOND, {"pay": {"own": 3.0}}))]))
    return out


def joined(batches: list[Batch]) -> Batch:
    """Several batches as one."""
    out = Batch()
    for batch in batches:
        for field in ("incidents", "anomalies", "topology", "noise", "notices", "changes", "findings"):
            getattr(out, field).extend(getattr(batch, field))
        out.positions |= batch.positions
    return out


def shuffled(batches: list[Batch], seed: int) -> list[Batch]:
    """The same in another order, some of it twice, cut into other parts."""
    draw = random.Random(seed)
    order = [*batches, *draw.sample(batches, len(batches) // 3)]
    draw.shuffle(order)
    out, at = [], 0
    while at < len(order):
        size = draw.randint(1, 9)
        out.append(joined(order[at : at + size]))
        at += size
    return out


def with_log(said: Incident, *decisions: Any, **fields: Any) -> Incident:
    """The same with decisions."""
    return msgspec.structs.replace(said, log=decisions, **fields)
