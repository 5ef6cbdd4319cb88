"""A recording driven through the engine in different ways, for the tests that say the incidents must not care.

``python -m tests.replaying FOLDER`` prints the digest of what comes out of it, for comparison with another process.
"""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from aiops.detect.stage import Detect
from aiops.engine import Engine, Step
from aiops.incidents.stage import Respond
from aiops.ingest.stage import Ingest, Message
from aiops.recording import Recording, Sourced
from aiops.records import Incident, encode
from aiops.replay import drive
from aiops.topology import Topology
from aiops.traces.assemble import Assemble

Order = list[tuple[str, Message]]


def last_incidents(incidents: Iterable[Incident]) -> bytes:
    """The last version of each incident, sorted by id, as ``aiops replay --final`` writes them."""
    last = {incident.incident_id: incident for incident in incidents}
    return b"".join(encode(last[key]) + b"\n" for key in sorted(last))


def last_topology(records: Iterable[Topology]) -> bytes:
    """The last version of each service and edge, sorted by id."""
    last = {record.topology_id: record for record in records}
    return b"".join(encode(last[key]) + b"\n" for key in sorted(last))


def driven(sources: dict[str, str], messages: Iterable[Sourced]) -> list[Incident]:
    """All incidents that a replay of these messages writes."""
    return [incident for at in drive(Engine(sources), messages) for incident in at.step.incidents]


def in_order(recording: Recording) -> tuple[dict[str, str], Order]:
    """Every file a source, messages in order of arrival."""
    return recording.sources, [(s.source, s.message) for s in recording.messages()]


def spread(recording: Recording, n: int, seed: int) -> tuple[dict[str, str], Order]:
    """Every file spread at random over `n` sources, which are then read in random turns."""
    parts = recording.split(n, seed)
    draw = random.Random(seed)
    waiting = {source: list(reversed(messages)) for source, messages in parts.items()}
    order: Order = []
    while names := [source for source, messages in waiting.items() if messages]:
        source = draw.choice(names)
        for _ in range(min(draw.randrange(1, 60), len(waiting[source]))):
            order.append((source, waiting[source].pop()))
    return {source: source.partition("/")[0] for source in parts}, order


def replayed(sources: dict[str, str], order: Order, batch: int, restart_every: int = 0, ticks: bool = False) -> bytes:
    """The last incidents of messages taken in by `batch` at a time, then the topology.

    Every `restart_every` steps, every stage is restarted.
    """
    engine, steps = Engine(sources), list[Step]()
    taken: dict[str, list[Message]] = {source: [] for source in sources}
    for number, (together, last) in enumerate(batches(order, batch), 1):
        for source, messages in together.items():
            taken[source].extend(messages)
            steps.append(engine.process(source, messages))
        if ticks:
            steps.append(engine.idle(last))
        if restart_every and number % restart_every == 0:
            steps.append(restarted(engine, taken))
    steps.append(engine.end(max(message.arrival for _, message in order)))
    incidents, topology = (i for s in steps for i in s.incidents), (t for s in steps for t in s.topology)
    return last_incidents(incidents) + last_topology(topology)


def restarted(engine: Engine, taken: dict[str, list[Message]]) -> Step:
    """Every stage replaced by a new one, as after a crash: ingest re-reads its messages, the others take their snapshot."""
    step = Step()
    if engine.assemble is not None:
        old = engine.assemble
        engine.assemble = Assemble(old.source)
        engine.assemble.restore(old.snapshot())
        assert engine.assemble.snapshot() == old.snapshot()
    detect, respond = engine.detect, engine.respond
    engine.detect = Detect()
    engine.detect.restore(detect.snapshot())
    assert engine.detect.snapshot() == detect.snapshot()
    for rows in [rows for _, of in sorted(detect._waiting.items()) for rows in of.values()]:
        engine.detect.process(rows)
    engine.respond = Respond(config_hash=engine.config.digest())
    engine.respond.restore(respond.snapshot())
    assert engine.respond.snapshot() == respond.snapshot()
    for (name, _, _), found in [one for _, of in sorted(respond._findings.items()) for one in of.items()]:
        engine.respond.process(name, [found])
    for source, ingest in list(engine.ingest.items()):
        engine.ingest[source] = Ingest(source, ingest.signal, closed_until=ingest.clock)
        if ingest.needed_from is not None:
            again = [m for m in taken[source] if m.offset >= ingest.needed_from]
            out = engine.ingest[source].process(again)
            assert not out.rows, "a restarted ingest sealed a window again"
            engine._ingested(source, out, step)
    return step


def batches(order: Order, batch: int) -> Iterator[tuple[dict[str, list[Message]], int]]:
    """`batch` messages at a time: those of each source together, and the arrival of the last one."""
    for start in range(0, len(order), batch):
        chunk = order[start : start + batch]
        together: dict[str, list[Message]] = {}
        for source, message in chunk:
            together.setdefault(source, []).append(message)
        yield together, chunk[-1][1].arrival


if __name__ == "__main__":
    sources, order = in_order(Recording(Path(sys.argv[1])))
    sys.stdout.write(hashlib.sha256(replayed(sources, order, 64, ticks=True)).hexdigest() + "\n")
