"""What an Alertmanager with ordinary rules would send about a mesh: pods and hosts in, lines of ``alerts.jsonl`` out.

Rules are of the kind that most installations have: fixed bounds, the same for every service, held for minutes.  So they come
late, say nothing of slow services whose bound is far, name services by whatever label the exporter has, fire on callers as well
as on culprits, repeat themselves, and some are of no use to anybody.  Nothing here knows of faults.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import orjson

from aiops.simulate.cluster import Cluster
from aiops.simulate.pods import DURATION_BOUNDS, STEP, Pod
from aiops.times import rfc3339

EVALUATE_EVERY_S = 15.0
WINDOW_S = 300.0
"""Seconds over which shares and percentiles are taken."""

GROUP_WAIT_S, GROUP_INTERVAL_S, REPEAT_S = 30.0, 300.0, 3600.0
"""When a group of alerts is sent first, again after a change, and again without one."""

LEAST_REQUESTS = 10
_P95 = 0.95
_SEVERITY = {"critical": "critical", "warning": "medium", "info": "info", "none": "info"}

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """An alerting rule; `holds_s` is its ``for``."""

    name: str
    severity: str
    holds_s: float
    summary: str


ERRORS = Rule("HighErrorRate", "critical", 120.0, "more than 5 % of the requests of {who} fail")
SLOW = Rule("HighLatency", "warning", 300.0, "the 95th percentile of {who} is above 1 s")
REPLICAS = Rule("DeploymentReplicasMismatch", "warning", 180.0, "deployment {who} has fewer replicas than it wants")
TARGET = Rule("TargetDown", "warning", 180.0, "a target of job {who} is down")
NODE_DOWN = Rule("NodeNotReady", "critical", 60.0, "node {who} is not ready")
NODE_BUSY = Rule("NodeCPUHigh", "warning", 300.0, "processors of {who} are used by more than 90 %")
MEMORY = Rule("ContainerMemoryNearLimit", "warning", 60.0, "memory of {who} is used by more than 90 %")
THROTTLED = Rule("CPUThrottlingHigh", "info", 60.0, "processes of {who} are throttled")
WATCHDOG = Rule("Watchdog", "none", 0.0, "this alert always fires: it shows that alerting works")
USELESS = frozenset({WATCHDOG.name, THROTTLED.name})
"""Rules that tell nobody anything."""


@dataclass(slots=True)
class _Alert:
    rule: Rule
    who: str
    labels: Labels
    since: float  # when its condition became true
    fired: float = -1.0  # when it began to fire
    over: float = -1.0
    told: bool = False


@dataclass(slots=True)
class _Group:
    """Alerts of one name, as they are sent together."""

    changed: float = -1.0  # first change that was not sent
    sent: float = -1.0
    over: list[_Alert] = field(default_factory=list)


class Alerting:
    """Prometheus and Alertmanager over a cluster.

    Parameters
    ----------
    start_ns
        Unix ns of second 0.
    environment
        Of every alert.
    chance
        Uniform numbers of its own, for processes that are throttled now and then.
    """

    def __init__(self, cluster: Cluster, start_ns: int, environment: str, chance: Iterator[float]) -> None:
        self._cluster, self._start_ns, self._environment, self._chance = cluster, start_ns, environment, chance
        self._alerts: dict[tuple[str, str], _Alert] = {}
        self._groups: dict[str, _Group] = {}
        self._counted: dict[str, tuple[int, int, list[int]]] = {}  # pod -> requests, failures, durations so far
        self._window: dict[str, deque[tuple[int, int, list[int]]]] = {}  # service -> by step
        self._throttled: dict[str, float] = {}  # service -> until when

    def step(self, end: float) -> Iterator[tuple[float, bytes]]:
        """The step that ends at ``end`` (seconds) is over; yields (time at which it is sent, line)."""
        self._count()
        if end % EVALUATE_EVERY_S < STEP:
            true = dict(self._true(end))
            for key in sorted(true.keys() | self._alerts.keys()):
                self._turn(key, true.get(key), end)
        for name in sorted(self._groups):
            yield from self._send(name, self._groups[name], end)

    # ---- rules ----------------------------------------------------------------------------------------------------------
    def _count(self) -> None:
        for name, pods in self._cluster.replicas.items():
            requests, failed, buckets = 0, 0, [0] * (len(DURATION_BOUNDS) + 1)
            for pod in pods:
                now = (pod.answered + pod.refused + pod.failed, pod.failed, list(pod.buckets))
                last = self._counted.get(pod.name, (0, 0, [0] * len(buckets)))
                if now[0] < last[0]:  # a new process
                    last = (0, 0, [0] * len(buckets))
                requests, failed = requests + now[0] - last[0], failed + now[1] - last[1]
                buckets = [n + a - b for n, a, b in zip(buckets, now[2], last[2], strict=True)]
                self._counted[pod.name] = now
            steps = self._window.setdefault(name, deque(maxlen=int(WINDOW_S / STEP)))
            steps.append((requests, failed, buckets))

    def _true(self, now: float) -> Iterator[tuple[tuple[str, str], tuple[Rule, str, Labels]]]:
        """What is true at ``now``, by rule and what it is about."""

        def alert(rule: Rule, who: str, **labels: str) -> tuple[tuple[str, str], tuple[Rule, str, Labels]]:
            found = {"alertname": rule.name, "severity": rule.severity, **labels}
            return (rule.name, who), (rule, who, tuple(sorted(found.items())))

        yield alert(WATCHDOG, "alerting")
        for name, pods in self._cluster.replicas.items():
            if pods[0].service.runtime == "external":
                continue
            requests, failed, p95 = self._requests(name)
            if pods[0].service.traced and requests >= LEAST_REQUESTS:
                if failed > 0.05 * requests:
                    yield alert(ERRORS, name, service=name)
                if p95 > 1.0:
                    yield alert(SLOW, name, service=name)
            if any(not pod.alive for pod in pods):
                yield alert(REPLICAS, name, deployment=name, namespace="shop")
            if any(not pod.alive or not pod.scraped for pod in pods):
                yield alert(TARGET, name, job=name, namespace="shop")
            for pod in _first(pods, lambda pod: pod.alive and pod.memory > 0.9):
                yield alert(MEMORY, name, pod=pod.name, container=name, namespace="shop")
            if next(self._chance) < 0.0005:
                self._throttled[name] = now + 300.0 + 600.0 * next(self._chance)
            if now < self._throttled.get(name, -1.0):
                yield alert(THROTTLED, name, container=name, namespace="shop")
        for node in self._cluster.nodes:
            if not node.alive:
                yield alert(NODE_DOWN, node.name, node=node.name)
            elif node.utilisation > 0.9:
                yield alert(NODE_BUSY, node.name, instance=f"{node.name}:9100", job="node-exporter")

    def _requests(self, name: str) -> tuple[int, int, float]:
        """Requests of a service in the window, those that failed, and their 95th percentile in seconds."""
        steps = self._window[name]
        buckets = [sum(column) for column in zip(*(step[2] for step in steps), strict=True)]
        left, p95 = _P95 * sum(buckets), 0.0
        for bound, n in zip((*DURATION_BOUNDS, 2 * DURATION_BOUNDS[-1]), buckets, strict=True):
            if left > 0.0:
                left, p95 = left - n, bound
        return sum(step[0] for step in steps), sum(step[1] for step in steps), p95

    # ---- states and groups ------------------------------------------------------------------------------------------------
    def _turn(self, key: tuple[str, str], true: tuple[Rule, str, Labels] | None, now: float) -> None:
        alert = self._alerts.get(key)
        if true is None:
            if alert is not None:
                del self._alerts[key]
                if alert.fired >= 0.0:
                    alert.over = now
                    group = self._group(alert, now)
                    group.over.append(alert)
            return
        if alert is None:
            alert = self._alerts[key] = _Alert(*true, since=now)
        if alert.fired < 0.0 and now - alert.since >= alert.rule.holds_s:
            alert.fired = now
            self._group(alert, now)

    def _group(self, alert: _Alert, now: float) -> _Group:
        group = self._groups.setdefault(alert.rule.name, _Group())
        if group.changed < 0.0:
            group.changed = now
        return group

    def _send(self, name: str, group: _Group, now: float) -> Iterator[tuple[float, bytes]]:
        due = group.changed + GROUP_WAIT_S if group.sent < 0.0 else max(group.changed, group.sent + GROUP_INTERVAL_S)
        changed = group.changed >= 0.0 and now >= due
        firing = [alert for (rule, _), alert in sorted(self._alerts.items()) if rule == name and alert.fired >= 0.0]
        if not changed and not (firing and group.sent >= 0.0 and now - group.sent >= REPEAT_S):
            return
        over = [alert for alert in group.over if alert.told]  # what nobody heard of needs no end
        for alert in [*firing, *over]:
            alert.told = True
            yield now, orjson.dumps(self._line(alert, now))
        group.changed, group.sent = -1.0, now if firing else -1.0
        group.over.clear()

    def _line(self, alert: _Alert, now: float) -> dict[str, Any]:
        labels = dict(alert.labels)
        mark = blake2b(orjson.dumps(alert.labels), digest_size=8).hexdigest()
        return {
            "alert_id": mark, "name": alert.rule.name, "status": "firing" if alert.over < 0.0 else "resolved",
            "starts_at": self._time(alert.fired), "ends_at": None if alert.over < 0.0 else self._time(alert.over),
            "sent_at": self._time(now), "environment": self._environment, "service": labels.get("service"),
            "instance": labels.get("instance"), "severity": _SEVERITY[alert.rule.severity], "labels": labels,
            "summary": alert.rule.summary.format(who=alert.who), "source": "alertmanager",
        }  # fmt: skip

    def _time(self, at: float) -> str:
        return rfc3339(self._start_ns + int(at * 1e9))


def _first(pods: list[Pod], what: Callable[[Pod], bool]) -> list[Pod]:
    return [pod for pod in pods if what(pod)][:1]


def about(line: dict[str, Any]) -> str:
    """What a line of an alert is about: a service or a host; empty where it is about nothing.

    >>> (
    ...     about({"labels": {"instance": "node-3:9100", "job": "node-exporter"}}),
    ...     about({"labels": {"alertname": "Watchdog"}}),
    ... )
    ('node-3', '')
    """
    labels = line["labels"]
    instance = labels.get("instance", "").partition(":")[0]
    names = (labels.get("service"), labels.get("deployment"), labels.get("container"), labels.get("node"), instance)
    return next((name for name in (*names, labels.get("job")) if name), "")
