"""Log rows of a window -> templates, and evidence and anomalies of what a service says: news, rates, mix, numbers.

What is known of a (service, shape), and of a (service, template as first emitted), is a row of parallel arrays.  A window costs
a look-up a row, and Python beyond that only for what is new.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aiops.detect import log_words as words
from aiops.detect.anomalies import STAY, Candidate
from aiops.detect.contrast import LENGTHS
from aiops.detect.directory import Directory
from aiops.detect.log_mix import Mix
from aiops.detect.log_news import WARN_SEVERITY, News
from aiops.detect.log_values import Values
from aiops.detect.rates import Rates
from aiops.detect.retention import LASTING, Kept, Mask, Rule, nearly_full
from aiops.detect.template_successors import Successors
from aiops.detect.templates import Templates
from aiops.findings import CHATTER, LOG, Note
from aiops.signals import SECOND, LogRow, ServiceKey

SWING = 5.0  # over-dispersion of a template's count: a factor of two is no news
LEARN = 60.0  # active windows (10 min) of baseline before a rate is judged
MANY = 100  # lines of a surge, whatever they say, that make it evidence of the service: a storm costs by itself
LEAST = 10.0  # expected lines of a template whose end is told
NEW_WITHIN = 900 * SECOND  # so long a template that had not been seen before is news: it has no rate of its own yet
MAX_KEYS = 100_000
OVERFLOWED = ""  # name of the number that templates beyond MAX_KEYS share
MAX_SHAPES = 500_000

I64 = NDArray[np.int64]

_SHAPE = np.dtype(
    [
        ("service", np.int64),
        ("number", np.int64),  # of its template as first emitted
        ("seen", np.int64),  # last window in which a line had it
        ("key", np.int64),  # of its rate, -1 = none yet
        ("cluster", np.int64),  # of the miner, -1 = ask again
        ("variables", np.int64),
    ]
)
_KEY = np.dtype(
    [
        ("service", np.int64),
        ("number", np.int64),
        ("severity", np.int64),  # the worst
        ("first", np.int64),  # window in which it was first seen
        ("seen", np.int64),  # last window
        ("windows", np.int64),  # in which it came
    ]
)


class LogRowsKept(NamedTuple):
    """Which rate keys, shapes and numbers stay: bool arrays."""

    keys: Mask
    shapes: Mask
    numbers: Mask


class LogDetector:
    """Templates of all services of a partition, and what is known of their lines."""

    def __init__(self, directory: Directory) -> None:
        self.templates, self.successors = Templates(), Successors()
        self.rates = Rates(directory.suspicion, SWING, LEARN, own=True)
        self.news, self.mix, self.values = News(), Mix(), Values()
        self.ignored = 0
        self.speaking: I64 = np.empty(0, np.int64)  # services that said anything in the window in hand
        self._directory = directory
        self._groups = 0
        self._key: dict[tuple[int, int], int] = {}  # (service, number) -> key of `rates`
        self._keys: NDArray[np.void] = np.zeros(64, _KEY)
        self._name: list[str] = []  # id of the template as first emitted: identity of the key
        self._exemplar: list[str] = []
        self._shape: dict[tuple[int, bytes], int] = {}  # (service, shape) -> code
        self._shapes: NDArray[np.void] = np.zeros(64, _SHAPE)
        self._asked = 0  # evictions of the miner when the shapes' clusters were asked for
        self._numbers: dict[str, int] = {}  # template id -> number
        self._ids: list[str] = []  # template id of each number
        self._texts: list[str] = []  # template of each number, as people read it

    # ---- what a shape is ------------------------------------------------------------------------------------------------
    def cluster(self, service: int, shape: bytes) -> int:
        """Number of a shape's template as it was first emitted: what is learned about a shape stays with one number.

        The miner may unite templates later; a number that changed under a shape would look as if one line had vanished and
        another had come.
        """
        code = self._shape.get((service, shape), -1)
        if code >= 0:
            return int(self._shapes["number"][code])
        return self._known(service, shape)[1]

    def _known(self, service: int, shape: bytes) -> tuple[int, int]:
        """Code of a shape, -1 where there are too many, and the number of its template."""
        code = self._shape.get((service, shape), -1)
        if code >= 0:
            return code, int(self._shapes["number"][code])
        number = self._number(self._match(service, shape))
        if len(self._shape) >= MAX_SHAPES:
            return -1, number
        code = self._shape[service, shape] = len(self._shape)
        self._shapes = _room(self._shapes, code)
        self._shapes[code] = (service, number, self._directory.now, -1, -1, shape.count(b"\x01"))
        return code, number

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
            self.successors.lives(name)
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

    # ---- a window -------------------------------------------------------------------------------------------------------
    def add(self, window: int, tenant: str, rows: list[LogRow], active: dict[int, int]) -> None:
        """All rows of one window, merged and in canonical order; `active` environments say anything at all in it."""
        service, code = self._codes(tenant, rows)
        before, key = len(self._name), np.full(len(rows), -1)
        key[code >= 0] = self._shapes["key"][code[code >= 0]]
        cluster = np.where(code >= 0, self._shapes["cluster"][code], -1)
        # A line keeps its shape and the miner's template in use.  A visit that names the shape does not: whether it is
        # looked up or remembered depends on restarts.
        self.templates.touch(cluster[cluster >= 0].tolist())
        for k in np.flatnonzero((cluster < 0) | (key < 0)).tolist():
            code[k], key[k] = self._slow(window, int(service[k]), rows[k].shape)
        self._shapes["seen"][code[code >= 0]] = window
        counted = np.flatnonzero(key >= 0)
        keys, of = np.unique(key[counted], return_inverse=True)
        lines, severity = (np.array([getattr(r, name) for r in rows], np.int64) for name in ("lines", "severity"))
        table = self._keys
        np.maximum.at(table["severity"], key[counted], severity[counted])
        table["seen"][keys] = window
        table["windows"][keys] += 1
        last = np.zeros(len(keys), np.int64)
        np.maximum.at(last, of, counted)
        for one, row in zip(keys.tolist(), last.tolist(), strict=True):
            self._exemplar[one] = rows[row].exemplar
        counts = np.bincount(of, lines[counted], len(keys)).astype(np.int64)
        group = np.array(sorted(active), np.int64)
        self._grow()
        self.rates.add(window, keys, counts, group, np.ones(len(group)), any(active.values()))
        fresh, suspect, self.speaking = table[before : len(self._name)], self._suspect(window), np.unique(service)
        self.news.add(self.speaking, fresh["service"], fresh["severity"], suspect)
        looked = np.flatnonzero((code >= 0) & (self._shapes["variables"][code] > 0))
        codes, first = np.unique(code[looked], return_index=True)
        looked = looked[first]  # services that share one name may share shapes
        exemplars = [rows[k].exemplar for k in looked.tolist()]
        self.values.add(window, codes, self._shapes["variables"][codes], exemplars, suspect[service[looked]])

    def _codes(self, tenant: str, rows: list[LogRow]) -> tuple[I64, I64]:
        """Service of every row, and code of its shape, -1 = new."""
        if self._asked != self.templates.evictions:
            self._shapes["cluster"], self._asked = -1, self.templates.evictions
        self._grow()
        known = self._shape
        service, code = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
        last, of = ("", ""), -1
        for k, row in enumerate(rows):
            if (row.environment, row.service) != last or of < 0:
                last = row.environment, row.service
                of = self._directory.service(ServiceKey(tenant, *last))
            service[k], code[k] = of, known.get((of, row.shape), -1)
        return service, code

    def _slow(self, window: int, service: int, shape: bytes) -> tuple[int, int]:
        """Code and key of a row that has none yet, or whose template the miner may have forgotten."""
        cluster = self._match(service, shape)
        code, number = self._known(service, shape)
        key = self._rate_key(window, service, number)
        if code >= 0:
            self._shapes["cluster"][code], self._shapes["key"][code] = cluster, key
        return code, key

    def _suspect(self, time: int) -> NDArray[np.bool_]:
        """Which services are suspect for what they say at `time`."""
        out: NDArray[np.bool_] = self._directory.suspicion.at(time)[np.array(self._directory.service_subject, np.int64)]
        return out

    def _grow(self) -> None:
        while self._groups < len(self._directory.environments):
            self.rates.add_group()
            self._groups += 1

    def _rate_key(self, window: int, service: int, number: int) -> int:
        key = self._key.get((service, number), -1)
        if key < 0:
            if len(self._key) >= MAX_KEYS:
                self.ignored += 1
                return -1
            key = self._key[service, number] = len(self._key)
            self._keys = _room(self._keys, key)
            self._keys[key] = (service, number, 0, window, window, 0)
            self._exemplar.append("")
            self._name.append(self._ids[number])
            self._grow()
            self.rates.grow([self._directory.service_subject[service]], [self._directory.service_environment[service]])
        return key

    def advance(self, now: int) -> None:
        """Event time is `now`."""
        self.rates.advance(now)
        self.successors.add(self.templates.advance(now))

    # ---- eviction -------------------------------------------------------------------------------------------------------
    def sizes(self) -> dict[str, int]:
        """Fill of every table, for metrics."""
        return {
            "log_rates": len(self._key), "log_shapes": len(self._shape), "log_templates": len(self._texts),
            "log_numbers": len(self.values), "log_merges": len(self.successors),
        }  # fmt: skip

    @property
    def nearly_full(self) -> bool:
        """May rows go before the hour?"""
        return (
            nearly_full(len(self._key), MAX_KEYS)
            or nearly_full(len(self._texts), MAX_KEYS)
            or nearly_full(len(self._shape), MAX_SHAPES)
        )

    def stays(self, rule: Rule, services: Mask) -> LogRowsKept:
        """Which rows stay where these services do; of numbers those that may, in a visit or here."""
        names, known = self._directory.services, list(self._shape)
        of_key, of_shape = self._keys[: len(self._key)], self._shapes[: len(self._shape)]
        keys = services[of_key["service"]] & rule.stays(
            of_key["seen"], LASTING, MAX_KEYS,
            lambda rows: [(names[of_key["service"][k]], self._name[k]) for k in rows.tolist()],
        )  # fmt: skip
        shapes = services[of_shape["service"]] & rule.stays(
            of_shape["seen"],
            LASTING,
            MAX_SHAPES,
            lambda rows: [(names[known[k][0]], known[k][1]) for k in rows.tolist()],
        )
        last = np.full(len(self._ids), -1, np.int64)
        np.maximum.at(last, of_key["number"], of_key["seen"])
        np.maximum.at(last, of_shape["number"], of_shape["seen"])
        # Numbers have no retention of their own: they go with the last that refers to them.
        crowded = Rule(rule.now, hourly=False)
        numbers = crowded.stays(last, LASTING, MAX_KEYS, lambda rows: [self._ids[k] for k in rows.tolist()])
        return LogRowsKept(keys & numbers[of_key["number"]], shapes & numbers[of_shape["number"]], numbers)

    def keep(self, rows: LogRowsKept, in_visits: set[int], services: Kept, environments: Kept, subjects: Kept) -> Kept:
        """Only these stay, and numbers that events of visits hold; also returns the numbers that do."""
        self._grow()
        keys, shapes = Kept(rows.keys), Kept(rows.shapes)
        of_key, of_shape = self._keys[keys.rows], self._shapes[shapes.rows]
        stays = np.zeros(len(self._ids), bool)
        stays[of_key["number"]] = stays[of_shape["number"]] = True
        stays[sorted(in_visits)] = True
        numbers = Kept(stays)
        for table in (of_key, of_shape):
            table["service"] = services.renumbered(table["service"])
            table["number"] = numbers.renumbered(table["number"])
        of_shape["key"] = np.where(of_shape["key"] >= 0, keys.code[of_shape["key"]], -1)
        texts = [shape for _, shape in shapes.of(list(self._shape))]
        self._keys, self._shapes = _room(of_key, 0), _room(of_shape, 0)
        self._shape = {pair: code for code, pair in enumerate(zip(of_shape["service"].tolist(), texts, strict=True))}
        self._name, self._exemplar = keys.of(self._name), keys.of(self._exemplar)
        self._ids, self._texts = numbers.of(self._ids), numbers.of(self._texts)
        self.rates.keep(keys, environments, subjects)
        self.news.keep(keys, services)
        self.mix.keep(services)
        self.values.keep(shapes)
        self._groups = len(environments.rows)
        self._index()
        return numbers

    def _index(self) -> None:
        table = self._keys[: len(self._name)]
        pairs = zip(table["service"].tolist(), table["number"].tolist(), strict=True)
        self._key = {pair: code for code, pair in enumerate(pairs)}
        self._numbers = {name: number for number, name in enumerate(self._ids)}

    # ---- evidence -------------------------------------------------------------------------------------------------------
    def evidence(self, now: int, terms: Any, notes: dict[tuple[int, int], Note]) -> list[Candidate]:
        """Fill the terms LOG and CHATTER of every service at event time `now`."""
        suspect, table = self._suspect(now), self._keys[: len(self._name)]
        found = []
        for rate in self.rates.evidence(now, STAY):
            line = self._line(rate.key, suspect)
            fresh = now - line.first <= NEW_WITHIN
            candidate = words.rate(line, rate, rate.length // SECOND, fresh)
            service = int(table["service"][rate.key])
            if rate.score > 0 and rate.times >= MANY:
                score = rate.score * words.weight(line.severity)
                term = LOG if line.severity >= WARN_SEVERITY else CHATTER
                if score > terms[service, term]:
                    terms[service, term], notes[service, term] = score, Note(candidate.statement, "log")
            if not fresh and (rate.score > 0 or rate.expected >= LEAST):
                found.append(candidate)
        recent, normal = self.rates.counts.split(now, max(LENGTHS))
        fresh_keys = np.flatnonzero((table["first"] >= now - NEW_WITHIN) & (recent > 0))
        for key in fresh_keys[self.news.judged(fresh_keys)].tolist():
            line, lines = self._line(key, suspect), int(recent[key])
            rarity, score = self.news.rarity(key, line.severity), self.news.score(key, line.severity, lines)
            found.append(words.news(line, rarity, score, lines, max(LENGTHS) // SECOND))
        changes = self.mix.advance(recent, normal, table["service"], suspect, STAY)
        found += [words.mix(self._line(change.key, suspect), change, max(LENGTHS) // SECOND) for change in changes]
        for strange in self.values.evidence(now, STAY):
            key = int(self._shapes["key"][strange.shape])
            if key >= 0:
                found.append(words.number(self._line(key, suspect), strange))
        return [candidate for candidate in found if candidate.score >= STAY]

    def _line(self, key: int, suspect: NDArray[np.bool_]) -> words.Line:
        row = self._keys[key]
        number = int(row["number"])
        return words.Line(
            self._directory.services[int(row["service"])], self._texts[number], self._ids[number],
            self.successors.now(self._ids[number]), self._name[key],
            int(row["severity"]), int(row["windows"]), int(row["first"]), self._exemplar[key], bool(suspect[row["service"]]),
        )  # fmt: skip

    # ---- state ----------------------------------------------------------------------------------------------------------
    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        shapes = self._shapes[: len(self._shape)].copy()
        shapes["cluster"] = -1  # the miner is asked again
        return {
            "templates": self.templates.snapshot(), "merges": self.successors.state(), "rates": self.rates.state(),
            "news": self.news.state(),
            "mix": self.mix.state(), "values": self.values.state(), "keys": self._keys[: len(self._name)],
            "name": self._name, "exemplar": self._exemplar, "groups": self._groups, "shapes": shapes,
            "shape_texts": [shape for _, shape in self._shape], "ignored": self.ignored, "ids": self._ids,
            "texts": self._texts,
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self.templates.restore(state["templates"])
        self.successors.restore(state["merges"])
        self.rates.restore(state["rates"])
        self.news.restore(state["news"])
        self.mix.restore(state["mix"])
        self.values.restore(state["values"])
        self._keys, self._shapes = _room(state["keys"], 0), _room(state["shapes"], 0)
        self._name, self._exemplar = state["name"], state["exemplar"]
        self._groups, self.ignored = state["groups"], state["ignored"]
        services = state["shapes"]["service"].tolist()
        self._shape = {pair: code for code, pair in enumerate(zip(services, state["shape_texts"], strict=True))}
        self._ids, self._texts = state["ids"], state["texts"]
        self._asked = self.templates.evictions
        self._index()


def _room(table: NDArray[np.void], row: int) -> NDArray[np.void]:
    """The table, with room for a row."""
    if row < len(table) >= 64:
        return table
    out = np.zeros(max(64, 2 * len(table)), table.dtype)
    out[: len(table)] = table
    return out
