"""Where instances run, and which are in trouble -> machines and zones on which trouble concentrates.

One pod that is gone says nothing of its machine.  That services which have nothing to do with each other have trouble with their
instances on one machine alone, and their others are well, is no chance.  Of the N instances that there are, n run on the
machine; K services are in trouble, of which k are so on this machine alone.  If trouble fell on instances at random, k would
follow the hypergeometric distribution, as when one instance of each service were drawn: its tail, times the number of machines
that were looked at (Bonferroni), is how surprising k is.  A service with trouble elsewhere too speaks against every machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from aiops.findings import DEVIATING, GONE, INSTANCES, IS_HOST, MACHINE, SERVICE, Findings

CAP = 8.0  # of every score
LEAST = 3.0  # score from which a machine is suspect: a service that takes part has as much
OWN = 3.0  # what it adds that the machine itself is silent or under strain: as much as makes an instance deviate
_SAID = {GONE: "lost instances", DEVIATING: "are slow or saturated"}


class Suspect(NamedTuple):
    """A machine or a zone on which trouble concentrates.

    Attributes
    ----------
    name : str
    kind : str
        ``host`` or ``zone``.
    score : float
        -log10 of the probability of that by chance, and what the machine says of itself, rounded.
    services : tuple of str
        Those whose trouble is there alone, or that run nowhere else, sorted: what else is wrong with these comes of it too.
    machines : tuple of str
        Of a zone: its machines that are suspect themselves, and no more so than it is.
    """

    name: str
    kind: str
    score: float
    statement: str
    services: tuple[str, ...]
    machines: tuple[str, ...] = ()


class Seen(NamedTuple):
    """Machines of a window.

    Attributes
    ----------
    suspects : list of Suspect
        In order of kind and name.
    troubled : dict, (kind, service) -> where instances of it are in trouble
    """

    suspects: list[Suspect]
    troubled: dict[tuple[str, str], set[str]]


def look(found: Findings) -> Seen:
    """Which machines and zones are suspect in a window."""
    seen = Seen([], {})
    if not found.placed[:, [GONE, DEVIATING]].any():
        return seen
    zones = _zones(found)
    hosts = [node for node, _ in found.machines]
    for kind, places in (("host", hosts), ("zone", [zones.get(node, zone) for node, zone in found.machines])):
        best: dict[str, Suspect] = {}
        for column in (GONE, DEVIATING):
            for suspect in _suspects(kind, found, places, column, seen.troubled):
                if suspect.name not in best or suspect.score > best[suspect.name].score:
                    best[suspect.name] = suspect
        seen.suspects.extend(best[name] for name in sorted(best))
    for k, zone in enumerate(seen.suspects):
        if zone.kind == "zone":
            of = [s for s in seen.suspects if s.kind == "host" and zones.get(s.name) == zone.name]
            seen.suspects[k] = zone._replace(machines=tuple(s.name for s in of if s.score <= zone.score))
    return seen


def surprise(instances: int, there: int, troubled: int, concentrated: int, looked_at: int = 1) -> float:
    """-log10 of the chance that so many of the services in trouble have it in one place alone; 0 where that is likely.

    Parameters
    ----------
    instances, there : int
        All of them, and those in the place.
    troubled, concentrated : int
        Services in trouble, and those of them that are in trouble there alone.
    looked_at : int
        Places.

    >>> (
    ...     surprise(27, 5, 1, 1, 5) < 0.1,
    ...     surprise(27, 5, 5, 5, 5) > 3.0,
    ...     surprise(27, 5, 10, 5, 5) < surprise(27, 5, 5, 5, 5),
    ... )
    (True, True, True)
    """
    drawn = min(troubled, instances)
    most = min(drawn, there)
    if not 0 < concentrated <= most:
        return 0.0
    tail = 0.0
    for k in range(most, concentrated - 1, -1):  # from the least term on
        if drawn - k <= instances - there:
            tail += math.exp(_ways(there, k) + _ways(instances - there, drawn - k) - _ways(instances, drawn))
    chance = tail * looked_at
    return 0.0 if chance >= 1.0 else CAP if chance <= 10.0**-CAP else -math.log10(chance)


def _ways(n: int, k: int) -> float:
    """Logarithm of the number of ways to choose k of n."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _suspects(
    kind: str, found: Findings, places: list[str], column: int, troubled_at: dict[tuple[str, str], set[str]]
) -> Iterator[Suspect]:
    names = sorted({place for place in places if place})
    number = {name: k for k, name in enumerate(names)}
    at = np.array([number.get(place, -1) for place in places], np.int64)[found.placed[:, MACHINE]]
    is_host = found.placed[:, IS_HOST] > 0
    run = (at >= 0) & ~is_host
    instances = np.bincount(at[run], found.placed[run, INSTANCES], len(names)).astype(int).tolist()
    total, troubled = sum(instances), dict[str, set[str]]()
    hurt = run & (found.placed[:, column] > 0)
    for row, place in zip(found.placed[hurt, SERVICE].tolist(), at[hurt].tolist(), strict=True):
        troubled.setdefault(found.services[row], set()).add(names[place])
    for service, of in troubled.items():
        troubled_at.setdefault((kind, service), set()).update(of)
    own = at[(at >= 0) & is_host & (found.placed[:, GONE] + found.placed[:, DEVIATING] > 0)]
    silent = {names[k] for k in own.tolist()} if kind == "host" else set[str]()
    alone: dict[str, list[str]] = {}
    for service, of in troubled.items():
        if len(of) == 1:
            alone.setdefault(min(of), []).append(service)
    for name, services in sorted(alone.items()):
        there = instances[number[name]]
        score = surprise(total, there, len(troubled), len(services), len(names))
        if len(services) < 2 or score <= 0.0:  # what one service has in common with itself is no news
            continue
        score = min(CAP, score + OWN * (name in silent))
        if score < LEAST:
            continue
        said = (
            f"{len(services)} of {len(troubled)} services that {_SAID[column]} do so on {name} alone, where {there} of "
            f"{total} instances run"
        )
        said += f"; {name} itself is silent or under strain" if name in silent else ""
        at_home = {found.services[row] for row in np.unique(found.placed[run & (at == number[name]), SERVICE]).tolist()}
        away = {found.services[row] for row in np.unique(found.placed[run & (at != number[name]), SERVICE]).tolist()}
        yield Suspect(name, kind, round(score, 4), said, tuple(sorted({*services, *(at_home - away)})))


