"""An engine in this process, fed with a recording or a simulation -> the store; commands go to it as to any engine.

A command is a message of a source of its own, placed at the arrival that the engine has reached: between the same windows it
would be obeyed by a replay of the log that ``commands`` names.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from aiops.config import EngineConfig
from aiops.engine import Engine, Step
from aiops.errors import UserError
from aiops.ingest.stage import Message
from aiops.recording import Sourced
from aiops.records import Change, Command, RecordError, decode_change, encode, rfc3339
from aiops.replay import Pace, drive
from aiops.signals import SECOND
from streams.api.operations import Status
from streams.history.batch import Batch, of_step
from streams.history.keep import Keep
from streams.history.retention import Forgetting
from streams.history.store import Store

log = logging.getLogger(__name__)

SOURCE = "commands/console"
STEP = 1_000_000  # ns between commands: a replay tells arrivals apart by milliseconds
AFTER = (
    240 * SECOND
)  # after the last message: within the drain, and near enough that a replay takes the time for what it is
WAITING = 1_000  # commands that wait for the engine; more are refused
WRITE_EVERY = 0.2  # seconds between writes while the engine runs as fast as it can
FORGET_EVERY = 60.0  # seconds between looks for what is too old


class Embedded:
    """An engine in a thread.

    Parameters
    ----------
    messages : iterator of Sourced
        In order of arrival.
    sources : dict, name of a source -> signal
    speed : float
        Times real time; 0: as fast as possible.
    commands : Path, optional
        Takes what is commanded, a line each, as a ``commands.jsonl`` of a recording.
    progress : callable
        -> share of the messages that was read, or None where there is no end.
    """

    def __init__(
        self,
        store: Store,
        messages: Iterator[Sourced],
        sources: dict[str, str],
        config: EngineConfig | None = None,
        speed: float = 0.0,
        commands: Path | None = None,
        progress: Callable[[], float | None] = lambda: None,
    ) -> None:
        self.store, self.speed = store, speed
        self.engine = Engine({**sources, SOURCE: "commands"}, config)
        self.ended = threading.Event()
        self._messages, self._log, self._progress = messages, commands, progress
        self._queue: queue.Queue[Command] = queue.Queue(WAITING)
        self._changes: list[Change] = []
        self._pending = Batch()
        self._forgetting = Forgetting(store, Keep())
        self._written = self._forgot = time.monotonic()
        self._arrival = 0
        self._offset = 0
        self._told = -1
        self._stop = threading.Event()
        self._trouble: str | None = None
        self._refused = 0
        self._gauges: dict[str, float] = {}
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    # ---- what the API asks ----------------------------------------------------------------------------------------------
    def status(self) -> Status:
        """How it stands."""
        progress = 1.0 if self.ended.is_set() else self._progress()
        return Status(
            kind="embedded", now=rfc3339(self._arrival), progress=None if progress is None else round(progress, 4),
            trouble=self._trouble, refused=self._refused, gauges=self._gauges,
        )  # fmt: skip

    def now(self) -> int:
        """Arrival that the engine has reached, Unix ns."""
        return self._arrival

    def send(self, command: Command) -> None:
        """Hand a command over.

        Raises
        ------
        UserError
            The engine has ended with an error, or too many wait.
        """
        if self._trouble is not None:
            raise UserError(f"the engine has ended: {self._trouble}")
        try:
            self._queue.put_nowait(command)
        except queue.Full:
            raise UserError(f"{WAITING} commands wait for the engine already") from None

    # ---- life -------------------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the current step."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10.0)

    def _run(self) -> None:
        try:
            pace = Pace(self.speed) if self.speed else None
            for arrival, step in drive(self.engine, self._tapped(), pace=pace):
                self._arrival = max(self._arrival, arrival)
                self._take(step)
                self._obey(block=False)
                if self._stop.is_set():
                    return
            self._arrival += AFTER  # respond's clock is past that: what is commanded from now on is in force at once
            self._write()
            self.ended.set()
            while not self._stop.is_set():
                self._obey(block=True)
        except Exception as error:  # the page must say why nothing comes any more
            self._trouble = f"{type(error).__name__}: {error}" if not isinstance(error, UserError) else str(error)
            log.exception("the engine has ended")
            self.ended.set()

    def _tapped(self) -> Iterator[Sourced]:
        """The messages; changes are for the store too, which nobody else tells them."""
        for sourced in self._messages:
            if sourced.source.startswith("changes/"):
                with contextlib.suppress(RecordError):  # the engine counts it as refused
                    self._changes.append(decode_change(sourced.message.value))
            yield sourced

    def _take(self, step: Step) -> None:
        batch = of_step(step, self._changes)
        self._changes = []
        self._refused += len(step.refused)
        pending = self._pending
        for name in ("incidents", "anomalies", "topology", "noise", "notices", "changes", "findings"):
            getattr(pending, name).extend(getattr(batch, name))
        if self.speed or time.monotonic() - self._written > WRITE_EVERY:
            self._write()

    def _write(self) -> None:
        self.store.apply(self._pending)
        self._pending = Batch()
        self._written = now = time.monotonic()
        if now - self._forgot > FORGET_EVERY:
            self._forgot = now
            self._forgetting.look(time.time_ns())
        self._gauges = self.engine.gauges()

    def _obey(self, block: bool) -> None:
        try:
            command = self._queue.get(timeout=0.2) if block else self._queue.get_nowait()
        except queue.Empty:
            return
        # It arrives now, each at a time of its own: of what arrives at once the bytes decide, not who came first.
        self._told = max(self._arrival, self._told + STEP)
        line = encode(msgspec.structs.replace(command, time=rfc3339(self._told)))
        if self._log is not None:
            with self._log.open("ab") as file:
                file.write(line + b"\n")
        self._take(self.engine.process(SOURCE, [Message(self._offset, self._told, line)]))
        self._offset += 1
        self._write()
