"""The topics of status and notices, as they come -> how far the engine sees, for everybody of a process."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from aiops.notify.config import NotifyConfig
from aiops.notify.message import Message
from aiops.notify.policy import Place
from aiops.notify.track import Track
from aiops.notify.watchdog import MAX_PLACES, Watchdog
from aiops.records import Notice, RecordError, decode_notice, unix_ns
from aiops.status import Status, decode_status
from streams.log_format import LIBRDKAFKA

log = logging.getLogger(__name__)

BATCH = 1_000
MOST_BATCHES = 50  # of one look: the loop of the worker must go on
BACK = 3600.0  # seconds of notices that are read when the process begins


class Following:
    """Follows both topics without a group.

    Parameters
    ----------
    properties : mapping
        Of a consumer.
    """

    def __init__(
        self, properties: Mapping[str, Any], status: str, notices: str, wall: Callable[[], int] = time.time_ns
    ) -> None:
        self.statuses: dict[Place, Status] = {}
        self._topics, self._wall = (status, notices), wall
        own = {"enable.auto.commit": False, "fetch.min.bytes": 1, "logger": LIBRDKAFKA}
        self._consumer = Consumer({**properties, **own})
        self._assigned = False
        self._written: dict[Place, int] = {}  # wall time (Unix ns) at which the status was written
        self._notices: list[Notice] = []
        self._watchdog: Watchdog | None = None

    def poll(self) -> None:
        """Take in what is new."""
        try:
            if not self._assigned:
                self._assign()
        except KafkaException as error:  # it is asked again
            log.warning("kafka: %s", error.args[0].str())
            return
        for _ in range(MOST_BATCHES):
            messages = self._consumer.consume(BATCH, 0.0)
            for message in messages:
                if message.error() is None and (value := message.value()) is not None:
                    self._take(message.topic() or "", value, message.timestamp()[1] * 1_000_000)
            if len(messages) < BATCH:
                return

    def _assign(self) -> None:
        status, notices = self._topics
        partitions = {t: self._consumer.list_topics(t, timeout=5).topics[t].partitions for t in self._topics}
        since = self._wall() // 1_000_000 - int(BACK * 1000)
        asked = [TopicPartition(notices, p, since) for p in partitions[notices]]
        places = [TopicPartition(status, p, OFFSET_BEGINNING) for p in partitions[status]]
        if asked:
            places += self._consumer.offsets_for_times(asked, timeout=5)
        if places:
            self._consumer.assign(places)
            self._assigned = True

    def _take(self, topic: str, value: bytes, written: int) -> None:
        try:
            if topic == self._topics[0]:
                status = decode_status(value)
                place = (status.tenant, status.environment)
                known = self.statuses.get(place)
                if known is None or unix_ns(status.clock) > unix_ns(known.clock):
                    self.statuses[place], self._written[place] = status, written
                    self._forget()
                    if self._watchdog is not None:
                        self._watchdog.status(status, written)
                return
            notice = decode_notice(value)
        except (RecordError, ValueError) as error:
            log.error("%s: %s", topic, error)
            return
        self._notices = [*self._notices[-MAX_PLACES:], notice]
        if self._watchdog is not None:
            self._watchdog.notice(notice)

    def _forget(self) -> None:
        if len(self.statuses) > MAX_PLACES:
            oldest = min(self._written, key=lambda p: (self._written[p], p))
            del self.statuses[oldest], self._written[oldest]

    def watchdog(self, config: NotifyConfig, tracks: dict[str, Track]) -> Watchdog:
        """Who looks after the engine with what `tracks` say was told; a new one where these are others than last time."""
        if self._watchdog is None or self._watchdog.tracks is not tracks:
            self._watchdog = Watchdog(config, tracks)
            for place, status in self.statuses.items():
                self._watchdog.status(status, self._written[place])
            for notice in self._notices:
                self._watchdog.notice(notice)
        return self._watchdog

    def alive(self) -> Message | None:
        """The message of a heartbeat; only the process that looks after the engine has one."""
        return None if self._watchdog is None else self._watchdog.alive(self._wall())

    def close(self) -> None:
        """Follow no more."""
        self._consumer.close()