def running(found: Findings) -> list[tuple[tuple[str, str], str]]:
    """What runs where in a window, as keys of the topology: machines (``node``), zones (``zone``), what is on them (``runs_on``).

    An instance that is gone runs nowhere.
    """
    zones = _zones(found)
    own = _own(found)
    out: dict[tuple[str, str], str] = {}
    for row in found.placed[found.placed[:, GONE] < found.placed[:, INSTANCES]].tolist():
        node, zone = found.machines[row[MACHINE]]
        zone, name = zones.get(node, zone), own.get(node, node)
        if name:
            out[name, ""] = "node"
        if zone:
            out[zone, ""] = "zone"
        if name and zone:
            out[name, zone] = "runs_on"
        if not row[IS_HOST]:
            out[found.services[row[SERVICE]], name or zone] = "runs_on"
    return sorted(out.items())


def _zones(found: Findings) -> dict[str, str]:
    """Zone of each machine: not everything that runs on one names it."""
    zones: dict[str, str] = {}
    for node, zone in found.machines:
        if node and zone:
            zones[node] = min(zone, zones.get(node, zone))
    return zones


def _own(found: Findings) -> dict[str, str]:
    """Under which name of a service each machine sends metrics of its own."""
    own: dict[str, str] = {}
    for row in found.placed[found.placed[:, IS_HOST] > 0].tolist():
        node, service = found.machines[row[MACHINE]][0], found.services[row[SERVICE]]
        own[node] = min(service, own.get(node, service))
    return own


class Machines:
    """Which services of an environment are machines or zones, and which of these are suspect.

    Attributes
    ----------
    kind : dict, service -> ``host`` or ``zone``
        Numbers of the environment's services that stand for machines.
    """

    def __init__(self) -> None:
        self.kind: dict[int, str] = {}

    def named(self, found: Findings, known: Mapping[str, int]) -> dict[tuple[str, str], str]:
        """Under which name of a service each machine and zone of the findings is known: (kind, name) -> service.

        A machine that sends metrics of its own is a service by its name; one that does not gets a name that no service has.
        """
        own = {("host", node): service for node, service in _own(found).items()}
        taken = set(found.services).union(name for name, code in known.items() if code not in self.kind)
        for node, zone in found.machines:
            for kind, name in (("host", node), ("zone", zone)):
                own.setdefault((kind, name), f"{kind} {name}" if name in taken else name)
        return own

    def forget(self, service: int) -> None:
        """The number is no machine any more."""
        self.kind.pop(service, None)
