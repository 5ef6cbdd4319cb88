"""The respond role: a Faust app of one agent.

Faust delivers the findings; ``streams.guard`` sees to it that each is taken in once and in order, and
``streams.tasks.respond`` is what becomes of it.  Faust keeps no state and sends nothing: its Tables drift at rebalances,
and incidents go out through the producer that the other roles have.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import tempfile
import time
from functools import partial
from typing import Any

import faust
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from streams import routing
from streams.guard import Guard, LogReader, sending
from streams.known_brokers import KnownBrokers
from streams.layout import Layout
from streams.log_format import LIBRDKAFKA
from streams.messages import END_OF_PARTITION, headers_of
from streams.metrics_reading import Observer, PlaceReading, Reading
from streams.past import ReadError
from streams.progress import Saving, Savings, Standstill, WorkerError
from streams.public_versions import PublicVersions
from streams.records import Record, Refused
from streams.roles import Kept, LogRole
from streams.sender import DeliveryError, Fence, Sender
from streams.tasks.respond import RespondTask

log = logging.getLogger(__name__)

BEAT = 0.5  # seconds
TRAILING = 2.0  # seconds without a delivery after which the end of the log is looked at
LOOK = 5.0  # seconds between looks while records are delivered, and after one that the broker did not answer


class RespondApp:
    """One process of the role.

    Parameters
    ----------
    role : LogRole
        Opens and saves the tasks of the findings partitions.
    broker : dict
        Where the brokers are and who we are, as ``faust.App`` takes it.
    consumer, producer : dict
        Properties of librdkafka.
    """

    def __init__(
        self, role: LogRole[RespondTask], layout: Layout, broker: dict[str, Any], consumer: dict[str, Any],
        producer: dict[str, Any], observer: Observer | None = None,
    ) -> None:  # fmt: skip
        self.role, self.layout, self.observer = role, layout, observer or Observer()
        self.session = float(consumer.get("session.timeout.ms", 10_000)) / 1000
        self.fence = Fence(self.session)
        self._reading_from, self._sending_to = KnownBrokers(consumer), KnownBrokers(consumer)
        self.sender = Sender(self._sending_to.watched(producer), self.fence)
        self.log = LogReader(consumer, role.topics[0])
        self.guard = Guard(role, self.log, sending(self.sender))
        self.assigned: set[int] = set()
        self.rebalances = 0
        self.looped = time.monotonic()
        self.versions = PublicVersions(layout.topic("incidents"), self._owns)
        self._savings, self._standstill = Savings(self.sender, self.session / 2), Standstill()
        self._delivered = time.monotonic()
        self._lock = asyncio.Lock()
        self._ends: dict[int, int] = {}
        self._look_again = 0.0
        self._past: set[int | None] = set()  # partitions of the topic of incidents whose past is not read to its end
        own = {"enable.auto.commit": False, "enable.partition.eof": True}
        self._consumer = Consumer(self._reading_from.watched({**consumer, **own, "logger": LIBRDKAFKA}))
        self.app = self._app(broker)

    def _app(self, broker: dict[str, Any]) -> Any:
        app = faust.App(
            self.role.group,
            store="memory://",
            datadir=tempfile.mkdtemp(prefix="aiops-respond-"),
            topic_partitions=self.layout.findings,
            topic_allow_declare=False,
            topic_disable_leader=True,
            consumer_auto_offset_reset="earliest",
            stream_wait_empty=False,
            stream_buffer_maxsize=4096,
            broker_max_poll_records=500,
            broker_commit_interval=1.0,
            broker_session_timeout=self.session,
            broker_heartbeat_interval=max(1.0, self.session / 10),
            broker_request_timeout=max(30.0, self.session * 2),
            broker_max_poll_interval=300.0,
            processing_guarantee="at_least_once",
            web_enabled=False,
            **broker,
        )
        topic = app.topic(
            self.role.topics[0], partitions=self.layout.findings,
            key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw",
        )  # fmt: skip

        async def respond(stream: Any) -> None:
            async for event in stream.events():
                await self._event(event.message)

        app.agent(topic, concurrency=1, name="respond")(respond)
        app.task(self._beats)
        for happened, do in (
            (app.on_partitions_assigned, self._on_assigned),
            (app.on_partitions_revoked, self._on_revoked),
            (app.on_before_shutdown, self._on_shutdown),
        ):
            signal: Any = happened  # its type does not know coroutines
            signal.connect(do)
        self._topic = self.role.topics[0]
        return app

    # ---- records ------------------------------------------------------------------------------------------------------
    async def _event(self, message: Any) -> None:
        if message.partition not in self.assigned:
            return  # of an assignment that is over
        headers = message.headers or {}
        pairs = headers.items() if isinstance(headers, dict) else headers
        record = Record(message.offset, dict(pairs), message.value or b"")
        self._delivered = time.monotonic()
        await self._guarded(self._deliver, message.partition, record)

    def _deliver(self, partition: int, record: Record) -> None:
        if partition not in self.assigned:
            return  # it was given up while this one waited
        begun = time.monotonic()
        self.guard.deliver(partition, record)
        self.observer.stepped(time.monotonic() - begun)

    async def _guarded(self, do: Any, *arguments: Any) -> None:
        """Run what may wait for the broker beside the loop, one after the other; a failure ends the process."""
        async with self._lock:
            try:
                await asyncio.to_thread(do, *arguments)
            except (DeliveryError, ReadError, Refused, WorkerError) as error:
                log.error("%s", error)
                os._exit(1)
            except KafkaException as error:
                log.error("kafka: %s", error.args[0].str())
                os._exit(1)
            except Exception:
                log.exception("respond failed")
                os._exit(1)

    # ---- assignment ---------------------------------------------------------------------------------------------------
    async def _on_assigned(self, _app: Any, assigned: Any, **_: Any) -> None:
        mine = {tp.partition for tp in assigned if tp.topic == self._topic}
        self.rebalances += 1
        for partition in sorted(self.assigned - mine):
            await self._guarded(self._give_up, partition)
        self.assigned = mine
        for partition in sorted(mine):
            await self._guarded(self.guard.open, partition)
        log.info("assigned", extra={"partitions": sorted(mine)})

    async def _on_revoked(self, _app: Any, revoked: Any, **_: Any) -> None:
        gone = {tp.partition for tp in revoked if tp.topic == self._topic}
        self.assigned -= gone
        for partition in sorted(gone):
            await self._guarded(self._give_up, partition)
        log.info("revoked", extra={"partitions": sorted(gone)})

    async def _on_shutdown(self, *_: Any, **__: Any) -> None:
        partitions, self.assigned = sorted(self.assigned), set()
        for partition in partitions:
            await self._guarded(self._give_up, partition)
        log.info("stopped", extra={"partitions": partitions})

    def _give_up(self, partition: int) -> None:
        place = (self._topic, partition)
        if (kept := self.guard.kept.get(partition)) is not None:
            self._savings.finish(place, partial(self._save, kept, partition))
        self._savings.drop(place)
        self._standstill.drop(place)
        self._ends.pop(partition, None)
        self.guard.drop(partition)

    # ---- beat ---------------------------------------------------------------------------------------------------------
    async def _beats(self) -> None:
        while not self.app.should_stop:
            await self._beat()
            await asyncio.sleep(BEAT)

    async def _beat(self) -> None:
        await self._guarded(self._beaten)

    def _beaten(self) -> None:
        self.looped = time.monotonic()
        self.sender.pump()
        self._follow()
        self._known()
        now = time.monotonic()
        quiet = now - self._delivered > TRAILING
        if now >= self._look_again:
            self._look(now, quiet)
        for partition, kept in list(self.guard.kept.items()):
            place = (self._topic, partition)
            self._standstill.look(place, kept.task.position, self._ends.get(partition, -1))
            self.sender.send(self.role.beat(kept))
            self._savings.step(place, partial(self.role.due, kept), partial(self._save, kept, partition))
        self.observer.publish(self.reading())

    def _known(self) -> None:
        """Leave where a client has forgotten all brokers; the next process begins with bootstrap.servers."""
        topic = self.versions.topic
        if self._sending_to.forgotten(self.sender, topic) or self._reading_from.forgotten(self._consumer, topic):
            raise WorkerError("no broker is known any more: leaving, to begin again with bootstrap.servers")

    def _look(self, now: float, quiet: bool) -> None:
        """Look where the log ends; what was lost there shows by no later record."""
        self._look_again = now if quiet else now + LOOK
        for partition, kept in list(self.guard.kept.items()):
            try:
                end = self.log.end(partition)
            except KafkaException as error:  # the broker is away: Faust waits for it as well
                log.warning("kafka: %s", error.args[0].str())
                self._standstill.clear()  # nobody could get on
                self._look_again = time.monotonic() + LOOK
                return
            self._ends[partition] = end
            if quiet and end > kept.task.position:
                self.guard.fill(partition, end)

    def reading(self) -> Reading:
        """The process as it is now, for other threads."""
        places = {
            (self._topic, p): PlaceReading(self.role.reading(kept), kept.task.position, self._ends.get(p, -1))
            for p, kept in self.guard.kept.items()
        }
        guard = self.guard
        totals = {
            "records_in": guard.taken, "repeats": guard.repeats, "holes": guard.holes, "aside": guard.aside,
            "rewritten": self.versions.rewritten, "rebalances": self.rebalances, **self.sender.totals(),
        }  # fmt: skip
        return Reading(places, self.sender.queues(), totals)

    def turned(self) -> float:
        """When the process got on last, by ``time.monotonic``."""
        return max(self.looped, self.guard.moved)

    def _save(self, kept: Kept[RespondTask], partition: int) -> Saving:
        return self.role.save(kept, self, TopicPartition(self._topic, partition))

    def commit(self, place: TopicPartition, offset: int, metadata: str) -> None:
        """Faust commits by itself; the snapshot knows better."""

    # ---- public topic -------------------------------------------------------------------------------------------------
    def _owns(self, tenant: str, environment: str) -> bool:
        place = routing.findings_partition(tenant, environment, self.layout.findings, self.layout.key)
        return place in self.guard.kept

    def _follow(self) -> None:
        """Read what is new on the topic of incidents."""
        topic = self.versions.topic
        if not self._consumer.assignment():
            partitions = self._consumer.list_topics(topic, timeout=10).topics[topic].partitions
            self._consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
            self._past = set(partitions)
        while messages := self._consumer.consume(500, 0.0):
            for message in messages:
                if (error := message.error()) is not None:
                    if error.code() == END_OF_PARTITION and self._past:
                        self._past.discard(message.partition())
                        if not self._past:
                            self.sender.send(self.versions.live())
                else:
                    again = self.versions.see(message.key(), message.value(), headers_of(message))
                    if again is not None:
                        log.warning("a newer version of an incident is written again: an older one came after it")
                        self.sender.send([again])

    # ---- life ---------------------------------------------------------------------------------------------------------
    def run(self) -> int:
        """Until a signal; returns the exit status."""
        self.fence.watch()
        worker = _Process(self.app, override_logging=False, redirect_stdouts=False, quiet=True)
        worker.spinner = None  # its escape codes would end up in logs
        try:
            worker.execute_from_commandline()  # ends with SystemExit, always
        except SystemExit as ended:
            return ended.code if isinstance(ended.code, int) else int(ended.code is not None)


class _Process(faust.Worker):
    """Ends as the other roles do; Faust would ignore a second signal, and open a debugger at SIGUSR2."""

    def install_signal_handlers(self) -> None:
        """SIGTERM and SIGINT: drain, save and leave; the second one: leave at once."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, self._asked, number)

    def _asked(self, number: signal.Signals) -> None:
        if self._shutdown_immediately:
            _leave(int(number), None)
        log.info("stopping", extra={"signal": int(number)})
        for again in (signal.SIGTERM, signal.SIGINT):
            signal.signal(again, _leave)  # the loop may be busy for as long as it takes to save
        self._flag_as_shutdown_by_signal()
        self._schedule_shutdown(number)


def _leave(number: int, _frame: object) -> None:
    log.warning("leaving at once, progress not saved", extra={"signal": number})
    os._exit(128 + number)
