"""What crosses from detect to respond: for each environment and window the evidence rows, and what changed in anomalies.

Evidence rows are sent for every service and edge, anomalous or not, because a cause is found by comparing neighbours, quiet
ones too.  Scores are -log10 of calibrated tail probabilities, capped at 8.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aiops.records import Anomaly

# Terms of a service.  lost = loss judged over the longer length and weighed by the share that is lost.  plain, chatter = what
# novel and log are of errors and warnings, of events and lines that are none: they explain, and are no symptom themselves.
RESOURCE, OWN, LOSS, LOST, NOVEL, ERRORS, METRIC, HEARTBEAT, TRAFFIC, LOG, PLAIN, CHATTER = range(12)
TERMS = (
    "resource", "own", "loss", "lost", "novel", "errors", "metric", "heartbeat", "traffic", "log", "plain", "chatter",
)  # fmt: skip
# Terms of an edge, about the callee as the caller sees it.
GAP, UNREACHABLE = range(2)
EDGE_TERMS = ("gap", "unreachable")
# Columns of ``Findings.placed``: rows of `services` and `machines`, whether the "service" is the machine itself, and instances:
# all, those that are gone, those that deviate.
SERVICE, MACHINE, IS_HOST, INSTANCES, GONE, DEVIATING = range(6)
PLACED = 6


class Note(NamedTuple):
    """What a term of a service or an edge says, in words a person reads."""

    statement: str
    type: str  # evidence type of the public record: metric, log, trace, edge


@dataclass(slots=True)
class Findings:
    """One environment, one window.

    Attributes
    ----------
    time : int
        End of the window, Unix ns.
    services : list of str;  terms : float64 array, shape (len(services), len(TERMS))
    visits, failed : float64 arrays, shape (len(services),), visits of the last 60 s, and those of them that failed
    edges : list of (caller, callee);  edge_terms : float64 array, shape (len(edges), len(EDGE_TERMS))
        GAP is NaN where too few calls were seen to judge it.
    calls : float64 array, shape (len(edges),), calls of this window
    notes : dict, (service, term name) or (caller, callee, term name) -> Note
    anomalies : list of Anomaly, in canonical order
    totals : dict, signal -> items of the window
    machines : list of (machine, zone), either may be empty;  placed : int32 array, shape (n, PLACED)
        Instances by service and machine, in order of both.
    """

    tenant: str
    environment: str
    time: int
    services: list[str]
    terms: NDArray[np.float64]
    visits: NDArray[np.float64]
    failed: NDArray[np.float64]
    edges: list[tuple[str, str]]
    edge_terms: NDArray[np.float64]
    calls: NDArray[np.float64]
    notes: dict[tuple[str, ...], Note] = field(default_factory=dict)
    anomalies: list[Anomaly] = field(default_factory=list)
    totals: dict[str, int] = field(default_factory=dict)
    machines: list[tuple[str, str]] = field(default_factory=list)
    placed: NDArray[np.int32] = field(default_factory=lambda: np.empty((0, PLACED), np.int32))


def portions(found: Findings, most: int) -> list[Findings]:
    """The same as several, of `most` anomalies at most; all else is in the first.  ``merged`` puts them together."""
    anomalies = found.anomalies
    if len(anomalies) <= most:
        return [found]
    none, rows = np.empty(0), np.empty((0, len(TERMS)))
    rest = [
        Findings(
            found.tenant, found.environment, found.time, [], rows, none, none, [], np.empty((0, len(EDGE_TERMS))), none,
            anomalies=anomalies[at : at + most],
        )
        for at in range(most, len(anomalies), most)
    ]  # fmt: skip
    return [replace(found, anomalies=anomalies[:most]), *rest]


def merged(parts: list[Findings]) -> Findings:
    """What several detect partitions found in one window of one environment, as one; in whatever order they came.

    A service whose metrics are split over partitions has the stronger evidence of both; an edge is judged where the
    callee is, and calls that reach nobody where the caller is.
    """
    if len(parts) == 1:
        return parts[0]
    services = sorted({name for part in parts for name in part.services})
    edges = sorted({edge for part in parts for edge in part.edges})
    of_service, of_edge = {s: i for i, s in enumerate(services)}, {e: i for i, e in enumerate(edges)}
    terms, visits, failed = np.zeros((len(services), len(TERMS))), np.zeros(len(services)), np.zeros(len(services))
    edge_terms, calls = np.full((len(edges), len(EDGE_TERMS)), np.nan), np.zeros(len(edges))
    notes: dict[tuple[str, ...], Note] = {}
    totals: dict[str, int] = {}
    for part in parts:
        rows, pairs = [of_service[s] for s in part.services], [of_edge[e] for e in part.edges]
        terms[rows] = np.maximum(terms[rows], part.terms)
        visits[rows] += part.visits
        failed[rows] += part.failed
        edge_terms[pairs] = np.fmax(edge_terms[pairs], part.edge_terms)
        calls[pairs] += part.calls
        for key, note in part.notes.items():
            notes[key] = min(note, notes.get(key, note))
        for signal, n in part.totals.items():  # every partition is told the totals of all
            totals[signal] = max(n, totals.get(signal, n))
    anomalies = sorted(
        (a for part in parts for a in part.anomalies),
        key=lambda a: (a.service, a.detector, a.signal, a.instance or "", a.peer or "", a.version),
    )
    first = parts[0]
    return Findings(
        first.tenant, first.environment, first.time, services, terms, visits, failed, edges, edge_terms, calls,
        dict(sorted(notes.items())), anomalies, dict(sorted(totals.items())), *_placed(parts, of_service),
    )  # fmt: skip


def _placed(parts: list[Findings], of_service: dict[str, int]) -> tuple[list[tuple[str, str]], NDArray[np.int32]]:
    """Machines of all parts, and where services run; a service's instances are known to one part alone."""
    machines = sorted({machine for part in parts for machine in part.machines})
    of_machine = {machine: row for row, machine in enumerate(machines)}
    rows = []
    for part in parts:
        if len(part.placed):
            some = part.placed.copy()
            some[:, SERVICE] = np.array([of_service[name] for name in part.services], np.int32)[some[:, SERVICE]]
            some[:, MACHINE] = np.array([of_machine[m] for m in part.machines], np.int32)[some[:, MACHINE]]
            rows.append(some)
    placed = np.concatenate(rows) if rows else np.empty((0, PLACED), np.int32)
    return machines, placed[np.lexsort((placed[:, IS_HOST], placed[:, MACHINE], placed[:, SERVICE]))]
