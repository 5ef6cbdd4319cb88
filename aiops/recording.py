"""A folder of recorded telemetry -> its messages, merged by arrival, as an engine takes them in.

The folder holds what a Collector's file exporter writes, one OTLP/JSON export request a line (``metrics.jsonl``,
``traces.jsonl``, ``logs.jsonl``), and what the engine is told beside telemetry, one record a line
(``changes.jsonl``, ``alerts.jsonl``, ``commands.jsonl``); each may be gzipped (``.jsonl.gz``).  Each file is one source.
Files are read as they are needed: memory is that of the look-ahead which arrival times take.
"""

from __future__ import annotations

import gzip
import heapq
import io
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aiops.arrival import SLACK, with_arrival
from aiops.errors import UserError
from aiops.event_times import event_times
from aiops.ingest.stage import Message
from aiops.told import TOLD

SIGNALS = ("metrics", "traces", "logs", *TOLD)
MAX_LINE = 256 << 20  # bytes; a file without line ends must not be read into memory whole
MS = 1_000_000
_BUFFER = 1 << 18

Times = Callable[[bytes], dict[str, int]]


class RecordingError(UserError):
    """A folder or file that cannot be read as a recording; the message names it."""


class Sourced(NamedTuple):
    """A message and the source that it belongs to."""

    source: str
    message: Message


def of_told(source: str) -> bool:
    """Is it a source of what the engine is told, not of telemetry?"""
    return source.partition("/")[0] in TOLD


class Recording:
    """The recorded files of a folder.

    Parameters
    ----------
    folder : str or Path

    Attributes
    ----------
    sources : dict, name of a source (``"logs/0"``) -> signal
    files : dict, name of a source -> Path
    size : int
        Bytes of all files, as they are on disk.

    Raises
    ------
    RecordingError
        There is no such folder, nothing to read in it, or the same signal twice.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise RecordingError(f"{self.folder} is no directory")
        self.files: dict[str, Path] = {}
        for signal in SIGNALS:
            found = [p for p in (self.folder / f"{signal}.jsonl", self.folder / f"{signal}.jsonl.gz") if p.is_file()]
            if len(found) > 1:
                raise RecordingError(f"{found[0]} and {found[1].name} are both there: which one holds the {signal}?")
            if found:
                self.files[f"{signal}/0"] = found[0]
        if all(of_told(source) for source in self.files):
            names = ", ".join(f"{signal}.jsonl[.gz]" for signal in SIGNALS[:3])
            raise RecordingError(f"{self.folder} holds no telemetry: none of {names} is in it")
        self.sources = {source: source.partition("/")[0] for source in self.files}
        self.size = sum(path.stat().st_size for path in self.files.values())
        self._read: dict[Path, int] = {}

    @property
    def read(self) -> int:
        """Bytes of ``size`` that ``messages`` has read so far."""
        return sum(self._read.values())

    def messages(self) -> Iterator[Sourced]:
        """All messages in order of arrival; the offset of a message is the number of its line in its file, less one."""
        self._read = {}
        lines = {source: self._lines(path) for source, path in self.files.items()}
        return merged({source: arrived(source, signal, lines[source]) for source, signal in self.sources.items()})

    def split(self, n: int, seed: int) -> dict[str, list[Message]]:
        """The same messages, each file's spread at random over `n` sources of its signal, arrivals as they are.

        Returns
        -------
        dict, name of a source (``"logs/0"`` .. ``"logs/{n - 1}"``) -> its messages, offsets rising from 0
        """
        rng = np.random.default_rng(seed)
        spread: dict[str, list[Message]] = {f"{s}/{i}": [] for s in self.sources.values() for i in range(n)}
        for source, message in self.messages():
            part = spread[f"{self.sources[source]}/{int(rng.integers(n))}"]
            part.append(message._replace(offset=len(part)))
        return spread

    def _lines(self, path: Path) -> Iterator[bytes]:
        raw = path.open("rb", buffering=0)
        number = 0
        packed = gzip.GzipFile(fileobj=raw, mode="rb") if path.suffix == ".gz" else raw
        with raw, io.BufferedReader(packed, _BUFFER) as file:
            try:
                while line := file.readline(MAX_LINE):
                    number += 1
                    self._read[path] = raw.tell()
                    if len(line) == MAX_LINE:
                        raise RecordingError(f"{path}: line {number} is longer than {MAX_LINE >> 20} MiB")
                    yield line
            except (OSError, EOFError, zlib.error) as error:
                what = "is no readable gzip file" if path.suffix == ".gz" else "cannot be read"
                raise RecordingError(f"{path} {what}: {error} (after line {number})") from None


def arrived(source: str, signal: str, lines: Iterator[bytes]) -> Iterator[Sourced]:
    """Messages of one source in the order of its lines, empty lines left out; arrivals never fall.

    They are whole milliseconds, as a broker's timestamps are, and never before the event time they are taken from.
    """
    waiting: deque[int] = deque()  # offsets of the lines that with_arrival holds

    def filled() -> Iterator[bytes]:
        for offset, line in enumerate(lines):
            stripped = line.strip()
            if stripped:
                waiting.append(offset)
                yield stripped

    for arrival, line in with_arrival(filled(), event_times(signal)):
        yield Sourced(source, Message(waiting.popleft(), -(-arrival // MS) * MS, line))


def merged(sources: Mapping[str, Iterator[Sourced]]) -> Iterator[Sourced]:
    """Messages of all sources in order of arrival; what arrives at once comes in the order of the sources.

    A change long after all telemetry, such as a planned one, arrives with the last of it: it must not move the end.  So does
    what else is told.
    """
    last = 0
    early: list[Sourced] = []  # what is far ahead of the telemetry so far
    for sourced in heapq.merge(*sources.values(), key=attrgetter("message.arrival")):
        if not of_told(sourced.source):
            yield from early
            early.clear()
            last = sourced.message.arrival
        elif last and sourced.message.arrival > last + SLACK:
            early.append(sourced)
            continue
        yield sourced
    for source, message in early:
        yield Sourced(source, message._replace(arrival=last))
