"""What the configuration says of detection, as it is written down; nothing here knows how it is done."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Direction = Literal["up", "down", "both"]
Watch = Literal["full", "light", "off"]
# Detectors of river by what they are given: the value itself, or features scaled to 0 .. 1.
OF_VALUES = ("GaussianScorer", "StandardAbsoluteDeviation")
OF_FEATURES = ("HalfSpaceTrees", "LODA", "LocalOutlierFactor", "OneClassSVM")
DETECTORS = (*OF_VALUES, *OF_FEATURES)
LEAST_BAR = 2.0  # an open anomaly is quiet below it: ``aiops.detect.anomalies.STAY``


class MetricRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds for some metrics; of each question the first rule that matches and answers it decides.

    Attributes
    ----------
    metric, service, environment : pattern
        Names that the rule is about: `*` is any text, `?` any character, `[ab]` one of these; the whole name must match.
    kind : ratio, latency, utilisation, count, size, other or any
        Kind of quantity that the rule is about.
    direction : up, down or both
        Deviations that may open an anomaly.
    least : number
        Smallest deviation from what is expected that may open an anomaly, in the unit of the metric; of rates, a second.
    least_share : number
        The same as a share of what is expected: .2 is a fifth.
    bar : number
        Score, -log10 of a tail probability, that opens an anomaly; at least 2.
    watch : full, light or off
        Judged by the bank as well as by levels, by levels alone, or not at all.
    """

    metric: str = "*"
    service: str = "*"
    environment: str = "*"
    kind: Literal["ratio", "latency", "utilisation", "count", "size", "other", "any"] = "any"
    direction: Direction | None = None
    least: float | None = None
    least_share: float | None = None
    bar: float | None = None
    watch: Watch | None = None


class Challenger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A detector of river that runs beside the bank, is compared with it, and never alerts.

    Attributes
    ----------
    detector : text
        HalfSpaceTrees, LODA, LocalOutlierFactor, OneClassSVM, GaussianScorer or StandardAbsoluteDeviation; needs river.
    parameters : names and values
        What it is made with.
    watch : pattern
        Metrics that it watches, of those that are full.
    most : number
        Signals that it watches at most; it takes a hundred times as long as the bank.
    """

    detector: str
    parameters: dict[str, str] = {}
    watch: str = "*"
    most: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 200


class EntityRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Baselines by what an attribute of metrics names: a device, a host, a tenant.

    Attributes
    ----------
    name : text
        What it is, in anomalies: `device`.
    attribute : text
        Attribute of points that holds its name.
    metric : pattern
        Metrics of which it has baselines; their series are then judged together, and not each by itself.
    value : sum, mean or max
        How the series of one entity are put together.
    most : number
        Entities of this rule in a partition; those beyond it are counted and their series judged by themselves.
    """

    name: Annotated[str, msgspec.Meta(min_length=1)]
    attribute: Annotated[str, msgspec.Meta(min_length=1)]
    metric: str = "*"
    value: Literal["sum", "mean", "max"] = "sum"
    most: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 100_000


class DetectConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What detection is told.

    Attributes
    ----------
    metrics : list
        Rules for metrics, read from top to bottom.
    full_series : number
        Signals of a partition that the bank judges as well as the levels; 6.5 kB each, in memory and in snapshots.
    entities : list
        Baselines by what an attribute names.
    challengers : list
        Detectors of river that run beside the bank.
    """

    metrics: tuple[MetricRule, ...] = ()
    full_series: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 4_000
    entities: tuple[EntityRule, ...] = ()
    challengers: tuple[Challenger, ...] = ()


def problems(config: DetectConfig) -> list[str]:
    """What is wrong with a configuration that its types allow, a line each."""
    found: list[str] = []
    answers = ("direction", "least", "least_share", "bar", "watch")
    for k, rule in enumerate(config.metrics):
        where = f"detect.metrics[{k}]"
        if all(getattr(rule, name) is None for name in answers):
            found.append(f"{where}: it decides nothing; give one of {', '.join(answers)}")
        found += [
            f"{where}.{name}: {value:g} is below 0"
            for name in ("least", "least_share")
            if (value := getattr(rule, name)) is not None and value < 0
        ]
        if rule.bar is not None and rule.bar < LEAST_BAR:
            found.append(f"{where}.bar: {rule.bar:g} is below {LEAST_BAR:g}, at which an open anomaly is quiet")
    names = [rule.name for rule in config.entities]
    found += [f"detect.entities: {name!r} is there twice" for name in sorted(set(names)) if names.count(name) > 1]
    found += [
        f"detect.challengers[{k}].detector: {challenger.detector!r} is none of {', '.join(DETECTORS)}"
        for k, challenger in enumerate(config.challengers)
        if challenger.detector not in DETECTORS
    ]
    return found
