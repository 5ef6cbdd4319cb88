"""Sets of events per visit -> what no longer follows, and what is new: a method that returns early, throws or takes another way.

For every ordered pair (x, y) of events that were seen in one visit of a service, P(y | x) is learned.  A pair is *lost* when y
follows x clearly less often than it used to.  Being conditional on x keeps work that a caller no longer asks for from being
blamed on the service that was never reached.  An event is *novel* when it comes far more often than it used to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.detect.contrast import LENGTHS, Contrast
from aiops.detect.retention import LASTING, Kept, Mask, Rule, nearly_full
from aiops.detect.suspicion import Suspicion
from aiops.detect.tails import EFFECTIVE, at_least

LIKELY, CERTAIN = 0.6, 0.9  # y is missed only where it followed x at least so often; below CERTAIN the rate is WEAK
WEAK = 15.0  # trials that such a rate counts as: it follows the mix of requests
DROP = 0.85  # y counts as lost when it follows less often than this share of what was normal
LEAST_NORMAL, LEAST_RECENT = 5.0, 2.0  # visits with x
NOVEL_SEEN = 20.0  # normal visits of the service before anything in it is new
NOVEL_TIMES = 3.0  # how many times its normal rate an event must reach
NOVEL_PLAIN = 0.7  # weight of a new event that is no error
LEAST_SCORE = 0.05  # below it nothing is evidence
WHOLE = 1.5  # worst loss of what can be seen up to which what cannot is taken to have happened
MAX_EVENTS = 3_000  # events told apart in a service; beyond it new ones are not learned
MAX_PAIRS = 2_000_000  # of a partition; beyond it new pairs are not learned
WIDEST = 120  # events of a visit that are paired; of more, the least hashes


class Loss(NamedTuple):
    """Of `trials` recent visits with event x, `missed` lack y, which used to be there in a share of `normal`."""

    x: int
    y: int
    score: float
    trials: int
    missed: int
    normal: float


class Novelty(NamedTuple):
    """Event `event` came in `seen` of `visits` recent visits; its normal share is `normal`."""

    event: int
    score: float
    seen: int
    visits: int
    normal: float


class Hidden(NamedTuple):
    """What may have happened though nobody saw it, by code of event.

    ``lost``: nothing but the rest of its visit tells whether it happened.  ``news``: it comes in the place of another, of which a
    part is not seen.
    ``instead``: the event that comes in its place where a part of it is not seen, -1 = none.
    """

    lost: Callable[[int], bool]
    news: Callable[[int], bool]
    instead: Callable[[int], int]


NOTHING = Hidden(lambda _: False, lambda _: False, lambda _: -1)


class Visits:
    """Events and pairs of all services of a partition; codes are dense, in order of first sight."""

    def __init__(self, suspicion: Suspicion) -> None:
        self.pairs = Contrast(suspicion)
        self.seen = Contrast(suspicion)  # visits per service
        self.ignored = 0  # events beyond MAX_EVENTS of their service, and pairs beyond MAX_PAIRS
        self._pair_code: dict[int, int] = {}  # x << 32 | y
        self._x: list[int] = []
        self._y: list[int] = []
        self._pair_seen: NDArray[np.int64] = np.full(64, -1)  # start of the last window with it, Unix ns
        self._service: list[int] = []  # of each event
        self._error: list[bool] = []
        self._per_service: list[int] = []
        self._arrays: tuple[NDArray[Any], ...] | None = None

    @property
    def sizes(self) -> tuple[int, int]:
        """How many events and pairs there are."""
        return len(self._service), len(self._x)

    def grow(self, subject: int) -> None:
        """Add a service, owned by `subject`; services are numbered 0, 1, 2 ..."""
        self.seen.grow(np.array([subject], np.int32))
        self._per_service.append(0)

    def event(self, service: int, error: bool) -> int:
        """Code of a new event of a service, -1 when the service has too many."""
        if self._per_service[service] >= MAX_EVENTS:
            self.ignored += 1
            return -1
        self._per_service[service] += 1
        self._service.append(service)
        self._error.append(error)
        return len(self._service) - 1

    def cells(self, events: list[int], subject: int) -> NDArray[np.int64]:
        """Cells of the ordered pairs of the events of a visit, (x, x) included: int64, at most len(events) ** 2."""
        events = events[:WIDEST]
        out: list[int] = []
        known, new = self._pair_code, 0
        for x in events:
            for y in events:
                code = known.get(x << 32 | y, -1)
                if code < 0:
                    if len(self._x) >= MAX_PAIRS and x != y:
                        self.ignored += 1
                        continue
                    code = known[x << 32 | y] = len(self._x)
                    self._x.append(x)
                    self._y.append(y)
                    new += 1
                out.append(code)
        if new:
            self.pairs.grow(np.full(new, subject, np.int32))
            if len(self._x) > len(self._pair_seen):
                longer = np.full(2 * len(self._x), -1)
                longer[: len(self._pair_seen)] = self._pair_seen
                self._pair_seen = longer
            self._arrays = None
        return np.array(out, np.int64)

    def add(
        self,
        start: int,
        visits: list[tuple[NDArray[np.int64], int]],
        service: NDArray[np.int64],
        counts: NDArray[np.int64],
        live: bool,
    ) -> None:
        """One window: (cells, how often) of each distinct visit, and visits per service."""
        cells = np.concatenate([c for c, _ in visits] or [np.empty(0, np.int64)])
        weights = np.repeat(np.array([float(n) for _, n in visits]), [len(c) for c, _ in visits])
        total = np.bincount(cells, weights)
        used = np.flatnonzero(total)
        self._pair_seen[used] = start
        self.pairs.add(start, used, total[used].astype(np.float64), live)
        self.seen.add(start, service, counts.astype(np.float64), live)

    def advance(self, now: int) -> None:
        """Event time is `now`."""
        self.pairs.advance(now)
        self.seen.advance(now)

    @property
    def nearly_full(self) -> bool:
        """May rows go before the hour?"""
        return nearly_full(len(self._x), MAX_PAIRS)

    def stays(self, rule: Rule, may: Mask, identity: Callable[[int], Any]) -> tuple[Mask, Mask]:
        """Which events and pairs stay of the events that may: bool arrays; `identity` says what an event is.

        An event stays while its pair with itself does, which is seen in every visit that has the event.  One that has none
        takes part in nothing: it was always beyond ``WIDEST``.
        """
        n = len(self._x)
        if not n:
            return np.zeros(len(self._service), bool), np.empty(0, bool)
        x, y, diagonal, service, _ = self._columns()
        seen = self._pair_seen[:n]
        pairs = rule.stays(
            seen, LASTING, MAX_PAIRS, lambda rows: [(identity(self._x[k]), identity(self._y[k])) for k in rows.tolist()]
        )
        last = np.where(diagonal >= 0, seen[diagonal], -1)
        events = may & (diagonal >= 0) & pairs[diagonal]
        events &= rule.stays_in_each(last, service, MAX_EVENTS, lambda rows: [identity(k) for k in rows.tolist()])
        return events, pairs & events[x] & events[y]

    def keep(self, events: Kept, pairs: Kept, services: Kept, subjects: Kept) -> None:
        """Only these stay; cells that were given out before mean nothing any more."""
        self.pairs.keep(pairs, 1, subjects)
        self.seen.keep(services, 1, subjects)
        self._pair_seen = self._pair_seen[: len(self._x)][pairs.rows]
        self._x = events.renumbered(pairs.of(self._x)).tolist()
        self._y = events.renumbered(pairs.of(self._y)).tolist()
        self._service = services.renumbered(events.of(self._service)).tolist()
        self._error = events.of(self._error)
        self._per_service = np.bincount(np.array(self._service, np.int64), minlength=len(services.rows)).tolist()
        self._index()

    def _index(self) -> None:
        self._pair_code = {x << 32 | y: code for code, (x, y) in enumerate(zip(self._x, self._y, strict=True))}
        self._arrays = None

    def evidence(
        self, now: int, hidden: Hidden = NOTHING
    ) -> tuple[dict[int, Loss], dict[int, Loss], dict[int, Novelty], dict[int, Novelty]]:
        """By service: the worst loss of both lengths, the worst lasting loss, the worst new error, the worst other novelty.

        A lasting loss is judged over the longer length and weighed by the share that is lost: a burst fades, a fault stays.
        """
        loss: dict[int, Loss] = {}
        lasting: dict[int, Loss] = {}
        novel: dict[int, Novelty] = {}
        plain: dict[int, Novelty] = {}
        unseen: list[tuple[Loss, bool]] = []
        if not self._x:
            return loss, lasting, novel, plain
        x, y, diagonal, service, error = self._columns()
        for length in LENGTHS:
            recent, normal = self.pairs.split(now, length)
            seen, used = self.seen.split(now, length)
            lost, new = _judge(recent, normal, seen, used, x, y, diagonal, service, error)
            for row in lost.tolist():
                found = self._seen(row, recent, normal[diagonal[int(row[0])]], hidden)
                if found is not None and hidden.lost(found.y):
                    unseen.append((found, length == max(LENGTHS)))
                elif found is not None:
                    _take(loss, lasting, int(service[found.x]), found, length == max(LENGTHS))
            for row in new.tolist():
                event = Novelty(int(row[0]), row[1], int(row[2]), int(row[3]), row[4])
                if not hidden.news(event.event):
                    _keep_best(novel if error[event.event] else plain, int(service[event.event]), event)
        # Of a service that is not whole in what can be seen, the rest is missing as well: it was not merely not sent.
        broken = {s for s, found in loss.items() if found.score > WHOLE}
        for found, longest in unseen:
            if (s := int(service[found.x])) in broken:
                _take(loss, lasting, s, found, longest)
        return loss, lasting, novel, plain

    def _seen(self, row: list[float], recent: NDArray[np.float64], normal: float, hidden: Hidden) -> Loss | None:
        """The loss of a row of ``_judge``, as far as nothing came in the place of what is lost; None where nothing is left."""
        x, y, score, trials, missed, p = int(row[0]), int(row[1]), *row[2:]
        pair = self._pair_code.get(x << 32 | other, -1) if (other := hidden.instead(y)) >= 0 else -1
        if pair >= 0 and recent[pair] > 0.0:
            missed -= recent[pair]
            if missed <= 0.0 or 1.0 - missed / trials >= DROP * p:
                return None
            score = float(at_least(missed, trials, 1.0 - min(p, 1.0), normal, WEAK if p < CERTAIN else EFFECTIVE))
        return Loss(x, y, score, int(trials), int(missed), p) if score >= LEAST_SCORE else None

    def _columns(self) -> tuple[NDArray[Any], ...]:
        if self._arrays is None or len(self._arrays[3]) != len(self._service):
            x, y = np.array(self._x, np.int64), np.array(self._y, np.int64)
            diagonal = np.full(len(self._service), -1, np.int64)
            own = np.flatnonzero(x == y)
            diagonal[x[own]] = own
            self._arrays = (x, y, diagonal, np.array(self._service, np.int64), np.array(self._error, np.bool_))
        return self._arrays

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {
            "pairs": self.pairs.state(), "seen": self.seen.state(), "x": self._x, "y": self._y,
            "service": self._service, "error": self._error, "per_service": self._per_service,
            "pair_seen": self._pair_seen[: len(self._x)],
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self.pairs.restore(state["pairs"])
        self.seen.restore(state["seen"])
        self._x, self._y, self._service = state["x"], state["y"], state["service"]
        self._error, self._per_service = state["error"], state["per_service"]
        self._pair_seen = state["pair_seen"]
        self._index()


def _take(loss: dict[int, Loss], lasting: dict[int, Loss], service: int, found: Loss, longest: bool) -> None:
    """Keep a loss where it is the worst of its service, and as a lasting one where it is of the longest length."""
    _keep_best(loss, service, found)
    if longest:
        share = 1.0 - (1.0 - found.missed / found.trials) / found.normal
        _keep_best(lasting, service, found._replace(score=found.score * share))


def _keep_best(best: dict[int, Any], service: int, found: Any) -> None:
    """The greatest score; of equal ones the one of the shorter length, then of the first events of the service."""
    other = best.get(service)
    if other is None or found.score > other.score:
        best[service] = found


@njit(nogil=True, cache=True)
def _judge(
    recent: Any, normal: Any, seen: Any, used: Any, x: Any, y: Any, diagonal: Any, service: Any, error: Any
) -> tuple[Any, Any]:
    lost, n_lost = np.empty((256, 6)), 0
    for pair in range(len(x)):
        a, b = x[pair], y[pair]
        if a == b or error[b] or normal[pair] < LEAST_NORMAL * LIKELY:  # an error that ends is recovery, not loss
            continue
        trials, weight = recent[diagonal[a]], normal[diagonal[a]]
        if trials < LEAST_RECENT or weight < LEAST_NORMAL:
            continue
        p, missed = normal[pair] / weight, trials - recent[pair]
        if p < LIKELY or missed <= 0.0 or 1.0 - missed / trials >= DROP * p:
            continue
        score = at_least(missed, trials, 1.0 - min(p, 1.0), weight, WEAK if p < CERTAIN else EFFECTIVE)
        if score < LEAST_SCORE:
            continue
        if n_lost == len(lost):
            lost = np.concatenate((lost, np.empty_like(lost)))
        lost[n_lost, 0], lost[n_lost, 1], lost[n_lost, 2] = a, b, score
        lost[n_lost, 3], lost[n_lost, 4], lost[n_lost, 5] = trials, missed, p
        n_lost += 1
    new, n_new = np.empty((len(service), 5)), 0
    for event in range(len(service)):
        s, at = service[event], diagonal[event]
        if at < 0 or used[s] < NOVEL_SEEN or recent[at] < LEAST_RECENT:
            continue
        if recent[at] * used[s] <= NOVEL_TIMES * normal[at] * seen[s]:
            continue
        p = min(normal[at] / used[s], 0.5)
        score = at_least(min(recent[at], seen[s]), seen[s], p, used[s], EFFECTIVE) * (
            1.0 if error[event] else NOVEL_PLAIN
        )
        if score < LEAST_SCORE:
            continue
        new[n_new, 0], new[n_new, 1], new[n_new, 2], new[n_new, 3], new[n_new, 4] = event, score, recent[at], seen[s], p
        n_new += 1
    return lost[:n_lost], new[:n_new]
