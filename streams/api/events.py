"""New transitions of the store -> server-sent events for everybody who listens; who was away goes on after the last one seen.

One task asks the store for all of them.  Who does not keep up is sent away, and comes again with the number of the last event.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator

import msgspec
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from streams.history import incident_queries
from streams.history.incident_queries import Transition
from streams.history.store import Store

log = logging.getLogger(__name__)

EVERY = 0.25  # seconds between looks at the store while anybody listens
LISTENERS = 100
WAITING = 500  # events that wait for a listener
MISSED = 1_000  # events that are made good; beyond them the listener is told to begin anew
BEAT = 15.0  # seconds without an event after which a comment is sent: proxies close what is silent


class TooManyError(Exception):
    """As many listen as may."""


class Events:
    """Everybody who listens to a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queues: set[asyncio.Queue[bytes | None]] = set()
        self._seen = -1

    def __len__(self) -> int:
        return len(self._queues)

    async def run(self) -> None:
        """Look for news until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            if not self._queues:
                continue
            try:
                news = await run_in_threadpool(self._news)
            except SQLAlchemyError as error:
                log.warning("events: the store cannot be read: %s", error)
                continue
            for transition in news:
                self._tell(_event(transition))

    def commanded(self, incident: str) -> None:
        """Somebody commanded something of an incident; to be called in the loop's thread."""
        self._tell(b"event: command\ndata: " + msgspec.json.encode({"incident_id": incident}) + b"\n\n")

    async def listen(self, after: int | None) -> AsyncGenerator[bytes, None]:
        """Events from number `after` on, or from now on; ends when the listener does not keep up.

        Raises
        ------
        TooManyError
            Before the first event.
        """
        if len(self._queues) >= LISTENERS:
            raise TooManyError
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(WAITING)
        if not self._queues:  # nobody listened, so nobody looked
            self._seen = (await run_in_threadpool(self._bounds))[1]
        self._queues.add(queue)
        seen = self._seen
        try:
            yield b"retry: 2000\n: listening\n\n"
            if after is not None and after != seen:
                for event in await run_in_threadpool(self._missed, after, seen):
                    yield event
            while True:
                try:
                    async with asyncio.timeout(BEAT):
                        told = await queue.get()
                except TimeoutError:
                    yield b": \n\n"
                    continue
                if told is None:
                    return
                yield told
        finally:
            self._queues.discard(queue)

    def _tell(self, event: bytes) -> None:
        for queue in list(self._queues):
            if queue.full():
                self._queues.discard(queue)
                with contextlib.suppress(asyncio.QueueEmpty):
                    queue.get_nowait()
                queue.put_nowait(None)
            else:
                queue.put_nowait(event)

    def _bounds(self) -> tuple[int, int]:
        with self._store.reading() as connection:
            return incident_queries.newest(connection)

    def _news(self) -> list[Transition]:
        with self._store.reading() as connection:
            news = incident_queries.after(connection, self._seen, WAITING // 2)
        if news:
            self._seen = news[-1].seq
        return news

    def _missed(self, after: int, seen: int) -> list[bytes]:
        """Events after number `after` up to `seen`, or the advice to begin anew."""
        with self._store.reading() as connection:
            low, _ = incident_queries.newest(connection)
            missed = incident_queries.after(connection, after, MISSED + 1)
        if after > seen or after + 1 < low or len(missed) > MISSED:
            return [b"event: reset\nid: %d\ndata: {}\n\n" % max(seen, 0)]
        return [_event(transition) for transition in missed if transition.seq <= seen]


def _event(transition: Transition) -> bytes:
    return b"id: %d\nevent: transition\ndata: %b\n\n" % (transition.seq, msgspec.json.encode(transition))
