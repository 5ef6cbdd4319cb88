"""The stages chained in one process: messages of any number of sources -> incidents, anomalies, findings and notices.

Stages are those that run on Kafka; here their outputs are handed on as they are.  Which messages are taken together, and in
which order the sources are read, does not change the last version of any incident.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from aiops.columns import Refusal
from aiops.config import EngineConfig
from aiops.detect.stage import Detect
from aiops.findings import Findings
from aiops.incidents.place import Output
from aiops.incidents.stage import Respond
from aiops.ingest.stage import Ingest, IngestOutput, Message
from aiops.noise_report import NoiseReport
from aiops.records import Anomaly, Incident, Notice, RecordError
from aiops.signals import SECOND
from aiops.status import Status
from aiops.telling import decode_all, number
from aiops.told import TOLD
from aiops.topology import Topology
from aiops.traces.assemble import Assemble, AssembleOutput

IDLE_AFTER = 30 * SECOND  # a source without a message for so long is idle
TICK = 10 * SECOND
TRACES = "aiops.traces/0"
DETECT = "aiops.findings/detect-0"


@dataclass(slots=True)
class Step:
    """What came out of a step of the engine."""

    incidents: list[Incident] = field(default_factory=list)
    anomalies: list[Anomaly] = field(default_factory=list)
    findings: list[Findings] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    topology: list[Topology] = field(default_factory=list)
    noise: list[NoiseReport] = field(default_factory=list)
    status: list[Status] = field(default_factory=list)
    refused: list[tuple[str, Refusal]] = field(default_factory=list)


class Engine:
    """All stages, one of each but ingest, of which there is one a source.

    Parameters
    ----------
    sources : dict, name of a source -> 'metrics' | 'logs' | 'traces' | 'changes' | 'alerts' | 'commands'
    """

    def __init__(self, sources: dict[str, str], config: EngineConfig | None = None) -> None:
        self.config = config or EngineConfig()
        self.signals = dict(sources)
        telemetry = sorted(s for s, signal in sources.items() if signal not in TOLD)
        traced = [s for s in telemetry if sources[s] != "metrics"]
        windows = telemetry + ([TRACES] if traced else [])
        self.ingest = {
            s: Ingest(s, sources[s], self.config.tenant, self.config.encoding, self.config.identity_key)
            for s in telemetry
        }
        self.assemble = Assemble(TRACES, traced, self.config.tenant) if traced else None
        self.detect = Detect(windows, self.config.tenant, self.config.detect)
        told = sorted(s for s, signal in sources.items() if signal in TOLD)
        self.respond = Respond(
            [DETECT, *told], self.config.policy, self.config.weights, self.config.digest(), self.config.tenant,
            self.config.services, self.config.correlation, self.config.noise,
        )  # fmt: skip
        self._arrived = dict.fromkeys(sources, -1)  # arrival of the newest message of each source

    # ---- input ----------------------------------------------------------------------------------------------------------
    def process(self, source: str, messages: list[Message]) -> Step:
        """Take in messages of one source, in the order of their offsets."""
        step = Step()
        start = 0
        for i, message in enumerate(messages):  # a source that fell silent ticks on: cut where it did
            last = messages[i - 1].arrival if i else self._arrived[source]
            if message.arrival - last > IDLE_AFTER:
                self._take(source, messages[start:i], step)
                self._tick(source, message.arrival, step)
                start = i
        self._take(source, messages[start:], step)
        return step

    def idle(self, arrival: int) -> Step:
        """No source has a message that arrived before `arrival` (Unix ns) and was not taken in: idle ones tick."""
        step = Step()
        for source, last in self._arrived.items():
            if arrival - last > IDLE_AFTER:
                self._tick(source, arrival, step)
        return step

    def end(self, arrival: int) -> Step:
        """Nothing will come any more: everything up to `arrival` and what follows from it is due."""
        step = Step()
        clock = arrival // TICK * TICK + self.config.drain
        for source in self.signals:
            self._clock(source, clock, step)
        return step

    def _take(self, source: str, messages: list[Message], step: Step) -> None:
        if not messages:
            return
        self._arrived[source] = max(self._arrived[source], messages[-1].arrival)
        if self.signals[source] in TOLD:
            self._told(source, messages, step)
        else:
            self._ingested(source, self.ingest[source].process(messages), step)

    def _tick(self, source: str, arrival: int, step: Step) -> None:
        self._clock(source, arrival // TICK * TICK - IDLE_AFTER, step)

    def _clock(self, source: str, clock: int, step: Step) -> None:
        if self.signals[source] in TOLD:
            self._responded(self.respond.advance(source, clock), step)
        else:
            self._ingested(source, self.ingest[source].advance(clock), step)

    def gauges(self) -> dict[str, float]:
        """Fill of every bounded table of all stages, by name; what ends in ``_total`` counts since the process began."""
        out: dict[str, float] = {}
        for ingest in self.ingest.values():  # one name for all sources: their number is not bounded here
            for name, n in ingest.gauges().items():
                out[name] = out.get(name, 0.0) + n
        if self.assemble is not None:
            out |= self.assemble.gauges()
        return out | self.detect.gauges() | self.respond.gauges()

    # ---- from stage to stage --------------------------------------------------------------------------------------------
    def _told(self, source: str, messages: list[Message], step: Step) -> None:
        signal = self.signals[source]
        for message in messages:
            try:
                several = decode_all(signal, message.value)
            except RecordError as error:
                step.refused.append((source, Refusal(message.offset, str(error))))
            else:
                for k, told in enumerate(several):
                    self.respond.tell(source, number(message.offset, k), signal, told, message.arrival)
        # Not to the last arrival itself: the next message may have the same.
        self._responded(self.respond.advance(source, messages[-1].arrival - 1), step)

    def _ingested(self, source: str, out: IngestOutput, step: Step) -> None:
        step.refused.extend((source, refusal) for refusal in out.refused)
        for rows in out.rows:
            self.detect.process(rows)
        if self.assemble is not None and self.signals[source] != "metrics":
            if out.items is not None:
                self.assemble.process(out.items)
            self._assembled(self.assemble.advance(source, out.clock), step)
        self._detected(self.detect.advance(source, out.clock), step)

    def _assembled(self, out: AssembleOutput, step: Step) -> None:
        for rows in out.rows:
            self.detect.process(rows)
        self._detected(self.detect.advance(TRACES, out.clock), step)

    def _detected(self, findings: list[Findings], step: Step) -> None:
        if findings:
            step.findings.extend(findings)
            for found in findings:
                step.anomalies.extend(found.anomalies)
            self.respond.process(DETECT, findings)
        self._responded(self.respond.advance(DETECT, self.detect.clock), step)

    def _responded(self, out: Output, step: Step) -> None:
        step.incidents.extend(out.incidents)
        step.anomalies.extend(out.anomalies)
        step.notices.extend(out.notices)
        step.topology.extend(out.topology)
        step.noise.extend(out.noise)
        step.status.extend(out.status)
