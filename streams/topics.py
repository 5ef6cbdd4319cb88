"""The topics of the engine in one table: what each is for, who writes and reads it, and how it is created.

``aiops topics`` creates and checks them by this table, access rights follow from it, and ``docs/topics.md`` is printed from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from streams import durations
from streams.settings import DAY, HOUR, Settings
from streams.settings_clients import LARGEST, MIB

ROLES = ("ingest", "assemble", "detect", "respond", "sinks")
INGEST, ASSEMBLE, DETECT, RESPOND, SINKS = ((role,) for role in ROLES)
OPERATOR, PEOPLE, PRODUCERS = ("aiops topics sync",), ("people and tools",), ("producers",)

MS = 1_000_000  # ns
SEGMENT_OF_COMPACTED = HOUR
SEGMENT_OF_SNAPSHOTS = HOUR // 6  # a snapshot replaces the last after minutes: what is dead must not pile up
DIRTY_SNAPSHOTS = "0.1"
PUBLIC_LARGEST = 2 * MIB


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it should be.

    Attributes
    ----------
    name : str
        Full name.
    kind : {'raw', 'dlq', 'internal', 'snapshots', 'public'}
    key : str
        What a record's key is, in words.
    partitions : int
        What it is created with; raw topics may have any number.
    compacted : bool
        Keeps the last record of each key, instead of all for the time of `retention`.
    retention : int or None
        ns; None = that of the broker, or none where it is compacted.
    largest : int or None
        Bytes of a batch of records; None = what the broker allows.
    writers, readers : tuple of str
        Roles of the engine, or others in words.
    """

    name: str
    kind: str
    key: str
    partitions: int
    purpose: str
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    compacted: bool = False
    retention: int | None = None
    largest: int | None = LARGEST
    replication: int = 1

    @property
    def cleanup(self) -> str:
        """Kafka's ``cleanup.policy``."""
        return "compact" if self.compacted else "delete"

    @property
    def segment(self) -> int | None:
        """Ns after which a segment is closed: only closed ones are compacted or deleted; None = the broker's."""
        if self.kind == "snapshots":
            return SEGMENT_OF_SNAPSHOTS
        if self.compacted:
            return SEGMENT_OF_COMPACTED
        # Deletion is by segments: records live longer than `retention` by a twenty-fourth, at most a day.
        return None if self.retention is None else min(self.retention // 24, DAY)

    def config(self) -> dict[str, str]:
        """Settings of the topic in Kafka's names; all others stay the broker's."""
        out = {"cleanup.policy": self.cleanup}
        if self.kind != "raw":
            # Acknowledged by two of three, a record outlives the loss of a broker; a single one has no second.
            out["min.insync.replicas"] = "2" if self.replication > 2 else "1"
            out["compression.type"] = "producer"
        if self.retention is not None:
            out["retention.ms"] = str(self.retention // MS)
        if self.segment is not None:
            out["segment.ms"] = str(self.segment // MS)
        if self.largest is not None:
            out["max.message.bytes"] = str(self.largest)
        if self.kind == "snapshots":
            out["min.cleanable.dirty.ratio"] = DIRTY_SNAPSHOTS
        return out


def table(settings: Settings) -> list[Topic]:
    """Every topic of a configuration, in the order of the data's way."""
    topics = (*_raw(settings), *_internal(settings), *_public(settings))
    return [replace(topic, replication=settings.topics.replication) for topic in topics]


def needed(settings: Settings, role: str) -> list[Topic]:
    """Topics that a role reads or writes; for role 'all', those of any role."""
    roles = set(ROLES) if role == "all" else {role}
    return [topic for topic in table(settings) if roles & {*topic.readers, *topic.writers}]


def _raw(settings: Settings) -> Iterator[Topic]:
    partitions = settings.topics.partitions
    keys = {
        "traces": "trace id", "logs": "trace id, or any", "metrics": "any", "changes": "any", "alerts": "alert id, or any",
    }  # fmt: skip
    for raw in settings.raw:
        yield Topic(
            raw.topic, "raw", keys[raw.signal], partitions.raw, f"{raw.signal} as producers send them", PRODUCERS, INGEST,
            largest=None,
        )  # fmt: skip
        yield _dead_letters(raw.topic, settings)


def _dead_letters(topic: str, settings: Settings) -> Topic:
    return Topic(
        f"{topic}.dlq", "dlq", "that of the message", settings.topics.partitions.public,
        f"messages of {topic} that do not decode, each with the reason in its headers", INGEST, PEOPLE,
        retention=settings.topics.retention.dlq,
    )  # fmt: skip


def _internal(settings: Settings) -> Iterator[Topic]:
    partitions, retention = settings.topics.partitions, settings.topics.retention
    yield Topic(
        settings.topic("sources"), "internal", "sources", 1, "the set of sources that stages wait for, as it is now",
        OPERATOR, (*OPERATOR, *INGEST), compacted=True,
    )  # fmt: skip
    yield Topic(
        settings.topic("traces"), "internal", "none; the partition is chosen by trace id", partitions.traces,
        "spans and log lines of traces, clocks of their sources", INGEST, ASSEMBLE, retention=retention.internal,
    )  # fmt: skip
    yield Topic(
        settings.topic("signals"), "internal", "none; the partition is chosen by environment and service", partitions.signals,
        "window rows of metrics, logs and traces, clocks of their sources", (*INGEST, *ASSEMBLE), DETECT,
        retention=retention.internal,
    )  # fmt: skip
    yield Topic(
        settings.topic("findings"), "internal", "none; the partition is chosen by tenant and environment",
        partitions.findings, "anomalies and evidence of windows, changes, alerts, commands, clocks",
        (*INGEST, *DETECT), RESPOND, retention=retention.findings,
    )  # fmt: skip
    yield Topic(
        settings.topic("findings.dlq"), "dlq", "none", partitions.public,
        "what made respond fail twice, each with the reason in its headers", RESPOND, PEOPLE,
        retention=retention.dlq,
    )  # fmt: skip
    stages = (("assemble", partitions.traces), ("detect", partitions.signals), ("respond", partitions.findings))
    for stage, number in stages:
        yield Topic(
            settings.topic(f"snapshots.{stage}"), "snapshots", "part of a snapshot", number,
            f"state of {stage}, a partition for each one that it reads", (stage,), (stage,), compacted=True,
        )  # fmt: skip
    yield Topic(
        settings.topic("snapshots.sinks"), "snapshots", "incident id", partitions.public,
        "what was told of an incident, a partition for each one of incidents", SINKS, SINKS, compacted=True,
    )  # fmt: skip


def _public(settings: Settings) -> Iterator[Topic]:
    number, retention = settings.topics.partitions.public, settings.topics.retention

    def public(
        name: str, key: str, purpose: str, kept: int | None, writers: tuple[str, ...] = RESPOND,
        readers: tuple[str, ...] = PEOPLE,
    ) -> Topic:  # fmt: skip
        return Topic(
            settings.topic(name), "public", key, number, purpose, writers, readers, kept is None, kept, PUBLIC_LARGEST
        )

    followed = (*SINKS, *PEOPLE)
    yield public("incidents", "incident id", "the last version of every incident", None, readers=followed)
    yield public("incident-events", "incident id", "every version of every incident", retention.public)
    yield public("anomalies", "anomaly id", "every version of every anomaly", retention.anomalies)
    yield public(
        "notices",
        "environment, else source",
        "what is wrong with the telemetry itself",
        retention.public,
        readers=followed,
    )
    yield public(
        "status", "environment", "how far the engine sees, and how much of it is known", None, readers=followed
    )
    told = "whom was told what, why or why not, and what became of it"
    yield public("notifications", "incident id", told, retention.public, SINKS)
    yield public("topology", "topology id", "services and who calls whom, how they are and how they were", None)
    yield public("noise", "environment", "how much telemetry became how few incidents", retention.public)
    yield public("templates", "template id", "templates of log lines; not written by this release", None, ())
    yield Topic(
        settings.topic("commands"), "public", "incident id", number, "what people command", PEOPLE, INGEST,
        retention=retention.public, largest=PUBLIC_LARGEST,
    )  # fmt: skip
    yield _dead_letters(settings.topic("commands"), settings)


# ---- as text -------------------------------------------------------------------------------------------------------------
COLUMNS = ("topic", "key", "partitions", "cleanup", "kept", "largest", "written by", "read by")


def row(topic: Topic) -> tuple[str, ...]:
    """A topic as a row of ``COLUMNS``."""
    kept = "last of a key" if topic.compacted else "as the broker says"
    if topic.retention is not None:
        kept = durations.text(topic.retention)
    largest = "as the broker says" if topic.largest is None else f"{topic.largest // MIB} MiB"
    writers, readers = ", ".join(topic.writers) or "-", ", ".join(topic.readers) or "-"
    return topic.name, topic.key, str(topic.partitions), topic.cleanup, kept, largest, writers, readers


def markdown(settings: Settings) -> str:
    """The table of ``docs/topics.md``."""
    lines = [(*COLUMNS, "what it holds"), ("---",) * (len(COLUMNS) + 1)]
    lines += [(*row(topic), topic.purpose) for topic in table(settings)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
