"""When each instance of a service last reported a metric -> evidence that instances are gone.

An instance is alive while its silence is no longer than three of its own cadences and 15 s, measured against the newest
point of its environment: when the whole environment is silent, nobody is missing.  What counts is how many instances a service
has against how many it usually has, so that a deployment, which replaces them, is no loss.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiops.detect.anomalies import Candidate
from aiops.detect.directory import OTHER, Directory
from aiops.detect.retention import Kept, refitted
from aiops.signals import SECOND, ServiceKey

GRACE = 15 * SECOND
CADENCES = 3.0
SUSTAIN = 30 * SECOND  # instances must be missing for so long; with a cadence of 15 s a loss is told after 85 to 105 s
LOST = 0.7  # instances below the usual number
SETTLE = 300 * SECOND  # after so long the smaller number is the usual one
GAIN = 1.0 / 30.0  # of the usual number, per window
PRIOR = 3e5  # windows of good conduct that a service is credited with: a loss scores 5 or more until it becomes a habit
LEARN = 30  # windows (5 min) of a service before its instances are missed
MAX_INSTANCES = 200_000  # of a partition; those beyond it count as one of their service
LATE, LATE_GRACE = 1.5, 5 * SECOND  # an instance is overdue after so many of its cadences, and this
GONE_FOR = 600 * SECOND  # what has been silent for so long is no instance any more
CADENCE = 60e9  # ns between reports of an instance that is new


class Heartbeat:
    """Instances and services of a partition."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._codes: dict[tuple[int, str], int] = {}
        self._service: list[int] = []
        self._services: NDArray[np.int64] = np.empty(0, np.int64)  # the same as an array
        self._name: list[str] = []
        self._last: NDArray[np.int64] = np.full(64, -1)
        self._cadence: NDArray[np.float64] = np.full(64, CADENCE)
        self._ended: NDArray[np.int64] = np.full(64, -1)
        self._usual: dict[int, float] = {}
        self._missing: dict[int, int] = {}  # service -> since when
        self._windows: dict[int, list[int]] = {}  # service -> [windows, times that instances were lost]

    def instance(self, service: int, name: str) -> int:
        """Code of an instance."""
        if (service, name) not in self._codes and len(self._service) >= MAX_INSTANCES:
            name = OTHER
        code = self._codes.setdefault((service, name), len(self._service))
        if code == len(self._service):
            self._service.append(service)
            self._name.append(name)
            if code >= len(self._last):
                self._last = np.concatenate([self._last, np.full_like(self._last, -1)])
                self._cadence = np.concatenate([self._cadence, np.full_like(self._cadence, CADENCE)])
                self._ended = np.concatenate([self._ended, np.full_like(self._ended, -1)])
        return code

    def __len__(self) -> int:
        return len(self._service)

    def identity(self, rows: NDArray[np.int64]) -> list[tuple[ServiceKey, str]]:
        """What instances are called."""
        return [(self._directory.services[self._service[k]], self._name[k]) for k in rows.tolist()]

    def keep(self, instances: Kept, services: Kept) -> None:
        """Only these instances and services stay; instances whose service goes are not among them."""
        n = len(self._service)
        self._service = services.renumbered(instances.of(self._service)).tolist()
        self._services = np.array(self._service, np.int64)
        self._name = instances.of(self._name)
        self._codes = {key: code for code, key in enumerate(zip(self._service, self._name, strict=True))}
        self._last = refitted(self._last[:n], instances, -1)
        self._cadence = refitted(self._cadence[:n], instances, CADENCE)
        self._ended = refitted(self._ended[:n], instances, -1)
        of = services.code.tolist()
        self._usual = {of[s]: usual for s, usual in self._usual.items() if of[s] >= 0}
        self._missing = {of[s]: since for s, since in self._missing.items() if of[s] >= 0}
        self._windows = {of[s]: windows for s, windows in self._windows.items() if of[s] >= 0}

    def beat(self, instance: NDArray[np.int64], time: NDArray[np.int64]) -> None:
        """Instances reported at these times (Unix ns)."""
        newest = np.full(len(self._service), -1, np.int64)
        np.maximum.at(newest, instance, time)
        beaten = np.flatnonzero(newest > self._last[: len(newest)])
        gap = (newest[beaten] - self._last[beaten]).astype(np.float64)
        again = self._last[beaten] >= 0
        cadence = self._cadence[beaten]
        self._cadence[beaten] = np.where(again, cadence + 0.2 * (np.minimum(gap, 5 * cadence) - cadence), cadence)
        self._last[beaten] = newest[beaten]
        self._ended[beaten] = -1

    def end(self, instance: NDArray[np.int64], time: NDArray[np.int64]) -> None:
        """Series of these instances said that they end; the instance is gone if nothing newer comes."""
        np.maximum.at(self._ended, instance, time)

    @property
    def service(self) -> NDArray[np.int64]:
        """Service of every instance: int64, shape (len,)."""
        if len(self._services) != len(self._service):
            self._services = np.array(self._service, np.int64)
        return self._services

    @property
    def last(self) -> NDArray[np.int64]:
        """Time of the newest point of every instance, Unix ns, -1 = none: int64, shape (len,)."""
        return self._last[: len(self)]

    def late(self, now: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which instances are there, or were of late, and which of these are overdue while their service lacks instances.

        This is sooner and less sure than ``evidence``: it is for telling what several of them have in common.  What a whole
        environment does not say is overdue as well; then it has nothing in common but that.

        Returns
        -------
        two bool arrays, shape (len,)
        """
        n, service = len(self), self.service
        silent = now - self._last[:n]
        there = (silent <= GONE_FOR) & (self._last[:n] >= 0)
        late = there & ((silent > LATE * self._cadence[:n] + LATE_GRACE) | (self._ended[:n] > self._last[:n]))
        left = np.bincount(service, there & ~late, len(self._directory.services))
        usual = np.zeros(len(left))
        known = [(code, of) for code, of in self._usual.items() if self._windows[code][0] >= LEARN]
        if known:
            codes, values = zip(*known, strict=True)
            usual[list(codes)] = values
        return there, late & (left <= usual - LOST)[service]

    def evidence(self, now: int) -> list[tuple[int, float, Candidate]]:
        """(service code, score, what to tell) of services that lack instances at event time `now`."""
        n = len(self._service)
        if not n:
            return []
        service = np.array(self._service)
        environment = np.array(self._directory.service_environment)[service]
        newest = np.full(len(self._directory.environments), -1, np.int64)
        np.maximum.at(newest, environment, self._last[:n])
        silent = newest[environment] - self._last[:n]
        alive = (silent <= CADENCES * self._cadence[:n] + GRACE) & ~(self._ended[:n] > self._last[:n])
        count = np.bincount(service, alive, len(self._directory.services))
        out = []
        for code in np.unique(service).tolist():
            if now - newest[self._directory.service_environment[code]] > 120 * SECOND:
                continue  # the environment itself is silent
            value = self._judge(now, code, float(count[code]))
            if value > 0:
                gone = sorted(
                    self._name[i]
                    for i in np.flatnonzero(
                        (service == code) & ~alive & (now - self._last[:n] < 3600 * SECOND)
                    ).tolist()
                )
                out.append((code, value, self._candidate(code, value, float(count[code]), gone)))
        return out

    def _judge(self, now: int, code: int, alive: float) -> float:
        windows = self._windows.setdefault(code, [0, 0])
        usual = self._usual.get(code, alive)
        windows[0] += 1
        if alive > usual - LOST:
            # Both ways slowly: while a deployment replaces instances, old and new are alive together.
            self._usual[code] = usual + GAIN * (alive - usual)
            self._missing.pop(code, None)
            return 0.0
        if windows[0] < LEARN:
            self._usual[code] = alive
            return 0.0
        since = self._missing.setdefault(code, now)
        p = (windows[1] + 1) / (windows[0] + PRIOR)
        if now - since > SETTLE:
            self._usual[code] = alive
            windows[1] += 1
            del self._missing[code]
            return 0.0
        return -math.log10(p) if now - since >= SUSTAIN else 0.0

    def _candidate(self, code: int, score: float, alive: float, gone: list[str]) -> Candidate:
        key, usual = self._directory.services[code], self._usual[code]
        if alive == 0:
            statement = (
                f"no instance of {key.service} has reported metrics for a while: silent are {', '.join(gone[:3])}"
            )
        else:
            statement = f"{alive:.0f} of usually {usual:.0f} instances of {key.service} report: silent are {', '.join(gone[:3])}"
        return Candidate(
            key, "heartbeat", "instances reporting", "heartbeat", score, statement, "down", None, None, alive, usual,
            onset=self._missing.get(code),
        )  # fmt: skip

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        n = len(self._service)
        return {
            "service": self._service, "name": self._name, "last": self._last[:n], "cadence": self._cadence[:n],
            "ended": self._ended[:n], "usual": self._usual, "missing": self._missing, "windows": self._windows,
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self.__init__(self._directory)  # type: ignore[misc]
        for service, name in zip(state["service"], state["name"], strict=True):
            self.instance(service, name)
        n = len(self._service)
        self._last[:n], self._cadence[:n], self._ended[:n] = state["last"], state["cadence"], state["ended"]
        self._usual, self._missing, self._windows = state["usual"], state["missing"], state["windows"]
