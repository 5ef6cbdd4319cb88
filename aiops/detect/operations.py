"""Names of operations of the services of one detect partition <-> dense codes: those entered, and those called as a client."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiops.detect.directory import Directory
from aiops.detect.retention import LASTING, Kept, Mask, Rule, nearly_full

MAX_OF_SERVICE = 1_000  # told apart in a service; the rest share one
MAX_OPERATIONS = 100_000  # of a partition; beyond it the new ones of a service share one
OTHER = b"<other>"


class Operations:
    """Codes of (service, name); they hold until ``keep``."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._names: list[tuple[int, bytes]] = []
        self._seen: list[int] = []  # start of the last window that named it, Unix ns
        self._code: dict[tuple[int, bytes], int] = {}
        self._per_service: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, code: int) -> tuple[int, bytes]:
        return self._names[code]

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        return iter(self._names)

    def __contains__(self, key: tuple[int, bytes]) -> bool:
        return key in self._code

    def code(self, service: int, name: bytes) -> int:
        """Code of an operation; a new one is the greatest."""
        if (service, name) not in self._code and (
            self._per_service[service] >= MAX_OF_SERVICE or len(self._names) >= MAX_OPERATIONS
        ):
            name = OTHER
        code = self._code.setdefault((service, name), len(self._names))
        if code == len(self._names):
            self._names.append((service, name))
            self._seen.append(-1)
            self._per_service[service] += 1
        self._seen[code] = self._directory.now
        return code

    @property
    def nearly_full(self) -> bool:
        """May rows go before the hour?"""
        return nearly_full(len(self), MAX_OPERATIONS)

    def stays(self, rule: Rule, services: Mask) -> Mask:
        """Which operations stay where these services do: bool array."""
        of = np.array([service for service, _ in self._names], np.int64)
        stays = services[of]
        stays &= rule.stays(self._seen, LASTING, MAX_OPERATIONS, self._identity)
        stays &= rule.stays_in_each(self._seen, of, MAX_OF_SERVICE, self._identity)
        return stays

    def _identity(self, rows: NDArray[np.int64]) -> list[Any]:
        return [(self._directory.services[self._names[k][0]], self._names[k][1]) for k in rows.tolist()]

    def keep(self, operations: Kept, services: Kept) -> None:
        """Only these operations and services stay."""
        self._names = [(int(services.code[service]), name) for service, name in operations.of(self._names)]
        self._seen = operations.of(self._seen)
        self._index()

    def _index(self) -> None:
        self._code = {key: code for code, key in enumerate(self._names)}
        self._per_service = Counter(service for service, _ in self._names)

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {"names": self._names, "seen": self._seen}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self._names, self._seen = [tuple(key) for key in state["names"]], state["seen"]
        self._index()
