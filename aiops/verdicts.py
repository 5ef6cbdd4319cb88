"""Incidents and the truth of a day -> for each episode the problem that it comes of, and whether its first cause is right.

``aiops.scoring`` asks what became of each fault; this asks the same of each incident, false and late ones too, which is what
its confidence must be held against.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aiops.records import Incident, unix_ns
from aiops.scoring import Context, Decoy, Problem, Truth, episodes_of, problems


@dataclass(frozen=True, slots=True)
class Verdict:
    """One episode of an incident, its versions in order, and the problem that it comes of; None: of nothing."""

    versions: list[Incident]
    problem: Problem | None

    @property
    def last(self) -> Incident:
        """What it said in the end."""
        return self.versions[-1]

    @property
    def opened(self) -> float:
        """Unix seconds."""
        return unix_ns(self.versions[0].opened_at) / 1e9

    def right(self, incident: Incident) -> bool:
        """Is the first cause of one of its versions right?"""
        return self.problem is not None and self.problem.names(incident)

    def blames(self, decoy: Decoy) -> bool:
        """Does it hold a harmless change to be the first cause, or part of it?"""
        evidence = [e.ref for cause in self.last.causes[:1] for e in cause.evidence if e.type == "change"]
        return bool(decoy.change_id) and decoy.change_id in evidence


def verdicts(truth: Truth, context: Context, incidents: Iterable[Incident]) -> list[Verdict]:
    """Judge each episode, in order of opening.

    Several may come of one problem.  Of those problems that last, it is the one that the first cause names, then one whose
    services the episode holds, then one whose callers, then the earliest.
    """
    told = problems(truth, context)
    out = []
    for versions in episodes_of(incidents):
        last, at = versions[-1], unix_ns(versions[0].opened_at) / 1e9
        has = set(last.services)
        fit = [(not p.names(last), not has & p.hit, not has & p.near, k) for k, p in enumerate(told) if p.lasts(at)]
        out.append(Verdict(versions, told[min(fit)[3]] if fit else None))
    return out
