"""An operation of a service ready to run: a pod and an arrival in, what the pod did about it and when it answered out.

The SERVER span, the counters of the pod and the lines about failure are written here; a path that a fault has broken
throws here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from aiops.simulate.emission import FAILED, OK, REFUSED, SERVER, THROWN, LogSite, SpanText, Visit
from aiops.simulate.mesh import LogStyle, Operation, Service
from aiops.simulate.otlp import attributes
from aiops.simulate.pods import DURATION_BOUNDS, Pod
from aiops.simulate.steps import Step
from aiops.simulate.text import body_maker, stack_trace

SLOW_STATEMENT_S = 0.25
"""Seconds from which on a database logs a statement."""

_STATUS_CODES = (200, 404, 500)
_EXCEPTION = "java.lang.IllegalStateException"


@dataclass(slots=True)
class Sources:
    """Everything random that a running request draws from."""

    uniform: Iterator[float]
    normal: Iterator[float]
    spans: Iterator[str]
    traces: Iterator[str]
    pools: Mapping[str, Iterator[str]]


@dataclass(slots=True, eq=False)
class Endpoints:
    """The pods that requests for a service are sent to; those that died a moment ago may still be among them."""

    service: Service
    ready: list[Pod] = field(default_factory=list)


class Program:
    """An operation ready to run."""

    def __init__(self, service: Service, operation: Operation, kind: int, style: LogStyle, sources: Sources) -> None:
        self.name = operation.name
        self.steps: list[Step] = []
        self._first: list[Step] = []
        self._sources = sources
        name = operation.name if operation.name.startswith(("GET", "POST")) else f"{service.name}/{operation.name}"
        method = {"rpc.method": operation.name} if name != operation.name else {"http.route": name.split()[1]}
        tails = []
        for outcome, code in enumerate(_STATUS_CODES):
            status = '{"code":2,"message":"internal error"}' if outcome == FAILED else "{}"
            tails.append(
                f'","attributes":{attributes({**method, "http.response.status_code": code})},"status":{status}}}'
            )
        thrown: dict[str, str | int] = {**method, "http.response.status_code": 500, "error.type": _EXCEPTION}
        status = '{"code":2,"message":"unexpected value in field state"}'
        tails.append(f'","attributes":{attributes(thrown)},"status":{status}}}')
        self._text = SpanText(name, kind, tuple(tails))
        frames = tuple(
            f"shop.{service.name}.{part}({part}.java:{37 + 13 * at})"
            for at, part in enumerate((operation.name.split()[0] + "Handler", "Dispatcher", "WorkerPool"))
        )
        pools = sources.pools

        def site(text: str, severity: str, logger: str) -> LogSite:
            return LogSite(body_maker(text, severity, logger, style, pools), severity)

        self._slow = site(f"duration: {{ms}} ms  statement: {operation.name}", "WARN", "postmaster")
        if kind == SERVER and method.get("http.route"):
            self._refused: LogSite | None = site(f'{{ip}} "{name} HTTP/1.1" 404 {{bytes}} {{ms}}ms', "INFO", "access")
            self._failed = site(f'{{ip}} "{name} HTTP/1.1" 500 {{bytes}} {{ms}}ms', "ERROR", "access")
        else:
            self._refused = None
            self._failed = site(f"{operation.name} failed after {{ms}} ms", "ERROR", "handler")
        trace = stack_trace(_EXCEPTION, "unexpected value {digit} in field state", frames)
        self._thrown = site(f"Unhandled exception in {operation.name}\n{trace}", "ERROR", "handler")

    def begin_with(self, steps: list[Step]) -> None:
        """Do these steps first from now on, instead of those that were given before."""
        self.steps[: len(self._first)] = steps
        self._first = steps

    def serve(self, pod: Pod, t: float, trace: str, parent: str) -> tuple[float, int]:
        """Work on a request from ``t`` on; returns when the answer leaves (seconds) and the outcome."""
        span = next(self._sources.spans)
        visit = Visit(pod, trace, span, t)
        start = t
        if pod.backlog:
            t += pod.backlog
        steps = self.steps
        if pod.broken and (broken := pod.broken.get(self.name)) and next(self._sources.uniform) < broken.probability:
            steps = steps[: len(self._first) + broken.at]
        else:
            broken = None
        for step in steps:
            t = step.run(visit, t)
            if visit.outcome:
                break
        text = OK
        if broken is not None and not visit.outcome:
            visit.outcome, text = FAILED, THROWN
            t = self._thrown.run(visit, t)
        outcome = visit.outcome
        if outcome == FAILED:
            pod.failed += 1
            t = self._failed.run(visit, t)
        elif outcome == REFUSED:
            pod.refused += 1
            if self._refused is not None:
                t = self._refused.run(visit, t)
        else:
            pod.answered += 1
        pod.buckets[bisect_left(DURATION_BOUNDS, t - start)] += 1
        pod.duration_sum += t - start
        pod.bytes_in += 700.0
        pod.bytes_out += 2600.0 if outcome == OK else 400.0
        self._text.write(visit, span, parent, start, t, text or outcome)
        return t, outcome

    def execute(self, pod: Pod, t: float) -> float:
        """Work on a statement: as ``serve``, but without telemetry of its own except for slow statements."""
        visit = Visit(pod, "", "", t)
        start = t
        if pod.backlog:
            t += pod.backlog
        for step in self.steps:
            t = step.run(visit, t)
        pod.answered += 1
        pod.bytes_in += 300.0
        pod.bytes_out += 1500.0
        if t - start > SLOW_STATEMENT_S and pod.service.runtime != "external":
            self._slow.write(pod, t, (t - start) * 1000.0)
        return t
