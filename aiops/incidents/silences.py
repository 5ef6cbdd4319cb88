"""Silences and maintenance windows of an environment -> what keeps an incident from notifying, and until when.

They hide nothing: incidents open, are ranked and recorded as ever, and say in ``suppressed_by`` who wants quiet and why.
"""

from __future__ import annotations

from itertools import islice
from typing import Any, Literal

import msgspec

from aiops.records import Incident, Suppression, rfc3339

MOST = 1_000  # of an environment, silences and maintenance together
EVERY = "*"  # maintenance of all services
LISTED = 20  # of those that match, that an incident names


class Quiet(msgspec.Struct, frozen=True, kw_only=True):
    """A silence or a maintenance window, from `since` until before `until` (Unix ns).

    A silence matches an incident where everything that it names is so: the incident itself, one of its services, its severity,
    the kind of its first cause.  Maintenance matches where the service of the first cause, or all services, are in it.
    """

    kind: Literal["silence", "maintenance"]
    since: int
    until: int
    author: str
    reason: str
    incident: str | None = None
    service: str | None = None
    severity: str | None = None
    cause_kind: str | None = None
    services: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, ...]:
        """What it is about: a later one about the same takes its place."""
        about = (self.incident, self.service, self.severity, self.cause_kind)
        return (self.kind, *(text or "" for text in about), *self.services)

    def matches(self, incident: Incident) -> bool:
        """Is this incident meant?"""
        first = incident.causes[0] if incident.causes else None
        if self.kind == "maintenance":
            in_it = set(self.services)
            if EVERY in in_it or (first is not None and first.service in in_it):
                return True
            return bool(incident.services) and set(incident.services) <= in_it
        return (
            self.incident in (None, incident.incident_id)
            and (self.service is None or self.service in incident.services)
            and self.severity in (None, incident.severity)
            and self.cause_kind in (None, first.kind if first is not None else None)
        )

    def suppression(self) -> Suppression:
        """As the incident says it."""
        return Suppression(by=self.kind, reason=self.reason, author=self.author, until=rfc3339(self.until))


class Quiets:
    """Silences and maintenance windows of one environment."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, ...], Quiet] = {}

    def __len__(self) -> int:
        return len(self._of)

    def set(self, now: int, quiet: Quiet) -> str:
        """Take one over; returns what came of it, in words, or '' where there are too many."""
        self.expire(now)
        was = self._of.pop(quiet.key, None)
        if quiet.until <= max(now, quiet.since):
            return f"the {quiet.kind} is over" if was is not None else f"there was no such {quiet.kind} to end"
        if len(self._of) >= MOST:
            return ""
        self._of[quiet.key] = quiet
        begins = f"from {rfc3339(quiet.since)} " if quiet.since > now else ""
        return f"{quiet.kind} {begins}until {rfc3339(quiet.until)}"

    def expire(self, now: int) -> None:
        """Forget what is over at event time `now`."""
        for key in [key for key, quiet in self._of.items() if quiet.until <= now]:
            del self._of[key]

    def of(self, incident: Incident, now: int) -> tuple[Suppression, ...]:
        """What keeps an incident from notifying at event time `now`, in the order of what is named; at most ``LISTED``."""
        found = (quiet for _, quiet in sorted(self._of.items()) if quiet.since <= now < quiet.until)
        return tuple(quiet.suppression() for quiet in islice((q for q in found if q.matches(incident)), LISTED))

    def state(self) -> list[Any]:
        """For a snapshot."""
        return [msgspec.to_builtins(quiet) for _, quiet in sorted(self._of.items())]

    def restore(self, state: list[Any]) -> None:
        """Take over the state of a snapshot."""
        quiets = (msgspec.convert(value, Quiet) for value in state)
        self._of = {quiet.key: quiet for quiet in quiets}
