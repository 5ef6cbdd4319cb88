"""For how long the store keeps what it was told."""

from __future__ import annotations

from typing import Annotated

import msgspec

from streams.durations import UNITS

Duration = Annotated[int, msgspec.Meta(ge=0, extra={"text": "duration"})]
"""ns; in a configuration a number with a unit."""


class Keep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long the history keeps what it was told, by event time; at least 1h.

    Attributes
    ----------
    incidents : duration
        Incidents that are over, their transitions and commands, noise figures, notices, changes.
    anomalies : duration
        Anomalies and how their signals went.
    evidence : duration
        What was found of every service in every window, 10 s each: the lines of the plots.
    topology : duration
        Services and calls that were not seen for this long.
    """

    incidents: Duration = 90 * UNITS["d"]
    anomalies: Duration = 14 * UNITS["d"]
    evidence: Duration = 2 * UNITS["d"]
    topology: Duration = 90 * UNITS["d"]
