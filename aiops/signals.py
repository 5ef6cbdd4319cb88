"""What crosses from ingest and assemble to detect: the window rows of one source, and the source's clock.

A *source* is a partition of a raw topic, or of the traces topic.  A row belongs to one (source, window, key); rows of
the same key from several sources merge exactly and in any order: integers, minima, maxima, ``first`` and ``last`` with
a total tie-break, sums in slices.  Dense codes are local to the batch that carries their tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from aiops.wire.tables import Entity, SeriesInfo

SECOND = 1_000_000_000
WINDOW = 10 * SECOND  # width of a window, ns; windows are aligned to multiples of it
LATENESS = 10 * SECOND  # a window is due when the clock has passed its end by this much
END_OF_TIME = (1 << 62) - 1  # clock of a source that has ended

CELL = np.dtype(
    [
        ("points", np.int64),  # points in the window, stale markers left out
        ("sum_high", np.int64),  # exact sum of the values in three slices (``aiops.ingest.exact_sums``)
        ("sum_mid", np.int64),
        ("sum_low", np.int64),
        ("sum_grid", np.int64),
        ("min", np.float64),  # NaN where no point has a value
        ("max", np.float64),
        ("first_time", np.int64),  # Unix ns; ties go to the smaller value
        ("first", np.float64),
        ("last_time", np.int64),  # ties go to the greater value, count, start and bucket vector
        ("last", np.float64),
        ("first_count", np.float64),  # histograms and summaries: measurements at the first and the last point
        ("last_count", np.float64),
        ("count", np.float64),  # measurements, added up: what delta temporality needs
        ("start", np.int64),  # start time of the last point, 0 = not given
        ("stale_time", np.int64),  # newest stale marker, 0 = none
    ]
)


class ServiceKey(NamedTuple):
    """A service as detect and respond know it."""

    tenant: str
    environment: str
    service: str


class SeriesTable(Protocol):
    """What the codes of ``MetricRows`` stand for: the sender's own table, or what a message brought of it."""

    @property
    def temporality(self) -> NDArray[np.int8]:
        """By code: 0 not given or not applicable, 1 delta, 2 cumulative."""

    def describe(self, code: int) -> SeriesInfo:
        """Decode one series."""

    def entity_of(self, code: int) -> Entity:
        """What a series is about, and where that runs."""


@dataclass(slots=True)
class MetricRows:
    """One window of metric series from one source.

    Attributes
    ----------
    series : uint64 array, shape (n,), ascending
        Identity of the series.
    codes : int32 array, shape (n,)
        The same as codes of `table`, which describes them.
    cells : CELL array, shape (n,)
    bucket_offsets : int64 array, shape (n + 1,);  buckets : float64 array
        Histograms: the last bucket vector of a cumulative series, the sum of the vectors of a delta series.
    table : SeriesTable
    """

    series: NDArray[np.uint64]
    codes: NDArray[np.int32]
    cells: NDArray[np.void]
    bucket_offsets: NDArray[np.int64]
    buckets: NDArray[np.float64]
    table: SeriesTable


class LogRow(NamedTuple):
    """Lines of one shape from one service in one window."""

    environment: str
    service: str
    shape: bytes
    lines: int
    errors: int  # lines of severity ERROR and worse
    severity: int  # worst severity, 0 = none given
    exemplar_time: int  # Unix ns
    exemplar: str  # redacted; the least (time, text)


OP, CALL, LOG, STEM = range(4)  # what an event of a visit is


class Event(NamedTuple):
    """One thing that happened within a visit.

    ``OP``: a span named `text` of this service.  ``CALL``: a client span `text` that reached operation `peer_text`
    of service `peer`, or nobody where `peer` is empty.  ``LOG``: a line of shape `text`.  ``STEM``: a line that begins
    with the constant words `text`.
    """

    type: int
    text: bytes
    peer: str
    peer_text: bytes
    error: bool


