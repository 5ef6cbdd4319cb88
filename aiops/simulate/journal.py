"""Log lines that belong to no request: starts, collections, pools, jobs, and what a broken process writes about itself.

These lines carry no trace ids, as in real systems; they come at habitual rates, so that silence and bursts mean
something.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from aiops.simulate.emission import LogSite
from aiops.simulate.mesh import Service
from aiops.simulate.pods import STEP, Pod
from aiops.simulate.text import body_maker

CHATTER_EVERY_S = 60.0
JOB_AT_S, JOB_LENGTH_S = 420.0, 90.0
JOB_LOAD = 0.12
LONG_WAIT_S = 1.0
"""Seconds that requests wait from which on a process says so."""

_LINES = {
    "started": ("Started {name} {version} in {ms} ms, listening on port 8080", "INFO", "main"),
    "config": ("Loaded configuration revision {count}", "INFO", "main"),
    "stopped": ("Received SIGTERM, draining connections", "INFO", "main"),
    "pool": ("Connection pool: active={digit} idle={digit} waiting=0", "INFO", "pool"),
    "young": ("GC Pause Young (Normal) {ms}ms", "INFO", "gc"),
    "full": ("GC Pause Full (Allocation Failure) {ms}ms", "WARN", "gc"),
    "oom": ("java.lang.OutOfMemoryError: Java heap space, terminating", "FATAL", "main"),
    "refusing": ("could not accept new connection: too many open files", "ERROR", "listener"),
    "accepting": ("listener ready to accept connections", "INFO", "listener"),
    "storm": ("Failed to write audit event {uuid}: disk quota exceeded, will retry", "ERROR", "audit"),
    "job_begin": ("Reindex job {count} started", "INFO", "jobs"),
    "job_end": ("Reindex job finished in {ms} ms, {count} documents", "INFO", "jobs"),
    "checkpoint": ("checkpoint complete: wrote {count} buffers in {ms} ms", "INFO", "checkpointer"),
    "pool_busy": ("Connection pool: active={digit} idle=0 waiting={digit}", "INFO", "pool"),
    "waiting": ("Request queue holds {count}, the oldest waits {ms} ms", "WARN", "dispatcher"),
    "frozen": ("Process was frozen for {ms} ms", "WARN", "watchdog"),
    "disk": ("could not extend file 'base/{count}/{bytes}': No space left on device", "ERROR", "writer"),
    "disk_back": ("disk space is available again", "INFO", "writer"),
    "tls": ("TLS handshake with {ip} failed: remote error: bad certificate", "WARN", "tls"),
    "auth": ("Rejected token of {ip}: unknown key {digit}", "WARN", "auth"),
    "batch_begin": ("Batch {count} started at low priority", "INFO", "batch"),
    "batch_end": ("Batch finished, {count} records", "INFO", "batch"),
    "debug_on": ("Log level of root set to DEBUG", "INFO", "logging"),
    "debug_off": ("Log level of root set to INFO", "INFO", "logging"),
}


# Seen a few times a day: a line is not news because it is rare.
_RARE = (
    ("Certificate of upstream expires in {digit} days", "WARN", "tls"),
    ("Clock moved by {digit} ms, resynchronised", "WARN", "time"),
    ("DNS lookup took {count} ms", "WARN", "resolver"),
    ("Feature flags refreshed, {digit} changed", "INFO", "flags"),
    ("Rotated log file after {bytes} kB", "INFO", "logging"),
    ("Discarded {digit} expired sessions", "INFO", "sessions"),
    ("Metrics exporter retried after timeout", "WARN", "telemetry"),
)
RARE_EVERY_S = 7200.0


class Journal:
    """Writes such lines.

    Parameters
    ----------
    services
        Who may write.
    pools
        Values for the texts.
    chance
        Uniform numbers of its own.
    hourly_job
        Service whose first replica does something heavy once an hour; empty: none.
    start_unix
        Unix seconds of time 0, for jobs that follow the clock.
    """

    def __init__(
        self,
        services: tuple[Service, ...],
        pools: Mapping[str, Iterator[str]],
        chance: Iterator[float],
        hourly_job: str,
        start_unix: int,
    ) -> None:
        self._chance = chance
        self._hourly_job = hourly_job
        self._start_unix = start_unix
        self._sites: dict[tuple[str, str], LogSite] = {}
        lines = _LINES | {f"rare {at}": line for at, line in enumerate(_RARE)}
        for service in services:
            for key, (text, severity, logger) in lines.items():
                line = text.replace("{name}", service.name).replace(" {version}", "")
                maker = body_maker(line, severity, logger, service.style, pools)
                self._sites[service.name, key] = LogSite(maker, severity)

    def started(self, pod: Pod, t: float) -> None:
        """A new process comes up."""
        self._write(pod, "config", t + 0.4)
        self._write(pod, "started", t + 1.5, 1400.0 + 400.0 * next(self._chance))

    def stopped(self, pod: Pod, t: float) -> None:
        """A process is asked to end."""
        self._write(pod, "stopped", t)

    def collection(self, pod: Pod, t: float, length: float) -> None:
        """A garbage collection of ``length`` seconds has stopped the process at ``t``."""
        self._write(pod, "full" if length > 0.3 else "young", t + length, length * 1000.0)

    def out_of_memory(self, pod: Pod, t: float) -> None:
        """The process dies for want of memory."""
        self._write(pod, "oom", t)

    def refusing(self, pods: list[Pod], begin: float, end: float) -> None:
        """A listener that takes no connections says so again and again."""
        for pod in pods:
            t = begin + next(self._chance)
            while t < end:
                self._write(pod, "refusing", t)
                t += 5.0 + 10.0 * next(self._chance)
            self._write(pod, "accepting", end + 0.5)

    def storm(self, pod: Pod, t: float) -> None:
        """One line of a log storm."""
        self._write(pod, "storm", t)

    def say(self, pod: Pod, key: str, t: float, ms: float = 0.0) -> None:
        """One line by the name that it has in the table of lines."""
        self._write(pod, key, t, ms)

    def again_and_again(self, pod: Pod, key: str, begin: float, end: float, every_s: float) -> None:
        """The same line about every ``every_s`` seconds from ``begin`` to ``end``."""
        t = begin + every_s * next(self._chance)
        while t < end:
            self._write(pod, key, t)
            t += every_s * (0.5 + next(self._chance))

    def step(self, pods: list[Pod], begin: float) -> None:
        """What comes by itself in [begin, begin + STEP); jobs also take their processor time."""
        for pod in pods:
            if not pod.alive or pod.service.runtime == "external":
                continue
            if (luck := next(self._chance) * RARE_EVERY_S / STEP) < 1.0:
                self._write(pod, f"rare {int(luck * len(_RARE))}", begin + STEP * next(self._chance))
            # Each pod has its own minute, given by its scrape phase.
            since = (begin + 4.0 * pod.scrape_phase) % CHATTER_EVERY_S
            if since < STEP:
                busy = any(pool.used(begin) == pool.size for pool in pod.pools.values())
                self._write(pod, "pool_busy" if busy else "pool", begin + STEP * next(self._chance))
            if pod.backlog > LONG_WAIT_S:
                self._write(pod, "waiting", begin + STEP * next(self._chance), 1000.0 * pod.backlog)
            if pod.service.runtime == "database" and (begin + pod.scrape_phase) % 300.0 < STEP:
                self._write(pod, "checkpoint", begin + STEP * next(self._chance), 900.0 + 3000.0 * next(self._chance))
        if self._hourly_job:
            worker = next((pod for pod in pods if pod.service.name == self._hourly_job), None)
            if worker is not None:
                self._job(worker, begin)

    def _job(self, worker: Pod, begin: float) -> None:
        second = math.fmod(self._start_unix + begin, 3600.0)
        if JOB_AT_S <= second < JOB_AT_S + STEP:
            worker.job += JOB_LOAD
            self._write(worker, "job_begin", begin + 0.2)
        elif JOB_AT_S + JOB_LENGTH_S <= second < JOB_AT_S + JOB_LENGTH_S + STEP and worker.job >= JOB_LOAD:
            worker.job -= JOB_LOAD
            self._write(worker, "job_end", begin + 0.2, JOB_LENGTH_S * 1000.0)

    def _write(self, pod: Pod, key: str, t: float, ms: float = 0.0) -> None:
        self._sites[pod.service.name, key].write(pod, t, ms)
