"""Settings of the engine on Kafka: a YAML file in; typed settings, properties of clients, the engine's configuration out.

What a setting is not, is an error: unknown names, wrong types, numbers without a unit where a duration is meant, and
properties of librdkafka with which the engine would lose or repeat something.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from aiops.causes.rank import Weights
from aiops.config import EngineConfig
from aiops.detect.rules import DetectConfig
from aiops.detect.rules import problems as detect_problems
from aiops.errors import UserError
from aiops.identity import DEFAULT_KEY
from aiops.incidents.correlation import CorrelationConfig
from aiops.incidents.correlation import problems as correlation_problems
from aiops.incidents.criticality import ServicesConfig
from aiops.incidents.lifecycle import Policy
from aiops.incidents.noise_bounds import NoiseConfig
from aiops.incidents.noise_bounds import problems as noise_problems
from aiops.notify.config import NotifyConfig
from aiops.told import TOLD
from streams import settings_clients as clients
from streams import settings_file
from streams.durations import UNITS
from streams.layout import Layout
from streams.receiver_settings import Receiver
from streams.settings_console import ConsoleConfig
from streams.settings_console import problems as console_problems

HOUR = UNITS["h"]
DAY = UNITS["d"]
TOPIC_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}")

Duration = Annotated[int, msgspec.Meta(ge=0, extra={"text": "duration"})]
"""ns; in the file a number with a unit."""
Key = Annotated[int, msgspec.Meta(extra={"text": "key"})]
Partitions_ = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
Named = Annotated[str, msgspec.Meta(min_length=1)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the file; its Attributes are what ``docs/configuration.md`` says of it."""


class RawTopic(Section, frozen=True):
    """A topic that producers write and ingest reads.

    Attributes
    ----------
    topic : text
        Name of the topic.
    signal : metrics, logs, traces, changes or alerts
        What its messages hold.
    encoding : auto, otlp_proto or otlp_json
        How they are encoded; `auto` tells protobuf and JSON apart message by message. Changes and alerts are always JSON.
    """

    topic: Named
    signal: Literal["metrics", "logs", "traces", "changes", "alerts", "commands"]
    encoding: Literal["auto", "otlp_proto", "otlp_json"] = "auto"


RAW = (
    RawTopic("otlp_metrics", "metrics"),
    RawTopic("otlp_logs", "logs"),
    RawTopic("otlp_spans", "traces"),
    RawTopic("changes", "changes"),
    RawTopic("alerts", "alerts"),
)


class Partitions(Section, frozen=True):
    """How many partitions a topic is created with.

    Attributes
    ----------
    raw : number
        Raw topics that do not exist yet; those that exist keep theirs.
    traces, signals : number
        Most processes of assemble and of detect that share the work.
    findings : number
        An environment's findings are in one of them.
    public : number
        Incidents, anomalies and the other topics that people and tools read.
    """

    raw: Partitions_ = 4
    traces: Partitions_ = 4
    signals: Partitions_ = 4
    findings: Partitions_ = 2
    public: Partitions_ = 4


class Retention(Section, frozen=True):
    """How long topics that are not compacted keep their records; at least 1h: what is not read in time is lost.

    Attributes
    ----------
    internal : duration
        Traces and signals. An outage of assemble or detect may last this long.
    findings : duration
        Findings, which respond reads.
    anomalies : duration
        Anomalies.
    public : duration
        Incident events, notices, noise figures and commands.
    dlq : duration
        Messages that could not be decoded.
    """

    internal: Duration = 48 * HOUR
    findings: Duration = 7 * DAY
    anomalies: Duration = 7 * DAY
    public: Duration = 90 * DAY
    dlq: Duration = 14 * DAY


class Topics(Section, frozen=True):
    """How topics are created and checked.

    Attributes
    ----------
    replication : number
        Copies of every partition; 3 where there are three brokers.
    """

    replication: Annotated[int, msgspec.Meta(ge=1, le=100)] = 1
    partitions: Partitions = Partitions()
    retention: Retention = Retention()


class Clocks(Section, frozen=True):
    """When a source that says nothing is no longer waited for.

    Attributes
    ----------
    idle_after : duration or never
        A partition read to its end, without an item for this long, counts as idle: its clock follows the wall clock. One
        of changes, alerts or commands does as soon as it has been read to its end, unless this is never.
    tick_every : duration
        How often the clock of an idle source is told.
    hold_limit : duration or never
        A source that is this far behind the others, and has stood still for as long, is let go; it joins again when it
        has caught up.
    """

    idle_after: Duration | None = 30 * UNITS["s"]
    tick_every: Duration = 10 * UNITS["s"]
    hold_limit: Duration | None = 5 * UNITS["min"]


