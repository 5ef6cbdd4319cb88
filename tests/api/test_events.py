"""The stream of transitions: as they come, from where one was, and within bounds."""

from __future__ import annotations

import asyncio
import json

import pytest

from streams.api import events
from streams.api.events import Events, TooManyError
from streams.history.batch import Batch
from tests.api.conftest import READER
from tests.history import said


def parsed(raw):
    fields = dict(line.split(": ", 1) for line in raw.decode().strip().splitlines() if not line.startswith(":"))
    return fields.get("event"), fields.get("id"), json.loads(fields["data"]) if "data" in fields else None


async def taken(stream, count):
    return [parsed(await asyncio.wait_for(anext(stream), 5)) for _ in range(count)]


def opened(n, version=1):
    return Batch(incidents=[(said.incident(n, version), "opened")])


def test_what_comes_after_one_listens_is_told_in_order_with_its_number(store):
    async def run():
        hub = Events(store)
        task = asyncio.create_task(hub.run())
        stream = hub.listen(None)
        await anext(stream)
        for n in (20, 21):
            await asyncio.to_thread(store.apply, opened(n))
        found = await taken(stream, 2)
        await stream.aclose()
        task.cancel()
        return found, len(hub)

    found, left = asyncio.run(run())
    assert [(event, data["incident_id"]) for event, _, data in found] == [
        ("transition", said.name(n)) for n in (20, 21)
    ]
    assert int(found[0][1]) + 1 == int(found[1][1])
    assert left == 0


def test_who_was_away_is_told_what_was_missed_and_nothing_twice(store):
    async def run():
        hub = Events(store)
        for n in (20, 21, 22):
            store.apply(opened(n))
        stream = hub.listen(39 - 1)  # 39 transitions were there before: three of each of twelve, and three
        await anext(stream)
        return await taken(stream, 4)

    found = asyncio.run(run())
    assert [data["incident_id"] for _, _, data in found] == [said.name(n) for n in (14, 20, 21, 22)]


@pytest.mark.parametrize("after", [10**6, 0])
def test_who_missed_too_much_or_comes_from_another_store_begins_anew(store, monkeypatch, after):
    monkeypatch.setattr(events, "MISSED", 5)

    async def run():
        stream = Events(store).listen(after)
        await anext(stream)
        return await taken(stream, 1)

    ((event, number, _),) = asyncio.run(run())
    assert (event, number) == ("reset", "39")


def test_who_does_not_keep_up_is_sent_away(store, monkeypatch):
    monkeypatch.setattr(events, "WAITING", 4)

    async def run():
        hub = Events(store)
        stream = hub.listen(None)
        await anext(stream)
        for _ in range(6):
            hub.commanded("x")
        told = [event async for event in stream]
        return told, len(hub)

    told, left = asyncio.run(run())
    assert len(told) == 3
    assert left == 0


def test_more_listeners_than_there_is_room_for_are_refused(store, monkeypatch):
    monkeypatch.setattr(events, "LISTENERS", 1)

    async def run():
        hub = Events(store)
        first = hub.listen(None)
        await anext(first)
        with pytest.raises(TooManyError):
            await anext(hub.listen(None))
        await first.aclose()
        await anext(hub.listen(None))

    asyncio.run(run())


def test_a_number_that_is_none_is_refused(reader):
    answer = reader.get("/api/v1/events", headers={"Last-Event-ID": "1 OR 1"})
    assert answer.status_code == 400
    assert READER not in answer.text
