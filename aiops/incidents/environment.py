"""What respond knows of one environment: services, who calls whom, the strength of evidence of each, and its last minutes."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiops.causes.rank import DOWN, EDGE, N_TERMS, NET, PLACE
from aiops.findings import (
    CHATTER,
    ERRORS,
    GAP,
    HEARTBEAT,
    LOG,
    LOSS,
    NOVEL,
    OWN,
    PLAIN,
    RESOURCE,
    TERMS,
    TRAFFIC,
    UNREACHABLE,
    Findings,
    Note,
)
from aiops.incidents import crowd
from aiops.incidents.habits import Habits, words
from aiops.incidents.machines import Machines, look
from aiops.incidents.terms import MORE_THAN_SLOW
from aiops.incidents.ties import Tie, Ties
from aiops.signals import SECOND

F64 = NDArray[np.float64]

ACTIVE = 3.0  # a service this strong takes part
STRONG = 5.0  # evidence of a service that needs no neighbour
CALM = 1.0  # below it its first evidence is forgotten
REST = 0.3  # weight of the evidence beside the strongest
NEAR = 0.5  # weight of the strongest neighbour
LOG_WEIGHT = 0.8  # of log rates, for opening
REMEMBER = 180 * SECOND
EDGE_LIFE = 24 * 3600 * SECOND  # an edge not seen for so long is no topology any more
SERVICE_LIFE = (
    3600 * SECOND
)  # detect names a service for a day after its last telemetry; then for so long it is known here
FORGET_EVERY = 600 * SECOND
_SLOW = [OWN]
_SYMPTOMS = [OWN, LOSS, NOVEL, ERRORS, HEARTBEAT, LOG, NET, EDGE, DOWN]  # beside which what is merely new takes part


class Environment:
    """State of one (tenant, environment).

    A service has a number for as long as it is known.  When it is forgotten its number waits for the next new service, so
    that cases may hold numbers: nothing is renumbered.
    """

    def __init__(self, tenant: str, name: str) -> None:
        self.tenant, self.name = tenant, name
        self.services: list[str] = []  # by number; empty where the number waits
        self.evicted = 0  # services forgotten since the process began
        self.index: dict[str, int] = {}
        self.callees: dict[int, set[int]] = {}
        self.callers: dict[int, set[int]] = {}
        self.first: F64 = np.empty(0)  # Unix ns of the first evidence of what is active now, inf = calm
        self.habits = Habits()
        self.crowd = crowd.Crowd()
        self.visits: F64 = np.empty(0)  # of the last minute
        self.failed: F64 = np.empty(0)
        self.evidence: F64 = np.empty((0, N_TERMS))
        self.strength: F64 = np.empty(0)
        self.takes_part: NDArray[np.bool_] = np.empty(0, bool)
        self.neighbourhood: F64 = np.empty(0)
        self.notes: dict[tuple[int, int], Note] = {}
        self.history: deque[tuple[int, F64, dict[tuple[int, int], Note]]] = deque()
        self._named: NDArray[np.int64] = np.empty(0, np.int64)  # when findings last named it, Unix ns, by number
        self._free: list[int] = []  # numbers that wait, ascending
        self._edges: dict[tuple[int, int], int] = {}  # when last seen
        self._traced: set[int] = set()  # services that have ever sent spans
        self.machines = Machines()
        self.ties = Ties()
        self.cleared: set[int] = set()  # machines that were suspect and are not any more, as of this window
        self.unreached: set[tuple[int, int]] = set()  # calls that reach nobody, as of this window

    def service(self, name: str) -> int:
        """Number of a service."""
        code = self.index.get(name)
        if code is None:
            if self._free:
                code = self._free.pop(0)
                self.services[code] = name
            else:
                code = len(self.services)
                self.services.append(name)
                self.first = np.append(self.first, np.inf)
                self._named = np.append(self._named, -1)
            self.index[name] = code
        return code

    @property
    def sizes(self) -> tuple[int, int]:
        """How many services and edges are known."""
        return len(self.index), len(self._edges)

    def forget(self, now: int, held: set[int]) -> None:
        """Forget services that findings have ceased to name, but not those `held`, nor those with an edge."""
        if now % FORGET_EVERY:
            return
        held, gone = held.union(*self._edges, self.ties.held()), set()
        for name, code in list(self.index.items()):
            if now - self._named[code] > SERVICE_LIFE and code not in held:
                del self.index[name]
                self.services[code], self.first[code] = "", np.inf
                self.callees.pop(code, None)
                self.callers.pop(code, None)
                self._traced.discard(code)
                self.machines.forget(code)
                self._free.append(code)
                gone.add(code)
        self.evicted += len(gone)
        self.habits.forget(now, gone)
        self._free.sort()

    def near(self, service: int) -> set[int]:
        """Services one call away, or tied to it."""
        near = self.callees.get(service, set()) | self.callers.get(service, set())
        return near | tied if (tied := self.ties.near(service)) else near

    def around(self, service: int) -> set[int]:
        """Services at most two calls away, itself included."""
        out = {service} | self.near(service)
        for other in list(out):
            out |= self.near(other)
        return out

    def calls_lead(self, start: int, end: int) -> bool:
        """Do calls lead from one service to another, however many of them?"""
        reached, frontier = {start}, {start}
        while frontier and end not in reached:
            frontier = {c for s in frontier for c in self.callees.get(s, ())} - reached
            reached |= frontier
        return end in reached

    def neighbourhood_without(self, service: int, taken: set[int]) -> float:
        """Strength of a service, and half of its strongest neighbour's that is not in `taken`; 0 for a calm service."""
        if self.strength[service] <= 0:
            return 0.0
        near = max((float(self.strength[k]) for k in self.near(service) - taken), default=0.0)
        return float(self.strength[service]) + NEAR * near

    def fails(self) -> NDArray[np.bool_]:
        """Which services have active evidence, of their own or one call away, of more than slowness: bool, by service."""
        own = self.evidence[:, MORE_THAN_SLOW].max(1, initial=0.0) >= ACTIVE
        return np.array([own[s] or any(own[k] for k in self.near(s)) for s in range(len(own))], bool)

    def began_after(self, service: int, time: int) -> bool:
        """Has the service strong evidence of its own that began after `time` (Unix ns)?"""
        return bool(self.strength[service] >= STRONG and time < self.first[service] < np.inf)

    def update(self, found: Findings) -> None:
        """Take in the evidence rows of one window."""
        codes = [self.service(name) for name in found.services]
        pairs = [(self.service(a), self.service(b)) for a, b in found.edges]
        self._named[[*codes, *(code for pair in pairs for code in pair)]] = found.time
        suspects = self._suspects(found)
        n = len(self.services)
        evidence = np.zeros((n, N_TERMS))
        self.visits, self.failed = np.zeros(n), np.zeros(n)
        if codes:
            evidence[codes, : len(TERMS)] = found.terms
            self.visits[codes], self.failed[codes] = found.visits, found.failed
        self._topology(found.time, pairs, found.calls)
        self.notes = {}
        for key, note in found.notes.items():
            if len(key) == 2:
                self.notes[self.index[key[0]], TERMS.index(key[1])] = note
        self._edge_evidence(evidence, pairs, found)
        for machine, (score, statement) in suspects.items():
            evidence[machine, PLACE] = score
            self.notes[machine, PLACE] = Note(statement, "topology")
        self._traced.update(np.flatnonzero(self.visits > 0).tolist())
        self._weigh(found.time, evidence)
        self.evidence = evidence
        self.strength = self._strengths(evidence)
        self.takes_part = self.strength >= ACTIVE
        self.takes_part[sorted(suspects.keys() & set(codes))] = True  # a machine that is known by telemetry of its own
        self.neighbourhood = self.strength.copy()
        for s in range(n):
            self.neighbourhood[s] = self.neighbourhood_without(s, set())
        active, calm = self.strength >= ACTIVE, self.strength < CALM
        self.first = np.where(active, np.minimum(self.first, float(found.time)), np.where(calm, np.inf, self.first))
        self.history.append((found.time, evidence, self.notes))
        while self.history[0][0] < found.time - REMEMBER:
            self.history.popleft()

    def _suspects(self, found: Findings) -> dict[int, tuple[float, str]]:
        """Machines that are suspect in a window: score and statement; what they explain is tied through them."""
        self.ties.advance(found.time)
        self.cleared = set()
        if not len(found.placed):
            return {}
        names, there = self.machines.named(found, self.index), set(found.services)
        for (kind, _), service in sorted(names.items()):
            if service in there:  # it sends metrics of its own
                self.machines.kind[self.index[service]] = kind
        out: dict[int, tuple[float, str]] = {}
        seen = look(found)
        for suspect in seen.suspects:
            machine = self.service(names[suspect.kind, suspect.name])
            self.machines.kind[machine], self._named[machine] = suspect.kind, found.time
            explained = {self.index[name] for name in suspect.services}
            explained |= {self.service(names["host", name]) for name in suspect.machines}
            tie = Tie("topology", suspect.statement, {machine, *explained}, found.time + REMEMBER, machine)
            self.ties.tie((suspect.kind, suspect.name), tie)
            out[machine] = suspect.score, suspect.statement
        for key, old in self.ties.all():
            if old.hub >= 0 and old.hub not in out:
                of = [seen.troubled.get((key[0], self.services[s]), set()) for s in old.services - {old.hub}]
                if 2 * sum(bool(places - {key[1]}) for places in of) > sum(map(bool, of)):
                    self.ties.drop(key)  # most of what has trouble still has it elsewhere too
                    self.cleared.add(old.hub)
        return out

    def _weigh(self, now: int, evidence: F64) -> None:
        """Take off what is a habit, and what a crowd explains; in place, and in the words of the notes."""
        habits = self.habits.take(now, evidence)
        visits = self.visits.tolist()
        entries = [s for s, n in enumerate(visits) if n > 0 and not self.callers.get(s, set()) - {s}]
        times = self.crowd.take(now, sum(visits[s] for s in entries))
        if times > crowd.MORE:
            for s, k in zip(*np.nonzero(evidence[:, _SLOW] > 0.0), strict=True):
                self._less((int(s), _SLOW[int(k)]), crowd.weight(times), crowd.words(times), evidence)
        for key, habit in habits.items():
            self._less(key, habit.weight, words(habit), evidence)

    def _less(self, key: tuple[int, int], weight: float, why: str, evidence: F64) -> None:
        evidence[key] = round(float(evidence[key]) * weight, 4)
        if key in self.notes:
            self.notes[key] = self.notes[key]._replace(statement=self.notes[key].statement + why)

    def _topology(self, now: int, pairs: list[tuple[int, int]], calls: F64) -> None:
        for pair, n in zip(pairs, calls.tolist(), strict=True):
            if n > 0:
                if pair not in self._edges:
                    self.callees.setdefault(pair[0], set()).add(pair[1])
                    self.callers.setdefault(pair[1], set()).add(pair[0])
                self._edges[pair] = now
        if now // SECOND % 600 == 0:
            for (a, b), seen in list(self._edges.items()):
                if now - seen > EDGE_LIFE:
                    del self._edges[a, b]
                    self.callees[a].discard(b)
                    self.callers[b].discard(a)

    def _edge_evidence(self, evidence: F64, pairs: list[tuple[int, int]], found: Findings) -> None:
        touching: dict[int, list[float]] = {}
        reached: dict[int, list[float]] = {}
        worst: dict[tuple[int, int], float] = {}  # (service, term) -> what its note says at the worst
        self.unreached = set()
        for k, (a, b) in enumerate(pairs):
            gap, unreachable = float(found.edge_terms[k, GAP]), float(found.edge_terms[k, UNREACHABLE])
            if not math.isnan(gap):
                touching.setdefault(a, []).append(gap)
                touching.setdefault(b, []).append(gap)
                evidence[b, EDGE] = max(evidence[b, EDGE], gap)
                note = found.notes.get((*found.edges[k], "gap"))
                for service, term in ((b, EDGE), (a, NET), (b, NET)):
                    self._note(service, term, note, gap, worst)
            reached.setdefault(b, []).append(unreachable)
            if unreachable >= ACTIVE:
                self.unreached.add((a, b))
            if unreachable >= 2.0:
                self._note(b, DOWN, found.notes.get((*found.edges[k], "unreachable")), unreachable, worst)
        # A delayed service lifts every edge that it touches, its neighbour only one.
        for s, gaps in touching.items():
            evidence[s, NET] = round(sum(sorted(gaps)) / len(gaps), 4)
        # Traffic that vanishes may be a caller's doing, and calls that reach nobody do not tell which end failed; both do.
        # Of a callee that never sends spans, only its callers can tell: most of them must.
        for s, unreachables in reached.items():
            most = sum(sorted(unreachables)) / len(unreachables)
            if s in self._traced:
                most = min(max(unreachables), max(evidence[s, TRAFFIC], evidence[s, HEARTBEAT]))
            evidence[s, DOWN] = round(most, 4)

    def _note(
        self, service: int, term: int, note: Note | None, value: float, worst: dict[tuple[int, int], float]
    ) -> None:
        """Keep what the worst edge says; the first of equal ones."""
        if note is not None and value > worst.get((service, term), 0.0):
            worst[service, term] = value
            self.notes[service, term] = note

    def _strengths(self, evidence: F64) -> F64:
        # Lines and events that are no errors explain a symptom, near or at the service itself; alone they are a change of level.
        symptom = evidence[:, _SYMPTOMS].max(1, initial=0.0) >= ACTIVE
        new, said = evidence[:, PLAIN].copy(), evidence[:, CHATTER].copy()
        for s in np.flatnonzero((new > 0.0) | (said > 0.0)).tolist():
            if not (symptom[s] or any(symptom[k] for k in self.near(s))):
                new[s] = said[s] = 0.0
        net = np.maximum(evidence[:, NET], evidence[:, EDGE])
        parts = [evidence[:, RESOURCE], evidence[:, OWN], net, evidence[:, LOSS]]
        loud = np.maximum(np.maximum(evidence[:, NOVEL], evidence[:, ERRORS]), new)
        parts += [loud, evidence[:, HEARTBEAT], evidence[:, DOWN], LOG_WEIGHT * np.maximum(evidence[:, LOG], said)]
        top, total = np.zeros(len(evidence)), np.zeros(len(evidence))
        for part in parts:
            top, total = np.maximum(top, part), total + part
        return np.round(top + REST * (total - top), 4)

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {
            "tenant": self.tenant, "name": self.name, "services": self.services, "first": self.first,
            "named": self._named, "free": self._free,
            "habits": self.habits.state(), "crowd": self.crowd.state(),
            "visits": self.visits, "edges": [[*k, v] for k, v in self._edges.items()], "traced": sorted(self._traced),
            "history": [[t, e, [[*k, *n] for k, n in notes.items()]] for t, e, notes in self.history],
            "machines": self.machines.kind, "ties": self.ties.state(),
        }  # fmt: skip

    @classmethod
    def of(cls, state: dict[str, Any]) -> Environment:
        """The environment of a snapshot."""
        out = cls(state["tenant"], state["name"])
        out.services, out._free = state["services"], state["free"]
        free = set(out._free)
        out.index = {name: code for code, name in enumerate(out.services) if code not in free}
        out.first, out.visits, out._named = state["first"], state["visits"], state["named"]
        out.habits.restore(state["habits"])
        out.crowd.restore(state["crowd"])
        out._traced = set(state["traced"])
        out.machines.kind = state["machines"]
        out.ties.restore(state["ties"])
        for a, b, seen in state["edges"]:
            out._edges[a, b] = seen
            out.callees.setdefault(a, set()).add(b)
            out.callers.setdefault(b, set()).add(a)
        for t, evidence, notes in state["history"]:
            out.history.append((t, evidence, {(s, k): Note(text, type_) for s, k, text, type_ in notes}))
        return out
