"""Evidence of every service and term, window by window -> how much of it is news: what has come and gone before is less.

A registry that forgets an instance for half a minute, a job that fills a processor every quarter of an hour: each time the
evidence is strong, and each time it is over before anybody could act.  Of each service and term the last *bursts* of evidence
are kept: when it ended, how long it lasted, how strong it was.  Of those that were as strong and lasted as long as this one has
by now, some were over soon, and some lasted: faults.  A burst now weighs (faults + 1) / (all + 1), the mean of a beta-binomial
whose prior is that what comes for the first time is news.  So a habit weighs little while it is like itself, and in full as
soon as it outlasts or outgrows what it has ever been.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aiops.signals import SECOND

BEGINS, OVER = 2.0, 1.0  # evidence from which a burst begins, and below which it pauses
PAUSE = 60 * SECOND  # of so long ends it
LONGEST = 180 * SECOND  # what lasted longer was no passing burst: a fault is not expected to come again
ALIKE = 0.6  # share of the evidence now that an earlier burst must have reached to be like it
KEPT = 16  # bursts of a service and term
MEMORY = 6 * 3600 * SECOND  # how long a burst is remembered
LEAST = 2  # earlier bursts that are told in words

F64 = NDArray[np.float64]
Key = tuple[int, int]  # service, term


class Burst(NamedTuple):
    """One that is over: when it ended (Unix ns), how long it lasted (ns), its strongest evidence."""

    end: int
    lasted: int
    top: float


class Habit(NamedTuple):
    """What is known of a burst that goes on: `weight` in 0 .. 1; of `alike` earlier ones, `passed` were over soon."""

    weight: float
    passed: int
    alike: int


class Habits:
    """Of the services of one environment, by their numbers there."""

    def __init__(self) -> None:
        self._now: dict[Key, tuple[int, int, float]] = {}  # of a burst that goes on: since when, last time, strongest
        self._past: dict[Key, list[Burst]] = {}

    def __len__(self) -> int:
        return len(self._past)

    def take(self, now: int, evidence: F64) -> dict[Key, Habit]:
        """Take in the evidence of the window that ends at `now` (Unix ns), float64[services, terms].

        Returns
        -------
        dict, (service, term) -> Habit, where evidence goes on that weighs less than in full
        """
        begins = {(int(s), int(k)) for s, k in zip(*np.nonzero(evidence >= BEGINS), strict=True)}
        out: dict[Key, Habit] = {}
        for key in sorted(begins.union(self._now)):
            value = float(evidence[key])
            since, last, top = self._now.get(key, (now, now, 0.0))
            if value >= OVER:
                last, top = now, max(top, value)
            elif now - last >= PAUSE:
                del self._now[key]
                self._past[key] = [*self._past.get(key, ())[1 - KEPT :], Burst(last, last - since, top)]
                continue
            self._now[key] = (since, last, top)
            if value > 0.0 and (habit := self._habit(key, now, now - since, value)).weight < 1.0:
                out[key] = habit
        return out

    def _habit(self, key: Key, now: int, age: int, value: float) -> Habit:
        alike = [
            burst.lasted <= LONGEST
            for burst in self._past.get(key, ())
            if burst.lasted >= age and burst.top >= ALIKE * value and now - burst.end <= MEMORY
        ]
        return Habit((len(alike) - sum(alike) + 1) / (len(alike) + 1), sum(alike), len(alike))

    def forget(self, now: int, gone: set[int]) -> None:
        """These services are no more, and bursts that are too old are none."""
        for key, past in list(self._past.items()):
            left = [burst for burst in past if now - burst.end <= MEMORY] if key[0] not in gone else []
            if left:
                self._past[key] = left
            else:
                del self._past[key]
        self._now = {key: burst for key, burst in self._now.items() if key[0] not in gone}

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {
            "now": [[*key, *burst] for key, burst in sorted(self._now.items())],
            "past": [[*key, [list(burst) for burst in past]] for key, past in sorted(self._past.items())],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self._now = {(s, k): (since, last, top) for s, k, since, last, top in state["now"]}
        self._past = {(s, k): [Burst(*burst) for burst in past] for s, k, past in state["past"]}


def words(habit: Habit) -> str:
    """What a person reads of a habit; empty where it has come too seldom to be called one.

    >>> words(Habit(0.25, 3, 3))
    '; 3 of 3 earlier times like this it was over soon: it counts 25 %'
    """
    if habit.alike < LEAST:
        return ""
    times = f"{habit.passed} of {habit.alike} earlier times like this"
    return f"; {times} it was over soon: it counts {100 * habit.weight:.0f} %"
