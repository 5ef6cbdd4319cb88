"""Confidences and what came of them -> how far they are from the shares that they promise.

The expected calibration error (Naeini et al., 2015), with bins of equal mass (Nguyen and O'Connor, 2015): confidences are sorted
and cut into ten parts of equal size; the error is the mean distance of a part's mean confidence from its share of right answers.
Answers of equal confidence count as their mean, so that their order decides nothing.  With few answers the error is above 0 also
for perfect confidences: ``by_luck`` says how far.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

BINS = 10


class Said(NamedTuple):
    """A confidence, and whether what was said with it is right."""

    confidence: float
    right: bool


class Bin(NamedTuple):
    """So many answers, their mean confidence and their share of right ones."""

    answers: int
    confidence: float
    right: float


def bins(said: Sequence[Said], count: int = BINS) -> list[Bin]:
    """Parts of equal size, in order of confidence; empty ones are left out."""
    if not said:
        return []
    table = np.array(said, float)
    confidence, place, answers = np.unique(table[:, 0], return_inverse=True, return_counts=True)
    right = np.bincount(place, table[:, 1]) / answers
    order = np.sort(place)
    return [
        Bin(len(part), float(confidence[part].mean()), float(right[part].mean()))
        for part in np.array_split(order, count)
        if len(part)
    ]


def error(said: Sequence[Said]) -> float:
    """Expected calibration error; 0 of nothing."""
    return sum(part.answers * abs(part.confidence - part.right) for part in bins(said)) / max(1, len(said))


def by_luck(said: Sequence[Said], draws: int = 400, seed: int = 0) -> float:
    """Mean error of perfect confidences: those that were said, each right as often as it promises."""
    rng = np.random.default_rng(seed)
    promised = np.array([one.confidence for one in said])
    drawn = rng.random((draws, len(said))) < promised
    return sum(error(list(map(Said, promised.tolist(), right))) for right in drawn.tolist()) / draws


def told_apart(said: Sequence[Said]) -> float | None:
    """Chance that a right answer has a greater confidence than a wrong one (area under the ROC curve); None: all are alike."""
    yes = np.array([one.confidence for one in said if one.right])
    no = np.array([one.confidence for one in said if not one.right])
    if not len(yes) or not len(no):
        return None
    above = (yes[:, None] > no[None, :]).sum() + 0.5 * (yes[:, None] == no[None, :]).sum()
    return float(above / (len(yes) * len(no)))


def lines(said: Sequence[Said]) -> list[str]:
    """The reliability table, one line a part."""
    head = f"{'answers':>8s} {'confidence':>11s} {'right':>7s}"
    return [head, *(f"{part.answers:8d} {part.confidence:11.3f} {part.right:7.3f}" for part in bins(said))]
