"""What Kafka's client costs ingest by itself: the bytes that the role reads come, those that it wrote go, and that is all."""

from __future__ import annotations

import time
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from aiops.errors import UserError
from benchmarks.kafka_site import PATIENCE, Site
from streams.messages import headers_of
from streams.records import Out
from streams.sender import Fence, Sender
from streams.settings import Settings, load
from streams.worker import BATCH, GATHER

WRITTEN = ("traces", "signals")  # topics of the engine that hold what ingest makes of telemetry
Places = dict[tuple[str, str], int]  # (topic, partition) -> offset after the last record


def transport(site: Site) -> float:
    """CPU seconds of a consumer and a producer, set up as the role's, for what the role has read and written.

    The records go to where they stand already, once more: whatever reads these topics must have done so.
    """
    settings = load(site.config)
    out = _written(site, settings)
    ends = {place: end for place, end in site.ends(site.raw.values()).items() if end}
    whole = sum(ends.values())
    begun = time.process_time()
    sender, consumer = Sender(settings.producer_properties(), Fence(PATIENCE)), _reader(site, settings, ends)
    read = sent = 0
    heard = time.monotonic()
    while read < whole:
        messages = consumer.consume(1, 0.1)
        messages += consumer.consume(BATCH - 1, GATHER) if messages else []
        for message in messages:
            if message.error() is None:
                message.value()
                read += 1
        heard = _patient(heard, bool(messages))
        until = len(out) * read // whole
        sender.send(out[sent:until])
        sent = until
        while not sender.pump():
            pass
    consumer.close()
    if not sender.flush(PATIENCE):
        raise UserError("the broker does not take what is sent")
    return time.process_time() - begun


def _written(site: Site, settings: Settings) -> list[Out]:
    """The records of the topics that ingest writes, in an order that it could have written them in."""
    ends = {place: end for place, end in site.ends(map(site.topic, WRITTEN)).items() if end}
    consumer, out = _reader(site, settings, ends), list[Out]()
    heard = time.monotonic()
    while len(out) < sum(ends.values()):
        messages = consumer.consume(BATCH, 0.1)
        heard = _patient(heard, bool(messages))
        out += [
            Out(str(m.topic()), m.partition(), m.value(), headers_of(m), m.key()) for m in messages if m.error() is None
        ]
    consumer.close()
    return out


def _reader(site: Site, settings: Settings, places: Places) -> Consumer:
    """Reads whole partitions; no group is joined."""
    properties: dict[str, Any] = settings.consumer_properties(f"{site.prefix}-transport")
    consumer = Consumer(properties)
    consumer.assign([TopicPartition(topic, int(p), 0) for topic, p in places])
    return consumer


def _patient(heard: float, more: bool) -> float:
    """When something was heard last."""
    now = time.monotonic()
    if not more and now - heard > PATIENCE:
        raise UserError(f"nothing has come for {PATIENCE:g} s")
    return now if more else heard
