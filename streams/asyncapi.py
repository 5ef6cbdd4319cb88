"""Write the contract of the public topics as an AsyncAPI 3 document, or check that the written one is current.

    python -m streams.asyncapi [--check] [DIR]

Channels come from the table of topics, payloads from the JSON Schemas of the records, headers from ``streams.events``: a document
written by hand would drift from what is sent.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from aiops import __version__
from aiops.generated import outdated, write_or_check
from streams.settings import Settings
from streams.topics import MS, Topic, table

DIRECTORY = Path("docs")
FILE = "asyncapi.json"


class _Sent(NamedTuple):
    """What a public topic holds: its record, what tells one event from another, and what ``ce_type`` may say."""

    record: str
    key: str
    happened: tuple[str, ...]


_TRANSITIONS = ("opened", "acknowledged", "updated", "merged", "resolved", "reopened")
CONTENT = {
    "incidents": _Sent("incident", "incident_id", _TRANSITIONS),
    "incident-events": _Sent("incident", "incident_id", _TRANSITIONS),
    "anomalies": _Sent("anomaly", "anomaly_id", ("opened", "updated", "closed")),
    "notices": _Sent("notice", "", ("begun", "ended")),
    "topology": _Sent("topology", "topology_id", ("new", "rate", "errors", "seen", "gone", "back")),
    "noise": _Sent("noisereport", "environment", ("written",)),
    "status": _Sent("status", "environment", ("updated",)),
    "notifications": _Sent(
        "notification", "incident_id",
        ("told", "waits", "silent", "suppressed", "limited", "learning", "unrouted", "stale"),
    ),
    "commands": _Sent("command", "incident_id", ()),
    "changes": _Sent("change", "service", ()),
    "alerts": _Sent("alert", "alert_id", ()),
}  # fmt: skip
_WRITTEN_BY_PEOPLE = ("commands", "changes", "alerts")


def document() -> dict[str, Any]:
    """The document, for the default configuration."""
    settings = Settings(kafka={"bootstrap.servers": "localhost:9092"})
    topics = {topic.name: topic for topic in table(settings)}
    channels, operations, messages = {}, {}, {}
    for short, sent in CONTENT.items():
        topic = topics[short if short in ("changes", "alerts") else settings.topic(short)]
        name = short.replace("-", "_")
        messages[name] = _message(short, sent)
        channels[name] = {
            "address": topic.name, "title": topic.name, "description": f"{topic.purpose[0].upper()}{topic.purpose[1:]}.",
            "messages": {name: {"$ref": f"#/components/messages/{name}"}},
            "bindings": {"kafka": _binding(topic)},
        }  # fmt: skip
        action = "receive" if short in _WRITTEN_BY_PEOPLE else "send"
        operations[f"{action}_{name}"] = {
            "action": action, "channel": {"$ref": f"#/channels/{name}"}, "summary": _summary(short, action),
            "messages": [{"$ref": f"#/channels/{name}/messages/{name}"}],
        }  # fmt: skip
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "aiops", "version": __version__, "license": {"name": "Apache-2.0"},
            "description": (
                "Public topics of the engine with the default prefix. Values are JSON; within 1.x records only gain "
                "optional fields. Consumers upsert by id and keep the greatest version."
            ),
        },
        "defaultContentType": "application/json",
        "servers": {"kafka": {"host": "localhost:9092", "protocol": "kafka", "description": "The cluster of the configuration."}},
        "channels": channels, "operations": operations, "components": {"messages": messages},
    }  # fmt: skip


def _message(short: str, sent: _Sent) -> dict[str, Any]:
    said: dict[str, Any] = {
        "name": sent.record, "title": sent.record.capitalize(), "contentType": "application/json",
        "payload": {"$ref": f"./schema/{sent.record}.schema.json"},
    }  # fmt: skip
    if sent.key:
        said["bindings"] = {"kafka": {"key": {"type": "string", "description": sent.key}, "bindingVersion": "0.5.0"}}
    if sent.happened:
        said["headers"] = _headers(sent)
    if short == "incidents":
        said["description"] = "A record without a value (a tombstone) says that the incident is forgotten."
    return said


def _headers(sent: _Sent) -> dict[str, Any]:
    text = {"type": "string"}
    types = [f"aiops.{sent.record}.{happened}.v1" for happened in sent.happened]
    return {
        "type": "object",
        "required": ["ce_specversion", "ce_type", "ce_id", "ce_source", "ce_subject", "ce_time", "content-type"],
        "properties": {
            "ce_specversion": {"type": "string", "const": "1.0"}, "ce_type": {"type": "string", "enum": types},
            "ce_id": {**text, "description": "With ce_source unique: what comes twice under it is the same."},
            "ce_source": {"type": "string", "const": "aiops"}, "ce_subject": text,
            "ce_time": {"type": "string", "format": "date-time"}, "ce_dataschema": text,
            "content-type": {"type": "string", "const": "application/json"},
            "version": {**text, "description": "That of the value, where it has one."},
        },
    }  # fmt: skip


def _binding(topic: Topic) -> dict[str, Any]:
    configuration: dict[str, Any] = {"cleanup.policy": [topic.cleanup]}
    if topic.retention is not None:
        configuration["retention.ms"] = topic.retention // MS
    if topic.largest is not None:
        configuration["max.message.bytes"] = topic.largest
    return {
        "topic": topic.name, "partitions": topic.partitions, "replicas": topic.replication,
        "topicConfiguration": configuration, "bindingVersion": "0.5.0",
    }  # fmt: skip


def _summary(short: str, action: str) -> str:
    return f"The engine reads {short}." if action == "receive" else f"The engine writes {short}."


def stale(directory: Path) -> list[Path]:
    """Files that differ from what the code says now."""
    return outdated(_files(directory))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check; 1 if a check found something stale."""
    return write_or_check("streams.asyncapi", __doc__ or "", DIRECTORY, "the code", _files, arguments)


def _files(directory: Path) -> list[tuple[Path, bytes]]:
    return [(directory / FILE, msgspec.json.format(msgspec.json.encode(document()), indent=2) + b"\n")]


if __name__ == "__main__":
    sys.exit(main())
