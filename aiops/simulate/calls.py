"""Calls from one service to another: a visit in, attempts with their client spans, network, retries and timeouts out.

Failure travels up the call tree only through here: by a refused connection, an error answer, a timeout, or because no
endpoint is left.
"""

from __future__ import annotations

import math

from aiops.simulate.emission import CLIENT, FAILED, OK, PRODUCER, REFUSED, LogSite, SpanText, Visit
from aiops.simulate.mesh import Call, Service
from aiops.simulate.operations import Endpoints, Program, Sources
from aiops.simulate.otlp import attributes
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
    """

    def __init__(
        self,
        caller: Service,
        call: Call,
        endpoints: Endpoints,
        program: Program,
        sources: Sources,
    ) -> None:
        self.caller = caller.name
        self.callee = call.service
        self.delay = 0.0
        self._call = call
        self._endpoints = endpoints
        self._program = program
        self._sources = sources
        self._traced = endpoints.service.traced
        name = f"{call.service}/{call.operation}" if self._traced else call.operation
        about: dict[str, str | int] = {"server.address": call.service}
        if not self._traced:
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

        self._retried = [site(f"Retrying {name}: {reason}", "WARN") for reason in _REASONS]
        level, end = ("ERROR", "") if call.required else ("WARN", ", continuing without")
        self._lost = [site(f"Call to {call.service} failed: {reason}{end}", level) for reason in _REASONS]

    def run(self, visit: Visit, t: float) -> float:
        """Run from ``t`` on; see ``steps.Step``."""
        if self._call.queued:
            return self._publish(visit, t)
        left = self._call.attempts
        while True:
            left -= 1
            t, outcome, reason = self._attempt(visit, t)
            if outcome == OK:
                return t
            if outcome == REFUSED:
                visit.outcome = REFUSED
                return t
            if left == 0:
                t = self._lost[reason].run(visit, t)
                if self._call.required:
                    visit.outcome = FAILED
                return t
            t = self._retried[reason].run(visit, t) + 0.02 + 0.03 * next(self._sources.uniform)

    def _attempt(self, visit: Visit, t: float) -> tuple[float, int, int]:
        sources = self._sources
        span = next(sources.spans)
        there = NETWORK_MEDIAN_S * math.exp(0.35 * next(sources.normal))
        back = NETWORK_MEDIAN_S * math.exp(0.35 * next(sources.normal))
        if next(sources.uniform) < RETRANSMIT_SHARE:
            there += RETRANSMIT_S
        if self.delay:
            there += self.delay * math.exp(0.3 * next(sources.normal))
            back += self.delay * math.exp(0.3 * next(sources.normal))
        ready = self._endpoints.ready
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
        if end - t > TIMEOUT_S:
            end, outcome, reason = t + TIMEOUT_S, FAILED, 1
        visit.pod.bytes_out += 700.0
        visit.pod.bytes_in += 2600.0 if outcome == OK else 200.0
        self._text.write(visit, span, visit.span, t, end, outcome)
        return end, outcome, reason

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
