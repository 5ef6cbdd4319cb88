"""Messages -> events of PagerDuty's Events API v2, and its change events."""

from __future__ import annotations

from typing import Any

import msgspec

from aiops.notify.message import Message
from aiops.notify.payloads.text import cut, headline, plain
from aiops.records import RelatedChange, rfc3339

SEVERITY = {"critical": "critical", "high": "error", "medium": "warning", "low": "warning", "info": "info"}
LONGEST_SUMMARY, LONGEST_KEY, LARGEST = 1_024, 255, 512_000
CLIENT = "aiops"


def event(message: Message, routing_key: str) -> dict[str, Any]:
    """The body of ``/v2/enqueue``: a trigger, which later ones with its key update, or the resolution."""
    incident = message.incident
    component = incident.causes[0].service if incident is not None and incident.causes else message.environment
    details: dict[str, Any] = {"reason": message.reason, "text": plain(message), "trigger": message.trigger}
    if incident is not None:
        details |= {
            "incident_id": incident.incident_id, "version": incident.version, "state": incident.state,
            "services": list(incident.services), "causes": [msgspec.to_builtins(cause) for cause in incident.causes],
            "impact": msgspec.to_builtins(incident.impact),
        }  # fmt: skip
    body: dict[str, Any] = {
        "routing_key": routing_key, "event_action": "trigger" if message.firing else "resolve",
        "dedup_key": cut(message.key, LONGEST_KEY), "client": CLIENT,
        "payload": {
            "summary": cut(headline(message), LONGEST_SUMMARY), "source": cut(component or message.environment, LONGEST_SUMMARY),
            "severity": SEVERITY[message.severity], "timestamp": rfc3339(message.time), "component": component,
            "group": message.environment, "class": message.trigger, "custom_details": details,
        },
    }  # fmt: skip
    if message.link:
        body["client_url"] = message.link
        body["links"] = [{"href": message.link, "text": "the incident"}]
    if len(msgspec.json.encode(body)) > LARGEST:  # the details go, the event does not
        body["payload"]["custom_details"] = {"text": plain(message, 10_000), "note": "details were left out: too large"}
    return body


def change(related: RelatedChange, message: Message, routing_key: str) -> dict[str, Any]:
    """The body of ``/v2/change/enqueue`` for a change that may have to do with an incident."""
    return _change(
        f"{related.summary or related.change_id} ({related.reason})", message, routing_key,
        {"change_id": related.change_id, "incident_id": message.key, "score": related.score},
    )  # fmt: skip


def heartbeat(message: Message, routing_key: str) -> dict[str, Any]:
    """A change event that says that the engine is alive: it wakes nobody."""
    return _change(message.title, message, routing_key, {"trigger": message.trigger})


def _change(summary: str, message: Message, routing_key: str, details: dict[str, Any]) -> dict[str, Any]:
    return {
        "routing_key": routing_key,
        "payload": {
            "summary": cut(summary, LONGEST_SUMMARY), "source": CLIENT, "timestamp": rfc3339(message.time),
            "custom_details": details,
        },
        **({"links": [{"href": message.link, "text": "the incident"}]} if message.link else {}),
    }  # fmt: skip
