"""Visits as they are named by hashes -> events and cells of ``Visits``; who is called is remembered on the way."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aiops.detect.directory import Directory
from aiops.detect.logs import LogDetector
from aiops.detect.operations import Operations
from aiops.detect.retention import Kept, Mask, Rule
from aiops.detect.visits import Hidden, Visits
from aiops.signals import CALL, LOG, STEM, Event, TraceRows

MAX_PEERS = 100  # callees remembered of a client operation
MAX_CACHED, MAX_CACHED_CELLS = (
    200_000,
    8_000_000,
)  # visits whose cells are remembered; forgotten when full, which changes no result
MOST = 4  # times that an event counts within a visit

Key = tuple[Any, ...]  # (service, type, what it is made of ..., is it an error, the how manieth of its kind in a visit)


class Visit(NamedTuple):
    """Cells of the pairs of events of a visit (int64), the services that it called, by name, and whether it has log lines."""

    cells: NDArray[np.int64]
    called: tuple[str, ...]
    spoken: bool


class Events:
    """What the events of visits are; codes are those of `visits`.

    Attributes
    ----------
    keys : list, by event code
        A log line is named by the number of its template.
    """

    def __init__(self, directory: Directory, logs: LogDetector, clients: Operations) -> None:
        self.visits = Visits(directory.suspicion)
        self.keys: list[Key] = []
        self._directory, self._logs, self._clients = directory, logs, clients
        self._code: dict[Key, int] = {}
        self._peers: dict[tuple[int, bytes], set[str]] = defaultdict(set)
        self._visits: dict[tuple[int, int], Visit] = {}  # (service, visit hash) -> what it is; a cache
        self._cells = 0  # of all of them
        # (service, client operation, peer) of whose callee spans were seen
        self._answered: set[tuple[int, bytes, str]] = set()

    def visit(self, service: int, visit: int, part: TraceRows) -> Visit:
        """What a visit is that `part` describes."""
        found = self._visits.get((service, visit))
        if found is None:
            if len(self._visits) >= MAX_CACHED or self._cells >= MAX_CACHED_CELLS:
                self._visits.clear()
                self._cells = 0
            members = part.visit_events[visit]
            events = self._events(service, members, part.events)
            called = {part.events[event].peer for event, _ in members if part.events[event].type == CALL}
            cells = self.visits.cells(events, self._directory.service_subject[service])
            spoken = any(part.events[event].type in (LOG, STEM) for event, _ in members)
            found = self._visits[service, visit] = Visit(cells, tuple(sorted(called - {""})), spoken)
            self._cells += len(cells)
        return found

    def peers(self, service: int, operation: bytes) -> set[str]:
        """Services that a client operation has reached."""
        return self._peers.get((service, operation), set())

    def _events(self, service: int, members: tuple[tuple[int, int], ...], events: dict[int, Event]) -> list[int]:
        times: dict[Key, int] = {}
        for event_hash, n in members:
            key = self._key(service, events[event_hash])
            times[key] = min(times.get(key, 0) + n, MOST)
        out = []
        for key, n in times.items():
            for k in range(1, n + 1):
                code = self._code.get((*key, k))
                if code is None:
                    code = self.visits.event(service, bool(key[-1]))
                    if code >= 0:
                        self._code[(*key, k)] = code
                        self.keys.append((*key, k))
                        self._answers(key)
                if code >= 0:
                    out.append(code)
        return out

    def _key(self, service: int, event: Event) -> Key:
        if event.type == LOG:
            return (service, LOG, self._logs.cluster(service, event.text), event.error)
        if event.type == CALL:
            peers = self._peers[service, event.text] if event.peer and (service, event.text) in self._clients else None
            if peers is not None and len(peers) < MAX_PEERS:
                peers.add(event.peer)
            return (service, CALL, event.text, event.peer, event.peer_text, event.error)
        return (service, event.type, event.text, event.error)

    # ---- what cannot be seen ----------------------------------------------------------------------------------------------
    def hidden(self, dark: Mask, failing: set[tuple[int, bytes]]) -> Hidden:
        """What of these events may have happened though nobody saw it.

        Parameters
        ----------
        dark : bool array, by service: it sends no log lines at all (``unseen``)
        failing : set of (service, client operation) of which calls reach nobody more often than usual
        """

        def lost(event: int) -> bool:
            key = self.keys[event]
            return key[1] in (LOG, STEM) and bool(dark[key[0]])

        def news(event: int) -> bool:
            key = self.keys[event]
            reached = self._unanswered(key) and (key[0], key[2]) not in failing
            return reached and (key[0], key[2], key[3]) in self._answered

        def instead(event: int) -> int:
            key = self.keys[event]
            if key[1] != CALL or not key[3] or not key[4] or (key[0], key[2]) in failing:
                return -1
            return self._code.get((*key[:4], b"", key[5], 1), -1)  # of any of several such calls

        return Hidden(lost, news, instead)

    @staticmethod
    def _unanswered(key: Key) -> bool:
        """Is it a call that names its callee, of which no span was seen?"""
        return bool(key[1] == CALL and key[3] and not key[4])

    def _answers(self, key: Key) -> None:
        if key[1] == CALL and key[4]:
            self._answered.add((key[0], key[2], key[3]))

    # ---- eviction -------------------------------------------------------------------------------------------------------
    def stays(self, rule: Rule, services: Mask, numbers: Mask) -> tuple[Mask, Mask]:
        """Which events and pairs stay where these services, and numbers of log templates, do: bool arrays."""
        may = services[np.array([key[0] for key in self.keys], np.int64)]
        may &= np.array([key[1] != LOG or numbers[key[2]] for key in self.keys], bool)
        return self.visits.stays(rule, may, self._identity)

    def _identity(self, event: int) -> Key:
        service, type_, what, *rest = self.keys[event]
        return (self._directory.services[service], type_, self._logs.id(what) if type_ == LOG else what, *rest)

    def numbers(self, events: Mask) -> set[int]:
        """Numbers of log templates that these events refer to."""
        return {key[2] for key in Kept(events).of(self.keys) if key[1] == LOG}

    def keep(self, events: Kept, pairs: Kept, services: Kept, subjects: Kept, numbers: Kept) -> None:
        """Only these stay; client operations have been renumbered before."""
        self.visits.keep(events, pairs, services, subjects)
        of, new = services.code.tolist(), numbers.code.tolist()
        self.keys = [
            (of[key[0]], LOG, new[key[2]], *key[3:]) if key[1] == LOG else (of[key[0]], *key[1:])
            for key in events.of(self.keys)
        ]
        self._index()
        # A callee is one for as long as calls that reached it are remembered.
        named: dict[tuple[int, bytes], set[str]] = defaultdict(set)
        for key in self.keys:
            if key[1] == CALL and (key[0], key[2]) in self._clients:
                named[key[0], key[2]].add(key[3])
        old, self._peers = self._peers, defaultdict(set)
        for (service, operation), peers in old.items():
            if left := peers & named[of[service], operation]:
                self._peers[of[service], operation] = left

    def _index(self) -> None:
        self._code = {key: code for code, key in enumerate(self.keys)}
        self._visits, self._cells, self._answered = {}, 0, set()
        for key in self.keys:
            self._answers(key)

    # ---- state ----------------------------------------------------------------------------------------------------------
    def state(self) -> dict[str, Any]:
        """For a snapshot; what is cached is not part of it."""
        peers = [[*key, sorted(peers)] for key, peers in sorted(self._peers.items())]
        return {"visits": self.visits.state(), "keys": self.keys, "peers": peers}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot; the directory and the logs have been restored before."""
        self.visits.restore(state["visits"])
        self.keys = [tuple(key) for key in state["keys"]]
        self._peers = defaultdict(set, {(s, name): set(peers) for s, name, peers in state["peers"]})
        self._index()
