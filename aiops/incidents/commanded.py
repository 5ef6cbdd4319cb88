"""Commands of people -> new versions of incidents, or a notice that says why not; at the clock at which they were logged.

Acknowledge, assign, comment, label, resolve, reopen, silence and maintenance are an overlay: correlation never sees them.
Merge and split regroup what the engine follows; confirm, reject and feedback stay with the incident.  Every command leaves a
line in the log of the incident that it names.  An incident that is over can be commanded for ``KEEP``.
"""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

import msgspec

from aiops.incidents import arguments
from aiops.incidents.alerts import worse
from aiops.incidents.arguments import LONGEST_ASKED, LONGEST_NAME, LONGEST_TEXT, RefusedError
from aiops.incidents.lifecycle import Case, Lifecycle
from aiops.incidents.overlay import ENGINE, Judgement, Overlay, dressed, joined, place_of, standing
from aiops.incidents.regroup import Groups
from aiops.incidents.silences import MOST, Quiet, Quiets
from aiops.records import (
    CauseKind,
    Command,
    Decision,
    Feedback,
    FeedbackVerdict,
    Incident,
    Notice,
    Severity,
    Suppression,
    anomaly_id,
    decode_incident,
    encode,
    incident_id,
    rfc3339,
)
from aiops.signals import SECOND

KEEP = 7 * 24 * 3600 * SECOND  # an incident that is over can be commanded for so long
MOST_OVER = 300  # of an environment; beyond it those go that have been over for longest
FORGET_EVERY = 600 * SECOND
MOST_LABELS = 50


@dataclasses.dataclass(slots=True)
class Known:
    """An incident that can be commanded.

    Attributes
    ----------
    base : Incident
        The last version as the engine sees it.
    suppressed : tuple of Suppression
        What the last version said beside that.
    over : int
        Since when the engine counts it as over, Unix ns; -1 = it does not.
    """

    base: Incident
    overlay: Overlay
    suppressed: tuple[Suppression, ...] = ()
    over: int = -1


