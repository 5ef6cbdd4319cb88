"""Services, environments and edges of one detect partition: names <-> dense codes, and the subject of suspicion of each."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiops.detect.retention import HOUR, LASTING, PLACES, Kept, Mask, Rule, nearly_full
from aiops.detect.suspicion import Suspicion
from aiops.signals import ServiceKey

MAX_ENVIRONMENTS, MAX_SERVICES, MAX_EDGES = 500, 20_000, 100_000  # of a partition; what is beyond shares one name
OTHER = "<other>"


class Directory:
    """Grows with what is seen; codes depend on the order of first sight, hold until ``keep``, and never leave the stage.

    Attributes
    ----------
    now : int
        Start of the window in hand, Unix ns: when what is asked for now has been seen.
    hour : int
        Hour of event time in which the retentions were last applied.
    evicted : Counter
        Rows of each table of detect that were evicted, since the process began.
    """

    def __init__(self) -> None:
        self.now = self.hour = -1
        self.evicted: Counter[str] = Counter()
        self.suspicion = Suspicion()
        self.services: list[ServiceKey] = []
        self.environments: list[tuple[str, str]] = []  # (tenant, environment)
        self.edges: list[tuple[str, int]] = []  # (name of the caller, code of the callee): judged where the callee is
        self.service_subject: list[int] = []
        self.edge_subject: list[int] = []
        self.service_environment: list[int] = []
        self.service_seen: list[int] = []  # start of the last window that spoke of it, Unix ns
        self.edge_seen: list[int] = []
        self.environment_seen: list[int] = []
        self._service: dict[ServiceKey, int] = {}
        self._environment: dict[tuple[str, str], int] = {}
        self._edge: dict[tuple[str, int], int] = {}

    def environment(self, tenant: str, environment: str) -> int:
        """Code of an environment."""
        if (tenant, environment) not in self._environment and len(self.environments) >= MAX_ENVIRONMENTS:
            environment = OTHER
        key = (tenant, environment)
        code = self._environment.setdefault(key, len(self.environments))
        if code == len(self.environments):
            self.environments.append(key)
            self.environment_seen.append(self.now)
        self.environment_seen[code] = self.now
        return code

    def service(self, key: ServiceKey) -> int:
        """Code of a service."""
        if key not in self._service and len(self.services) >= MAX_SERVICES:
            key = ServiceKey(key.tenant, key.environment, OTHER)
        code = self._service.setdefault(key, len(self.services))
        if code == len(self.services):
            self.services.append(key)
            self.service_environment.append(self.environment(key.tenant, key.environment))
            self.service_subject.append(self.suspicion.size)
            self.service_seen.append(self.now)
            self.suspicion.grow(1)
        self.service_seen[code] = self.now
        return code

    def edge(self, caller: str, callee: int) -> int:
        """Code of an edge."""
        if (caller, callee) not in self._edge and len(self.edges) >= MAX_EDGES:
            caller = OTHER
        key = (caller, callee)
        code = self._edge.setdefault(key, len(self.edges))
        if code == len(self.edges):
            self.edges.append(key)
            self.edge_subject.append(self.suspicion.size)
            self.edge_seen.append(self.now)
            self.suspicion.grow(1)
        self.edge_seen[code] = self.now
        return code

    # ---- eviction -------------------------------------------------------------------------------------------------------
    def begin(self, window: int) -> Rule:
        """Window `window` (Unix ns) is in hand: by what rule rows go as it begins."""
        self.now, last, self.hour = window, self.hour, window // HOUR
        # Not the first window of an hour but the first that is processed in it: silent ones may be skipped.
        return Rule(window, hourly=last != self.hour)

    @property
    def nearly_full(self) -> bool:
        """May rows go before the hour?"""
        return (
            nearly_full(len(self.services), MAX_SERVICES)
            or nearly_full(len(self.edges), MAX_EDGES)
            or nearly_full(len(self.environments), MAX_ENVIRONMENTS)
        )

    def saw_services(self, services: NDArray[np.int64], seen: NDArray[np.int64]) -> None:
        """Rows of these services were seen in the windows that start at `seen`, Unix ns."""
        last = np.array(self.service_seen, np.int64)
        np.maximum.at(last, services, seen)
        self.service_seen = last.tolist()

    def stays(self, rule: Rule) -> tuple[Mask, Mask, Mask]:
        """Which services, edges and environments stay: bool arrays."""
        of, last = np.array(self.service_environment, np.int64), np.array(self.service_seen, np.int64)
        heard = np.array(self.environment_seen, np.int64)
        np.maximum.at(heard, of, last)
        environments = rule.stays(heard, PLACES, MAX_ENVIRONMENTS, lambda rows: [self.environments[k] for k in rows])
        services = environments[of]
        services &= rule.stays(last, LASTING, MAX_SERVICES, lambda rows: [self.services[k] for k in rows])
        edges = services[np.array([callee for _, callee in self.edges], np.int64)]
        edges &= rule.stays(
            self.edge_seen,
            LASTING,
            MAX_EDGES,
            lambda rows: [(self.services[self.edges[k][1]], self.edges[k][0]) for k in rows],
        )
        return services, edges, environments

    def subjects(self, services: Kept, edges: Kept) -> Kept:
        """The subjects of suspicion that stay with these services and edges."""
        stays = np.zeros(self.suspicion.size, bool)
        stays[np.array(services.of(self.service_subject), np.int64)] = True
        stays[np.array(edges.of(self.edge_subject), np.int64)] = True
        return Kept(stays)

    def keep(self, services: Kept, edges: Kept, environments: Kept, subjects: Kept) -> None:
        """Only these stay; the tables that refer to them have been renumbered before."""
        self.suspicion.keep(subjects)
        self.service_subject = subjects.renumbered(services.of(self.service_subject)).tolist()
        self.edge_subject = subjects.renumbered(edges.of(self.edge_subject)).tolist()
        self.service_environment = environments.renumbered(services.of(self.service_environment)).tolist()
        self.services, self.service_seen = services.of(self.services), services.of(self.service_seen)
        self.edges = [(caller, int(services.code[callee])) for caller, callee in edges.of(self.edges)]
        self.edge_seen = edges.of(self.edge_seen)
        self.environments, self.environment_seen = (
            environments.of(self.environments),
            environments.of(self.environment_seen),
        )
        self._service = {key: code for code, key in enumerate(self.services)}
        self._edge = {key: code for code, key in enumerate(self.edges)}
        self._environment = {key: code for code, key in enumerate(self.environments)}

    # ---- evidence -------------------------------------------------------------------------------------------------------
    def suspect(self, now: int, services: NDArray[np.float64], edges: NDArray[np.float64]) -> None:
        """Strength of evidence of every service and edge at event time `now`; an edge is suspect with its callee."""
        strength = np.zeros(self.suspicion.size)
        strength[self.service_subject] = services
        if self.edges:
            callee = np.array([c for _, c in self.edges])
            strength[self.edge_subject] = np.maximum(edges, services[callee])
        self.suspicion.advance(now, strength)

    # ---- state ----------------------------------------------------------------------------------------------------------
    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {
            "suspicion": self.suspicion.state(), "services": [list(s) for s in self.services],
            "environments": self.environments, "edges": self.edges, "service_subject": self.service_subject,
            "edge_subject": self.edge_subject, "now": self.now, "hour": self.hour, "service_seen": self.service_seen,
            "edge_seen": self.edge_seen, "environment_seen": self.environment_seen,
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        suspicion = self.suspicion  # the detectors hold it
        self.__init__()  # type: ignore[misc]
        self.suspicion = suspicion
        suspicion.__init__()  # type: ignore[misc]
        for tenant, environment in state["environments"]:
            self.environment(tenant, environment)
        for key in state["services"]:
            self.service(ServiceKey(*key))
        for caller, callee in state["edges"]:
            self.edge(caller, callee)
        self.service_subject, self.edge_subject = state["service_subject"], state["edge_subject"]
        self.now, self.hour = state["now"], state["hour"]
        self.service_seen, self.edge_seen = state["service_seen"], state["edge_seen"]
        self.environment_seen = state["environment_seen"]
        self.suspicion.restore(state["suspicion"])
