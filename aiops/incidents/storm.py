"""Openings of anomalies a minute -> storms, in which all but the first of a kind are counted in storylines.

A storyline is what one service says in one way: service, kind, family of the signal.  Its first anomalies stay anomalies like
any other; the rest is a count that goes to the incident which holds the service.  What says that it is critical or high stays an
anomaly.  Evidence rows are no part of this: what a fault looks like to the engine does not change in a storm.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from aiops.incidents.noise_bounds import NoiseConfig
from aiops.incidents.noise_names import family, urgent
from aiops.records import Anomaly, rfc3339, unix_ns
from aiops.signals import SECOND

USUAL = NoiseConfig()
# What holds if nothing else is said; docs/noise.md says what ordinary faults came to.
ENTER, LEAVE, CALM, FIRST = USUAL.storm_enter, USUAL.storm_leave, USUAL.storm_calm, USUAL.storm_first
MINUTE = 60 * SECOND
MAX_STORIES = 2_000  # of an environment; the rest shares one more
LIFE = 300 * SECOND  # a storyline that says nothing for so long is over, unless the storm lasts

Key = tuple[str, str, str]  # service, kind, family of the signal
OTHER: Key = ("<other>", "<other>", "<other>")


@dataclass(slots=True)
class Story:
    """What was counted of one service and kind.

    Attributes
    ----------
    first, last : int
        Unix ns: the earliest onset, and the window in which it grew last.
    kept : int
        Anomalies that stayed anomalies.
    told : int
        Those that are counted here and nowhere else; `urgent` of them say that they are critical or high.
    claimed : int
        Those of them that an incident has counted.
    owner : str
        Id of that incident.
    statement : str
        What its first one said.
    """

    first: int
    last: int
    kept: int = 0
    told: int = 0
    urgent: int = 0
    claimed: int = 0
    owner: str = ""
    statement: str = ""


class Storm:
    """Storms and storylines of one environment.

    Attributes
    ----------
    since : int
        When the storm began, Unix ns; -1: there is none.
    storms : int
        Storms since the process began.
    """

    def __init__(self, bounds: NoiseConfig = USUAL) -> None:
        self._bounds = bounds
        self.since = -1
        self.storms = 0
        self.stories: dict[Key, Story] = {}
        self._by_service: dict[str, list[Key]] = {}
        self._opened: deque[tuple[int, int]] = deque()  # (window end, anomalies that opened), of the last minute
        self._calm = -1  # since when few opened
        self._told = 0  # counted in storylines since the storm began

    @property
    def rate(self) -> int:
        """Anomalies that opened within the last minute."""
        return sum(n for _, n in self._opened)

    def advance(self, now: int, opened: int) -> str | None:
        """So many anomalies open in the window that ends at `now`; what is to be said where a storm begins or ends."""
        self._opened.append((now, opened))
        while self._opened[0][0] <= now - MINUTE:
            self._opened.popleft()
        if self.since < 0:
            if self.rate < self._bounds.storm_enter:
                self._forget(now)
                return None
            self.since, self._calm, self._told = now, -1, 0
            self.storms += 1
            return (
                f"{self.rate} anomalies opened within a minute: what is critical or high stays as it is, "
                f"of the rest the first {self._bounds.storm_first} of each storyline; the others are counted"
            )
        if self.rate >= self._bounds.storm_leave:
            self._calm = -1
        elif self._calm < 0:
            self._calm = now
        elif now - self._calm >= self._bounds.storm_calm:
            begun, self.since = self.since, -1
            grown = [(story.told, key) for key, story in self.stories.items() if story.told and story.last >= begun]
            said = [f"{n} of {key[0]} ({key[2]})" for n, key in sorted(grown, key=lambda g: (-g[0], g[1]))[:3]]
            most = f"; most in {', '.join(said)}" if said else ""
            return f"the storm of anomalies is over: {self._told} were counted in {len(grown)} storylines{most}"
        return None

    def of(self, anomaly: Anomaly) -> Key:
        """The storyline that an anomaly belongs to."""
        key = anomaly.service, anomaly.kind, family(anomaly.signal)
        return key if key in self.stories or len(self.stories) < MAX_STORIES else OTHER

    def keeps(self, anomaly: Anomaly) -> bool:
        """May it stay an anomaly?"""
        if self.since < 0 or urgent(anomaly):
            return True
        story = self.stories.get(self.of(anomaly))
        return story is None or story.kept < self._bounds.storm_first

    def keep(self, now: int, anomaly: Anomaly) -> None:
        """It stays one; in a storm that counts."""
        if self.since >= 0 and not urgent(anomaly):
            self._story(now, anomaly).kept += 1

    def tell(self, now: int, anomaly: Anomaly) -> None:
        """Count an anomaly in its storyline."""
        story = self._story(now, anomaly)
        story.first = min(story.first, unix_ns(anomaly.onset))
        story.last = now
        story.told += 1
        story.urgent += urgent(anomaly)
        self._told += 1

    def _story(self, now: int, anomaly: Anomaly) -> Story:
        key = self.of(anomaly)
        story = self.stories.get(key)
        if story is None:
            story = self.stories[key] = Story(unix_ns(anomaly.onset), now, statement=anomaly.statement[:240])
            self._by_service.setdefault(key[0], []).append(key)
        return story

    def claim(self, incident: str, service: str) -> list[tuple[Key, Story, int]]:
        """Storylines of a service that an incident holds, each with what was counted since it asked last.

        One that another incident has counted stays with that one.
        """
        out = []
        for key in self._by_service.get(service, ()):
            story = self.stories[key]
            if story.told and story.owner in ("", incident):
                story.owner = incident
                out.append((key, story, story.told - story.claimed))
                story.claimed = story.told
        return out

    def release(self, incident: str) -> None:
        """An incident has closed: what its storylines tell from now on may belong to another one."""
        for story in self.stories.values():
            if story.owner == incident:
                story.owner = ""

    def _forget(self, now: int) -> None:
        """Between storms, storylines that are over."""
        for key in [key for key, story in self.stories.items() if now - story.last > LIFE]:
            del self.stories[key]
            left = [k for k in self._by_service[key[0]] if k != key]
            if left:
                self._by_service[key[0]] = left
            else:
                del self._by_service[key[0]]

    def words(self, key: Key, story: Story) -> str:
        """What a storyline says."""
        return f"storyline: {story.told + story.kept} anomalies of {key[0]}, {key[2]} ({key[1]}), since {rfc3339(story.first)}"

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        fields = Story.__slots__
        return {
            "since": self.since, "calm": self._calm, "told": self._told, "opened": [list(of) for of in self._opened],
            "stories": [[list(key), [getattr(story, name) for name in fields]] for key, story in self.stories.items()],
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
        self.since, self._calm, self._told = state["since"], state["calm"], state["told"]
        self._opened = deque((time, n) for time, n in state["opened"])
        self.stories = {(a, b, c): Story(*values) for (a, b, c), values in state["stories"]}
        self._by_service = {}
        for key in self.stories:
            self._by_service.setdefault(key[0], []).append(key)
