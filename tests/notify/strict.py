"""What PagerDuty, Slack and Alertmanager accept, as their public documents say: each returns what is wrong with a body."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from aiops.records import unix_ns

LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def pagerduty_event(body: Any) -> list[str]:
    return list(_event(body))


def _event(body: Any) -> Iterator[str]:
    top = {"routing_key", "event_action", "dedup_key", "payload", "client", "client_url", "links", "images"}
    if extra := set(body) - top:
        yield f"unknown {extra}"
    if len(msgspec.json.encode(body)) > 512_000:
        yield "larger than 512 KB"
    if not isinstance(body.get("routing_key"), str) or not body["routing_key"]:
        yield "routing_key"
    if body.get("event_action") not in ("trigger", "acknowledge", "resolve"):
        yield "event_action"
    key = body.get("dedup_key")
    if not isinstance(key, str) or not 0 < len(key) <= 255:
        yield "dedup_key"
    payload = body.get("payload", {})
    if extra := set(payload) - {
        "summary",
        "source",
        "severity",
        "timestamp",
        "component",
        "group",
        "class",
        "custom_details",
    }:
        yield f"payload: unknown {extra}"
    if not 0 < len(payload.get("summary", "")) <= 1024:
        yield "summary"
    if not payload.get("source"):
        yield "source"
    if payload.get("severity") not in ("critical", "error", "warning", "info"):
        yield "severity"
    unix_ns(payload["timestamp"])
    for link in body.get("links", []):
        if not link.get("href", "").startswith("http"):
            yield "link"


def pagerduty_change(body: Any) -> list[str]:
    found = [f"unknown {x}" for x in set(body) - {"routing_key", "payload", "links", "images"}]
    payload = body.get("payload", {})
    found += [f"payload: unknown {x}" for x in set(payload) - {"summary", "source", "timestamp", "custom_details"}]
    if not 0 < len(payload.get("summary", "")) <= 1024 or not body.get("routing_key"):
        found.append("summary or routing_key")
    unix_ns(payload["timestamp"])
    return found


def slack(body: Any) -> list[str]:
    return list(_slack(body))


def _slack(body: Any) -> Iterator[str]:
    if not body.get("text"):
        yield "text is needed as a fallback"
    if re.search(r"<(?!redacted)[!@#]", body.get("text", "")):
        yield "a mention in text"
    blocks = body.get("blocks", [])
    if not 0 < len(blocks) <= 50:
        yield f"{len(blocks)} blocks"
    for block in blocks:
        kind = block["type"]
        if kind == "header":
            if block["text"]["type"] != "plain_text" or not 0 < len(block["text"]["text"]) <= 150:
                yield "header"
        elif kind == "section":
            if not 0 < len(block["text"]["text"]) <= 3000:
                yield "section"
        elif kind == "actions":
            for element in block["elements"]:
                if (
                    not element["url"].startswith("http")
                    or len(element["url"]) > 3000
                    or len(element["text"]["text"]) > 75
                ):
                    yield "button"
        elif kind == "context":
            if not 0 < len(block["elements"]) <= 10:
                yield "context"
        else:
            yield f"block {kind}"
        for text in _texts(block):
            if text.get("type") == "mrkdwn":
                yield "markup, in which telemetry could speak"


def _texts(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        if "text" in value and isinstance(value["text"], str):
            yield value
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def alerts(body: Any) -> list[str]:
    """Of ``POST /api/v2/alerts``."""
    found = [] if isinstance(body, list) and body else ["no list"]
    for alert in body:
        if extra := set(alert) - {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}:
            found.append(f"unknown {extra}")
        found += [f"label {n!r}" for n in alert["labels"] if not LABEL.fullmatch(n)]
        found += [f"label {n!r} is empty" for n, v in alert["labels"].items() if not v]
        found += [f"annotation {n!r}" for n in alert["annotations"] if not LABEL.fullmatch(n)]
        if not alert["labels"].get("alertname"):
            found.append("alertname")
        if unix_ns(alert["endsAt"]) < unix_ns(alert["startsAt"]):
            found.append("ends before it starts")
    return found
