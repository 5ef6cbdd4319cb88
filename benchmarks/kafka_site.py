"""The engine on a real broker, for benchmarks: topics of its own, telemetry in them, processes whose CPU time is known."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

import yaml
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from prometheus_client.parser import text_string_to_metric_families

from aiops.errors import UserError
from aiops.signals import SECOND

ROOT = Path(__file__).resolve().parents[1]
TOPICS = {"metrics": "otlp_metrics", "logs": "otlp_logs", "traces": "otlp_spans"}
READS = {"assemble": "traces", "detect": "signals", "respond": "findings"}
PARTITIONS = 4
PATIENCE = 600.0  # seconds without progress after which a benchmark gives up
SETTLED = 3.0  # seconds after which a group has shared out its partitions for good
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
_MS = 1_000_000


class Sent(NamedTuple):
    """A message of a raw topic; `time` is its arrival, Unix ns."""

    signal: str
    partition: int
    value: bytes
    time: int


def cpu_of(pid: int) -> float:
    """CPU seconds, user and system, of a process that runs."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_of(pid: int) -> int:
    """Bytes of memory of a process that runs."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


class Process:
    """A process of a role.

    Attributes
    ----------
    cpu : float
        CPU seconds of its whole life, user and system; known when it has ended.
    """

    def __init__(self, role: str, config: Path, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.role, self.log, self.cpu = role, log, 0.0
        command = [sys.executable, "-m", "streams.cli", "run", "--role", role, "--config", str(config)]
        with log.open("ab") as out:
            self._of = subprocess.Popen(  # noqa: S603 - our own command
                [*command, "--http", f"127.0.0.1:{self.port}"], cwd=ROOT, stdout=out, stderr=out
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._of.pid

    def samples(self) -> dict[tuple[str, str, str], float]:
        """What ``/metrics`` says: (name, topic, partition) -> value; nothing while the process does not answer."""
        if self._of.poll() is not None:
            raise UserError(f"{self.role} ended with status {self._of.returncode}: {tail(self.log)}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
                text = answer.read().decode()
        except OSError:
            return {}
        return {
            (s.name, s.labels.get("topic", ""), s.labels.get("partition", "")): s.value
            for family in text_string_to_metric_families(text)
            for s in family.samples
        }

    def end(self, number: int = signal.SIGTERM) -> float:
        """Stop it; returns its CPU seconds."""
        if self._of.returncode is None:
            self._of.send_signal(number)
            _, status, used = os.wait4(self._of.pid, 0)
            self._of.returncode = os.waitstatus_to_exitcode(status)
            self.cpu = used.ru_utime + used.ru_stime
            if number == signal.SIGTERM and self._of.returncode:
                raise UserError(f"{self.role} ended with status {self._of.returncode}: {tail(self.log)}")
        return self.cpu


class Site:
    """Topics and groups of one measurement, as a context manager; its topics are deleted at the end.

    Parameters
    ----------
    kafka : dict
        Properties of a client that may do everything.
    signals : iterable of {'metrics', 'logs', 'traces'}
        Raw topics to have.
    live : bool
        Sources that say nothing are not waited for, as nobody commands anything here.
    """

    def __init__(self, kafka: dict[str, str], folder: Path, signals: Iterable[str], live: bool = False) -> None:
        self.kafka, self.prefix = kafka, f"bench-{secrets.token_hex(4)}"
        self.raw = {signal_: f"{self.prefix}-{TOPICS[signal_]}" for signal_ in signals}
        self.folder = folder / self.prefix
        self.folder.mkdir(parents=True)
        self.config = self.folder / "aiops.yaml"
        self.processes: list[Process] = []
        whole = {
            "kafka": kafka, "prefix": f"{self.prefix}.aiops",
            "raw": [{"topic": topic, "signal": signal_} for signal_, topic in self.raw.items()],
            "clocks": {"idle_after": "30s" if live else "never", "hold_limit": "never"},
        }  # fmt: skip
        self.config.write_text(yaml.safe_dump(whole))
        self._consumer = Consumer({**kafka, "group.id": f"{self.prefix}-look", "enable.auto.commit": False})

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "streams.cli", "topics", "create", "--config", str(self.config)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)  # noqa: S603 - our own command
        if done.returncode:
            raise UserError(f"topics create: {done.stderr.decode().strip()}")
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            with contextlib.suppress(UserError):
                process.end(signal.SIGKILL)
        self._consumer.close()
        admin = AdminClient({**self.kafka})
        names = [name for name in admin.list_topics(timeout=30).topics if name.startswith(self.prefix)]
        for future in admin.delete_topics(names).values():
            future.result()

    # ---- topics -------------------------------------------------------------------------------------------------------
    def topic(self, name: str) -> str:
        """Full name of a topic of the engine."""
        return f"{self.prefix}.aiops.{name}"

    def read_by(self, role: str) -> list[str]:
        """Topics that a role reads."""
        return [*self.raw.values(), self.topic("commands")] if role == "ingest" else [self.topic(READS[role])]

    def ends(self, topics: Iterable[str]) -> dict[tuple[str, str], int]:
        """(topic, partition) -> offset after the last record."""
        found = {}
        for topic in topics:
            for p in self._consumer.list_topics(topic, timeout=30).topics[topic].partitions:
                found[topic, str(p)] = self._consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=30)[1]
        return found

    def send(self, messages: Iterable[Sent], end: int = 0) -> None:
        """Preload raw topics; `end` > 0: then the end of the input, with that clock (Unix ns), in every partition."""
        producer = Producer({**self.kafka, **PRODUCER})
        last = 0
        for message in messages:
            produce(producer, self.raw[message.signal], message.partition, message.value, message.time // _MS)
            last = message.time
        for topic in (*self.raw.values(), self.topic("commands")) if end else ():
            for p in range(PARTITIONS):
                produce(producer, topic, p, b"%d" % end, last // _MS, [("aiops.control", b"end")])
        if producer.flush(120):
            raise UserError("the broker does not take what is sent")

    def records(self, topic: str) -> Iterator[tuple[int, dict[str, bytes], int]]:
        """(time of its creation in Unix ms, headers, bytes) of every record of a topic of the engine, as it is now."""
        places = {place: end for place, end in self.ends([self.topic(topic)]).items() if end}
        properties = {"group.id": f"{self.prefix}-read", "enable.auto.commit": False, "enable.partition.eof": True}
        consumer = Consumer({**self.kafka, **properties})
        consumer.assign([TopicPartition(name, int(p), 0) for name, p in places])
        ended = 0
        while ended < len(places):
            for message in consumer.consume(1000, 1.0):
                if message.error() is not None:
                    ended += 1
                    continue
                headers = {k: v for k, v in message.headers() or [] if isinstance(v, bytes)}
                yield message.timestamp()[1], headers, len(message.value() or b"")
        consumer.close()

    # ---- processes ----------------------------------------------------------------------------------------------------
    def start(self, role: str, n: int = 1) -> list[Process]:
        """Start processes of a role."""
        started = []
        for _ in range(n):
            started.append(Process(role, self.config, self.folder / f"{role}-{len(self.processes)}.log"))
            self.processes.append(started[-1])
        return started

    def behind(self, role: str, processes: list[Process]) -> int | None:
        """Records of those there were when asked that they have not read; None while they do not share all partitions."""
        ends = self.ends(self.read_by(role))  # before the positions, or what arrives between the two looks like a delay
        owned = [
            {(topic, p): value for (name, topic, p), value in process.samples().items() if name == "aiops_position"}
            for process in processes
        ]
        at = {place: value for places in owned for place, value in places.items()}
        if not all(owned) or sum(map(len, owned)) != len(ends) or at.keys() != ends.keys():
            return None
        return int(sum(max(0, end - at[place]) for place, end in ends.items()))

    def until_read(self, role: str, processes: list[Process], every: float = 0.5) -> float:
        """Wait until processes of a role have read all that there is; returns wall seconds."""
        begun = since = time.monotonic()
        least: float = float("inf")
        while (behind := self.behind(role, processes)) != 0:
            now = time.monotonic()
            if behind is not None and behind < least:
                least, since = behind, now
            if now - since > PATIENCE:
                raise UserError(f"{role} gets no further: {behind} records left: {tail(processes[0].log)}")
            time.sleep(every)
        return time.monotonic() - begun

    def start_up(self, role: str, n: int = 1) -> float:
        """CPU seconds of `n` processes that find nothing to read; the first start on a machine may compile, so the second."""
        return min(self.cost(role, n) for _ in range(2))

    def cost(self, role: str, n: int = 1) -> float:
        """CPU seconds that `n` processes of a role take from their start to their end, all there is read."""
        processes = self.start(role, n)
        self.until_read(role, processes)
        time.sleep(SETTLED if n > 1 else 0.0)  # who leaves a group that still shares out waits for it
        self.until_read(role, processes)
        return sum([process.end() for process in processes])


PRODUCER = {
    "acks": "all", "enable.idempotence": "true", "compression.type": "lz4", "linger.ms": "10", "batch.size": "1048576",
    "queue.buffering.max.kbytes": "262144", "message.max.bytes": str(16 << 20),
}  # fmt: skip


def produce(
    producer: Producer, topic: str, partition: int, value: bytes, ms: int, headers: list[tuple[str, Any]] | None = None
) -> None:
    """Queue a message, waiting while the queue is full."""
    while True:
        try:
            producer.produce(topic, value, partition=partition, timestamp=ms, headers=headers or [])
        except BufferError:
            producer.poll(0.05)
        else:
            producer.poll(0)
            return


def tail(log: Path) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text().splitlines()[-5:])


def recent(span: int) -> int:
    """Unix ns at which something of `span` ns must begin so that it ends about now; a multiple of 10 s."""
    return (time.time_ns() - span) // (10 * SECOND) * (10 * SECOND)
