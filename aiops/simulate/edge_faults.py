"""Faults on the way between services: networks, names, certificates, other people's services; calls in, hindered calls out.

Nothing here touches the process of the callee: it does less because less reaches it.
"""

from __future__ import annotations

from aiops.simulate.faults import Fault
from aiops.simulate.hindrances import Hindrance
from aiops.simulate.kinds import writes
from aiops.simulate.mesh import Work
from aiops.simulate.pods import STEP
from aiops.simulate.world import Begin, End, World

CONNECT_S = 3.0
"""Seconds after which a caller believes that nobody answers at an address."""

LOOKUP_SHARE = 0.35
"""Share of the attempts that need a name resolved: the others find it in the cache of their process."""

BURST_EVERY_S = 300.0
"""Mean seconds between two bursts of habitual errors."""


def quiet_edge(world: World, fault: Fault, _: float) -> End:
    """The network delays one edge that sees few calls."""
    calls = world.calls(fault)
    for call in calls:
        call.delay = fault.strength

    def end(_: float) -> None:
        for call in calls:
            call.delay = 0.0

    return end


def third_party(world: World, fault: Fault, now: float) -> End:
    """Somebody else's service answers slowly or with errors."""
    if fault.mode == "slow":
        return slow_answers(world, fault, now)
    return world.hinder(
        world.calls(fault), Hindrance("upstream answered 503", share=fault.strength, fails_after_s=0.08)
    )


def slow_answers(world: World, fault: Fault, _: float) -> End:
    """Every answer of a service takes ``strength`` seconds, during which it waits for something, not for processors."""
    operations = world.mesh.by_name[fault.service].operations
    medians = [step.median_ms for operation in operations for step in operation.steps if isinstance(step, Work)]
    for pod in world.pods(fault.service):
        pod.stretch = fault.strength * 1000.0 * len(medians) / sum(medians)

    def end(_: float) -> None:
        for pod in world.pods(fault.service):
            pod.stretch = 1.0

    return end


def slow_dns(world: World, fault: Fault, _: float) -> End:
    """Names are resolved slowly, everywhere."""
    return world.hinder(world.requests.calls, Hindrance(share=LOOKUP_SHARE, lookup_s=fault.strength))


def partition(world: World, fault: Fault, _: float) -> End:
    """Nothing passes between two groups of services, or between the hosts of two zones."""
    if fault.mode == "zone":
        # Every other host, so that the replicas of a service lie on both sides.
        side = frozenset(node.name for node in world.cluster.nodes[::2])
        inside = [call for call in world.requests.calls if world.mesh.by_name[call.callee].runtime != "external"]
        return world.hinder(inside, Hindrance("connect timeout", fails_after_s=CONNECT_S, side=side))
    group = {fault.service, *fault.others}
    cut = [call for call in world.requests.calls if (call.caller in group) != (call.callee in group)]
    return world.hinder(cut, Hindrance("connect timeout", fails_after_s=CONNECT_S))


def certificate_expired(world: World, fault: Fault, now: float) -> End:
    """Nobody is let in any more: the certificate of a service has expired, or it does not know its callers' key."""
    reason, line = "x509: certificate has expired or is not yet valid", "tls"
    if fault.mode == "auth":
        reason, line = "401 unauthorized: signature of token cannot be verified", "auth"
    for pod in world.pods(fault.service):
        world.journal.again_and_again(pod, line, now, fault.end, 8.0)
    return world.hinder(world.calls(fault), Hindrance(reason, fails_after_s=0.004))


def disk_full(world: World, fault: Fault, now: float) -> End:
    """The disk of a database fills within ``strength`` seconds; then it can be read but not written."""
    healthy = {pod.name: pod.disk for pod in world.pods(fault.service)}
    refusals: list[End] = []

    def fill(at: float) -> None:
        full = min(1.0, (at + STEP - now) / fault.strength)
        for pod in world.pods(fault.service):
            pod.disk = min(1.0, healthy.get(pod.name, 0.5) + full * (1.0 - healthy.get(pod.name, 0.5)))
        if full == 1.0 and not refusals:
            written = [call for call in world.calls(fault) if writes(call.operation)]
            refusals.append(world.hinder(written, Hindrance("No space left on device", fails_after_s=0.003)))
            for pod in world.pods(fault.service):
                world.journal.again_and_again(pod, "disk", at, fault.end, 4.0)

    filling = world.every_step(fill)

    def end(at: float) -> None:
        filling(at)
        for refusal in refusals:
            refusal(at)
        for pod in world.pods(fault.service):
            pod.disk = healthy.get(pod.name, 0.5)
            world.journal.say(pod, "disk_back", at + 0.5)

    return end


def error_bursts(world: World, fault: Fault, now: float) -> End:
    """A registry forgets the instances of a service for half a minute again and again; callers can do without."""
    reason = f"no instances available for {fault.service}"
    at = now + float(world.rng.exponential(BURST_EVERY_S))
    while at < fault.end:
        length = float(world.rng.uniform(20.0, 40.0))

        def burst(began: float, over: float = at + length) -> None:
            end = world.hinder(world.calls(fault), Hindrance(reason, share=fault.strength, fails_after_s=0.002))
            world.agenda.at(max(over, began), end)

        world.agenda.at(at, burst)
        at += length + float(world.rng.exponential(BURST_EVERY_S))
    return lambda _: None


KINDS: dict[str, Begin] = {
    "quiet_edge": quiet_edge,
    "third_party": third_party,
    "cascade": slow_answers,
    "slow_dns": slow_dns,
    "partition": partition,
    "certificate_expired": certificate_expired,
    "disk_full": disk_full,
    "error_bursts": error_bursts,
}
