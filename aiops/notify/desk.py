"""Decisions of the policy -> what is to be delivered, what is to be saved first, and records of what became of it.

A message may go out only when the decision has been saved: whoever takes over after a crash must know of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from aiops.notify.config import NotifyConfig
from aiops.notify.message import Message
from aiops.notify.notification import Delivery, DeliveryState, Notification
from aiops.notify.policy import Decided, Place, Policy
from aiops.notify.track import Track, packed, unpacked
from aiops.records import Incident, rfc3339

CLOCKS = "clocks"  # key of the saved clocks; no incident is called so
MOST_CHANGES = 50  # ids of changes remembered of an incident
LONGEST_ERROR = 300
ENDED = ("delivered", "refused", "given_up", "dry_run")


class Due(NamedTuple):
    """A message that a sink is to be brought."""

    track: Track
    message: Message
    sink: str


class Desk:
    """The incidents of one partition, or of one file.

    Parameters
    ----------
    begin : int
        As of ``Policy``.

    Attributes
    ----------
    records : list of Notification
        To be written, since somebody emptied it.
    """

    def __init__(self, config: NotifyConfig, begin: int = 0) -> None:
        self.config, self.policy = config, Policy(config, begin)
        self.records: list[Notification] = []
        self._names = frozenset(sink.name for sink in config.sinks)
        self._unsaved: list[Due] = []
        self._saved_clocks: dict[Place, int] = {}
        self.delivered = self.undelivered = 0

    # ---- input --------------------------------------------------------------------------------------------------------
    def take(self, incident: Incident) -> None:
        """A version of an incident."""
        self._decided(self.policy.take(incident))

    def advance(self, place: Place, clock: int) -> None:
        """All versions of an environment up to `clock` (Unix ns) have been taken."""
        self._decided(self.policy.advance(place, clock))

    def say(self, track: Track, decided: Decided) -> None:
        """What the watchdog decided."""
        self.policy.tracks[track.key] = track
        self.policy.changed.add(track.key)
        self._decided([decided])

    def _decided(self, several: list[Decided]) -> None:
        for record, message, targets in several:
            self.records.append(record)
            if message is not None:
                track = self.policy.tracks[message.key]
                self._unsaved += [Due(track, message, sink) for sink in targets if sink in self._names]
                for sink in targets:  # of a configuration that is gone
                    if sink not in self._names:
                        self._ended(
                            track, message.notification_id, sink, "refused", 0, 0, "there is no such sink any more"
                        )

    # ---- saving -------------------------------------------------------------------------------------------------------
    @property
    def dirty(self) -> bool:
        """Is there anything to save?"""
        return bool(self.policy.changed or self._unsaved or self.records)

    def changes(self) -> Iterator[tuple[str, bytes | None]]:
        """Keys and values to be saved, None = to be forgotten; each is handed out once."""
        keys, self.policy.changed = sorted(self.policy.changed), set()
        for key in keys:
            track = self.policy.tracks.get(key)
            yield key, None if track is None else packed(track)
        if keys and self.policy.clocks != self._saved_clocks:
            self._saved_clocks = dict(self.policy.clocks)
            clocks = [[*place, at] for place, at in sorted(self._saved_clocks.items())]
            yield CLOCKS, msgspec.json.encode({"begin": self.policy.begin, "clocks": clocks})

    def unsaved(self) -> list[Due]:
        """What may go out once all that ``changes`` handed out so far has been saved; each is handed out once."""
        due, self._unsaved = self._unsaved, []
        return due

    def restore(self, key: str, value: bytes) -> None:
        """Take over what was saved."""
        if key == CLOCKS:
            said = msgspec.json.decode(value)
            self.policy.begin = said["begin"]
            self.policy.clocks = {(tenant, name): at for tenant, name, at in said["clocks"]}
            self._saved_clocks = dict(self.policy.clocks)
        else:
            self.policy.adopt(unpacked(value))

    def waiting(self) -> list[Due]:
        """What was saved and not delivered, in the order in which it was decided."""
        found = [
            (job.message.time, track.key, i, Due(track, job.message, sink))
            for track in self.policy.tracks.values()
            for i, job in enumerate(track.jobs)
            for sink in job.waiting
        ]
        for *_, due in found:
            if due.sink not in self._names:
                self._ended(
                    due.track, due.message.notification_id, due.sink, "refused", 0, 0, "there is no such sink any more"
                )
        return [due for *_, due in sorted(found, key=lambda f: f[:3]) if due.sink in self._names]

    def shown(self) -> Iterator[tuple[str, Message]]:
        """Sinks, and what they hold open."""
        for _, track in sorted(self.policy.tracks.items()):
            if track.shown is not None:
                for sink in track.told:
                    if sink in self._names:
                        yield sink, track.shown

    # ---- deliveries ---------------------------------------------------------------------------------------------------
    def delivery(
        self,
        due: Due,
        state: DeliveryState,
        attempts: int,
        at: int,
        said: str,
        ref: str = "",
        changes: tuple[str, ...] = (),
    ) -> None:
        """What became of a message at a sink, at wall time `at` (Unix ns)."""
        track = due.track
        if ref:
            track.refs[due.sink] = ref
        if changes:
            track.changes = [*track.changes, *(c for c in changes if c not in track.changes)][-MOST_CHANGES:]
        if state in ENDED:
            self.delivered += state == "delivered"
            self.undelivered += state in ("refused", "given_up")
        self._ended(track, due.message.notification_id, due.sink, state, attempts, at, said)

    def _ended(
        self, track: Track, notification: str, sink: str, state: DeliveryState, attempts: int, at: int, said: str
    ) -> None:
        job = next((j for j in track.jobs if j.message.notification_id == notification and sink in j.waiting), None)
        if job is None:
            return
        ended = Delivery(
            sink=sink, state=state, attempts=attempts, at=rfc3339(at) if at else None,
            error="" if state in ("delivered", "dry_run") else said[:LONGEST_ERROR],
        )  # fmt: skip
        if state in ENDED:
            job.waiting.remove(sink)
            if not job.waiting:
                track.jobs.remove(job)
        track.sequence += 1
        several = tuple(ended if d.sink == sink else d for d in job.record.deliveries)
        job.record = msgspec.structs.replace(job.record, version=track.sequence, deliveries=several)
        self.records.append(job.record)
        self.policy.changed.add(track.key)

    def gauges(self) -> dict[str, float]:
        """Sizes and counts."""
        tracks = self.policy.tracks.values()
        return {
            "sinks_incidents": float(len(tracks)), "sinks_waiting": float(sum(len(t.jobs) for t in tracks)),
            "sinks_evicted_total": float(self.policy.evicted), "sinks_delivered_total": float(self.delivered),
            "sinks_undelivered_total": float(self.undelivered),
        }  # fmt: skip
