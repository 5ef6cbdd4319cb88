"""Faults of hosts and of the collection of telemetry: a host that is slow, gone or late; spans and logs that are missing."""

from __future__ import annotations

from aiops.simulate.faults import Fault
from aiops.simulate.pods import Node
from aiops.simulate.world import Begin, End, World

ENDPOINT_REMOVAL_S = 10.0
"""Seconds for which requests are still sent to a pod that died: what a readiness probe takes to notice."""


def _node(world: World, fault: Fault) -> Node:
    return next(node for node in world.cluster.nodes if node.name == fault.host)


def noisy_neighbour(world: World, fault: Fault, _: float) -> End:
    """Another tenant takes the processors of a host; the pods' own metrics do not know."""
    node = _node(world, fault)
    node.neighbour = fault.strength

    def end(_: float) -> None:
        node.neighbour = 0.0

    return end


def host_down(world: World, fault: Fault, now: float) -> End:
    """A host is gone with everything on it; when it is back, new pods start there."""
    node = _node(world, fault)
    pods = [pod for pod in world.cluster.pods() if pod.node is node]
    node.alive = False
    services = list(dict.fromkeys(pod.service.name for pod in pods))
    for pod in pods:
        pod.alive = False

    def removed(_: float) -> None:
        for name in services:
            world.cluster.route(name)

    world.agenda.at(now + ENDPOINT_REMOVAL_S, removed)

    def end(at: float) -> None:
        node.alive = True
        for name in services:
            for replica, pod in enumerate(world.pods(name)):
                if pod.node is node:
                    _, new = world.cluster.swap(name, replica, pod.version, at)
                    world.journal.started(new, at)

    return end


def clock_skew(world: World, fault: Fault, _: float) -> End:
    """The clock of a host jumps by seconds, and later back: everything written there has wrong times."""
    node = _node(world, fault)

    def move(offset_ns: int) -> None:
        node.clock_offset_ns += offset_ns
        for pod in world.cluster.pods():
            if pod.node is node:
                pod.epoch_ns += offset_ns

    offset = int(fault.strength * 1e9)
    move(offset)
    return lambda _: move(-offset)


def missing(world: World, fault: Fault, _: float) -> End:
    """The exporter of one signal of a service is broken: the service works, and nobody sees it."""
    signal = fault.kind.removeprefix("missing_")
    world.delivery.mute(signal, fault.service, True)
    return lambda _: world.delivery.mute(signal, fault.service, False)


def sampling(world: World, fault: Fault, _: float) -> End:
    """The agents keep only a share of the traces, and later all again."""
    world.delivery.sample(fault.strength)
    return lambda _: world.delivery.sample(1.0)


KINDS: dict[str, Begin] = {
    "noisy_neighbour": noisy_neighbour,
    "host_down": host_down,
    "clock_skew": clock_skew,
    "missing_traces": missing,
    "missing_logs": missing,
    "sampling": sampling,
}
