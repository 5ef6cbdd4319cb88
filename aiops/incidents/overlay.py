"""What people said of an incident, laid over what the engine says: record in, record out; correlation never sees it.

An overlay belongs to an incident id for as long as the incident can be commanded.  The engine's own record stays as it is
underneath, so that a new version of it brings the overlay along, and what people say is never lost to a new window.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from aiops.incidents.alerts import worse
from aiops.incidents.report import MEMBERS, summary_of, title_of, unsure_of
from aiops.records import (
    Cause,
    CauseKind,
    Decision,
    Feedback,
    Incident,
    IncidentState,
    Verdict,
    rfc3339,
    unix_ns,
)

LOG = 50  # decisions listed of an incident; older ones are counted
ENGINE = "engine"  # author of what the engine decided by itself


class Judgement(msgspec.Struct):
    """A person's word on a service as the cause; kind None: whatever the kind."""

    service: str
    kind: CauseKind | None
    verdict: Verdict
    author: str

    def about(self, service: str, kind: str) -> bool:
        """Is this cause meant?"""
        return self.service == service and self.kind in (None, kind)


class Overlay(msgspec.Struct):
    """What people said of one incident; times in Unix ns, -1 = never."""

    acknowledged_by: str | None = None
    assignee: str | None = None
    team: str | None = None
    labels: dict[str, str] = {}
    resolved: int = -1  # by a person, though the engine may follow it still
    resolved_severity: str = ""  # what it was then
    resolution: str | None = None
    reopened: bool = False  # by a person: open until a person resolves it
    merged_into: str | None = None
    split_from: str | None = None
    judgements: list[Judgement] = []
    feedback: Feedback | None = None
    log: list[Decision] = []
    forgotten: int = 0  # decisions older than those of the log

    def note(self, decision: Decision) -> None:
        """Write down what was commanded."""
        self.log.append(decision)
        if (more := len(self.log) - LOG) > 0:
            del self.log[:more]
            self.forgotten += more

    def judge(self, judgement: Judgement) -> None:
        """Take a person's word on a cause; the last word on one counts, and only one cause is confirmed."""
        kept = [j for j in self.judgements if (j.service, j.kind) != (judgement.service, judgement.kind)]
        if judgement.verdict == "confirmed":
            kept = [j for j in kept if j.verdict == "rejected" and not judgement.about(j.service, j.kind or "")]
        self.judgements = [*kept, judgement][-LOG:]

    def begin_again(self) -> None:
        """The incident has come back: what was said of its end, and that somebody looks at it, was about the last time."""
        self.acknowledged_by, self.reopened = None, False
        self.resolved, self.resolved_severity, self.resolution = -1, "", None


def standing(base: Incident, overlay: Overlay) -> IncidentState:
    """State of the incident as people see it."""
    if overlay.merged_into is not None:
        return "merged"
    if overlay.resolved >= 0 or (base.state == "resolved" and not overlay.reopened):
        return "resolved"
    return "open" if overlay.acknowledged_by is None else "acknowledged"


def dressed(base: Incident, overlay: Overlay) -> Incident:
    """The engine's record, its version kept, with what people said of it."""
    state = standing(base, overlay)
    resolved_at = None
    if state == "resolved":
        resolved_at = rfc3339(overlay.resolved) if overlay.resolved >= 0 else base.resolved_at
    episodes = base.episodes
    if episodes and state in ("open", "acknowledged", "resolved"):
        last = msgspec.structs.replace(episodes[-1], resolved_at=resolved_at)
        episodes = (*episodes[:-1], last)
    out = msgspec.structs.replace(
        base, state=state, resolved_at=resolved_at, episodes=episodes, acknowledged_by=overlay.acknowledged_by,
        merged_into=overlay.merged_into, split_from=overlay.split_from, assignee=overlay.assignee, team=overlay.team,
        labels={**base.labels, **overlay.labels}, log=tuple(overlay.log), log_truncated=overlay.forgotten,
        resolution=overlay.resolution, feedback=overlay.feedback,
    )  # fmt: skip
    return judged(out, overlay.judgements) if overlay.judgements else out


def word_on(judgements: list[Judgement], service: str, kind: str) -> Judgement | None:
    """What was said last of a cause."""
    return next((j for j in reversed(judgements) if j.about(service, kind)), None)


def place_of(judgements: list[Judgement]) -> Callable[[str, str], int]:
    """Where a cause belongs by what people said: -1 first, 0 as it was ranked, 1 last."""

    def place(service: str, kind: str) -> int:
        said = word_on(judgements, service, kind)
        return 0 if said is None else (-1 if said.verdict == "confirmed" else 1)

    return place


def judged(incident: Incident, judgements: list[Judgement]) -> Incident:
    """The same with its causes in the order of what people said of them, and words that follow."""
    place = place_of(judgements)
    causes = [_said(cause, word_on(judgements, cause.service, cause.kind)) for cause in incident.causes]
    confirmed = (j for j in judgements if j.verdict == "confirmed")
    causes += [_named(j) for j in confirmed if not any(j.about(c.service, c.kind) for c in causes)]
    causes.sort(key=lambda cause: place(cause.service, cause.kind))
    ranked = tuple(msgspec.structs.replace(cause, rank=k + 1) for k, cause in enumerate(causes))
    if not ranked:
        return incident
    unsure = ranked[0].verdict != "confirmed" and unsure_of(ranked)
    return msgspec.structs.replace(
        incident, causes=ranked, no_confident_cause=unsure, title=title_of(ranked, unsure),
        summary=summary_of(ranked, unsure, incident.first_symptom, incident.impact.felt, incident.impact.services),
    )  # fmt: skip


def _said(cause: Cause, word: Judgement | None) -> Cause:
    if word is None:
        return cause
    confirmed = word.verdict == "confirmed"
    caveats = tuple(c for c in cause.caveats if not c.endswith("is a hypothesis")) if confirmed else cause.caveats
    return msgspec.structs.replace(
        cause, confidence=1.0 if confirmed else 0.0, verdict=word.verdict, verdict_by=word.author,
        caveats=(*caveats, f"{word.verdict} as the cause by {word.author}"),
    )  # fmt: skip


def _named(word: Judgement) -> Cause:
    """A cause that the engine did not think of."""
    return Cause(
        rank=1, service=word.service, kind=word.kind or "unknown", score=0.0, confidence=1.0, verdict="confirmed",
        verdict_by=word.author, summary=f"{word.service} was named as the cause by {word.author}",
        caveats=(f"confirmed as the cause by {word.author}", "the engine has no evidence of its own for it"),
    )  # fmt: skip


def joined(target: Incident, source: Incident) -> Incident:
    """What is left to do where two incidents that are over are one: the target's record takes the source's members."""
    members = {m.anomaly_id: m for m in (*source.members, *target.members)}
    listed = sorted(members.values(), key=lambda m: (-m.score, m.anomaly_id))
    counts = msgspec.structs.replace(
        target.counts,
        anomalies=target.counts.anomalies + source.counts.anomalies,
        suppressed=target.counts.suppressed + source.counts.suppressed,
        alerts=target.counts.alerts + source.counts.alerts,
        signals=max(target.counts.signals, source.counts.signals, len({(m.service, m.signal) for m in listed})),
    )
    return msgspec.structs.replace(
        target, services=tuple(sorted({*target.services, *source.services})), members=tuple(listed[:MEMBERS]),
        members_truncated=max(0, counts.anomalies - MEMBERS), counts=counts,
        onset_at=min(target.onset_at, source.onset_at, key=unix_ns), severity=worse(target.severity, source.severity),
    )  # fmt: skip
