"""A partition of the findings topic -> incidents, anomalies, notices and the topology, for the public topics."""

from __future__ import annotations

import msgspec

from aiops.causes.rank import Weights
from aiops.config import EngineConfig
from aiops.incidents.place import Output
from aiops.incidents.stage import Respond
from aiops.noise_report import NoiseReport
from aiops.records import Anomaly, Incident, RecordError, decode_notice, decode_told, encode
from aiops.signals import Clocks
from aiops.status import Status
from aiops.topology import Topology
from streams import codec
from streams.events import event_headers
from streams.layout import Layout
from streams.records import FINDINGS, SIGNAL_OF, Headers, Out, Record, Refused
from streams.tasks.base import LogTask


class _About(msgspec.Struct):
    """What a notice is about."""

    environment: str = ""
    source: str | None = None


_about = msgspec.json.Decoder(_About)


class RespondTask(LogTask):
    """One partition: some environments."""

    name = "respond"
    held_kinds = frozenset({FINDINGS})

    def __init__(self, partition: int, layout: Layout, config: EngineConfig | None = None) -> None:
        super().__init__(partition, layout)
        config = config or EngineConfig()
        weights: Weights = config.weights
        self.aside: set[tuple[int, str, str]] = set()  # (time, tenant, environment) of findings that are passed over
        self.stage = Respond(
            None,
            config.policy,
            weights,
            config.digest(),
            layout.tenant,
            config.services,
            config.correlation,
            config.noise,
        )

    @property
    def clocks(self) -> Clocks:
        """Clocks of the detect partitions and of the raw sources of what is told."""
        return self.stage.clocks

    @property
    def done_until(self) -> int:
        """Findings of windows that end before this have been taken in, Unix ns."""
        return self.stage.done_until + 1

    def data(self, record: Record) -> list[Out]:
        """Take in findings, or what somebody told."""
        if record.kind == FINDINGS:
            found = codec.decode_findings(record.value)
            if found.time <= self.stage.done_until:
                self.stage.late += 1
                return []
            if (found.time, found.tenant, found.environment) in self.aside:
                return []
            self.hold(found.time, record.offset)
            # A window of many anomalies comes in portions, which must not take each other's place.
            portion = record.headers.get("portion", b"").decode("utf-8", "replace")
            self.stage.process(f"{record.source} {portion}" if portion else record.source, [found])
            return [self._anomaly(a) for a in found.anomalies]
        if (signal := SIGNAL_OF.get(record.kind)) is not None:
            try:
                offset, arrival = int(record.headers["offset"]), int(record.headers["arrival"])
                told = decode_told(signal, record.value)
            except (KeyError, ValueError) as error:
                raise Refused(f"a {record.kind} at offset {record.offset}: {error}") from None
            self.stage.tell(record.source, offset, signal, told, arrival)
            return []
        raise Refused(f"a record of kind {record.kind!r} at offset {record.offset} does not belong here")

    def advance(self, source: str, clock: int) -> list[Out]:
        """Take in the findings that are due."""
        return self._sent(self.stage.advance(source, clock))

    def notice(self, value: bytes) -> Out:
        """A notice on the public topic, where that something is over comes after that it began."""
        try:
            about = _about.decode(value)
        except msgspec.DecodeError:
            about = _About()
        key = (about.environment or about.source or "").encode() or None
        return Out(self.layout.topic("notices"), None, value, _of_notice(value), key)

    def _noise(self, report: NoiseReport) -> Out:
        """Noise figures of an environment, in its own order."""
        about = f"{report.tenant}/{report.environment}/{report.until}"
        headers = event_headers("noisereport", "written", about, report.until, report.environment)
        return Out(self.layout.topic("noise"), None, encode(report), headers, report.environment.encode())

    def _status(self, status: Status) -> Out:
        """How far the engine sees; the newest of an environment counts."""
        key = f"{status.tenant}/{status.environment}"
        headers = event_headers("status", "updated", f"{key}/{status.clock}", status.clock, key)
        return Out(self.layout.topic("status"), None, encode(status), headers, key.encode())

    def _sent(self, done: Output) -> list[Out]:
        out: list[Out] = []
        for incident in done.incidents:
            out += self._incident(incident)
        out += [self._topology(record) for record in done.topology]
        # Nothing will be said of these any more: compaction may forget them.
        topic = self.layout.topic("topology")
        out += [Out(topic, None, None, [], name.encode()) for name in done.forgotten]
        out += [self._anomaly(anomaly) for anomaly in done.anomalies]
        out += [self._noise(report) for report in done.noise]
        out += [self._status(status) for status in done.status]
        return out + [self.notice(encode(notice)) for notice in done.notices]

    def _incident(self, incident: Incident) -> list[Out]:
        """The incident itself, and the same among the transitions, which are not compacted."""
        key, value = incident.incident_id.encode(), encode(incident)
        about = f"{incident.incident_id}/{incident.version}"
        headers = event_headers(
            "incident", transition(incident), about, incident.updated_at, incident.incident_id, incident.version
        )
        topics = (self.layout.topic("incidents"), self.layout.topic("incident-events"))
        return [Out(topic, None, value, headers, key) for topic in topics]

    def _anomaly(self, anomaly: Anomaly) -> Out:
        said = {"open": "opened", "update": "updated", "closed": "closed"}[anomaly.state]
        about = f"{anomaly.anomaly_id}/{anomaly.version}"
        headers = event_headers("anomaly", said, about, anomaly.window.end, anomaly.anomaly_id, anomaly.version)
        return Out(self.layout.topic("anomalies"), None, encode(anomaly), headers, anomaly.anomaly_id.encode())

    def _topology(self, record: Topology) -> Out:
        about = f"{record.topology_id}/{record.version}"
        headers = event_headers("topology", record.reason, about, record.updated_at, record.topology_id, record.version)
        return Out(self.layout.topic("topology"), None, encode(record), headers, record.topology_id.encode())

    def stage_snapshot(self) -> bytes:
        """State of the stage."""
        return self.stage.snapshot()

    def stage_restore(self, snapshot: bytes) -> None:
        """Take over the state of a stage."""
        self.stage.restore(snapshot)

    def gauges(self) -> dict[str, float]:
        """Sizes and counts."""
        return {**self.stage.gauges(), "open_incidents": float(self.stage.open)}


def transition(incident: Incident) -> str:
    """What this version tells: opened, acknowledged, updated, merged, resolved or reopened."""
    if incident.state == "resolved" and incident.resolved_at == incident.updated_at:
        return "resolved"
    last = incident.log[-1] if incident.log else None
    if last is not None and last.time == incident.updated_at and not last.refused and incident.version > 1:
        merged = "merged" if incident.state == "merged" else "updated"
        told = {"acknowledge": "acknowledged", "resolve": "resolved", "reopen": "reopened", "merge": merged}
        return told.get(last.command, "updated")
    if incident.state == "resolved" and not incident.log:
        return "resolved"
    if incident.version == 1:
        return "opened"
    return "reopened" if incident.updated_at == incident.opened_at else "updated"


def _of_notice(value: bytes) -> Headers:
    """Headers of a notice; one that another release wrote in another way has none but its type."""
    try:
        notice = decode_notice(value)
    except RecordError:
        return [("content-type", b"application/json")]
    about = (
        notice.kind,
        notice.tenant,
        notice.environment,
        notice.source or "",
        notice.signal or "",
        notice.since,
        notice.until or "",
    )
    happened = "begun" if notice.until is None else "ended"
    return event_headers("notice", happened, "/".join(about), notice.until or notice.since, notice.environment)
