"""What a step of the engine said, or what some messages of its topics hold: what is written to the store together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from aiops.engine import Step
from aiops.findings import EDGE_TERMS, TERMS, Findings
from aiops.noise_report import NoiseReport
from aiops.records import Anomaly, Change, Incident, Notice
from aiops.topology import Topology
from streams.tasks.respond import transition


class Quantities(msgspec.Struct, frozen=True):
    """What a window says of one service or one edge: how much came, and the terms that are not 0, 2 decimals."""

    count: float  # visits of the last minute, or calls of the window
    terms: dict[str, float]
    failed: float = 0.0


class Window(msgspec.Struct, frozen=True):
    """What detect found in a window of an environment, in short; an edge is ``caller > callee``."""

    services: dict[str, Quantities]
    edges: dict[str, Quantities]


@dataclass(slots=True)
class Batch:
    """Records, in any order.

    Attributes
    ----------
    incidents : list of (Incident, kind of transition)
    findings : list of (who says it, Findings)
        The same window may come in parts from several.
    positions : dict, (topic, partition) -> offset of the next message
    """

    incidents: list[tuple[Incident, str]] = field(default_factory=list)
    anomalies: list[Anomaly] = field(default_factory=list)
    topology: list[Topology] = field(default_factory=list)
    noise: list[NoiseReport] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    findings: list[tuple[str, Findings]] = field(default_factory=list)
    positions: dict[tuple[str, int], int] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Is there nothing to write?"""
        return not any((
            self.incidents, self.anomalies, self.topology, self.noise, self.notices, self.changes, self.findings,
            self.positions,
        ))  # fmt: skip


def of_step(step: Step, changes: Iterable[Change] = ()) -> Batch:
    """What a step of the embedded engine said."""
    return Batch(
        incidents=[(incident, transition(incident)) for incident in step.incidents],
        anomalies=list(step.anomalies),
        topology=list(step.topology),
        noise=list(step.noise),
        notices=list(step.notices),
        changes=list(changes),
        findings=[("", found) for found in step.findings],
    )


def window_of(found: Findings) -> Window:
    """A window in short; a term that cannot be judged is left out like one that is 0."""
    services = {
        name: Quantities(round(float(visits), 2), _terms(TERMS, row), round(float(failed), 2))
        for name, visits, failed, row in zip(found.services, found.visits, found.failed, found.terms, strict=True)
    }
    edges = {
        f"{caller} > {callee}": Quantities(round(float(calls), 2), _terms(EDGE_TERMS, row))
        for (caller, callee), calls, row in zip(found.edges, found.calls, found.edge_terms, strict=True)
    }
    return Window(services, edges)


def _terms(names: tuple[str, ...], row: Iterable[float]) -> dict[str, float]:
    values = ((name, round(float(value), 2)) for name, value in zip(names, row, strict=True))
    return {name: value for name, value in values if value > 0}  # NaN is not greater either
