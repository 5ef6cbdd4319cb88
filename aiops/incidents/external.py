"""Alerts of other tools -> anomalies of kind ``external``, each once however often it is told.

An alert is known by what its tool calls it, else by source, name, service, instance and those labels that stay when a process
is replaced.  It is an anomaly while it fires: a repeat that says nothing new is counted and makes no version.
"""

from __future__ import annotations

import bisect
import hashlib
import heapq
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from aiops.records import Alert, Anomaly, Window, anomaly_id, decode_anomaly, encode, rfc3339, unix_ns
from aiops.redact import redact
from aiops.signals import END_OF_TIME, SECOND

DETECTOR, DETECTOR_VERSION = "external", "1"
NOWHERE = "unknown_service"  # service of an alert that names none, as of telemetry that names none
# Nobody has measured how rare an alert is.  The score only orders it among the members, by what its tool says of it.
SCORES = {"critical": 8.0, "high": 6.0, "medium": 4.0, "low": 2.0, "info": 1.0}
VOLATILE = frozenset({
    "pod", "pod_name", "pod_ip", "pod_uid", "uid", "container_id", "container", "replica", "prometheus_replica",
    "pod_template_hash", "controller_revision_hash", "value", "timestamp", "time", "severity",
})  # fmt: skip
MAX_ALERTS = 20_000  # of an environment
MAX_FRESH = 50_000  # versions that wait for the next window; where there is no telemetry, none comes
STALE = 24 * 3600 * SECOND  # a firing alert that nobody has repeated for so long is over; one that lapsed is forgotten
CLOSED = 600 * SECOND  # an alert that was resolved is remembered for so long: late repeats are no news
LONGEST_TEXT, MOST_LABELS, LONGEST_LABEL = 500, 32, 200
LONGEST_READ = 2_000  # characters of a text that are looked at


@dataclass(slots=True)
class Standing:
    """An alert as it stands; times in Unix ns.

    Attributes
    ----------
    anomaly : Anomaly
        Its last version.
    severity : str
        Of ``SCORES``.
    named : str
        The service that it names, empty where it names none.
    onset, arrived, told : int
        Since when it fires; when the first and the last message about it came.
    ends : int
        When it is over unless somebody repeats it, -1 = it does not say.
    lapsed : bool
        It is over because nobody repeated it, not because anybody said so: one who does says that it still fires.
    """

    anomaly: Anomaly
    severity: str
    named: str
    onset: int
    arrived: int
    told: int
    ends: int = -1
    lapsed: bool = False

    @property
    def firing(self) -> bool:
        """Does it still fire?"""
        return self.anomaly.state != "closed"


