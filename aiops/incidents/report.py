"""A case -> the public record of the incident, in words a person on call reads: what deviated from what, why, how sure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import msgspec

from aiops.causes.confidence import NO_TERM, UNSURE, probabilities
from aiops.causes.rank import DOWN, EDGE, NET, PLACE, TERM_NAMES, Ranked
from aiops.causes.scatter import MANY, shared
from aiops.findings import CHATTER, ERRORS, HEARTBEAT, LOG, LOSS, LOST, METRIC, NOVEL, OWN, PLAIN, RESOURCE
from aiops.incidents.environment import Environment
from aiops.incidents.explain import pairs_apart
from aiops.incidents.impact import upstream
from aiops.incidents.lifecycle import Case
from aiops.records import (
    Cause,
    Change,
    Correlation,
    Counts,
    Episode,
    Evidence,
    EvidenceType,
    Exemplars,
    FirstSymptom,
    Impact,
    Incident,
    Member,
    Reason,
    RelatedChange,
    SimilarIncident,
    Suppression,
    rfc3339,
    unix_ns,
)
from aiops.signals import SECOND

MEMBERS = 50  # listed; counts stay exact
BEFORE = 300 * SECOND  # an alert that began so long before the onset is no first symptom
CAUSES = 10
CHANGES = 10  # listed, and as evidence for a cause
LONGEST_STATEMENT = 500  # characters of what a change says as evidence

# Which terms of detect stand behind each part of a cause's score.
_BEHIND = {
    "resource": (RESOURCE,), "own": (OWN,), "net": (NET, EDGE), "code": (LOST, LOSS, NOVEL, ERRORS, PLAIN),
    "heartbeat": (HEARTBEAT,), "down": (DOWN,), "log": (LOG, CHATTER), "metric": (METRIC,), "place": (PLACE,),
}  # fmt: skip
_KINDS = {
    "resource": "is short of a resource, slow by itself, or lost instances", "network": "is slow to reach over the network",
    "code": "behaves differently in its own code", "dependency": "is down: its callers do not reach it",
    "change": "changed shortly before", "external": "was reported from outside", "unknown": "has unusual metrics",
}  # fmt: skip
_MACHINES = {"host": "is the machine that this has in common", "zone": "is the zone that this has in common"}


def incident(case: Case, environment: Environment, changes: list[Change], now: int, about: tuple[str, str]) -> Incident:
    """The record of a case at event time `now`; `about` is (engine version, configuration hash)."""
    names = environment.services
    causes = _causes(case, environment, changes)
    unsure = unsure_of(causes)
    members = sorted(case.members.values(), key=lambda a: (-a.score, a.anomaly_id))
    symptom = _first_symptom(case, environment)
    affected = sorted(names[s] for s in upstream(case, environment))
    title = _title(environment, case, causes, unsure)
    resolved = case.closed if case.closed >= 0 else None
    return Incident(
        incident_id=case.incident_id,
        version=case.version,
        episode=case.episode,
        tenant=environment.tenant,
        environment=environment.name,
        state="resolved" if resolved is not None else "open",
        severity=case.severity,  # type: ignore[arg-type]
        title=title,
        summary=summary_of(causes, unsure, symptom, case.felt, affected),
        opened_at=rfc3339(case.opened),
        onset_at=rfc3339(case.onset),
        updated_at=rfc3339(now),
        resolved_at=rfc3339(resolved) if resolved is not None else None,
        episodes=tuple(
            Episode(opened_at=rfc3339(a or 0), resolved_at=rfc3339(b) if b is not None else None)
            for a, b in case.episodes
        ),
        settled=case.settled,
        services=tuple(sorted(names[s] for s in case.services)),
        causes=causes,
        no_confident_cause=unsure,
        first_symptom=symptom,
        impact=Impact(
            services=tuple(affected),
            blast_radius=len(affected),
            requests_affected_ratio=round(min(1.0, case.affected), 4) if case.affected >= 0 else None,
            felt=tuple(case.felt),
        ),
        correlation=Correlation(reasons=_reasons(case, environment)),
        counts=Counts(
            anomalies=len(case.members) + case.more_members,
            suppressed=sum(case.suppressed.values()),
            signals=len({(m.service, m.signal) for m in case.members.values()}),
            alerts=sum(m.kind == "external" for m in case.members.values()),
        ),
        members=tuple(
            Member(
                anomaly_id=m.anomaly_id, service=m.service, signal=m.signal, state=m.state, onset=m.onset, score=m.score
            )
            for m in members[:MEMBERS]
        ),
        members_truncated=max(0, len(members) - MEMBERS) + case.more_members,
        exemplars=Exemplars(logs=tuple(line for m in members for line in m.exemplars.logs if line)[:5]),
        changes=_related(case, environment, changes),
        similar_incidents=msgspec.convert(case.similar, tuple[SimilarIncident, ...]),
        flapping=case.flapping,
        suppressed_by=tuple(Suppression(by=by, reason=reason) for by, reason in case.muted),
        models=dict(sorted({m.detector: m.detector_version for m in case.members.values()}.items())),
        engine_version=about[0],
        config_hash=about[1],
        severity_reason=case.severity_reason,
    )


def _causes(case: Case, environment: Environment, changes: list[Change]) -> tuple[Cause, ...]:
    told = case.causes[:CAUSES]
    evidence = [_evidence(case, environment, ranked, changes) for ranked in told]
    terms = [one.ref for of in evidence[:1] for one in of if one.type not in NO_TERM and one.ref is not None]
    pairs = pairs_apart(case)
    likely = [shared(p, pairs) for p in probabilities([ranked.score for ranked in told], terms)]
    return tuple(
        _cause(environment, place, ranked, of, probability, pairs)
        for place, (ranked, of, probability) in enumerate(zip(told, evidence, likely, strict=True))
    )


def _cause(
    environment: Environment,
    place: int,
    ranked: Ranked,
    evidence: tuple[Evidence, ...],
    probability: float,
    pairs: int,
) -> Cause:
    service = environment.services[ranked.service]
    scope = environment.machines.kind.get(ranked.service, "service")
    what = _MACHINES[scope] if "place" in ranked.parts and scope in _MACHINES else _KINDS[ranked.kind]
    caveats = []
    if environment.visits.sum() == 0:
        caveats.append("no traces: callers and callees cannot be told apart by what they did")
    if place == 0 and pairs >= MANY:
        caveats.append(
            f"calls of {pairs} services to as many others reach nobody, which no single one explains: the network is as likely"
        )
    if ranked.kind == "external":
        caveats.append("reported from outside; nothing in the telemetry speaks for it")
    if place == 0 and ranked.kind == "change":
        caveats.append("the change came about when it began; that it is the cause is a hypothesis")
    return Cause(
        rank=place + 1,
        service=service,
        kind=ranked.kind,  # type: ignore[arg-type]
        score=round(ranked.score, 3),
        confidence=round(probability, 3),
        summary=f"{service} {what}" + (f": {evidence[0].statement}" if evidence else ""),
        evidence=evidence,
        caveats=tuple(caveats),
        scope=scope,  # type: ignore[arg-type]
    )


def _evidence(case: Case, environment: Environment, ranked: Ranked, changes: list[Change]) -> tuple[Evidence, ...]:
    out = []
    onset = case.first[ranked.service]
    at = rfc3339(int(onset)) if onset < float("inf") else None
    for part, weight in sorted(ranked.parts.items(), key=lambda item: (-item[1], item[0])):
        if weight < 0.5:
            continue
        if part == "external":
            out += _reported(case, environment.services[ranked.service], weight)
            continue
        if part == "change":
            own = [change for change in changes if change.service == environment.services[ranked.service]]
            for change in _nearest(own, case.onset):
                statement = f"{change.kind} at {change.time}: {change.summary or change.change_id}"
                out.append(
                    Evidence(
                        type="change",
                        ref=change.change_id,
                        statement=statement[:LONGEST_STATEMENT],
                        weight=round(weight, 3),
                        onset=change.time,
                    )
                )
            continue
        best = max(_BEHIND.get(part, ()), key=lambda term: (case.peak[ranked.service, term], -term), default=None)
        note = case.notes.get((ranked.service, best)) if best is not None else None
        if best is not None and note is not None:
            kind = cast("EvidenceType", note.type)
            out.append(
                Evidence(type=kind, ref=TERM_NAMES[best], statement=note.statement, weight=round(weight, 3), onset=at)
            )
    return tuple(out)


def _reported(case: Case, service: str, weight: float) -> list[Evidence]:
    """What alerts of other tools say of a service."""
    name = service.rpartition("/")[2]  # an alert may name it without its namespace
    alerts = [m for m in case.members.values() if m.kind == "external" and m.service.rpartition("/")[2] == name]
    alerts.sort(key=lambda m: (-m.score, m.onset, m.anomaly_id))
    return [
        Evidence(type="alert", ref=m.anomaly_id, statement=m.statement, weight=round(weight, 3), onset=m.onset)
        for m in alerts[:3]
    ]


def _title(environment: Environment, case: Case, causes: tuple[Cause, ...], unsure: bool) -> str:
    names = ", ".join(sorted(environment.services[s] for s in case.services)[:3])
    title = title_of(causes, unsure) if causes else names
    return cut(f"{case.called}: {title}") if case.called else title


def unsure_of(causes: tuple[Cause, ...]) -> bool:
    """Is no cause named with confidence?"""
    return not causes or causes[0].confidence < UNSURE


def title_of(causes: tuple[Cause, ...], unsure: bool) -> str:
    """The first cause and what speaks for it."""
    first = causes[0]
    said = first.evidence[0].statement if first.evidence else _KINDS[first.kind]
    prefix = "no confident cause; most suspect " if unsure else ""
    title = f"{prefix}{first.service}: {said}"
    return cut(title)


def cut(title: str) -> str:
    """A title is no longer than people read."""
    return title if len(title) <= 240 else title[:237] + "..."


def summary_of(
    causes: tuple[Cause, ...], unsure: bool, symptom: FirstSymptom | None, felt: Sequence[str], affected: Sequence[str]
) -> str:
    """First symptom, likely cause, the next, and who feels it, in words."""
    parts = []
    if symptom is not None:
        parts.append(f"First symptom: {symptom.service}, {symptom.signal}, at {symptom.at}.")
    if causes:
        word = "No confident cause; the most suspect is" if unsure else "Likely cause:"
        parts.append(f"{word} {causes[0].summary} (confidence {causes[0].confidence:.2f}).")
    if len(causes) > 1:
        parts.append(f"Next: {causes[1].service} ({causes[1].kind}, {causes[1].confidence:.2f}).")
    if felt:
        parts.append(f"Callers that feel it: {', '.join(felt)}.")
    others = [name for name in affected if name not in felt]
    if others or not felt:
        parts.append(f"Callers that may feel it: {', '.join(others) or 'none known'}.")
    return " ".join(parts)


def _first_symptom(case: Case, environment: Environment) -> FirstSymptom | None:
    members = sorted(case.members.values(), key=lambda m: (m.onset, m.service, m.signal))
    # An alert may have fired for long; that it joins does not make it where this began.
    members = [m for m in members if m.kind != "external" or unix_ns(m.onset) >= case.onset - BEFORE]
    if members:
        return FirstSymptom(service=members[0].service, signal=members[0].signal, at=members[0].onset)
    active = [s for s in case.services if case.first[s] < float("inf")]
    if not active:
        return None
    s = min(active, key=lambda k: (case.first[k], environment.services[k]))
    term = max(range(case.peak.shape[1]), key=lambda k: (case.peak[s, k], -k))
    return FirstSymptom(service=environment.services[s], signal=TERM_NAMES[term], at=rfc3339(int(case.first[s])))


def _reasons(case: Case, environment: Environment) -> tuple[Reason, ...]:
    names, out = environment.services, []
    active = sorted((case.first[s], names[s]) for s in case.services if case.first[s] < float("inf"))
    if len(active) > 1:
        spread = (active[-1][0] - active[0][0]) / SECOND
        out.append(Reason(type="time", statement=f"evidence of {len(active)} services began within {spread:.0f} s"))
    for s in sorted(case.services, key=lambda k: names[k]):
        callees = sorted(environment.callees.get(s, set()) & case.services, key=lambda k: names[k])
        out += [Reason(type="topology", statement=f"{names[s]} calls {names[callee]}") for callee in callees]
    said = [Reason(type=type_, statement=statement) for type_, statement in case.remarks.values()]  # type: ignore[arg-type]
    return (*out[:12], *said)


def _related(case: Case, environment: Environment, changes: list[Change]) -> tuple[RelatedChange, ...]:
    names = {environment.services[s] for s in case.services}
    plausible = {environment.services[c.service]: c.parts.get("change", 0.0) for c in reversed(case.causes)}
    out = []
    for change in _nearest([c for c in changes if c.service in names], case.onset, plausible):
        minutes = (case.onset - unix_ns(change.time)) / (60 * SECOND)
        when = f"{minutes:.0f} min before" if minutes >= 0 else "just after"
        reason = f"{change.service} takes part; {when} the onset"
        score = round(plausible.get(change.service, 0.0), 3)
        out.append(RelatedChange(change_id=change.change_id, summary=change.summary, reason=reason, score=score))
    return tuple(out)


def _nearest(changes: list[Change], onset: int, plausible: Mapping[str, float] | None = None) -> list[Change]:
    """Of too many changes those of the most plausible services and the nearest to the onset, in the order of their coming."""
    worth = plausible or {}
    order = sorted(changes, key=lambda c: (-worth.get(c.service, 0.0), abs(onset - unix_ns(c.time)), c.change_id))
    listed = {(c.change_id, c.state) for c in order[:CHANGES]}
    return [c for c in changes if (c.change_id, c.state) in listed]
