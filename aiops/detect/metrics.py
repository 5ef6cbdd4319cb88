"""Metric rows of a window -> evidence and anomalies of metric series, and of instances that fall silent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aiops.columns import CUMULATIVE
from aiops.detect.anomalies import STAY, Candidate
from aiops.detect.bucket_vectors import BucketVectors
from aiops.detect.directory import Directory
from aiops.detect.heartbeat import MAX_INSTANCES, Heartbeat
from aiops.detect.levels import Levels
from aiops.detect.metric_rows import cells_at, merge_rows
from aiops.detect.retention import BRIEF, Kept, Mask, Rule, nearly_full, refitted
from aiops.detect.tails import CAP
from aiops.detect.values import FACETS, LEVEL, MEAN, P95, PREVIOUS, RATE, facets, increases, levels
from aiops.findings import HEARTBEAT, METRIC, RESOURCE, Note
from aiops.identity import Interner
from aiops.signals import MetricRows, ServiceKey

if TYPE_CHECKING:
    from aiops.wire.tables import SeriesInfo

RESOURCE_WORDS = ("cpu", "memory", "disk", "filesystem")
SHARED = ("k8s.node.", "system.", "host.", "node_")  # belongs to a machine, not to a service
RATIO = ("utilization", "utilisation")  # OpenTelemetry's names for shares of a limit
NEARLY_FULL, SATURATED = 0.8, 3.0
MAX_SERIES = 1_000_000  # of a partition; beyond it the new series of a window are counted and not watched


class MetricDetector:
    """All series of a partition: cells -> values (``values``) -> scores (``levels``) -> terms of their services."""

    def __init__(self, directory: Directory) -> None:
        self.levels = Levels(directory.suspicion)
        self.heartbeat = Heartbeat(directory)
        self.ignored = 0
        self._directory = directory
        self._codes = Interner()
        self._previous: NDArray[np.void] = np.zeros(64, PREVIOUS)
        self._vectors = BucketVectors()
        self._info: list[SeriesInfo] = []
        self._level: NDArray[np.int64] = np.full((64, len(FACETS)), -1)  # level code of each facet of a series
        self._service: list[int] = []  # of each series
        self._seen: NDArray[np.int64] = np.full(64, -1)  # start of the last window with a row of it, Unix ns
        self._of_level: list[tuple[int, int]] = []  # (series, facet) of each level
        self._level_service: list[int] = []
        self._level_resource: list[bool] = []
        self._level_shared: list[bool] = []
        self._level_ratio: NDArray[np.bool_] = np.empty(0, bool)
        self._instance: list[int] = []  # heartbeat code of each series
        self._arrays: tuple[NDArray[Any], ...] | None = None  # of levels
        self._series_arrays: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None

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
        levels_before = len(self._of_level)
        for row in fresh.tolist():
            part = parts[rows.source[row]]
            info = part.table.describe(int(part.codes[rows.row[row]]))
            service = self._directory.service(ServiceKey(tenant, info.environment, info.service))
            self._learn(info, service, self.heartbeat.instance(service, info.instance))
        subjects = self._directory.service_subject
        self.levels.grow([subjects[service] for service in self._level_service[levels_before:]])
        self._seen[codes] = self._directory.now
        cells = rows.cells
        live = cells["points"] > 0
        stale = ~live & (cells["stale_time"] > 0)
        instances, _ = self._of_series()
        self.heartbeat.beat(instances[codes[live]], cells["last_time"][live])
        self.heartbeat.end(instances[codes[stale]], cells["stale_time"][stale])
        there = np.flatnonzero(live)
        self._values(codes[there], cells_at(cells, there), rows.bucket_offsets, rows.buckets, there)

    def _learn(self, info: SeriesInfo, service: int, instance: int) -> None:
        """A series that was never seen; the caller makes room for its levels, or restores them."""
        code = len(self._info)
        if code >= len(self._level):
            self._level = np.concatenate([self._level, np.full_like(self._level, -1)])
            self._previous = np.concatenate([self._previous, np.zeros_like(self._previous)])
            self._seen = np.concatenate([self._seen, np.full_like(self._seen, -1)])
        self._info.append(info)
        self._service.append(service)
        self._instance.append(instance)
        self._vectors.learn(info.bounds, info.temporality == CUMULATIVE)
        shared = info.name.startswith(SHARED)
        resource = not shared and any(word in info.name for word in RESOURCE_WORDS)
        for facet in facets(info.kind, info.monotonic):
            self._level[code, facet] = len(self._of_level)
            self._of_level.append((code, facet))
            self._level_service.append(service)
            self._level_resource.append(resource)
            self._level_shared.append(shared)
        self._arrays = self._series_arrays = None

    def _values(
        self, codes: NDArray[np.int32], cells: NDArray[np.void], offsets: NDArray[np.int64], buckets: NDArray[np.float64],
        rows: NDArray[np.int64],
    ) -> None:  # fmt: skip
        out: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = []
        facet = self._level[codes]
        plain = np.flatnonzero(facet[:, LEVEL] >= 0)
        out.append((facet[plain, LEVEL], cells["last_time"][plain], levels(cells_at(cells, plain))))
        counted = np.flatnonzero(facet[:, RATE] >= 0)
        if len(counted):
            some, c = codes[counted], cells_at(cells, counted)
            n = len(some)
            value, count, seconds, whole = np.empty(n), np.empty(n), np.empty(n), np.empty(n, bool)
            temporality = self._of_series()[1][some]
            increases(c, some, self._previous, temporality, value, count, seconds, whole)
            summed = facet[counted, MEAN] < 0  # a sum: its value is the count
            ok = np.isfinite(seconds) & (seconds > 0)
            rate = np.where(summed, value, count)[ok] / seconds[ok]
            out.append((facet[counted[ok], RATE], c["last_time"][ok], rate))
            mean = np.flatnonzero(ok & ~summed & (count > 0) & np.isfinite(value))
            out.append((facet[counted[mean], MEAN], c["last_time"][mean], value[mean] / count[mean]))
            bucketed = np.flatnonzero(facet[counted, P95] >= 0)
            if len(bucketed):
                p95 = self._vectors.percentiles(
                    some[bucketed], whole[bucketed], offsets, buckets, rows[counted[bucketed]], 0.95
                )
                good = ok[bucketed] & np.isfinite(p95)
                out.append((facet[counted[bucketed[good]], P95], c["last_time"][bucketed[good]], p95[good]))
        series = np.concatenate([o[0] for o in out]).astype(np.int64)
        value = np.concatenate([o[2] for o in out])
        ok = np.isfinite(value)
        self.levels.add(series[ok], np.concatenate([o[1] for o in out])[ok], value[ok])

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
        seen, (instance, _) = self._seen[: len(self)], self._of_series()
        last = np.full(len(self.heartbeat), -1, np.int64)
        np.maximum.at(last, instance, seen)
        stays = services[np.array(self._service, np.int64)]
        stays &= rule.stays(last, BRIEF, MAX_INSTANCES, self.heartbeat.identity)[instance]
        stays &= rule.stays(seen, BRIEF, MAX_SERIES, lambda rows: self._codes.identities()[rows].tolist())
        return stays

    def keep(self, series: Kept, services: Kept, subjects: Kept) -> None:
        """Only these series and services stay."""
        n = len(self)
        levels = Kept(series.renumbered([code for code, _ in self._of_level]) >= 0)
        self.levels.keep(levels, subjects)
        held = np.zeros(len(self.heartbeat), bool)
        held[np.array(series.of(self._instance), np.int64)] = True
        instances = Kept(held)
        self._directory.evicted["instances"] += instances.gone
        self.heartbeat.keep(instances, services)
        self._codes = Interner.of(self._codes.identities()[series.rows])
        self._info = series.of(self._info)
        self._service = services.renumbered(series.of(self._service)).tolist()
        self._instance = instances.renumbered(series.of(self._instance)).tolist()
        self._previous, self._seen = refitted(self._previous[:n], series, 0), refitted(self._seen[:n], series, -1)
        self._level = refitted(self._level[:n], series, -1)
        there = self._level >= 0
        self._level[there] = levels.code[self._level[there]]
        self._of_level = [(int(series.code[code]), facet) for code, facet in levels.of(self._of_level)]
        self._level_service = services.renumbered(levels.of(self._level_service)).tolist()
        self._level_resource, self._level_shared = levels.of(self._level_resource), levels.of(self._level_shared)
        self._vectors.keep(series)
        self._arrays = self._series_arrays = None

    # ---- evidence -------------------------------------------------------------------------------------------------------
    def evidence(self, now: int, terms: NDArray[np.float64], notes: dict[tuple[int, int], Note]) -> list[Candidate]:
        """Fill the terms RESOURCE, METRIC and HEARTBEAT of every service at event time `now`."""
        found: list[Candidate] = []
        score = self.levels.evidence(now)
        if len(score):
            service, resource, shared = self._columns()
            up = np.where(resource & (score > 0), score, 0.0)
            up = np.where(up >= STAY, np.minimum(up + self._saturation(len(score)), CAP), up)
            any_ = np.where(shared, 0.0, np.abs(score))
            np.maximum.at(terms[:, RESOURCE], service, up)
            np.maximum.at(terms[:, METRIC], service, any_)
            for level in np.flatnonzero(np.abs(score) >= STAY).tolist():
                found.append(self._candidate(level, float(score[level])))
                of, statement = int(service[level]), found[-1].statement
                for term, value in ((RESOURCE, up[level]), (METRIC, any_[level])):
                    if value >= STAY and value == terms[of, term]:
                        note = Note(statement, "metric")
                        notes[of, term] = min(note, notes.get((of, term), note))
        for code, value, candidate in self.heartbeat.evidence(now):
            terms[code, HEARTBEAT] = value
            if value >= STAY:
                notes[code, HEARTBEAT] = Note(candidate.statement, "metric")
                found.append(candidate)
        return found

    def _saturation(self, n: int) -> NDArray[np.float64]:
        """What nearness to the limit adds to a utilisation that is unusual anyway: 1 means full, whatever is usual."""
        # Values may be anything finite: cut before the division, which would overflow.
        near = (np.clip(self.levels.value[:n], 0.0, 1.0) - NEARLY_FULL) / (1.0 - NEARLY_FULL)
        _ = self._columns()
        return np.where(self._level_ratio, SATURATED * np.clip(near, 0.0, 1.0), 0.0)

    def _columns(self) -> tuple[NDArray[Any], ...]:
        if self._arrays is None:
            self._level_ratio = np.array([self._info[k].name.endswith(RATIO) for k, _ in self._of_level], bool)
            self._arrays = (
                np.array(self._level_service, np.int64), np.array(self._level_resource, bool),
                np.array(self._level_shared, bool),
            )  # fmt: skip
        return self._arrays

    def _of_series(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Instance and temporality of every series."""
        if self._series_arrays is None:
            temporality = np.array([info.temporality for info in self._info], np.int64)
            self._series_arrays = np.array(self._instance, np.int64), temporality
        return self._series_arrays

    def _candidate(self, level: int, score: float) -> Candidate:
        series, facet = self._of_level[level]
        info, state = self._info[series], self.levels
        signal = label(info, facet)
        value, expected, spread = float(state.value[level]), float(state.expected[level]), float(state.spread[level])
        where = f" of {info.instance}" if info.instance else ""
        unit = f" {info.unit}" if info.unit not in ("", "1") else ""
        statement = (
            f"{signal}{where} is {number(value)}{unit}, usually {number(expected)}"
            f" (within {number(expected - spread)} .. {number(expected + spread)})"
        )
        return Candidate(
            self._directory.services[self._service[series]], "metric", signal, "levels", abs(score), statement,
            "up" if score > 0 else "down", info.instance or None, None, value, expected, expected - spread,
            expected + spread, int(state.deviates[level]), (), {"unit": info.unit} if info.unit else {},
        )  # fmt: skip

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {
            "levels": self.levels.state(), "heartbeat": self.heartbeat.state(), "codes": self._codes.identities(),
            "previous": self._previous[: len(self._info)], "vectors": self._vectors.state(),
            "info": [list(i) for i in self._info], "service": self._service, "ignored": self.ignored,
            "instance": self._instance, "seen": self._seen[: len(self)],
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot; the directory has been restored before."""
        from aiops.wire.tables import SeriesInfo

        self._codes = Interner.of(state["codes"])
        self.heartbeat.restore(state["heartbeat"])
        for values, service, instance in zip(state["info"], state["service"], state["instance"], strict=True):
            values[-2], values[-1] = tuple(values[-2]), tuple(tuple(pair) for pair in values[-1])
            self._learn(SeriesInfo(*values), service, instance)
        self._previous[: len(self)], self._seen[: len(self)] = state["previous"], state["seen"]
        self._vectors.restore(state["vectors"])
        self.ignored = state["ignored"]
        self.levels.restore(state["levels"])


def label(info: SeriesInfo, facet: int) -> str:
    """Name of a facet of a series, as people read it."""
    attributes = ", ".join(f"{key}={value}" for key, value in info.attributes)
    return info.name + (f"{{{attributes}}}" if attributes else "") + (f" {FACETS[facet]}" if facet else "")


def number(value: float) -> str:
    """A number with four significant digits."""
    return f"{value:.4g}"
