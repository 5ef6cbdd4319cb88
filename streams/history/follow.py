"""The engine's topics -> the store: from where it stands, as they come; the store is the only state.

Positions are written with what was read, so a crash reads again and the store ignores it.  To fill a store anew, begin with
an empty one: it reads the topics from their beginning.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from aiops.noise_report import decode_noise_report
from aiops.records import RecordError, decode_anomaly, decode_change, decode_incident, decode_notice
from aiops.topology import decode_topology
from streams.clients_common import Connection, NoAnswerError
from streams.codec import CodecError, decode_findings
from streams.history.batch import Batch
from streams.history.retention import Forgetting
from streams.history.store import Store
from streams.messages import END_OF_PARTITION, PASSING
from streams.records import FINDINGS
from streams.settings import Settings
from streams.tasks.respond import transition

log = logging.getLogger(__name__)

BATCH = 500  # messages written together
_GROWTH = 30.0  # seconds between looks for new partitions
_FORGET = 60.0  # seconds between looks for what is too old

Headers = dict[str, bytes]


class Follower:
    """A consumer of all topics that the store keeps.

    Parameters
    ----------
    settings : Settings
        The roles' configuration.

    Raises
    ------
    UserError
        The cluster does not answer, or a topic is not there or may not be read.
    """

    def __init__(self, settings: Settings, store: Store, forgetting: Forgetting) -> None:
        self._store, self._forgetting = store, forgetting
        self.refused = 0
        self.behind: dict[tuple[str, int], int] = {}  # messages up to the end, as of the last look
        self.heard = 0.0  # when a message came last, ``time.time``
        self._take: dict[str, Callable[[Headers, bytes, Batch], None]] = {
            settings.topic("incidents"): _incident,
            settings.topic("incident-events"): _incident,
            settings.topic("anomalies"): lambda _h, value, batch: batch.anomalies.append(decode_anomaly(value)),
            settings.topic("topology"): lambda _h, value, batch: batch.topology.append(decode_topology(value)),
            settings.topic("noise"): lambda _h, value, batch: batch.noise.append(decode_noise_report(value)),
            settings.topic("notices"): lambda _h, value, batch: batch.notices.append(decode_notice(value)),
            settings.topic("findings"): _findings,
        }
        for raw in settings.raw:
            if raw.signal == "changes":
                self._take[raw.topic] = lambda _h, value, batch: batch.changes.append(decode_change(value))
        properties = {
            **settings.consumer_properties(settings.group("console")),
            "enable.auto.commit": False,
            # Where the topic no longer holds what comes next, the rest of it is read; it is known already or new.
            "auto.offset.reset": "earliest",
            "isolation.level": "read_uncommitted",
            "fetch.min.bytes": 1,
        }
        self._connection = Connection(Consumer, properties)
        self._partitions: dict[str, int] = {}
        self._positions = store.positions()
        self._looked = self._forgot = time.monotonic()
        self._assign()

    def step(self, timeout: float) -> int:
        """Read what is there, wait for it up to `timeout` seconds; returns how many messages came."""
        messages = self._connection.client.consume(BATCH, timeout)
        batch, came = Batch(), 0
        for message in messages:
            if (error := message.error()) is not None:
                if error.code() != END_OF_PARTITION and error.code() not in PASSING:
                    raise self._connection.failed(f"topic {message.topic()!r} cannot be read", error)
                continue
            came += 1
            self._one(message, batch)
            batch.positions[message.topic(), message.partition()] = message.offset() + 1
        self._store.apply(batch)
        self._positions |= batch.positions
        if came:
            self.heard = time.time()
        self._look()
        return came

    def close(self) -> None:
        """Leave."""
        self._connection.client.close()

    def measure(self) -> None:
        """Ask how far it is to the ends of the partitions; ``behind`` says it."""
        for topic, count in self._partitions.items():
            for partition in range(count):
                at = TopicPartition(topic, partition)
                try:
                    low, high = self._connection.client.get_watermark_offsets(at, cached=True)
                except KafkaException:
                    continue
                if high >= 0:
                    self.behind[topic, partition] = max(0, high - self._positions.get((topic, partition), max(low, 0)))

    def _one(self, message: Any, batch: Batch) -> None:
        value = message.value()
        if value is None:
            return  # a tombstone: the store has its own retention
        headers: Headers = {name: text or b"" for name, text in message.headers() or ()}
        try:
            self._take[message.topic()](headers, value, batch)
        except (RecordError, CodecError, UnicodeDecodeError) as error:
            self.refused += 1
            place = f"{message.topic()}/{message.partition()} offset {message.offset()}"
            log.warning("%s does not decode and is left out: %s", place, error)

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked > _GROWTH:
            self._looked = now
            try:
                self._assign()
            except NoAnswerError as error:
                log.warning("kafka: %s", error)
            self.measure()
        if now - self._forgot > _FORGET:
            self._forgot = now
            self._forgetting.look(time.time_ns())

    def _assign(self) -> None:
        new: list[TopicPartition] = []
        for topic in self._take:
            count = self._connection.partitions(topic)
            new += [
                TopicPartition(topic, partition, self._positions.get((topic, partition), OFFSET_BEGINNING))
                for partition in range(self._partitions.get(topic, 0), count)
            ]
            self._partitions[topic] = count
        if new:
            self._connection.client.incremental_assign(new)


def _incident(headers: Headers, value: bytes, batch: Batch) -> None:
    incident = decode_incident(value)
    parts = headers.get("ce_type", b"").decode("utf-8", "replace").split(".")  # aiops.incident.opened.v1
    batch.incidents.append((incident, parts[2] if len(parts) > 2 else transition(incident)))


def _findings(headers: Headers, value: bytes, batch: Batch) -> None:
    if headers.get("kind", b"").decode("utf-8", "replace") == FINDINGS:  # else a clock, or what respond is told
        batch.findings.append((headers.get("source", b"").decode("utf-8", "replace"), decode_findings(value)))
