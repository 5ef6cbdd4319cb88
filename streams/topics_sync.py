"""Tells every partition of the internal topics which sources it waits for: the set of sources is data.

The current set also stands in a compacted topic, with the offset of each record that told it.  So an unchanged set costs
nothing, a run that was cut off is completed by the next, and a partition whose record is gone (its topic made anew, its
log deleted up to there) is told again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import OFFSET_BEGINNING, KafkaError, Message, Producer

from aiops.errors import UserError
from aiops.told import TOLD
from streams.admin import Admin, Found, refusal
from streams.control import KEY, decode_sources, sources_record
from streams.past import ReadError, past
from streams.records import SOURCES, TRACED, Refused
from streams.settings import Settings
from streams.settings_clients import client_error

PATIENCE = 30.0  # seconds without anything new after which reading or writing gives up
WAITING = ("traces", "signals", "findings")  # topics whose partitions wait for sources

Sets = dict[str, list[str]]


class Told(msgspec.Struct, frozen=True):
    """Where the records of a topic are: its identity and the offset in each partition."""

    identity: str
    offsets: list[int]


class State(msgspec.Struct, frozen=True):
    """What the topic of sources says: the sets by short name of topic, and where they have been told."""

    generation: int
    sets: Sets
    told: dict[str, Told] = {}


class Synced(NamedTuple):
    """What a run did.

    Attributes
    ----------
    written : int
        Records; 0 = everything was told already.
    """

    generation: int
    sources: int
    written: int


def source_sets(settings: Settings, partitions: Mapping[str, int]) -> Sets:
    """Sources that each internal topic waits for, by its short name.

    Parameters
    ----------
    partitions : mapping, full name of a topic -> number of partitions
    """

    def of(topic: str) -> list[str]:
        return [f"{topic}/{p}" for p in range(partitions[topic])]

    raw = {r.topic: (r.signal, of(r.topic)) for r in settings.inputs()}
    traced = [s for signal, sources in raw.values() if signal in TRACED for s in sources]
    telemetry = [s for signal, sources in raw.values() if signal not in TOLD for s in sources]
    told = [s for signal, sources in raw.values() if signal in TOLD for s in sources]
    return {
        "traces": sorted(traced),
        "signals": sorted(telemetry + (of(settings.topic("traces")) if traced else [])),
        "findings": sorted(of(settings.topic("signals")) + told),
    }


def sync(admin: Admin, settings: Settings) -> Synced:
    """Write the set of sources where it is not told yet.

    Raises
    ------
    UserError
        Topics are missing, or a record was not acknowledged.
    """
    found = _found(admin, settings)
    sets = source_sets(settings, {name: topic.partitions for name, topic in found.items()})
    state = current(settings)
    ends = admin.offsets({settings.topic(name): found[settings.topic(name)].partitions for name in WAITING})
    count = len({source for sources in sets.values() for source in sources})
    if state is not None and state.sets == sets and not untold(settings, state, found, ends):
        return Synced(state.generation, count, 0)
    if state is None:
        # The topic may have been made anew beside logs that know a generation: theirs must be exceeded.
        generation = 1 + max((g for name in WAITING for g in _generations(settings, name, ends)), default=0)
    else:
        generation = state.generation + (state.sets != sets)
    return Synced(generation, count, _tell(settings, State(generation, sets), found))


def untold(
    settings: Settings, state: State, found: Mapping[str, Found], ends: Mapping[tuple[str, int], tuple[int, int]]
) -> list[str]:
    """Partitions that hold no record of the current set."""
    out = []
    for name in WAITING:
        topic, told = settings.topic(name), state.told.get(name, Told("", []))
        for p in range(found[topic].partitions):
            first, end = ends[topic, p]
            known = told.identity == found[topic].identity and p < len(told.offsets)
            if not (known and first <= told.offsets[p] < end):
                out.append(f"{topic}/{p}")
    return out


def unsynced(admin: Admin, settings: Settings) -> str | None:
    """Why a run of ``sync`` is due, in words.

    Raises
    ------
    UserError
        Topics are missing.
    """
    found = _found(admin, settings)
    state = current(settings)
    if state is None:
        return "the set of sources has never been written"
    if state.sets != source_sets(settings, {name: topic.partitions for name, topic in found.items()}):
        return "the set of sources has changed since it was written"
    ends = admin.offsets({settings.topic(name): found[settings.topic(name)].partitions for name in WAITING})
    places = untold(settings, state, found, ends)
    return f"no set of sources in {', '.join(places)}" if places else None


def _found(admin: Admin, settings: Settings) -> dict[str, Found]:
    names = [*(r.topic for r in settings.inputs()), *(settings.topic(name) for name in (*WAITING, "sources"))]
    found = admin.topics(names)
    if missing := [name for name in names if name not in found]:
        raise UserError(f"topics {', '.join(missing)} do not exist: aiops topics create makes them")
    return found


def _tell(settings: Settings, state: State, found: Mapping[str, Found]) -> int:
    """Write a state and its records; first that it is under way, at last where everything is."""
    written: dict[tuple[str | None, int | None], int | None] = {}
    failed: list[str] = []
    # A broker that has just started makes librdkafka warn of what it tries again by itself.
    properties = {**settings.producer_properties(), "log_level": "3"}
    with client_error(properties, "producer"):
        producer = Producer(properties)

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            failed.append(f"{message.topic()}/{message.partition()}: {error.str()}")
        else:
            written[message.topic(), message.partition()] = message.offset()

    def flush() -> None:
        if producer.flush(PATIENCE) and not failed:
            failed.append(f"no acknowledgement after {PATIENCE:g} s")
        if failed:
            raise UserError(f"the set of sources was not written: {failed[0]}; run aiops topics sync again")

    def keep(now: State) -> None:
        headers: list[Any] = [("kind", SOURCES.encode())]
        producer.produce(
            settings.topic("sources"),
            msgspec.json.encode(now),
            KEY,
            partition=0,
            headers=headers,
            on_delivery=delivered,
        )
        flush()

    keep(state)
    for name in WAITING:
        headers, value = sources_record(state.sets[name], state.generation)
        more: list[Any] = [*headers]
        for p in range(found[settings.topic(name)].partitions):
            producer.produce(settings.topic(name), value, partition=p, headers=more, on_delivery=delivered)
    flush()
    told = {}
    for name in WAITING:
        topic = settings.topic(name)
        offsets = [written[topic, p] or 0 for p in range(found[topic].partitions)]
        told[name] = Told(found[topic].identity, offsets)
    keep(msgspec.structs.replace(state, told=told))
    return sum(len(told[name].offsets) for name in WAITING)


# ---- what has been written -----------------------------------------------------------------------------------------------
def current(settings: Settings) -> State | None:
    """The newest state in the topic of sources.

    Raises
    ------
    UserError
        It cannot be read.
    """
    topic, state = settings.topic("sources"), None
    for message in _log(settings, topic, {0: OFFSET_BEGINNING}):
        if message.key() == KEY and (value := message.value()) is not None:
            try:
                state = msgspec.json.decode(value, type=State)
            except msgspec.DecodeError as error:
                raise UserError(f"topic {topic}, offset {message.offset()}: {error}") from None
    return state


def _generations(settings: Settings, name: str, ends: Mapping[tuple[str, int], tuple[int, int]]) -> Iterator[int]:
    """Generations of the sources records in a topic, which is read as a whole."""
    topic = settings.topic(name)
    starts = {p: first for (t, p), (first, end) in ends.items() if t == topic and end > first}
    for message in _log(settings, topic, starts):
        if ("kind", SOURCES.encode()) in (message.headers() or []):
            try:
                yield decode_sources(message.value() or b"")[1]
            except Refused as error:
                raise UserError(f"topic {topic}, offset {message.offset()}: {error}") from None


def _log(settings: Settings, topic: str, starts: Mapping[int, int]) -> Iterator[Message]:
    """Messages of partitions, each from an offset to its end as it is now."""
    properties = settings.consumer_properties(settings.group("topics"))
    try:
        with client_error(properties, "consumer"):
            yield from past(properties, topic, starts, PATIENCE)
    except ReadError as error:
        raise (UserError(str(error)) if error.error is None else _refused(error.error, topic, properties)) from None


def _refused(error: KafkaError, topic: str, properties: Mapping[str, str]) -> UserError:
    return refusal(error, f"topic {topic}", properties)
