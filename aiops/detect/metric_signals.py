"""Values of metric signals -> evidence and candidates: all judges of a partition, and what each signal is to them.

A *signal* is a facet of a series that the policy wants to be judged; its code is its place in the order of first sight.  Every
signal has a level (``levels``); those that matter are judged by the bank as well (``full_series``), those that have siblings by
how they differ (``outliers``), and those that name an entity together (``entities``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aiops.columns import SUM
from aiops.detect.anomalies import OPEN, STAY, Candidate
from aiops.detect.challengers import Challengers
from aiops.detect.directory import Directory
from aiops.detect.entities import Entities
from aiops.detect.exhaustion import FILLS, Exhaustion
from aiops.detect.exhaustion import SCORE as EXHAUSTED
from aiops.detect.full_series import GOLDEN, SPEAKS, FullSeries
from aiops.detect.levels import Levels
from aiops.detect.metric_kinds import golden, second, whole, words
from aiops.detect.metric_words import Signal, of_bank, of_entity, of_exhaustion, of_level, of_siblings
from aiops.detect.outliers import Outliers
from aiops.detect.placement import DEVIATES
from aiops.detect.policy import MetricPolicy, Watched
from aiops.detect.retention import Kept
from aiops.detect.rules import DetectConfig
from aiops.detect.siblings import Siblings
from aiops.detect.tails import CAP
from aiops.detect.values import LEVEL, RATE
from aiops.findings import METRIC, RESOURCE, Note

if TYPE_CHECKING:
    from aiops.detect.metric_values import Values
    from aiops.wire.tables import SeriesInfo

RESOURCE_WORDS = ("cpu", "memory", "disk", "filesystem")
SHARED = ("k8s.node.", "system.", "host.", "node_")  # belongs to a machine, not to a service
RATIO = ("utilization", "utilisation")  # OpenTelemetry's names for shares of a limit
NEARLY_FULL, SATURATED = 0.8, 3.0
# Shares of time for which a collector stops its process: below the first nobody feels it, from the second on it counts in full.
# 1 % and 8 % are what the collectors of the JVM themselves aim at (GCTimeRatio of 99 and 12).
STOPPED_LEAST, STOPPED_FULL = 0.01, 0.08

Notes = dict[tuple[int, int], Note]


# What is asked of all signals at once.
ABOUT = np.dtype(
    [
        ("identity", np.uint64),  # of the series
        ("service", np.int64),
        ("shared", np.bool_),
        ("resource", np.bool_),
        ("ratio", np.bool_),
        ("stops", np.float64),  # of seconds for which a collector stops its process: its units in a second; else 0
        ("whole", np.float64),  # what stands for all of it, of shares of a limit
        ("golden", np.bool_),
        ("full", np.bool_),  # a rule wants it to be
        ("light", np.bool_),
        ("harm", np.bool_),  # more of it is trouble for the instance that says so
    ]
)


def _about(info: SeriesInfo, facet: int, watched: Watched, service: int, identity: int) -> tuple[Any, ...]:
    name = info.name
    shared = name.startswith(SHARED)
    stops = (second(name, info.unit) or 0.0) if facet == RATE and info.kind == SUM and "gc" in words(name) else 0.0
    resource = not shared and (stops > 0.0 or any(word in name for word in RESOURCE_WORDS))
    matters = golden(name, watched.kind, facet)
    return (
        identity,
        service,
        shared,
        resource,
        name.endswith(RATIO),
        stops,
        whole(name, info.unit),
        matters,
        watched.watch == "full",
        watched.watch == "light",
        resource or watched.kind in ("latency", "utilisation"),
    )


class MetricSignals:
    """All signals of a partition."""

    def __init__(self, directory: Directory, config: DetectConfig) -> None:
        self._directory = directory
        self._policy = MetricPolicy(config.metrics)
        self.siblings = Siblings()
        self.levels = Levels(directory.suspicion)
        self.full = FullSeries(config.full_series)
        self.outliers = Outliers(directory.suspicion)
        self.exhaustion = Exhaustion()
        self.entities = Entities(directory.suspicion, config.entities)
        self.challengers = Challengers(config.challengers)
        self._info: list[SeriesInfo] = []
        self._facet: list[int] = []
        self._watched: list[Watched] = []
        self._about: NDArray[np.void] = np.empty(0, ABOUT)
        self._new: list[tuple[Any, ...]] = []  # of signals that are new
        self._trouble: NDArray[np.int64] = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self._info)

    def learn(self, info: SeriesInfo, facet: int, service: int, identity: int) -> bool:
        """The next signal, of a service (code) and a series (identity), if the policy wants it; ``settle`` makes room for it."""
        key = self._directory.services[service]
        watched = self._policy.watched(key.environment, key.service, info.name, info.unit, info.kind, facet)
        if watched.watch == "off":
            return False
        self._info.append(info)
        self._facet.append(facet)
        self._watched.append(watched)
        self._new.append(_about(info, facet, watched, service, identity))
        self.siblings.learn(key, info, facet)
        self.entities.learn(key, info, facet)
        return True

    def settle(self) -> None:
        """Room for the signals that are new."""
        if not self._new:
            return
        first = self._told()
        new, of = np.arange(first, len(self)), self._about[first:]
        subjects, lent = self._directory.service_subject, self.siblings.lent(first, self.levels.head)
        owners = [subjects[service] for service in of["service"].tolist()]
        self.levels.grow(owners, lent)
        self.entities.settle(owners)
        self.full.grow(len(self))
        self.outliers.grow(len(self))
        fills = [self._facet[k] == LEVEL and bool(FILLS.search(self._info[k].name)) for k in new.tolist()]
        self.exhaustion.grow(of["ratio"] & ~of["shared"] & np.array(fills, bool))
        self._promote(new[of["full"]])
        self._promote(new[of["golden"] & ~of["full"] & ~of["light"]], GOLDEN)

    def _told(self) -> int:
        """Signals that were told belong to the columns and to their groups; returns the first of them."""
        first = self.siblings.settle()
        if self._new:
            self._about = np.concatenate([self._about, np.array(self._new, ABOUT)])
            self._new.clear()
        return first

    def _promote(self, signals: NDArray[np.int64], share: float = 1.0) -> None:
        """Judge signals by the bank as well from now on, as far as there is room."""
        if not len(signals):
            return
        before = len(self.full)
        self.full.promote(signals, self.siblings.kin, self._about["identity"], share)
        for signal in self.full.signal[before:].tolist():
            self.challengers.watch(signal, self._info[signal].name)

    def judge(self, values: Values) -> None:
        """The values of a window."""
        self.levels.add(*values)
        self.full.add(values, self.levels.head)
        self.outliers.add(values, self._about["golden"], self.siblings.peers, self.levels.owner)
        self.entities.add(values, self.levels.head, self.levels.time)
        self.exhaustion.add(values)
        row = self.full.rows(values.level)
        full = np.flatnonzero(row >= 0)
        self.challengers.add(values.level[full], values.value[full], self.full.score[row[full], -1])

    def advance(self, now: int) -> None:
        """Event time is `now` (Unix ns)."""
        for levels in (self.levels, self.outliers.differences, self.entities.levels):
            levels.advance(now)

    def sizes(self) -> dict[str, int]:
        """How many are judged, how, and how many of them are still being learned."""
        return {
            "signals": len(self), "learning_signals": int(np.count_nonzero(self.levels.learned() < 1.0)),
            "full_signals": len(self.full), "full_learning_signals": int(np.count_nonzero(self.full.learned() < SPEAKS)),
            "compared_signals": len(self.outliers), "entities": len(self.entities),
            "filling_signals": len(self.exhaustion),
        }  # fmt: skip

    def in_trouble(self) -> NDArray[np.int64]:
        """Latencies and utilisations that are too high, as of the last evidence: codes of signals."""
        return self._trouble

    def left_out(self) -> dict[str, int]:
        """What found no room, since the process began."""
        return {
            "refused_full_signals_total": self.full.refused, "ignored_compared_signals_total": self.outliers.ignored,
            "ignored_entities_total": self.entities.ignored, "ignored_filling_signals_total": self.exhaustion.ignored,
        }  # fmt: skip

    # ---- evidence -------------------------------------------------------------------------------------------------------
    def evidence(self, now: int, terms: NDArray[np.float64], notes: Notes) -> list[Candidate]:
        """Fill the terms RESOURCE and METRIC of every service at event time `now` (Unix ns), and say what stands out."""
        score = self.levels.evidence(now)
        self._trouble = np.flatnonzero(self._about["harm"] & (score >= DEVIATES))
        if not len(score):
            return []
        speaking = np.zeros(len(self), bool)
        speaking[self.full.signal[self.full.learned() >= SPEAKS]] = True
        found = self._of_levels(score, speaking, terms, notes)
        found += self._of_exhaustion(now, terms, notes)
        found += self._of_bank(now, score, speaking)
        found += self._of_siblings(now)
        found += self._of_entities(now)
        # What moves while its service is suspect is worth more than a light look from now on.
        suspect = self._directory.suspicion.at(now)[self.levels.owner[: len(self)]]
        self._promote(np.flatnonzero((np.abs(score) >= OPEN) & suspect & ~self._about["light"]))
        return found

    def _of_levels(
        self, score: NDArray[np.float64], speaking: NDArray[np.bool_], terms: NDArray[np.float64], notes: Notes
    ) -> list[Candidate]:
        found: list[Candidate] = []
        of = self._about
        up = np.where(of["resource"] & (score > 0), score, 0.0)
        up = np.where(up >= STAY, np.minimum(up + self._saturation(), CAP), up) * self._stopped()
        any_ = np.where(of["shared"], 0.0, np.abs(score))
        np.maximum.at(terms[:, RESOURCE], of["service"], up)
        np.maximum.at(terms[:, METRIC], of["service"], any_)
        for signal in np.flatnonzero(np.abs(score) >= STAY).tolist():
            learned = float(self.levels.learned(slice(signal, signal + 1))[0])
            candidate = of_level(self._signal(signal), float(score[signal]), learned)
            if not speaking[signal]:
                found.append(candidate)
            service = int(of["service"][signal])
            for term, value in ((RESOURCE, up[signal]), (METRIC, any_[signal])):
                if value >= STAY and value == terms[service, term]:
                    note = Note(candidate.statement, "metric")
                    notes[service, term] = min(note, notes.get((service, term), note))
        return found

    def _saturation(self) -> NDArray[np.float64]:
        """What nearness to the limit adds to a utilisation that is unusual anyway: 1 means full, whatever is usual."""
        # Values may be anything finite: cut before the division, which would overflow.
        near = (np.clip(self.levels.head["value"][: len(self)], 0.0, 1.0) - NEARLY_FULL) / (1.0 - NEARLY_FULL)
        return np.where(self._about["ratio"], SATURATED * np.clip(near, 0.0, 1.0), 0.0)

    def _stopped(self) -> NDArray[np.float64]:
        """How much of the evidence of a collector counts: by the share of time for which it stops its process."""
        stops = self._about["stops"]
        share = np.clip(self.levels.head["value"][: len(self)], 0.0, 1e9) / np.where(stops > 0.0, stops, 1.0)
        part = np.clip((share - STOPPED_LEAST) / (STOPPED_FULL - STOPPED_LEAST), 0.0, 1.0)
        return np.where(stops > 0.0, part, 1.0)

    def _of_exhaustion(self, now: int, terms: NDArray[np.float64], notes: Notes) -> list[Candidate]:
        found = []
        for filling in self.exhaustion.evidence(now, self._about["whole"]):
            candidate = of_exhaustion(self._signal(filling.signal), filling)
            found.append(candidate)
            service = int(self._about["service"][filling.signal])
            if terms[service, RESOURCE] < EXHAUSTED:
                terms[service, RESOURCE], notes[service, RESOURCE] = EXHAUSTED, Note(candidate.statement, "metric")
            elif terms[service, RESOURCE] == EXHAUSTED:
                note = Note(candidate.statement, "metric")
                notes[service, RESOURCE] = min(note, notes.get((service, RESOURCE), note))
        return found

    def _of_bank(self, now: int, level_score: NDArray[np.float64], speaking: NDArray[np.bool_]) -> list[Candidate]:
        full = self.full
        score, learned = full.evidence(now, self.levels), full.learned()
        strong = (np.abs(score) >= STAY) | (np.abs(level_score[full.signal]) >= STAY)
        found = []
        for row in np.flatnonzero(strong & speaking[full.signal]).tolist():
            signal = int(full.signal[row])
            of = self._signal(signal), float(score[row]), full.newest[row], float(level_score[signal])
            found.append(of_bank(*of, float(learned[row])))
        return found

    def _of_siblings(self, now: int) -> list[Candidate]:
        found, of = [], self.outliers
        score = of.evidence(now)
        for row in np.flatnonzero(np.abs(score) >= STAY).tolist():
            signal, since = self._signal(int(of.signal[row])), int(of.differences.head["deviates"][row])
            they = int(of.siblings[row]), float(of.middle[row]), float(of.spread[row])
            found.append(of_siblings(signal, float(score[row]), *they, since))
        return found

    def _of_entities(self, now: int) -> list[Candidate]:
        found, levels = [], self.entities.levels
        score = levels.evidence(now)
        for entity in np.flatnonzero(np.abs(score) >= STAY).tolist():
            of = self.entities.described(entity, self._info)
            learned = float(levels.learned(slice(entity, entity + 1))[0])
            found.append(of_entity(self._signal(of.signal), float(score[entity]), learned, of, levels.head[entity]))
        return found

    def _signal(self, signal: int) -> Signal:
        return Signal(
            self._directory.services[int(self._about["service"][signal])], self._info[signal], self._facet[signal],
            self._watched[signal], self.levels.head[signal], self.entities.names(signal),
        )  # fmt: skip

    # ---- eviction and state -----------------------------------------------------------------------------------------------
    def keep(self, signals: Kept, services: Kept, subjects: Kept) -> None:
        """Only these signals, services and subjects stay."""
        self._forget(signals)
        self._about["service"] = services.code[self._about["service"]]
        self.levels.keep(signals, subjects)
        self.full.keep(signals)
        self.outliers.keep(signals, subjects)
        self.exhaustion.keep(signals)
        self.challengers.keep(signals)
        self.siblings.keep(signals)
        self.entities.keep(signals, subjects)

    def _forget(self, signals: Kept) -> None:
        self._info, self._facet = signals.of(self._info), signals.of(self._facet)
        self._watched, self._about = signals.of(self._watched), self._about[signals.rows]

    def state(self) -> dict[str, Any]:
        """For a snapshot; what follows from the series is told anew."""
        return {
            "levels": self.levels.state(), "full": self.full.state(), "outliers": self.outliers.state(),
            "entities": self.entities.state(), "exhaustion": self.exhaustion.state(),
        }  # fmt: skip

    def begin_restore(self, state: dict[str, Any]) -> None:
        """What must be known before the signals are told anew."""
        self.entities.restore(state["entities"])

    def restore(self, state: dict[str, Any], kept: Kept) -> None:
        """Take over the state of a snapshot; `kept` are those of its signals that the policy of today wants, told by now."""
        subjects = Kept(np.ones(self._directory.suspicion.size, bool))
        self._told()
        self.levels.restore(state["levels"])
        self.levels.keep(kept, subjects)
        self.full.restore(state["full"], len(kept.code))
        self.full.keep(kept)
        self.full.drop(self._about["light"])
        self.outliers.restore(state["outliers"], len(kept.code))
        self.outliers.keep(kept, subjects)
        self.exhaustion.restore(state["exhaustion"], len(kept.code))
        self.exhaustion.keep(kept)
        self.entities.settle(self.levels.owner[: len(self)].tolist())
        self.entities.keep(Kept(np.ones(len(self), bool)), subjects)  # those of rules that are no more go
        for signal in self.full.signal.tolist():
            self.challengers.watch(signal, self._info[signal].name)
