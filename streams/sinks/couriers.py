"""The couriers of all sinks of a process: what desks want delivered goes to them, what became of it comes back to the desks."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue

from aiops.notify.config import Sink
from aiops.notify.desk import Desk, Due
from aiops.notify.message import Message
from streams.sinks.courier import Courier, Order, Result
from streams.sinks.kinds import Speaker, speaker

log = logging.getLogger(__name__)


class Couriers:
    """One a sink.

    Parameters
    ----------
    alive : callable
        The message of a heartbeat, or None.
    dry_run : bool
        Nothing is sent at all, whatever the sinks say.

    Raises
    ------
    UserError
        A sink cannot be spoken to.
    """

    def __init__(
        self, sinks: Iterable[Sink], alive: Callable[[], Message | None] = lambda: None, dry_run: bool = False,
        speaks: Callable[[Sink], Speaker] = speaker,
    ) -> None:  # fmt: skip
        self._results: SimpleQueue[Result] = SimpleQueue()
        self.of = {
            sink.name: Courier(sink, None if dry_run or sink.dry_run else speaks(sink), self._results.put, alive)
            for sink in sinks
        }

    def start(self) -> None:
        """Deliver from now on."""
        for courier in self.of.values():
            courier.start()

    def stop(self, patience: float = 2.0) -> None:
        """Deliver no more."""
        for courier in self.of.values():
            courier.stop()
        for courier in self.of.values():
            courier.stop(patience)

    def bring(self, desk: Desk, due: Iterable[Due]) -> None:
        """Messages whose decisions have been saved."""
        owner = weakref.ref(desk)  # a desk that is given up wants nothing delivered: another process does that
        for one in due:
            self.of[one.sink].offer(_order(owner, one))

    def show(self, desk: Desk) -> None:
        """What sinks hold open already, for those that forget."""
        owner = weakref.ref(desk)
        for sink, message in desk.shown():
            self.of[sink].show(message, lambda: owner() is not None)

    def collect(self) -> int:
        """Hand results to their desks; returns how many there were."""
        n = 0
        while True:
            try:
                result = self._results.get_nowait()
            except Empty:
                return n
            n += 1
            owner, due = result.order.owner
            if (desk := owner()) is not None:
                desk.delivery(due, result.state, result.attempts, result.at, result.said, result.ref, result.changes)

    def gauges(self) -> dict[str, float]:
        """Of each sink: what waits, attempts that failed in a row, and what was counted."""
        out: dict[str, float] = {}
        for name, courier in sorted(self.of.items()):
            of, about = courier.tallies, f"sinks_{name.replace('-', '_')}"
            out |= {
                f"{about}_waiting": float(len(courier)), f"{about}_failing": float(of.failing),
                f"{about}_sent_total": float(of.sent), f"{about}_failed_total": float(of.failed),
                f"{about}_refused_total": float(of.refused), f"{about}_given_up_total": float(of.given_up),
                f"{about}_heartbeats_total": float(of.heartbeats),
            }  # fmt: skip
        return out


def _order(owner: weakref.ref[Desk], due: Due) -> Order:
    track = due.track
    return Order(
        due.message,
        (owner, due),
        lambda: owner() is not None,
        lambda: track.refs.get(due.sink, ""),
        lambda: track.changes,
    )
