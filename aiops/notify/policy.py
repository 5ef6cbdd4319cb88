"""Versions of incidents, and how far event time has come -> decisions: told to whom and why, or why not.

A pure function of the stream: the same versions in the same order give the same decisions, whatever the restarts.  What is due
at a time is decided when all versions up to that time have been taken, whether the next version or the clock says so.
"""

from __future__ import annotations

import heapq
from typing import NamedTuple

import msgspec

from aiops.ids import notification_id
from aiops.notify.config import HOUR, NotifyConfig
from aiops.notify.matching import silence_of, sinks_of
from aiops.notify.message import Message, brief, lines_of
from aiops.notify.notification import Delivery, Notification, Outcome, Trigger
from aiops.notify.track import HELD, Job, Track
from aiops.records import Incident, rfc3339, unix_ns

KEEP = 24 * HOUR  # what is over is remembered for so long; what is older and unknown is not told of
MAX_TRACKS = 20_000  # incidents followed; beyond it those go that are over, then the longest unseen
MAX_PLACES = 1_000  # environments whose clock is known
RANK = {"info": 0, "low": 1, "medium": 2, "high": 3, "critical": 4}

Place = tuple[str, str]  # tenant, environment


class Decided(NamedTuple):
    """A decision, and the message that is to go out because of it; None: none is."""

    record: Notification
    message: Message | None = None
    targets: tuple[str, ...] = ()


