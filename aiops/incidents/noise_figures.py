"""What passed through respond -> noise figures: telemetry, records, anomalies, incidents; by service, detector and reason.

Counts of a span of event time become a public record; totals since the process began become gauges.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from aiops.noise_report import HeldBack, NoiseOf, NoiseReport, Storyline
from aiops.records import Anomaly, rfc3339
from aiops.signals import SECOND, WINDOW

EVERY = 300 * SECOND  # a record, aligned; none where there is nothing to say
MAX_NAMES = 2_000  # services, and detectors, that are counted apart in a span; the rest shares <other>
LISTED = 50  # services, detectors, storylines, held back ones in a record
OTHER = "<other>"
# Why an anomaly is not shown by itself, or an incident is not opened or not told.
REASONS = ("repeat", "flapping", "storm", "full", "pause", "flapping-pause", "flapping-incident", "no-symptom")
_RECORDS, _ANOMALIES, _SUPPRESSED, _INCIDENTS = range(4)


class Figures:
    """Counts of one environment.

    Attributes
    ----------
    totals : Counter
        ``records``, ``anomalies``, ``urgent_anomalies``, ``incidents``, ``healed``, ``alone`` and ``suppressed_<reason>``,
        since the process began.
    """

    def __init__(self) -> None:
        self.totals: Counter[str] = Counter()
        self._clear(-1)

    def _clear(self, begun: int) -> None:
        self._begun = begun  # start of the span, Unix ns
        self._items = 0
        self._sums = [0, 0, 0, 0]
        self._suppressed: dict[str, int] = {}
        self._services: dict[str, list[int]] = {}
        self._detectors: dict[str, list[int]] = {}

    def window(self, now: int, items: int) -> None:
        """A window that ends at `now` held so many items of telemetry."""
        if self._begun < 0:
            self._begun = now - WINDOW
        self._items += items

    def record(self, anomaly: Anomaly) -> None:
        """A version of an anomaly."""
        self.totals["records"] += 1
        self._add(_RECORDS, anomaly.service, [anomaly.detector])

    def opened(self, anomaly: Anomaly, is_urgent: bool) -> None:
        """An anomaly that was not known."""
        self.totals["anomalies"] += 1
        self.totals["urgent_anomalies"] += is_urgent
        self._add(_ANOMALIES, anomaly.service, [anomaly.detector])

    def suppressed(self, reason: str, service: str, detector: str | None = None) -> None:
        """Something was not shown or not opened, for one of `REASONS`."""
        self.totals[f"suppressed_{reason}"] += 1
        self._suppressed[reason] = self._suppressed.get(reason, 0) + 1
        self._add(_SUPPRESSED, service, [] if detector is None else [detector])

    def incident(self, service: str, detectors: list[str]) -> None:
        """An incident, or another episode of one, opened, with such a first cause and members of such detectors."""
        self.totals["incidents"] += 1
        self._add(_INCIDENTS, service, detectors)

    def _add(self, which: int, service: str, detectors: list[str]) -> None:
        self._sums[which] += 1
        for name, table in [(service, self._services), *((d, self._detectors) for d in detectors)]:
            row = table.get(name)
            if row is None:
                row = table.setdefault(name if len(table) < MAX_NAMES else OTHER, [0, 0, 0, 0])
            row[which] += 1

    def due(self, now: int) -> bool:
        """Is the span over?"""
        return self._begun >= 0 and now >= (self._begun // EVERY + 1) * EVERY

    def report(
        self, now: int, place: tuple[str, str], storm: bool, held: list[HeldBack], stories: list[Storyline]
    ) -> NoiseReport | None:
        """The record of the span that ends at `now`, and a new span; None where nothing happened."""
        services, detectors, begun, items = self._services, self._detectors, self._begun, self._items
        sums, suppressed = self._sums, self._suppressed
        self._clear(now)
        if not (any(sums) or held or stories or storm):
            return None
        return NoiseReport(
            tenant=place[0], environment=place[1], since=rfc3339(begun), until=rfc3339(now), items=items,
            records=sums[_RECORDS], anomalies=sums[_ANOMALIES], incidents=sums[_INCIDENTS], storm=storm,
            suppressed=dict(sorted(suppressed.items())), services=_most(services), detectors=_most(detectors),
            held_back=tuple(held[:LISTED]), storylines=tuple(stories[:LISTED]),
            not_listed=sum(max(0, len(of) - LISTED) for of in (services, detectors, held, stories)),
        )  # fmt: skip

    def state(self) -> dict[str, Any]:
        """For a snapshot; totals begin with the process."""
        return {
            "begun": self._begun, "items": self._items, "sums": self._sums, "suppressed": self._suppressed,
            "services": self._services, "detectors": self._detectors,
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self._begun, self._items, self._sums = state["begun"], state["items"], state["sums"]
        self._suppressed, self._services, self._detectors = state["suppressed"], state["services"], state["detectors"]


def _most(table: dict[str, list[int]]) -> tuple[NoiseOf, ...]:
    """The loudest, by anomalies, then by what was suppressed and by records."""
    rows = sorted(table.items(), key=lambda of: (-of[1][_ANOMALIES], -of[1][_SUPPRESSED], -of[1][_RECORDS], of[0]))
    return tuple(
        NoiseOf(name=name, records=n[_RECORDS], anomalies=n[_ANOMALIES], suppressed=n[_SUPPRESSED], incidents=n[_INCIDENTS])
        for name, n in rows[:LISTED]
    )  # fmt: skip
