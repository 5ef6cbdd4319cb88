"""Changes of services with evidence -> how plausible each is as the cause: before the effect, something new, named by it.

The latest change is not the best one: most deploys near an incident have nothing to do with it.  A change must have come
before the first evidence of *its own* service, must have changed something, and of several that pass, what the evidence
talks about counts more than minutes: an error that names what was changed points to it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiops.records import Change, unix_ns
from aiops.signals import SECOND

SLACK = 60.0  # seconds by which a change may seem to follow its effect: clocks and windows are not exact
HALF = 900.0  # seconds between a change and its effect at which it is half as plausible
BEHIND = 300.0  # seconds by which a service follows the first one at which its changes are half as plausible
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # camelCase and snake_case are cut; numbers and ids name nothing
SHORTEST = 3  # letters of a word that names something
COMMON = frozenset(
    """and are for from into not now off one out the this that was were when with without per via use used using
    api app call called calls class client code config const data debug default err error errors exception fail failed
    fails failing failure false fatal file files func function get got handle handler http https info init int key let
    line lines list log logger logging logs main message method msg name new nil none null object old open path read
    request requests res resp response result return returned returning returns run self server service set src start
    started status stop stopped str string test tests text time true type update user util value values var void warn
    warning write writer writing""".split()
)  # what any code and any log is full of names nothing


@dataclass(frozen=True, slots=True)
class Candidate:
    """A change of a service that has evidence.

    Attributes
    ----------
    before : float
        Seconds from the change to the first evidence of its service, negative where the change came later.
    text : str
        All that is known of what was changed: summary, files, versions.
    version_from, version_to : str or None
    behind : float
        Seconds by which that evidence follows the first of the whole incident.
    """

    before: float
    text: str = ""
    version_from: str | None = None
    version_to: str | None = None
    behind: float = 0.0


@dataclass(frozen=True, slots=True)
class Weighing:
    """``words``: how many times as plausible a change is at most that the evidence names, against one that it does not."""

    words: float = 5.0


def plausibilities(
    changes: Sequence[Candidate],
    evidence: Iterable[str] = (),
    usual: Iterable[str] = (),
    names: Iterable[str] = (),
    others: Iterable[str] = (),
    weighing: Weighing | None = None,
) -> list[float]:
    """How plausible each change is as the cause.

    Parameters
    ----------
    changes : sequence of Candidate
        All that compete as the cause of one incident.
    evidence : iterable of str
        What is new since the onset, one text a signal: log templates, names of metrics, errors of spans.
    usual : iterable of str
        What the telemetry said before: a word that was there is no news.
    names : iterable of str
        Names of services: a word that is part of one says who it is about, not what was changed.
    others : iterable of str
        Texts of changes that are no rivals: what many changes are about names none of them.

    Returns
    -------
    list of float, 0..1, one a change; what a change is worth beside its rivals, not a probability

    Examples
    --------
    >>> old = Candidate(400.0, "simplify counter in rate limiter")
    >>> new = Candidate(60.0, "tidy checkout handler")
    >>> [round(p, 2) for p in plausibilities([old, new])]
    [0.84, 1.0]
    >>> [round(p, 2) for p in plausibilities([old, new], ["concurrent map writes in Limiter.Allow"])]
    [0.84, 0.43]
    """
    w = weighing or Weighing()
    related = relations([c.text for c in changes], list(evidence), list(usual), list(names), list(others))
    apt = [1.0 + (w.words - 1.0) * r for r in related]
    able = [near(c.before) * first(c.behind) if differs(c) else 0.0 for c in changes]
    best = max((a for a, time in zip(apt, able, strict=True) if time > 0.0), default=1.0)
    return [round(time * min(1.0, a / best), 6) for a, time in zip(apt, able, strict=True)]


def near(before: float) -> float:
    """By time alone: 1 at once, a half after ``HALF``, 0 for what came after its effect."""
    if before < -SLACK:
        return 0.0
    x = max(0.0, before) / HALF
    return 1.0 / (1.0 + x * x)


def first(behind: float) -> float:
    """By how soon the service was affected: 1 within the slack, a half after ``BEHIND``; who follows is rather a victim."""
    x = max(0.0, behind - SLACK) / BEHIND
    return 1.0 / (1.0 + x * x)


def differs(change: Candidate) -> bool:
    """Is the new version another one than the old, as far as is known?"""
    return change.version_from is None or change.version_from != change.version_to


def words(text: str) -> frozenset[str]:
    """Words that may name something, in lower case.

    Examples
    --------
    >>> sorted(words("CASRetryPolicy: max_attempts 8 -> 2"))
    ['attempts', 'cas', 'max', 'policy', 'retry']
    """
    return frozenset(word.lower() for word in WORD.findall(text) if len(word) >= SHORTEST) - COMMON


def relations(
    texts: Sequence[str],
    evidence: Sequence[str],
    usual: Sequence[str] = (),
    names: Sequence[str] = (),
    others: Sequence[str] = (),
) -> list[float]:
    """How much of what each text is about turns up in the evidence: 0..1; parameters as of `plausibilities`.

    A word counts by how few texts are about it, and by how many signals name it.
    """
    about, said = [words(text) for text in texts], [words(text) for text in evidence]
    known = [*about, *(words(text) for text in others)]
    whole = math.log(len(known) + 1.0)
    old: frozenset[str] = frozenset().union(*(words(text) for text in usual))
    called = " ".join(names).lower()
    out = []
    for mine in about:
        total = 0.0
        for word in sorted(word for word in mine - old if word not in called):
            named = sum(word in text for text in said)
            if named:
                often = sum(word in text for text in known)
                total += (1.0 - 0.5**named) * math.log((len(known) + 1.0) / often) / whole
        out.append(total / (1.0 + total))
    return out


def of_services(changes: Sequence[Change], began: Mapping[str, float], statements: Iterable[str]) -> dict[str, float]:
    """The most plausible change of each service.

    Parameters
    ----------
    changes : sequence of Change
        Of any services; those of services that are not in `began` are no rivals.
    began : mapping, service -> Unix ns of its first evidence
    statements : iterable of str
        What the evidence says.

    Returns
    -------
    dict, service -> 0..1
    """
    rivals = [c for c in changes if c.service in began]
    if not rivals:
        return {}
    earliest = min(began.values())
    candidates = [
        Candidate(
            (began[c.service] - unix_ns(c.time)) / SECOND, c.summary, c.version_from, c.version_to,
            (began[c.service] - earliest) / SECOND,
        )
        for c in rivals
    ]  # fmt: skip
    out: dict[str, float] = {}
    for change, plausible in zip(
        rivals, plausibilities(candidates, sorted(set(statements)), names=sorted(began)), strict=True
    ):
        out[change.service] = max(plausible, out.get(change.service, 0.0))
    return out
