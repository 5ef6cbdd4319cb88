"""Progress of the partitions of a process: on its way to Kafka, and standing still."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Generator
from typing import Protocol

from confluent_kafka import TopicPartition

from streams.sender import Sender

log = logging.getLogger(__name__)

STALL = 120.0  # seconds without progress of a position that has lag, after which a process leaves

Place = tuple[str, int]  # topic, partition
Saving = Generator[int, None, None]
"""Saves the progress of a task: yields marks (``Sender.mark``) and goes on when they have been acknowledged."""


class WorkerError(RuntimeError):
    """The process cannot go on; the message says why."""


class Committer(Protocol):
    """What saving progress needs of a process."""

    sender: Sender

    def commit(self, place: TopicPartition, offset: int, metadata: str) -> None:
        """Commit an offset."""


class Savings:
    """Progress that is being saved, of each partition at most once at a time.

    Parameters
    ----------
    patience : float
        Seconds to wait for an acknowledgement where a partition is given up.
    """

    def __init__(self, sender: Sender, patience: float) -> None:
        self._sender, self._patience = sender, patience
        self._of: dict[Place, tuple[Saving, int]] = {}  # and the mark at which it stands

    def step(self, place: Place, due: Callable[[], bool], begin: Callable[[], Saving]) -> None:
        """Go on with what has been acknowledged; else begin, where it is due."""
        if place in self._of:
            saving, mark = self._of[place]
            if self._sender.acknowledged(mark):
                self._go_on(place, saving)
        elif due():
            self._go_on(place, begin())

    def finish(self, place: Place, begin: Callable[[], Saving]) -> None:
        """Save what is left before a partition is given up, if the broker answers in time."""
        if place in self._of:  # one that is on its way is not begun again
            in_time = self._through(self._of.pop(place)[0]) and self._through(begin())
        else:
            in_time = self._through(begin())
        if not in_time:
            log.warning("progress was not saved in time", extra={"partition": f"{place[0]}/{place[1]}"})

    def drop(self, place: Place) -> None:
        """Forget a partition: another process may own it."""
        self._of.pop(place, None)

    def clear(self) -> None:
        """Forget all."""
        self._of.clear()

    def _go_on(self, place: Place, saving: Saving) -> None:
        try:
            self._of[place] = saving, next(saving)
        except StopIteration:
            self._of.pop(place, None)

    def _through(self, saving: Saving) -> bool:
        with contextlib.closing(saving):  # the mark at which one that is on its way stands comes first
            return self._sender.flush(self._patience) and all(self._sender.flush(self._patience) for _ in saving)


class Standstill:
    """Notices positions that do not move although there is more to read.

    Parameters
    ----------
    clock : callable
        Seconds, as ``time.monotonic``.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[Place, tuple[int, float]] = {}  # position, and since when it stands there

    def look(self, place: Place, position: int, end: int, excused: bool = False) -> None:
        """Partition `place` stands at `position`, the log ends at `end`; `excused`: it could not get on.

        Raises
        ------
        WorkerError
            For too long.
        """
        now = self._clock()
        before, since = self._since.get(place, (-1, now))
        if position != before or end <= position or excused:
            self._since[place] = position, now
        elif now - since > STALL:
            topic, partition = place
            raise WorkerError(
                f"{topic}/{partition}: stands at offset {position} of {end} for {STALL:g} s although there is more"
            )

    def drop(self, place: Place) -> None:
        """Forget a partition."""
        self._since.pop(place, None)

    def clear(self) -> None:
        """Forget all: nobody could get on."""
        self._since.clear()
