"""Messages of the client library as records of the engine; its error codes under public names."""

from __future__ import annotations

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, KafkaError, Message

from streams.records import Headers, Record
from streams.tasks.ingest import Raw

# The library writes the codes that are its own, not the broker's, with an underscore.
END_OF_PARTITION = KafkaError._PARTITION_EOF  # noqa: SLF001
ALL_BROKERS_DOWN = KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001
TRANSPORT = KafkaError._TRANSPORT  # noqa: SLF001


def offset_of(message: Message) -> int:
    """Offset of a message that came from a broker."""
    offset = message.offset()
    assert offset is not None
    return offset


def place_of(message: Message) -> tuple[str, int]:
    """Topic and partition of a message that came from a broker."""
    topic, partition = message.topic(), message.partition()
    assert topic is not None
    assert partition is not None
    return topic, partition


def headers_of(message: Message) -> Headers:
    """Headers; a value of none is empty."""
    given = message.headers() or []
    pairs = given.items() if isinstance(given, dict) else given
    return [(name, value.encode() if isinstance(value, str) else value or b"") for name, value in pairs]


def record_of(message: Message) -> Record:
    """A record of an internal topic."""
    return Record(offset_of(message), dict(headers_of(message)), message.value() or b"")


def raw_of(message: Message) -> Raw:
    """A message of a raw topic."""
    kind, ms = message.timestamp()
    arrival = 0 if kind == TIMESTAMP_NOT_AVAILABLE else max(0, ms) * 1_000_000
    return Raw(offset_of(message), arrival, message.key(), message.value() or b"", headers_of(message))
