"""Operating the roles: what they answer over HTTP, how they stop, and that a broker that does not answer loses nothing."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from prometheus_client.parser import text_string_to_metric_families

from aiops.simulate import Simulation, write
from streams import codec
from streams.health import somebody_owns
from streams.local_kafka import LocalKafka
from tests.kafka.deployment import ROLES, Deployment
from tests.kafka.topics import read
from tests.kafka.waiting import until

pytestmark = pytest.mark.timeout(300)

WAIT = 60.0  # seconds
Samples = dict[str, list[tuple[dict[str, str], float]]]


def lines(deployment: Deployment, role: str) -> list[dict[str, Any]]:
    """Every line that the role wrote; one that is no JSON fails."""
    text = (deployment.folder / f"{role}-0.log").read_text()
    return [json.loads(line) for line in text.splitlines()]


def listens(deployment: Deployment, role: str) -> str:
    """Where a role answers, as its log says."""
    found = [line for line in lines(deployment, role) if line["message"] == "listening"]
    return str(found[-1]["http"]) if found else ""


def get(where: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{where}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def metrics(where: str) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(get(where, "/metrics")[1]):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def total(of: Samples, name: str, **labels: str) -> float:
    return sum(value for at, value in of.get(name, []) if labels.items() <= at.items())


def listening(deployment: Deployment) -> dict[str, str]:
    """Role -> where it answers."""
    return {
        role: str(until(partial(listens, deployment, role), WAIT, why=deployment.logs)) for role in deployment.processes
    }


def ready(where: str) -> bool:
    return get(where, "/readyz") == (200, "ok\n")


@pytest.fixture(scope="module")
def day(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("day")
    write(Simulation(5, 0.4, ["code_error"], rate=1.0), folder)
    return folder


def test_roles_answer_and_stop_when_they_are_told_to(kafka, prefix, tmp_path, day):
    with Deployment(kafka.client(), prefix, tmp_path, dict.fromkeys(ROLES, 1)) as d:
        where = listening(d)
        assert d.produce(day).wait() == 0
        for role in ROLES:
            until(partial(ready, where[role]), WAIT, why=partial(get, where[role], "/readyz"))
            assert get(where[role], "/healthz") == (200, "ok\n")
            assert get(where[role], "/other")[0] == 404
        of = until(
            lambda: done(where), WAIT, why=lambda: {role: get(place, "/metrics") for role, place in where.items()}
        )
        assert total(of["ingest"], "aiops_stage_ingest_items_total") > 1000
        for role, topic in (("assemble", "traces"), ("detect", "signals"), ("respond", "findings")):
            assert total(of[role], "aiops_records_in_total") > 0
            merged = of[role]["aiops_merged_clock_seconds"]
            assert {labels["topic"] for labels, _ in merged} == {f"{d.prefix}.{topic}"}
            assert total(of[role], "aiops_step_seconds_count") > 0
            assert total(of[role], "process_resident_memory_bytes") > 1e7
        assert total(of["ingest"], "aiops_lag_records") == 0
        assert [labels["role"] for labels, _ in of["detect"]["aiops_build_info"]] == ["detect"]

        assert [somebody_owns(kafka.client(), f"{d.prefix}.{role}") for role in ROLES] == [True] * 4
        for role in ROLES:
            d.of[role, 0].send_signal(signal.SIGTERM)
        assert [d.of[role, 0].wait(30) for role in ROLES] == [0, 0, 0, 0], d.logs()
        assert [somebody_owns(kafka.client(), f"{d.prefix}.{role}") for role in [*ROLES, "nobody"]] == [False] * 5
        for role in ROLES:
            said = lines(d, role)
            assert {"time", "level", "role", "message"} <= set(said[0])
            assert {line["role"] for line in said} == {role}
            assert [line for line in said if line["level"] not in {"info", "debug"}] == []
            assert "stopped" in {line["message"] for line in said}


def test_a_second_signal_leaves_at_once_and_without_saving(kafka, prefix, tmp_path):
    with Deployment(kafka.client(), prefix, tmp_path, {"ingest": 1, "respond": 1}) as d:
        where = listening(d)
        for role, place in where.items():
            until(partial(ready, place), WAIT, why=d.logs)
            # Both are there when it wakes, so that the first cannot have been obeyed before the second comes.
            for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGCONT):
                d.of[role, 0].send_signal(number)
            assert d.of[role, 0].wait(20) in {128 + signal.SIGTERM, 128 + signal.SIGINT}, d.logs()
            assert "leaving at once, progress not saved" in {line["message"] for line in lines(d, role)}


def test_an_address_that_is_taken_is_one_clear_error(kafka, prefix, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken, Deployment(kafka.client(), prefix, tmp_path, {}) as d:
        port = taken.getsockname()[1]
        process = d.aiops("run", "--role", "ingest", "--http", f"127.0.0.1:{port}", stderr=subprocess.PIPE)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 2
        assert said.decode().startswith(f"aiops run: http: 127.0.0.1:{port} is taken")
        assert len(said.splitlines()) == 1


def test_a_broker_that_does_not_answer_for_a_while_loses_nothing(tmp_path):
    topic, sent, every = "otlp_metrics", 0, 0.05
    with LocalKafka() as broker, Deployment(broker.client(), "", tmp_path, {"ingest": 1}) as d:
        where = listening(d)["ingest"]
        until(partial(ready, where), WAIT, why=d.logs)
        producer = Producer({**broker.client(), "enable.idempotence": True})
        phases = ((1.5, lambda: broker.pause(1)), (15.0, lambda: broker.resume(1)), (0.5, producer.flush))
        for seconds, then in phases:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                producer.produce(topic, metric(sent, time.time_ns()))
                producer.poll(0)
                sent += 1
                assert d.of["ingest", 0].poll() is None, d.logs()
                assert get(where, "/healthz")[0] == 200
                time.sleep(every)
            then()
        last = time.time_ns() + 60_000_000_000
        for p in range(4):
            producer.produce(topic, b"%d" % last, partition=p, headers=[("aiops.control", b"end")])
        producer.flush()
        until(partial(ready, where), WAIT, why=d.logs)
        found = until(lambda: len(f := points(broker, d.prefix)) >= sent and f, WAIT, why=d.logs)
        assert found == {float(n) for n in range(sent)}
        of = metrics(where)
        assert total(of, "aiops_queue_limit_records", queue="early") > 0
        assert total(of, "aiops_queue_limit_records", queue="producer") > 0
        assert d.of["ingest", 0].poll() is None, d.logs()


def done(where: dict[str, str]) -> dict[str, Samples]:
    """Metrics of all roles, and none before everything has gone through: detect and respond wait for nothing any more."""
    of = {role: metrics(place) for role, place in where.items()}
    settled = all(of[role].get("aiops_lag_records") and total(of[role], "aiops_lag_records") == 0 for role in ROLES)
    told = all("aiops_merged_clock_seconds" in of[role] for role in ROLES)  # a role publishes about once a second
    return of if settled and told and total(of["respond"], "aiops_records_in_total") > 30 else {}


def metric(n: int, at: int) -> bytes:
    """A point of a series of its own, whose value is the number of the message."""
    points = {"dataPoints": [{"timeUnixNano": str(at), "asDouble": float(n)}]}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    scope = {"metrics": [{"name": f"metric_{n}", "gauge": points}]}
    return json.dumps({"resourceMetrics": [{"resource": resource, "scopeMetrics": [scope]}]}).encode()


def points(broker: LocalKafka, prefix: str) -> set[float]:
    """Values of all points in the rows that ingest has sent."""
    found = set[float]()
    for message in read(broker.client(), f"{prefix}.signals"):
        if dict(message.headers() or [])["kind"] == b"rows":
            for rows in codec.decode_rows(message.value() or b"").metrics:
                found |= set(rows.cells["last"].tolist())
    return found
