"""Records to Kafka, in order, acknowledged; a failure of any of them is a failure of the worker.

The queue is bounded: what does not fit waits here, and the worker takes in nothing meanwhile.  A worker that was stopped
for longer than its session may own nothing any more: a fence looks for that before every record.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from streams.log_format import LIBRDKAFKA
from streams.records import Out

PARTITION_UA = -1  # the partitioner chooses
PULSE = 0.2  # seconds
QUEUE = 100_000  # librdkafka's own bound of a producer's queue, records
ZOMBIE = 75  # exit status of a worker that slept for too long


class DeliveryError(RuntimeError):
    """A record was not acknowledged."""


class Fence:
    """Exits a process that has slept for longer than its session, before it sends anything.

    Kafka's client keeps a session alive from a thread of its own, however long a step takes; only a process that does not
    run at all loses it.  So a thread looks at the clock a few times a second: a gap means that no thread ran.

    Parameters
    ----------
    session : float
        Session timeout, seconds.
    """

    def __init__(
        self, session: float, leave: Callable[[int], Any] = os._exit, clock: Callable[[], float] | None = None
    ) -> None:
        self._session, self._leave, self._clock = session, leave, clock or _awake
        self._seen = self._clock()
        self._lock = threading.Lock()

    def watch(self) -> None:
        """Look at the clock from now on, until the process ends."""

        def look() -> None:
            while True:
                time.sleep(PULSE)
                self.check()

        threading.Thread(target=look, name="fence", daemon=True).start()

    def check(self) -> None:
        """Leave if this process has slept; else it has not until now."""
        with self._lock:
            now = self._clock()
            slept, self._seen = now - self._seen, now
        if slept > self._session:
            sys.stderr.write(
                f"aiops: this process did not run for {slept:.1f} s, longer than its session of {self._session:g} s: "
                "another worker may own its partitions; leaving without a word to Kafka\n"
            )
            sys.stderr.flush()
            self._leave(ZOMBIE)


def _awake() -> float:
    """Seconds on a clock that goes on while the machine is suspended, where there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class _Epoch:
    """Records sent between two marks."""

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting = 0


class Sender:
    """A producer with an outbox.

    Parameters
    ----------
    properties : dict
        Of librdkafka; idempotent, ``acks=all``.
    """

    def __init__(self, properties: dict[str, Any], fence: Fence) -> None:
        self._producer = Producer({**properties, "logger": LIBRDKAFKA})
        self._most = int(properties.get("queue.buffering.max.messages", QUEUE))
        self._fence = fence
        self._outbox: deque[tuple[_Epoch, Out]] = deque()
        self._epochs: deque[_Epoch] = deque([_Epoch()])
        self._first = 0  # number of the oldest epoch that is kept
        self._failed: str | None = None
        self.sent = 0
        self.bytes = 0

    def __len__(self) -> int:
        """Records that do not fit the producer's queue."""
        return len(self._outbox)

    def totals(self) -> dict[str, float]:
        """What has been handed on since the start."""
        return {"records_out": self.sent, "bytes_out": self.bytes}

    def queues(self) -> dict[str, tuple[int, int]]:
        """Queue -> records that wait in it, and how many may; the outbox takes what one step makes."""
        return {"outbox": (len(self), 0), "producer": (len(self._producer), self._most)}

    def list_topics(self, topic: str, timeout: float) -> Any:
        """What the cluster says of a topic.

        Raises
        ------
        KafkaException
            Nobody answers the producer.
        """
        return self._producer.list_topics(topic, timeout=timeout)

    def send(self, out: Iterable[Out]) -> None:
        """Queue records.

        Raises
        ------
        DeliveryError
        """
        epoch = self._epochs[-1]
        for record in out:
            epoch.waiting += 1
            self._outbox.append((epoch, record))
        self.pump()

    def mark(self) -> int:
        """A number for which ``acknowledged`` tells whether everything sent until now has been."""
        number = self._first + len(self._epochs) - 1
        self._epochs.append(_Epoch())
        return number

    def acknowledged(self, mark: int) -> bool:
        """Has everything that was sent before the mark been acknowledged?"""
        while len(self._epochs) > 1 and self._epochs[0].waiting == 0:
            self._epochs.popleft()
            self._first += 1
        return mark < self._first

    def pump(self) -> bool:
        """Hand on what fits; True when nothing is left in the outbox.

        Raises
        ------
        DeliveryError
        """
        self._producer.poll(0)
        while self._outbox:
            self._raise()
            self._fence.check()
            epoch, out = self._outbox[0]
            place = PARTITION_UA if out.partition is None else out.partition
            try:
                self._producer.produce(
                    out.topic, out.value, out.key, place, self._delivered(epoch), headers=[*out.headers]
                )
            except BufferError:
                self._producer.poll(0.01)
                return False
            self._outbox.popleft()
            self.sent += 1
            self.bytes += len(out.value or b"")
        self._raise()
        return True

    def flush(self, timeout: float) -> bool:
        """Wait until everything has been acknowledged; False if `timeout` (seconds) was not enough.

        Raises
        ------
        DeliveryError
            Something was refused.
        """
        until = time.monotonic() + timeout
        while not self.pump() or len(self._producer):
            self._producer.flush(0.05)
            self._raise()
            if time.monotonic() > until:
                return False
        return True

    def _delivered(self, epoch: _Epoch) -> Callable[[KafkaError | None, Message], None]:
        def delivered(error: KafkaError | None, message: Message) -> None:
            epoch.waiting -= 1
            if error is not None and self._failed is None:
                self._failed = f"{message.topic()}/{message.partition()}: a record was refused: {error.str()}"
                # What follows a record that was refused must not go out: a clock would say that all before it is there.
                self._producer.purge(in_queue=True, in_flight=False, blocking=False)

        return delivered

    def _raise(self) -> None:
        if self._failed is not None:
            raise DeliveryError(self._failed)
