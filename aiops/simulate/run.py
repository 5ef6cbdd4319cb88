"""One run of a simulation: settings in, lines in order of arrival out; equal settings give equal bytes.

The loop goes in steps of ``STEP`` seconds: what is due happens, requests arrive and are worked on, pods are carried
forward, scrapes are taken, agents flush.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import orjson

from aiops.simulate.agenda import Agenda
from aiops.simulate.alerting import Alerting
from aiops.simulate.changes import SWAP_EVERY_S, ChangePlan
from aiops.simulate.cluster import Cluster
from aiops.simulate.delivery import Delivery
from aiops.simulate.draws import VALUE_KINDS, Streams, hex_ids, normals, uniforms, values
from aiops.simulate.faults import Fault
from aiops.simulate.injection import Injection
from aiops.simulate.journal import Journal
from aiops.simulate.load import Arrivals, Crowd
from aiops.simulate.mesh import Mesh
from aiops.simulate.operations import Sources
from aiops.simulate.otlp import resource
from aiops.simulate.pods import STEP, Pod, pause, update
from aiops.simulate.requests import Requests
from aiops.simulate.scrape import SCRAPE_EVERY_S, PodScrape, node_metrics
from aiops.simulate.world import World

STEAL_EVERY_S = 3 * 3600.0
"""Mean seconds between two times when other tenants of a host take some of its processors, for up to a minute."""

DRAIN_S = 30.0
"""Seconds after the end for which what is under way is still delivered."""


class Run:
    """A mesh under way.

    Parameters
    ----------
    mesh, seed, rate, weekly, environment
        See ``Simulation``.
    seconds
        For how long requests arrive.
    start_unix
        Unix seconds of time 0.
    faults, changes
        What happens to it, disturbances too.
    wrong_clock_ns
        Offset of one host's clock, 0 for none.
    alerts
        Whether an Alertmanager sends alerts.
    zones
        Whether hosts say in which zone they are.
    """

    def __init__(
        self,
        mesh: Mesh,
        seed: int,
        seconds: float,
        rate: float,
        start_unix: int,
        environment: str,
        faults: Sequence[Fault],
        changes: Sequence[ChangePlan],
        wrong_clock_ns: int,
        weekly: bool,
        alerts: bool = False,
        zones: bool = False,
    ) -> None:
        streams = Streams(seed)
        self._seconds = seconds
        self._start_ns = start_unix * 10**9
        self.cluster = Cluster(
            mesh, seed, streams.generator("cluster"), rate, self._start_ns, environment, wrong_clock_ns, zones
        )
        self._arrivals = Arrivals(rate, start_unix, streams.generator("arrivals"), weekly)
        self._journeys = uniforms(streams.generator("journeys"))
        pools = {kind: values(streams.generator(f"values {kind}"), kind) for kind in sorted(VALUE_KINDS)}
        requests = streams.generator("requests")
        trace_ids, span_ids = streams.generator("trace ids"), streams.generator("span ids")
        self.requests = Requests(
            mesh,
            self.cluster.endpoints,
            Sources(
                uniforms(requests),
                normals(streams.generator("durations")),
                hex_ids(span_ids, 8),
                hex_ids(trace_ids, 16),
                pools,
            ),
        )
        self._agenda = Agenda()
        quiet_pools = {kind: values(streams.generator(f"journal {kind}"), kind) for kind in sorted(VALUE_KINDS)}
        chance = uniforms(streams.generator("journal"))
        self._journal = Journal(mesh.services, quiet_pools, chance, mesh.hourly_job, start_unix)
        self._delivery = Delivery(self.cluster.nodes, streams.generator("delivery"))
        self._crowd = Crowd(rate, start_unix, streams.generator("crowd"))
        world = World(
            mesh,
            self.cluster,
            self.requests,
            self._agenda,
            self._journal,
            self._delivery,
            self._crowd,
            streams.generator("more faults"),
        )
        self._injection = Injection(world, streams.generator("injection"))
        self._noise = {
            (service.name, replica): (
                normals(streams.generator(f"noise {service.name} {replica}")),
                uniforms(streams.generator(f"chance {service.name} {replica}")),
                normals(streams.generator(f"scrape {service.name} {replica}")),
            )
            for service in mesh.services
            for replica in range(service.replicas)
        }
        self._host_noise = normals(streams.generator("hosts"))
        self._host_chance = uniforms(streams.generator("host chance"))
        self._scrapes: dict[str, PodScrape] = {}
        self._alerting = (
            Alerting(self.cluster, self._start_ns, environment, uniforms(streams.generator("alerts")))
            if alerts
            else None
        )
        self._environment = environment
        self._injection.enter(list(faults))
        for change in changes:
            self._roll_out(change)
            line = orjson.dumps(change.row(seed, self._start_ns, environment))
            self._delivery.put(max(0.0, change.at) + 0.5, "changes", line)

    def steps(self) -> Iterator[tuple[float, list[tuple[float, str, bytes]]]]:
        """Run; yields for each step its end and the lines that arrived in it, as (arrival in s, signal, line)."""
        last = int((self._seconds + DRAIN_S) / STEP)
        for number in range(last):
            begin = number * STEP
            end = begin + STEP
            self._agenda.run(begin)
            pods = self.cluster.pods()
            if begin < self._seconds:
                self._injection.step(begin)
                self._journal.step(pods, begin)
                for t in self._arrivals.step(begin, STEP):
                    self.requests.run(t, next(self._journeys))
                for t, choice in self._crowd.step(begin, STEP):
                    self.requests.run(t, choice)
                self._carry(end)
                self._scrape(pods, begin, end)
                if self._alerting is not None:
                    for t, line in self._alerting.step(end):
                        self._delivery.put(t, "alerts", line)
            yield end, list(self._delivery.flush(pods, end))

    def _carry(self, end: float) -> None:
        for name, pods in self.cluster.replicas.items():
            for replica, pod in enumerate(pods):
                noise, chance, _ = self._noise[name, replica]
                for start, length in update(pod, end, noise, chance):
                    pause(pod, start, length)
                    self._journal.collection(pod, start, length)
                if pod.alive and pod.memory >= 0.99:
                    self._injection.exhaust(pod, end)
        for node in self.cluster.nodes:
            node.noise = 0.9 * node.noise + 0.01 * next(self._host_noise)
            # Drawn whether or not it is used, so that one host's luck does not depend on another's.
            luck, strength, length = (next(self._host_chance) for _ in range(3))
            if luck < STEP / STEAL_EVERY_S:
                node.stolen, node.stolen_until = 0.05 + 0.15 * strength, end + 15.0 + 45.0 * length
            elif end >= node.stolen_until:
                node.stolen = 0.0
            used = sum(pod.utilisation * pod.cores for pod in self.cluster.pods() if pod.node is node)
            own = used / self.cluster.node_cores[node.name]
            node.utilisation = min(1.0, 0.05 + abs(node.noise) + node.stolen + own + node.neighbour)

    def _scrape(self, pods: list[Pod], begin: float, end: float) -> None:
        for name, replicas in self.cluster.replicas.items():
            for replica, pod in enumerate(replicas):
                t = _due(pod.scrape_phase, begin)
                if t < end and pod.alive and pod.scraped and t >= pod.born:
                    scrape = self._scrapes.setdefault(pod.name, PodScrape())
                    items = scrape.metrics(pod, t, self._noise[name, replica][2])
                    self._delivery.metrics(pod.node, t, pod.resource, items)
        for node in self.cluster.nodes:
            t = _due(node.phase, begin)
            if t < end and node.alive:
                mine = [pod for pod in pods if pod.node is node]
                total = sum(pod.service.memory_mb for pod in mine) or 1
                memory = 0.2 + 0.5 * sum(pod.memory * pod.service.memory_mb for pod in mine if pod.alive) / total
                of = {
                    "host.name": node.name,
                    "k8s.node.name": node.name,
                    "deployment.environment.name": self._environment,
                }
                about = resource(of | {"cloud.availability_zone": node.zone} if node.zone else of)
                self._delivery.metrics(node, t, about, node_metrics(node, self._start_ns, t, memory))

    def _roll_out(self, change: ChangePlan) -> None:
        if change.swap_at is None:
            return
        for turn, replica in enumerate(change.replicas):

            def swap(now: float, replica: int = replica) -> None:
                old, new = self.cluster.swap(change.service, replica, change.version_to, now)
                self._journal.stopped(old, now)
                self._journal.started(new, now)
                self._delivery.retire(old, now)
                if change.fault is not None:
                    self._injection.spoil(new, change.fault)

            self._agenda.at(change.swap_at + turn * SWAP_EVERY_S, swap)


def _due(phase: float, begin: float) -> float:
    """The first scrape at or after ``begin`` of a target scraped at ``phase`` + multiples of the interval."""
    return begin + (phase - begin) % SCRAPE_EVERY_S
