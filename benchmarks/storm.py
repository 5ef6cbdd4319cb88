"""What a storm of alerts costs respond, what is left of it, and whether every critical one is accounted for.

    python -m benchmarks.storm [--seed N] [--quick] [--only PART ...] [--json FILE]

A system of 300 services sends 100,000 alert messages and 10,000 anomalies within five minutes, while one service really fails.
Of the messages seven in ten are alerts that fire, two repeat one that does, one ends it; one in twenty is critical or high.
Respond is driven as on Kafka: alerts one by one, findings of a window, then the clock that makes it due.

storm      compression, the sum of critical and high alerts, seconds from due to record (CPU and wall), records a second, memory
updates    records of anomalies that are known already, a second
incidents  what a record costs beside 1, 10 and 100 open incidents
mesh       CPU of a window of a mesh of 50 services, quiet and with an incident
"""

from __future__ import annotations

import argparse
import gc
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from aiops.findings import EDGE_TERMS, TERMS, Findings, Note
from aiops.incidents.place import Output
from aiops.incidents.stage import Respond
from aiops.records import Alert, Anomaly, Incident, Window, anomaly_id, encode, rfc3339
from aiops.signals import SECOND, WINDOW, due
from benchmarks import results

T = 1_700_000_000 * SECOND // WINDOW * WINDOW
SOURCE, ALERT_SOURCE = "findings/0", "alerts/0"
SERVICES, MESH = 300, 50
ALERTS, ANOMALIES, WINDOWS = 100_000, 10_000, 30
NAMES = ("HighLatency", "ErrorBudgetBurn", "PodRestarting", "QueueGrows", "DiskFillsUp", "TargetDown")
SIGNALS = ("cpu.utilisation", "memory.usage", "http.server.duration p99", 'log line "cannot reach <*>"', "requests")
SEVERITIES = {"critical": 0.02, "high": 0.03, "medium": 0.25, "low": 0.7}
BARS = {"compression": 0.95, "seconds_p95": 2.0, "per_second": 10_000.0, "mesh_ms": 50.0}
PARTS = ("storm", "updates", "incidents", "mesh")


