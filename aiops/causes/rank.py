"""Evidence of an incident's services -> ranked causes: additive evidence, explained away along the call graph, onset order.

A caller that fails because its callee fails, or is late, is discounted by the callee's evidence, also where what lies between
them stays quiet.  What a service does by itself (resources, own time) and what touches most of its edges (network) is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aiops.findings import CHATTER, ERRORS, HEARTBEAT, LOG, LOST, METRIC, NOVEL, OWN, PLAIN, RESOURCE, TERMS
from aiops.signals import SECOND

# Terms that respond adds to those of detect: the mean gap of the edges a service touches, the worst gap of the edges into
# it, how surely it is down (its traffic vanished and its callers reach nobody), and of a machine or a zone how surely the trouble
# of services concentrates on it.
NET, EDGE, DOWN, PLACE = range(len(TERMS), len(TERMS) + 4)
N_TERMS = len(TERMS) + 4
CAP = 8.0  # of every term
HOPS = 3  # calls over which a failure explains those above it
TERM_NAMES = (*TERMS, "net", "edge", "down", "place")


@dataclass(frozen=True, slots=True)
class Weights:
    """Of the parts of a cause's score.

    Chosen on two recorded days (all 52 faults seen: read their figures as reach) and on simulated days with seeds below 100.
    """

    resource: float = 1.2
    own: float = 0.5
    network: float = 1.2
    code: float = 1.0
    code_second: float = 0.3  # of the weaker of loss and novelty
    metric: float = 0.1
    heartbeat: float = 1.2
    down: float = 1.5
    place: float = 1.5  # of a machine on which the trouble of services concentrates
    log: float = 0.4
    change: float = 1.5
    away: float = 0.7  # discount of a caller's code evidence by what its callees explain
    through: float = 0.8  # part of what a callee's callee explains to the caller, though the callee itself may be quiet
    slow: float = 0.5  # part of what makes a service slow that explains failures of its callers: they time out
    away_down: float = 0.7  # discount of all that a caller does by itself when a callee is surely down
    away_place: float = 0.7  # discount of what a service does by what the machine explains that it runs on
    early: float = 0.5  # bonus of the first service with evidence
    starved: float = 3.0  # resource evidence from which a network cause is one of resources
    least: float = 0.5  # score below which a service is no cause at all


class Ranked(NamedTuple):
    """One hypothesis; ``parts`` are what its score is made of, by term name."""

    service: int
    score: float
    kind: str
    parts: dict[str, float]


def rank(
    peak: NDArray[np.float64],
    first: NDArray[np.float64],
    callees: dict[int, set[int]],
    changed: dict[int, float],
    weights: Weights,
    within: Iterable[int] | None = None,
    runs_on: Mapping[int, Iterable[int]] | None = None,
) -> list[Ranked]:
    """Rank the services of an incident.

    Parameters
    ----------
    peak : float64 array, shape (n_services, N_TERMS)
        Greatest evidence since the onset.
    first : float64 array, shape (n_services,)
        Unix ns of each service's first evidence, inf where there is none.
    callees : dict, service -> services it calls
    changed : dict, service -> plausibility 0..1 of a change of this service as the cause, beside those of the others
    within : iterable of int, optional
        The services to rank; all, where it is not given.
    runs_on : dict, service -> machines and zones on which alone it is in trouble, optional

    Returns
    -------
    list of Ranked, best first; ties go to the first service
    """
    w = weights
    loud = np.maximum(np.maximum(peak[:, NOVEL], peak[:, ERRORS]), peak[:, PLAIN])
    code = w.code * np.maximum(peak[:, LOST], loud) + w.code_second * np.minimum(peak[:, LOST], loud)
    silent = np.maximum(peak[:, HEARTBEAT], peak[:, DOWN])
    late = np.maximum(np.maximum(peak[:, RESOURCE], peak[:, OWN]), peak[:, EDGE])
    explains = np.maximum(np.maximum(code, silent), w.slow * late).tolist()
    out = []
    earliest = float(first.min(initial=np.inf))
    for s in range(len(peak)) if within is None else sorted(s for s in within if s < len(peak)):
        below = _below(s, explains, callees, w.through) if code[s] > 0.0 else 0.0
        lost = max((float(peak[c, DOWN]) for c in callees.get(s, ()) if c != s), default=0.0)
        alone = 1.0 - w.away_down * min(1.0, lost / CAP)
        parts = {
            "resource": w.resource * float(peak[s, RESOURCE]),
            "own": w.own * float(peak[s, OWN]) * alone,
            "net": w.network * float(peak[s, NET]) * alone,
            "code": (float(code[s]) - w.away * min(float(code[s]), below)) * alone,
            "heartbeat": w.heartbeat * float(peak[s, HEARTBEAT]),
            "down": w.down * float(peak[s, DOWN]),
            "log": w.log * float(max(peak[s, LOG], peak[s, CHATTER])),
            "metric": w.metric * float(peak[s, METRIC]),
        }
        if peak[s, PLACE] > 0.0:
            parts["place"] = w.place * float(peak[s, PLACE])
        on = max((float(peak[m, PLACE]) for m in (runs_on or {}).get(s, ()) if m < len(peak) and m != s), default=0.0)
        if on > 0.0:
            parts = {name: part * (1.0 - w.away_place * min(1.0, on / CAP)) for name, part in parts.items()}
        score = sum(parts.values())
        if score <= w.least:
            continue
        kind = _kind(parts, float(peak[s, RESOURCE]), w)
        plausible = changed.get(s, 0.0) * min(1.0, score / 4.0)
        if plausible > 0.0:
            parts["change"] = w.change * plausible
            score += parts["change"]
            if plausible >= 0.5:
                kind = "change"
        if np.isfinite(first[s]):
            parts["onset"] = w.early * _decay(float(first[s]) - earliest)
            score += parts["onset"]
        out.append(Ranked(s, score, kind, parts))
    return sorted(out, key=lambda r: (-round(r.score, 6), r.service))


def _kind(parts: dict[str, float], resource: float, w: Weights) -> str:
    name = max(parts, key=lambda part: parts[part])
    if name == "net" and (resource >= w.starved or parts["own"] / w.own >= parts["net"] / w.network / 2):
        return "resource"  # who lacks CPU answers late on every edge, and computes slowly
    kinds = {"resource": "resource", "own": "resource", "net": "network", "code": "code", "heartbeat": "resource"}
    kinds["place"] = "resource"
    return kinds.get(name, {"down": "dependency", "log": "code"}.get(name, "unknown"))


def _below(service: int, explains: list[float], callees: dict[int, set[int]], part: float) -> float:
    """What those below a service, at most ``HOPS`` calls, explain of its failures; never the service itself by a circle."""
    seen, level, most, share = {service}, {service}, 0.0, 1.0
    for _ in range(HOPS):
        level = {c for s in level for c in callees.get(s, ()) if c < len(explains)} - seen
        seen |= level
        most = max(most, share * max((explains[c] for c in level), default=0.0))
        share *= part
    return most


def _decay(ns: float) -> float:
    """1 at once, 1/e after a minute; by rational arithmetic, the same on every machine."""
    x = max(0.0, ns / (60.0 * SECOND))
    return 1.0 / (1.0 + x + x * x / 2.0)
