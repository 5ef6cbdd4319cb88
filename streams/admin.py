"""What the engine asks of a cluster: topics, their settings and offsets, access rights; every refusal in one clear line."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec, ResourceType  # type: ignore[attr-defined]

from aiops.errors import UserError
from streams.acls import ADVICE
from streams.messages import UNSETTLED
from streams.settings import Settings
from streams.settings_clients import client_error, without_secrets
from streams.topics import Topic

PATIENCE = 15.0  # seconds for an answer; a broker that has just started needs some
# Names of librdkafka's and Kafka's errors.
_HOPELESS = {"_AUTHENTICATION", "_SSL", "SASL_AUTHENTICATION_FAILED"}
_PATIENT = {"_TRANSPORT", "_ALL_BROKERS_DOWN", "_TIMED_OUT", "_RESOLVE"}
_UNAUTHORIZED = {"TOPIC_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED"}
_ABSENT = {"UNKNOWN_TOPIC_OR_PART", "GROUP_ID_NOT_FOUND"}


class Found(NamedTuple):
    """A topic as it is.

    Attributes
    ----------
    identity : str
        Differs from that of a topic of the same name before or after it.
    partitions, replication : int
    """

    identity: str
    partitions: int
    replication: int


class Admin:
    """An admin client; it must live as long as anything that it was asked is under way, so the object holds it.

    Parameters
    ----------
    properties : mapping
        Of librdkafka.
    patience : float
        Seconds to wait for an answer.

    Raises
    ------
    UserError
        The cluster cannot be reached, or does not let us in.
    """

    def __init__(self, properties: Mapping[str, str], patience: float = PATIENCE) -> None:
        self._properties, self._patience = dict(properties), patience
        self._errors: deque[KafkaError] = deque(maxlen=16)  # of a client that may live as long as its worker
        with client_error(properties):
            # Silent: what the log would say is in the error, in one line.
            quiet: dict[str, Any] = {"error_cb": self._errors.append, "log_level": "0"}
            self._client = AdminClient({**properties, **quiet})
        self._connect()

    def _connect(self) -> None:
        """Wait for an answer, no longer than there is hope: a wrong password does not become right."""
        until = time.monotonic() + self._patience
        while True:
            try:
                self._client.list_topics(timeout=1.0)
            except KafkaException as error:
                self._client.poll(0)
                if hopeless := [e for e in self._errors if e.name() in _HOPELESS]:
                    raise UserError(self._said(hopeless[-1])) from None
                if time.monotonic() > until or error.args[0].name() not in _PATIENT:
                    # That all brokers are down is said after every complaint that says why.
                    reasons = [e for e in self._errors if e.name() != "_ALL_BROKERS_DOWN"]
                    raise UserError(self._said((reasons or self._errors or [error.args[0]])[-1])) from None
            else:
                self._errors.clear()
                return

    def hopeless(self) -> str | None:
        """What the brokers have against this client that no patience mends: its password, or whom it trusts.

        Of the time since this was asked last.
        """
        self._client.poll(0)
        found = [error for error in self._errors if error.name() in _HOPELESS]
        self._errors.clear()
        return self._said(found[-1]) if found else None

    @property
    def who(self) -> str:
        """The user as whom this client comes, in words."""
        return _who(self._properties)

    def _said(self, error: KafkaError) -> str:
        where = self._properties.get("bootstrap.servers", "")
        return f"no answer from Kafka at {where}: {without_secrets(error.str(), self._properties)}"

    def _answers(self, futures: Mapping[Any, Any]) -> dict[Any, Any]:
        """Results, or the exceptions, of what was asked."""
        out: dict[Any, Any] = {}
        for key, future in futures.items():
            try:
                out[key] = future.result(timeout=2 * self._patience)
            except KafkaException as error:
                out[key] = error
        return out

    def _settled(
        self, ask: Callable[[list[Any]], Mapping[Any, Any]], about: list[Any], patience: float | None = None
    ) -> Iterator[tuple[Any, Any]]:
        """What was asked about, and the answer or exception; what is over when the cluster has settled is asked again."""
        until, open_ = time.monotonic() + (patience or self._patience), about
        while open_:
            again = []
            for key, answer in self._answers(ask(open_)).items():
                passing = isinstance(answer, KafkaException) and answer.args[0].code() in UNSETTLED
                if passing and time.monotonic() < until:
                    again.append(TopicPartition(key.topic, key.partition) if isinstance(key, TopicPartition) else key)
                else:
                    yield key, answer
            if open_ := again:
                time.sleep(0.1)

    # ---- topics -------------------------------------------------------------------------------------------------------
    def topics(self, names: Iterable[str]) -> dict[str, Found]:
        """Those topics that exist.

        Raises
        ------
        UserError
            One may not be looked at.
        """
        if not (wanted := list(names)):
            return {}
        out = {}
        for name, answer in self._answers(self._client.describe_topics(TopicCollection(wanted))).items():
            if not isinstance(answer, KafkaException):
                replicas = min((len(p.replicas) for p in answer.partitions), default=0)
                out[name] = Found(str(answer.topic_id), len(answer.partitions), replicas)
            elif answer.args[0].name() != "UNKNOWN_TOPIC_OR_PART":
                raise self.refused(answer.args[0], f"topic {name}")
        return out

    def configs(self, names: Iterable[str]) -> dict[str, dict[str, str]]:
        """Settings of topics that exist.

        Raises
        ------
        UserError
        """
        wanted = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        if not wanted:
            return {}
        out = {}
        for resource, answer in self._answers(self._client.describe_configs(wanted)).items():
            if isinstance(answer, KafkaException):
                raise self.refused(answer.args[0], f"settings of topic {resource.name}")
            out[resource.name] = {entry.name: entry.value or "" for entry in answer.values()}
        return out

    def create(self, topics: Iterable[Topic]) -> list[str]:
        """Create topics; returns the names of those that are new.

        Raises
        ------
        UserError
        """
        new = [NewTopic(t.name, t.partitions, t.replication, config=t.config()) for t in topics]
        if not new:
            return []
        created = []
        failed = []
        for name, answer in self._answers(self._client.create_topics(new, operation_timeout=self._patience)).items():
            if not isinstance(answer, KafkaException):
                created.append(name)
            elif answer.args[0].name() != "TOPIC_ALREADY_EXISTS":
                failed.append(self.refused(answer.args[0], f"topic {name}"))
        if failed:
            raise UserError("; ".join(str(error) for error in failed))
        self._settle([topic.topic for topic in new])
        return created

    def _settle(self, names: list[str]) -> None:
        """Wait until every broker asked knows the new topics: creation is answered before that."""
        until = time.monotonic() + self._patience
        while missing := set(names) - set(self.topics(names)):
            if time.monotonic() > until:
                raise UserError(
                    f"topics were created, but are not to be seen after {self._patience:g} s: {sorted(missing)}"
                )
            time.sleep(0.05)

    def offsets(self, partitions: Mapping[str, int]) -> dict[tuple[str, int], tuple[int, int]]:
        """First offset and end offset of every partition of topics.

        Parameters
        ----------
        partitions : mapping, name -> number of partitions

        Raises
        ------
        UserError
        """
        places = [TopicPartition(name, p) for name, n in partitions.items() for p in range(n)]
        if not places:
            return {}
        ends = []
        for spec in (OffsetSpec.earliest(), OffsetSpec.latest()):  # type: ignore[no-untyped-call]
            found: dict[tuple[str, int], int] = {}

            def ask(some: list[TopicPartition], spec: OffsetSpec = spec) -> Mapping[Any, Any]:
                return self._client.list_offsets(dict.fromkeys(some, spec))

            for place, answer in self._settled(ask, places):
                if isinstance(answer, KafkaException):
                    raise self.refused(answer.args[0], f"{place.topic}/{place.partition}")
                found[place.topic, place.partition] = answer.offset
            ends.append(found)
        return {place: (ends[0][place], ends[1][place]) for place in ends[0]}

    # ---- access rights ------------------------------------------------------------------------------------------------
    def create_acls(self, bindings: list[Any]) -> None:
        """Create access rights; those that exist already stay.

        Raises
        ------
        UserError
        """
        for binding, answer in self._answers(self._client.create_acls(bindings)).items():
            if isinstance(answer, KafkaException):
                raise self.refused(answer.args[0], f"access of {binding.principal} to {binding.name}")

    def granted(
        self, topics: Iterable[str], groups: Iterable[str], patience: float | None = None
    ) -> dict[tuple[str, str], frozenset[str] | None]:
        """Operations that this client is allowed, by kind (topic, group) and name; None: the cluster does not say.

        Parameters
        ----------
        patience : float, optional
            Seconds to wait for an answer; None: those of the client.

        Raises
        ------
        UserError
            No answer.
        """
        asked = {"include_authorized_operations": True, "request_timeout": patience or self._patience}
        out: dict[tuple[str, str], frozenset[str] | None] = {}
        for kind, names in (("topic", list(topics)), ("group", list(groups))):
            if not names:
                continue

            def ask(some: list[str], kind: str = kind) -> Mapping[Any, Any]:
                if kind == "topic":
                    return self._client.describe_topics(TopicCollection(some), **asked)
                return self._client.describe_consumer_groups(some, **asked)

            for name, answer in self._settled(ask, names, patience):
                if not isinstance(answer, KafkaException):
                    operations = answer.authorized_operations
                    # A group that nobody has joined yet has none.
                    out[kind, name] = frozenset(o.name for o in operations) if operations else None
                elif answer.args[0].name() in _UNAUTHORIZED:
                    out[kind, name] = frozenset()
                elif answer.args[0].name() in _ABSENT:
                    out[kind, name] = None
                else:
                    raise self.refused(answer.args[0], f"{kind} {name}")
        return out

    def refused(self, error: KafkaError, what: str) -> UserError:
        """What a broker says about something, as an error that says what to do."""
        return refusal(error, what, self._properties)


def refusal(error: KafkaError, what: str, properties: Mapping[str, str]) -> UserError:
    """What a broker says about something to a client with these properties, as an error that says what to do."""
    said = without_secrets(error.str() or error.name(), properties)
    if error.name() in _UNAUTHORIZED:
        return UserError(f"{what}: {_who(properties)} is not allowed to: {said} ({ADVICE})")
    return UserError(f"{what}: {said}")


def _who(properties: Mapping[str, str]) -> str:
    user = properties.get("sasl.username")
    return f"user {user}" if user else "this client"


# ---- is and should be ----------------------------------------------------------------------------------------------------
class Difference(NamedTuple):
    """How a topic is not as it should be.

    Attributes
    ----------
    mend : str
        What to do about it.
    fatal : bool
        A worker cannot work with it.
    """

    topic: str
    text: str
    mend: str
    fatal: bool = False


CREATE = "aiops topics create"


def differences(admin: Admin, wanted: Iterable[Topic]) -> list[Difference]:
    """How topics differ from the table.

    Raises
    ------
    UserError
        The cluster does not tell.
    """
    topics = list(wanted)
    found = admin.topics(t.name for t in topics)
    configs = admin.configs(t.name for t in topics if t.name in found)
    out: list[Difference] = []
    for topic in topics:
        if topic.name in found:
            out += _differences(topic, found[topic.name], configs[topic.name])
        else:
            out.append(Difference(topic.name, "does not exist", CREATE, fatal=True))
    return out


def _differences(topic: Topic, found: Found, config: Mapping[str, str]) -> Iterable[Difference]:
    name = topic.name
    if topic.kind != "raw":
        if found.partitions != topic.partitions:
            text = f"has {found.partitions} partitions, the configuration says {topic.partitions}"
            mend = f"set topics.partitions to {found.partitions} for it, or begin again under another prefix"
            # Items are routed by the number of partitions, and state belongs to one: a change of it would move both.
            yield Difference(name, text, mend, fatal=topic.kind in {"internal", "snapshots"})
        if found.replication < topic.replication:
            text = f"has {found.replication} copies, the configuration says {topic.replication}"
            yield Difference(name, text, "move it with kafka-reassign-partitions.sh")
    for setting, value in topic.config().items():
        has = config.get(setting, "")
        text, fatal = f"has {setting} {has}, not {value}", setting == "cleanup.policy"
        if setting == "max.message.bytes" and has.isdigit():
            if int(has) >= int(value):
                continue
            text, fatal = f"has {setting} {has}, at least {value} is needed", True
        elif has == value or (_number(has) is not None and _number(has) == _number(value)):
            continue
        mend = f"kafka-configs.sh --alter --entity-type topics --entity-name {name} --add-config {setting}={value}"
        yield Difference(name, text, mend, fatal)


def verify(admin: Admin, settings: Settings, wanted: Iterable[Topic]) -> None:
    """Refuse to work with topics that are missing or unfit; nothing is created.

    Raises
    ------
    UserError
        Lists what is wrong, and names the command that mends it.
    """
    found = [d for d in differences(admin, wanted) if d.fatal]
    if found:
        text = "; ".join(f"topic {d.topic} {d.text}" for d in found)
        where = f"prefix {settings.prefix!r}"
        command = "create" if all(d.mend == CREATE for d in found) else "check"
        does = {"create": "makes what is missing", "check": "lists everything, and says what mends it"}[command]
        raise UserError(f"{text} ({where}): aiops topics {command} --config FILE {does}")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
