"""The engine on a real broker: topics, a recorded day, processes of each role that can be killed, stopped and woken."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import yaml

from aiops.recording import Recording
from streams.client import Incidents, Topologies
from streams.local_kafka import LocalKafka
from tests.replaying import driven, last_incidents, last_topology
from tests.streams.log import SIGNALS

ROLES = ("ingest", "assemble", "detect", "respond")
ROOT = Path(__file__).resolve().parents[2]
SESSION = 6.0  # seconds


def replayed(folder: Path) -> bytes:
    """What ``aiops replay --final`` writes."""
    recording = Recording(folder)
    return last_incidents(driven(recording.sources, recording.messages()))


class Deployment:
    """Processes of the roles, in `folder`; what ends although nobody asked it to is started again, as a supervisor would.

    Parameters
    ----------
    kafka : dict
        Properties of a client that may do everything.
    processes : dict
        Role -> how many.
    settings : dict
        More of the configuration.
    """

    def __init__(
        self, kafka: dict[str, str], prefix: str, folder: Path, processes: dict[str, int], **settings: Any
    ) -> None:
        self.prefix, self.folder, self.processes, self.kafka = f"{prefix}aiops", folder, processes, kafka
        self.config = folder / "aiops.yaml"
        self.of: dict[tuple[str, int], subprocess.Popen[bytes]] = {}
        self.stopped: dict[tuple[str, int], float] = {}  # SIGSTOP, until when
        self.later: dict[tuple[str, int], float] = {}  # killed, when to start again
        self.ended: list[tuple[str, int]] = []  # role and status of what ended unasked
        raw = [{"topic": prefix + topic, "signal": of} for of, topic in SIGNALS.items() if of != "commands"]
        whole = {
            "kafka": kafka,
            "prefix": self.prefix,
            "raw": raw,
            "consumer": {"session.timeout.ms": str(int(SESSION * 1000))},
            "clocks": {"idle_after": "never", "hold_limit": "never"},
            "http": {"port": 0},
            **settings,
        }
        self.config.write_text(yaml.safe_dump(whole))

    # ---- commands -----------------------------------------------------------------------------------------------------
    def aiops(self, *words: str, **options: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "streams.cli", *words, "--config", str(self.config)]
        return subprocess.Popen(command, cwd=ROOT, **options)

    def produce(self, day: Path, speed: float = 0.0, end: bool = True) -> subprocess.Popen[bytes]:
        words = ["--end"] if end else []
        words += ["--speed", str(speed)] if speed else []
        with (self.folder / "produce.log").open("wb") as log:
            return self.aiops("produce", str(day), *words, stderr=log)

    # ---- processes ----------------------------------------------------------------------------------------------------
    def __enter__(self) -> Self:
        creating = self.aiops("topics", "create", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        _, err = creating.communicate()
        assert creating.returncode == 0, err.decode()
        for role, n in self.processes.items():
            for i in range(n):
                self.start((role, i))
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.of.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()

    def start(self, who: tuple[str, int]) -> None:
        with (self.folder / f"{who[0]}-{who[1]}.log").open("ab") as log:
            self.of[who] = self.aiops("run", "--role", who[0], stdout=log, stderr=log)

    def kill(self, who: tuple[str, int], back_after: float) -> None:
        self.of[who].kill()
        self.of[who].wait()
        self.later[who] = time.monotonic() + back_after

    def freeze(self, who: tuple[str, int], seconds: float) -> None:
        self.of[who].send_signal(signal.SIGSTOP)
        self.stopped[who] = time.monotonic() + seconds

    def look(self) -> None:
        """Wake what has slept, start what is due, restart what ended."""
        now = time.monotonic()
        for who, until in list(self.stopped.items()):
            if now >= until:
                del self.stopped[who]
                self.of[who].send_signal(signal.SIGCONT)
        for who, process in list(self.of.items()):
            if who in self.later:
                if now >= self.later[who]:
                    del self.later[who]
                    self.start(who)
            elif (status := process.poll()) is not None:
                self.ended.append((who[0], status))
                self.start(who)

    def watch(self, seconds: float) -> None:
        """Look after the processes for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.look()
            time.sleep(0.05)

    # ---- results ------------------------------------------------------------------------------------------------------
    def incidents(self) -> bytes:
        with Incidents(self.kafka, topic=f"{self.prefix}.incidents") as reader:
            return last_incidents(reader.snapshot().values())

    def topology(self) -> bytes:
        with Topologies(self.kafka, topic=f"{self.prefix}.topology") as reader:
            return last_topology(reader.snapshot().values())

    def until_equal(self, expected: bytes, seconds: float, look: Callable[[], bytes] | None = None) -> bytes:
        """The last incidents, or what `look` finds, as soon as they are those expected, or when time is up."""
        end, look = time.monotonic() + seconds, look or self.incidents
        while (found := look()) != expected and time.monotonic() < end:
            self.watch(2.0)
        return found

    def logs(self) -> str:
        """For a failed assertion."""
        texts = [
            f"== {path.name}\n" + "\n".join(path.read_text().splitlines()[-12:]) for path in self.folder.glob("*.log")
        ]
        return "\n".join([f"ended: {self.ended}", *texts])


def torment(
    deployment: Deployment, seed: int, each: int, seconds: float, freeze: bool = True, broker: LocalKafka | None = None
) -> dict[str, int]:
    """Hit every role `each` times within about `seconds`: killed and back at once, killed and back later, or stopped.

    With `broker`, that one is restarted in between: once in order, once by a kill.
    """
    draw = random.Random(seed)
    kinds = ["at once", "later", "frozen"] if freeze else ["at once", "later"]
    hits = [(role, kinds[k % len(kinds)]) for role in ROLES for k in range(each)]
    hits += [("broker", "stopped"), ("broker", "killed")] if broker is not None else []
    draw.shuffle(hits)
    count = dict.fromkeys([kind for _, kind in hits], 0)
    for role, kind in hits:
        deployment.watch(draw.uniform(0.3, 1.7) * seconds / len(hits))
        if broker is not None and role == "broker":
            (broker.stop_node if kind == "stopped" else broker.kill)(1)
            broker.restart(1)
            count[kind] += 1
            continue
        living = [
            who
            for who, process in deployment.of.items()
            if who[0] == role and process.poll() is None and who not in deployment.stopped
        ]
        if not living:
            continue
        who = draw.choice(living)
        count[kind] += 1
        if kind == "frozen":
            deployment.freeze(who, SESSION + 3.0)
        else:
            deployment.kill(who, 0.0 if kind == "at once" else 8.0)
    return count
