"""What a sink is told: one message, of an incident or of the engine itself; and an incident cut to what messages need."""

from __future__ import annotations

import msgspec

from aiops.records import Correlation, Exemplars, Incident, rfc3339
from aiops.told import Severity

CAUSES, EVIDENCE, CHANGES, SIMILAR, SERVICES = 3, 3, 5, 3, 50  # of an incident that a message keeps


class Message(msgspec.Struct, kw_only=True):
    """One message, as it is kept until every sink has it; times in Unix ns of event time.

    Attributes
    ----------
    notification_id : str
        Of the decision; the same at every attempt, so that a receiver can tell a repeat.
    key : str
        What it is about: the incident, through all its messages.
    trigger : str
        What happened, a trigger of a notification; ``heartbeat`` where nothing did.
    firing : bool
        Does what it is about go on?
    time, since : int
        When it was decided, and since when what it is about lasts.
    labels : dict
        Of the whole life of what it is about: they never change.
    lines : list of str
        What there is to say beside the title, most important first.
    incident : Incident or None
        In brief; None where it is about the engine.
    """

    notification_id: str
    key: str
    trigger: str
    firing: bool
    time: int
    since: int
    tenant: str
    environment: str
    severity: Severity
    title: str
    lines: list[str] = []
    reason: str = ""
    labels: dict[str, str] = {}
    incident: Incident | None = None
    link: str = ""

    @property
    def at(self) -> str:
        """When it was decided, as text."""
        return rfc3339(self.time)


def brief(incident: Incident) -> Incident:
    """The incident without what no message shows: some kB instead of up to a MiB, for as long as it is followed."""
    causes = tuple(
        msgspec.structs.replace(cause, evidence=cause.evidence[:EVIDENCE], caveats=cause.caveats[:EVIDENCE])
        for cause in incident.causes[:CAUSES]
    )
    impact = msgspec.structs.replace(
        incident.impact, services=incident.impact.services[:SERVICES], felt=incident.impact.felt[:SERVICES]
    )
    return msgspec.structs.replace(
        incident, causes=causes, impact=impact, members=(), episodes=incident.episodes[-1:], log=incident.log[-1:],
        changes=incident.changes[:CHANGES], similar_incidents=incident.similar_incidents[:SIMILAR], exemplars=Exemplars(),
        correlation=Correlation(reasons=incident.correlation.reasons[:EVIDENCE]), services=incident.services[:SERVICES],
        links=incident.links[:EVIDENCE], models={},
    )  # fmt: skip


def lines_of(incident: Incident, reason: str, held: list[str]) -> list[str]:
    """What a person on call reads below the title."""
    lines = [reason[:1].upper() + reason[1:] + "."] if reason else []
    lines += [f"While it was kept short: {'; '.join(held)}."] if held else []
    if (symptom := incident.first_symptom) is not None:
        lines.append(f"First symptom: {symptom.service}, {symptom.signal}, at {symptom.at}.")
    if not incident.causes:
        lines.append("No cause is known.")
    elif incident.no_confident_cause:
        lines.append("No confident cause.")
    for cause in incident.causes:
        lines.append(
            f"{cause.rank}. {cause.service} ({cause.kind}, confidence {cause.confidence:.2f}): {cause.summary}"
        )
    if (share := incident.impact.requests_affected_ratio) is not None:
        lines.append(f"{100 * share:.1f} % of requests affected.")
    if felt := incident.impact.felt:
        lines.append(f"Felt by {', '.join(felt[:10])}.")
    lines += [f"Change: {change.summary or change.change_id} ({change.reason})." for change in incident.changes]
    lines += [
        f"Alike: {past.title or past.incident_id}" + (f", resolved by {past.resolution}." if past.resolution else ".")
        for past in incident.similar_incidents
    ]
    if incident.resolution:
        lines.append(f"Resolution: {incident.resolution}.")
    return lines
