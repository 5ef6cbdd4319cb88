"""Messages -> alerts of Alertmanager: those of its API v2, and those of its webhook of version 4.

An alert is known by its labels alone, so they are those of the message's whole life; what changes is in annotations.  Names of
labels are letters, digits and ``_``, which every version takes; an empty value would be taken off, and with it the identity.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from aiops.notify.message import Message
from aiops.notify.payloads.text import cut, cut_bytes, headline, plain
from aiops.records import rfc3339
from aiops.signals import SECOND

LASTS = 300 * SECOND  # an alert that nobody repeats for so long resolves itself; Alertmanager's own default
NEVER = "0001-01-01T00:00:00Z"  # how Alertmanager says that an alert has not ended
LONGEST_LABEL, LONGEST_TEXT = 1_000, 8_000
_NO_NAME = re.compile(r"[^A-Za-z0-9_]")


def labels(message: Message) -> dict[str, str]:
    """Labels of the alert of a message, the same through its life.

    >>> said = Message(
    ...     notification_id="n",
    ...     key="k",
    ...     trigger="opened",
    ...     firing=True,
    ...     time=0,
    ...     since=0,
    ...     tenant="t",
    ...     environment="e",
    ...     severity="high",
    ...     title="x",
    ...     labels={"alertname": "A", "k8s.pod": "p", "team": ""},
    ... )
    >>> labels(said)
    {'alertname': 'A', 'k8s_pod': 'p'}
    """
    named = {
        _NO_NAME.sub("_", name): cut_bytes(value, LONGEST_LABEL) for name, value in message.labels.items() if value
    }
    return dict(sorted((f"_{name}" if name[:1].isdigit() else name, value) for name, value in named.items() if name))


def words(message: Message) -> dict[str, str]:
    """What changes, and what is for eyes."""
    said = {
        "summary": cut(headline(message), LONGEST_TEXT), "description": plain(message, LONGEST_TEXT),
        "severity": message.severity, "reason": cut(message.reason, LONGEST_TEXT),
    }  # fmt: skip
    if message.incident is not None:
        said["state"] = message.incident.state
        said["version"] = str(message.incident.version)
    return {name: value for name, value in said.items() if value}


def posted(message: Message, now: int, lasts: int = LASTS) -> dict[str, Any]:
    """One alert of ``POST /api/v2/alerts`` at wall time `now` (Unix ns); one that fires does so for `lasts` more."""
    begin = min(message.since, now)  # an end before the beginning is refused
    ends = now + lasts if message.firing else max(begin, min(now, message.time))
    return {
        "labels": labels(message), "annotations": words(message), "startsAt": rfc3339(begin), "endsAt": rfc3339(ends),
        **({"generatorURL": message.link} if message.link else {}),
    }  # fmt: skip


def webhook(message: Message, receiver: str) -> dict[str, Any]:
    """The body of a webhook of version 4, as Alertmanager itself sends it."""
    named, said, state = labels(message), words(message), "firing" if message.firing else "resolved"
    group = {"alertname": named.get("alertname", "")}
    alert = {
        "status": state, "labels": named, "annotations": said, "startsAt": rfc3339(message.since),
        "endsAt": NEVER if message.firing else rfc3339(max(message.since, message.time)), "generatorURL": message.link,
        "fingerprint": hashlib.blake2b(message.key.encode(), digest_size=8).hexdigest(),
    }  # fmt: skip
    return {
        "version": "4", "groupKey": f'{{}}:{{alertname="{group["alertname"]}",key="{message.key}"}}', "truncatedAlerts": 0,
        "status": state, "receiver": receiver, "groupLabels": group, "commonLabels": named, "commonAnnotations": said,
        "externalURL": message.link, "alerts": [alert],
    }  # fmt: skip