class Snapshots(Section, frozen=True):
    """How often assemble, detect and respond save their state.

    Attributes
    ----------
    every : duration
        Event time between two snapshots of a partition.
    replay_limit : duration
        A snapshot is taken sooner where reading again since the last one, of all partitions of a process, would take longer
        than this.
    """

    every: Duration = 5 * UNITS["min"]
    replay_limit: Duration = 5 * UNITS["s"]


class Engine(Section, frozen=True):
    """What decides about incidents; enters the digest that every incident carries.

    Attributes
    ----------
    drain : duration
        Event time that goes on after the end of the input, so that what is open can close.
    """

    policy: Policy = msgspec.field(default_factory=Policy)
    weights: Weights = msgspec.field(default_factory=Weights)
    drain: Duration = EngineConfig().drain


class Http(Section, frozen=True):
    """Where a worker answers `/healthz`, `/readyz` and `/metrics`.

    Attributes
    ----------
    host : text
        Address to listen on; `0.0.0.0` = all of them.
    port : number
        0 = any free port, which the log names.
    """

    host: Named = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 9464


class Logging(Section, frozen=True):
    """What a worker writes to stderr.

    Attributes
    ----------
    format : json or text
        One JSON object a line, or text for eyes.
    level : debug, info, warning or error
        The least severe that is written.
    """

    format: Literal["json", "text"] = "json"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(Section, frozen=True):
    """All settings.

    Attributes
    ----------
    kafka : properties
        Of librdkafka, for all clients: `bootstrap.servers` (required), `security.protocol`, `sasl.username`, ...
    consumer : properties
        Of librdkafka, for consumers; they go over those of `kafka`.
    producer : properties
        Of librdkafka, for producers; they go over those of `kafka`.
    tenant : text
        Whose telemetry this is.
    prefix : text
        Of the names of the engine's topics and consumer groups.
    identity_key : 64-bit number, decimal or 0x...
        Key of the identities of series; secret where producers are not trusted, and the same on every worker.
    raw : list
        Topics that producers write.
    """

    kafka: dict[str, str]
    consumer: dict[str, str] = {}
    producer: dict[str, str] = {}
    tenant: Named = "default"
    prefix: Named = "aiops"
    identity_key: Key = DEFAULT_KEY
    raw: list[RawTopic] = msgspec.field(default_factory=lambda: list(RAW))
    topics: Topics = Topics()
    clocks: Clocks = Clocks()
    snapshots: Snapshots = Snapshots()
    engine: Engine = msgspec.field(default_factory=Engine)
    detect: DetectConfig = DetectConfig()
    services: ServicesConfig = ServicesConfig()
    notify: NotifyConfig = NotifyConfig()
    receiver: Receiver = Receiver()
    correlation: CorrelationConfig = CorrelationConfig()
    noise: NoiseConfig = NoiseConfig()
    http: Http = Http()
    logging: Logging = Logging()
    console: ConsoleConfig = ConsoleConfig()

    def __post_init__(self) -> None:
        """Refuse what the types allow and the engine does not.

        Raises
        ------
        UserError
        """
        for name in ("kafka", "consumer", "producer"):
            msgspec.structs.force_setattr(self, name, clients.Properties(getattr(self, name)))
        if problems := [*clients.refusals(self.kafka, self.consumer, self.producer), *_problems(self)]:
            raise UserError("; ".join(problems))

    def __repr__(self) -> str:
        """Without secrets."""
        values = {f: getattr(self, f) for f in self.__struct_fields__}
        values["identity_key"] = clients.REDACTED
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in values.items())})"

    def topic(self, name: str) -> str:
        """Full name of a topic of the engine."""
        return f"{self.prefix}.{name}"

    def inputs(self) -> list[RawTopic]:
        """Topics that ingest reads: those of `raw`, and the one on which people command."""
        return [*self.raw, RawTopic(self.topic("commands"), "commands")]

    def group(self, role: str) -> str:
        """Consumer group of a role."""
        return f"{self.prefix}.{role}"

    def layout(self) -> Layout:
        """What a stage must know of its neighbours."""
        p = self.topics.partitions
        return Layout(self.prefix, self.tenant, p.traces, p.signals, p.findings, self.identity_key)

    def engine_config(self) -> EngineConfig:
        """Configuration of the engine itself."""
        e = self.engine
        return EngineConfig(
            tenant=self.tenant, identity_key=self.identity_key, policy=e.policy, weights=e.weights, detect=self.detect,
            services=self.services, correlation=self.correlation, noise=self.noise, drain=e.drain,
        )  # fmt: skip

    def consumer_properties(self, group: str) -> dict[str, str]:
        """Properties of a consumer of consumer group `group`."""
        return clients.consumer(self.kafka, self.consumer, group)

    def producer_properties(self) -> dict[str, str]:
        """Properties of a producer."""
        return clients.producer(self.kafka, self.producer)

    def admin_properties(self) -> dict[str, str]:
        """Properties of an admin client."""
        return clients.admin(self.kafka)


