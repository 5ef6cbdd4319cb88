"""Days whose truth is known -> the coefficients of ``aiops/causes/confidence.py``, and how well they keep what they promise.

Every incident of simulated days, false ones too, and of recorded days those of the half for choosing
(``benchmarks.incident_days.for_choosing``), as it was when it opened and in the end, each for one half.  Logistic regression
by Newton's method with a small ridge (on columns of unit spread, not on the base), the coefficient of the share held at 0 or
above.  Days are left out in turn, a fifth at a time, to say what to expect of others.

    python -m benchmarks.fit_confidence [--seeds 551-580] [--hours 2.5] [--rate 2] [--processes 2] [--kept DIR] [--json FILE]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aiops.causes.confidence import FITTED, NO_TERM, Facts, Map, columns, facts, probability
from aiops.records import Incident
from benchmarks import reliability, results
from benchmarks.incident_days import for_choosing
from benchmarks.incidents import Judged, judged, options_of, played
from benchmarks.reliability import Said

F64 = NDArray[np.float64]
RIDGE = 1.0
FOLDS = 5
NAMES = tuple(field.name for field in fields(Map))[:-1]


class Case(NamedTuple):
    """A version of an incident: what is known of it, whether its first cause is right, and what it weighs."""

    day: str
    facts: Facts
    right: bool
    weight: float
    last: bool


def facts_of(incident: Incident) -> Facts:
    """What the engine knew when it said this, from the record."""
    evidence = incident.causes[0].evidence
    terms = [one.ref for one in evidence if one.type not in NO_TERM and one.ref is not None]
    return facts([cause.score for cause in incident.causes], terms)


def cases_of(days: Sequence[Judged]) -> list[Case]:
    """The incidents on which coefficients may be chosen."""
    return [
        Case(one.day.name, facts_of(version), verdict.right(version), 0.5, last)
        for one in days
        for verdict in one.verdicts
        if one.day.simulated or for_choosing(one.day, verdict.problem, verdict.opened)
        for version, last in ((verdict.versions[0], False), (verdict.last, True))
        if version.causes
    ]


def fitted(cases: Sequence[Case]) -> Map:
    """The coefficients; ``named`` is left as it is."""
    table = np.array([columns(case.facts) for case in cases])
    right, weight = np.array([case.right for case in cases], float), np.array([case.weight for case in cases])
    found = _newton(table, right, weight)
    if found[NAMES.index("share")] < 0.0:
        table[:, NAMES.index("share")] = 0.0
        found = _newton(table, right, weight)
    return replace(FITTED, **dict(zip(NAMES, (round(value, 3) for value in found.tolist()), strict=True)))


def _newton(table: F64, right: F64, weight: F64, steps: int = 50) -> F64:
    spread = table.std(0)
    spread[spread == 0.0] = 1.0
    scaled = table / spread
    ridge = RIDGE * np.array([0.0] + [1.0] * (table.shape[1] - 1))
    at = np.zeros(table.shape[1])
    for _ in range(steps):
        p = 1.0 / (1.0 + np.exp(-scaled @ at))
        gradient = scaled.T @ (weight * (p - right)) + ridge * at
        curvature = (scaled * (weight * p * (1.0 - p))[:, None]).T @ scaled + np.diag(ridge + 1e-9)
        at -= np.linalg.solve(curvature, gradient)
    return at / spread


def named_further_down(days: Sequence[Judged]) -> float:
    """Of incidents whose first cause is wrong, the share that has a right one among the others."""
    wrong = [v for one in days for v in one.verdicts if v.last.causes and not v.right(v.last)]
    named = [v.problem is not None and any(c.service in v.problem.named for c in v.last.causes[1:]) for v in wrong]
    return (sum(named) + 1.0) / (len(named) + 2.0)


def left_out(cases: Sequence[Case]) -> list[Said]:
    """The last word of each incident, by coefficients of other days."""
    days = sorted({case.day for case in cases})
    out = []
    for fold in range(min(FOLDS, len(days))):
        away = set(days[fold::FOLDS])
        by = fitted([case for case in cases if case.day not in away])
        out += [Said(probability(case.facts, by), case.right) for case in cases if case.day in away and case.last]
    return out


def main(arguments: list[str] | None = None) -> None:
    """Fit, print the coefficients as they stand in the code, and the errors."""
    options = options_of(arguments, "551-580", __doc__)
    results.introduce("Confidence of first causes, fitted where the truth is known.")
    days = [judged(day) for day in played(options)]
    cases = cases_of(days)
    by = fitted(cases)
    last = [case for case in cases if case.last]
    out: dict[str, Any] = {name: getattr(by, name) for name in NAMES}
    out["named"] = round(named_further_down([one for one in days if one.day.simulated]), 3)
    print(f"{len(last)} incidents of {len({case.day for case in cases})} days, {sum(c.right for c in last)} right\n")
    print(f"FITTED = Map({', '.join(f'{name}={value}' for name, value in out.items())})")
    said = {
        "share alone": [Said(case.facts.share, case.right) for case in last],
        "fitted": [Said(probability(case.facts, by), case.right) for case in last],
        "other days": left_out(cases),
    }
    print(f"\n{'':14s} {'ECE':>6s} {'luck':>6s} {'apart':>6s}")
    for name, some in said.items():
        apart = reliability.told_apart(some) or 0.0
        print(f"{name:14s} {reliability.error(some):6.3f} {reliability.by_luck(some):6.3f} {apart:6.3f}")
        out[f"ece.{name.replace(' ', '_')}"] = round(reliability.error(some), 4)
    print("\nof other days\n" + "\n".join(reliability.lines(said["other days"])))
    results.write(options.json, {"confidence.fit": out}, seeds=f"{options.seeds[0]}-{options.seeds[-1]}")


if __name__ == "__main__":
    main()
