"""What the configuration says of metrics -> what one signal must do to open an anomaly, and how closely it is watched.

Rules are read from top to bottom; of each question the first rule that matches and answers it decides.  What no rule answers
is decided by the kind of the metric, which ``metric_kinds`` works out from its name and unit.
"""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache
from typing import Any, NamedTuple

from aiops.detect.anomalies import OPEN
from aiops.detect.metric_kinds import MetricKind, golden, kind_of, second, whole, worse
from aiops.detect.rules import Direction, MetricRule, Watch

# Defaults by kind: what a person on call would not get up for.  Reason, not measured: OpenSearch's detectors ignore less than
# 20 per cent by default, others have no default at all.
LEAST_SHARE = {"ratio": 0.0, "latency": 0.2, "utilisation": 0.0, "count": 0.2, "size": 0.1, "other": 0.1}
LEAST_POINTS = {"ratio": 0.02, "utilisation": 0.05}  # of the whole
LEAST_SECONDS = 0.001  # of a latency
# By which a signal that nobody looks at first must be rarer to open an anomaly: there are many of them.  Chosen on the recorded
# day of Online Boutique: with it all faults are told that are told without, on that of TrainTicket too.
RARER = 1.0


class Watched(NamedTuple):
    """What was decided for one facet of a series.

    ``least`` is in its unit, ``least_share`` a share of what is expected; ``watch`` is None where nobody asked for a tier.
    """

    kind: MetricKind
    direction: Direction
    least: float
    least_share: float
    bar: float
    watch: Watch | None


class MetricPolicy:
    """The rules, ready to be asked; what they say of a signal never changes."""

    def __init__(self, rules: tuple[MetricRule, ...] = ()) -> None:
        self._rules = [(r, _pattern(r.metric), _pattern(r.service), _pattern(r.environment)) for r in rules]
        self.watched = lru_cache(maxsize=50_000)(self._watched)

    def _watched(self, environment: str, service: str, name: str, unit: str, instrument: int, facet: int) -> Watched:
        kind = kind_of(name, unit, instrument, facet)
        said: dict[str, Any] = {}
        for rule, metric, of_service, of_environment in self._rules:
            if rule.kind not in ("any", kind):
                continue
            if metric.match(name) and of_service.match(service) and of_environment.match(environment):
                for question in ("direction", "least", "least_share", "bar", "watch"):
                    if (answer := getattr(rule, question)) is not None:
                        said.setdefault(question, answer)
        default = _default(kind, name, unit, facet)
        return default._replace(**said)


def _pattern(glob: str) -> re.Pattern[str]:
    return re.compile(translate(glob))


def _default(kind: MetricKind, name: str, unit: str, facet: int) -> Watched:
    least = 0.0
    direction: Direction = "both"
    if kind in LEAST_POINTS:
        least = LEAST_POINTS[kind] * whole(name, unit)
        direction = worse(name) if kind == "ratio" else "up"
    elif kind == "latency":
        least, direction = LEAST_SECONDS * (second(name, unit) or 0.0), "up"
    bar = OPEN if golden(name, kind, facet) else OPEN + RARER
    return Watched(kind, direction, least, LEAST_SHARE[kind], bar, None)