class Policy:
    """Follows incidents and decides.

    Parameters
    ----------
    begin : int
        Event time (Unix ns) before which nothing is told: where it first runs, the past is history.

    Attributes
    ----------
    tracks : dict, incident id -> Track
    clocks : dict, (tenant, environment) -> Unix ns up to which all has been taken
    changed : set of str
        Keys of tracks that changed, or went, since somebody emptied it.
    evicted : int
        Tracks given up because there were too many.
    """

    def __init__(self, config: NotifyConfig, begin: int = 0) -> None:
        self.config, self.begin = config, begin
        self.tracks: dict[str, Track] = {}
        self.clocks: dict[Place, int] = {}
        self.changed: set[str] = set()
        self.evicted = 0
        self._since: dict[Place, int] = {}  # first telemetry
        self._due: dict[Place, set[str]] = {}  # keys of tracks that are looked at again

    # ---- input --------------------------------------------------------------------------------------------------------
    def take(self, incident: Incident) -> list[Decided]:
        """A version of an incident; one that was seen already says nothing."""
        now, place = unix_ns(incident.updated_at), (incident.tenant, incident.environment)
        track = self.tracks.get(incident.incident_id)
        if track is not None and incident.version <= track.version:
            return []
        out = self.advance(place, now - 1)
        track = self.tracks.get(incident.incident_id)  # which may have been forgotten
        if track is None:
            if now < max(self.begin, self.clocks.get(place, 0) - KEEP):
                return [*out, self._history(incident, now)]
            self._make_room()
            track = self.tracks[incident.incident_id] = Track(incident.incident_id, *place)
        track.version, track.seen, track.incident = incident.version, now, brief(incident)
        out += self._decide(track, now, timer=False)
        return out

    def known_since(self, place: Place, since: int) -> None:
        """The first telemetry of an environment came at `since`, Unix ns."""
        self._since[place] = since
        if len(self._since) > MAX_PLACES:
            del self._since[min(self._since, key=lambda p: (self.clocks.get(p, -1), p))]

    def advance(self, place: Place, clock: int) -> list[Decided]:
        """All versions of an environment up to `clock` (Unix ns) have been taken: decide what is due."""
        before = self.clocks.get(place, -1)
        if clock <= before:
            return []
        self.clocks[place] = clock
        if len(self.clocks) > MAX_PLACES:
            del self.clocks[min((p for p in self.clocks if p != place), key=lambda p: (self.clocks[p], p))]
        out = []
        ready = [(self.tracks[key].due, key) for key in self._due.get(place, ()) if self.tracks[key].due <= clock]
        heapq.heapify(ready)
        while ready:  # in the order of time, so that one long step is as good as many short ones
            now, key = heapq.heappop(ready)
            track = self.tracks[key]
            out += self._decide(track, now, timer=True)
            if 0 <= track.due <= clock:
                heapq.heappush(ready, (track.due, key))
        if clock // HOUR > before // HOUR:
            self._forget(clock)
        return out

    # ---- decision -----------------------------------------------------------------------------------------------------
    def _decide(self, track: Track, now: int, timer: bool) -> list[Decided]:
        incident = track.incident
        assert incident is not None
        track.times = [at for at in track.times if now - at < HOUR]
        track.due = -1
        if incident.state in ("resolved", "merged"):
            decided: Decided | None = self._ended(track, incident, now)
        elif not track.told:
            decided = self._begun(track, incident, now)
        else:
            decided = self._going(track, incident, now, timer)
        self._note(track)
        return [] if decided is None else [decided]

    def _ended(self, track: Track, incident: Incident, now: int) -> Decided:
        trigger: Trigger = "merged" if incident.state == "merged" else "resolved"
        if not track.told:
            track.held = []
            return self._record(track, incident, now, trigger, "silent", "it is over, and nobody had been told of it")
        reason = f"merged into incident {incident.merged_into}" if trigger == "merged" else "it is over"
        decided = self._tell(track, incident, now, trigger, reason, tuple(track.told), firing=False)
        track.told, track.severity, track.cause, track.shown = [], "", [], None
        return decided

    def _begun(self, track: Track, incident: Incident, now: int) -> Decided:
        trigger: Trigger = "reopened" if track.episode else "opened"
        if (quiet := self._quiet(track, incident, now)) is not None:
            return self._record(track, incident, now, trigger, "suppressed", quiet)
        settled = unix_ns(incident.opened_at) + self.config.settle
        urgent = incident.severity == "critical"
        learned = self._since.get((track.tenant, track.environment), -1)
        if learned >= 0 and now < learned + self.config.learning and not incident.counts.alerts:
            track.due = learned + self.config.learning
            text = f"the engine has known this environment since {rfc3339(learned)} only, and no other tool's alert is part of it"
            return self._record(track, incident, now, trigger, "learning", text)
        if trigger == "opened" and not urgent and now < settled:
            track.due = settled
            return self._record(track, incident, now, trigger, "waits", f"it may change until {rfc3339(settled)}")
        targets, why = sinks_of(self.config, incident, now)
        if not targets:
            return self._record(track, incident, now, trigger, "unrouted", why)
        if self._limited(track, urgent):
            return self._hold(track, incident, now, trigger, "it came back")
        reason = {"opened": "it opened", "reopened": "it came back"}[trigger] + (", and is critical" if urgent else "")
        return self._tell(track, incident, now, trigger, f"{reason}; {why}", targets)

    def _going(self, track: Track, incident: Incident, now: int, timer: bool) -> Decided | None:
        cause = cause_of(incident)
        trigger: Trigger = "update"
        reason = "nothing changed that is told of"
        if RANK[incident.severity] > RANK[track.severity]:
            trigger, reason = "severity", f"its severity rose from {track.severity} to {incident.severity}"
        elif incident.settled and cause and cause != track.cause:
            was = f"no longer {track.cause[0]} ({track.cause[1]})" if track.cause else "which was not known before"
            trigger, reason = "cause", f"its first cause is {cause[0]} ({cause[1]}), {was}"
        elif track.held and not self._limited(track, urgent=False):
            trigger, reason = "digest", "an hour with many notifications is over"
        if trigger == "update":
            if track.held:
                track.due = track.times[-self.config.limit] + HOUR
            return None if timer else self._record(track, incident, now, trigger, "silent", reason)
        if (quiet := self._quiet(track, incident, now)) is not None:
            return self._record(track, incident, now, trigger, "suppressed", quiet)
        urgent = trigger == "severity" and incident.severity == "critical"
        if self._limited(track, urgent):
            return self._hold(track, incident, now, trigger, reason)
        more, why = sinks_of(self.config, incident, now)
        order = [sink.name for sink in self.config.sinks]
        targets = tuple(name for name in order if name in more or name in track.told)
        return self._tell(track, incident, now, trigger, f"{reason}; {why}", targets)

    def _limited(self, track: Track, urgent: bool) -> bool:
        return len(track.times) >= self.config.limit and not urgent

    def _hold(self, track: Track, incident: Incident, now: int, trigger: Trigger, reason: str) -> Decided:
        """Beyond the limit: said later, in one."""
        track.held = [*track.held, f"{reason} ({rfc3339(now)})"][-HELD:]
        track.due = track.times[-self.config.limit] + HOUR
        if trigger == "severity":
            track.severity = incident.severity
        elif trigger == "cause":
            track.cause = cause_of(incident)
        text = (
            f"{self.config.limit} notifications within an hour; {reason} comes with the digest at {rfc3339(track.due)}"
        )
        return self._record(track, incident, now, trigger, "limited", text)

    def _quiet(self, track: Track, incident: Incident, now: int) -> str | None:
        """What keeps the incident from being told, in words."""
        if incident.suppressed_by:
            said = incident.suppressed_by[0]
            until = f" until {said.until}" if said.until else ""
            return f"{said.by}{f' by {said.author}' if said.author else ''}{until}: {said.reason}"
        silence = silence_of(self.config, incident, now)
        if silence is None:
            return None
        track.due = unix_ns(silence.until)
        return f"silence of the configuration by {silence.author} until {silence.until}: {silence.reason}"

    def _tell(
        self, track: Track, incident: Incident, now: int, trigger: Trigger, reason: str, targets: tuple[str, ...],
        firing: bool = True,
    ) -> Decided:  # fmt: skip
        track.labels = track.labels or labels_of(incident)
        held, track.held = track.held, []
        if firing:
            track.times.append(now)  # an end is told whatever the limit, and takes no room
            track.told = list(targets)
            track.episode = incident.episode
            track.cause = cause_of(incident) or track.cause
            track.severity = max(incident.severity, track.severity or "info", key=RANK.__getitem__)
        decided = self._record(track, incident, now, trigger, "told", reason, targets)
        message = Message(
            notification_id=decided.record.notification_id, key=track.key, trigger=trigger, firing=firing, time=now,
            since=unix_ns(incident.opened_at), tenant=track.tenant, environment=track.environment, severity=incident.severity,
            title=incident.title, lines=lines_of(incident, reason, held), reason=reason, labels=dict(track.labels),
            incident=incident, link=self.config.link.replace("{incident_id}", incident.incident_id),
        )  # fmt: skip
        track.shown = message if firing else None
        track.jobs.append(Job(message, list(targets), decided.record))
        return Decided(decided.record, message, targets)

    def _record(
        self, track: Track, incident: Incident, now: int, trigger: Trigger, outcome: Outcome, reason: str,
        targets: tuple[str, ...] = (),
    ) -> Decided:  # fmt: skip
        track.sequence += 1
        record = record_of(incident, now, trigger, outcome, reason, track.sequence)
        return Decided(msgspec.structs.replace(record, deliveries=tuple(Delivery(sink=name) for name in targets)))

    def _history(self, incident: Incident, now: int) -> Decided:
        trigger: Trigger = "opened" if incident.state in ("open", "acknowledged") else "resolved"
        return Decided(record_of(incident, now, trigger, "stale", "it is older than what is remembered", 1))

    # ---- tracks -------------------------------------------------------------------------------------------------------
    def adopt(self, track: Track) -> None:
        """Take over a track that was saved."""
        self.tracks[track.key] = track
        self._note(track)
        self.changed.discard(track.key)

    def _note(self, track: Track) -> None:
        self.changed.add(track.key)
        waiting = self._due.setdefault((track.tenant, track.environment), set())
        if track.due >= 0:
            waiting.add(track.key)
        else:
            waiting.discard(track.key)

    def _drop(self, key: str) -> None:
        track = self.tracks.pop(key)
        self._due.get((track.tenant, track.environment), set()).discard(key)
        self.changed.add(key)

    def _forget(self, clock: int) -> None:
        """Forget what has been over for long, and what environments nobody follows waited for."""
        for key, track in list(self.tracks.items()):
            if track.over and not track.jobs and track.seen >= 0 and clock - track.seen > KEEP:
                self._drop(key)
        self._due = {place: keys for place, keys in self._due.items() if keys}

    def _make_room(self) -> None:
        if len(self.tracks) < MAX_TRACKS:
            return
        worth = {key: (not track.over, bool(track.jobs), track.seen, key) for key, track in self.tracks.items()}
        for key in sorted(worth, key=worth.__getitem__)[: MAX_TRACKS // 8]:
            self._drop(key)
            self.evicted += 1


def cause_of(incident: Incident) -> list[str]:
    """Service and kind of the first cause; empty where none is named with confidence."""
    if incident.no_confident_cause or not incident.causes:
        return []
    return [incident.causes[0].service, incident.causes[0].kind]


def labels_of(incident: Incident) -> dict[str, str]:
    """What an incident is known by in tools that know things by labels; it must not change, so what may is as it was first."""
    first = incident.causes[0].service if incident.causes else next(iter(incident.services), "")
    said = {
        "alertname": "AIOpsIncident", "incident_id": incident.incident_id, "tenant": incident.tenant,
        "environment": incident.environment, "service": first, "severity": incident.severity,
        "team": incident.team or incident.labels.get("team", ""),
    }  # fmt: skip
    return {name: value for name, value in said.items() if value}


def record_of(
    incident: Incident, now: int, trigger: Trigger, outcome: Outcome, reason: str, version: int
) -> Notification:
    """The record of a decision."""
    return Notification(
        notification_id=notification_id(incident.incident_id, incident.version, trigger), version=version,
        tenant=incident.tenant, environment=incident.environment, incident_id=incident.incident_id,
        incident_version=incident.version, episode=incident.episode, time=rfc3339(now), trigger=trigger, outcome=outcome,
        reason=reason, severity=incident.severity, title=incident.title,
    )  # fmt: skip
