"""The records that cross the engine's public boundaries.

Every field of a record is always written, in the order of declaration, dictionary keys sorted, so that equal records
are equal bytes.  Records are immutable: change one with ``msgspec.structs.replace``.  Times are RFC 3339 text in UTC
(``aiops.times``).  JSON Schemas are generated from these classes (``python -m aiops.schema``); within 1.x they only
gain optional fields.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from aiops.codec import PublicRecord, Time, decode, finite
from aiops.codec import RecordError as RecordError
from aiops.codec import encode as encode
from aiops.ids import anomaly_id as anomaly_id
from aiops.ids import incident_id as incident_id
from aiops.times import rfc3339 as rfc3339
from aiops.times import unix_ns as unix_ns
from aiops.told import Alert as Alert
from aiops.told import Change as Change
from aiops.told import Command as Command
from aiops.told import CommandName as CommandName
from aiops.told import Severity as Severity
from aiops.told import Told as Told
from aiops.told import decode_alert as decode_alert
from aiops.told import decode_change as decode_change
from aiops.told import decode_command as decode_command
from aiops.told import decode_told as decode_told

AnomalyState = Literal["open", "update", "closed"]
AnomalyKind = Literal["metric", "log", "latency", "error", "traffic", "edge", "heartbeat", "external", "forecast"]
Direction = Literal["up", "down", "none"]
Tier = Literal["light", "full"]
IncidentState = Literal["open", "acknowledged", "resolved", "merged"]
CauseScope = Literal["service", "host", "zone"]
CauseKind = Literal["resource", "network", "code", "dependency", "change", "external", "unknown"]
EvidenceType = Literal["metric", "log", "trace", "edge", "change", "topology", "history", "alert"]
ReasonType = Literal["topology", "time", "text", "change", "rule", "trace"]
NoticeKind = Literal["silence", "straggler", "overload", "command"]
Verdict = Literal["confirmed", "rejected"]
FeedbackVerdict = Literal["true", "expected", "false", "new_trend"]

Probability = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Version = Annotated[int, msgspec.Meta(ge=1)]


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A span of event time, start inclusive, end exclusive."""

    start: Time
    end: Time


class Exemplars(msgspec.Struct, frozen=True, kw_only=True):
    """A few original log lines (redacted) and trace ids (32 hex digits) to look at first."""

    logs: tuple[str, ...] = ()
    trace_ids: tuple[str, ...] = ()


class Anomaly(PublicRecord, frozen=True, kw_only=True):
    """One signal of one service that deviates from what was expected of it.

    ``score`` is -log10 of a calibrated tail probability, the same meaning for every detector; ``observed``,
    ``expected``, ``lower`` and ``upper`` are in the unit of the signal, null where the detector has none.  ``peer`` is
    the other service of an edge.  ``one_in``: in about how many points or windows of the signal a score like this comes
    once.  Of metrics, ``term`` is what of the detector spoke, ``learned`` the share of what it needs to know of the series, and
    ``tier`` whether the bank judges the series or its level alone.  Consumers upsert by ``anomaly_id`` and keep the
    greatest ``version``.
    """

    anomaly_id: str
    version: Version
    state: AnomalyState
    tenant: str
    environment: str
    service: str
    instance: str | None = None
    peer: str | None = None
    kind: AnomalyKind
    signal: str
    onset: Time
    window: Window
    observed: float | None = None
    expected: float | None = None
    lower: float | None = None
    upper: float | None = None
    direction: Direction = "none"
    score: float
    detector: str
    detector_version: str
    statement: str
    exemplars: Exemplars = Exemplars()
    attributes: dict[str, str] = msgspec.field(default_factory=dict)
    one_in: float | None = None
    term: str | None = None
    learned: Probability | None = None
    tier: Tier | None = None

    def __post_init__(self) -> None:
        finite("anomaly score", self.score)


class Episode(msgspec.Struct, frozen=True, kw_only=True):
    """One time that the incident was open; one that comes back soon with the same cause gets another."""

    opened_at: Time
    resolved_at: Time | None = None


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One observation that speaks for a cause (``weight`` > 0) or against it (< 0), in words a person reads."""

    type: EvidenceType
    ref: str | None = None
    statement: str
    weight: float
    onset: Time | None = None

    def __post_init__(self) -> None:
        finite("evidence weight", self.weight)


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """A hypothesis about the root cause: a state change of ``service``.

    ``scope`` says what ``service`` names where it is no service: a machine (``host``) or a zone, on which the trouble of services
    concentrates.
    ``confidence`` is the probability that it is right, by what was found where the truth is known (docs/incidents.md).
    ``verdict``: what a person, ``verdict_by``, said of it; a confirmed cause comes first with confidence 1, a rejected one last
    with confidence 0.
    """

    rank: int
    service: str
    kind: CauseKind
    score: float
    confidence: Probability
    summary: str
    evidence: tuple[Evidence, ...] = ()
    caveats: tuple[str, ...] = ()
    verdict: Verdict | None = None
    verdict_by: str | None = None
    scope: CauseScope = "service"

    def __post_init__(self) -> None:
        finite("cause score", self.score)
        finite("cause confidence", self.confidence)


class FirstSymptom(msgspec.Struct, frozen=True, kw_only=True):
    """The earliest failure that users of the system could notice; never itself called the root cause."""

    service: str
    signal: str
    at: Time


class SloBurn(msgspec.Struct, frozen=True, kw_only=True):
    """An objective that the incident consumes, and how many times faster than allowed."""

    name: str
    burn_rate: float


class Impact(msgspec.Struct, frozen=True, kw_only=True):
    """Whom it touches.

    ``services`` may feel it: they call into the first cause, directly or not; ``blast_radius`` is how many.  ``felt`` are those
    of them that show it.  ``requests_affected_ratio``: share of the requests that can reach it which failed because of it in its
    worst minute, null: not known.
    """

    services: tuple[str, ...] = ()
    blast_radius: int = 0
    requests_affected_ratio: Probability | None = None
    slo: tuple[SloBurn, ...] = ()
    felt: tuple[str, ...] = ()


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why signals were put into one incident."""

    type: ReasonType
    statement: str


