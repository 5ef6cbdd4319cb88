"""The engine's public topics for other programs: typed events, one by one as they come, or the newest of each id.

>>> from streams.client import Incidents
>>> with Incidents({"bootstrap.servers": "127.0.0.1:9092"}) as incidents:  # doctest: +SKIP
...     for event in incidents:
...         print(event.record.title, event.headers.get("ce_type"))

Consumers upsert by id and keep the greatest version: after a crash the engine may write a version again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from aiops.errors import UserError
from aiops.noise_report import NoiseReport, decode_noise_report
from aiops.records import (
    Anomaly,
    Incident,
    Notice,
    RecordError,
    decode_anomaly,
    decode_incident,
    decode_notice,
)
from aiops.topology import Topology, decode_topology
from streams.clients_common import PATIENCE, Connection, NoAnswerError
from streams.messages import PASSING
from streams.settings import Settings

Record = TypeVar("Record")
_GROUPLESS = "aiops-reader"  # librdkafka wants a name; nothing is ever committed under it
_BATCH = 1000
_GROWTH = 30.0  # seconds between looks for new partitions
_FATAL = frozenset({
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event(Generic[Record]):
    """A record of a topic, and where it stands.

    Attributes
    ----------
    record : Incident, Anomaly, Topology or Notice, or None
        None where `value` is (the id was forgotten: a tombstone), or where it does not decode.
    error : str
        Why the value does not decode; empty where it does.
    value, key : bytes or None
        As they stand in the topic.
    headers : dict, name -> text
        CloudEvents (``ce_type`` …), ``version`` and others.
    topic, partition, offset
    timestamp : int
        ms since 1970, as the producer set it.
    """

    record: Record | None
    error: str
    value: bytes | None
    key: bytes | None
    headers: dict[str, str]
    topic: str
    partition: int
    offset: int
    timestamp: int

    @property
    def incident(self) -> Record:
        """The record, by its name among incidents; an event without one raises ``UserError``."""
        return self._given()

    @property
    def anomaly(self) -> Record:
        """The record, by its name among anomalies; an event without one raises ``UserError``."""
        return self._given()

    @property
    def tombstone(self) -> bool:
        """Does it say that its key is forgotten?"""
        return self.value is None

    @property
    def place(self) -> str:
        """Topic, partition and offset in words."""
        return f"{self.topic}/{self.partition} offset {self.offset}"

    def _given(self) -> Record:
        if self.record is None:
            raise UserError(f"{self.place}: {self.error or 'a tombstone, which holds no record'}")
        return self.record


@dataclass(slots=True)
class _Reading:
    """A consumer, and what it was last asked."""

    connection: Connection
    consumer: Consumer
    grouped: bool
    looked: float = field(default_factory=time.monotonic)
    partitions: int = 0


class Reader(Generic[Record]):
    """Events of a topic, oldest first within a partition.

    Parameters
    ----------
    cluster : Settings or mapping
        Where the cluster is: settings of the engine, or properties of librdkafka.
    topic : str, optional
        None: the one of the engine with the default prefix.
    group : str, optional
        Consumer group that shares the partitions and remembers how far it has come: what the loop has asked to go on
        from is committed.  None: all partitions, nothing committed.
    start : {'earliest', 'latest'}
        Where to begin; with a group, only where it has not committed anything yet.
    undecodable : {'raise', 'yield'}
        A value that does not decode ends the loop with an error, or is an event with ``error``.

    Raises
    ------
    UserError
        The cluster does not answer, the topic is not there, or may not be read.
    """

    default_topic: ClassVar[str]
    decode: Callable[[bytes], Record]  # value -> record; raises ``RecordError``

    def __init__(
        self,
        cluster: Settings | Mapping[str, Any],
        topic: str | None = None,
        group: str | None = None,
        start: Literal["earliest", "latest"] = "earliest",
        undecodable: Literal["raise", "yield"] = "raise",
    ) -> None:
        for name, value, allowed in (
            ("start", start, ("earliest", "latest")),
            ("undecodable", undecodable, ("raise", "yield")),
        ):
            if value not in allowed:
                raise ValueError(f"{name} {value!r} is not one of {', '.join(map(repr, allowed))}")
        self.topic, self.group = topic or self.default_topic, group
        self._cluster, self._start, self._undecodable = cluster, start, undecodable
        self._unstored: Message | None = None
        self._reading = self._connected(group)
        self._closed = False
        if group is None:
            self._assign_new(first=True)
        else:
            self._reading.partitions = self._reading.connection.partitions(self.topic)
            self._reading.consumer.subscribe([self.topic])

    # ---- one by one ---------------------------------------------------------------------------------------------------
    def __iter__(self) -> Iterator[Event[Record]]:
        """Events as they come, for ever; ends when the reader is closed."""
        while not self._closed:
            event = self.poll(1.0)
            if event is not None:
                yield event

    def poll(self, timeout: float) -> Event[Record] | None:
        """The next event, or None where there is none within `timeout` seconds.

        Raises
        ------
        UserError
            The topic may not be read or is gone, or a value does not decode and `undecodable` is ``'raise'``.
        """
        reading = self._reading
        if self._unstored is not None:  # the caller is done with it
            reading.consumer.store_offsets(message=self._unstored)
            self._unstored = None
        if self.group is None and time.monotonic() - reading.looked > _GROWTH:
            reading.looked = time.monotonic()
            with contextlib.suppress(NoAnswerError):  # it is asked again later
                self._assign_new(first=False)
        until = time.monotonic() + timeout
        message = reading.consumer.poll(timeout)
        while message is not None and _empty(message, reading):
            message = reading.consumer.poll(max(0.0, until - time.monotonic()))
        if message is None:
            return None
        if self.group is not None:
            self._unstored = message
        return self._event(message)

    def close(self) -> None:
        """Leave; a group's offsets are committed."""
        if not self._closed:
            self._closed = True
            self._reading.consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- all at once --------------------------------------------------------------------------------------------------
    def until_end(self) -> Iterator[Event[Record]]:
        """All events of the topic from its beginning to where its partitions end now; loops over events are not disturbed.

        Raises
        ------
        UserError
            As ``poll``; also where the cluster stops to answer.
        """
        reading = self._connected(None, {"enable.partition.eof": True})
        consumer = reading.consumer
        try:
            ends: dict[int, int] = {}
            for partition in range(reading.connection.partitions(self.topic)):
                low, high = self._watermarks(reading, partition)
                if low < high:
                    ends[partition] = high
                    consumer.incremental_assign([TopicPartition(self.topic, partition, low)])
            heard = time.monotonic()
            while ends:
                messages = consumer.consume(_BATCH, 0.2)
                if messages:
                    heard = time.monotonic()
                elif time.monotonic() - heard > 6 * PATIENCE:
                    raise self._silence(reading, ends)
                for message in messages:
                    at: Any = message.partition(), message.offset()
                    partition, offset = at
                    if _empty(message, reading):
                        reached = -1 if offset is None else offset  # a complaint has none
                    else:
                        reached = offset + 1
                        if offset < ends.get(partition, 0):
                            yield self._event(message)
                    # By position, not by count: compaction leaves holes, also at the end.
                    if partition in ends and reached >= ends[partition]:
                        del ends[partition]
                        consumer.incremental_unassign([TopicPartition(self.topic, partition)])
        finally:
            consumer.close()

    # ---- Kafka --------------------------------------------------------------------------------------------------------
    def _connected(self, group: str | None, more: Mapping[str, Any] | None = None) -> _Reading:
        name = group or _GROUPLESS
        if isinstance(self._cluster, Settings):
            properties: dict[str, Any] = dict(self._cluster.consumer_properties(name))
        else:
            properties = {**self._cluster, "group.id": name}
        properties |= {
            "auto.offset.reset": self._start,
            # Offsets are stored when the caller comes back for the next event, and committed in the background.
            "enable.auto.commit": group is not None,
            "enable.auto.offset.store": False,
            "fetch.min.bytes": 1,
            **(more or {}),
        }
        # The engine writes without transactions; somebody else's open one must not keep a reader from the end.
        properties.setdefault("isolation.level", "read_uncommitted")
        connection = Connection(Consumer, properties)
        return _Reading(connection, connection.client, group is not None)

    def _assign_new(self, first: bool) -> None:
        """Read the partitions that are not read yet; those that came later from their beginning."""
        reading = self._reading
        count = reading.connection.partitions(self.topic)
        new = []
        for partition in range(reading.partitions, count):
            low, high = self._watermarks(reading, partition)
            new.append(TopicPartition(self.topic, partition, high if first and self._start == "latest" else low))
        reading.partitions = count
        if new:
            reading.consumer.incremental_assign(new)

    def _watermarks(self, reading: _Reading, partition: int) -> tuple[int, int]:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                at = TopicPartition(self.topic, partition)
                found: Any = reading.consumer.get_watermark_offsets(at, timeout=PATIENCE)
            except KafkaException as error:
                failed = reading.connection.failed(f"topic {self.topic!r} cannot be read", error)
                if error.args[0].code() not in PASSING:
                    raise failed from None
                if time.monotonic() > until:
                    raise NoAnswerError(failed) from None
                time.sleep(0.1)  # a partition that was just made, or whose broker left, has a leader soon
            else:
                if found is None:
                    raise NoAnswerError(f"topic {self.topic!r}: no answer about partition {partition}")
                return int(found[0]), int(found[1])

    def _silence(self, reading: _Reading, ends: Mapping[int, int]) -> UserError:
        left = ", ".join(f"{self.topic}/{partition}" for partition in sorted(ends))
        return reading.connection.failed(f"the end of {left} was not reached", KafkaError(KafkaError.REQUEST_TIMED_OUT))

    def _event(self, message: Any) -> Event[Record]:
        value = message.value()
        record, reason = None, ""
        if value is not None:
            try:
                record = self.decode(value)
            except RecordError as error:
                reason = str(error)
        headers = {name: (text or b"").decode("utf-8", "replace") for name, text in message.headers() or ()}
        where = message.topic(), message.partition(), message.offset(), message.timestamp()[1]
        event = Event(record, reason, value, message.key(), headers, *where)
        if reason and self._undecodable == "raise":
            raise UserError(f"{event.place} does not decode: {reason}")
        return event


