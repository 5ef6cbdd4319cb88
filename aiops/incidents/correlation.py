"""What the configuration says of correlation: rules by which people relate what no call relates."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from aiops.incidents.cel import Condition, ConditionError
from aiops.records import Anomaly
from aiops.signals import SECOND

MOST_RULES = 50
LONGEST_TITLE = 120
OF_MAPS = ("labels.", "attributes.")

# Fields of a record by name, with any value of their type.
FIELDS: dict[str, Any] = {
    "service": "", "instance": "", "peer": "", "kind": "metric", "signal": "", "detector": "", "direction": "up", "score": 4.0,
    "severity": "", "source": "", "tenant": "", "environment": "", "statement": "", "labels": {}, "attributes": {},
}  # fmt: skip
TEXTS = frozenset(name for name, value in FIELDS.items() if isinstance(value, str))


class CorrelationRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Anomalies and alerts that match, of one group, belong to one incident.

    Attributes
    ----------
    name : text
        What it is called where an incident says why.
    when : condition
        In CEL, over service, instance, peer, kind, signal, detector, direction, score, severity, source, tenant, environment,
        statement, labels and attributes.
    group_by : list of fields
        What matches belongs together where all of these are equal and not empty: names of text fields, `labels.x`,
        `attributes.x`.
    window : duration
        The next one of a group may follow the last after this long.
    title : text
        Stands before the title of the incident; `{field}` is what the group has in common.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    when: Annotated[str, msgspec.Meta(min_length=1)]
    group_by: tuple[str, ...] = ("environment",)
    window: Annotated[int, msgspec.Meta(ge=0, extra={"text": "duration"})] = 300 * SECOND
    title: Annotated[str, msgspec.Meta(max_length=LONGEST_TITLE)] = ""


class CorrelationConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How what no call relates comes into one incident.

    Attributes
    ----------
    rules : list
        Rules of people, at most 50.
    """

    rules: tuple[CorrelationRule, ...] = ()


def record_of(anomaly: Anomaly) -> dict[str, Any]:
    """The fields of ``FIELDS`` of an anomaly or an alert."""
    attributes = anomaly.attributes
    return {
        "service": anomaly.service, "instance": anomaly.instance or "", "peer": anomaly.peer or "", "kind": anomaly.kind,
        "signal": anomaly.signal, "detector": anomaly.detector, "direction": anomaly.direction, "score": anomaly.score,
        "severity": attributes.get("severity", ""), "source": attributes.get("source", ""), "tenant": anomaly.tenant,
        "environment": anomaly.environment, "statement": anomaly.statement, "attributes": attributes,
        "labels": {key[6:]: value for key, value in attributes.items() if key.startswith("label.")},
    }  # fmt: skip


def value_of(record: dict[str, Any], field: str) -> str:
    """A field of a group: empty where the record has none."""
    if field in TEXTS:
        return str(record[field])
    name, _, key = field.partition(".")
    return str(record[name].get(key, ""))


def titled(rule: CorrelationRule, values: tuple[str, ...]) -> str:
    """What an incident of a group is called beforehand."""
    title = rule.title
    for field, value in zip(rule.group_by, values, strict=True):
        title = title.replace(f"{{{field}}}", value)
    return title[:LONGEST_TITLE]


def problems(config: CorrelationConfig) -> list[str]:
    """What is wrong with a configuration that its types allow, a line each; every one names its rule."""
    found = []
    if len(config.rules) > MOST_RULES:
        found.append(f"correlation.rules: {len(config.rules)}, more than {MOST_RULES}")
    names = [rule.name for rule in config.rules]
    found += [f"correlation.rules: {name!r} is there twice" for name in sorted(set(names)) if names.count(name) > 1]
    for k, rule in enumerate(config.rules):
        where = f"correlation.rules[{k}] ({rule.name})"
        if not rule.group_by:
            found.append(f"{where}.group_by: at least one field, so that not everything that matches is one")
        found += [
            f"{where}.group_by: {field!r} is neither a text field ({', '.join(sorted(TEXTS))}) nor labels.x or attributes.x"
            for field in rule.group_by
            if field not in TEXTS and not (field.startswith(OF_MAPS) and field.partition(".")[2])
        ]
        if not rule.window:
            found.append(f"{where}.window: 0s is too short")
        try:
            Condition(rule.when, FIELDS)
        except ConditionError as error:
            found.append(f"{where}.when: {error}")
    return found
