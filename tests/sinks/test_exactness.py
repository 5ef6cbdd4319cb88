"""Every due notification is delivered, in order, under one id, and nothing silent is: whatever fails, whatever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import closing, suppress
from pathlib import Path

import pytest

from aiops.notify.config import NotifyConfig, Sink
from aiops.notify.notification import Notification, decode_notification
from aiops.records import encode
from streams.sinks import courier as courier_module
from streams.sinks.couriers import Couriers
from streams.sinks.files import decisions, deliver
from tests.notify.stories import Story
from tests.sinks.faulty import Endpoint, until
from tests.streams.configured import MINIMAL

ROOT = Path(__file__).resolve().parents[2]


def incidents(rng, n=12):
    """Some incidents that open, change, end and come back, in the order of time."""
    stories = [Story(f"i{k}", severity="medium", settled=True) for k in range(n)]
    out = []
    for k, story in enumerate(stories):
        at = float(k)
        out.append((at, story.at(at, severity="critical" if k % 3 == 0 else "low")))
        for _ in range(int(rng.integers(2, 6))):
            at += float(rng.integers(20, 400))
            what = rng.choice(["same", "high", "critical", "resolved", "back"])
            if what == "resolved" and story.now.state == "open":
                out.append((at, story.at(at, state="resolved")))
            elif what == "back" and story.now.state == "resolved":
                out.append((at, story.again(at)))
            else:
                out.append(
                    (at, story.at(at, **({} if what in ("same", "resolved", "back") else {"severity": str(what)})))
                )
    return [version for _, version in sorted(out, key=lambda item: (item[0], item[1].incident_id))]


@pytest.fixture
def fast(monkeypatch):
    """Back-off in hundredths of what it is."""
    for name in ("FIRST", "LONGEST", "LONGEST_PAUSE", "LONGEST_ASKED"):
        monkeypatch.setattr(courier_module, name, getattr(courier_module, name) / 200)


def due_of(config, path):
    """Per incident the ids that must arrive, in order; and all others, which must not."""
    due, silent = defaultdict(list), set()
    for record in decisions(config, path):
        if record.outcome == "told":
            due[record.incident_id].append(record.notification_id)
        else:
            silent.add(record.notification_id)
    return due, silent - {name for ids in due.values() for name in ids}


def seen(bodies):
    """Per incident the ids that came: in order, and each once by its id."""
    came: dict[str, list[str]] = defaultdict(list)
    for body in bodies:
        if body["id"] not in came[body["key"]]:
            came[body["key"]].append(body["id"])
    return came


def no_step_back(bodies):
    """Repeats by id left out, is each incident's order that of the decisions, at the receiver?"""
    for key in {body["key"] for body in bodies}:
        order = [body["time"] for body in bodies if body["key"] == key]
        newest = ""
        for time_, nxt in zip(order, [*order[1:], None], strict=True):
            assert time_ >= newest or nxt is None or time_ == newest, order
            newest = max(newest, time_)


