"""Deploys and other changes: harmless ones drawn from a seed, bad ones from the plan of faults; a list of changes out.

Most changes cause nothing; they are there so that a deploy near an incident is not proof of anything.  A harmless
change never touches a service within a quarter of an hour of a fault in it, because then nobody could say which of the
two was the cause.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from aiops.simulate.faults import Fault
from aiops.simulate.kinds import DEPLOYED
from aiops.simulate.mesh import Mesh
from aiops.simulate.pods import STEP
from aiops.times import rfc3339

SWAP_EVERY_S = 10.0
"""Seconds from one replica's replacement to the next in a rolling deploy."""

_AUTHORS = ("ada", "grace", "ken", "linus", "barbara", "edsger")
_HARMLESS = {
    "deploy": ("Release {to}", "Bump base image", "Update dependencies", "Refactor request validation"),
    "config": (
        "Raise log retention to 14 days",
        "Rotate service credentials",
        "Raise connection pool from 10 to 12",
    ),
    "flag": ("Enable flag new-banner for 5 % of users", "Remove flag old-footer"),
    "scale": ("Raise memory request by 64 MiB (no restart)",),
}
_TOLD = {"decoy_deploy": "deploy", "decoy_flag": "flag", "debug_logs": "config"}
"""The change that a disturbance is, or begins with."""


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """One change.

    Parameters
    ----------
    at
        Seconds since the start at which it is announced.
    swap_at
        When the first replica is replaced; None: no replica is.
    replicas
        Which replicas are replaced.
    fault
        The fault it brings, if it brings one.
    decoy
        The disturbance that it is, or tells of.
    """

    at: float
    kind: str
    service: str
    version_from: str
    version_to: str
    summary: str
    author: str
    swap_at: float | None = None
    replicas: tuple[int, ...] = ()
    state: str = "started"
    fault: Fault | None = None
    decoy: Fault | None = None

    def row(self, seed: int, start_ns: int, environment: str) -> dict[str, str | None]:
        """The change as it stands in ``changes.jsonl``."""
        mark = crc32(f"{seed} {self.at} {self.service} {self.kind}".encode())
        return {
            "change_id": f"chg-{mark:08x}",
            "time": rfc3339(start_ns + int(self.at * 1e9)),
            "kind": self.kind,
            "service": self.service,
            "environment": environment,
            "version_from": self.version_from if self.kind == "deploy" else None,
            "version_to": self.version_to if self.kind == "deploy" else None,
            "state": self.state,
            "summary": self.summary,
            "author": self.author,
            "url": f"https://deploys.example/{self.service}/{mark:08x}",
        }


def first_version(service: str) -> str:
    """Version that runs when the simulation begins."""
    mark = crc32(service.encode())
    return f"{1 + mark % 3}.{mark // 7 % 20}.0"


def next_version(version: str) -> str:
    """The next patch release.

    >>> next_version("1.4.9")
    '1.4.10'
    """
    head, _, patch = version.rpartition(".")
    return f"{head}.{int(patch) + 1}"


def plan_changes(
    mesh: Mesh,
    rng: np.random.Generator,
    faults: Sequence[Fault],
    seconds: float,
    spacing_s: float,
    disturbances: Sequence[Fault] = (),
    hits: Callable[[Fault], Collection[str]] = lambda fault: {fault.service},
) -> list[ChangePlan]:
    """All changes in order of time.

    Parameters
    ----------
    mesh, rng
        Whose changes, and the generator that decides.
    faults
        Those to keep clear of, and the deploys that bring one.
    seconds
        Length of the simulation.
    spacing_s
        Mean time between harmless changes.
    disturbances
        Those that are changes, or begin with one, are announced too.
    hits
        The services that a fault touches.
    """
    wanted: list[tuple[float, str, str, Fault | None]] = []
    for fault in faults:
        if fault.kind in DEPLOYED:
            wanted.append((fault.start - 5.0 * float(rng.integers(2, 10)), "deploy", fault.service, fault))
            wanted.append((fault.end, "rollback", fault.service, fault))
    at = 300.0 + float(rng.exponential(spacing_s))
    touched: dict[str, float] = {}
    while at < seconds - 300.0:
        service = mesh.services[int(rng.integers(len(mesh.services)))]
        kind = "deploy" if rng.random() < 0.65 and service.traced else ("config", "flag", "scale")[int(rng.integers(3))]
        clear = service.runtime != "external" and all(
            service.name not in hits(fault) or at + 900 < fault.start or at > fault.end + 900 for fault in faults
        )
        if clear and at > touched.get(service.name, -1e9) + 600.0:
            touched[service.name] = at
            wanted.append((at // STEP * STEP, kind, service.name, None))
        at += float(rng.exponential(spacing_s))
    wanted += [(one.start, _TOLD[one.kind], one.service, one) for one in disturbances if one.kind in _TOLD]
    versions = {service.name: first_version(service.name) for service in mesh.services}
    changes = []
    for at, kind, name, reason in sorted(wanted, key=lambda item: (item[0], item[2])):
        replicas = tuple(range(mesh.by_name[name].replicas))
        author = _AUTHORS[int(rng.integers(len(_AUTHORS)))]
        old = versions[name]
        bad = reason if reason is not None and reason.kind in DEPLOYED else None
        if bad is not None and kind == "deploy":
            new = next_version(old)
            replicas = replicas[: bad.replicas] if bad.replicas else replicas
            summary = f"Release {new}" + (" (canary)" if bad.replicas else "")
            changes.append(ChangePlan(at, kind, name, old, new, summary, author, bad.start, replicas, fault=bad))
            versions[name] = new
        elif bad is not None:
            back = next(c.version_from for c in reversed(changes) if c.fault is bad)
            replicas = replicas[: bad.replicas] if bad.replicas else replicas
            summary = f"Roll back {name} to {back}"
            changes.append(
                ChangePlan(at, "deploy", name, old, back, summary, author, at + STEP, replicas, state="rolled_back")
            )
            versions[name] = back
        else:
            new = next_version(old) if kind == "deploy" else old
            texts = _HARMLESS[kind]
            summary = texts[int(rng.integers(len(texts)))].format(to=new)
            if reason is not None and reason.kind == "debug_logs":
                summary = "Set log level of root to DEBUG"
            swap = at + 5.0 * float(rng.integers(2, 7)) if kind == "deploy" else None
            changes.append(ChangePlan(at, kind, name, old, new, summary, author, swap, replicas, decoy=reason))
            versions[name] = new
    return changes
