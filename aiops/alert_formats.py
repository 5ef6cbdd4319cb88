"""Bytes of a message of alerts, as tools send them -> the engine's alerts; recognised by what stands in them.

Known are the engine's own record, a webhook of Alertmanager (version 4), posts to Alertmanager's API v2, and Grafana's
webhook of its unified and of its old alerting.  Others come by a mapping (``FieldMapping``).  Bytes are hostile: what cannot be
read is refused with a reason, and no message makes more than ``MOST`` alerts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from aiops.codec import RecordError, encode
from aiops.told import Alert, Severity, decode_alert

MOST = 1_000  # alerts of a message
LARGEST = 4 << 20  # bytes of a message
LONGEST_TEXT, LONGEST_LABEL, MOST_LABELS = 4_000, 500, 64
UNTOLD = "2200-01-01T00:00:00Z"  # a beginning that is not told: the engine takes the arrival, which is earlier

_WORDS: dict[Severity, str] = {
    "critical": "critical crit page fatal emergency emerg disaster p1 sev1 1",
    "high": "high error err major alert p2 sev2 2",
    "medium": "medium warning warn average p3 sev3 3",
    "low": "low minor p4 sev4 4",
    "info": "info information informational notice none ok debug p5 sev5 5",
}
SEVERITY: dict[str, Severity] = {word: severity for severity, words in _WORDS.items() for word in words.split()}
_ENVIRONMENT = ("deployment_environment_name", "deployment_environment", "environment", "env")
_SERVICE = ("service", "service_name")
_SUMMARY = ("summary", "description", "message", "title")

Json = dict[str, Any]


def decode_alerts(payload: bytes, environment: str = "default") -> list[Alert]:
    """The alerts of a message, in its order; at least one.

    Parameters
    ----------
    environment : str
        Of alerts whose labels name none.

    Raises
    ------
    RecordError
        What is wrong with the message.

    >>> body = b'{"version":"4","groupKey":"g","alerts":[{"status":"firing","labels":{"alertname":"Slow","severity":"page"},'
    >>> (alert,) = decode_alerts(body + b'"startsAt":"2024-01-01T00:00:00Z","fingerprint":"ab"}]}')
    >>> alert.name, alert.severity, alert.alert_id, alert.source
    ('Slow', 'critical', 'ab', 'alertmanager')
    """
    value = _json(payload)
    if isinstance(value, list):
        return _several(value, lambda item: _posted(item, environment))
    if not isinstance(value, dict):
        raise RecordError("alert: neither an object nor a list of them")
    if isinstance(value.get("alerts"), list) and (
        "groupKey" in value or "commonLabels" in value or "receiver" in value
    ):
        source = "grafana" if "orgId" in value else "alertmanager"
        return _several(value["alerts"], lambda item: _hooked(item, source, environment))
    if "ruleName" in value and "state" in value:
        return [_old_grafana(value, environment)]
    if "labels" in value and "startsAt" in value and "name" not in value:
        return [_posted(value, environment)]
    return [decode_alert(payload)]


def _json(payload: bytes) -> Any:
    if len(payload) > LARGEST:
        raise RecordError(f"alert: {len(payload)} bytes; at most {LARGEST} are read")
    try:
        return msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError(f"alert: {error}") from None


def _several(items: list[Any], one: Callable[[Json], Alert]) -> list[Alert]:
    if not items:
        raise RecordError("alert: the list of alerts is empty")
    if len(items) > MOST:
        raise RecordError(f"alert: {len(items)} alerts in a message; at most {MOST} are read")
    out = []
    for i, item in enumerate(items):
        if not isinstance(item, dict):
            raise RecordError(f"alert: number {i} is no object")
        try:
            out.append(one(item))
        except RecordError as error:
            raise RecordError(f"{error} (number {i})") from None
    return out


# ---- formats -------------------------------------------------------------------------------------------------------------
def _hooked(item: Json, source: str, environment: str) -> Alert:
    """An alert of a webhook."""
    status = item.get("status")
    if status not in ("firing", "resolved"):
        raise RecordError(f"alert: status {str(status)[:40]!r} is neither firing nor resolved")
    return _of_labels(item, status, source, environment)


def _posted(item: Json, environment: str) -> Alert:
    """A post to API v2: it fires until it is said to have ended, or is not repeated until it says that it ends."""
    return _of_labels(item, "firing", "alertmanager", environment)


def _of_labels(item: Json, status: str, source: str, environment: str) -> Alert:
    labels, annotations = _texts(item.get("labels"), "labels"), _texts(item.get("annotations"), "annotations")
    name = labels.get("alertname") or labels.get("rulename") or ""
    if not name:
        raise RecordError("alert: labels have no alertname")
    ends = _text(item, "endsAt")
    return _checked(
        {
            "alert_id": _text(item, "fingerprint"), "name": name, "status": status,
            "starts_at": _text(item, "startsAt") or UNTOLD,
            "ends_at": ends or None, "environment": _first(labels, _ENVIRONMENT) or environment,
            "service": _first(labels, _SERVICE) or None, "instance": labels.get("instance"),
            "severity": severity_of(labels.get("severity", "")), "labels": labels, "summary": _first(annotations, _SUMMARY),
            "url": _text(item, "generatorURL") or _text(item, "panelURL") or None, "source": source,
        }
    )  # fmt: skip


def _old_grafana(value: Json, environment: str) -> Alert:
    """Grafana's alerting before version 8; it sends no times, so the arrival stands for them."""
    state = _text(value, "state")
    if state not in ("alerting", "ok", "no_data", "pending", "paused"):
        raise RecordError(f"alert: state {state[:40]!r} is none of Grafana's")
    labels = _texts(value.get("tags"), "tags")
    return _checked(
        {
            "alert_id": f"rule {value.get('ruleId', '')}/{value.get('panelId', '')}", "name": _text(value, "ruleName"),
            "status": "firing" if state in ("alerting", "no_data") else "resolved", "starts_at": UNTOLD,
            "environment": _first(labels, _ENVIRONMENT) or environment, "service": _first(labels, _SERVICE) or None,
            "severity": severity_of(labels.get("severity", "")), "labels": labels,
            "summary": _text(value, "message") or _text(value, "title"), "url": _text(value, "ruleUrl") or None,
            "source": "grafana",
        }
    )  # fmt: skip


class FieldMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where another tool's JSON says what an alert is.

    Attributes
    ----------
    name : text
        How the receiver calls it: alerts come to `/alerts/NAME`, and this is their source.
    fields : names and values
        Of an alert (`name`, `status`, `starts_at`, `ends_at`, `alert_id`, `service`, `instance`, `severity`, `environment`,
        `summary`, `url`), each with the place in the JSON: `check.name` is a field in a field, and a place that begins with `=`
        is a text.
    items : text
        Place of a list of alerts; without it the message is one.
    firing : list
        Values of `status` that mean that it fires; all others mean that it is over.
    labels : text
        Place of an object whose values become labels.
    """

    name: str
    fields: dict[str, str]
    items: str = ""
    firing: tuple[str, ...] = (
        "firing",
        "alerting",
        "critical",
        "warning",
        "triggered",
        "open",
        "down",
        "problem",
        "1",
        "true",
    )
    labels: str = ""


MAPPED = (
    "name", "status", "starts_at", "ends_at", "alert_id", "service", "instance", "severity", "environment", "summary", "url",
)  # fmt: skip


def mapped_alerts(payload: bytes, mapping: FieldMapping, arrival: str, environment: str = "default") -> list[Alert]:
    """The alerts of another tool's JSON.

    Parameters
    ----------
    arrival : str
        RFC 3339; stands for a beginning that is not given.

    Raises
    ------
    RecordError

    >>> checks = FieldMapping("nagios", {"name": "check", "status": "state", "service": "host.app"})
    >>> body = b'{"check":"disk","state":"CRITICAL","host":{"app":"cart"}}'
    >>> (alert,) = mapped_alerts(body, checks, "2024-01-01T00:00:00Z")
    >>> alert.name, alert.status, alert.service, alert.source
    ('disk', 'firing', 'cart', 'nagios')
    """
    value = _json(payload)
    items = _at(value, mapping.items) if mapping.items else [value]
    if not isinstance(items, list):
        raise RecordError(f"alert: there is no list at {mapping.items!r}")
    return _several(items, lambda item: _mapped(item, mapping, arrival, environment))


def _mapped(item: Json, mapping: FieldMapping, arrival: str, environment: str) -> Alert:
    said = {name: _plain(_at(item, place)) for name, place in mapping.fields.items()}
    firing = {value.lower() for value in mapping.firing}
    labels = _texts(_at(item, mapping.labels) if mapping.labels else None, "labels")
    status = said.get("status", "")
    return _checked(
        {
            "alert_id": said.get("alert_id", ""), "name": said.get("name", ""),
            "status": "firing" if status.lower() in firing or "status" not in mapping.fields else "resolved",
            "starts_at": said.get("starts_at") or arrival, "ends_at": said.get("ends_at") or None,
            "environment": said.get("environment") or _first(labels, _ENVIRONMENT) or environment,
            "service": said.get("service") or _first(labels, _SERVICE) or None, "instance": said.get("instance") or None,
            "severity": severity_of(said.get("severity", "")), "labels": labels, "summary": said.get("summary", ""),
            "url": said.get("url") or None, "source": mapping.name,
        }
    )  # fmt: skip


# ---- values ----------------------------------------------------------------------------------------------------------------
def severity_of(text: str) -> Severity:
    """Of the words that tools use; what is not known is medium: neither lost nor believed.

    >>> severity_of("Page"), severity_of("sev3"), severity_of("whatever")
    ('critical', 'medium', 'medium')
    """
    return SEVERITY.get(text.strip().lower(), "medium")


def _checked(fields: Json) -> Alert:
    """Cut to bounds, and read as the engine reads its own."""
    for name in ("name", "summary", "service", "instance", "alert_id", "environment", "url"):
        if isinstance(fields.get(name), str):
            fields[name] = fields[name][:LONGEST_TEXT]
    try:
        alert = msgspec.convert(fields, Alert)
    except msgspec.ValidationError as error:
        raise RecordError(f"alert: {error}") from None
    return decode_alert(encode(alert))


def _texts(value: Any, what: str) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RecordError(f"alert: {what} are no object")
    several = sorted(value.items())[:MOST_LABELS]
    return {name[:LONGEST_LABEL]: text[:LONGEST_LABEL] for name, each in several if (text := _plain(each))}


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RecordError(f"alert: {name} is no text")
    return value


def _plain(value: Any) -> str:
    """A value as text; what is no value is none."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else ""


def _at(value: Any, place: str) -> Any:
    """What stands at a place of nested objects; None where it is not there."""
    if place.startswith("="):
        return place[1:]
    for name in place.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _first(texts: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((texts[name] for name in names if texts.get(name)), "")