@dataclass(slots=True)
class TraceRows:
    """One window of assembled traces from one source.

    ``services`` (environment, service) and ``operations`` are the tables that the int32 codes below index; they only
    grow.

    Attributes
    ----------
    op : int32 array, shape (n, 2): service, entry operation;  op_counts : int64 array, shape (n, 2): visits, errors
    duration, own : int32 arrays, shape (m, 3): service, entry operation, bin;  *_counts : int64 arrays, shape (m,)
        Histograms of a visit's duration and own time (``aiops.traces.durations``).
    edge : int32 array, shape (n, 2): caller, callee;  edge_counts : int64 array, shape (n, 2): calls, errors
    gap : int32 array, shape (m, 3): caller, callee, bin;  gap_counts : int64 array, shape (m,)
    call : int32 array, shape (n, 2): service, client operation
    call_counts : int64 array, shape (n, 2): calls, missing
        A call is missing when no other service's span was seen below it, or, where it names its peer, when it failed as well.
    unseen : int32 array, shape (m, 3): caller, callee, bin;  unseen_counts : int64 array, shape (m,)
        Durations of calls that succeeded although no span of the peer that they name was seen.  Of a peer that never sends
        spans they are the gap; of one that does, its spans are missing, and nothing is known of the gap.
    A call that fails before any span of its peer is seen has its whole duration as gap.
    visit : int32 array, shape (n,): service;  visit_hash : uint64 array;  visit_counts : int64 array, shape (n,)
    visit_events : dict, visit hash -> tuple of (event hash, multiplicity 1..4), for every visit hash of this window
    events : dict, event hash -> Event, for every event named in `visit_events`
    """

    services: list[tuple[str, str]]
    operations: list[bytes]
    op: NDArray[np.int32]
    op_counts: NDArray[np.int64]
    duration: NDArray[np.int32]
    duration_counts: NDArray[np.int64]
    own: NDArray[np.int32]
    own_counts: NDArray[np.int64]
    edge: NDArray[np.int32]
    edge_counts: NDArray[np.int64]
    gap: NDArray[np.int32]
    gap_counts: NDArray[np.int64]
    unseen: NDArray[np.int32]
    unseen_counts: NDArray[np.int64]
    call: NDArray[np.int32]
    call_counts: NDArray[np.int64]
    visit: NDArray[np.int32]
    visit_hash: NDArray[np.uint64]
    visit_counts: NDArray[np.int64]
    visit_events: dict[int, tuple[tuple[int, int], ...]]
    events: dict[int, Event]


@dataclass(slots=True)
class WindowRows:
    """All that one source has to say about one window; sent once, when the source's clock seals the window.

    Attributes
    ----------
    source : str
    tenant : str
    window : int
        Start of the window, Unix ns.
    totals : dict, (environment, signal) -> items
        How much telemetry the window holds (points, records, spans): goes to every detect partition, so that each knows
        when an environment is silent.
    """

    source: str
    tenant: str
    window: int
    totals: dict[tuple[str, str], int] = field(default_factory=dict)
    metrics: list[MetricRows] = field(default_factory=list)
    logs: list[LogRow] = field(default_factory=list)
    traces: TraceRows | None = None


class Clocks:
    """The merged clock of a stage: the least of its sources' clocks; nothing moves before every source has spoken.

    Parameters
    ----------
    sources : list of str, optional
        The set of sources is data: it is known before the first record, or comes with one (``sources``).
    """

    __slots__ = ("_away", "_clocks", "_known")

    def __init__(self, sources: list[str] | None = None) -> None:
        self._clocks: dict[str, int] = {}
        self._away: list[str] = []  # sources that are not waited for
        self._known = False
        if sources is not None:
            self.sources(sources)

    def sources(self, sources: list[str]) -> None:
        """The set of sources from now on; those that stay keep their clocks."""
        self._clocks = {source: self._clocks.get(source, -1) for source in sorted(sources)}
        self._away = [source for source in self._away if source in self._clocks]
        self._known = True

    def set(self, source: str, clock: int) -> None:
        """Source `source` has reached `clock` (Unix ns); a clock never goes back."""
        if source not in self._clocks:
            raise KeyError(f"source {source!r} is not one of {list(self._clocks)}")
        if clock > self._clocks[source]:
            self._clocks[source] = clock

    def let_go(self, source: str) -> None:
        """No longer wait for `source`, a straggler."""
        if source in self._clocks and source not in self._away:
            self._away = sorted([*self._away, source])

    def join(self, source: str) -> None:
        """Wait for `source` again."""
        self._away = [other for other in self._away if other != source]

    def __getitem__(self, source: str) -> int:
        return self._clocks[source]

    def __contains__(self, source: str) -> bool:
        return source in self._clocks

    @property
    def away(self) -> list[str]:
        """Sources that are not waited for."""
        return list(self._away)

    @property
    def known(self) -> bool:
        """Is the set of sources known?"""
        return self._known

    @property
    def merged(self) -> int:
        """Unix ns, -1 before every source has spoken."""
        if not self._known:
            return -1
        clocks = self._clocks
        if self._away and len(self._away) < len(clocks):
            return min(clock for source, clock in clocks.items() if source not in self._away)
        return min(clocks.values(), default=END_OF_TIME)

    def each(self) -> dict[str, int]:
        """Clock of every source, Unix ns."""
        return dict(self._clocks)

    def state(self) -> dict[str, Any]:
        """For a snapshot."""
        return {"clocks": dict(self._clocks), "away": list(self._away), "known": self._known}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the clocks of a snapshot."""
        self._clocks, self._away, self._known = dict(state["clocks"]), list(state["away"]), state["known"]


def due(window: int) -> int:
    """The clock at which the window that starts at `window` is due, Unix ns."""
    return window + WINDOW + LATENESS
