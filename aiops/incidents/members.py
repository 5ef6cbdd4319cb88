"""Anomalies of one environment -> members of its incidents: looked up by service, claimed once, in the order of their coming.

What a record costs does not depend on how many anomalies or incidents there are: a step touches what is new and what had a
record since the last step, nothing else.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from aiops.incidents.lifecycle import Case
from aiops.incidents.noise_names import Identity, identity_of, urgent
from aiops.records import Anomaly, decode_anomaly, encode, unix_ns
from aiops.signals import SECOND

MAX_ANOMALIES = 20_000  # known of an environment; what is beyond is counted in storylines
RESERVED = 5_000  # of them for those that say they are critical or high
MAX_MEMBERS = 500  # kept of a case; the rest is counted
RECENT = 300 * SECOND  # closed anomalies that a new case may still claim


@dataclass(slots=True)
class Entry:
    """An anomaly as of its last record."""

    anomaly: Anomaly
    place: int  # in the order of coming
    owner: str = ""  # id of the incident that it belongs to
    urgent: bool = False  # has it ever said that it is critical or high?  What is counted once stays counted


class Ledger:
    """The anomalies that are open, and those that closed of late.

    Attributes
    ----------
    urgent : Counter
        What became of anomalies that say they are critical or high, since the process began: ``joined`` an incident, or
        ``expired``: forgotten without one; ``again``: they opened again, or became critical, after theirs had closed;
        ``later``: they said so only after they were known.
    """

    def __init__(self) -> None:
        self.urgent: Counter[str] = Counter()
        self._entries: dict[str, Entry] = {}  # by anomaly id, in the order of coming
        self._free: dict[str, dict[str, None]] = {}  # service -> ids that belong to no incident
        self._owned: dict[str, dict[str, None]] = {}  # incident id -> ids
        self._news: dict[str, dict[str, None]] = {}  # incident id -> ids with a record since its last step
        self._joined: dict[str, set[str]] = {}  # incident id -> ids that joined in this step from beside its services
        self._shown: dict[str, dict[Identity, str]] = {}  # incident id -> which member stands for an identity
        self._over: set[str] = set()  # incidents that own anomalies and are closed
        self._ending: list[tuple[int, int, str]] = []  # heap: (end, place, id) of what closed
        self._place = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, anomaly_id: str) -> bool:
        return anomaly_id in self._entries

    def get(self, anomaly_id: str) -> Anomaly | None:
        """The last record of an anomaly, if it is known."""
        entry = self._entries.get(anomaly_id)
        return None if entry is None else entry.anomaly

    @property
    def waiting(self) -> int:
        """How many that say they are critical or high belong to no incident: a gauge."""
        return sum(self._entries[key].urgent for keys in self._free.values() for key in keys)

    def owner(self, anomaly_id: str) -> str:
        """Id of the incident that an anomaly belongs to; empty where there is none."""
        entry = self._entries.get(anomaly_id)
        return "" if entry is None else entry.owner

    def has_room(self, anomaly: Anomaly) -> bool:
        """May one more come?  A part of the room is kept for what is urgent."""
        return len(self._entries) < (MAX_ANOMALIES if urgent(anomaly) else MAX_ANOMALIES - RESERVED)

    def put(self, anomaly: Anomaly) -> None:
        """Take in a record.  What opens again, or becomes critical, after its incident closed belongs to none any more."""
        key = anomaly.anomaly_id
        entry = self._entries.get(key)
        if entry is None:
            self._place += 1
            entry = self._entries[key] = Entry(anomaly, self._place, urgent=urgent(anomaly))
            self._free.setdefault(anomaly.service, {})[key] = None
        else:
            again = anomaly.state != "closed" and (
                entry.anomaly.state == "closed" or (_critical(anomaly) and not _critical(entry.anomaly))
            )
            entry.anomaly = anomaly
            if entry.owner in self._over:
                if again:
                    self.urgent["again"] += entry.urgent
                    self._disown(key, entry)
                    self._free.setdefault(anomaly.service, {})[key] = None
            elif entry.owner:
                self._news.setdefault(entry.owner, {})[key] = None
            if urgent(anomaly) and not entry.urgent:
                entry.urgent = True
                self.urgent["later"] += 1
                self.urgent["joined"] += bool(entry.owner)
        if anomaly.state == "closed":
            heapq.heappush(self._ending, (unix_ns(anomaly.window.end), entry.place, key))

    def free(self, services: Iterable[str]) -> list[Anomaly]:
        """Anomalies of these services that belong to no incident, in the order of coming."""
        found = [self._entries[key] for service in services for key in self._free.get(service, ())]
        return [entry.anomaly for entry in sorted(found, key=lambda entry: entry.place)]

    def take(
        self, case: Case, services: Iterable[str], flapping: Container[Identity] = ()
    ) -> list[tuple[str, Anomaly]]:
        """Make members of a case what is free of its services, and bring those up to date that had a record.

        One member stands for an identity; what comes back under it is counted, and the member shows its state.  What says
        that it is critical or high is a member of its own.

        Returns
        -------
        list of (reason, Anomaly)
            What belongs to it since now and is no member, because it is ``flapping`` or a ``repeat``.
        """
        incident, news = case.incident_id, self._news.pop(case.incident_id, {})
        claimed = self._joined.pop(incident, set())
        if case.closed < 0:
            claimed |= self._claim(incident, services)
        news |= dict.fromkeys(claimed)
        more: list[tuple[str, Anomaly]] = []
        if not news:
            return more
        shown = self.shown(case)
        for key in sorted(news, key=lambda key: self._entries[key].place):
            anomaly = self._entries[key].anomaly
            if key in case.members:
                case.members[key] = anomaly
                continue
            identity = identity_of(anomaly)
            first = None if urgent(anomaly) else shown.get(identity)
            if first is not None:
                if key in claimed:
                    more.append(("flapping" if identity in flapping else "repeat", anomaly))
                member = case.members[first]
                score = max(member.score, anomaly.score)
                case.members[first] = msgspec.structs.replace(member, state=anomaly.state, score=score)
            elif len(case.members) < MAX_MEMBERS:
                case.members[key] = anomaly
                shown.setdefault(identity, key)
            elif key in claimed:
                case.more_members += 1
        return more

    def _claim(self, incident: str, services: Iterable[str]) -> set[str]:
        claimed = {key for service in services for key in self._free.pop(service, ())}
        for key in claimed:
            self._entries[key].owner = incident
            self.urgent["joined"] += self._entries[key].urgent
        if claimed:
            keys = sorted(claimed, key=lambda key: self._entries[key].place)
            self._owned.setdefault(incident, {}).update(dict.fromkeys(keys))
        return claimed

    def shown(self, case: Case) -> dict[Identity, str]:
        """Which member of a case stands for an identity: the first."""
        found = self._shown.get(case.incident_id)
        if found is None:
            found = self._shown[case.incident_id] = {}
            for key, anomaly in case.members.items():
                found.setdefault(identity_of(anomaly), key)
        return found

    def again(self, incident: str) -> None:
        """Another episode of an incident opens: what belonged to the last one belongs to it."""
        self._over.discard(incident)
        if owned := self._owned.get(incident):
            self._news[incident] = dict(owned)

    def join(self, anomaly_id: str, incident: str) -> None:
        """One that belongs to no incident, if it is known, joins this one; its next step makes it a member, or counts it."""
        entry = self._entries.get(anomaly_id)
        if entry is not None and not entry.owner:
            self._own(anomaly_id, entry, incident)
            self._joined.setdefault(incident, set()).add(anomaly_id)

    def give(self, source: str, target: str) -> None:
        """All that belongs to one incident belongs to another one from now on."""
        self.move(list(self._owned.get(source, ())), target)

    def move(self, keys: Iterable[str], incident: str) -> None:
        """These anomalies, of those that are known, belong to this incident from now on."""
        for key in keys:
            entry = self._entries.get(key)
            if entry is not None and entry.owner != incident:
                self._own(key, entry, incident)
        self._shown.clear()  # whoever moves anomalies moves members, also such as are forgotten here

    def _own(self, key: str, entry: Entry, incident: str) -> None:
        if entry.owner:
            self._disown(key, entry)
        else:
            del self._free[entry.anomaly.service][key]
            self.urgent["joined"] += entry.urgent
        entry.owner = incident
        self._owned.setdefault(incident, {})[key] = None
        self._news.setdefault(incident, {})[key] = None

    def over(self, incident: str) -> None:
        """An incident has closed and had its last step."""
        self._news.pop(incident, None)
        self._shown.pop(incident, None)
        if incident in self._owned:
            self._over.add(incident)

    def forget(self, now: int) -> int:
        """Forget what closed long ago; how many of them never belonged to an incident."""
        alone = 0
        while self._ending and now - self._ending[0][0] > RECENT:
            end, _, key = heapq.heappop(self._ending)
            entry = self._entries.get(key)
            if entry is None or entry.anomaly.state != "closed" or unix_ns(entry.anomaly.window.end) != end:
                continue  # it has opened again, or closed again later
            del self._entries[key]
            if entry.owner:
                self._disown(key, entry)
                continue
            alone += 1
            self.urgent["expired"] += entry.urgent
            free = self._free[entry.anomaly.service]
            free.pop(key, None)
            if not free:
                del self._free[entry.anomaly.service]
        return alone

    def _disown(self, key: str, entry: Entry) -> None:
        owned = self._owned[entry.owner]
        del owned[key]
        self._news.get(entry.owner, {}).pop(key, None)
        if not owned:
            del self._owned[entry.owner]
            self._over.discard(entry.owner)
        entry.owner = ""

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        entries = [[encode(entry.anomaly), entry.owner] for entry in self._entries.values()]
        return {
            "entries": entries,
            "news": [[incident, *keys] for incident, keys in sorted(self._news.items()) if keys],
        }

    @classmethod
    def of(cls, state: dict[str, Any], open_incidents: Iterable[str]) -> Ledger:
        """The ledger of a snapshot; which incidents are open is known from the cases."""
        out = cls()
        for value, owner in state["entries"]:
            anomaly = decode_anomaly(value)
            out.put(anomaly)
            if owner:
                key = anomaly.anomaly_id
                out._entries[key].owner = owner
                out._owned.setdefault(owner, {})[key] = None
                del out._free[anomaly.service][key]
        out._free = {service: keys for service, keys in out._free.items() if keys}
        out._over = set(out._owned) - set(open_incidents)
        out._news = {incident: dict.fromkeys(keys) for incident, *keys in state["news"]}
        return out


def _critical(anomaly: Anomaly) -> bool:
    return anomaly.attributes.get("severity") == "critical"
