"""Settings of the bank among which a benchmark chooses on one part of its data, to report on another.

They were declared before the choice: the usual one, and neighbours of it, one step away in one direction each.  How
far they lie apart says how much of a figure is luck.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from aiops.bank import Bank, fusion
from aiops.bank.columns import (
    FORECAST,
    LONG,
    NOVELTY,
    SHIFT,
    SHORT,
    TERMS,
    TIME_OF_DAY,
    TRANSITION,
    TREND,
    VARIANCE,
    WIDE,
)  # fmt: skip


class Setting(NamedTuple):
    """What a setting changes: factors of the terms' weights, and decades more that a term must exceed."""

    factors: tuple[tuple[int, float], ...] = ()
    quieter: float = 0.0


USUAL = Setting()
GRID = {
    "usual": USUAL,
    "less of the wide shape": Setting(((WIDE, 0.7),)),
    "more of the long shape": Setting(((LONG, 1.4),)),
    "more of the short shape": Setting(((SHORT, 1.6),)),
    "less novelty": Setting(((NOVELTY, 0.7),)),
    "more novelty": Setting(((NOVELTY, 1.4),)),
    "less of transitions": Setting(((TRANSITION, 0.6),)),
    "more of transitions": Setting(((TRANSITION, 1.6),)),
    "less of the day": Setting(((TIME_OF_DAY, 0.7), (FORECAST, 0.7))),
    "more changes": Setting(((SHIFT, 2.0), (VARIANCE, 2.0), (TREND, 2.0))),
    "no changes": Setting(((SHIFT, 0.0), (VARIANCE, 0.0), (TREND, 0.0))),
    "quieter": Setting((), 0.2),
    "less quiet": Setting((), -0.2),
}


def random_settings(n: int, seed: int = 0) -> dict[str, Setting]:
    """Settings in which every term is left out, halved, kept or doubled by chance: terms and weights from nothing."""
    rng = np.random.default_rng(seed)
    return {
        f"random {k}": Setting(
            tuple(enumerate(rng.choice([0.0, 0.5, 1.0, 2.0], len(TERMS)).tolist())), float(rng.choice([-0.2, 0.0, 0.2]))
        )
        for k in range(n)
    }


class Judged(NamedTuple):
    """What the terms said of a series; evidence and alerts follow from it for any setting."""

    detail: Any  # float64[n, 2, terms]

    def alerts(self, setting: Setting) -> Any:
        """Score where a point alerts, 0 elsewhere; float64[n]."""
        weights = fusion.WEIGHTS.copy()
        for term, factor in setting.factors:
            weights[term] *= factor
        return _alerts(self.detail, weights, fusion.QUIET + setting.quieter)


def judged(time: Any, value: Any) -> Judged:
    """Feed a series to a bank of its own, in batches, as a stream comes: int64[n] Unix ns, float64[n]."""
    bank = Bank()
    bank.grow(1)
    parts = [np.zeros((0, 2, len(TERMS)))]
    for at in range(0, len(value), 1000):
        batch = slice(at, at + 1000)
        parts.append(bank.feed(np.zeros(len(value[batch]), np.int64), time[batch], value[batch], detail=True).detail)
    return Judged(np.concatenate(parts))


@njit(cache=True)
def _alerts(detail: Any, weights: Any, quiet: Any) -> Any:
    out, at, last = np.zeros(len(detail)), 0, 0.0
    for i in range(len(detail)):
        evidence, _ = fusion.fuse(detail[i, 0], detail[i, 1], weights, quiet)
        if fusion.may_alert(i - at, last, evidence):
            at, last, out[i] = i, evidence, fusion.score(evidence)
    return out
