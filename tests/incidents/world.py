"""A small world of findings made by hand: a shop (web -> cart -> db, web -> pay) and, apart, mail (mta -> spam)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from aiops.findings import EDGE_TERMS, PLACED, TERMS, Findings, Note
from aiops.incidents.place import Output
from aiops.incidents.stage import Respond
from aiops.records import (
    Alert,
    Anomaly,
    Change,
    Command,
    Incident,
    Notice,
    Told,
    Window,
    anomaly_id,
    encode,
    rfc3339,
)
from aiops.signals import LATENESS, SECOND, WINDOW, due

T = 1_700_000_000 * SECOND // WINDOW * WINDOW
SERVICES = ["cart", "db", "mta", "pay", "spam", "web"]
EDGES = [("cart", "db"), ("mta", "spam"), ("web", "cart"), ("web", "pay")]
Terms = dict[str, dict[str, float]]  # service -> term -> evidence
DETECT = "findings/0"
TOTALS = {"logs": 10, "metrics": 10, "traces": 10}


class Placed(NamedTuple):
    """Instances of a service on a machine."""

    service: str
    machine: str
    instances: int = 1
    gone: int = 0
    deviating: int = 0
    zone: str = ""
    host: bool = False


def rows_of(services: list[str], placed: list[Placed]) -> tuple[list[tuple[str, str]], Any]:
    """What findings say of them: the machines, and a row each."""
    machines = sorted({(p.machine, p.zone) for p in placed})
    rows = [
        [services.index(p.service), machines.index((p.machine, p.zone)), p.host, p.instances, p.gone, p.deviating]
        for p in placed
    ]
    return machines, np.array(sorted(rows), np.int32).reshape(-1, PLACED)


def findings(
    time: int,
    terms: Terms,
    edges: dict[tuple[str, str], dict[str, float]] | None = None,
    anomalies: list[Anomaly] | None = None,
    environment: str = "prod",
    tenant: str = "default",
    services: list[str] | None = None,
    totals: dict[str, int] | None = None,
    visits: dict[str, float] | None = None,
    failed: dict[str, float] | None = None,
    calls: dict[tuple[str, str], float] | None = None,
    placed: list[Placed] | None = None,
) -> Findings:
    names = services or SERVICES
    table = np.array([[terms.get(s, {}).get(t, 0.0) for t in TERMS] for s in names])
    of_edges = np.array([[(edges or {}).get(e, {}).get(t, 0.0) for t in EDGE_TERMS] for e in EDGES])
    notes: dict[tuple[str, ...], Note] = {
        (s, t): Note(f"{t} of {s} is {value}", "trace") for s, of in terms.items() for t, value in of.items()
    }
    return Findings(
        tenant, environment, time, list(names), table,
        np.array([(visits or {}).get(s, 30.0) for s in names]), np.array([(failed or {}).get(s, 0.0) for s in names]),
        list(EDGES), of_edges,
        np.array([(calls or {}).get(e, 20.0) for e in EDGES]), notes, anomalies or [], TOTALS if totals is None else totals,
        *rows_of(names, placed or []),
    )  # fmt: skip


def anomaly(
    service: str, onset: int, score: float = 6.0, signal: str = "cpu", state: str = "open", version: int = 1
) -> Anomaly:
    fields: dict[str, Any] = {"state": state}
    return Anomaly(
        anomaly_id=anomaly_id("default", "prod", service, signal, "levels", onset), version=version, tenant="default",
        environment="prod", service=service, kind="metric", signal=signal, onset=rfc3339(onset),
        window=Window(start=rfc3339(onset), end=rfc3339(onset + WINDOW)), score=score, detector="levels",
        detector_version="1", statement=f"{signal} of {service} is high", **fields,
    )  # fmt: skip


def change(service: str, time: int, name: str = "deploy-1", environment: str = "prod") -> Change:
    return Change(
        change_id=name, time=rfc3339(time), kind="deploy", service=service, environment=environment, summary="v2"
    )


def alert(service: str | None, time: int, status: str = "firing", severity: str = "critical", **more: Any) -> Alert:
    """An alert that has fired since `time`, or that ended then."""
    fields: dict[str, Any] = {
        "name": "Slow",
        "source": "am",
        "summary": f"{service} is slow",
        "environment": "prod",
        **more,
    }
    ends = rfc3339(time) if status == "resolved" else None
    fields = {"starts_at": rfc3339(time), "ends_at": ends, **fields}
    return Alert(status=status, service=service, severity=severity, **fields)  # type: ignore[arg-type]


def command(name: Any, incident: str = "", author: str = "ann", **arguments: str) -> Command:
    arguments = {key.rstrip("_"): value for key, value in arguments.items()}
    return Command(
        command=name, incident_id=incident, author=author, time=rfc3339(T), arguments=arguments, environment="prod"
    )


class World:
    """One window after another; keeps every version that was published."""

    def __init__(self, respond: Respond | None = None) -> None:
        self.respond = respond or Respond([DETECT])
        self.now = T
        self.said: list[Incident] = []
        self.notices: list[Notice] = []
        self.anomalies: list[Anomaly] = []
        self._told = 0
        self.topology: list[Any] = []

    def window(self, terms: Terms | None = None, **more: Any) -> list[Incident]:
        """Ten seconds in which these terms are evident."""
        self.now += WINDOW
        self.respond.process(DETECT, [findings(self.now, terms or {}, **more)])
        return self._took(self.respond.advance(DETECT, due(self.now - WINDOW)))

    def tell(self, told: Told, arrival: int | None = None) -> list[Incident]:
        """Somebody says something, at the clock that is reached or at `arrival`."""
        signal = {Change: "changes", Alert: "alerts", Command: "commands"}[type(told)]
        at = self.now + LATENESS if arrival is None else arrival
        self.respond.tell(f"{signal}/0", self._told, signal, told, at)
        self._told += 1
        return self._took(self.respond.advance(DETECT, self.respond.clocks[DETECT]))

    def _took(self, out: Output) -> list[Incident]:
        self.said += out.incidents
        self.notices += out.notices
        self.topology += out.topology
        self.anomalies += out.anomalies
        return out.incidents

    def last_for(self, seconds: float, terms: Terms | None = None, **more: Any) -> list[Incident]:
        return [said for _ in range(round(seconds * SECOND / WINDOW)) for said in self.window(terms, **more)]

    @property
    def latest(self) -> dict[str, Incident]:
        """The last version of each incident."""
        return {i.incident_id: i for i in self.said}

    @property
    def only(self) -> Incident:
        (found,) = self.latest.values()
        return found

    def bytes(self) -> list[bytes]:
        return [encode(i) for i in self.said]
