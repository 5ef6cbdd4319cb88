"""The API on a store of many incidents: how long do the list with filters, a page far down, a search, one incident take?

A server in a thread answers one caller over the loopback; wall time of whole requests, in the same process.  The incidents are
made, with as many members and causes as those of recorded days have: 20 members, 5 causes of 4 pieces of evidence, 12 services.

    python -m benchmarks.api [--incidents 10000] [--requests 100] [--postgres URL] [--json FILE]
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from aiops.records import Cause, Episode, Evidence, Impact, Incident, Member, rfc3339
from aiops.signals import SECOND
from benchmarks import results
from streams.api.app import application
from streams.api.operations import Status
from streams.api.tokens import Token, Tokens, digest
from streams.console.serving import bound, server
from streams.history.batch import Batch
from streams.history.store import Store

BAR = 0.100  # seconds, 95th percentile of the list
TOKEN = "aiops_" + "b" * 43
BEGIN = 1_700_000_000 * SECOND
SERVICES = [f"service-{n}" for n in range(200)]
SEVERITIES: Any = ("critical", "high", "medium", "low", "info")
CASES = {
    "list": "/incidents?limit=50",
    "list.state_severity": "/incidents?state=open&severity=critical&severity=high&limit=50",
    "list.service": "/incidents?service=service-7&limit=50",
    "list.environment_time": "/incidents?environment=env-1&since=2023-11-20T00:00:00Z&until=2023-12-01T00:00:00Z&limit=50",
    "list.cause": "/incidents?cause_service=service-9&cause_kind=code&state=resolved&limit=50",
    "list.words": "/incidents?q=connection+refused+serv&limit=50",
    "list.rare_word": "/incidents?q=marker77&limit=50",
    "list.200": "/incidents?limit=200",
    "list.far_down": "/incidents?limit=50&cursor={cursor}",
    "one": "/incidents/{name}",
    "figures": "/figures",
}


class Nobody:
    """A backend that hears nothing."""

    def status(self) -> Status:
        return Status(kind="embedded", now=rfc3339(BEGIN))

    def now(self) -> int:
        return BEGIN

    def send(self, command: Any) -> None:
        raise AssertionError(command)


def incident(n: int, draw: random.Random) -> Incident:
    services = sorted(draw.sample(SERVICES, 12))
    opened = BEGIN + n * 180 * SECOND
    state: Any = draw.choice(["open", "resolved", "resolved", "resolved"])
    causes = tuple(
        Cause(
            rank=k + 1, service=service, kind=draw.choice(["code", "network", "resource"]), score=5.0 - k,
            confidence=0.8 / (k + 1),
            summary=f"{service} behaves differently in its own code",
            evidence=tuple(
                Evidence(
                    type="trace", weight=1.0,
                    statement=f"connection refused by {draw.choice(SERVICES)}: {draw.random():.3f} of calls",
                )
                for _ in range(4)
            ),
        )
        for k, service in enumerate(services[:5])
    )  # fmt: skip
    members = tuple(
        Member(
            anomaly_id=f"{n:016x}{m:016x}", service=draw.choice(services), signal=f'log line "handler {m} failed after <*> ms"',
            state="closed", onset=rfc3339(opened), score=5.0,
        )
        for m in range(20)
    )  # fmt: skip
    return Incident(
        incident_id=f"{n:032x}", version=3, tenant="default", environment=f"env-{n % 5}", state=state,
        severity=draw.choice(SEVERITIES),
        title=f"{services[0]}: requests fail, marker{n % 500}", summary="requests fail", opened_at=rfc3339(opened),
        onset_at=rfc3339(opened - 60 * SECOND), updated_at=rfc3339(opened + 600 * SECOND),
        resolved_at=rfc3339(opened + 600 * SECOND) if state == "resolved" else None,
        episodes=(Episode(opened_at=rfc3339(opened)),), services=tuple(services), causes=causes, members=members,
        impact=Impact(services=tuple(services[:3]), blast_radius=3), engine_version="0", config_hash="0",
    )  # fmt: skip


def measure(store: Store, many: int, requests: int) -> dict[str, dict[str, float]]:
    listening = bound("127.0.0.1", 0)
    tokens = Tokens([Token(name="bench", sha256=digest(TOKEN).hex())])
    serving = server(application(store, Nobody(), tokens))
    thread = threading.Thread(target=lambda: serving.run(sockets=[listening]), daemon=True)
    thread.start()
    while not serving.started:
        time.sleep(0.01)
    connection = http.client.HTTPConnection("127.0.0.1", listening.getsockname()[1], timeout=30)

    def get(path: str) -> Any:
        connection.request("GET", f"/api/v1{path}", headers={"Authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        return body

    cursor = None
    for _ in range(many // 200 // 2):  # to the middle of the list
        cursor = json.loads(get("/incidents?limit=200" + (f"&cursor={cursor}" if cursor else "")))["next"]
    found = {}
    for name, path in CASES.items():
        asked = path.format(cursor=cursor, name=f"{many // 2:032x}")
        size, took = len(get(asked)), []
        for _ in range(requests):
            began = time.perf_counter()
            get(asked)
            took.append(time.perf_counter() - began)
        took.sort()
        found[name] = {
            "median_ms": 1e3 * took[len(took) // 2], "p95_ms": 1e3 * took[min(len(took) - 1, int(0.95 * len(took)))],
            "bytes": float(size),
        }  # fmt: skip
    connection.close()
    serving.should_exit = True
    thread.join(10)
    listening.close()
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--incidents", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--postgres", metavar="URL", help="an empty database instead of SQLite")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(arguments)
    draw = random.Random(1)
    results.introduce(
        f"{args.incidents} incidents; milliseconds of a whole request; the bar of the list is {1e3 * BAR:.0f}."
    )
    with tempfile.TemporaryDirectory() as folder:
        store = Store(args.postgres or f"sqlite:///{folder}/history.db")
        began = time.process_time()
        for first in range(0, args.incidents, 500):
            these = range(first, min(first + 500, args.incidents))
            store.apply(Batch(incidents=[(incident(n, draw), "opened") for n in these]))
        print(f"written in {time.process_time() - began:.1f} s of CPU, the incidents made included\n")
        found = measure(store, args.incidents, args.requests)
        store.close()
    print(f"{'request':<24}{'median':>10}{'p95':>10}{'bytes':>10}")
    for name, row in found.items():
        print(f"{name:<24}{row['median_ms']:>10.1f}{row['p95_ms']:>10.1f}{row['bytes']:>10.0f}")
    results.write(args.json, found, incidents=args.incidents, database=store.dialect)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
