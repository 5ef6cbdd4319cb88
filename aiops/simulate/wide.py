"""A mesh that is wide: a gateway over many small services, which share stores and publish to a queue; seed in, mesh out.

Most edges see few requests, and most services look alike: what is wrong with one must be told from little.
"""

from __future__ import annotations

import numpy as np

from aiops.simulate.mesh import (
    Call,
    Chance,
    Journey,
    Log,
    LogStyle,
    Mesh,
    Operation,
    Parallel,
    Refuse,
    Runtime,
    Service,
    Step,
    Work,
)

VENDOR = "push.vendor.example"
_SMALL = tuple(
    "ads avatars badges banners billing blog bookings brands bundles campaigns carriers chat comments consent coupons "
    "currency delivery events fraud geo gifts help images invoices loyalty maps media menus news orders polls profiles "
    "ratings refunds search slots stores tax tickets wishlist".split()
)
_SHARED = ("config", "flags", "i18n")
_WORKERS = ("mailer", "indexer", "auditor")
_STORES = ("profiles-db", "content-db")
_CACHE = "kv-cache"
_STYLES: tuple[LogStyle, ...] = ("plain", "json", "logfmt")
JOURNEYS = 14
"""Entry operations of the gateway; their weights fall by a power law, so that some are rare."""


def wide_fan_out(rng: np.random.Generator) -> Mesh:
    """Describe a fan-out; the generator decides who is called together, how long it takes, who uses and tells whom.

    >>> mesh = wide_fan_out(np.random.default_rng(1))
    >>> len(mesh.services), sum(service.traced for service in mesh.services)
    (51, 47)
    """
    order = [_SMALL[int(at)] for at in rng.permutation(len(_SMALL))]
    uses = {name: _links(at, rng) for at, name in enumerate(_SMALL)}
    small = [_service(at, name, uses[name], rng) for at, name in enumerate(_SMALL)]
    entries, journeys = [], []
    for number in range(JOURNEYS):
        path = f"/{order[number]}"
        # Every service belongs to one journey at least, and a few more are asked by the way.
        names = list(dict.fromkeys(order[number::JOURNEYS] + [order[int(at)] for at in rng.integers(0, len(order), 2)]))
        calls = tuple(Call(name, "Get", required=at == 0, attempts=2) for at, name in enumerate(names))
        entries.append(
            Operation(
                f"GET {path}",
                (
                    Log("Request received from {ip} session={session} agent={agent}"),
                    Work(1.2),
                    Parallel(calls),
                    Work(1.0),
                    Log(f'{{ip}} "GET {path} HTTP/1.1" 200 {{bytes}} {{ms}}ms'),
                ),
            )
        )
        journeys.append(Journey(f"GET {path}", 1.0 / (1.0 + number) ** 0.8))
    gateway = Service("gateway", 3, tuple(entries), runtime="native", memory_mb=512)
    shared = [
        Service(name, 2, (Operation("Read", (Work(0.8), Log("Read {count} keys for {locale}"))),), "logfmt", "native")
        for name in _SHARED
    ]
    workers = [_worker(name, rng) for name in _WORKERS]
    return Mesh(
        services=(gateway, *small, *shared, *workers, *_stores(uses)),
        journeys=tuple(journeys),
        nodes=8,
        name="wide",
        rich=True,
    )


def _links(at: int, rng: np.random.Generator) -> dict[str, str]:
    """Which store, shared service and worker a small service uses, by purpose; empty where none."""
    chosen = rng.random(4)
    return {
        "store": _STORES[at % 2] if chosen[0] < 0.6 else "",
        "cache": _CACHE if chosen[1] < 0.5 else "",
        "shared": _SHARED[at % 3] if chosen[2] < 0.4 or at < 3 else "",
        "worker": _WORKERS[at % 3] if chosen[3] < 0.25 or at < 3 else "",
    }


def _service(at: int, name: str, uses: dict[str, str], rng: np.random.Generator) -> Service:
    steps: list[Step] = [Log(f"Get {name} for user {{user}}"), Work(float(rng.uniform(1.5, 8.0)))]
    if uses["shared"]:
        steps.append(Call(uses["shared"], "Read", required=False, attempts=2))
    if uses["store"]:
        read: tuple[Step, ...] = (Call(uses["store"], f"SELECT {name}", attempts=2),)
        if uses["cache"]:
            hit = float(rng.uniform(0.3, 0.7))
            read = (Call(_CACHE, f"GET {name}", required=False), Chance(hit, (Work(0.2),), read))
        steps += read
        steps.append(Chance(0.15, (Call(uses["store"], f"UPDATE {name}", attempts=2),)))
    steps.append(Refuse(0.003, f"No {name} for {{sku}}"))
    if uses["worker"]:
        steps.append(Chance(0.5, (Call(uses["worker"], "Handle", queued=True),)))
    steps.append(Log(f"Got {{count}} {name} in {{ms}} ms"))
    runtime: Runtime = ("jvm", "jvm", "native")[at % 3]
    replicas = 2 if rng.random() < 0.6 else 1
    return Service(name, replicas, (Operation("Get", tuple(steps)),), _STYLES[at % 3], runtime, 256)


def _worker(name: str, rng: np.random.Generator) -> Service:
    steps: list[Step] = [Work(float(rng.uniform(4.0, 15.0)), 0.4), Log("Message {uuid} handled in {ms} ms")]
    if name == _WORKERS[0]:
        steps.insert(1, Call(VENDOR, "POST /v1/push", attempts=2))
    return Service(name, 1, (Operation("Handle", tuple(steps)),), "json", "jvm", 256)


def _stores(uses: dict[str, dict[str, str]]) -> list[Service]:
    stores = []
    for store in _STORES:
        mine = [name for name in _SMALL if uses[name]["store"] == store]
        statements = tuple(
            Operation(f"{verb} {name}", (Work(median, 0.4, 0.5),))
            for name in mine
            for verb, median in (("SELECT", 2.0), ("UPDATE", 4.0))
        )
        stores.append(Service(store, 1, statements, runtime="database", memory_mb=4096))
    cached = [name for name in _SMALL if uses[name]["cache"] and uses[name]["store"]]
    reads = tuple(Operation(f"GET {name}", (Work(0.4, 0.4, 0.8),)) for name in cached)
    push = (Operation("POST /v1/push", (Work(90.0, 0.4, 0.0),)),)
    return [
        *stores,
        Service(_CACHE, 1, reads, runtime="cache", memory_mb=1024),
        Service(VENDOR, 1, push, runtime="external"),
    ]
