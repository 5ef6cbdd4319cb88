"""Messages for one sink -> the sink, one after the other in a thread: order, retries, rate, heartbeats, what must be repeated.

Messages about one incident go out in the order in which they were decided: the next waits until the one before was taken,
refused or given up.  One that a sink chokes on holds up no other incident for longer than its attempt.
"""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiops.notify.config import Sink
from aiops.notify.message import Message
from aiops.notify.notification import DeliveryState
from aiops.signals import SECOND
from streams.sinks.kinds import Sent, Speaker

log = logging.getLogger(__name__)

FIRST, LONGEST = 1.0, 300.0  # seconds of back-off of a message: 1, 2, 4 ... 300
LONGEST_PAUSE = 60.0  # of the whole sink, where nothing gets through
LONGEST_ASKED = 3600.0  # that a sink may ask for
REFRESH = 60.0  # seconds between repeats to a sink that forgets
REPEAT_ENDED = (
    300.0  # seconds for which an end is repeated there: it may not have told anybody yet when it lost its memory
)
TOGETHER = 100  # messages of a repeat in one request
TELL_EVERY = 10  # attempts after which it is written down once more that a notification waits
MOST_HEARD = 1_000  # incidents of which it is known here what a sink calls them


@dataclass(slots=True, eq=False)
class Order:
    """A message to be brought to a sink.

    Attributes
    ----------
    owner : object
        Whoever asked for it.
    wanted : callable
        Is it still to be delivered?  Not where its incident belongs to another process by now.
    ref : callable
        How the sink calls what it was told first about the same.
    changes : callable
        Ids of changes that it was sent.
    """

    message: Message
    owner: Any
    wanted: Callable[[], bool]
    ref: Callable[[], str]
    changes: Callable[[], Sequence[str]]
    attempts: int = 0
    begun: float = 0.0  # when the courier took it, monotonic seconds


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an order; ``at`` is the wall clock, Unix ns.  ``state`` 'waiting': it will be tried again."""

    order: Order
    sink: str
    state: DeliveryState
    attempts: int
    at: int
    said: str = ""
    ref: str = ""
    changes: tuple[str, ...] = ()


@dataclass(slots=True)
class Tallies:
    """What a courier counts since the process began."""

    sent: int = 0
    failed: int = 0
    refused: int = 0
    given_up: int = 0
    heartbeats: int = 0
    failing: int = 0  # attempts in a row; 0 = the last one worked


@dataclass(slots=True)
class _Shown:
    message: Message
    wanted: Callable[[], bool]
    until: float = field(default=float("inf"))  # monotonic seconds


class Courier:
    """The thread of a sink.

    Parameters
    ----------
    done : callable
        Is given every result, in the courier's thread.
    alive : callable
        The message of a heartbeat, or None where the engine does not see: a heartbeat says that it does.
    """

    def __init__(
        self, sink: Sink, speaker: Speaker | None, done: Callable[[Result], Any], alive: Callable[[], Message | None],
        clock: Callable[[], float] = time.monotonic, wall: Callable[[], int] = time.time_ns,
    ) -> None:  # fmt: skip
        self.sink, self.tallies = sink, Tallies()
        self._speaker, self._done, self._alive, self._clock, self._wall = speaker, done, alive, clock, wall
        self._orders: dict[str, deque[Order]] = {}  # key -> in order
        self._heap: list[tuple[float, int, str]] = []  # when the first of a key is due, and its turn
        self._turn = 0
        self._paused = 0.0
        self._free = 0.0  # when the rate allows the next request
        self._shown: dict[str, _Shown] = {}
        self._heard: OrderedDict[str, tuple[str, tuple[str, ...]]] = (
            OrderedDict()
        )  # key -> what the sink calls it, changes sent
        self._repeated = self._beaten = float("-inf")
        self._room = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"sink-{sink.name}", daemon=True)

    def __len__(self) -> int:
        """Messages that wait."""
        return sum(map(len, self._orders.copy().values()))

    def start(self) -> None:
        """Deliver from now on."""
        self._thread.start()

    def stop(self, patience: float = 0.0) -> None:
        """Deliver no more; what waits is kept by whoever asked for it.

        Parameters
        ----------
        patience : float
            Seconds to wait for the request that is on its way.
        """
        with self._room:
            self._stopping = True
            self._room.notify()
        if self._thread.is_alive():
            self._thread.join(patience)

    def offer(self, order: Order) -> None:
        """Take an order."""
        with self._room:
            order.begun = self._clock()
            queue = self._orders.setdefault(order.message.key, deque())
            queue.append(order)
            if len(queue) == 1:
                self._push(order.message.key, self._clock())
            self._room.notify()

    def show(self, message: Message, wanted: Callable[[], bool]) -> None:
        """The sink was told this before, and it goes on: repeat it where the sink forgets."""
        with self._room:
            self._shown.setdefault(message.key, _Shown(message, wanted))
            self._room.notify()

    # ---- the thread ---------------------------------------------------------------------------------------------------
    def _run(self) -> None:
        while True:
            with self._room:
                if self._stopping:
                    return
                order, wait = self._next()
                if order is None:
                    self._room.wait(wait)
                    continue
            try:
                self._deliver(order) if isinstance(order, Order) else order()
            except Exception:  # a thread that ends would leave a sink silent, and nobody would know
                log.exception("sink %s failed", self.sink.name)
                self._pause(None)
                if isinstance(order, Order):
                    self._again(order, None)

    def step(self) -> float:
        """One turn without the thread: returns seconds until there is something to do, 0 = something was done."""
        with self._room:
            order, wait = self._next()
        if order is None:
            return wait
        self._deliver(order) if isinstance(order, Order) else order()
        return 0.0

    def _next(self) -> tuple[Order | Callable[[], None] | None, float]:
        """What is to be done now; else how long there is nothing to do, seconds."""
        now = self._clock()
        for key in [key for key, shown in self._shown.items() if now > shown.until or not shown.wanted()]:
            del self._shown[key]
        ready = max(self._paused, self._free)
        beat = self._heartbeat_due()
        times = [beat, self._repeat_due()]
        while self._heap and not self._wanted(self._heap[0][2]):
            heapq.heappop(self._heap)
        if self._heap:
            times.append(self._heap[0][0])
        due = max(min(times), ready)
        if due > now:
            return None, min(due - now, 60.0)
        if self._heap and self._heap[0][0] <= now:  # people first
            return self._orders[heapq.heappop(self._heap)[2]][0], 0.0
        return (self._beat if beat <= now else self._repeat), 0.0

    def _wanted(self, key: str) -> bool:
        """Is there an order of the key that is still wanted?  Those that are not go."""
        queue = self._orders[key]
        while queue and not queue[0].wanted():
            queue.popleft()
        if not queue:
            del self._orders[key]
        return bool(queue)

    def _push(self, key: str, due: float) -> None:
        self._turn += 1
        heapq.heappush(self._heap, (due, self._turn, key))

    def _deliver(self, order: Order) -> None:
        now = self._clock()
        if self._speaker is None:
            log.info(
                "dry run", extra={"sink": self.sink.name, "key": order.message.key, "trigger": order.message.trigger}
            )
            self._end(order, "dry_run", Sent(True))
            return
        order.attempts += 1
        self._free = now + 60.0 / self.sink.rate
        key = order.message.key
        # What was heard of it may not have reached whoever asked yet.
        ref, changes = self._heard.get(key, ("", ()))
        sent = self._speaker.send(order.message, order.ref() or ref, [*order.changes(), *changes])
        if sent.done:
            self._heard[key] = (sent.ref or ref, (*changes, *sent.changes))
            self._heard.move_to_end(key)
            if len(self._heard) > MOST_HEARD:
                self._heard.popitem(last=False)
            self.tallies.sent += 1
            self.tallies.failing = 0
            self._remember(order)
            self._end(order, "delivered", sent)
        elif sent.hopeless:
            self.tallies.refused += 1
            self.tallies.failing = 0  # it answers
            log.error("sink %s refuses a notification: %s", self.sink.name, sent.said, extra={"key": key})
            self._end(order, "refused", sent)
        elif self._clock() - order.begun > self.sink.give_up / SECOND:
            self.tallies.given_up += 1
            log.error("sink %s: a notification is given up: %s", self.sink.name, sent.said, extra={"key": key})
            self._end(order, "given_up", sent)
        else:
            self._pause(sent.retry_after)
            self._again(order, sent)

    def _again(self, order: Order, sent: Sent | None) -> None:
        wait = min(FIRST * 2.0 ** min(order.attempts - 1, 20), LONGEST)
        if order.attempts <= 1:
            log.warning(
                "sink %s: tried again: %s",
                self.sink.name,
                sent.said if sent else "it failed here",
                extra={"key": order.message.key},
            )
        with self._room:
            self._push(order.message.key, self._clock() + wait)
        if sent is not None and (order.attempts == 1 or order.attempts % TELL_EVERY == 0):
            self._done(Result(order, self.sink.name, "waiting", order.attempts, self._wall(), sent.said))

    def _pause(self, asked: float | None) -> None:
        """The whole sink waits: where one cannot be delivered, mostly none can."""
        self.tallies.failed += 1
        self.tallies.failing += 1
        wait = min(FIRST * 2.0 ** min(self.tallies.failing - 1, 20), LONGEST_PAUSE)
        if self.tallies.failing <= 1:
            wait = 0.0 if len(self._orders) > 1 else wait  # it may be this message alone
        if asked is not None:
            wait = max(wait, min(asked, LONGEST_ASKED))
        self._paused = self._clock() + wait

    def _end(self, order: Order, state: DeliveryState, sent: Sent) -> None:
        key = order.message.key
        # First the result: where nothing waits any more, all results are there.
        self._done(
            Result(order, self.sink.name, state, order.attempts, self._wall(), sent.said, sent.ref, sent.changes)
        )
        with self._room:
            queue = self._orders.get(key)
            if queue and queue[0] is order:
                queue.popleft()
            if queue:
                self._push(key, self._clock())
            else:
                self._orders.pop(key, None)

    # ---- what nobody decided ------------------------------------------------------------------------------------------
    def _heartbeat_due(self) -> float:
        if self.sink.heartbeat is None:
            return float("inf")
        return self._beaten + self.sink.heartbeat / SECOND

    def _beat(self) -> None:
        """Say that the engine is alive, if it is; one that does not get through is not tried again, the next one comes."""
        self._beaten = self._clock()
        message = self._alive()
        if message is None or self._speaker is None:
            return
        self._free = self._clock() + 60.0 / self.sink.rate
        sent = self._speaker.send(message, "", ())
        self.tallies.heartbeats += sent.done
        if not sent.done:
            log.warning("sink %s: a heartbeat did not get through: %s", self.sink.name, sent.said)

    def _remember(self, order: Order) -> None:
        if self.sink.kind != "alertmanager":
            return
        until = float("inf") if order.message.firing else self._clock() + REPEAT_ENDED
        with self._room:
            self._shown[order.message.key] = _Shown(order.message, order.wanted, until)

    def _repeat_due(self) -> float:
        return self._repeated + REFRESH if self._shown and self.sink.kind == "alertmanager" else float("inf")

    def _repeat(self) -> None:
        """Say again what goes on: an Alertmanager forgets what is not repeated, and all when it is started anew."""
        self._repeated = self._clock()
        with self._room:
            # What waits to be told is newer than what was told.
            messages = [s.message for key, s in sorted(self._shown.items()) if key not in self._orders]
        together: Any = getattr(self._speaker, "all", None)
        if together is None:
            return
        for i in range(0, len(messages), TOGETHER):
            self._free = self._clock() + 60.0 / self.sink.rate
            sent = together(messages[i : i + TOGETHER])
            if not sent.done:
                log.warning("sink %s: a repeat did not get through: %s", self.sink.name, sent.said)
                self._repeated += -REFRESH + 10.0  # sooner: what is not repeated expires
                return
