"""Versions of incidents made by hand, and a desk that keeps what it decides."""

from __future__ import annotations

from typing import Any

import msgspec

from aiops.notify.config import NotifyConfig, Sink
from aiops.notify.desk import Desk
from aiops.notify.notification import Notification
from aiops.records import Cause, Counts, Incident, Suppression, rfc3339
from aiops.signals import SECOND

T = 1_700_000_000 * SECOND
MINUTE, HOUR = 60 * SECOND, 3600 * SECOND
PLACE = ("default", "prod")
HOOK = Sink("hook", "webhook", url="http://127.0.0.1:1/")
CONFIG = NotifyConfig(sinks=(HOOK,))


def cause(service: str = "cart", kind: str = "code", confidence: float = 0.8) -> Cause:
    return Cause(rank=1, service=service, kind=kind, score=4.0, confidence=confidence, summary=f"{service} is it")  # type: ignore[arg-type]


def quiet(by: str = "silence", until: int | None = None) -> Suppression:
    return Suppression(by=by, reason="we know", author="ann", until=None if until is None else rfc3339(until))


class Story:
    """One incident, version after version; `at` is seconds after it opened."""

    def __init__(self, name: str = "i1", begin: int = T, environment: str = "prod", **fields: Any) -> None:
        self.begin = begin
        self.now = Incident(
            incident_id=name, version=0, tenant="default", environment=environment, state="open", severity="medium",
            title=f"{name}: cart is slow", summary="", opened_at=rfc3339(begin), onset_at=rfc3339(begin),
            updated_at=rfc3339(begin), services=("cart", "web"), causes=(cause(),), engine_version="1", config_hash="c",
        )  # fmt: skip
        self.now = msgspec.structs.replace(self.now, **fields)

    def at(self, seconds: float, **fields: Any) -> Incident:
        """The next version."""
        time = rfc3339(self.begin + round(seconds * SECOND))
        if fields.get("state") == "resolved":
            fields.setdefault("resolved_at", time)
        self.now = msgspec.structs.replace(self.now, version=self.now.version + 1, updated_at=time, **fields)
        return self.now

    def again(self, seconds: float, **fields: Any) -> Incident:
        """It comes back as another episode."""
        opened = rfc3339(self.begin + round(seconds * SECOND))
        back = {"state": "open", "resolved_at": None, "episode": self.now.episode + 1, "opened_at": opened}
        return self.at(seconds, **back, **fields)


class Office(Desk):
    """A desk; ``said`` is all that it decided."""

    def __init__(self, config: NotifyConfig = CONFIG, begin: int = 0) -> None:
        super().__init__(config, begin)
        self.said: list[Notification] = []

    def see(self, *incidents: Incident) -> list[str]:
        """Take versions; returns what was decided about them, as ``trigger outcome``."""
        for incident in incidents:
            self.take(incident)
        return self.look()

    def clock(self, seconds: float, place: tuple[str, str] = PLACE) -> list[str]:
        """So many seconds after T."""
        self.advance(place, T + round(seconds * SECOND))
        return self.look()

    def look(self) -> list[str]:
        new, self.records = self.records, []
        self.said += new
        return [f"{r.trigger} {r.outcome}" for r in new]

    def told(self) -> list[Notification]:
        return [r for r in self.said if r.outcome == "told" and all(d.state == "waiting" for d in r.deliveries)]


def known(counts: int = 0, **more: Any) -> Counts:
    return Counts(anomalies=3, alerts=counts, **more)