def load(path: str | Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read a file of settings.

    Parameters
    ----------
    environment : mapping
        What ``${NAME}`` in the file's values stands for.

    Raises
    ------
    UserError
        What is wrong and where; secrets are not shown.
    """
    return settings_file.read(Path(path), Settings, environment).settings


def faust_broker(settings: Settings) -> tuple[list[str], Any]:
    """Broker addresses and credentials (None: no security) with which Faust speaks to the same cluster as the same user.

    Raises
    ------
    UserError
        A security property that Faust cannot honour.
    """
    from streams import settings_faust  # which imports Faust, half a second

    return settings_faust.broker(settings)


def _problems(settings: Settings) -> list[str]:
    found: list[str] = []
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}", settings.prefix):
        found.append(f"prefix: {settings.prefix!r}: letters, digits, '.', '_' and '-', at most 200 of them")
    if not settings.raw:
        found.append("raw: at least one topic is needed")
    names: set[str] = set()
    for i, raw in enumerate(settings.raw):
        where = f"raw[{i}].topic: {raw.topic!r}"
        if not TOPIC_NAME.fullmatch(f"{raw.topic}.dlq") or raw.topic in {".", ".."}:
            found.append(f"{where} is no name of a topic: letters, digits, '.', '_' and '-', at most 245 of them")
        elif raw.topic.startswith(f"{settings.prefix}."):
            found.append(f"{where} begins with the prefix of the engine's own topics, {settings.prefix}.")
        elif raw.topic in names or raw.topic.removesuffix(".dlq") in names or f"{raw.topic}.dlq" in names:
            found.append(f"{where} is there twice, or is the dead letters of another")
        if raw.signal in TOLD and raw.encoding != "auto":
            found.append(f"raw[{i}].encoding: {raw.signal} are JSON; leave it out")
        if raw.signal == "commands":
            found.append(
                f"raw[{i}].signal: commands come on {settings.prefix}.commands, which is always read; leave it out"
            )
        names.add(raw.topic)
    if not 0 <= settings.identity_key < 1 << 64:
        found.append("identity_key: not a number of 64 bits")
    found += [f"clocks.{n}: 0s is too short" for n in ("idle_after", "tick_every") if getattr(settings.clocks, n) == 0]
    idle, hold = settings.clocks.idle_after, settings.clocks.hold_limit
    if idle is not None and hold is not None and hold <= idle + settings.clocks.tick_every:
        found.append(
            "clocks.hold_limit: not longer than idle_after and tick_every together: silent sources would be let go"
        )
    if settings.snapshots.every < 10 * UNITS["s"]:
        found.append("snapshots.every: less than a window of 10s")
    if settings.snapshots.replay_limit == 0:
        found.append("snapshots.replay_limit: 0s is too short")
    retention = settings.topics.retention
    found += [f"topics.retention.{n}: at least 1h" for n in Retention.__struct_fields__ if getattr(retention, n) < HOUR]
    found += correlation_problems(settings.correlation) + noise_problems(settings.noise)
    found += console_problems(settings.console)
    return found + _engine_problems(settings.engine) + detect_problems(settings.detect)


def _engine_problems(engine: Engine) -> list[str]:
    parts: list[tuple[str, Any]] = [("policy", engine.policy), ("weights", engine.weights)]
    values = {f"engine.{part}.{f.name}": getattr(section, f.name) for part, section in parts for f in fields(section)}
    found = [f"{name}: {value:g} is below 0" for name, value in values.items() if value < 0]
    shares = ("hold", "slow", "symptom")
    found += [f"engine.policy.{name}: a share, at most 1" for name in shares if getattr(engine.policy, name) > 1]
    if engine.policy.close > engine.policy.open:
        found.append("engine.policy.close: greater than open, so that what opens would close at once")
    return found
