"""Where pods run and which of them requests go to: a mesh and a seed in, pods with names, clocks and capacity out.

Every replica is sized for the mean load (``TARGET_UTILISATION`` of its processor limit), as an autoscaler would do it.
Names are made of content, so that the truth can name a pod that is born in the middle of a run.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np

from aiops.simulate.changes import first_version
from aiops.simulate.hindrances import Pool
from aiops.simulate.mesh import Mesh, Service, demand
from aiops.simulate.operations import Endpoints
from aiops.simulate.otlp import resource
from aiops.simulate.pods import STEP, TARGET_UTILISATION, WARM_UP_S, Node, Pod

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_NODE_MEMORY_MB = 16384
ZONES = ("zone-a", "zone-b")


def pod_name(seed: int, service: str, version: str, replica: int, life: int) -> str:
    """Name of a replica in its ``life``-th life, as a Kubernetes Deployment would name it."""
    mark = crc32(f"{seed} {service} {version} {replica} {life}".encode())
    suffix = "".join(_LETTERS[mark // 27**place % 27] for place in range(5))
    return f"{service}-{crc32(f'{service} {version}'.encode()):08x}-{suffix}"


class Cluster:
    """All pods.

    Parameters
    ----------
    mesh
        What runs.
    seed
        Part of the names.
    rng
        Decides on placement and phases.
    rate
        Mean requests per second, for sizing.
    start_ns
        Unix ns of second 0.
    environment
        Value of ``deployment.environment.name``.
    wrong_clock_ns
        Offset of one host's clock; 0: all clocks are right.
    zones
        Whether every other host is in another zone, and says so.
    """

    def __init__(
        self,
        mesh: Mesh,
        seed: int,
        rng: np.random.Generator,
        rate: float,
        start_ns: int,
        environment: str,
        wrong_clock_ns: int,
        zones: bool = False,
    ) -> None:
        self._seed = seed
        self._rng = rng
        self._start_ns = start_ns
        self._environment = environment
        asked = demand(mesh).cpu_ms
        self._cores = {
            service.name: max(1e-3, rate * asked[service.name] / 1000.0 / service.replicas / TARGET_UTILISATION)
            for service in mesh.services
        }
        wrong = int(rng.integers(mesh.nodes))
        self.nodes = [
            Node(f"node-{at + 1}", float(rng.uniform(0.0, STEP)), wrong_clock_ns if at == wrong else 0)
            for at in range(mesh.nodes)
        ]
        for at, node in enumerate(self.nodes if zones else []):
            node.zone = ZONES[at % len(ZONES)]
        self.node_cores: dict[str, float] = {}
        self._rich = mesh.rich
        self._pools = {
            service.name: [
                callee
                for caller, callee in mesh.edges()
                if caller == service.name and mesh.by_name[callee].runtime == "database"
            ]
            for service in mesh.services
        }
        self.outside = Node("outside", 0.0)
        self.endpoints = {service.name: Endpoints(service) for service in mesh.services}
        self.replicas: dict[str, list[Pod]] = {}
        self._lives: dict[tuple[str, int], int] = {}
        # A service whose every replica stood on the host with the wrong clock could hardly be watched by anyone, so
        # services with one replica are kept off it, and so is the first replica of every other service, which is the one
        # that faults take away: to lose a pod that nobody could see is no fault that telemetry can tell.
        right = [node for at, node in enumerate(self.nodes) if at != wrong]
        turn = int(rng.integers(mesh.nodes))
        for service in mesh.services:
            if service.runtime == "external":
                self._place(service, [self.outside], 0)
                continue
            places = self.nodes if service.replicas > 1 else right
            if places[turn % len(places)] is self.nodes[wrong]:
                turn += 1
            self._place(service, places, turn)
            turn += service.replicas
        for node in self.nodes:
            used = sum(pod.cores for pod in self.pods() if pod.node is node)
            self.node_cores[node.name] = max(1e-3, 1.6 * used)

    def pods(self) -> list[Pod]:
        """Every pod, in order of services and replicas."""
        return [pod for pods in self.replicas.values() for pod in pods]

    def swap(self, service: str, replica: int, version: str, now: float) -> tuple[Pod, Pod]:
        """Replace a replica by a new pod on the same host; returns the old and the new one."""
        old = self.replicas[service][replica]
        new = self._birth(old.service, replica, old.node, version, now)
        new.load = old.load
        new.warm_at = now + WARM_UP_S
        self.replicas[service][replica] = new
        old.alive = False
        self.route(service)
        return old, new

    def route(self, service: str) -> None:
        """Send requests to the pods that are alive, and to no others."""
        self.endpoints[service].ready = [pod for pod in self.replicas[service] if pod.alive]

    def _place(self, service: Service, places: list[Node], turn: int) -> None:
        pods = []
        for replica in range(service.replicas):
            node = places[(turn + replica) % len(places)]
            pods.append(self._birth(service, replica, node, first_version(service.name), -3600.0))
        self.replicas[service.name] = pods
        self.endpoints[service.name].ready = list(pods)

    def _birth(self, service: Service, replica: int, node: Node, version: str, now: float) -> Pod:
        life = self._lives.get((service.name, replica), 0)
        self._lives[service.name, replica] = life + 1
        name = pod_name(self._seed, service.name, version, replica, life)
        about: dict[str, str | int] = {
            "service.name": service.name,
            "service.instance.id": name,
            "service.version": version,
            "k8s.pod.name": name,
            "k8s.node.name": node.name,
            "deployment.environment.name": self._environment,
        }
        if node.zone:
            about["cloud.availability_zone"] = node.zone
        pod = Pod(
            service,
            name,
            node,
            version,
            self._cores[service.name],
            now,
            float(self._rng.uniform(0.0, 15.0)),
            epoch_ns=self._start_ns + node.clock_offset_ns,
            resource=resource(about),
        )
        pod.queues = self._rich and service.runtime != "external"
        pod.scraped = service.runtime != "external"
        pod.pools = {database: Pool() for database in self._pools[service.name]} if self._rich else {}
        return pod
