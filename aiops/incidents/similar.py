"""Closed incidents of an environment -> those among them that look like one that is open, and what ended them.

An incident is compared by its marks: its causes, its services, what was evident of them, the signals and the words of log lines
that deviated, and what was changed.  Of each kind of mark, the weight of what two incidents share is taken as a share of the
weight of what either has (a weighted Jaccard index); a mark weighs more the fewer incidents have it, as in TF-IDF, and how
many do is learned from the closed incidents themselves.  The score is the weighted mean over the kinds of marks that either has.
"""

from __future__ import annotations

import math
import re
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from aiops.causes.rank import TERM_NAMES
from aiops.incidents.environment import ACTIVE, Environment
from aiops.incidents.lifecycle import Case
from aiops.records import Change, Incident, SimilarIncident, rfc3339
from aiops.signals import SECOND

MOST = 500  # closed incidents of an environment
LISTED = 3
LEAST = 0.5  # score of one that is listed
MARKS = 40  # of each kind, of an incident
# How much each kind of mark counts.  Chosen on simulated days (docs/incidents.md says which).
WEIGHTS = {"cause": 3.0, "services": 1.0, "evidence": 2.0, "signals": 1.0, "words": 1.0, "changes": 0.5}
_WORD = re.compile(r"[A-Za-z][A-Za-z_]{2,}")
_NUMBER = re.compile(r"\d+")

Marks = dict[str, list[str]]  # kind of mark -> sorted marks


@dataclass(slots=True)
class Past:
    """A closed incident as it is remembered."""

    incident_id: str
    title: str
    closed: int  # Unix ns
    resolution: str
    marks: Marks = field(default_factory=dict)


class Memory:
    """The newest closed incidents of an environment.

    Parameters
    ----------
    weights : dict, optional
        Of each kind of mark.
    least : float
        Score of one that is listed.

    Attributes
    ----------
    evicted : int
        Incidents that were forgotten for newer ones, since the process began.
    """

    def __init__(self, weights: dict[str, float] | None = None, least: float = LEAST) -> None:
        self.evicted = 0
        self._weights, self._least = weights or WEIGHTS, least
        self._past: OrderedDict[str, Past] = OrderedDict()  # by id, the oldest first
        self._having: Counter[tuple[str, str]] = Counter()  # (kind, mark) -> incidents that have it

    def __len__(self) -> int:
        return len(self._past)

    def remember(self, past: Past) -> None:
        """Take in an incident that has closed; another episode of one takes the place of the earlier."""
        if past.incident_id in self._past:
            self._drop(past.incident_id)
        while len(self._past) >= MOST:
            self._drop(next(iter(self._past)))
            self.evicted += 1
        self._past[past.incident_id] = past
        self._having.update(_all(past.marks))

    def resolved(self, incident_id: str, how: str) -> None:
        """Somebody says afterwards what ended an incident."""
        if incident_id in self._past:
            self._past[incident_id].resolution = how

    def recall(self, case: Case, environment: Environment, changes: list[Change]) -> None:
        """Look for what is like a case when it opens, and once more when it is known what it is, or when it closes."""
        stage = 2 if case.settled or case.closed >= 0 else 1
        if case.matched < stage:
            case.matched = stage
            found = self.similar(case.incident_id, marks_of(case, environment, changes))
            case.similar = msgspec.to_builtins(found)

    def similar(self, incident_id: str, marks: Marks) -> list[SimilarIncident]:
        """Those that look most like an incident with these marks, the most similar first, of equal ones the newest."""
        found = []
        for past in self._past.values():
            if past.incident_id != incident_id:
                score = self.score(marks, past.marks)
                if score >= self._least:
                    found.append((score, past))
        found.sort(key=lambda pair: (-pair[0], -pair[1].closed, pair[1].incident_id))
        return [
            SimilarIncident(
                incident_id=past.incident_id, score=score, resolution=past.resolution, title=past.title,
                resolved_at=rfc3339(past.closed), reason=_reason(marks, past.marks),
            )
            for score, past in found[:LISTED]
        ]  # fmt: skip

    def score(self, one: Marks, other: Marks) -> float:
        """How alike two incidents are, 0 to 1, 3 decimals."""
        total = alike = 0.0
        for kind, weight in self._weights.items():
            mine, theirs = set(one.get(kind, ())), set(other.get(kind, ()))
            if mine or theirs:
                total += weight
                alike += weight * self._share(kind, mine, theirs)
        return round(alike / total, 3) if total else 0.0

    def _share(self, kind: str, mine: set[str], theirs: set[str]) -> float:
        both = either = 0.0
        for mark in sorted(mine | theirs):  # in this order on every machine
            rarity = math.log(1.0 + (1.0 + len(self._past)) / (0.5 + self._having[kind, mark]))
            either += rarity
            if mark in mine and mark in theirs:
                both += rarity
        return both / either

    def _drop(self, incident_id: str) -> None:
        past = self._past.pop(incident_id)
        for key in _all(past.marks):
            self._having[key] -= 1
            if not self._having[key]:
                del self._having[key]

    def state(self) -> list[Any]:
        """For a snapshot."""
        return [[p.incident_id, p.title, p.closed, p.resolution, p.marks] for p in self._past.values()]

    def restore(self, state: list[Any]) -> None:
        """Take over the state of a snapshot."""
        self._past.clear()
        self._having.clear()
        for values in state:
            self.remember(Past(*values))