class External:
    """Alerts of one environment.

    Attributes
    ----------
    of : dict, identity -> Standing
    fresh : deque of Anomaly
        Versions that no window has taken in yet, in the order in which they were made.
    repeats, unmatched, evicted, nowhere : int
        Since the process began: messages that said nothing new; ends of what was not known to fire; alerts forgotten because
        there were too many; alerts that name no service.
    """

    def __init__(self, tenant: str, environment: str) -> None:
        self.tenant, self.environment = tenant, environment
        self.of: dict[str, Standing] = {}
        self.fresh: deque[Anomaly] = deque(maxlen=MAX_FRESH)
        self.repeats = self.unmatched = self.evicted = self.nowhere = 0
        self._order: list[tuple[int, str, str]] = []  # (onset, anomaly id, identity), sorted
        self._due: list[tuple[int, str]] = []  # heap: (when it may be over or forgotten, Unix ns; identity)
        self._due_at: dict[str, int] = {}  # of each identity the entry of the heap that counts

    def ordered(self) -> list[Standing]:
        """All alerts by onset and id."""
        return [self.of[key] for _, _, key in self._order]

    def take(self, arrival: int, alert: Alert) -> list[Anomaly]:
        """An alert that arrived at `arrival` (Unix ns); returns the version of the anomaly that it makes, or nothing."""
        key = identity(alert)
        onset = min(unix_ns(alert.starts_at), arrival)
        ends = -1 if alert.ends_at is None else unix_ns(alert.ends_at)
        fires = alert.status == "firing" and not 0 <= ends <= arrival
        known = self.of.get(key)
        if known is None or (not known.firing and fires and onset > known.onset):
            if not fires:
                self.unmatched += 1
                return []
            return self._opened(key, alert, arrival, onset, ends)
        known.told = max(known.told, arrival)
        ended = alert.status == "resolved"
        # The end of an earlier time that it fired, or a message from before one that said for how long it goes on.
        earlier = not fires and 0 <= ends < max(known.onset, -1 if ended else known.ends)
        if earlier or not (known.firing or (fires and known.lapsed)):
            known.lapsed = known.lapsed and (earlier or not ended)
            self.repeats += 1
            self._watch(key)
            return []
        if not fires:
            known.lapsed = not ended
            closed = self._version(known, "closed", arrival)
            self._watch(key)
            return [closed]
        known.ends = ends
        self._watch(key)
        statement, again = _statement(alert), known.lapsed
        if not again and (known.severity, known.anomaly.statement) == (alert.severity, statement):
            self.repeats += 1
            return []
        known.severity, known.lapsed = alert.severity, False
        if again:
            known.arrived = arrival
        said = {"statement": statement, "score": SCORES[alert.severity], "attributes": _attributes(alert)}
        version = self._version(known, "open" if again else "update", arrival, **said)
        self._watch(key)
        return [version]

    def expire(self, now: int) -> list[Anomaly]:
        """Alerts that end by themselves at event time `now`; those that have been over for long are forgotten."""
        out, due = [], set[str]()
        while self._due and self._due[0][0] <= now:
            time, key = heapq.heappop(self._due)
            if self._due_at.get(key) == time:
                del self._due_at[key]
                due.add(key)
        for key in sorted(due):
            alert = self.of[key]
            if alert.firing and (0 <= alert.ends <= now or now - alert.told > STALE):
                out.append(self._version(alert, "closed", now))
                alert.told, alert.lapsed = now, True
            elif not alert.firing and now - alert.told > (STALE if alert.lapsed else CLOSED):
                self._forget(key)
                continue
            self._watch(key)
        return out

    def _watch(self, key: str) -> None:
        """Look at an alert when it may be over or forgotten; a heap entry of before counts where it comes sooner."""
        alert = self.of[key]
        at = alert.told + (STALE if alert.firing or alert.lapsed else CLOSED) + 1
        at = min(at, alert.ends) if alert.firing and alert.ends >= 0 else at
        if at < self._due_at.get(key, END_OF_TIME):
            self._due_at[key] = at
            heapq.heappush(self._due, (at, key))
            if len(self._due) > 2 * len(self.of) + 1_000:  # what does not count any more is left in the heap
                self._due = sorted((time, key) for key, time in self._due_at.items())

    def _place(self, key: str) -> tuple[int, str, str]:
        return self.of[key].onset, self.of[key].anomaly.anomaly_id, key

    def _forget(self, key: str) -> None:
        del self._order[bisect.bisect_left(self._order, self._place(key))]
        del self.of[key]
        self._due_at.pop(key, None)

    def _opened(self, key: str, alert: Alert, arrival: int, onset: int, ends: int) -> list[Anomaly]:
        service = alert.service or NOWHERE
        self.nowhere += not alert.service
        anomaly = Anomaly(
            anomaly_id=anomaly_id(self.tenant, self.environment, service, key, DETECTOR, onset), version=1, state="open",
            tenant=self.tenant, environment=self.environment, service=service, instance=alert.instance, kind="external",
            signal=alert.name[:LONGEST_LABEL], onset=rfc3339(onset),
            window=Window(start=rfc3339(onset), end=rfc3339(arrival)), score=SCORES[alert.severity], detector=DETECTOR,
            detector_version=DETECTOR_VERSION, statement=_statement(alert), attributes=_attributes(alert),
        )  # fmt: skip
        if key in self.of:
            self._forget(key)
        self.of[key] = Standing(anomaly, alert.severity, alert.service or "", onset, arrival, arrival, ends)
        bisect.insort(self._order, self._place(key))
        self._watch(key)
        self.fresh.append(anomaly)
        return [anomaly, *(self._evict(arrival) if len(self.of) > MAX_ALERTS else ())]

    def _version(self, alert: Standing, state: str, now: int, **said: Any) -> Anomaly:
        old = alert.anomaly
        window = Window(start=old.window.start, end=rfc3339(max(now, unix_ns(old.window.end))))
        alert.anomaly = msgspec.structs.replace(old, version=old.version + 1, state=state, window=window, **said)
        self.fresh.append(alert.anomaly)
        return alert.anomaly

    def _evict(self, now: int) -> list[Anomaly]:
        """Give up an eighth: what is over first, then what is least severe, of these the longest untold."""
        out = []
        worth = {key: (a.firing, SCORES[a.severity], a.told, key) for key, a in self.of.items()}
        for key in sorted(self.of, key=worth.__getitem__)[: MAX_ALERTS // 8]:
            if self.of[key].firing:  # whoever has it as a member must not wait for its end
                out.append(self._version(self.of[key], "closed", now))
            self._forget(key)
            self.evicted += 1
        return out

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        fields = ("severity", "named", "onset", "arrived", "told", "ends", "lapsed")
        return {
            "of": [[key, encode(a.anomaly), *(getattr(a, f) for f in fields)] for key, a in sorted(self.of.items())],
            "fresh": [encode(anomaly) for anomaly in self.fresh],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self.of = {key: Standing(decode_anomaly(anomaly), *rest) for key, anomaly, *rest in state["of"]}
        self.fresh = deque(map(decode_anomaly, state["fresh"]), maxlen=MAX_FRESH)
        self._order = sorted(map(self._place, self.of))
        self._due, self._due_at = [], {}
        for key in self.of:
            self._watch(key)


def identity(alert: Alert) -> str:
    """What an alert is known by through all its repeats: 32 hex digits.

    >>> from aiops.records import decode_alert
    >>> a = b'{"name": "Slow", "status": "firing", "starts_at": "2024-01-01T00:00:00Z", "labels": {"pod": "web-1", "route": "/"}}'
    >>> b = a.replace(b"web-1", b"web-2").replace(b"firing", b"resolved").replace(b"00:00:00Z", b"00:05:00Z")
    >>> identity(decode_alert(a)) == identity(decode_alert(b))
    True
    >>> identity(decode_alert(a)) == identity(decode_alert(a.replace(b'"/"', b'"/pay"')))
    False
    """
    if alert.alert_id:
        parts = ["id", alert.source, alert.alert_id]
    else:
        labels = [text for k, v in sorted(alert.labels.items()) if k not in VOLATILE for text in (k, v)]
        parts = ["labels", alert.source, alert.name, alert.service or "", alert.instance or "", *labels]
    return hashlib.blake2b(msgspec.json.encode(parts), digest_size=16, person=b"aiops.alert").hexdigest()


def _statement(alert: Alert) -> str:
    """In words; an alert's text may quote a log line, and passes the same redaction."""
    said = f"{alert.source or 'an alert'} reports {alert.name}"
    text = _redacted((f"{said}: {alert.summary}" if alert.summary else said)[:LONGEST_READ])
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 3] + "..."


def _attributes(alert: Alert) -> dict[str, str]:
    about = {
        "severity": alert.severity,
        "source": alert.source,
        "alert_id": alert.alert_id,
        "url": _redacted((alert.url or "")[:LONGEST_READ]),
    }
    labels = {
        f"label.{key}": _redacted(value[:LONGEST_READ]) for key, value in sorted(alert.labels.items())[:MOST_LABELS]
    }
    return {key[:LONGEST_LABEL]: value[:LONGEST_LABEL] for key, value in {**about, **labels}.items() if value}


@lru_cache(20_000)  # labels repeat, and looking for secrets is most of what an alert costs
def _redacted(text: str) -> str:
    return redact(text)
