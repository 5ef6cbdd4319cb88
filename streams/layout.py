"""Names and partitions of the internal topics, as the stages need them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from aiops.identity import DEFAULT_KEY
from aiops.signals import WINDOW
from streams.records import Out, clock_record

PART = 900_000  # bytes of a record's value beyond which it travels in parts


@dataclass(frozen=True, slots=True)
class Layout:
    """What a stage must know of its neighbours.

    Attributes
    ----------
    prefix, tenant : str
    traces, signals, findings : int
        Partitions of these topics.
    key : int
        Key of identities and of routing; the same on every worker.
    part : int
        Largest value of a record, bytes.
    """

    prefix: str = "aiops"
    tenant: str = "default"
    traces: int = 1
    signals: int = 1
    findings: int = 1
    key: int = DEFAULT_KEY
    part: int = PART

    def digest(self) -> str:
        """Tells apart what a state must not be carried between: tenants, keys, numbers of partitions."""
        about = f"{self.tenant} {self.key} {self.traces} {self.signals} {self.findings}"
        return hashlib.blake2b(about.encode(), digest_size=8).hexdigest()

    def topic(self, name: str) -> str:
        """Full name of a topic of the engine."""
        return f"{self.prefix}.{name}"

    def source(self, name: str, partition: int) -> str:
        """Name of a partition as a source."""
        return f"{self.topic(name)}/{partition}"


class ClockOut:
    """Tells a topic's partitions how far a source is.

    Everything downstream is due at multiples of a window, so that a clock is told only when it passes one.
    """

    def __init__(self, topic: str, partitions: int, source: str) -> None:
        self._topic, self._partitions, self._source = topic, partitions, source
        self._told = -1

    def reached(self, clock: int) -> list[Out]:
        """Records to send, after all data before `clock` (Unix ns)."""
        if clock // WINDOW <= self._told:
            return []
        self._told = clock // WINDOW
        return [clock_record(self._topic, p, self._source, clock) for p in range(self._partitions)]
