"""The raw topics that recorded telemetry goes to, and what of their settings would spoil it."""

from __future__ import annotations

import time
from typing import NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]

from aiops.errors import UserError
from aiops.recording import MS
from aiops.records import rfc3339
from streams.clients_common import PATIENCE, Connection
from streams.produce_split import LIMIT
from streams.settings import RawTopic, Settings

_ENCODINGS = ("auto", "otlp_proto")
_HOUR_MS = 3_600_000


class Target(NamedTuple):
    """A raw topic.

    takes : bool
        Is the telemetry of its signal sent to it?  Else it gets an end of input only.
    retention : int
        ms; -1: for ever or not known.
    """

    topic: str
    signal: str
    partitions: int
    takes: bool
    max_bytes: int = LIMIT * 2
    retention: int = -1
    known: bool = False


def targets(settings: Settings, signals: set[str], connection: Connection, everything: bool) -> list[Target]:
    """The topics that the signals go to, the first of each in the configuration, or all topics of the configuration.

    Raises
    ------
    UserError
        There is no topic for a signal, or it does not exist, or it would replace timestamps.
    """
    chosen = {signal: _topic_of(settings, signal) for signal in sorted(signals)}
    wanted = [raw for raw in settings.inputs() if everything or chosen.get(raw.signal) == raw]
    found = [
        Target(raw.topic, raw.signal, connection.partitions(raw.topic), chosen.get(raw.signal) == raw) for raw in wanted
    ]
    given = _configured(settings, [t.topic for t in found if t.takes])
    return [_checked(target, given.get(target.topic)) for target in found]


def unfit(found: list[Target], first: int) -> list[str]:
    """What will happen to messages that arrived so long ago (Unix ns), in words; nothing where all is well."""
    age = int(time.time() * 1000) - first // MS
    out = [
        f"topic {t.topic!r} keeps messages for {t.retention / _HOUR_MS:g} h by their timestamps, and these begin at "
        f"{rfc3339(first)}: Kafka may delete them before they are read; set its retention.ms to -1"
        for t in found
        if t.takes and 0 <= t.retention < age
    ]
    if unknown := [t.topic for t in found if t.takes and not t.known]:
        out.append(f"the settings of {', '.join(unknown)} may not be read: whether old messages are kept is not known")
    return out


def _topic_of(settings: Settings, signal: str) -> RawTopic:
    of_signal = [raw for raw in settings.inputs() if raw.signal == signal]
    if not of_signal:
        raise UserError(f"the configuration has no raw topic for {signal}, which the recording holds")
    for raw in of_signal:
        if raw.encoding in _ENCODINGS:
            return raw
    names = ", ".join(repr(raw.topic) for raw in of_signal)
    raise UserError(f"no raw topic for {signal} takes protobuf, which is sent: {names} are otlp_json; auto takes both")


def _configured(settings: Settings, topics: list[str]) -> dict[str, dict[str, str]]:
    """Settings of the topics, as far as the cluster shows them."""
    admin = Connection(AdminClient, settings.admin_properties()).client
    asked = [ConfigResource(ConfigResource.Type.TOPIC, topic) for topic in topics]
    out = {}
    for resource, future in admin.describe_configs(asked, request_timeout=PATIENCE).items():
        try:
            out[resource.name] = {name: entry.value for name, entry in future.result().items()}
        except KafkaException:  # a producer needs no right to see them
            continue
    return out


def _checked(target: Target, given: dict[str, str] | None) -> Target:
    if given is None:
        return target
    if given.get("message.timestamp.type") == "LogAppendTime":
        raise UserError(
            f"topic {target.topic!r} has message.timestamp.type=LogAppendTime: it would replace the arrivals of the "
            "recording; set it to CreateTime"
        )
    deletes = "delete" in given.get("cleanup.policy", "delete")
    return target._replace(
        max_bytes=int(given.get("max.message.bytes", target.max_bytes)),
        retention=int(given.get("retention.ms", -1)) if deletes else -1,
        known=True,
    )
