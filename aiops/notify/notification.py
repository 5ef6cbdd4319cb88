"""The public record of a decision: what of an incident was told, to whom and why, or why not; and what became of it."""

from __future__ import annotations

from typing import Literal

import msgspec

from aiops.codec import PublicRecord, Time, decode
from aiops.records import Version
from aiops.told import Severity

Trigger = Literal[
    "opened", "severity", "cause", "reopened", "resolved", "merged", "digest", "update", "blind", "gap", "overload", "straggler",
]  # fmt: skip
Outcome = Literal["told", "waits", "silent", "suppressed", "limited", "learning", "unrouted", "stale"]
DeliveryState = Literal["waiting", "delivered", "refused", "given_up", "dry_run"]


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it at one sink; ``at`` is by the wall clock, ``error`` what the sink said last."""

    sink: str
    state: DeliveryState = "waiting"
    attempts: int = 0
    at: Time | None = None
    error: str = ""


class Notification(PublicRecord, frozen=True, kw_only=True):
    """One decision about one version of an incident: was it told, and why.

    ``trigger`` is what happened, ``outcome`` what was decided: ``told``, or why not (now): ``waits`` for the incident to settle,
    ``silent`` because the policy does not tell of this, ``suppressed`` by a silence, maintenance or flapping, ``limited`` until
    the digest, ``learning``, ``unrouted``, or ``stale``: older than what is remembered.  ``time`` is event time.  Consumers
    upsert by ``notification_id`` and keep the greatest ``version``, which rises when a delivery ends.  A watchdog's own has no
    ``incident_id``.
    """

    notification_id: str
    version: Version = 1
    tenant: str
    environment: str
    incident_id: str | None = None
    incident_version: int = 0
    episode: int = 0
    time: Time
    trigger: Trigger
    outcome: Outcome
    reason: str
    severity: Severity
    title: str
    deliveries: tuple[Delivery, ...] = ()


def decode_notification(data: bytes) -> Notification:
    """Read a record of schema 1.x; fields that this release does not know are ignored.

    Raises
    ------
    RecordError
        Naming the field at fault.
    """
    return decode("notification", _NOTIFICATION, data)


_NOTIFICATION = msgspec.json.Decoder(Notification)
