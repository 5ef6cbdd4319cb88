"""Does a client of Kafka still know a broker?  Its statistics say so; librdkafka itself may never notice.

After an outage of all brokers, metadata may name none.  librdkafka (issue 5301; seen with 2.16) then drops those that it
knows and begins again with ``bootstrap.servers``, but only if it finds that all of them are down.  When the connection to
its group's coordinator was lost in the same moment it counts wrong, and never does: it asks nobody for anything any more,
reports no error, and no property changes that.  Only a new client helps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import orjson
from confluent_kafka import Consumer, KafkaException

ASK = 1.0  # seconds for a broker to answer who wants to know whether one is there
INTERVAL = 2_000  # milliseconds between two statistics
PATIENCE = 3.0  # seconds: a client that is about to begin again with bootstrap.servers does so within one

_OTHERS = {"logical", "internal"}  # the coordinator under a name of its own; nobody at all
_INERT = "INIT"  # dropped, or not needed yet; one that cannot be reached is tried again and again


class Client(Protocol):
    """Whoever can be asked about a topic."""

    def list_topics(self, topic: str, timeout: float) -> Any:
        """Raises KafkaException where nobody answers."""


class KnownBrokers:
    """What the statistics of one client say.

    Parameters
    ----------
    consumer : dict
        Properties with which any consumer reaches the cluster.
    clock : callable
        Seconds, as ``time.monotonic``.
    """

    def __init__(self, consumer: Mapping[str, Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._consumer, self._clock = consumer, clock
        self._none_since: float | None = None

    def watched(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Properties of a client that reports here whenever it is polled."""
        return {**properties, "statistics.interval.ms": INTERVAL, "stats_cb": self.report}

    def report(self, statistics: str) -> None:
        """Statistics of librdkafka, as JSON."""
        brokers = orjson.loads(statistics)["brokers"].values()
        if any(broker["state"] != _INERT for broker in brokers if broker["source"] not in _OTHERS):
            self._none_since = None
        elif self._none_since is None:
            self._none_since = self._clock()

    def none(self) -> bool:
        """Has the client had to do with no broker for a while?  So has one whose brokers are away, or that needs none."""
        return self._none_since is not None and self._clock() - self._none_since >= PATIENCE

    def forgotten(self, client: Client, topic: str) -> bool:
        """Does the cluster answer others, and not the client that reports here?"""
        if not self.none():
            return False
        self._none_since = self._clock()  # looks again after a while, not at every turn of a loop
        if not self._cluster_answers():
            return False
        try:
            client.list_topics(topic, timeout=ASK)
        except KafkaException:
            return True
        return False

    def _cluster_answers(self) -> bool:
        other = Consumer({**self._consumer, "log_level": "0"})
        try:
            return len(other.list_topics(timeout=ASK).brokers) > 0
        except KafkaException:
            return False
        finally:
            other.close()
