"""A deviation that scores high -> why it opens no anomaly all the same: gates that a person understands.

A score says how rare a value is for its own series, not whether anybody cares.  Gates stand between the score and the opening
of an anomaly; evidence for the ranking of causes passes them by, and an anomaly that is open is not closed by them.  Every
deviation that is held back is counted once, by its reason.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiops.detect.policy import Watched

BAR = "bar"  # the score is below the bar of the signal's own policy, though not below that of others
ENTITY = "entity"  # the series are judged together, as one entity
PLAIN = "plain"  # of log lines: no warning and no error, or said in a single window, of a service that is calm: nobody can act
REASONS = ("direction", "effect", "share", "few", BAR, ENTITY, PLAIN)
FEW = 3.0  # standard deviations of a Poisson count that a change of a small count must exceed


def held_back(watched: Watched, score: float, observed: float, expected: float, seconds: float = 0.0) -> str:
    """Why a deviation opens nothing; empty where it may.

    Parameters
    ----------
    watched : Watched
    score : float
        Signed: above 0 where the value is above what is expected.
    observed, expected : float
        In the unit of the metric.
    seconds : float
        Of rates of events: over how long the events were counted; 0 where they are none.

    Returns
    -------
    str
        ``direction``: it goes the way that nobody minds.  ``effect``, ``share``: it is small, in its unit or as a share of
        what is expected.  ``few``: chance alone moves so few events as much.

    >>> from aiops.detect.policy import MetricPolicy
    >>> latency = MetricPolicy().watched("prod", "web", "request.latency", "s", 0, 0)
    >>> held_back(latency, 5.0, 0.11, 0.1), held_back(latency, -5.0, 0.01, 0.1), held_back(latency, 5.0, 0.2, 0.1)
    ('share', 'direction', '')
    """
    if watched.direction != "both" and (watched.direction == "up") != (score > 0):
        return "direction"
    effect = abs(observed - expected)
    if effect < watched.least:
        return "effect"
    if effect < watched.least_share * abs(expected):
        return "share"
    if seconds > 0 and watched.kind == "count":
        # The greater of both: a count that was 0 has no spread of its own.
        events = max(observed, expected, 0.0) * seconds
        if effect * seconds < FEW * math.sqrt(events):
            return "few"
    return ""
