"""Messages -> the native body of a webhook: the message with the incident in brief, as the engine's own records are written."""

from __future__ import annotations

from typing import Any

import msgspec

from aiops.notify.message import Message
from aiops.records import rfc3339

TYPE = "aiops.notification.v1"


def body(message: Message) -> dict[str, Any]:
    """The body; ``id`` is the same at every attempt, ``key`` through all messages about the same."""
    return {
        "type": TYPE, "id": message.notification_id, "key": message.key, "trigger": message.trigger, "firing": message.firing,
        "time": rfc3339(message.time), "since": rfc3339(message.since), "tenant": message.tenant,
        "environment": message.environment, "severity": message.severity, "title": message.title, "lines": message.lines,
        "reason": message.reason, "labels": message.labels, "link": message.link or None,
        "incident": None if message.incident is None else msgspec.to_builtins(message.incident),
    }  # fmt: skip
