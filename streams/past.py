"""What partitions hold already: messages from an offset to the end as it is now, read by a consumer of no group's work."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.log_format import LIBRDKAFKA
from streams.messages import END_OF_PARTITION, place_of

log = logging.getLogger(__name__)

PATIENCE = 60.0  # seconds without anything new after which reading gives up
METADATA = 5.0  # seconds for the broker to say who leads a partition


class ReadError(RuntimeError):
    """A partition cannot be read, or does not hold what it should.

    Attributes
    ----------
    error : KafkaError or None
        What the broker says.
    """

    def __init__(self, text: str, error: KafkaError | None = None) -> None:
        super().__init__(text)
        self.error = error


def past(
    properties: Mapping[str, Any], topic: str, starts: Mapping[int, int], patience: float = PATIENCE
) -> Iterator[Message]:
    """Messages of partitions of a topic, in the order of their offsets within each.

    Parameters
    ----------
    properties : mapping
        Of a consumer, its group among them: it needs a right on that, joins nothing, and commits nothing.
    starts : mapping, partition -> first offset, or ``OFFSET_BEGINNING``

    Raises
    ------
    ReadError
        The topic may not be read, or its end does not come.
    """
    if not starts:
        return
    # The end is told by an event: compaction may have taken the last records, and no offset would ever reach it.  A fetch
    # at the end does not wait for more: nobody processes the partition meanwhile.
    own = {"enable.auto.commit": False, "enable.partition.eof": True, "fetch.min.bytes": 1, "fetch.wait.max.ms": 10}
    consumer = Consumer({**properties, **own, "logger": LIBRDKAFKA})
    try:
        _look_at(consumer, topic)
        consumer.assign([TopicPartition(topic, partition, start) for partition, start in starts.items()])
        waiting, heard = set(starts), time.monotonic()
        while waiting:
            messages = consumer.consume(1, 0.2)
            messages += consumer.consume(999, 0) if messages else []
            for message in messages:
                if (error := message.error()) is None:
                    yield message
                elif error.code() == END_OF_PARTITION:
                    waiting.discard(place_of(message)[1])
                else:
                    raise ReadError(f"topic {topic}: {error.str()}", error)
            if messages:
                heard = time.monotonic()
            elif time.monotonic() - heard > patience:
                raise ReadError(
                    f"topic {topic}: the end of partitions {sorted(waiting)} has not come for {patience:g} s"
                )
    finally:
        consumer.close()


def _look_at(consumer: Consumer, topic: str) -> None:
    """A consumer that may not see a topic waits without a word, and one that does not know its leader for half a second."""
    try:
        found = consumer.list_topics(topic, timeout=METADATA).topics[topic]
    except KafkaException:
        return  # where nobody answers, the end does not come
    if found.error is not None:
        raise ReadError(f"topic {topic}: {found.error.str()}", found.error)


def begin_at(topic: str, partition: int, start: int, low: int, high: int) -> int:
    """Offset at which reading begins, where progress was saved at `start` (negative: nothing was saved).

    Parameters
    ----------
    low, high : int
        First offset of the partition, and the one after its last.

    Raises
    ------
    ReadError
        The partition ends before.
    """
    if start > high:
        raise ReadError(
            f"{topic}/{partition}: progress was saved at offset {start}, but the topic ends at {high}: it was made anew; "
            "begin again under another prefix, or give a raw topic another name"
        )
    if 0 <= start < low:
        log.error("%s/%d: offsets %d to %d were deleted before they were read", topic, partition, start, low - 1)
    return max(low, start)