def marks_of(case: Case, environment: Environment, changes: Iterable[Change]) -> Marks:
    """By what an incident is compared; numbers in the names of signals do not count."""
    names = environment.services
    causes = [f"{names[c.service]}" for c in case.causes[:LISTED]]
    causes += [f"{names[c.service]}/{c.kind}" for c in case.causes[:1]]
    evidence = [
        (-float(case.peak[s, term]), f"{names[s]}/{TERM_NAMES[term]}")
        for s in case.services
        for term in range(case.peak.shape[1])
        if case.peak[s, term] >= ACTIVE
    ]
    members = sorted(case.members.values(), key=lambda a: (-a.score, a.anomaly_id))
    signals = [f"{m.service}/{_NUMBER.sub('0', m.signal)}" for m in members]
    words = [w.lower() for m in members for w in _WORD.findall(m.attributes.get("template", ""))]
    first = {names[c.service] for c in case.causes[:1]}
    changed = [f"{change.service}/{change.kind}" for change in changes if change.service in first]
    kinds = {
        "cause": causes, "services": sorted(names[s] for s in case.services), "evidence": [e for _, e in sorted(evidence)],
        "signals": signals, "words": words, "changes": changed,
    }  # fmt: skip
    return {kind: sorted(list(dict.fromkeys(found))[:MARKS]) for kind, found in kinds.items() if found}


def past_of(case: Case, record: Incident, environment: Environment, changes: list[Change]) -> Past:
    """What is remembered of an incident that has closed; what a person says of its end counts more than how it went."""
    ended = record.resolution or _ended(case)
    return Past(case.incident_id, record.title, case.closed, ended, marks_of(case, environment, changes))


def _ended(case: Case) -> str:
    minutes = f"{(case.closed - case.opened) / (60 * SECOND):.0f} min"
    if case.services <= case.left:
        return f"closed by itself after {minutes}"
    return f"still there after {minutes}, then taken as the new normal"


def _reason(one: Marks, other: Marks) -> str:
    """What two incidents share, in words."""
    words = {
        "cause": "causes", "services": "services", "evidence": "kinds of evidence", "signals": "signals",
        "words": "words of log lines", "changes": "kinds of change",
    }  # fmt: skip
    parts = []
    for kind, name in words.items():
        mine, theirs = set(one.get(kind, ())), set(other.get(kind, ()))
        if both := sorted(mine & theirs):
            said = ", ".join(both[:3]) + (", …" if len(both) > 3 else "")
            parts.append(f"{len(both)} of {len(mine | theirs)} {name} ({said})")
    return "; ".join(parts)


def _all(marks: Marks) -> list[tuple[str, str]]:
    return [(kind, mark) for kind, of in marks.items() for mark in of]
