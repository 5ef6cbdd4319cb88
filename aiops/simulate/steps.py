"""Compiled steps of an operation other than calls: work, refusals, branches, spans around steps.

A step begins at a time and returns its end, in seconds since the start of the simulation; it may set the outcome of the
visit, and then no further step of the operation runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol

from aiops.simulate.emission import FAILED, INTERNAL, REFUSED, LogSite, SpanText, Visit
from aiops.simulate.mesh import Refuse, Work
from aiops.simulate.pods import stalled


class Step(Protocol):
    """A compiled step: begins at ``t`` (seconds), returns its end, and may set the outcome of the visit."""

    def run(self, visit: Visit, t: float) -> float:
        """Run from ``t`` on and return the end."""
        ...


class WorkStep:
    """Own time of a service."""

    __slots__ = ("_cpu", "_mu", "_normal", "_sigma")

    def __init__(self, work: Work, normal: Iterator[float]) -> None:
        self._mu = math.log(work.median_ms / 1000.0)
        self._sigma = work.sigma
        self._cpu = work.cpu
        self._normal = normal

    def run(self, visit: Visit, t: float) -> float:
        """Run from ``t`` on; see ``steps.Step``."""
        pod = visit.pod
        base = math.exp(self._mu + self._sigma * next(self._normal))
        busy = base * self._cpu
        pod.cpu_ms += busy * 1000.0
        end = t + (base - busy + busy * pod.slow) * pod.stretch
        return stalled(pod, t, end) if pod.pauses else end


class RefuseStep:
    """The operation ends here for a habitual reason."""

    __slots__ = ("_outcome", "_probability", "_site", "_uniform")

    def __init__(self, step: Refuse, site: LogSite, uniform: Iterator[float]) -> None:
        self._probability = step.probability
        self._outcome = FAILED if step.failed else REFUSED
        self._site = site
        self._uniform = uniform

    def run(self, visit: Visit, t: float) -> float:
        """Run from ``t`` on; see ``steps.Step``."""
        if next(self._uniform) >= self._probability:
            return t
        visit.outcome = self._outcome
        return self._site.run(visit, t)


class ChanceStep:
    """One of two branches."""

    __slots__ = ("_otherwise", "_probability", "_then", "_uniform")

    def __init__(self, probability: float, then: list[Step], otherwise: list[Step], uniform: Iterator[float]) -> None:
        self._probability = probability
        self._then = then
        self._otherwise = otherwise
        self._uniform = uniform

    def run(self, visit: Visit, t: float) -> float:
        """Run from ``t`` on; see ``steps.Step``."""
        for step in self._then if next(self._uniform) < self._probability else self._otherwise:
            t = step.run(visit, t)
            if visit.outcome:
                break
        return t


class InternalStep:
    """An INTERNAL span around steps."""

    __slots__ = ("_ids", "_steps", "_text")

    def __init__(self, name: str, steps: list[Step], ids: Iterator[str]) -> None:
        self._steps = steps
        self._ids = ids
        self._text = SpanText(name, INTERNAL, ('","status":{}}', '","status":{}}', '","status":{"code":2}}'))

    def run(self, visit: Visit, t: float) -> float:
        """Run from ``t`` on; see ``steps.Step``."""
        outer = visit.span
        visit.span = span = next(self._ids)
        start = t
        for step in self._steps:
            t = step.run(visit, t)
            if visit.outcome:
                break
        visit.span = outer
        self._text.write(visit, span, outer, start, t, visit.outcome)
        return t
