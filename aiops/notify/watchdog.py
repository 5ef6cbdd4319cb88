"""How far the engine sees, and notices -> who must know that it does not: blind, a signal missing, a source let go.

An environment whose clock stands by the wall clock, or of which nothing is heard, is blind: silence of the engine there says
nothing of the services.  What it says is told like incidents, and is over like they are.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiops.ids import notification_id
from aiops.notify.config import HOUR, NotifyConfig
from aiops.notify.message import Message
from aiops.notify.notification import Delivery, Notification, Trigger
from aiops.notify.policy import Decided, Place
from aiops.notify.track import Job, Track
from aiops.records import Notice, rfc3339, unix_ns
from aiops.status import Status
from aiops.told import Severity

MAX_PLACES = 1_000  # environments; beyond them the one that was heard of longest ago goes
GONE = 24 * HOUR  # an environment of which nothing was heard for so long is no more
SEVERITY: dict[str, Severity] = {"blind": "high", "gap": "medium", "straggler": "medium", "overload": "medium"}
PREFIX = "watch/"


@dataclass(slots=True)
class _Seen:
    status: Status
    clock: int  # Unix ns of event time
    moved: int  # wall time at which it got there


class Watchdog:
    """Looks after all environments; what it has told stands in `tracks`, which are saved."""

    def __init__(self, config: NotifyConfig, tracks: dict[str, Track]) -> None:
        self.config, self.tracks = config, tracks
        self._of: dict[Place, _Seen] = {}
        self._notices: dict[str, Notice] = {}  # key -> the newest one about the same

    # ---- input --------------------------------------------------------------------------------------------------------
    def status(self, status: Status, wall: int) -> None:
        """A status that was written at wall time `wall` (Unix ns)."""
        place, clock = (status.tenant, status.environment), unix_ns(status.clock)
        known = self._of.get(place)
        if known is None or clock > known.clock:
            self._of[place] = _Seen(status, clock, wall)
            if len(self._of) > MAX_PLACES:
                del self._of[min(self._of, key=lambda p: (self._of[p].moved, p))]

    def notice(self, notice: Notice) -> None:
        """A notice; those of commands are for whoever commanded."""
        if notice.kind in ("straggler", "overload"):
            key = f"{PREFIX}{notice.kind}/{notice.tenant}/{notice.environment}/{notice.source or ''}"
            self._notices[key] = notice

    # ---- what is to be told -------------------------------------------------------------------------------------------
    def look(self, wall: int) -> list[tuple[Track, Decided]]:
        """What has changed by wall time `wall` (Unix ns)."""
        out = []
        for place, seen in sorted(self._of.items()):
            gone = wall - seen.moved > GONE or seen.clock - self._heard(seen) > GONE
            blind = None if gone else self._blind(seen, wall)
            out += self._told(f"{PREFIX}blind/{'/'.join(place)}", place, "blind", blind, wall)
            key = f"{PREFIX}gap/{'/'.join(place)}"
            signals = seen.status.silent if blind is None and not gone else ()
            if blind is None or gone:  # who is blind does not know whether a gap is over
                text = f"no {' and no '.join(signals)} come, while other signals do" if signals else None
                out += self._told(key, place, "gap", None if text is None else (seen.clock, text), wall)
            if gone:
                del self._of[place]
        for key, notice in sorted(self._notices.items()):
            trouble = (unix_ns(notice.since), notice.text) if notice.until is None else None
            trigger: Trigger = "straggler" if notice.kind == "straggler" else "overload"
            out += self._told(key, (notice.tenant, notice.environment), trigger, trouble, wall)
        self._notices = {key: notice for key, notice in self._notices.items() if notice.until is None}
        return out

    def alive(self, wall: int) -> Message | None:
        """The message of a heartbeat at wall time `wall`; None where no environment is seen."""
        seeing = [(place, seen) for place, seen in sorted(self._of.copy().items()) if self._blind(seen, wall) is None]
        if not seeing:
            return None
        lines = [
            f"{'/'.join(place)}: seen until {seen.status.clock}, "
            f"{100 * seen.status.learned:.0f} % of {seen.status.services} services known, "
            f"{seen.status.open_incidents} incidents open"
            for place, seen in seeing
        ]
        return Message(
            notification_id=notification_id("heartbeat", wall, "heartbeat"), key="heartbeat", trigger="heartbeat", firing=True,
            time=wall, since=wall, tenant="", environment="all", severity="info", title=f"aiops sees {len(seeing)} environments",
            lines=lines[:50], reason="a heartbeat: if it ceases, the engine or the way here is broken",
            labels={"alertname": "AIOpsWatchdog", "severity": "none"},
        )  # fmt: skip

    def _heard(self, seen: _Seen) -> int:
        return unix_ns(seen.status.heard or seen.status.since)

    def _blind(self, seen: _Seen, wall: int) -> tuple[int, str] | None:
        """Since when an environment is not seen, and why; None where it is."""
        after = self.config.watchdog.blind_after
        if wall - seen.moved > after:
            return (
                seen.clock,
                f"the engine's clock has stood at {seen.status.clock} for {(wall - seen.moved) // 10**9} s",
            )
        heard = self._heard(seen)
        if seen.clock - heard >= after:
            return heard, f"nothing has been heard since {rfc3339(heard)}: no logs, no metrics, no traces"
        return None

    def _told(
        self, key: str, place: Place, trigger: Trigger, trouble: tuple[int, str] | None, wall: int
    ) -> list[tuple[Track, Decided]]:
        track = self.tracks.get(key)
        was = track.shown if track is not None else None
        if (trouble is not None) == (was is not None):
            return []
        track = track or Track(key, *place)
        if trouble is not None:
            since, text = trouble
            title = {"blind": "the engine is blind", "gap": "telemetry is missing"}.get(
                trigger, "the engine cannot keep up"
            )
            firing, lines = True, [text]
        else:
            assert was is not None
            since, title, firing, lines = was.since, was.title, False, ["It is over."]
        return [(track, self._decision(track, trigger, firing, since, wall, title, lines))]

    def _decision(
        self, track: Track, trigger: Trigger, firing: bool, since: int, wall: int, title: str, lines: list[str]
    ) -> Decided:
        targets = self.config.watchdog.sinks or tuple(sink.name for sink in self.config.sinks)
        targets = tuple(dict.fromkeys([*targets, *track.told])) if not firing else targets
        track.sequence += 1
        severity = SEVERITY[trigger]
        record = Notification(
            notification_id=notification_id(track.key, track.sequence, trigger), version=track.sequence, tenant=track.tenant,
            environment=track.environment, time=rfc3339(wall), trigger=trigger, outcome="told", reason=lines[0],
            severity=severity, title=title, deliveries=tuple(Delivery(sink=name) for name in targets),
        )  # fmt: skip
        labels = {
            "alertname": f"AIOps{trigger.capitalize()}",
            "tenant": track.tenant,
            "environment": track.environment,
            "severity": severity,
        }
        message = Message(
            notification_id=record.notification_id, key=track.key, trigger=trigger, firing=firing, time=wall,
            since=min(since, wall), tenant=track.tenant, environment=track.environment, severity=severity, title=title,
            lines=lines,             reason=lines[0], labels={**labels, "source": track.key.removeprefix(PREFIX)},
        )  # fmt: skip
        track.shown, track.told = (message, list(targets)) if firing else (None, [])
        track.jobs.append(Job(message, list(targets), record))
        return Decided(record, message, targets)
