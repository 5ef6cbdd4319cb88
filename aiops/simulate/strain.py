"""Faults of load: more work than there is room for, retries, leaked connections; and loads that harm nobody."""

from __future__ import annotations

import math

from aiops.simulate.faults import Fault
from aiops.simulate.kinds import crowded
from aiops.simulate.pods import MAX_BACKLOG_S, TARGET_UTILISATION
from aiops.simulate.world import Begin, End, World

FROZEN_S = 30.0
"""How long the trigger of a retry storm lasts."""

IMPATIENT_S = 1.0
"""Timeout of the callers in a retry storm."""

_DEBUG = (
    "Entering handler with user={user} session={session}",
    "Cache lookup key={sku} took {count} us",
    "Borrowed connection {digit} from pool",
    "Serialised response of {bytes} bytes",
    "Headers: agent={agent} locale={locale}",
    "Leaving handler, request {uuid}",
)


def retry_storm(world: World, fault: Fault, now: float) -> End:
    """A process stands still for a moment, and its callers try again so often that it never catches up.

    The trigger is over after ``FROZEN_S``; the work that the attempts ask for keeps the queue long, and the length of the
    queue keeps them failing, until somebody stops the attempts and starts the service anew.
    """
    calls = world.calls(fault)
    frozen = list(world.pods(fault.service))
    # At night there is less to multiply: the attempts are as many as ask for the same work as at mean load.
    load = max(0.05, sum(pod.load / pod.cores for pod in frozen) / len(frozen))
    before = [(call.attempts, call.timeout, call.budget) for call in calls]
    for call in calls:
        call.attempts = math.ceil(fault.strength * TARGET_UTILISATION / load)
        call.budget = None
        call.give_up_after(IMPATIENT_S)

    def freeze(at: float) -> None:
        for pod in frozen:
            pod.backlog = MAX_BACKLOG_S
            if at == now:
                world.journal.say(pod, "frozen", now + FROZEN_S, 1000.0 * FROZEN_S)

    world.agenda.at(now + FROZEN_S, world.every_step(freeze))

    def end(at: float) -> None:
        for call, (attempts, timeout, budget) in zip(calls, before, strict=True):
            call.attempts, call.budget = attempts, budget
            call.give_up_after(timeout)
        for pod in world.pods(fault.service):
            pod.load = 0.0
        world.restart(fault.service, at)

    return end


def pool_exhausted(world: World, fault: Fault, now: float) -> End:
    """A service forgets to give connections back: after ``strength`` seconds it has none left, until it is restarted."""

    def leak(at: float) -> None:
        for pod in world.pods(fault.service):
            for pool in pod.pools.values():
                pool.leak(min(1.0, (at - now) / fault.strength))

    leaking = world.every_step(leak)

    def end(at: float) -> None:
        leaking(at)
        world.restart(fault.service, at)

    return end


def overload(world: World, fault: Fault, _: float) -> End:
    """More users want the same thing than a service has room for."""
    found = crowded(world.mesh, fault.service)
    if found is None:
        raise ValueError(f"overload cannot hit {fault.service!r}: no journey asks more of it than of others")
    operation, share = found
    low, high = world.requests.journey_range(operation)
    world.crowd.come(fault, share * (fault.strength / TARGET_UTILISATION - 1.0), low, high)
    return lambda _: world.crowd.leave(fault)


def surge(world: World, fault: Fault, _: float) -> End:
    """More users than usual come, and there is room for them."""
    world.crowd.come(fault, fault.strength)
    return lambda _: world.crowd.leave(fault)


def batch_cpu(world: World, fault: Fault, now: float) -> End:
    """A batch of low priority takes the processor time that is left over: utilisation rises, nobody waits."""
    pods = list(world.pods(fault.service))
    for pod in pods:
        pod.batch += fault.strength
        world.journal.say(pod, "batch_begin", now + 0.2)

    def end(at: float) -> None:
        for pod in pods:
            pod.batch = 0.0
            world.journal.say(pod, "batch_end", at + 0.2)

    return end


def debug_logs(world: World, fault: Fault, now: float) -> End:
    """Somebody sets the log level of a service to DEBUG, and later back."""
    programs = world.requests.programs(fault.service)
    lines = [_DEBUG[at % len(_DEBUG)] for at in range(round(fault.strength))]
    for program in programs:
        program.begin_with(world.requests.log_sites(fault.service, lines, "DEBUG"))
    for pod in world.pods(fault.service):
        world.journal.say(pod, "debug_on", now + 0.1)

    def end(at: float) -> None:
        for program in programs:
            program.begin_with([])
        for pod in world.pods(fault.service):
            world.journal.say(pod, "debug_off", at + 0.1)

    return end


KINDS: dict[str, Begin] = {
    "retry_storm": retry_storm,
    "pool_exhausted": pool_exhausted,
    "overload": overload,
    "surge": surge,
    "batch_cpu": batch_cpu,
    "debug_logs": debug_logs,
}
