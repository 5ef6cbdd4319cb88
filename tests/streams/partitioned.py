"""The engine with several partitions a topic: what crosses a topic is routed, encoded, cut into parts and read again."""

from __future__ import annotations

from aiops.config import EngineConfig
from aiops.detect.stage import Detect
from aiops.engine import IDLE_AFTER, TICK
from aiops.findings import Findings
from aiops.incidents.place import Output
from aiops.incidents.stage import Respond
from aiops.ingest.stage import Ingest, IngestOutput, Message
from aiops.records import Incident, RecordError
from aiops.signals import WindowRows
from aiops.telling import decode_all, number
from aiops.told import TOLD
from aiops.topology import Topology
from aiops.traces.assemble import Assemble
from streams import codec, routing
from streams.chunks import Joiner, split
from tests.replaying import Order, batches, last_incidents, last_topology

PART = 2_000  # bytes: so small that parts are common
KEY = 0x5EED


class PartitionedEngine:
    """As ``aiops.engine.Engine``, with `traces` assemble, `signals` detect and `findings` respond instances."""

    def __init__(self, sources: dict[str, str], traces: int, signals: int, findings: int) -> None:
        self.config = EngineConfig()
        self.signals = dict(sources)
        tenant = self.config.tenant
        telemetry = sorted(s for s, signal in sources.items() if signal not in TOLD)
        told = sorted(s for s, signal in sources.items() if signal in TOLD)
        traced = [s for s in telemetry if sources[s] != "metrics"]
        partitions = [f"aiops.traces/{p}" for p in range(traces)] if traced else []
        detects = [f"aiops.signals/{p}" for p in range(signals)]
        self.ingest = {s: Ingest(s, sources[s], tenant) for s in telemetry}
        self.assemble = [Assemble(name, traced, tenant) for name in partitions]
        self.detect = {name: Detect([*telemetry, *partitions], tenant) for name in detects}
        digest = self.config.digest()
        self.respond = [Respond([*detects, *told], config_hash=digest, tenant=tenant) for _ in range(findings)]
        self.incidents: list[Incident] = []
        self.topology: list[Topology] = []
        self.sent: dict[str, int] = {}  # values of each kind that crossed a topic
        self._joiners = {name: Joiner() for name in detects}
        self._arrived = dict.fromkeys(sources, -1)

    # ---- input, as the engine takes it ----------------------------------------------------------------------------------
    def process(self, source: str, messages: list[Message]) -> None:
        start = 0
        for i, message in enumerate(messages):
            last = messages[i - 1].arrival if i else self._arrived[source]
            if message.arrival - last > IDLE_AFTER:
                self._take(source, messages[start:i])
                self._clock(source, message.arrival // TICK * TICK - IDLE_AFTER)
                start = i
        self._take(source, messages[start:])

    def idle(self, arrival: int) -> None:
        for source, last in self._arrived.items():
            if arrival - last > IDLE_AFTER:
                self._clock(source, arrival // TICK * TICK - IDLE_AFTER)

    def end(self, arrival: int) -> None:
        for source in self.signals:
            self._clock(source, arrival // TICK * TICK + self.config.drain)

    def _take(self, source: str, messages: list[Message]) -> None:
        if not messages:
            return
        self._arrived[source] = max(self._arrived[source], messages[-1].arrival)
        signal = self.signals[source]
        if signal not in TOLD:
            self._ingested(source, self.ingest[source].process(messages))
            return
        for message in messages:
            try:
                several = decode_all(signal, message.value)
            except RecordError:
                continue
            for k, told in enumerate(several):
                place = routing.findings_partition(self.config.tenant, told.environment, len(self.respond), KEY)
                self.respond[place].tell(source, number(message.offset, k), signal, told, message.arrival)
        self._clock(source, messages[-1].arrival - 1)

    def _clock(self, source: str, clock: int) -> None:
        if self.signals[source] in TOLD:
            for respond in self.respond:
                self._responded(respond.advance(source, clock))
        else:
            self._ingested(source, self.ingest[source].advance(clock))

    # ---- across the topics ----------------------------------------------------------------------------------------------
    def _ingested(self, source: str, out: IngestOutput) -> None:
        for rows in out.rows:
            self._rows(rows)
        if self.assemble and self.signals[source] != "metrics":
            if out.items is not None:
                for p, value in enumerate(routing.items_values(out.items, len(self.assemble), KEY)):
                    if value is not None:
                        self._count("items")
                        self.assemble[p].process(codec.decode_items(value))
            for assemble in self.assemble:
                assembled = assemble.advance(source, out.clock)
                for rows in assembled.rows:
                    self._rows(rows)
                self._detected(assemble.source, assembled.clock)
        self._detected(source, out.clock)

    def _rows(self, rows: WindowRows) -> None:
        for name, value in zip(self.detect, routing.rows_values(rows, len(self.detect), KEY), strict=True):
            for headers, part in split(value, PART):
                self._count("parts" if headers else "rows")
                whole = self._joiners[name].add((rows.source, rows.window), dict(headers), part)
                if whole is not None:
                    self.detect[name].process(codec.decode_rows(whole))

    def _detected(self, source: str, clock: int) -> None:
        for name, detect in self.detect.items():
            for found in detect.advance(source, clock):
                self._found(name, found)
            joiner = self._joiners[name]
            joiner.forget([key for key in joiner if key[1] < detect.done_until])
            for respond in self.respond:
                self._responded(respond.advance(name, detect.clock))

    def _found(self, name: str, found: Findings) -> None:
        self._count("findings")
        place = routing.findings_partition(found.tenant, found.environment, len(self.respond), KEY)
        self.respond[place].process(name, [codec.decode_findings(codec.encode_findings(found))])

    def _responded(self, out: Output) -> None:
        self.incidents.extend(out.incidents)
        self.topology.extend(out.topology)

    def _count(self, kind: str) -> None:
        self.sent[kind] = self.sent.get(kind, 0) + 1


def partitioned(
    sources: dict[str, str], order: Order, batch: int, numbers: tuple[int, int, int], ticks: bool = True
) -> bytes:
    """The last incidents and the topology, taken in as ``tests.replaying.replayed`` does; `numbers` of partitions."""
    engine = PartitionedEngine(sources, *numbers)
    for together, last in batches(order, batch):
        for source, messages in together.items():
            engine.process(source, messages)
        if ticks:
            engine.idle(last)
    engine.end(max(message.arrival for _, message in order))
    assert all(engine.sent.get(kind, 0) for kind in ("rows", "parts", "findings")), engine.sent
    return last_incidents(engine.incidents) + last_topology(engine.topology)
