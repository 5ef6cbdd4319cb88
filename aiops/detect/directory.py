"""Services, environments and edges of one detect partition: names <-> dense codes, and the subject of suspicion of each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiops.detect.suspicion import Suspicion
from aiops.signals import ServiceKey

MAX_ENVIRONMENTS, MAX_SERVICES, MAX_EDGES = 500, 20_000, 100_000  # of a partition; what is beyond shares one name
OTHER = "<other>"


class Directory:
    """Grows with what is seen; codes depend on the order of first sight and never leave the stage."""

    def __init__(self) -> None:
        self.suspicion = Suspicion()
        self.services: list[ServiceKey] = []
        self.environments: list[tuple[str, str]] = []  # (tenant, environment)
        self.edges: list[tuple[str, int]] = []  # (name of the caller, code of the callee): judged where the callee is
        self.service_subject: list[int] = []
        self.edge_subject: list[int] = []
        self.service_environment: list[int] = []
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
            self.suspicion.grow(1)
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
            self.suspicion.grow(1)
        return code

    def suspect(self, now: int, services: NDArray[np.float64], edges: NDArray[np.float64]) -> None:
        """Strength of evidence of every service and edge at event time `now`; an edge is suspect with its callee."""
        strength = np.zeros(self.suspicion.size)
        strength[self.service_subject] = services
        if self.edges:
            callee = np.array([c for _, c in self.edges])
            strength[self.edge_subject] = np.maximum(edges, services[callee])
        self.suspicion.advance(now, strength)

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {
            "suspicion": self.suspicion.state(), "services": [list(s) for s in self.services],
            "environments": self.environments, "edges": self.edges, "service_subject": self.service_subject,
            "edge_subject": self.edge_subject,
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
        self.suspicion.restore(state["suspicion"])
