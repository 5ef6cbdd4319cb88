"""Who may do what: the access rights that each kind of user needs, and no more.

worker: the four roles.  producer: what sends telemetry.  oncall: reads incidents.  operator: creates topics, reads dead
letters and everything public, answers on the commands topic.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from aiops.errors import UserError
from streams.settings import Settings
from streams.topics import OPERATOR, ROLES, Topic, needed, table

if TYPE_CHECKING:
    from confluent_kafka.admin import AclBinding  # type: ignore[attr-defined]

    from streams.admin import Admin

log = logging.getLogger(__name__)

USERS = ("worker", "producer", "oncall", "operator")
LOOK_EVERY = 3.0  # seconds
PATIENCE = 3.0  # seconds for an answer while the role runs
REFUSED, SHUT_OUT = 2, 2  # times in a row
ADVICE = "aiops topics acls prints the access rights needed"


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
    yield from _of_roles(settings, topics, ROLES)
    for topic in topics:
        if topic.kind == "raw":
            yield Right("producer", "topic", "literal", topic.name, "WRITE")
    yield Right("oncall", "topic", "literal", settings.topic("incidents"), "READ")
    yield Right("oncall", "group", "prefixed", "oncall-", "READ")
    for topic in topics:
        for operation in ("CREATE", "DESCRIBE", "DESCRIBE_CONFIGS", *_operator(settings, topic)):
            yield Right("operator", "topic", "literal", topic.name, operation)
    yield Right("operator", "group", "prefixed", "operator-", "READ")
    # With which aiops topics reads; nobody joins it, but the client looks for its coordinator.
    yield Right("operator", "group", "literal", settings.group("topics"), "DESCRIBE")


def _of_roles(settings: Settings, topics: list[Topic], roles: Collection[str]) -> Iterator[Right]:
    for topic in topics:
        for operation in _worker(topic, roles):
            yield Right("worker", "topic", "literal", topic.name, operation)
    # Of the roles' consumer groups, and none of a prefix that only begins like this one.
    for end in ".-":
        yield Right("worker", "group", "prefixed", f"{settings.prefix}{end}", "READ")


def _worker(topic: Topic, roles: Collection[str]) -> Iterator[str]:
    reads, writes = set(topic.readers) & set(roles), set(topic.writers) & set(roles)
    if reads or (writes and topic.name.endswith(".incidents")):  # whose owner looks for older versions after its own
        yield "READ"
    # Who reads a log also writes stragglers into it.
    if writes or (reads and topic.kind == "internal" and topic.writers != OPERATOR):
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


# ---- what a worker has ---------------------------------------------------------------------------------------------------
def lacking(admin: Admin, settings: Settings, role: str, patience: float | None = None) -> str | None:
    """What the user of an admin client may not do although `role` must, in words.

    Parameters
    ----------
    patience : float, optional
        Seconds to wait for an answer; None: those of the client.

    Raises
    ------
    UserError
        The cluster does not answer.
    """
    wanted: dict[tuple[str, str], list[str]] = {("group", settings.group(role)): ["READ"]}
    for right in _of_roles(settings, needed(settings, role), (role,)):
        if right.pattern == "literal":
            wanted.setdefault((right.resource, right.name), []).append(right.operation)
    topics, groups = ([name for of, name in wanted if of == kind] for kind in ("topic", "group"))
    has = admin.granted(topics, groups, patience)
    found = []
    for (kind, name), operations in wanted.items():
        allowed = has[kind, name]
        if allowed is not None and (missing := [o for o in operations if o not in allowed]):
            found.append(f"{kind} {name} ({', '.join(missing)})")
    return ", ".join(found) or None


def admit(settings: Settings, role: str) -> None:
    """Let a role begin on a cluster that has what it needs and lets it do what it must; and see that this lasts.

    Raises
    ------
    UserError
        No answer, topics that are missing or unfit, or access rights that are.
    """
    from streams.admin import Admin, verify

    admin = Admin(settings.admin_properties())
    check(admin, settings, role)
    verify(admin, settings, needed(settings, role))
    if role == "respond":
        logging.getLogger("faust").addHandler(FaustRefusal(admin.who, os._exit))
    Watch(admin, settings, role).start()


def check(admin: Admin, settings: Settings, role: str) -> None:
    """Refuse to begin a role as a user who could not go on with it; some rights are needed hours later.

    Raises
    ------
    UserError
    """
    if (found := lacking(admin, settings, role)) is not None:
        raise UserError(f"{admin.who} lacks access rights that {role} needs: {found}; {ADVICE}")


class Watch:
    """Leaves a role whose user has lost a right or the password: its clients would only try again for ever.

    A broker that does not answer is no reason, and what is refused once is asked again: rights that are replaced are away
    for a moment, and so are connections to a broker that starts.

    Parameters
    ----------
    admin : Admin
        A client that nobody else uses any more.
    leave : callable
        Ends the process with a status.
    """

    def __init__(self, admin: Admin, settings: Settings, role: str, leave: Callable[[int], Any] = os._exit) -> None:
        self._admin, self._settings, self._role, self._leave = admin, settings, role, leave
        self._refused = self._shut_out = 0  # times in a row

    def start(self) -> None:
        """Look every few seconds, until the process ends."""

        def look() -> None:
            while True:
                time.sleep(LOOK_EVERY)
                self.look()

        threading.Thread(target=look, name="access", daemon=True).start()

    def look(self) -> None:
        """Ask once, and leave if this was the last time."""
        try:
            found = lacking(self._admin, self._settings, self._role, PATIENCE)
        except UserError:
            self._shut_out += (hopeless := self._admin.hopeless()) is not None
            if hopeless is not None and self._shut_out >= SHUT_OUT:
                self._end(hopeless)
            return
        self._shut_out = 0
        self._refused = 0 if found is None else self._refused + 1
        if self._refused >= REFUSED:
            self._end(f"{self._admin.who} has lost access rights that {self._role} needs: {found}; {ADVICE}")

    def _end(self, why: str) -> None:
        log.error("%s", why)
        self._leave(1)


class FaustRefusal(logging.Handler):
    """Ends a process whose Faust was refused something, with one line: Faust would end as well, with pages of frames.

    Of all handlers it is asked first, so that nothing else is written.
    """

    def __init__(self, who: str, leave: Callable[[int], Any]) -> None:
        super().__init__(logging.WARNING)
        self._who, self._leave = who, leave

    def emit(self, record: logging.LogRecord) -> None:
        """Leave if the record is of an exception by which a broker says no."""
        from aiokafka.errors import (  # type: ignore[import-untyped]
            GroupAuthorizationFailedError,
            TopicAuthorizationFailedError,
        )

        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, (GroupAuthorizationFailedError, TopicAuthorizationFailedError)):
            kind = "group" if isinstance(error, GroupAuthorizationFailedError) else "topic"
            log.error("%s %s: %s is not allowed to (%s)", kind, error.args[0] if error.args else "", self._who, ADVICE)
            self._leave(1)
