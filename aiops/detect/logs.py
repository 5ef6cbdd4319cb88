"""Log rows of a window -> templates, and evidence and anomalies of how often each comes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from aiops.columns import ERROR_SEVERITY
from aiops.detect.anomalies import STAY, Candidate
from aiops.detect.directory import Directory
from aiops.detect.rates import Rates
from aiops.detect.retention import LASTING, Kept, Mask, Rule, nearly_full
from aiops.detect.templates import Templates
from aiops.findings import LOG, Note
from aiops.signals import LogRow, ServiceKey

WARN_SEVERITY = 13
SWING = 5.0  # over-dispersion of a template's count: a factor of two is no news
LEARN = 60.0  # active windows (10 min) of baseline before a rate is judged
MANY = 100  # lines of a surge, whatever they say, that make it evidence of the service: a storm costs by itself
PLAIN = 0.5  # weight of a surge of lines that are no warning
NEW_WITHIN = 120  # s: so long a template that had not been seen before is called new
MAX_KEYS = 100_000
OVERFLOWED = ""  # name of the number that templates beyond MAX_KEYS share
MAX_SHAPES = 500_000


class LogRowsKept(NamedTuple):
    """Which rate keys, shapes and numbers stay: bool arrays."""

    keys: Mask
    shapes: Mask
    numbers: Mask


class LogDetector:
    """Templates of all services of a partition, and their rates."""

    def __init__(self, directory: Directory) -> None:
        self.templates = Templates()
        self.rates = Rates(directory.suspicion, SWING, LEARN)
        self.ignored = 0
        self._directory = directory
        self._groups = 0
        self._key: dict[tuple[int, int], int] = {}  # (service, cluster as first emitted) -> key of `rates`
        self._of_key: list[tuple[int, int]] = []
        self._severity: list[int] = []
        self._name: list[str] = []  # id of the template as first emitted: identity of the key
        self._first: list[int] = []  # window in which the key was first seen
        self._exemplar: list[str] = []
        self._seen: list[int] = []  # last window of the key
        # (service, shape) -> number of its template as first emitted, and the last window in which a line had it
        self._known: dict[tuple[int, bytes], list[int]] = {}
        self._numbers: dict[str, int] = {}  # template id -> number
        self._ids: list[str] = []  # template id of each number
        self._texts: list[str] = []  # template of each number, as people read it

    def cluster(self, service: int, shape: bytes) -> int:
        """Number of a shape's template as it was first emitted: what is learned about a shape stays with one number.

        The miner may unite templates later; a number that changed under a shape would look as if one line had vanished and
        another had come.
        """
        known = self._known.get((service, shape))
        if known is None:
            number = self._number(self._match(service, shape))
            if len(self._known) >= MAX_SHAPES:
                return number
            known = self._known[service, shape] = [number, self._directory.now]
        return known[0]

    def _match(self, service: int, shape: bytes) -> int:
        return self.templates.match("\0".join(self._directory.services[service]), shape)

    def _number(self, cluster: int) -> int:
        """A number of our own: the miner's may be given up by an eviction."""
        name = self.templates.id(cluster)
        if name not in self._numbers and len(self._texts) >= MAX_KEYS:
            self.ignored += 1
            name = OVERFLOWED
        number = self._numbers.setdefault(name, len(self._texts))
        if number == len(self._texts):
            self._texts.append("")
            self._ids.append(name)
        self._texts[number] = self.templates.display(cluster) if name != OVERFLOWED else "<*>"
        return number

    def display(self, number: int) -> str:
        """Template as people read it."""
        return self._texts[number]

    def id(self, number: int) -> str:
        """Id of a template."""
        return self._ids[number]

    def add(self, window: int, tenant: str, rows: list[LogRow], active: dict[int, int]) -> None:
        """All rows of one window, merged and in canonical order; `active` environments say anything at all in it."""
        self._grow()
        counts: dict[int, int] = {}
        for row in rows:
            service = self._directory.service(ServiceKey(tenant, row.environment, row.service))
            self._grow()
            # A line keeps its shape and the miner's template in use.  A visit that names the shape does not: whether it
            # is looked up or remembered depends on restarts.
            self._match(service, row.shape)
            number = self.cluster(service, row.shape)
            if (service, row.shape) in self._known:
                self._known[service, row.shape][1] = window
            key = self._rate_key(window, service, number)
            if key < 0:
                continue
            self._seen[key] = window
            counts[key] = counts.get(key, 0) + row.lines
            self._severity[key] = max(self._severity[key], row.severity)
            self._exemplar[key] = row.exemplar
        keys = np.array(sorted(counts), np.int64)
        group = np.array(sorted(active), np.int64)
        self.rates.add(
            window,
            keys,
            np.array([counts[k] for k in keys.tolist()], np.int64),
            group,
            np.ones(len(group)),
            any(active.values()),
        )

    def _grow(self) -> None:
        while self._groups < len(self._directory.environments):
            self.rates.add_group()
            self._groups += 1

    def _rate_key(self, window: int, service: int, cluster: int) -> int:
        key = self._key.get((service, cluster), -1)
        if key < 0:
            if len(self._of_key) >= MAX_KEYS:
                self.ignored += 1
                return -1
            key = self._key[service, cluster] = len(self._of_key)
            self._of_key.append((service, cluster))
            self._severity.append(0)
            self._first.append(window)
            self._exemplar.append("")
            self._seen.append(window)
            self._name.append(self._ids[cluster])
            self.rates.grow([self._directory.service_subject[service]], [self._directory.service_environment[service]])
        return key

    def advance(self, now: int) -> None:
        """Event time is `now`."""
        self.rates.advance(now)
        self.templates.advance(now)

    # ---- eviction -------------------------------------------------------------------------------------------------------
    def sizes(self) -> dict[str, int]:
        """Fill of every table, for metrics."""
        return {"log_rates": len(self._of_key), "log_shapes": len(self._known), "log_templates": len(self._texts)}

    @property
    def nearly_full(self) -> bool:
        """May rows go before the hour?"""
        return (
            nearly_full(len(self._of_key), MAX_KEYS)
            or nearly_full(len(self._texts), MAX_KEYS)
            or nearly_full(len(self._known), MAX_SHAPES)
        )

    def stays(self, rule: Rule, services: Mask) -> LogRowsKept:
        """Which rows stay where these services do; of numbers those that may, in a visit or here."""
        names, known = self._directory.services, list(self._known)
        of_key = np.array(self._of_key, np.int64).reshape(-1, 2)
        keys = services[of_key[:, 0]] & rule.stays(
            self._seen, LASTING, MAX_KEYS,
            lambda rows: [(names[self._of_key[k][0]], self._name[k]) for k in rows.tolist()],
        )  # fmt: skip
        value = np.array(list(self._known.values()), np.int64).reshape(-1, 2)
        shapes = services[np.array([service for service, _ in known], np.int64)] & rule.stays(
            value[:, 1], LASTING, MAX_SHAPES, lambda rows: [(names[known[k][0]], known[k][1]) for k in rows.tolist()]
        )
        last = np.full(len(self._ids), -1, np.int64)
        np.maximum.at(last, of_key[:, 1], np.array(self._seen, np.int64))
        np.maximum.at(last, value[:, 0], value[:, 1])
        # Numbers have no retention of their own: they go with the last that refers to them.
        crowded = Rule(rule.now, hourly=False)
        numbers = crowded.stays(last, LASTING, MAX_KEYS, lambda rows: [self._ids[k] for k in rows.tolist()])
        return LogRowsKept(keys & numbers[of_key[:, 1]], shapes & numbers[value[:, 0]], numbers)

    def keep(self, rows: LogRowsKept, in_visits: set[int], services: Kept, environments: Kept, subjects: Kept) -> Kept:
        """Only these stay, and numbers that events of visits hold; also returns the numbers that do."""
        self._grow()
        keys = Kept(rows.keys)
        stays = np.zeros(len(self._ids), bool)
        stays[[number for _, number in keys.of(self._of_key)]] = True
        known = [item for item, stay in zip(self._known.items(), rows.shapes.tolist(), strict=True) if stay]
        stays[[number for _, (number, _) in known]] = True
        stays[sorted(in_visits)] = True
        numbers = Kept(stays)
        new, of = numbers.code.tolist(), services.code.tolist()
        self._known = {(of[service], shape): [new[number], seen] for (service, shape), (number, seen) in known}
        self._of_key = [(of[service], new[number]) for service, number in keys.of(self._of_key)]
        self._severity, self._name = keys.of(self._severity), keys.of(self._name)
        self._first, self._exemplar, self._seen = keys.of(self._first), keys.of(self._exemplar), keys.of(self._seen)
        self._ids, self._texts = numbers.of(self._ids), numbers.of(self._texts)
        self.rates.keep(keys, environments, subjects)
        self._groups = len(environments.rows)
        self._index()
        return numbers

    def _index(self) -> None:
        self._key = {key: code for code, key in enumerate(self._of_key)}
        self._numbers = {name: number for number, name in enumerate(self._ids)}

    # ---- evidence -------------------------------------------------------------------------------------------------------
    def evidence(self, now: int, terms: Any, notes: dict[tuple[int, int], Note]) -> list[Candidate]:
        """Fill the term LOG of every service at event time `now`."""
        found = []
        for rate in self.rates.evidence(now, STAY):
            service, cluster = self._of_key[rate.key]
            severity, new = self._severity[rate.key], now - self._first[rate.key] <= NEW_WITHIN * 1_000_000_000
            text = self.display(cluster)
            warns = severity >= WARN_SEVERITY
            weight = 1.0 if severity >= ERROR_SEVERITY else 0.8 if warns else PLAIN
            if rate.score < 0 and (rate.expected < 10 or not warns):
                continue  # a plain line that stops is what losses in visits are for
            word = "new" if new else "surging" if rate.score > 0 else "vanished"
            statement = f'{word} log line "{text[:160]}": {rate.times} lines, expected about {rate.expected:.1f}'
            score = min(8.0, abs(rate.score)) * weight
            if rate.score > 0 and rate.times >= MANY and score > terms[service, LOG]:
                terms[service, LOG] = score
                notes[service, LOG] = Note(statement, "log")
            if score >= STAY:
                found.append(
                    Candidate(
                        self._directory.services[service], "log", f'log line "{text[:80]}"', "log-rates",
                        score, statement, "up" if rate.score > 0 else "down", None, None, float(rate.times),
                        rate.expected, None, None, None, (self._exemplar[rate.key],),
                        {"template": text[:400], "template_id": self._ids[cluster]}, self._name[rate.key],
                    )
                )  # fmt: skip
        return found

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {
            "templates": self.templates.snapshot(), "rates": self.rates.state(), "of_key": self._of_key,
            "severity": self._severity, "name": self._name, "first": self._first, "exemplar": self._exemplar,
            "groups": self._groups,
            "known": [[s, shape, *value] for (s, shape), value in self._known.items()], "ignored": self.ignored,
            "ids": self._ids, "texts": self._texts, "seen": self._seen,
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self.templates.restore(state["templates"])
        self.rates.restore(state["rates"])
        self._of_key = [tuple(k) for k in state["of_key"]]
        self._severity, self._name, self._seen = state["severity"], state["name"], state["seen"]
        self._first, self._exemplar = state["first"], state["exemplar"]
        self._groups, self.ignored = state["groups"], state["ignored"]
        self._known = {(s, shape): value for s, shape, *value in state["known"]}
        self._ids, self._texts = state["ids"], state["texts"]
        self._index()
