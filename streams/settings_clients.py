"""Properties of Kafka clients: what the configuration says, what the engine needs on top, and what it must refuse.

librdkafka knows some properties by two names; here every one has the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from typing import NamedTuple

from aiops.errors import UserError

REDACTED = "***"
MIB = 1 << 20
LARGEST = 16 * MIB  # bytes of a message of an internal topic

_SECRET = re.compile(r"password|secret|token|credential|jaas|key|oauthbearer\.config", re.IGNORECASE)
_NO_SECRET = re.compile(r"\.(?:location|url|id)$|^partition\.")
_SHORTEST_SECRET = 3  # what is shorter would be found in half of all words


class Properties(dict[str, str]):
    """Properties whose secrets stay out of ``repr``."""

    def __repr__(self) -> str:
        return repr(redacted(self))


def is_secret(name: str) -> bool:
    """Is the value of a property or setting of this name not to be shown?"""
    return _SECRET.search(name) is not None and _NO_SECRET.search(name) is None


def redacted(properties: Mapping[str, str]) -> dict[str, str]:
    """Properties as they may be shown."""
    return {name: REDACTED if is_secret(name) else value for name, value in properties.items()}


ALIASES = {
    "metadata.broker.list": "bootstrap.servers",
    "sasl.mechanisms": "sasl.mechanism",
    "max.in.flight": "max.in.flight.requests.per.connection",
    "request.required.acks": "acks",
    "message.timeout.ms": "delivery.timeout.ms",
    "queue.buffering.max.ms": "linger.ms",
    "message.send.max.retries": "retries",
    "compression.codec": "compression.type",
    "fetch.message.max.bytes": "max.partition.fetch.bytes",
    "auto.commit.enable": "enable.auto.commit",
}


class Rule(NamedTuple):
    """The values that a property may have, the first of which is set; none = it may not be given; and why."""

    allowed: tuple[str, ...]
    reason: str


_TRUE, _FALSE = ("true", "t", "1"), ("false", "f", "0")

ALL_RULES = {
    "plugin.library.paths": Rule((), "it would load foreign code into every worker"),
    "group.id": Rule((), "each role has a consumer group of its own"),
    "statistics.interval.ms": Rule((), "a worker reads the statistics of its clients to see that they know a broker"),
}
CONSUMER_RULES = {
    **ALL_RULES,
    "enable.auto.commit": Rule(
        _FALSE, "an offset is committed when what was read has been processed, not when it was read"
    ),
    "auto.offset.reset": Rule(
        ("earliest", "smallest", "beginning"), "what a topic holds before a worker first reads it would be lost"
    ),
    "partition.assignment.strategy": Rule(
        ("cooperative-sticky",), "workers hand over partitions one by one, and all of a group must do it alike"
    ),
    "group.protocol": Rule(
        ("classic",), "workers leave when their session has ended, which only they know with this one"
    ),
}
PRODUCER_RULES = {
    **ALL_RULES,
    "acks": Rule(("all", "-1"), "a record that the leader alone has can be lost after the offset was committed"),
    "enable.idempotence": Rule(_TRUE, "records would be repeated or change places when sending is tried again"),
    "partitioner": Rule(("murmur2_random",), "Java and Faust clients would choose other partitions for the same key"),
    "transactional.id": Rule((), "an open transaction of a dead worker stops everybody who reads the topic"),
    "delivery.report.only.error": Rule((), "progress is saved when records have been acknowledged"),
    "delivery.timeout.ms": Rule(
        ("0",), "a record that is given up leaves a gap, and later ones would go out: a worker waits for its broker"
    ),
    "queuing.strategy": Rule((), "records would change places"),
}
_LEAST = {
    "message.max.bytes": (LARGEST, "what comes of one step must fit a record, and the topics of the engine take it"),
    "queue.buffering.max.kbytes": (
        LARGEST >> 10,
        "a record that never fits the queue would stop a worker without a word",
    ),
}
_CALLBACK = re.compile(r".*_cb|on_delivery|on_commit|logger|.*\.serializer|.*\.deserializer")

_CONSUMER_DEFAULTS = {
    "session.timeout.ms": "10000",
    "heartbeat.interval.ms": "1000",
    "max.poll.interval.ms": "300000",
    # A fetch waits for a batch worth decoding, but not for long.
    "fetch.min.bytes": "65536",
    "fetch.wait.max.ms": "100",
    "max.partition.fetch.bytes": str(4 * MIB),
    # Bounds what a consumer holds, for all its partitions together.
    "queued.max.messages.kbytes": "65536",
}
_PRODUCER_DEFAULTS = {
    "compression.type": "lz4",
    "linger.ms": "10",
    "batch.size": str(MIB),
    "queue.buffering.max.kbytes": "65536",
}
_BOTH_DEFAULTS = {
    "message.max.bytes": str(LARGEST),
    # Brokers that do not answer are given up for bootstrap.servers after this, instead of 5 minutes.  It helps where
    # metadata was asked for in vain; a client that knows nobody to ask is found by streams.known_brokers.
    "metadata.recovery.rebootstrap.trigger.ms": "10000",
}


def canonical(properties: Mapping[str, str]) -> dict[str, str]:
    """Each property under its first name."""
    return {ALIASES.get(name, name): value for name, value in properties.items()}


def consumer(kafka: Mapping[str, str], section: Mapping[str, str], group: str) -> Properties:
    """Properties of a consumer."""
    given = {**canonical(kafka), **canonical(section)}
    return Properties({**_BOTH_DEFAULTS, **_CONSUMER_DEFAULTS, **given, **_needed(CONSUMER_RULES), "group.id": group})


def producer(kafka: Mapping[str, str], section: Mapping[str, str]) -> Properties:
    """Properties of a producer."""
    given = {**canonical(kafka), **canonical(section)}
    return Properties({**_BOTH_DEFAULTS, **_PRODUCER_DEFAULTS, **given, **_needed(PRODUCER_RULES)})


def admin(kafka: Mapping[str, str]) -> Properties:
    """Properties of an admin client."""
    return Properties(canonical(kafka))


def _needed(rules: Mapping[str, Rule]) -> dict[str, str]:
    return {name: rule.allowed[0] for name, rule in rules.items() if rule.allowed}


def refusals(kafka: Mapping[str, str], consumers: Mapping[str, str], producers: Mapping[str, str]) -> list[str]:
    """What is wrong with the properties of a configuration, a line each."""
    found: list[str] = []
    if not canonical(kafka).get("bootstrap.servers", "").strip():
        found.append("kafka.bootstrap.servers is required: host:port of one or more brokers")
    everywhere = {**PRODUCER_RULES, **CONSUMER_RULES}
    for section, properties, rules in (
        ("kafka", kafka, everywhere),
        ("consumer", consumers, CONSUMER_RULES),
        ("producer", producers, PRODUCER_RULES),
    ):
        seen: dict[str, str] = {}
        for name, value in properties.items():
            first = ALIASES.get(name, name)
            if first in seen:
                found.append(f"{section}.{name} is another name of {section}.{seen[first]}: give one of them")
            seen[first] = name
            if _CALLBACK.fullmatch(name):
                found.append(f"{section}.{name} is a Python function, which a file cannot give")
            if first == "bootstrap.servers" and section != "kafka":
                found.append(f"{section}.{name}: all clients speak to one cluster; write it under kafka")
            rule = rules.get(first)
            if rule is not None and value.strip().lower() not in rule.allowed:
                must = f"must stay {rule.allowed[0]}" if rule.allowed else "cannot be set"
                found.append(f"{section}.{name} {must}: {rule.reason}")
            least, why = _LEAST.get(first, (0, ""))
            if value.strip().isdecimal() and int(value) < least:
                found.append(f"{section}.{name} must be {least} at least: {why}")
    return found


# ---- errors of clients -------------------------------------------------------------------------------------------------
_UNKNOWN = re.compile(r'No such configuration property: "([^"]+)"')
_INVALID = re.compile(r'Invalid value (?:"[^"]*" )?for configuration property "([^"]+)"')
_KNOWN = [
    *CONSUMER_RULES, *PRODUCER_RULES, *ALIASES, *_CONSUMER_DEFAULTS, *_PRODUCER_DEFAULTS, *_BOTH_DEFAULTS,
    *"""bootstrap.servers client.id client.rack debug enable.ssl.certificate.verification fetch.error.backoff.ms
    fetch.max.bytes group.instance.id isolation.level broker.address.family broker.address.ttl check.crcs
    connections.max.idle.ms enable.partition.eof log_level max.in.flight.requests.per.connection metadata.max.age.ms
    queue.buffering.max.messages queued.min.messages receive.message.max.bytes reconnect.backoff.max.ms
    reconnect.backoff.ms request.timeout.ms retries retry.backoff.max.ms retry.backoff.ms sasl.mechanism sasl.password
    sasl.username sasl.oauthbearer.config security.protocol socket.connection.setup.timeout.ms
    socket.keepalive.enable socket.nagle.disable socket.receive.buffer.bytes socket.send.buffer.bytes
    socket.timeout.ms ssl.ca.location ssl.ca.pem ssl.certificate.location ssl.certificate.pem ssl.cipher.suites
    ssl.crl.location ssl.endpoint.identification.algorithm ssl.key.location ssl.key.password ssl.key.pem
    ssl.keystore.location ssl.keystore.password topic.metadata.refresh.interval.ms""".split(),
]  # fmt: skip


@contextmanager
def client_error(properties: Mapping[str, str], what: str = "kafka") -> Iterator[None]:
    """What a client says when it is made with these properties becomes one clear error, without secrets.

    Raises
    ------
    UserError
    """
    from confluent_kafka import KafkaException

    try:
        yield
    except KafkaException as error:
        said = error.args[0].str() if hasattr(error.args[0], "str") else str(error)
        raise UserError(f"{what}: {explained(said, properties)}") from None
    except (TypeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{what}: {explained(str(error), properties)}") from None


def explained(said: str, properties: Mapping[str, str]) -> str:
    """What librdkafka says about properties, in the names of the configuration and without its secrets."""
    if match := _UNKNOWN.search(said):
        near = get_close_matches(match[1], _KNOWN, 1)
        return f"librdkafka has no property {match[1]!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    if match := _INVALID.search(said):
        names = {match[1], ALIASES.get(match[1], match[1]), *(n for n, first in ALIASES.items() if first == match[1])}
        name = next((n for n in properties if n in names), match[1])
        value = REDACTED if is_secret(name) else properties.get(name, "")
        return f"{value!r} is no value of the property {name!r}"
    return without_secrets(said, properties)


def without_secrets(text: str, properties: Mapping[str, str]) -> str:
    """A text in which no value of a secret property appears."""
    for name, value in properties.items():
        if is_secret(name) and len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, REDACTED)
    return text
