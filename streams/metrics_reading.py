"""What the loop of a role tells of itself about once a second; other threads see these copies and never the state itself.

A scrape comes at any moment, from another thread, and must not walk a table that the loop changes meanwhile.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SnapshotReading:
    """The last snapshot of a task.

    Attributes
    ----------
    age : float
        Seconds since it was written, or since the partition was taken over.
    behind : int
        Records taken in since.
    size : int
        Bytes, compressed.
    seconds : float
        CPU seconds that it took.
    """

    age: float
    behind: int
    size: int
    seconds: float


@dataclass(frozen=True, slots=True)
class TaskReading:
    """What a task says of itself.

    Attributes
    ----------
    gauges : dict
        Of the stage; those that end in ``_total`` only grow.
    merged : int
        Clock up to which everything is known, Unix ns; -1 before every source has spoken.
    clocks : dict
        Source -> its clock, Unix ns.
    away : frozenset of str
        Sources that are not waited for.
    lag : float
        Seconds: how far the merged clock is behind the source that is furthest; of ingest, how old the newest message is.
    refused, dead_letters : int
        Records that could not be read; records sent to the dead letters.
    """

    gauges: dict[str, float] = field(default_factory=dict)
    merged: int = -1
    clocks: dict[str, int] = field(default_factory=dict)
    away: frozenset[str] = frozenset()
    lag: float = 0.0
    refused: int = 0
    dead_letters: int = 0
    snapshot: SnapshotReading | None = None


@dataclass(frozen=True, slots=True)
class PlaceReading:
    """A partition that is owned; ``end`` is -1 where it is not known."""

    task: TaskReading
    position: int
    end: int

    @property
    def behind(self) -> int | None:
        """Records between position and end; None where that is not known."""
        return max(0, self.end - self.position) if self.end >= 0 else None


@dataclass(frozen=True, slots=True)
class Reading:
    """A process of a role at a moment.

    Attributes
    ----------
    queues : dict
        Name -> records that wait, and how many may (0: as many as a step makes).
    totals : dict
        Name -> what was counted since the process began.
    paused : bool
        Nothing is fetched, because what came out of the last records has not left yet.
    """

    places: dict[tuple[str, int], PlaceReading]
    queues: dict[str, tuple[int, int]] = field(default_factory=dict)
    totals: dict[str, float] = field(default_factory=dict)
    paused: bool = False
    at: float = field(default_factory=time.monotonic)


class Observer:
    """Is told what happens; this one takes no notice."""

    def stepped(self, seconds: float) -> None:
        """Some records of a partition have been processed."""

    def reached(self, before: int, clock: int) -> None:
        """A merged clock went from `before` to `clock` (Unix ns), and what was due then has been done."""

    def publish(self, reading: Reading) -> None:
        """The role as it is now."""


def wall_lag(newest: int, at_end: bool) -> float:
    """How old the newest message is, seconds; 0 where there is none, or nothing after it.

    Parameters
    ----------
    newest : int
        Its arrival, Unix ns; below 0: none has come.
    """
    return 0.0 if at_end or newest < 0 else max(0.0, time.time() - newest / 1e9)
