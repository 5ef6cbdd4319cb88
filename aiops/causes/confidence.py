"""Scores of an incident's causes and what they rest on -> how likely each is right: probabilities, first to last.

A logistic map of four facts that any system has, fitted where the truth is known (``benchmarks/fit_confidence.py``).  It reads
what ranking left and changes no order.  The greater the share of the first cause among all, the likelier it is right,
everything else alike.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from aiops.causes.rank import CAP

WHOLE = 0.95  # greatest share that counts: who has no rival is not surer than who has a faint one
UNSURE = 0.5  # probability of the first cause below which there is no confident one: it is rather wrong than right
VALUES = frozenset({"resource", "metric"})  # terms that values of metrics alone speak in
GONE = "heartbeat"  # the term of instances that ceased
NO_TERM = frozenset({"change", "alert"})  # types of evidence that detection did not find: it names no term


class Facts(NamedTuple):
    """What the probability of a first cause is made of.

    ``share``: of its score in those of all causes, each squared, so that many faint ones are no rival; ``score``: see ``rank``;
    ``effect``: does anything but values of metrics speak for it, which may move without harm, or be all that there is; ``gone``:
    do instances that ceased.
    """

    share: float
    score: float
    effect: bool
    gone: bool


@dataclass(frozen=True, slots=True)
class Map:
    """Coefficients of the log-odds that the first cause is right.

    ``named``: share of wrong first causes whose incident has a right one further down.
    """

    base: float
    share: float
    score: float
    effect: float
    gone: float
    named: float


# By ``python -m benchmarks.fit_confidence --seeds 551-562``: 153 incidents, of simulated days and of half of two recorded ones.
FITTED = Map(base=-1.619, share=0.653, score=1.251, effect=1.287, gone=2.441, named=0.386)


def facts(scores: Sequence[float], terms: Collection[str]) -> Facts:
    """Of the causes of an incident, at least one, the greatest score first, and the terms of the evidence for the first.

    >>> facts([8.0, 6.0], ["resource"])
    Facts(share=0.64, score=8.0, effect=False, gone=False)
    """
    share = scores[0] ** 2 / sum(score**2 for score in scores)
    return Facts(share, scores[0], any(term not in VALUES for term in terms), GONE in terms)


def columns(of: Facts) -> tuple[float, ...]:
    """What the coefficients of ``Map`` stand before, in its order."""
    share = min(of.share, WHOLE)
    odds, score = math.log(share / (1.0 - share)), math.log(max(of.score, 0.1) / CAP)
    return 1.0, odds, score, float(of.effect), float(of.gone)


def probability(of: Facts, by: Map = FITTED) -> float:
    """That the first cause is right."""
    weights = (by.base, by.share, by.score, by.effect, by.gone)
    odds = sum(weight * value for weight, value in zip(weights, columns(of), strict=True))
    return 1.0 / (1.0 + math.exp(-odds))


def probabilities(scores: Sequence[float], terms: Collection[str], by: Map = FITTED) -> list[float]:
    """That each cause is right, in the order of the causes.

    Where the first is wrong, another is right with probability ``named``; these share it by their scores.  None is likelier
    than one before it, and together they are not above 1.

    Parameters
    ----------
    scores : sequence of float
        Of the causes, greatest first.
    terms : collection of str
        Of the evidence for the first.
    """
    if not scores:
        return []
    out = [probability(facts(scores, terms), by)]
    rest = sum(scores[1:])
    for score in scores[1:]:
        out.append(min(out[-1], (1.0 - out[0]) * by.named * score / rest))
    return out
