"""Surprises of the terms -> evidence, the term that spoke most, and a score; and which points alert.

Evidence is the weighted sum of what each term is beyond one decade, so that a quiet term adds nothing.  The score is
the evidence on one fixed monotone curve, the same for every series: -log10 of the share of points of ordinary noise
with as much evidence.

Alert once: after an alert the bar stands one above it and sinks to nothing within ``HOLD`` points.  A plateau or a
long disturbance is one alert, a clear escalation alerts again at once, and no threshold is in it: the operator chooses
one afterwards.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

QUIET = 1.0  # decades that a term must exceed to count
# Evidence -> score, set on simulated noise with heavy tails, where the terms fire together; on lighter tails alarms
# are rarer than the score says.
EVIDENCE = np.array([0.0, 0.1, 0.65, 1.3, 2.25, 3.6, 5.6, 8.5, 10.7, 12.8, 17.0])
SCORE = np.array([0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0])
HOLD = 100  # points until the bar has sunk
STEP = 1.0  # evidence above the last alert that alerts again at once
LEAST = 1.0  # evidence below which nothing alerts


@njit(nogil=True, cache=True)
def score(evidence: Any) -> Any:
    """-log10 P of an evidence: the curve, and its last slope beyond it."""
    last = len(EVIDENCE) - 1
    k = 1
    while k < last and evidence > EVIDENCE[k]:
        k += 1
    slope = (SCORE[k] - SCORE[k - 1]) / (EVIDENCE[k] - EVIDENCE[k - 1])
    return SCORE[k - 1] + slope * (evidence - EVIDENCE[k - 1])


@njit(nogil=True, cache=True)
def may_alert(since: Any, last: Any, evidence: Any) -> Any:
    """May a point alert that comes `since` points after the last alert, which had evidence `last`?"""
    if evidence < LEAST:
        return False
    return since >= HOLD or evidence >= (last + STEP) * (1.0 - since / HOLD)
