"""Calls from one service to another: a visit in, attempts with their client spans, network, retries and timeouts out.

Failure travels up the call tree only through here: by a refused connection, an error answer, a timeout, or because no
endpoint is left.
"""

from __future__ import annotations

import math

from aiops.simulate.emission import CLIENT, FAILED, OK, PRODUCER, REFUSED, LogSite, SpanText, Visit
from aiops.simulate.hindrances import POOL_SIZE, POOL_WAIT_S, Budget, Hindrance
from aiops.simulate.mesh import Call, Service
from aiops.simulate.operations import Endpoints, Program, Sources
from aiops.simulate.otlp import attributes
from aiops.simulate.pods import Pod
from aiops.simulate.text import body_maker

TIMEOUT_S = 8.0
"""Seconds after which a caller gives up; the server goes on."""

NETWORK_MEDIAN_S = 0.0004
RETRANSMIT_S = 0.2
RETRANSMIT_SHARE = 0.0004
"""Share of calls that lose a packet, and what that costs: a server's least retransmission timeout."""

_REASONS = ("connection refused", "deadline exceeded after 8000 ms", "upstream answered 500", "no healthy endpoint")


class CallStep:
    """A call with its client span, its retries and its part of the network.

    Attributes
    ----------
    delay
        Median of the extra one-way delay on this edge, in seconds; 0 on a healthy network.
    attempts, timeout
        How often the call is tried, and after how many seconds an attempt is given up.
    budget
        Of retries; None: as many as ``attempts`` says.
    """

    def __init__(
        self,
        caller: Service,
        call: Call,
        endpoints: Endpoints,
        program: Program,
        sources: Sources,
        pooled: bool = False,
        budget: Budget | None = None,
    ) -> None:
        self.caller = caller.name
        self.callee = call.service
        self.operation = call.operation
        self.delay = 0.0
        self.attempts = call.attempts
        self.timeout = TIMEOUT_S
        self._hindrances: list[Hindrance] = []
        self._pooled = pooled
        self._special = pooled
        self.budget = budget
        self._call = call
        self._endpoints = endpoints
        self._program = program
        self._sources = sources
        self._traced = endpoints.service.traced
        name = f"{call.service}/{call.operation}" if self._traced else call.operation
        about: dict[str, str | int] = {"server.address": call.service}
        if endpoints.service.runtime == "external":
            name = call.operation
        elif not self._traced:
            about["db.system.name"] = "postgresql" if endpoints.service.runtime == "database" else "redis"
        if call.queued:
            name, about = f"{call.service} publish", {"messaging.destination.name": call.operation}
        failed = attributes({**about, "error.type": "unavailable"})
        ok, refused = attributes(about), attributes({**about, "error.type": "404"})
        self._text = SpanText(
            name,
            PRODUCER if call.queued else CLIENT,
            (
                f'","attributes":{ok},"status":{{}}}}',
                f'","attributes":{refused},"status":{{"code":2}}}}',
                f'","attributes":{failed},"status":{{"code":2,"message":"call failed"}}}}',
            ),
        )

        def site(text: str, severity: str) -> LogSite:
            return LogSite(body_maker(text, severity, "client", caller.style, sources.pools), severity)

        level, end = ("ERROR", "") if call.required else ("WARN", ", continuing without")
        self._site = site
        self._words = f"Retrying {name}: ", f"Call to {call.service} failed: ", end, level
        self._reasons: dict[str, int] = {}
        self._retried: list[LogSite] = []
        self._lost: list[LogSite] = []
        for reason in _REASONS:
            self.reason(reason)
        self._timed_out = 1
        self._looked_up: LogSite | None = None

    def reason(self, text: str) -> int:
        """Number of a reason for which an attempt may fail, which is in the lines about it."""
        if text not in self._reasons:
            retrying, lost, end, level = self._words
            self._reasons[text] = len(self._reasons)
            self._retried.append(self._site(f"{retrying}{text}", "WARN"))
            self._lost.append(self._site(f"{lost}{text}{end}", level))
        return self._reasons[text]

    def give_up_after(self, seconds: float) -> None:
        """Change the timeout."""
        self.timeout = seconds
        self._timed_out = self.reason(f"deadline exceeded after {seconds * 1000:.0f} ms")

    def hinder(self, hindrance: Hindrance) -> None:
        """Lay something in the way."""
        self._hindrances.append(hindrance)
        self._special = True

    def clear(self, hindrance: Hindrance) -> None:
        """Take it out of the way again."""
        self._hindrances.remove(hindrance)
        self._special = self._pooled or bool(self._hindrances)

    def run(self, visit: Visit, t: float) -> float:
        """Run from ``t`` on; see ``steps.Step``."""
        if self._call.queued:
            return self._publish(visit, t)
        left = self.attempts
        if self.budget is not None:
            self.budget.earn()
        attempt = self._hindered if self._special else self._attempt
        ready = self._endpoints.ready
        while True:
            left -= 1
            t, outcome, reason = attempt(visit, t, t, ready)
            if outcome == OK:
                return t
            if outcome == REFUSED:
                visit.outcome = REFUSED
                return t
            if left == 0 or (self.budget is not None and not self.budget.spend()):
                t = self._lost[reason].run(visit, t)
                if self._call.required:
                    visit.outcome = FAILED
                return t
            t = self._retried[reason].run(visit, t) + 0.02 + 0.03 * next(self._sources.uniform)

    def _attempt(self, visit: Visit, t: float, begun: float, ready: list[Pod]) -> tuple[float, int, int]:
        """Try once from ``t`` on, with a span from ``begun`` on; returns the end, the outcome and why it failed."""
        sources = self._sources
        span = next(sources.spans)
        there = NETWORK_MEDIAN_S * math.exp(0.35 * next(sources.normal))
        back = NETWORK_MEDIAN_S * math.exp(0.35 * next(sources.normal))
        if next(sources.uniform) < RETRANSMIT_SHARE:
            there += RETRANSMIT_S
        if self.delay:
            there += self.delay * math.exp(0.3 * next(sources.normal))
            back += self.delay * math.exp(0.3 * next(sources.normal))
        reason = 2
        if not ready:
            end, outcome, reason = t + 0.001, FAILED, 3
        else:
            pod = ready[0] if len(ready) == 1 else ready[int(next(sources.uniform) * len(ready))]
            if pod.refusing or not pod.alive:
                end, outcome, reason = t + there + back, FAILED, 0
            elif self._traced:
                end, outcome = self._program.serve(pod, t + there, visit.trace, span)
                end += back
            else:
                end, outcome = self._program.execute(pod, t + there) + back, OK
        if end - begun > self.timeout:
            end, outcome, reason = begun + self.timeout, FAILED, self._timed_out
        visit.pod.bytes_out += 700.0
        visit.pod.bytes_in += 2600.0 if outcome == OK else 200.0
        self._text.write(visit, span, visit.span, begun, end, outcome)
        return end, outcome, reason

    def _hindered(self, visit: Visit, t: float, begun: float, ready: list[Pod]) -> tuple[float, int, int]:
        """As ``_attempt``, where a connection may be wanting or something may be wrong on the way."""
        pool = visit.pod.pool(self.callee) if self._pooled else None
        if pool is not None:
            connected = pool.take(t)
            if connected is None:  # nothing was sent, so that there is no span
                text = f"no connection within {POOL_WAIT_S * 1000:.0f} ms, {POOL_SIZE} in use"
                return t + POOL_WAIT_S, FAILED, self.reason(text)
            t = begun = connected
        end, outcome, reason = self._way(visit, t, begun, ready)
        if pool is not None:
            pool.give_back(end)
        return end, outcome, reason

    def _way(self, visit: Visit, t: float, begun: float, ready: list[Pod]) -> tuple[float, int, int]:
        sources = self._sources
        if len(ready) > 1:
            ready = [ready[int(next(sources.uniform) * len(ready))]]
        for hindrance in self._hindrances:
            if not ready or not hindrance.lies_between(visit.pod.node.name, ready[0].node.name):
                continue
            if hindrance.share < 1.0 and next(sources.uniform) >= hindrance.share:
                continue
            if hindrance.lookup_s:
                spent = hindrance.lookup_s * math.exp(0.3 * next(sources.normal))
                t += spent
                if self._looked_up is None:
                    self._looked_up = self._site(f"DNS lookup of {self.callee} took {{ms}} ms", "WARN")
                self._looked_up.write(visit.pod, t, spent * 1000.0, visit.trace, visit.span)
            if hindrance.fails_after_s is not None:
                end = t + hindrance.fails_after_s * math.exp(0.05 * next(sources.normal))
                visit.pod.bytes_out += 200.0
                self._text.write(visit, next(sources.spans), visit.span, begun, end, FAILED)
                return end, FAILED, self.reason(hindrance.reason)
        return self._attempt(visit, t, begun, ready)

    def _publish(self, visit: Visit, t: float) -> float:
        sources = self._sources
        span = next(sources.spans)
        end = t + 0.001 * math.exp(0.4 * next(sources.normal))
        self._text.write(visit, span, visit.span, t, end, OK)
        ready = self._endpoints.ready
        if ready:
            pod = ready[int(next(sources.uniform) * len(ready))]
            if pod.alive and not pod.refusing:
                arrives = end + 0.02 + 0.1 * next(sources.uniform) + 2.0 * self.delay
                self._program.serve(pod, arrives, visit.trace, span)
        return end


class ParallelStep:
    """Calls that start together."""

    __slots__ = ("_calls",)

    def __init__(self, calls: list[CallStep]) -> None:
        self._calls = calls

    def run(self, visit: Visit, t: float) -> float:
        """Run from ``t`` on; see ``steps.Step``."""
        end, worst = t, OK
        for call in self._calls:
            visit.outcome = OK
            end = max(end, call.run(visit, t))
            worst = max(worst, visit.outcome)
        visit.outcome = worst
        return end
