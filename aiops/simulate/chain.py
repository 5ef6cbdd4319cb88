"""A mesh that is deep: nine services one behind the other, which share a database, a cache and a queue; seed in, mesh out.

What is slow at the bottom is felt at every step above it, and what they share is called from everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiops.simulate.mesh import (
    Call,
    Chance,
    Internal,
    Journey,
    Log,
    LogStyle,
    Mesh,
    Operation,
    Refuse,
    Runtime,
    Service,
    Step,
    Work,
)

DATABASE, CACHE, BANK = "main-db", "shared-cache", "api.bank.example"
_CHAIN = ("storefront", "session", "offers", "basket", "orders", "fulfilment", "stock", "ledger")
_WORKERS = {"Change": "indexer", "Order": "mailer", "Return": "auditor"}
"""Who works on the message that a journey leaves behind."""

_STYLES: tuple[LogStyle, ...] = ("plain", "json", "logfmt")


@dataclass(frozen=True, slots=True)
class _Journey:
    """An entry, its weight, how far down the chain it goes, and whether it changes data."""

    entry: str
    name: str
    weight: float
    depth: int
    writes: bool


_JOURNEYS = (
    _Journey("GET /browse", "Browse", 40.0, 3, False),
    _Journey("GET /account", "Show", 16.0, 2, False),
    _Journey("POST /basket", "Change", 18.0, 5, True),
    _Journey("POST /orders", "Order", 14.0, 8, True),
    _Journey("GET /orders/{id}", "Track", 10.0, 6, False),
    _Journey("POST /returns", "Return", 2.0, 7, True),
)


def deep_chain(rng: np.random.Generator) -> Mesh:
    """Describe a chain; the generator decides how long everything takes and who uses the cache.

    >>> mesh = deep_chain(np.random.default_rng(1))
    >>> len(mesh.services), sum(service.traced for service in mesh.services)
    (15, 12)
    """
    layers = [_layer(at, name, rng) for at, name in enumerate(_CHAIN)]
    entries = tuple(
        Operation(
            journey.entry,
            (
                Log("Request received from {ip} session={session} agent={agent}"),
                Work(1.0),
                Call(_CHAIN[0], journey.name, attempts=1 if journey.writes else 2),
                Work(0.6),
                Log(f'{{ip}} "{journey.entry} HTTP/1.1" 200 {{bytes}} {{ms}}ms'),
            ),
        )
        for journey in _JOURNEYS
    )
    gateway = Service("gateway", 3, entries, runtime="native", memory_mb=256)
    workers = [_worker(journey, name, rng) for journey, name in _WORKERS.items()]
    reads, changes = float(rng.uniform(1.5, 3.0)), float(rng.uniform(3.0, 5.0))
    statements = tuple(
        Operation(f"{verb} {name}", (Work(median, 0.4, 0.5),))
        for name in _CHAIN
        for verb, median in (("SELECT", reads), ("UPDATE", changes))
        if any(_uses(journey, _CHAIN.index(name), verb) for journey in _JOURNEYS)
    )
    cache = tuple(Operation(f"GET {name}", (Work(0.4, 0.4, 0.8),)) for name in _CHAIN)
    stores = [
        Service(DATABASE, 1, statements, runtime="database", memory_mb=4096),
        Service(CACHE, 1, cache, runtime="cache", memory_mb=1024),
        Service(BANK, 1, (Operation("POST /transfers", (Work(70.0, 0.3, 0.0),)),), runtime="external"),
    ]
    return Mesh(
        services=(gateway, *layers, *workers, *stores),
        journeys=tuple(Journey(journey.entry, journey.weight) for journey in _JOURNEYS),
        name="chain",
        rich=True,
    )


def _uses(journey: _Journey, at: int, verb: str) -> bool:
    """Whether a journey reads or changes the data of a layer: every layer reads, the deepest of a journey changes."""
    return at < journey.depth and (verb == "SELECT" or (journey.writes and at >= journey.depth - 2))


def _layer(at: int, name: str, rng: np.random.Generator) -> Service:
    """One service of the chain, with an operation for each journey that comes as far."""
    cached, hit = bool(rng.random() < 0.6), float(rng.uniform(0.4, 0.8))
    median = float(rng.uniform(1.5, 5.0))
    operations = []
    for journey in _JOURNEYS:
        if at >= journey.depth:
            continue
        read: tuple[Step, ...] = (Call(DATABASE, f"SELECT {name}", attempts=2),)
        if cached:
            read = (Call(CACHE, f"GET {name}", required=False), Chance(hit, (Work(0.3),), read))
        steps: list[Step] = [
            Log(f"{journey.name} of user {{user}} with {{digit}} items"),
            Work(median),
            *read,
            Refuse(0.002, f"{journey.name} of {{sku}} refused by rule {{digit}}"),
        ]
        if at + 1 < journey.depth:
            steps.append(Call(_CHAIN[at + 1], journey.name, attempts=1 if journey.writes else 2))
        if _uses(journey, at, "UPDATE"):
            steps.append(Internal(f"{name}.commit", (Work(0.8), Call(DATABASE, f"UPDATE {name}", attempts=2))))
        if name == "ledger":
            steps.append(Call(BANK, "POST /transfers"))
        if at == journey.depth - 1 and journey.writes:
            steps.append(Call(_WORKERS[journey.name], f"{journey.name}Done", queued=True))
        steps.append(Log(f"{journey.name} done in {{ms}} ms"))
        operations.append(Operation(journey.name, tuple(steps)))
    runtime: Runtime = "native" if at % 4 == 3 else "jvm"
    return Service(name, 2, tuple(operations), _STYLES[at % 3], runtime, 512)


def _worker(journey: str, name: str, rng: np.random.Generator) -> Service:
    """A service that works on messages."""
    steps = (Work(float(rng.uniform(3.0, 12.0)), 0.4), Log(f"{journey} {{uuid}} handled in {{ms}} ms"))
    return Service(name, 1, (Operation(f"{journey}Done", steps),), "json", "jvm", 256)
