"""Messages of the client library as records of the engine; its error codes under public names."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, KafkaError, KafkaException, Message

from streams.records import Headers, Raw, Record

# The library writes the codes that are its own, not the broker's, with an underscore.
END_OF_PARTITION = KafkaError._PARTITION_EOF  # noqa: SLF001
ALL_BROKERS_DOWN = KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001
TRANSPORT = KafkaError._TRANSPORT  # noqa: SLF001
TIMED_OUT = KafkaError._TIMED_OUT  # noqa: SLF001
# What is over when the cluster has settled: a broker that has just started says so of topics and groups that are there.
UNSETTLED = frozenset(
    {
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)
# The same, and what a broker that is away looks like, of a topic that is known to be there.
PASSING = UNSETTLED | {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.REQUEST_TIMED_OUT,
    TRANSPORT,
    TIMED_OUT,
    ALL_BROKERS_DOWN,
}
PATIENCE = 60.0  # seconds for a broker to come back to who begins

T = TypeVar("T")


def patiently(ask: Callable[[], T], seconds: float = PATIENCE) -> T:
    """Ask the broker again while it is away or has just started.

    Raises
    ------
    KafkaException
        It refuses, or `seconds` have passed.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in PASSING or time.monotonic() > until:
                raise
            time.sleep(0.5)


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