class Commanded:
    """The incidents of one environment as people see them."""

    def __init__(self) -> None:
        self.quiets = Quiets()
        self.obeyed = self.refused = self.forgotten = 0
        self._known: dict[str, Known] = {}
        self._clock = -1  # greatest of windows and arrivals: windows lag behind what people say

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, incident: str) -> bool:
        return incident in self._known

    # ---- what the engine says -----------------------------------------------------------------------------------------
    def published(self, base: Incident, now: int) -> Incident:
        """The engine's new version at event time `now`, with what people said of the incident."""
        self._clock = max(self._clock, now)
        known = self._known.setdefault(base.incident_id, Known(base, Overlay()))
        overlay = known.overlay
        if base.episode > known.base.episode:
            overlay.begin_again()
        known.base = base
        known.over = (known.over if known.over >= 0 else now) if base.state == "resolved" else -1
        was = overlay.resolved_severity
        if overlay.resolved >= 0 and base.state != "resolved" and worse(was, base.severity) != was:
            overlay.begin_again()
            overlay.note(_engine(now, "reopen", f"reopened: the severity rose from {was} to {base.severity}"))
        return self._seen(known, now)

    def ordered(self, case: Case, services: list[str]) -> Case:
        """The case with its causes in the order of what people said of them: impact follows from the first."""
        known = self._known.get(case.incident_id)
        if known is None or not known.overlay.judgements:
            return case
        place = place_of(known.overlay.judgements)
        return dataclasses.replace(case, causes=sorted(case.causes, key=lambda c: place(services[c.service], c.kind)))

    def restless(self, incident: str, now: int) -> bool:
        """Has a silence or maintenance begun or ended for an incident since its last version?"""
        self._clock = max(self._clock, now)
        known = self._known.get(incident)
        if known is None or not (len(self.quiets) or known.suppressed):
            return False
        return self.quiets.of(dressed(known.base, known.overlay), self._clock) != known.suppressed

    def forget(self, now: int, lifecycle: Lifecycle) -> list[Incident]:
        """Forget what has been over for long, or what is too much; one that a person holds open is resolved."""
        self._clock = max(self._clock, now)
        if now % FORGET_EVERY and len(self._known) <= MOST_OVER:
            return []
        self.quiets.expire(self._clock)
        over = sorted((k.over, name) for name, k in self._known.items() if k.over >= 0)
        gone = [name for i, (since, name) in enumerate(over) if now - since > KEEP or i < len(over) - MOST_OVER]
        out = []
        for name in gone:
            known = self._known.pop(name)
            self.forgotten += 1
            if standing(known.base, known.overlay) in ("open", "acknowledged"):
                known.overlay.resolved = self._clock
                known.overlay.note(_engine(self._clock, "resolve", "resolved: the engine lets go of it"))
                out.append(self._next(known, lifecycle))
        return out

    def _seen(self, known: Known, at: int) -> Incident:
        record = dressed(known.base, known.overlay)
        known.suppressed = self.quiets.of(record, self._clock)
        quiet = (*record.suppressed_by, *known.suppressed)
        return msgspec.structs.replace(record, updated_at=rfc3339(at), suppressed_by=quiet)

    def _next(self, known: Known, lifecycle: Lifecycle) -> Incident:
        """The next version of an incident, of which the case must know."""
        known.base = msgspec.structs.replace(known.base, version=known.base.version + 1)
        case = lifecycle.case(known.base.incident_id)
        if case is not None:
            case.version = known.base.version
        return self._seen(known, self._clock)

    # ---- what people say --------------------------------------------------------------------------------------------------
    def obey(self, now: int, command: Command, groups: Groups) -> tuple[list[Incident], list[Notice]]:
        """A command that arrived at `now` (Unix ns): new versions, and notices where it was refused."""
        self._clock = max(self._clock, now)
        decision = Decision(
            time=rfc3339(self._clock), author=arguments.author(command), command=command.command,
            asked=arguments.asked(command), effect="",
        )  # fmt: skip
        notices: list[Notice] = []
        try:
            effects: dict[str, str] = getattr(self, f"_{command.command}")(now, command, groups)
            self.obeyed += 1
        except RefusedError as error:
            self.refused += 1
            effects = {command.incident_id: str(error)} if command.incident_id in self._known else {}
            decision = msgspec.structs.replace(decision, refused=True)
            notices.append(_refusal(now, command, str(error), groups))
        for name, effect in effects.items():
            self._known[name].overlay.note(msgspec.structs.replace(decision, effect=effect))
        names = set(effects)
        if command.command in ("silence", "maintenance"):
            names |= {n for n, k in self._known.items() if k.over < 0 and self.restless(n, now)}
        return [self._next(self._known[name], groups.lifecycle) for name in sorted(names)], notices

    def _incident(self, command: Command, name: str | None = None) -> Known:
        name = command.incident_id if name is None else name
        if not name:
            raise RefusedError("it names no incident")
        known = self._known.get(name)
        if known is None:
            raise RefusedError(
                f"there is no incident {name[:LONGEST_NAME]!r} in environment {command.environment!r}, or it has been over for "
                f"more than {KEEP // (24 * 3600 * SECOND)} days"
            )
        if known.overlay.merged_into is not None:
            raise RefusedError(f"incident {name} was merged into {known.overlay.merged_into}: command that one")
        return known

    # ---- overlay ------------------------------------------------------------------------------------------------------
    def _acknowledge(self, _now: int, c: Command, _groups: Groups) -> dict[str, str]:
        known = self._incident(c)
        if standing(known.base, known.overlay) == "resolved":
            raise RefusedError("it is resolved")
        if known.overlay.acknowledged_by == arguments.author(c):
            raise RefusedError(f"{arguments.author(c)} has acknowledged it already")
        known.overlay.acknowledged_by = arguments.author(c)
        return {c.incident_id: "acknowledged"}

    def _assign(self, _now: int, c: Command, _groups: Groups) -> dict[str, str]:
        known, given = (
            self._incident(c),
            {name: c.arguments[name] for name in ("assignee", "team") if name in c.arguments},
        )
        if not given:
            raise RefusedError("it names neither assignee nor team")
        for name, value in given.items():
            setattr(known.overlay, name, value[:LONGEST_NAME] or None)
        said = ", ".join(f"{name} {value[:LONGEST_NAME] or 'nobody'}" for name, value in given.items())
        return {c.incident_id: f"assigned: {said}"}

    def _comment(self, _now: int, c: Command, _groups: Groups) -> dict[str, str]:
        self._incident(c)
        return {c.incident_id: arguments.required(c, "text")[:LONGEST_TEXT]}

    def _label(self, _now: int, c: Command, _groups: Groups) -> dict[str, str]:
        known = self._incident(c)
        if not c.arguments or "" in c.arguments:
            raise RefusedError("it names no label" if not c.arguments else "a label needs a name")
        given = {name[:LONGEST_NAME]: value[:LONGEST_NAME] for name, value in sorted(c.arguments.items())}
        labels = {name: value for name, value in {**known.overlay.labels, **given}.items() if value}
        if len(labels) > MOST_LABELS:
            raise RefusedError(f"it would have {len(labels)} labels; {MOST_LABELS} are kept")
        known.overlay.labels = labels
        return {c.incident_id: ", ".join(f"{k}={v}" if v else f"{k} removed" for k, v in given.items())[:LONGEST_ASKED]}

    def _resolve(self, _now: int, c: Command, _groups: Groups) -> dict[str, str]:
        known = self._incident(c)
        if standing(known.base, known.overlay) == "resolved":
            raise RefusedError("it is resolved already")
        known.overlay.resolved, known.overlay.resolved_severity = self._clock, known.base.severity
        known.overlay.resolution = c.arguments.get("resolution", "")[:LONGEST_TEXT] or None
        known.overlay.reopened = False
        return {c.incident_id: "resolved"}

    def _reopen(self, _now: int, c: Command, _groups: Groups) -> dict[str, str]:
        known = self._incident(c)
        if standing(known.base, known.overlay) != "resolved":
            raise RefusedError("it is not resolved")
        known.overlay.begin_again()
        known.overlay.reopened = known.base.state == "resolved"
        return {c.incident_id: "reopened"}

    def _silence(self, now: int, c: Command, _groups: Groups) -> dict[str, str]:
        a = c.arguments
        if c.incident_id:
            self._incident(c)
        if not (c.incident_id or a.get("service") or a.get("severity") or a.get("cause_kind")):
            raise RefusedError("it would silence everything: name an incident, service, severity or cause_kind")
        quiet = Quiet(
            kind="silence", since=now, until=arguments.time(c, "until"), author=arguments.author(c), reason=arguments.reason(c),
            incident=c.incident_id or None, service=a.get("service", "")[:LONGEST_NAME] or None,
            severity=arguments.one_of(c, "severity", get_args(Severity)),
            cause_kind=arguments.one_of(c, "cause_kind", get_args(CauseKind)),
        )  # fmt: skip
        return self._quiet(now, c, quiet)

    def _maintenance(self, now: int, c: Command, _groups: Groups) -> dict[str, str]:
        if c.incident_id:
            raise RefusedError("maintenance is of services, not of an incident: leave the incident out")
        quiet = Quiet(
            kind="maintenance", since=arguments.time(c, "from") if "from" in c.arguments else now,
            until=arguments.time(c, "until"), author=arguments.author(c), reason=arguments.reason(c),
            services=tuple(arguments.services(c)),
        )  # fmt: skip
        return self._quiet(now, c, quiet)

    def _quiet(self, now: int, c: Command, quiet: Quiet) -> dict[str, str]:
        effect = self.quiets.set(now, quiet)
        if not effect:
            raise RefusedError(f"there are {MOST} silences and maintenance windows already")
        return {c.incident_id: effect} if c.incident_id else {}

    # ---- correlation --------------------------------------------------------------------------------------------------
    def _merge(self, now: int, c: Command, groups: Groups) -> dict[str, str]:
        source, into = self._incident(c), arguments.required(c, "into")
        if into == c.incident_id:
            raise RefusedError("an incident cannot be merged into itself")
        target = self._incident(c, into)
        over = (
            standing(target.base, target.overlay) == "resolved" and standing(source.base, source.overlay) != "resolved"
        )
        if over or (groups.is_open(c.incident_id) and not groups.is_open(into)):
            raise RefusedError(f"incident {into} is over: merge it into this one instead")
        case = groups.lifecycle.case(into)
        if case is not None and case.closed < 0:
            groups.merge(c.incident_id, source.base.services, case)
            target.base = groups.record(case, self._clock)
        else:
            target.base = joined(target.base, source.base)
            groups.close(c.incident_id)
        source.overlay.merged_into = into
        source.over = now if source.over < 0 else source.over
        return {c.incident_id: f"merged into {into}", into: f"took over incident {c.incident_id}"}

    def can_merge(self, source: str, into: str) -> bool:
        """Are both incidents people's to merge: known, and neither merged nor resolved by somebody?"""
        both = [self._known.get(name) for name in (source, into)]
        return all(k is not None and standing(k.base, k.overlay) in ("open", "acknowledged") for k in both)

    def _split(self, now: int, c: Command, groups: Groups) -> dict[str, str]:
        known, names, case = self._incident(c), arguments.services(c), groups.lifecycle.case(c.incident_id)
        if case is None or case.closed >= 0:
            raise RefusedError("it is over: only an incident that the engine follows can be split")
        has = {groups.environment.services[s]: s for s in case.services}
        if unknown := [name for name in names if name not in has]:
            raise RefusedError(
                f"{', '.join(unknown)[:LONGEST_ASKED]} is not among its services: {', '.join(sorted(has))[:LONGEST_TEXT]}"
            )
        if len(names) == len(has):
            raise RefusedError("nothing would be left of it: name some of its services, not all")
        tenant, environment = known.base.tenant, known.base.environment
        about = anomaly_id(tenant, environment, ",".join(names), c.incident_id, "split", now)
        new = incident_id(tenant, environment, about)
        if new in self._known:
            raise RefusedError("it was split like this already")
        part = groups.split(case, {has[name] for name in names}, new, now)
        known.base = groups.record(case, self._clock)
        self._known[new] = Known(groups.record(part, self._clock), Overlay(split_from=c.incident_id))
        return {
            c.incident_id: f"{', '.join(names)[:LONGEST_TEXT]} left into incident {new}",
            new: f"split from incident {c.incident_id}",
        }

    def _confirm(self, _now: int, c: Command, _groups: Groups) -> dict[str, str]:
        known, service = self._incident(c), arguments.required(c, "service")[:LONGEST_NAME]
        kind: Any = arguments.one_of(c, "kind", get_args(CauseKind))
        known.overlay.judge(Judgement(service, kind, "confirmed", arguments.author(c)))
        return {c.incident_id: f"{service} is the cause"}

    def _reject(self, _now: int, c: Command, _groups: Groups) -> dict[str, str]:
        known, service = self._incident(c), arguments.required(c, "service")[:LONGEST_NAME]
        kind: Any = arguments.one_of(c, "kind", get_args(CauseKind))
        word = Judgement(service, kind, "rejected", arguments.author(c))
        causes = dressed(known.base, known.overlay).causes
        if not any(word.about(cause.service, cause.kind) for cause in causes):
            raise RefusedError(
                f"{service} is not among its causes: {', '.join(f'{x.service} ({x.kind})' for x in causes)}"
            )
        known.overlay.judge(word)
        return {c.incident_id: f"{service} is not the cause"}

    def _feedback(self, _now: int, c: Command, _groups: Groups) -> dict[str, str]:
        known = self._incident(c)
        verdict: Any = arguments.one_of(c, "verdict", get_args(FeedbackVerdict))
        if verdict is None:
            raise RefusedError(f"verdict is missing: one of {', '.join(get_args(FeedbackVerdict))}")
        text = c.arguments.get("text", "")[:LONGEST_TEXT]
        at = rfc3339(self._clock)
        known.overlay.feedback = Feedback(verdict=verdict, author=arguments.author(c), time=at, text=text)
        return {c.incident_id: f"feedback: {verdict}"}

    # ---- life -------------------------------------------------------------------------------------------------------------
    def gauges(self) -> dict[str, int]:
        """Sizes and counts."""
        return {
            "known_incidents": len(self._known), "silences": len(self.quiets), "commands_total": self.obeyed,
            "refused_commands_total": self.refused, "forgotten_incidents_total": self.forgotten,
        }  # fmt: skip

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        known = [
            [encode(k.base), msgspec.to_builtins(k.overlay), msgspec.to_builtins(k.suppressed), k.over]
            for _, k in sorted(self._known.items())
        ]
        return {"known": known, "quiets": self.quiets.state(), "clock": self._clock}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self._known = {}
        for base, overlay, suppressed, over in state["known"]:
            said = msgspec.convert(suppressed, tuple[Suppression, ...])
            known = Known(decode_incident(base), msgspec.convert(overlay, Overlay), said, over)
            self._known[known.base.incident_id] = known
        self.quiets.restore(state["quiets"])
        self._clock = state["clock"]


def _engine(now: int, command: Any, effect: str) -> Decision:
    return Decision(time=rfc3339(now), author=ENGINE, command=command, asked="", effect=effect)


def _refusal(now: int, command: Command, reason: str, groups: Groups) -> Notice:
    about = f" of incident {command.incident_id[:LONGEST_NAME]}" if command.incident_id else ""
    author = arguments.author(command)
    return Notice(
        kind="command", tenant=groups.environment.tenant, environment=groups.environment.name, source=author,
        since=rfc3339(now), until=rfc3339(now), text=f"{command.command}{about} by {author} was refused: {reason}",
    )  # fmt: skip
