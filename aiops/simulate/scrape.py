"""Metrics of pods and hosts: state in, the metrics of one scrape as OTLP/JSON fragments out.

Gauges show the state at the scrape; sums and the histogram are cumulative since the process began and start anew with
it.
"""

from __future__ import annotations

from collections.abc import Iterator

from aiops.simulate.pods import DURATION_BOUNDS, Node, Pod

SCRAPE_EVERY_S = 15.0
_MIB = 1024 * 1024
_BOUNDS = ",".join(f"{bound:g}" for bound in DURATION_BOUNDS)


class PodScrape:
    """The scraper of one pod; it remembers what network counters it saw last, since those are shown as rates."""

    __slots__ = ("_last_in", "_last_out", "_last_time")

    def __init__(self) -> None:
        self._last_in = self._last_out = 0.0
        self._last_time = -1.0

    def metrics(self, pod: Pod, now: float, noise: Iterator[float]) -> list[str]:
        """Metrics of the pod at ``now`` (seconds since the start)."""
        at = f'"timeUnixNano":"{pod.epoch_ns + int(now * 1e9)}"'
        since = f'"startTimeUnixNano":"{pod.epoch_ns + int(pod.born * 1e9)}",{at}'
        cpu = min(1.0, max(0.001, pod.utilisation + 0.01 * next(noise)))
        memory = min(0.999, pod.memory + 0.002 * abs(next(noise)))
        seconds = now - self._last_time if self._last_time >= 0.0 else SCRAPE_EVERY_S
        received = max(0.0, pod.bytes_in - self._last_in) / seconds + 180.0 + 15.0 * next(noise)
        sent = max(0.0, pod.bytes_out - self._last_out) / seconds + 220.0 + 15.0 * next(noise)
        self._last_in, self._last_out, self._last_time = pod.bytes_in, pod.bytes_out, now
        # Work in the queue of a server with utilisation rho, seen at one moment.
        rho = min(0.95, cpu)
        waiting = int(rho * rho / (1.0 - rho) + 0.3 * abs(next(noise)))

        def gauge(name: str, unit: str, value: str) -> str:
            return f'{{"name":"{name}","unit":"{unit}","gauge":{{"dataPoints":[{{{at},{value}}}]}}}}'

        def total(name: str, unit: str, *points: str) -> str:
            body = ",".join(f"{{{since},{point}}}" for point in points)
            return (
                f'{{"name":"{name}","unit":"{unit}","sum":{{"aggregationTemporality":2,"isMonotonic":true,'
                f'"dataPoints":[{body}]}}}}'
            )

        metrics = [
            gauge("container.cpu.usage", "{cpu}", f'"asDouble":{cpu * pod.cores:.6g}'),
            gauge("container.cpu.limit_utilization", "1", f'"asDouble":{cpu:.5g}'),
            gauge("container.memory.usage", "By", f'"asInt":"{int(memory * pod.service.memory_mb * _MIB)}"'),
            gauge("container.memory.limit_utilization", "1", f'"asDouble":{memory:.5g}'),
            gauge("container.network.receive", "By/s", f'"asDouble":{received:.6g}'),
            gauge("container.network.transmit", "By/s", f'"asDouble":{sent:.6g}'),
            gauge("app.legacy_sessions", "{session}", '"asInt":"0"'),
        ]
        if pod.queues:
            metrics += _rich(pod, at, now)
        if pod.service.runtime == "database":
            metrics.append(total("postgresql.commits", "1", f'"asInt":"{pod.answered}"'))
            metrics.append(gauge("postgresql.backends", "1", f'"asInt":"{8 + waiting}"'))
            return metrics
        if pod.service.runtime == "cache":
            metrics.append(total("redis.commands.processed", "{command}", f'"asInt":"{pod.answered}"'))
            metrics.append(gauge("redis.clients.connected", "{client}", f'"asInt":"{12 + waiting}"'))
            return metrics
        counted = [
            f'"asInt":"{count}","attributes":[{{"key":"http.response.status_code","value":{{"intValue":"{code}"}}}}]'
            for code, count in ((200, pod.answered), (404, pod.refused), (500, pod.failed))
            if count
        ]
        if counted:
            metrics.append(total("http.server.requests", "{request}", *counted))
        buckets = '","'.join(map(str, pod.buckets))
        metrics.append(
            '{"name":"http.server.request.duration","unit":"s","histogram":{"aggregationTemporality":2,"dataPoints":[{'
            f'{since},"count":"{sum(pod.buckets)}","sum":{pod.duration_sum:.9g},"bucketCounts":["{buckets}"],'
            f'"explicitBounds":[{_BOUNDS}]}}]}}}}'
        )
        metrics.append(gauge("app.worker.queue.depth", "{task}", f'"asInt":"{waiting}"'))
        if pod.service.runtime == "jvm":
            metrics.append(total("jvm.gc.duration", "s", f'"asDouble":{pod.gc_seconds:.6g}'))
            metrics.append(gauge("jvm.thread.count", "{thread}", f'"asInt":"{24 + 2 * waiting}"'))
        return metrics


def _rich(pod: Pod, at: str, now: float) -> list[str]:
    """What only a rich mesh measures: the disk of a database, the pools of connections of its callers."""
    if pod.service.runtime == "database":
        disk = f'{{{at},"asDouble":{pod.disk:.5g}}}'
        return [f'{{"name":"container.filesystem.utilization","unit":"1","gauge":{{"dataPoints":[{disk}]}}}}']
    used, waiting = [], []
    for name, pool in sorted(pod.pools.items()):
        of = f'{{"key":"db.client.connection.pool.name","value":{{"stringValue":"{name}"}}}}'
        taken = pool.used(now)
        for state, count in (("used", taken), ("idle", pool.size - taken)):
            about = f'{of},{{"key":"db.client.connection.state","value":{{"stringValue":"{state}"}}}}'
            used.append(f'{{{at},"asInt":"{count}","attributes":[{about}]}}')
        waiting.append(f'{{{at},"asInt":"{pool.waiting(now)}","attributes":[{of}]}}')
    if not used:
        return []
    return [
        f'{{"name":"db.client.connection.{name}","unit":"{unit}","gauge":{{"dataPoints":[{",".join(points)}]}}}}'
        for name, unit, points in (("count", "{connection}", used), ("pending_requests", "{request}", waiting))
    ]


def node_metrics(node: Node, start_ns: int, now: float, memory: float) -> list[str]:
    """Metrics of a host at ``now``; ``memory`` is the share of its memory in use."""
    at = f'"timeUnixNano":"{start_ns + node.clock_offset_ns + int(now * 1e9)}"'
    return [
        f'{{"name":"system.{kind}.utilization","unit":"1","gauge":{{"dataPoints":[{{{at},"asDouble":{value:.5g}}}]}}}}'
        for kind, value in (("cpu", node.utilisation), ("memory", memory))
    ]
