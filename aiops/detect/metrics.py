"""Metric rows of a window -> evidence and anomalies of metric series, and of instances that fall silent."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aiops.detect.anomalies import STAY, Candidate
from aiops.detect.directory import Directory
from aiops.detect.heartbeat import MAX_INSTANCES, Heartbeat
from aiops.detect.metric_rows import merge_rows
from aiops.detect.metric_signals import MetricSignals, Notes
from aiops.detect.metric_values import MetricValues
from aiops.detect.missing import Missing
from aiops.detect.placement import Placed, Places
from aiops.detect.retention import BRIEF, Kept, Mask, Rule, nearly_full, refitted
from aiops.detect.rules import DetectConfig
from aiops.detect.values import FACETS, facets
from aiops.findings import HEARTBEAT, Note
from aiops.identity import Interner
from aiops.signals import MetricRows, ServiceKey

if TYPE_CHECKING:
    from aiops.wire.tables import SeriesInfo

MAX_SERIES = 1_000_000  # of a partition; beyond it the new series of a window are counted and not watched


class MetricDetector:
    """All series of a partition: cells -> values (``metric_values``) -> terms of their services (``metric_signals``).

    Attributes
    ----------
    ignored : int
        Rows of series for which there was no room, since the process began.
    """

    def __init__(self, directory: Directory, config: DetectConfig | None = None) -> None:
        self.signals = MetricSignals(directory, config or DetectConfig())
        self.heartbeat = Heartbeat(directory)
        self.missing = Missing()
        self.places = Places()
        self.ignored = 0
        self._directory = directory
        self._codes = Interner()
        self._values = MetricValues()
        self._info: list[SeriesInfo] = []
        self._bounds: dict[tuple[float, ...], tuple[float, ...]] = {}
        self._sets: dict[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]] = {}
        self._signal: NDArray[np.int64] = np.full((64, len(FACETS)), -1)  # signal of each facet of a series
        self._service: list[int] = []  # of each series
        self._seen: NDArray[np.int64] = np.full(64, -1)  # start of the last window with a row of it, Unix ns
        self._instance: list[int] = []  # heartbeat code of each series
        self._instances: NDArray[np.int64] | None = None  # the same as an array
        self._of_signal: NDArray[np.int64] | None = None  # instance of each signal

    def __len__(self) -> int:
        return len(self._info)

    def add(self, tenant: str, parts: list[MetricRows]) -> None:
        """All rows of one window, of all sources."""
        rows = merge_rows(parts)
        if rows is None:
            return
        known = self._codes.find(rows.series)
        unknown = np.flatnonzero(known < 0)
        room = MAX_SERIES - len(self._info)
        if len(unknown) > room:
            # Rows come in the order of identities: who finds room does not depend on who came first.
            known[unknown[:room]] = 0
            watched = np.flatnonzero(known >= 0)
            self.ignored += len(known) - len(watched)
            rows = rows.chosen(watched)
        codes, fresh = self._codes.codes(rows.series)
        for row in fresh.tolist():
            part = parts[rows.source[row]]
            info = part.table.describe(int(part.codes[rows.row[row]]))
            service = self._directory.service(ServiceKey(tenant, info.environment, info.service))
            self._learn(info, service, self.heartbeat.instance(service, info.instance))
            self.places.learn(len(self) - 1, part.table.entity_of(int(part.codes[rows.row[row]])))
            for facet in facets(info.kind, info.monotonic):
                self._watch(len(self) - 1, facet, int(rows.series[row]))
        self.signals.settle()
        self.missing.settle()
        self._seen[codes] = self._directory.now
        cells = rows.cells
        live = cells["points"] > 0
        stale = ~live & (cells["stale_time"] > 0)
        instances = self._instances_of_series()
        newest = cells["last_time"][live]
        self.places.beat(codes[live], instances[codes[live]], newest, self.heartbeat.last)
        self.heartbeat.beat(instances[codes[live]], newest)
        self.heartbeat.end(instances[codes[stale]], cells["stale_time"][stale])
        self.missing.beat(codes[live], newest)
        there = np.flatnonzero(live)
        self.signals.judge(self._values.of(codes[there], rows, there, self._signal[codes[there]]))

    def _learn(self, info: SeriesInfo, service: int, instance: int) -> None:
        """A series that was never seen."""
        code, info = len(self._info), self._shared(info)
        if code >= len(self._signal):
            self._signal = np.concatenate([self._signal, np.full_like(self._signal, -1)])
            self._seen = np.concatenate([self._seen, np.full_like(self._seen, -1)])
        self._info.append(info)
        self._service.append(service)
        self._instance.append(instance)
        self._values.learn(info)
        self.missing.learn(self._directory.services[service], info, (instance, service))
        self._instances = None

    def _shared(self, info: SeriesInfo) -> SeriesInfo:
        """The same, of texts, attributes and bounds that series share: of its own each would have more of them than of state."""
        texts = [sys.intern(text) for text in (info.environment, info.service, info.instance, info.name, info.unit)]
        environment, service, instance, name, unit = texts
        attributes = self._sets.get(info.attributes)
        if attributes is None:
            attributes = tuple((sys.intern(key), sys.intern(value)) for key, value in info.attributes)
            self._sets[attributes] = attributes
        return info._replace(
            environment=environment, service=service, instance=instance, name=name, unit=unit,
            bounds=self._bounds.setdefault(info.bounds, info.bounds),
            attributes=attributes,
        )  # fmt: skip

    def _watch(self, series: int, facet: int, identity: int) -> bool:
        """Judge a facet of a series, if the policy wants it to be."""
        if not self.signals.learn(self._info[series], facet, self._service[series], identity):
            return False
        self._signal[series, facet] = len(self.signals) - 1
        self._of_signal = None
        return True

    def _of_signals(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Series and facet of every signal: int64, shape (signals,)."""
        series, facet = np.nonzero(self._signal[: len(self)] >= 0)
        order = np.argsort(self._signal[series, facet])
        return series[order], facet[order]

    def sizes(self) -> dict[str, int]:
        """Fill of the tables."""
        unwatched = int(np.count_nonzero((self._signal[: len(self)] < 0).all(1)))
        return {
            "series": len(self), "instances": len(self.heartbeat), "machines": len(self.places),
            "unwatched_series": unwatched,
            "metrics_of_instances": len(self.missing), **self.signals.sizes(),
        }  # fmt: skip

    # ---- eviction -------------------------------------------------------------------------------------------------------
    @property
    def nearly_full(self) -> bool:
        """May rows go before the hour?"""
        return nearly_full(len(self), MAX_SERIES) or nearly_full(len(self.heartbeat), MAX_INSTANCES)

    def tell_services(self) -> None:
        """Tell the directory when the services of the series were last seen."""
        self._directory.saw_services(np.array(self._service, np.int64), self._seen[: len(self)])

    def stays(self, rule: Rule, services: Mask) -> Mask:
        """Which series stay where these services do: bool array.  An instance goes with the last of its series."""
        seen, instance = self._seen[: len(self)], self._instances_of_series()
        last = np.full(len(self.heartbeat), -1, np.int64)
        np.maximum.at(last, instance, seen)
        stays = services[np.array(self._service, np.int64)]
        stays &= rule.stays(last, BRIEF, MAX_INSTANCES, self.heartbeat.identity)[instance]
        stays &= rule.stays(seen, BRIEF, MAX_SERIES, lambda rows: self._codes.identities()[rows].tolist())
        return stays

    def keep(self, series: Kept, services: Kept, subjects: Kept) -> None:
        """Only these series and services stay."""
        n = len(self)
        signals = Kept(series.code[self._of_signals()[0]] >= 0)
        held = np.zeros(len(self.heartbeat), bool)
        held[np.array(series.of(self._instance), np.int64)] = True
        instances = Kept(held)
        self._directory.evicted["instances"] += instances.gone
        self.heartbeat.keep(instances, services)
        self._codes = Interner.of(self._codes.identities()[series.rows])
        self._info = series.of(self._info)
        self._bounds = {info.bounds: info.bounds for info in self._info}
        self._sets = {info.attributes: info.attributes for info in self._info}
        self._service = services.renumbered(series.of(self._service)).tolist()
        self._instance = instances.renumbered(series.of(self._instance)).tolist()
        self._seen = refitted(self._seen[:n], series, -1)
        self._signal = refitted(self._signal[:n], series, -1)
        there = self._signal >= 0
        self._signal[there] = signals.code[self._signal[there]]
        self._values.keep(series)
        self.missing.keep(series, instances, services)
        self.places.keep(series, instances)
        self._instances = self._of_signal = None
        self.signals.keep(signals, services, subjects)

    # ---- evidence -------------------------------------------------------------------------------------------------------
    def evidence(self, now: int, terms: NDArray[np.float64], notes: Notes) -> list[Candidate]:
        """Fill the terms RESOURCE, METRIC and HEARTBEAT of every service at event time `now`."""
        found = self.signals.evidence(now, terms, notes)
        for code, value, candidate in self.heartbeat.evidence(now):
            terms[code, HEARTBEAT] = value
            if value >= STAY:
                notes[code, HEARTBEAT] = Note(candidate.statement, "metric")
                found.append(candidate)
        return found + self.missing.evidence(now, self._directory.services, self.heartbeat.identity)

    def placed(self, now: int) -> Placed:
        """Instances by service and machine at event time `now` (Unix ns), after ``evidence`` of that time."""
        if self._of_signal is None:
            self._of_signal = self._instances_of_series()[self._of_signals()[0]]
        deviating = np.zeros(len(self.heartbeat), bool)
        deviating[self._of_signal[self.signals.in_trouble()]] = True
        return self.places.counted(now, self.heartbeat, deviating)

    def _instances_of_series(self) -> NDArray[np.int64]:
        if self._instances is None:
            self._instances = np.array(self._instance, np.int64)
        return self._instances

    # ---- state ----------------------------------------------------------------------------------------------------------
    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        series, facet = self._of_signals()
        return {
            "signals": self.signals.state(), "heartbeat": self.heartbeat.state(), "missing": self.missing.state(),
            "places": self.places.state(len(self), len(self.heartbeat)),
            "codes": self._codes.identities(), "values": self._values.state(), "info": [list(i) for i in self._info],
            "service": self._service, "ignored": self.ignored, "instance": self._instance, "seen": self._seen[: len(self)],
            "signal_series": series.astype(np.int32), "signal_facet": facet.astype(np.uint8),
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot, also one that was made under another policy; the directory was restored before."""
        from aiops.wire.tables import SeriesInfo

        self._codes = Interner.of(state["codes"])
        self.heartbeat.restore(state["heartbeat"])
        for values, service, instance in zip(state["info"], state["service"], state["instance"], strict=True):
            values[-2], values[-1] = tuple(values[-2]), tuple(tuple(pair) for pair in values[-1])
            self._learn(SeriesInfo(*values), service, instance)
        self._seen[: len(self)] = state["seen"]
        self._values.restore(state["values"])
        self.missing.settle()
        self.missing.restore(state["missing"])
        self.places.restore(state["places"])
        self.ignored = state["ignored"]
        identity = self._codes.identities().tolist()
        pairs = zip(state["signal_series"].tolist(), state["signal_facet"].tolist(), strict=True)
        self.signals.begin_restore(state["signals"])
        kept = Kept(np.array([self._watch(series, facet, identity[series]) for series, facet in pairs], bool))
        self.signals.restore(state["signals"], kept)
        for series, info in enumerate(self._info):
            for facet in facets(info.kind, info.monotonic):
                if self._signal[series, facet] < 0:
                    self._watch(series, facet, identity[series])  # nobody watched it before
        self.signals.settle()
