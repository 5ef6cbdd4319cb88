"""Surprises of the terms -> evidence, the term that spoke most, and a score; and which points alert.

Evidence is the sum of what each term is beyond its quiet decades, so that a quiet term adds nothing, times its weight
and how far it is believed.  The score is the evidence on one fixed monotone curve, the same for every series: -log10
of the share of points of ordinary noise with as much evidence.

Where a forecast explains a series better than its last value does, the evidence of a small effect is discounted: among
a hundred thousand points there is always a rare one that nobody would look at.

Alert once: after an alert the bar stands one above it and sinks to nothing within ``HOLD`` points.  A plateau or a
long disturbance is one alert, a clear escalation alerts again at once, and no threshold is in it: the operator chooses
one afterwards.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from aiops.bank.columns import FORECAST, TERMS, TIME_OF_DAY, TRANSITION

# In the order of TERMS: weight, and decades that a term must exceed to count.
WEIGHTS = np.array([1.0, 1.0, 0.5, 1.0, 0.5, 1.0, 0.8, 0.3, 0.3, 0.3, 0.5])
QUIET = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0])
UNTRUSTED = 0.5  # share of a rare change of level that counts where no time of day explains the series
FULL_EFFECT = 10.0  # usual errors, or usual steps, from which an effect counts fully
LEAST_EFFECT = 0.1  # share that the smallest effect keeps
# Evidence -> score, set on simulated noise with heavy tails, where the terms fire together; on lighter tails alarms are rarer
# than the score says.
EVIDENCE = np.array([0.0, 0.1, 0.65, 1.3, 2.25, 3.7, 5.8, 8.7, 11.4, 14.3, 20.0])
SCORE = np.array([0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0])
HOLD = 100  # points until the bar has sunk
ABOVE = 1.0  # evidence above the last alert that alerts again at once
LEAST = 1.0  # evidence below which nothing alerts


@njit(nogil=True, cache=True, error_model="numpy")
def belief(believed: Any, trust: Any, doubt: Any, forecast: Any, measured: Any, effect: Any) -> None:
    """How far each term is believed.

    Parameters
    ----------
    believed : float64[TERMS], filled
    trust, doubt, forecast, measured : float
        Of the seasons, 0..1.
    effect : float
        Greater of the error in usual errors and the step in usual steps.
    """
    small = 1.0 - min(max(effect / FULL_EFFECT, LEAST_EFFECT), 1.0)
    for j in range(len(believed)):  # no slice: it would cost more than the loop
        believed[j] = 1.0 - trust * measured * small
    believed[TRANSITION] *= UNTRUSTED + (1.0 - UNTRUSTED) * trust
    believed[TIME_OF_DAY] *= trust * (1.0 - doubt)
    believed[FORECAST] *= forecast


@njit(nogil=True, cache=True, error_model="numpy")
def fuse(spoke: Any, believed: Any, weights: Any, quiet: Any) -> Any:
    """Evidence of a point, and the term that spoke most, -1 = none; all float64[TERMS]."""
    evidence, most, term = 0.0, 0.0, -1
    for j in range(len(TERMS)):
        beyond = spoke[j] - quiet[j]
        if beyond > 0:
            part = weights[j] * believed[j] * beyond
            evidence += part
            if part > most:
                most, term = part, j
    return evidence, term


@njit(nogil=True, cache=True, error_model="numpy")
def score(evidence: Any) -> Any:
    """-log10 P of an evidence: the curve, and its last slope beyond it."""
    last = len(EVIDENCE) - 1
    k = 1
    while k < last and evidence > EVIDENCE[k]:
        k += 1
    slope = (SCORE[k] - SCORE[k - 1]) / (EVIDENCE[k] - EVIDENCE[k - 1])
    return SCORE[k - 1] + slope * (evidence - EVIDENCE[k - 1])


@njit(nogil=True, cache=True, error_model="numpy")
def may_alert(since: Any, last: Any, evidence: Any) -> Any:
    """May a point alert that comes `since` points after the last alert, which had evidence `last`?"""
    if evidence < LEAST:
        return False
    return since >= HOLD or evidence >= (last + ABOVE) * (1.0 - since / HOLD)
