"""Who may do what: the access rights that each kind of user needs, and no more.

worker: the four roles.  producer: what sends telemetry.  oncall: reads incidents.  operator: creates topics, reads dead
letters and everything public, answers on the commands topic.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from streams.settings import Settings
from streams.topics import ROLES, Topic, table

if TYPE_CHECKING:
    from confluent_kafka.admin import AclBinding  # type: ignore[attr-defined]

USERS = ("worker", "producer", "oncall", "operator")


class Right(NamedTuple):
    """One access right.

    Attributes
    ----------
    resource : {'topic', 'group'}
    pattern : {'literal', 'prefixed'}
    """

    user: str
    resource: str
    pattern: str
    name: str
    operation: str


def rights(settings: Settings) -> list[Right]:
    """All access rights, each once."""
    return list(dict.fromkeys(_rights(settings)))


def _rights(settings: Settings) -> Iterator[Right]:
    topics = table(settings)
    for topic in topics:
        for operation in _worker(topic):
            yield Right("worker", "topic", "literal", topic.name, operation)
    # Of the roles' consumer groups, and none of a prefix that only begins like this one.
    for end in ".-":
        yield Right("worker", "group", "prefixed", f"{settings.prefix}{end}", "READ")
    for topic in topics:
        if topic.kind == "raw":
            yield Right("producer", "topic", "literal", topic.name, "WRITE")
    yield Right("oncall", "topic", "literal", settings.topic("incidents"), "READ")
    yield Right("oncall", "group", "prefixed", "oncall-", "READ")
    for topic in topics:
        for operation in ("CREATE", "DESCRIBE", "DESCRIBE_CONFIGS", *_operator(settings, topic)):
            yield Right("operator", "topic", "literal", topic.name, operation)
    yield Right("operator", "group", "prefixed", "operator-", "READ")


def _worker(topic: Topic) -> Iterator[str]:
    reads, writes = set(topic.readers) & set(ROLES), set(topic.writers) & set(ROLES)
    if reads or (writes and topic.name.endswith(".incidents")):  # whose owner looks for older versions after its own
        yield "READ"
    if writes or (reads and topic.kind == "internal"):  # who reads the log also writes stragglers into it
        yield "WRITE"
    if reads or writes:
        yield "DESCRIBE"
        yield "DESCRIBE_CONFIGS"  # a worker checks its topics before it begins


def _operator(settings: Settings, topic: Topic) -> Iterator[str]:
    if topic.kind in {"public", "dlq", "internal"}:
        yield "READ"
    # The set of sources, and answers.
    if topic.kind == "internal" or topic.name == settings.topic("commands"):
        yield "WRITE"


def bindings(found: list[Right], principals: dict[str, str]) -> list[AclBinding]:
    """Access rights as Kafka takes them.

    Parameters
    ----------
    principals : dict, user -> principal, as ``User:aiops-worker``
    """
    from confluent_kafka.admin import (  # type: ignore[attr-defined]
        AclBinding,
        AclOperation,
        AclPermissionType,
        ResourcePatternType,
        ResourceType,
    )

    return [
        AclBinding(
            ResourceType[right.resource.upper()],
            right.name,
            ResourcePatternType[right.pattern.upper()],
            principals[right.user],
            "*",
            AclOperation[right.operation],
            AclPermissionType.ALLOW,
        )
        for right in found
        if right.user in principals
    ]


def script(found: list[Right], principals: dict[str, str], servers: str) -> list[str]:
    """The same as arguments of Kafka's own ``kafka-acls.sh``, a line for each user and resource."""
    operations: dict[Right, list[str]] = {}
    for right in found:
        if right.user in principals:
            operations.setdefault(right._replace(operation=""), []).append(right.operation)
    out = []
    for right, several in operations.items():
        what = " ".join(f"--operation {operation}" for operation in several)
        where = f"--{right.resource} {right.name} --resource-pattern-type {right.pattern}"
        who = f"--allow-principal {principals[right.user]}"
        out.append(f"kafka-acls.sh --bootstrap-server {servers} --add {who} {what} {where}")
    return out
