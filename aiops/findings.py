"""What crosses from detect to respond: for each environment and window the evidence rows, and what changed in anomalies.

Evidence rows are sent for every service and edge, anomalous or not, because a cause is found by comparing neighbours, quiet
ones too.  Scores are -log10 of calibrated tail probabilities, capped at 8.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aiops.records import Anomaly

# Terms of a service.  lost = loss judged over the longer length and weighed by the share that is lost.
RESOURCE, OWN, LOSS, LOST, NOVEL, ERRORS, METRIC, HEARTBEAT, TRAFFIC, LOG = range(10)
TERMS = ("resource", "own", "loss", "lost", "novel", "errors", "metric", "heartbeat", "traffic", "log")
# Terms of an edge, about the callee as the caller sees it.
GAP, UNREACHABLE = range(2)
EDGE_TERMS = ("gap", "unreachable")


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
    visits : float64 array, shape (len(services),), visits of the last 60 s
    edges : list of (caller, callee);  edge_terms : float64 array, shape (len(edges), len(EDGE_TERMS))
        GAP is NaN where too few calls were seen to judge it.
    calls : float64 array, shape (len(edges),), calls of this window
    notes : dict, (service, term name) or (caller, callee, term name) -> Note
    anomalies : list of Anomaly, in canonical order
    totals : dict, signal -> items of the window
    """

    tenant: str
    environment: str
    time: int
    services: list[str]
    terms: NDArray[np.float64]
    visits: NDArray[np.float64]
    edges: list[tuple[str, str]]
    edge_terms: NDArray[np.float64]
    calls: NDArray[np.float64]
    notes: dict[tuple[str, ...], Note] = field(default_factory=dict)
    anomalies: list[Anomaly] = field(default_factory=list)
    totals: dict[str, int] = field(default_factory=dict)