class _Versioned(Reader[Record]):
    """A topic whose records have an id and a version."""

    id_field: ClassVar[str]

    def snapshot(self) -> dict[str, Record]:
        """The greatest version of each id that the topic holds now; ids whose last word is a tombstone are left out."""
        return {i: e.record for i, e in self.snapshot_events().items() if e.record is not None}

    def snapshot_events(self) -> dict[str, Event[Record]]:
        """The same as events, with headers and the bytes as they stand.

        Values that do not decode have no id: they raise ``UserError``, whatever `undecodable` says.
        """
        newest: dict[str, Event[Record]] = {}
        versions: dict[str, int] = {}
        for event in self.until_end():
            if event.tombstone:
                forgotten = (event.key or b"").decode("utf-8", "replace")
                newest.pop(forgotten, None)
                versions.pop(forgotten, None)
                continue
            record: Any = event.incident
            name = getattr(record, self.id_field)
            if record.version >= versions.get(name, 0):
                newest[name], versions[name] = event, record.version
        return newest


class Incidents(_Versioned[Incident]):
    """Versions of incidents; parameters as of ``Reader``."""

    default_topic, id_field = "aiops.incidents", "incident_id"
    decode = staticmethod(decode_incident)


class Anomalies(_Versioned[Anomaly]):
    """Versions of anomalies; parameters as of ``Reader``."""

    default_topic, id_field = "aiops.anomalies", "anomaly_id"
    decode = staticmethod(decode_anomaly)


class Topologies(_Versioned[Topology]):
    """Services and edges of the topology; parameters as of ``Reader``."""

    default_topic, id_field = "aiops.topology", "topology_id"
    decode = staticmethod(decode_topology)


class Notices(Reader[Notice]):
    """Notices about the telemetry itself; parameters as of ``Reader``."""

    default_topic = "aiops.notices"
    decode = staticmethod(decode_notice)


class NoiseReports(Reader[NoiseReport]):
    """How much telemetry became how few incidents; parameters as of ``Reader``."""

    default_topic = "aiops.noise"
    decode = staticmethod(decode_noise_report)


def _empty(message: Message, reading: _Reading) -> bool:
    """Is it no record: the end of a partition, or a complaint after which the client goes on by itself?"""
    error = message.error()
    if error is None:
        return False
    # librdkafka looks for the group's coordinator though nothing is asked of it.
    passing = error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED and not reading.grouped
    if error.fatal() or (error.code() in _FATAL and not passing):
        what = f"topic {message.topic()!r}" if message.topic() else "the topic"
        raise reading.connection.failed(f"{what} cannot be read", error)
    return True