FAULTS = [
    pytest.param([503] * 15, id="500s"),
    pytest.param([(429, {"Retry-After": "1"})] * 8, id="429"),
    pytest.param(["cut", "late-cut", "cut", "late-cut"] * 4, id="cut"),
    pytest.param([("slow", 0.4)] * 3, id="slow"),
    pytest.param(["late-cut", 500, "cut", ("slow", 0.4), (429, {"Retry-After": "1"}), 200] * 4, id="everything"),
]


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("plan", FAULTS)
def test_a_faulty_endpoint_gets_all_that_is_due_in_order(plan, rng, tmp_path):
    path = tmp_path / "incidents.jsonl"
    path.write_bytes(b"".join(encode(i) + b"\n" for i in incidents(rng)))
    with Endpoint(plan) as there, (tmp_path / "records").open("wb") as records:
        sink = Sink("hook", "webhook", url=there.url, rate=60_000, timeout=200_000_000)
        config = NotifyConfig(sinks=(sink,))
        due, silent = due_of(config, path)
        couriers = Couriers(config.sinks)
        couriers.start()
        assert deliver(config, path, tmp_path / "state", couriers, records, patience=20) == 0
        couriers.stop()
        assert deliver(config, path, tmp_path / "state", Couriers(config.sinks), records, patience=0) == 0, (
            "read from the start again"
        )
        until(lambda: len(seen(there.bodies())) == len(due))
    assert seen(there.bodies()) == due
    assert not {body["id"] for body in there.bodies()} & silent
    no_step_back(there.bodies())
    last: dict[str, Notification] = {}
    for line in (tmp_path / "records").read_bytes().splitlines():
        record = decode_notification(line)
        assert record.version >= last.get(record.notification_id, record).version
        last[record.notification_id] = record
    told = [r for r in last.values() if r.outcome == "told"]
    assert {d.state for r in told for d in r.deliveries} == {"delivered"}
    assert len(told) <= 4 * len(due), "at most four an incident on average"


@pytest.mark.usefixtures("fast")
def test_an_endpoint_that_is_down_gets_it_when_it_is_back(rng, tmp_path):
    path = tmp_path / "incidents.jsonl"
    path.write_bytes(b"".join(encode(i) + b"\n" for i in incidents(rng)))
    with Endpoint() as there:
        port = there.port
    config = NotifyConfig(sinks=(Sink("hook", "webhook", url=f"http://127.0.0.1:{port}/", rate=60_000),))
    due, _ = due_of(config, path)
    couriers = Couriers(config.sinks)
    couriers.start()
    with (tmp_path / "records").open("wb") as records:
        left = deliver(config, path, tmp_path / "state", couriers, records, patience=0.3)
        couriers.stop()
        assert left == sum(map(len, due.values()))
        with Endpoint(port=port) as there:
            couriers = Couriers(config.sinks)
            couriers.start()
            assert deliver(config, path, tmp_path / "state", couriers, records, patience=10) == 0
            couriers.stop()
    assert seen(there.bodies()) == due
    assert len(there.bodies()) == sum(map(len, due.values()))


def test_a_process_that_is_killed_again_and_again_delivers_all_in_the_end(rng, tmp_path):
    path = tmp_path / "incidents.jsonl"
    path.write_bytes(b"".join(encode(i) + b"\n" for i in incidents(rng, 16)))
    with Endpoint(["late-cut" if k % 7 == 3 else ("slow", 0.01) for k in range(60)]) as there:
        config = tmp_path / "aiops.yaml"
        config.write_text(
            f"{MINIMAL}notify: {{sinks: [{{name: hook, kind: webhook, url: '{there.url}', rate: 60000}}]}}\n"
        )
        from streams.settings import load

        due, silent = due_of(load(config).notify, path)
        command = [sys.executable, "-m", "streams.cli", "sinks", "run", "--config", str(config), "--file", str(path)]
        for wait in (0.0, 0.05, 0.15, 0.3):
            process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
            before = len(there.taken)
            with suppress(AssertionError):
                until(lambda n=before: len(there.taken) > n, 8)  # type: ignore[misc]
            time.sleep(wait)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        assert subprocess.run(command, cwd=ROOT, check=False, stderr=subprocess.DEVNULL).returncode == 0
        taken = len(there.taken)
        assert subprocess.run(command, cwd=ROOT, check=False, stderr=subprocess.DEVNULL).returncode == 0
        assert len(there.taken) == taken, "nothing is sent again"
    assert seen(there.bodies()) == due
    assert not {body["id"] for body in there.bodies()} & silent


def test_a_state_that_cannot_be_opened_is_named(tmp_path):
    from aiops.errors import UserError
    from streams.sinks.files import Store

    (tmp_path / "state").write_bytes(b"no database at all" * 100)
    with pytest.raises(UserError, match="state"), closing(Store(tmp_path / "state")):
        pass
