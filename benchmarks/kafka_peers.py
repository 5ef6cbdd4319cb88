"""The same windowing done by the role of ingest, by Faust alone and by quixstreams, each from the same full topic.

The job: points of every series aggregated in windows of 10 s by event time, closed 10 s after their end, and sent to a
topic.  The peers decode the official protobuf messages into dictionaries, as `benchmarks.plain_protobuf` does, and
keep what is open in memory, without a changelog and without an exact restart, which favours them.  Each runs alone,
one process; its start (the same process on an empty topic) is taken off.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.kafka_load import Load, Mix, preload
from benchmarks.kafka_rates import QUICK_UNIT, UNIT, Line, beyond, told
from benchmarks.kafka_site import PARTITIONS, ROOT, Site

PEERS = {"faust": "Faust alone", "quixstreams": "quixstreams"}
WAIT = 900.0  # seconds for a peer


def peers(kafka: dict[str, str], folder: Path, quick: bool, python: str) -> list[Line]:
    """Ours and the peers, one after the other; `python`: the interpreter that has quixstreams."""
    unit, windows = (QUICK_UNIT, 4) if quick else (UNIT, 12)
    load, lines = Load.of(Mix(unit.points, 0, 0), 500), list[Line]()
    with Site(kafka, folder, ["metrics"]) as site:
        names = [f"{site.prefix}-{name}" for name in ("empty", *PEERS)]
        admin = AdminClient({**kafka})
        for future in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names]).values():
            future.result()
        nothing = site.start_up("ingest")
        items = preload(site, load, windows, end=False)
        ours = items / beyond(site.cost("ingest"), nothing)
        lines.append(Line("kafka.peer.engine", "windows of metrics: role ingest", ours, "items/s/core"))
        told(lines[-1])
        source, messages = site.raw["metrics"], sum(site.ends([site.raw["metrics"]]).values())
        for name, title in PEERS.items():
            program = [python if name == "quixstreams" else sys.executable, name, kafka["bootstrap.servers"]]
            first, why = cost([*program, f"{site.prefix}-empty", f"{site.prefix}-{name}"], 0)
            whole, why = (0.0, why) if why else cost([*program, source, f"{site.prefix}-{name}"], messages)
            value = None if why else items / beyond(whole, first)
            out = sum(site.ends([f"{site.prefix}-{name}"]).values())
            more = {"why": why} if value is None else {"engine_times": round(ours / value, 1), "messages_out": out}
            lines.append(Line(f"kafka.peer.{name}", f"windows of metrics: {title}", value, "items/s/core", more=more))
            told(lines[-1])
    return lines


def cost(program: list[str], most: int) -> tuple[float, str]:
    """CPU seconds of a peer that leaves after `most` messages; or why there are none."""
    command = [program[0], "-m", "benchmarks.kafka_peer_jobs", *program[1:], str(most)]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT
        )
        end = time.monotonic() + WAIT
        while True:
            pid, status, used = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > end:
                process.kill()
                process.wait()
                return 0.0, f"not done within {WAIT:g} s"
            time.sleep(0.05)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        lines = said.read().decode(errors="replace").split("\n")
    if process.returncode or str(most) not in lines:
        text = " ".join(line for line in lines if line.strip())[-300:]
        return 0.0, f"ended with status {process.returncode}: {text}"
    return used.ru_utime + used.ru_stime, ""