class Correlation(msgspec.Struct, frozen=True, kw_only=True):
    """Why these signals belong together."""

    reasons: tuple[Reason, ...] = ()


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Totals, however many members are listed; ``signals`` are the distinct ones among up to 500 members.

    ``alerts`` are those of them that another tool raised.  ``suppressed`` anomalies belong to the incident as well and are not
    among ``anomalies``: what came back, flaps, or was counted in a storyline.
    """

    anomalies: int = 0
    suppressed: int = 0
    signals: int = 0
    alerts: int = 0


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """An anomaly of the incident, in short."""

    anomaly_id: str
    service: str
    signal: str
    state: AnomalyState
    onset: Time
    score: float


class RelatedChange(msgspec.Struct, frozen=True, kw_only=True):
    """A change that may have to do with the incident, and why it is thought so."""

    change_id: str
    summary: str
    reason: str
    score: float


class SimilarIncident(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier incident that looked alike (``score`` in [0, 1]; ``reason``: in what), when it ended and by what."""

    incident_id: str
    score: float
    resolution: str | None = None
    title: str | None = None
    resolved_at: Time | None = None
    reason: str | None = None


class Suppression(msgspec.Struct, frozen=True, kw_only=True):
    """Who or what keeps the incident from notifying, why, and until when; ``author`` where a person said so."""

    by: str
    reason: str
    author: str | None = None
    until: Time | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody commanded, and what came of it: the effect, or why it was refused.  The engine signs as ``engine``."""

    time: Time
    author: str
    command: CommandName
    asked: str
    effect: str
    refused: bool = False


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says of the incident: a problem, expected, a false alarm, or a new normal."""

    verdict: FeedbackVerdict
    author: str
    time: Time
    text: str = ""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """Where to read on."""

    href: str
    text: str


class Incident(PublicRecord, frozen=True, kw_only=True):
    """The product: signals that belong together, what they harm, and the ranked causes with their evidence.

    Consumers upsert by ``incident_id`` and keep the greatest ``version``.  ``opened_at`` is the end of the window that
    decided to open this episode, ``onset_at`` the earliest onset of a member.  ``settled`` tells that services
    and causes will change no more.  ``no_confident_cause`` is an answer, not a failure.  ``members`` is
    bounded: ``members_truncated`` says how many are not listed, ``counts`` stays exact.  ``log`` is what people commanded,
    the oldest first; ``log_truncated`` older decisions are not listed.
    """

    incident_id: str
    version: Version
    episode: int = 1
    tenant: str
    environment: str
    state: IncidentState
    merged_into: str | None = None
    split_from: str | None = None
    severity: Severity
    title: str
    summary: str
    opened_at: Time
    onset_at: Time
    updated_at: Time
    resolved_at: Time | None = None
    episodes: tuple[Episode, ...] = ()
    settled: bool = False
    services: tuple[str, ...] = ()
    team: str | None = None
    assignee: str | None = None
    acknowledged_by: str | None = None
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    causes: tuple[Cause, ...] = ()
    no_confident_cause: bool = False
    first_symptom: FirstSymptom | None = None
    impact: Impact = Impact()
    correlation: Correlation = Correlation()
    counts: Counts = Counts()
    members: tuple[Member, ...] = ()
    members_truncated: int = 0
    exemplars: Exemplars = Exemplars()
    changes: tuple[RelatedChange, ...] = ()
    similar_incidents: tuple[SimilarIncident, ...] = ()
    flapping: bool = False
    suppressed_by: tuple[Suppression, ...] = ()
    links: tuple[Link, ...] = ()
    models: dict[str, str] = msgspec.field(default_factory=dict)
    engine_version: str
    config_hash: str
    severity_reason: str = ""
    log: tuple[Decision, ...] = ()
    log_truncated: int = 0
    resolution: str | None = None
    feedback: Feedback | None = None


class Notice(PublicRecord, frozen=True, kw_only=True):
    """Something about the collection of telemetry or a command, not about the services: a signal fell silent, a source lags.

    ``silence``: all of ``signal`` of the environment stopped while other signals go on.  ``straggler``: ``source`` was
    let go because it held the others up.  ``overload``: so many anomalies open at once that only the first of each kind, and
    those that are critical or high, are shown by themselves, and the rest is counted.  ``command``: what a person (``source``)
    commanded was refused.  ``until`` is null while it lasts.
    """

    kind: NoticeKind
    tenant: str
    environment: str
    source: str | None = None
    signal: str | None = None
    since: Time
    until: Time | None = None
    text: str


def decode_incident(data: bytes) -> Incident:
    """Read an incident of schema 1.x; fields that this release does not know are ignored."""
    return decode("incident", _INCIDENT, data)


def decode_anomaly(data: bytes) -> Anomaly:
    """Read an anomaly of schema 1.x."""
    return decode("anomaly", _ANOMALY, data)


def decode_notice(data: bytes) -> Notice:
    """Read a notice of schema 1.x."""
    return decode("notice", _NOTICE, data)


_INCIDENT = msgspec.json.Decoder(Incident)
_ANOMALY = msgspec.json.Decoder(Anomaly)
_NOTICE = msgspec.json.Decoder(Notice)
