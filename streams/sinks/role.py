"""The role that tells people: incidents in; decisions, their state and deliveries out, as a worker of the engine runs it.

What is to be told is written to a compacted topic before it is sent, and the offset is committed after that: whatever is killed
when, the next owner of the partition finds what is due, sends it under the same id, and decides nothing twice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Message, TopicPartition

from aiops.notify.config import HOUR, NotifyConfig
from aiops.notify.desk import CLOCKS, Desk, Due
from aiops.notify.watchdog import PREFIX
from aiops.records import RecordError, decode_incident, encode, unix_ns
from streams.events import event_headers
from streams.messages import offset_of, place_of
from streams.metrics_reading import TaskReading
from streams.past import past
from streams.progress import Committer, Saving
from streams.records import Out
from streams.sinks.couriers import Couriers
from streams.sinks.following import Following

log = logging.getLogger(__name__)

HISTORY = HOUR  # where the role first runs, incidents that said nothing for so long are history
SAVE_EVERY = 0.1  # seconds
LOOK_EVERY = 1.0  # seconds


@dataclass(slots=True, weakref_slot=True, eq=False)
class Kept:
    """A partition of incidents, and what its worker knows of it."""

    partition: int
    desk: Desk
    position: int = -1
    saved: int = -1
    held: list[Due] = field(default_factory=list)  # decided, and not known to be saved
    refused: int = 0
    looked: float = 0.0


class SinksRole:
    """Incidents -> people.

    Parameters
    ----------
    incidents, state, notifications : str
        Names of topics: what is read, what is saved, decisions.
    reader : dict
        Properties of the consumer that reads what was saved.
    following : Following
        Hears how far the engine sees, and notices.
    from_beginning : bool
        Where it first runs, the past is told of too.
    """

    name = "sinks"

    def __init__(
        self, config: NotifyConfig, incidents: str, state: str, notifications: str, group: str, reader: dict[str, Any],
        couriers: Couriers, following: Following, from_beginning: bool = False, now: Callable[[], int] = time.time_ns,
    ) -> None:  # fmt: skip
        self.topics, self.group = [incidents], group
        self._config, self._state, self._notifications, self._reader = config, state, notifications, reader
        self.couriers, self.following = couriers, following
        self._from_beginning, self._now = from_beginning, now
        self._tasks = WeakSet[Kept]()
        self._heard = 0.0

    # ---- partitions ---------------------------------------------------------------------------------------------------
    def open(self, place: TopicPartition, committed: TopicPartition) -> tuple[Kept, int]:
        """What was saved of a partition."""
        desk = Desk(self._config, 0 if self._from_beginning else self._now() - HISTORY)
        values: dict[str, bytes] = {}
        for message in past(self._reader, self._state, {place.partition: OFFSET_BEGINNING}):
            key, value = (message.key() or b"").decode("utf-8", "replace"), message.value()
            if value is None:
                values.pop(key, None)
            else:
                values[key] = value
        for key in sorted(values, key=lambda k: (k != CLOCKS, k)):
            try:
                desk.restore(key, values[key])
            except msgspec.DecodeError as error:  # of another release: the incident is as new
                log.error("what was saved of %s cannot be read: %s", key, error)
        kept = Kept(place.partition, desk)
        self._tasks.add(kept)
        self.couriers.bring(desk, desk.waiting())
        self.couriers.show(desk)
        return kept, committed.offset

    def begin(self, kept: Kept, offset: int) -> None:
        """The first message will have this offset."""
        kept.position = offset
        self._place(kept)

    def _place(self, kept: Kept) -> None:
        """Tell a desk that is new how far the engine has come."""
        for place, status in self.following.statuses.items():
            kept.desk.policy.known_since(place, unix_ns(status.since))

    def position(self, kept: Kept) -> int:
        """Offset of the next message."""
        return kept.position

    # ---- records ------------------------------------------------------------------------------------------------------
    def take(self, kept: Kept, messages: list[Message]) -> Iterator[Out]:
        """Decide about versions of incidents."""
        for message in messages:
            kept.position = offset_of(message) + 1
            if (value := message.value()) is None:
                continue  # forgotten: long over
            try:
                kept.desk.take(decode_incident(value))
            except (RecordError, ValueError) as error:  # a time that is none; nothing may stop the others
                kept.refused += 1
                topic, partition = place_of(message)
                log.error("%s/%d offset %d: %s", topic, partition, offset_of(message), error)
        yield from self._outs(kept)

    def beat(self, kept: Kept, idle: Callable[[], bool]) -> Iterator[Out]:
        """How far event time has come, what became of deliveries, and what the watchdog sees."""
        now = time.monotonic()
        if now - self._heard >= LOOK_EVERY:
            self._heard = now
            self.couriers.collect()
            self.following.poll()
        self._place(kept)
        if idle():  # else a version that is not read yet may come before what is due
            for place, status in self.following.statuses.items():
                kept.desk.advance(place, unix_ns(status.clock))
        if kept.partition == 0:  # one of all looks after the engine
            for track, decided in self.following.watchdog(self._config, kept.desk.policy.tracks).look(self._now()):
                kept.desk.say(track, decided)
        yield from self._outs(kept)

    def _outs(self, kept: Kept) -> Iterator[Out]:
        desk = kept.desk
        for key, value in desk.changes():
            yield Out(self._state, kept.partition, value, [], key.encode())
        records, desk.records = desk.records, []
        for record in records:
            about = record.incident_id or f"{PREFIX}{record.tenant}/{record.environment}"
            ident = f"{record.notification_id}/{record.version}"
            headers = event_headers("notification", record.outcome, ident, record.time, about, record.version)
            yield Out(self._notifications, None, encode(record), headers, about.encode())
        kept.held += desk.unsaved()

    # ---- progress -----------------------------------------------------------------------------------------------------
    def due(self, kept: Kept) -> bool:
        """Whenever something waits for being saved."""
        if time.monotonic() - kept.looked < SAVE_EVERY:
            return False
        return bool(kept.held) or kept.position != kept.saved

    def save(self, kept: Kept, worker: Committer, place: TopicPartition) -> Saving:
        """What has been acknowledged may go out, and need not be read again."""
        kept.looked = time.monotonic()
        self.couriers.collect()  # where the partition is given up, the last deliveries are noted too
        worker.sender.send(self._outs(kept))
        held, kept.held = kept.held, []
        position = kept.position
        yield worker.sender.mark()
        self.couriers.bring(kept.desk, held)
        if position >= 0:
            worker.commit(place, position, "")
        kept.saved = position

    def reading(self, kept: Kept, at_end: bool) -> TaskReading:
        """What a partition says of itself; that of all sinks once."""
        del at_end
        gauges = kept.desk.gauges()
        if kept is min(self._tasks, key=lambda k: k.partition):
            gauges |= self.couriers.gauges()
        return TaskReading(gauges, refused=kept.refused)