def rss() -> int:
    """Bytes of memory that the process has now."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


class System:
    """Services that call each other, and their findings of a window."""

    def __init__(self, services: int, calls: float, rng: Any) -> None:
        self.names = [f"service-{k:03d}" for k in range(services)]
        pairs = {(int(rng.integers(0, k)), k) for k in range(1, services)} if calls else set()
        while len(pairs) < calls * services:
            a, b = sorted(rng.integers(0, services, 2).tolist())
            if a != b:
                pairs.add((a, b))
        self.edges = [(self.names[a], self.names[b]) for a, b in sorted(pairs)]
        self.rng = rng

    def findings(self, now: int, faults: dict[str, dict[str, float]], anomalies: list[Anomaly]) -> Findings:
        n, m = len(self.names), len(self.edges)
        terms = np.round(self.rng.exponential(0.25, (n, len(TERMS))), 4)
        notes: dict[tuple[str, ...], Note] = {}
        for service, of in faults.items():
            for term, value in of.items():
                terms[self.names.index(service), TERMS.index(term)] = value
                notes[service, term] = Note(f"{term} of {service} is {value}", "trace")
        edge_terms = np.round(self.rng.exponential(0.25, (m, len(EDGE_TERMS))), 4)
        return Findings(
            "default", "prod", now, list(self.names), terms, np.full(n, 60.0), np.zeros(n), list(self.edges), edge_terms,
            np.full(m, 40.0), notes, anomalies, {"logs": 100, "metrics": 1_000, "traces": 500},
        )  # fmt: skip

    def callers(self, service: str) -> list[str]:
        return [a for a, b in self.edges if b == service]


def record(
    service: str, onset: int, signal: str, kind: Any, number: int, score: float, attributes: dict[str, str]
) -> Anomaly:
    return Anomaly(
        anomaly_id=anomaly_id("default", "prod", service, f"{signal} {number}", kind, onset), version=1, state="open",
        tenant="default", environment="prod", service=service, kind=kind, signal=signal, onset=rfc3339(onset),
        window=Window(start=rfc3339(onset), end=rfc3339(onset + WINDOW)), score=score, detector=kind, detector_version="1",
        statement=f"{signal} of {service} is not as usual", attributes=attributes,
    )  # fmt: skip


class Load:
    """Alert messages and anomalies, window by window; nothing of it is kept but what may be repeated or end."""

    def __init__(self, system: System, alerts: int, anomalies: int, windows: int, rng: Any) -> None:
        self.system, self.rng, self.windows = system, rng, windows
        self.alerts, self.anomalies = alerts // windows, anomalies // windows
        self.firing: list[Alert] = []
        self.number = 0
        self.urgent = 0

    def window(self, now: int) -> tuple[list[Anomaly], list[Alert]]:
        """What comes in the window that ends at `now`."""
        rng, names = self.rng, self.system.names
        anomalies, alerts = [], []
        for draw in rng.random(self.alerts).tolist():
            if draw < 0.7 or not self.firing:
                alerts.append(self._alert(now, names[rng.integers(len(names))]))
                continue
            k = int(rng.integers(len(self.firing)))
            if draw < 0.9:
                alerts.append(self.firing[k])
            else:
                alerts.append(msgspec.structs.replace(self.firing[k], status="resolved", ends_at=rfc3339(now)))
                self.firing[k] = self.firing[-1]
                self.firing.pop()
        for _ in range(self.anomalies):
            service, signal = names[rng.integers(len(names))], SIGNALS[rng.integers(len(SIGNALS))]
            self.number += 1
            score = 4.0 + float(rng.exponential(1.0))
            anomalies.append(record(service, now - WINDOW, signal, "metric", self.number, score, {}))
        del self.firing[:-20_000]
        return anomalies, alerts

    def _alert(self, now: int, service: str) -> Alert:
        severity = str(self.rng.choice(list(SEVERITIES), p=list(SEVERITIES.values())))
        self.number += 1
        self.urgent += severity in ("critical", "high")
        name = NAMES[self.rng.integers(len(NAMES))]
        found = Alert(
            alert_id=f"a{self.number}", name=name, status="firing", starts_at=rfc3339(now - WINDOW), environment="prod",
            service=service, severity=severity, source="alertmanager",  # type: ignore[arg-type]
        )  # fmt: skip
        self.firing.append(found)
        return found


class Driven:
    """A respond stage in a time of its own; what a window costs, from when it is due until its records are bytes."""

    def __init__(self) -> None:
        self.respond = Respond([SOURCE, ALERT_SOURCE])
        self.told = 0
        self.telling = 0.0  # CPU seconds
        self.now = T
        self.cpu: list[float] = []
        self.wall: list[float] = []
        self.incidents: dict[str, Incident] = {}
        self.versions = 0

    def window(
        self,
        system: System,
        faults: dict[str, dict[str, float]],
        anomalies: list[Anomaly],
        alerts: Sequence[Alert] = (),
    ) -> Output:
        self.now += WINDOW
        cpu = time.process_time()
        for k, alert in enumerate(alerts):
            self.respond.tell(ALERT_SOURCE, self.told, "alerts", alert, self.now - WINDOW + k)
            self.told += 1
        self.telling += time.process_time() - cpu
        self.respond.advance(ALERT_SOURCE, due(self.now - WINDOW))
        self.respond.process(SOURCE, [system.findings(self.now, faults, anomalies)])
        wall, cpu = time.perf_counter(), time.process_time()
        out = self.respond.advance(SOURCE, due(self.now - WINDOW))
        for said in (*out.incidents, *out.anomalies, *out.notices, *out.noise):
            encode(said)
        self.cpu.append(time.process_time() - cpu)
        self.wall.append(time.perf_counter() - wall)
        self.versions += len(out.incidents)
        self.incidents |= {incident.incident_id: incident for incident in out.incidents}
        return out

    def gauge(self, name: str) -> float:
        return self.respond.gauges()[f"respond_{name}"]


def quantiles(seconds: list[float]) -> tuple[float, float, float]:
    """Median, 95th percentile, greatest."""
    p50, p95 = np.quantile(seconds, [0.5, 0.95]).tolist()
    return p50, p95, max(seconds)


def fault_of(system: System) -> tuple[str, dict[str, dict[str, float]]]:
    """A service that really fails, and what that does to its callers."""
    service = system.names[len(system.names) // 2]
    faults = {service: {"own": 7.0, "lost": 7.0, "loss": 7.0, "errors": 6.0}}
    return service, faults | {caller: {"errors": 5.5} for caller in system.callers(service)}


def storm(options: Any, found: dict[str, Any]) -> None:
    rng = np.random.default_rng(options.seed)
    system, driven = System(SERVICES, 1.5, rng), Driven()
    share = 10 if options.quick else 1
    alerts, anomalies = ALERTS // share, ANOMALIES // share
    load = Load(system, alerts, anomalies, WINDOWS, rng)
    for _ in range(30):
        driven.window(system, {}, [])
    driven.cpu.clear()
    driven.wall.clear()
    driven.telling = 0.0
    service, faults = fault_of(system)
    gc.collect()
    before, records, half, fullest = rss(), 0, 0, 0.0
    for k in range(2 * WINDOWS):  # the second five minutes show whether memory goes on growing
        anomalies_, messages = load.window(driven.now + WINDOW)
        records += len(anomalies_) + len(messages)
        driven.window(system, faults if k >= 5 else {}, anomalies_, messages)
        fullest = max(fullest, driven.gauge("anomalies"))
        if k == WINDOWS - 1:
            half, cpu, wall, n, telling = rss(), list(driven.cpu), list(driven.wall), records, driven.telling
            first = summary(driven, load, n)
    first |= {"cpu_seconds": sum(cpu) + telling, "per_second": n / (sum(cpu) + telling)}
    for name, taken in (("cpu", cpu), ("wall", wall)):
        first |= dict(zip((f"{name}_p50", f"{name}_p95", f"{name}_max"), quantiles(taken), strict=True))
    first |= {"rss_growth": half - before, "rss_growth_second": rss() - half, "anomalies_kept_most": fullest}
    right = [i for i in driven.incidents.values() if i.causes and i.causes[0].service == service]
    first["fault_found"] = bool(right)
    found["storm.all"] = first
    print(f"messages {n}; critical or high alerts among them {first['urgent']}")
    print(
        f"incidents {first['incidents']}, versions {first['versions']}, members listed {first['listed']},"
        f" storylines {first['storylines']:.0f}"
    )
    print(
        f"compression {first['compression']:.4f} (bar {BARS['compression']}),"
        f" to incidents alone {first['compression_to_incidents']:.5f}"
    )
    print(
        f"critical and high: {first['urgent']:.0f} = {first['joined']:.0f} in incidents + {first['waiting']:.0f} waiting"
        f" + {first['in_storylines']:.0f} in storylines + {first['expired']:.0f} over - {first['again']:.0f} twice:"
        f" {'adds up' if first['adds_up'] else 'DOES NOT ADD UP'}"
    )
    print(f"the service that failed is the first cause of an incident: {first['fault_found']}")
    for name in ("cpu", "wall"):
        print(
            f"from due to record, {name}: p50 {first[f'{name}_p50']:.3f} s, p95 {first[f'{name}_p95']:.3f} s,"
            f" most {first[f'{name}_max']:.3f} s (bar {BARS['seconds_p95']:g})"
        )
    print(f"records a second of CPU: {first['per_second']:,.0f} (bar {BARS['per_second']:,.0f})")
    print(
        f"memory: {first['rss_growth'] / 1e6:.1f} MB in the five minutes, {first['rss_growth_second'] / 1e6:.1f} MB in five more;"
        f" {fullest:.0f} anomalies kept at most",
        flush=True,
    )  # fmt: skip


def summary(driven: Driven, load: Load, records: int) -> dict[str, Any]:
    """What became of the messages so far."""
    listed = sum(len(i.members) for i in driven.incidents.values())
    storylines = driven.gauge("noise_storylines")
    went = {
        name: driven.gauge(f"noise_urgent_{name}_total")
        for name in ("joined", "expired", "again", "anomalies", "storyline")
    }
    waiting = driven.gauge("noise_urgent_waiting")
    shown = driven.versions + listed + storylines
    return {
        "records": records, "incidents": len(driven.incidents), "versions": driven.versions, "listed": listed,
        "storylines": storylines, "compression": 1 - shown / records,
        "compression_to_incidents": 1 - len(driven.incidents) / records, "urgent": load.urgent, "waiting": waiting,
        "joined": went["joined"], "expired": went["expired"], "again": went["again"], "in_storylines": went["storyline"],
        "adds_up": load.urgent + went["again"] == went["joined"] + went["expired"] + waiting + went["storyline"],
    }  # fmt: skip


def known(driven: Driven, system: System, n: int) -> list[Anomaly]:
    """So many open anomalies, over all services; they come so slowly that it is no storm."""
    out = [
        record(system.names[k % SERVICES], T, f"{SIGNALS[k % 5]} {chr(97 + k // SERVICES % 26)}", "metric", k, 5.0, {})
        for k in range(n)
    ]
    for at in range(0, n, 25):
        driven.window(system, {}, out[at : at + 25])
    return out


def updated(driven: Driven, anomalies: list[Anomaly]) -> list[Anomaly]:
    """The next record of each."""
    window = Window(start=rfc3339(driven.now), end=rfc3339(driven.now + WINDOW))
    return [msgspec.structs.replace(a, version=a.version + 1, state="update", window=window) for a in anomalies]


def updates(options: Any, found: dict[str, Any]) -> None:
    """Records of anomalies that are open: every one is updated in every window."""
    rng = np.random.default_rng(options.seed)
    system, driven = System(SERVICES, 1.5, rng), Driven()
    anomalies = known(driven, system, 1_000 if options.quick else 10_000)
    _, faults = fault_of(system)
    driven.window(system, faults, [])
    driven.cpu.clear()
    rounds = 5
    for _ in range(rounds):
        anomalies = updated(driven, anomalies)
        driven.window(system, faults, anomalies)
    each = len(anomalies) * rounds / sum(driven.cpu)
    found["storm.updates"] = {"per_second": each, "known": len(anomalies)}
    print(
        f"records of {len(anomalies)} known anomalies a second of CPU: {each:,.0f} (bar {BARS['per_second']:,.0f})",
        flush=True,
    )


def incidents(options: Any, found: dict[str, Any]) -> None:
    """What a record costs beside so many open incidents: windows with many records against the same windows with none."""
    rounds = 6 if options.quick else 24
    print("open incidents  us a record  ms a window without any")
    for n in (1, 10) if options.quick else (1, 10, 100):
        taken = []
        for many in (False, True):
            rng = np.random.default_rng(options.seed)
            system, driven = System(SERVICES, 0.0, rng), Driven()
            anomalies = known(driven, system, 3_000)
            faults = {name: {"own": 8.0, "lost": 7.0, "loss": 7.0} for name in system.names[:n]}
            for _ in range(38):  # until they have settled: what ranking costs is no matter of records
                driven.window(system, faults, [])
            driven.cpu.clear()
            for _ in range(rounds):
                anomalies = updated(driven, anomalies)
                driven.window(system, faults, anomalies if many else [])
            taken.append(sum(driven.cpu) / rounds)
        each, open_ = (taken[1] - taken[0]) / len(anomalies) * 1e6, driven.respond.open
        found[f"storm.beside_{n}"] = {"open": open_, "us": each, "window_ms": taken[0] * 1e3}
        print(f"{open_:14d}  {each:11.1f}  {taken[0] * 1e3:23.1f}", flush=True)


def mesh(options: Any, found: dict[str, Any]) -> None:
    rounds = 20 if options.quick else 60
    for name, broken in (("quiet", False), ("incident", True)):
        rng = np.random.default_rng(options.seed)
        system, driven = System(MESH, 2.0, rng), Driven()
        _, faults = fault_of(system)
        for _ in range(30):
            driven.window(system, {}, [])
        driven.cpu.clear()
        for _ in range(rounds):
            driven.window(system, faults if broken else {}, [])
        p50, p95, most = (1e3 * s for s in quantiles(driven.cpu))
        found[f"storm.mesh_{name}"] = {
            "services": MESH,
            "edges": len(system.edges),
            "ms_p50": p50,
            "ms_p95": p95,
            "ms_max": most,
        }
        print(
            f"a window of {MESH} services, {len(system.edges)} edges, {name}: p50 {p50:.1f} ms of CPU, p95 {p95:.1f},"
            f" most {most:.1f} (bar {BARS['mesh_ms']:g})",
            flush=True,
        )  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a tenth of the messages: to see that it works")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args(arguments)
    results.introduce("respond under a storm of alerts; CPU seconds of one process")
    found: dict[str, Any] = {}
    parts: dict[str, Callable[[Any, dict[str, Any]], None]] = {
        "storm": storm, "updates": updates, "incidents": incidents, "mesh": mesh,
    }  # fmt: skip
    for part in _chosen(options.only):
        parts[part](options, found)
    results.write(options.json, found, seed=options.seed, quick=options.quick)


def _chosen(only: Any) -> Iterator[str]:
    yield from (part for part in PARTS if part in only)


if __name__ == "__main__":
    main()
