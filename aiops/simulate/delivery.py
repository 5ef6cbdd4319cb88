"""From pods to the wire: fragments in buffers in, export requests in order of arrival out, with bounded memory.

Each host has a collector agent that flushes every ``STEP`` seconds, at a phase of its own; a request holds everything
that the pods of the host have put out since.  So the spans of one trace arrive in several requests, a few seconds
apart.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np

from aiops.simulate.otlp import request
from aiops.simulate.pods import STEP, Node, Pod

MAX_DELAY_S = 3.5

Put = list[tuple[Pod, list[str]]]
"""What pods have put out."""

_LOW = slice(len('{"traceId":"') + 24, len('{"traceId":"') + 32)
"""Where the last 32 bits of its trace id stand in a span."""


class Delivery:
    """The agents of all hosts.

    Parameters
    ----------
    nodes
        The hosts.
    rng
        Delays of delivery: exponential around a third of a second, at most ``MAX_DELAY_S``.
    """

    def __init__(self, nodes: list[Node], rng: np.random.Generator) -> None:
        self._nodes = nodes
        self._rng = rng
        self._metrics: dict[str, dict[int, list[tuple[str, list[str]]]]] = {node.name: {} for node in nodes}
        self._gone: list[tuple[float, Pod]] = []
        self._queue: list[tuple[float, int, str, bytes]] = []
        self._count = 0
        self._mute: set[tuple[str, str]] = set()
        self._kept = 1 << 32

    def mute(self, signal: str, service: str, muted: bool) -> None:
        """Lose what pods of a service put out from now on, or lose it no longer: an exporter that is broken."""
        (self._mute.add if muted else self._mute.discard)((signal, service))

    def sample(self, share: float) -> None:
        """Keep this share of the traces from now on, chosen by their ids, as all agents choose."""
        self._kept = round(share * (1 << 32))

    def metrics(self, node: Node, t: float, resource: str, items: list[str]) -> None:
        """Take the metrics that a host's agent scraped at ``t``."""
        self._metrics[node.name].setdefault(int((t + node.phase) / STEP), []).append((resource, items))

    def retire(self, pod: Pod, t: float) -> None:
        """Go on delivering what a pod that is gone has still put out."""
        self._gone.append((t, pod))

    def put(self, t: float, signal: str, line: bytes) -> None:
        """Deliver a line of another kind at ``t``."""
        heapq.heappush(self._queue, (t, self._count, signal, line))
        self._count += 1

    def flush(self, pods: list[Pod], now: float) -> Iterator[tuple[float, str, bytes]]:
        """Flush every agent once for the step that ends at ``now``; yields (arrival, signal, line) of arrivals."""
        self._gone = [(t, pod) for t, pod in self._gone if t > now - 120.0]
        everyone = pods + [pod for _, pod in self._gone]
        for node in self._nodes:
            number = int((now + node.phase) / STEP) - 1
            at = (number + 1) * STEP - node.phase
            mine = [pod for pod in everyone if pod.node is node]
            scraped = self._metrics[node.name].pop(number, None)
            self._send(at, "metrics", scraped or [])
            spans = [(pod, items) for pod in mine if (items := pod.spans.pop(number, None))]
            logs = [(pod, items) for pod in mine if (items := pod.logs.pop(number, None))]
            if self._mute or self._kept < 1 << 32 or not node.alive:
                spans, logs = self._lost(node, spans, logs)
            self._send(at, "traces", [(pod.resource, items) for pod, items in spans])
            self._send(at, "logs", [(pod.resource, items) for pod, items in logs])
        while self._queue and self._queue[0][0] <= now:
            t, _, signal, line = heapq.heappop(self._queue)
            yield t, signal, line

    def _lost(self, node: Node, spans: Put, logs: Put) -> tuple[Put, Put]:
        """What is left of spans and logs where an agent, an exporter or a sampler does not pass on everything."""
        if not node.alive:
            return [], []
        spans = [(pod, items) for pod, items in spans if ("traces", pod.service.name) not in self._mute]
        logs = [(pod, items) for pod, items in logs if ("logs", pod.service.name) not in self._mute]
        if self._kept < 1 << 32:
            kept = [(pod, [item for item in items if int(item[_LOW], 16) < self._kept]) for pod, items in spans]
            spans = [(pod, items) for pod, items in kept if items]
        return spans, logs

    def _send(self, at: float, signal: str, parts: list[tuple[str, list[str]]]) -> None:
        delay = 0.1 + min(MAX_DELAY_S, float(self._rng.exponential(0.35)))
        if parts:
            self.put(at + delay, signal, request(signal, parts))
