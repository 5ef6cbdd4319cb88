"""A recorded line -> the messages that a Collector's Kafka exporter would make of it, one or none a partition.

Spans and log records of a trace go to the partition of their trace id, all else to that of its resource.  What goes to
one partition stays together, in order, under its resource and scope; only what would not fit a broker's message is cut.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import xxhash
from google.protobuf.message import DecodeError
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from aiops.records import RecordError
from aiops.telling import decode_all
from aiops.told import TOLD, partition_key
from aiops.wire.json_values import MalformedError
from aiops.wire.lenient import STRICT
from aiops.wire.otlp_json import request
from streams.produce_items import Items, field
from streams.produce_partition import partition_of

LIMIT = 900_000  # bytes of a message: a topic takes 1 MiB if it says nothing else
_MEMO = 100_000  # routes kept
_SEEN = 100_000  # messages remembered, twice

# ExportXServiceRequest, ResourceX and ScopeX have the same field numbers for logs, metrics and spans.
_GROUP, _ABOUT, _MEMBERS, _SCHEMA_URL = 1, 1, 2, 3
_SHALLOW = 20  # lists and maps of a line that cannot be nested deeper than protobuf is read, 100 messages
_FRAME = 16  # at most, of tags and lengths
_BITS = {"0": field(_GROUP, b""), "1": field(_GROUP, field(_MEMBERS, b""))}  # two ways to say nothing


class Part(NamedTuple):
    """A message to send; ``key`` is None where it holds items of several keys."""

    partition: int
    key: bytes | None
    value: bytes
    items: int
    refused: bool = False


class _Route(NamedTuple):
    key: bytes
    partition: int


class _Scope(NamedTuple):
    about: bytes  # fields of a ScopeX but its items
    items: list[bytes]


class _Group(NamedTuple):
    about: bytes  # fields of a ResourceX but its scopes
    scopes: list[_Scope]


class _Open:
    """What a line has for one partition so far."""

    __slots__ = ("groups", "items", "keys", "place", "size")

    def __init__(self) -> None:
        self.groups: list[_Group] = []
        self.place = (-1, -1)  # resource and scope, in the line, of the last item
        self.keys: set[bytes] = set()
        self.items = self.size = 0

    def add(self, place: tuple[int, int], group: bytes, scope: bytes, item: bytes) -> None:
        """Take in an item of the resource and scope at a place of the line."""
        if place[0] != self.place[0]:
            self.groups.append(_Group(group, []))
            self.size += len(group) + _FRAME
        if place != self.place:
            self.groups[-1].scopes.append(_Scope(scope, []))
            self.size += len(scope) + _FRAME
            self.place = place
        self.groups[-1].scopes[-1].items.append(item)
        self.size += len(item)

    def part(self, partition: int) -> Part:
        """The message."""
        groups = []
        for group in self.groups:
            scopes = [field(_MEMBERS, scope.about + b"".join(scope.items)) for scope in group.scopes]
            groups.append(field(_GROUP, group.about + b"".join(scopes)))
        key = next(iter(self.keys)) if len(self.keys) == 1 else None
        return Part(partition, key, b"".join(groups), self.items)


class Split:
    """Messages of the lines of one signal.

    Parameters
    ----------
    signal : {'metrics', 'traces', 'logs'} or one of ``aiops.told.TOLD``
    partitions : int
        Of the topic.
    limit : int
        Bytes at which a message is cut.
    """

    def __init__(self, signal: str, partitions: int, limit: int = LIMIT) -> None:
        self.signal, self.partitions, self.limit = signal, partitions, limit
        self._items = Items()
        self._traces: dict[bytes, _Route] = {}
        self._resources: dict[bytes, _Route] = {}
        self._seen = _Seen()

    def parts(self, line: bytes) -> list[Part]:
        """Messages of a line, in order; a line that does not decode is one message as it stands."""
        if self.signal in TOLD:
            return [self._told(line)]
        try:
            parts = self._converted(line)
            if line.count(b"arrayValue") + line.count(b"kvlistValue") > _SHALLOW:
                for part in parts:
                    STRICT[self.signal].FromString(part.value)
        except (MalformedError, DecodeError, RecursionError):  # the last two: nested deeper than protobuf is read
            return [Part(partition_of(line, self.partitions), None, line, 0, refused=True)]
        owner = xxhash.xxh3_64_intdigest(line)
        return [self._seen.distinct(part, owner + number) for number, part in enumerate(parts)]

    def _told(self, line: bytes) -> Part:
        try:
            key = partition_key(decode_all(self.signal, line)[0]).encode()
        except RecordError:
            return Part(partition_of(line, self.partitions), None, line, 0, refused=True)
        return Part(partition_of(key, self.partitions), key, line, 1)

    def _converted(self, line: bytes) -> list[Part]:
        found = request(self.signal, line)
        out: list[Part] = []
        open_: dict[int, _Open] = {}
        for r, group in enumerate(_first(found) or ()):
            resource = self._items.resource(bytes(group.resource))
            about_group = (field(_ABOUT, resource) if resource else b"") + _schema(group.schema_url)
            for s, scope in enumerate(_first(group, 2) or ()):
                about = self._items.scope(scope.scope)
                about_scope = (field(_ABOUT, about) if about else b"") + _schema(scope.schema_url)
                for item, count, trace in self._encoded(_first(scope, 2) or []):
                    route = self._by_trace(trace) if any(trace) else self._by_resource(resource)
                    to = open_.setdefault(route.partition, _Open())
                    if to.items and to.size + len(item) > self.limit:
                        out.append(to.part(route.partition))
                        to = open_[route.partition] = _Open()
                    to.add((r, s), about_group, about_scope, item)
                    to.keys.add(route.key)
                    to.items += count
        return out + [to.part(partition) for partition, to in sorted(open_.items())]

    def _encoded(self, members: list[Any]) -> Iterator[tuple[bytes, int, bytes]]:
        """Fields of a scope, how many items each holds, and their trace id."""
        if self.signal == "metrics":
            for metric in members:
                for encoded, points in self._items.metric(metric, self.limit // 2):
                    yield field(_MEMBERS, encoded), points, b""
            return
        encode = self._items.span if self.signal == "traces" else self._items.log
        for member in members:
            encoded, trace = encode(member)
            yield field(_MEMBERS, encoded), 1, trace

    def _by_trace(self, trace: bytes) -> _Route:
        route = self._traces.get(trace)
        if route is None:
            if len(self._traces) >= _MEMO:
                self._traces.clear()
            route = self._traces[trace] = _Route(trace, partition_of(trace, self.partitions))
        return route

    def _by_resource(self, resource: bytes) -> _Route:
        route = self._resources.get(resource)
        if route is None:
            if len(self._resources) >= _MEMO // 10:
                self._resources.clear()
            pairs = sorted(a.SerializeToString(deterministic=True) for a in Resource.FromString(resource).attributes)
            key = hashlib.blake2b(b"".join(pairs), digest_size=16).digest()
            route = self._resources[resource] = _Route(key, partition_of(key, self.partitions))
        return route


class _Seen:
    """Makes equal messages of different lines differ in their bytes, and only these.

    The engine takes a message whose bytes equal another's for a producer's repeat.  Lines of a recording that are equal
    are repeats, in Kafka too; but of two lines that differ the parts for one partition may be equal, such as a gauge that
    was exported twice.  The second gets empty groups behind its own, which mean nothing, in an order that counts it.
    """

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, int], int] = {}  # message, and which message of which line -> its number
        self._next: dict[int, int] = {}  # message -> the number of the next line that has it
        self._older: tuple[dict[tuple[int, int], int], dict[int, int]] = ({}, {})

    def distinct(self, part: Part, owner: int) -> Part:
        """The same part, its bytes unlike those of all others remembered."""
        digest = xxhash.xxh3_64_intdigest(part.value, part.partition)
        number = self._numbers.get((digest, owner), self._older[0].get((digest, owner)))
        if number is None:
            number = self._next.get(digest, self._older[1].get(digest, 0))
            self._next[digest] = number + 1
        if len(self._numbers) >= _SEEN:
            self._older = self._numbers, self._next
            self._numbers, self._next = {}, {}
        self._numbers[digest, owner] = number
        self._next.setdefault(digest, self._older[1].get(digest, number + 1))
        return part if not number else part._replace(value=part.value + b"".join(_BITS[bit] for bit in f"{number:b}"))


def _first(struct: Any, number: int = 0) -> Any:
    """Value of a field by its number: the lists of resources, scopes and items have other names in each signal."""
    return getattr(struct, struct.__struct_fields__[number])


def _schema(url: str | None) -> bytes:
    return field(_SCHEMA_URL, url.encode()) if url else b""
