"""Logs of the processes themselves: one JSON object a line, or text for eyes."""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType

import orjson

LIBRDKAFKA = logging.getLogger("librdkafka")
"""For what Kafka's client has to say; it writes to stderr, in a form of its own, unless it is given one."""

OF_OTHERS = ("librdkafka", "aiokafka", "faust", "mode")
"""Loggers of libraries, and children of them."""

NOISE = re.compile(r"Missing sensor state for rebalance|Timer \S+ (is overlapping|woke up too)")
"""What means nothing here: Faust has no sensor of ours, and its timers drift while a step takes long."""

REPEAT = 10.0  # seconds in which a library's line is written once, whatever its numbers
_NUMBERS = re.compile(r"\d+")

_OF_RECORD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """``{"time": …, "level": …, "role": …, "message": …}`` and what was passed as `extra`."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "role": self._role,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _OF_RECORD | line.keys()}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        try:
            return orjson.dumps(line, default=str).decode()
        except TypeError:  # a number of more than 64 bits, half of a character: this one takes all
            return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """The same in words."""

    def __init__(self, role: str) -> None:
        super().__init__(f"%(asctime)s {role} %(levelname)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback where there is one."""
        more = " ".join(f"{name}={value}" for name, value in vars(record).items() if name not in _OF_RECORD)
        return super().format(record) + (f"  {more}" if more else "")


class Repeats(logging.Filter):
    """Lines that say the same but for numbers, as every failed connection does: one in a while is enough.

    Parameters
    ----------
    clock : callable
        Seconds, as ``time.monotonic``.
    """

    MOST = 100  # lines that are told apart; then all are forgotten

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._last: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Is it to be written?  It says how many like it were not."""
        said, now = f"{record.name} {_NUMBERS.sub('0', record.getMessage())}", self._clock()
        if now - self._last.get(said, -REPEAT) < REPEAT:
            self._left_out[said] = self._left_out.get(said, 0) + 1
            return False
        if len(self._last) >= self.MOST:
            self._last.clear()
            self._left_out.clear()
        self._last[said] = now
        if left_out := self._left_out.pop(said, 0):
            record.left_out = left_out
        return True


def set_up(role: str, form: str, level: str) -> None:
    """Log to stderr.

    Parameters
    ----------
    form : {'json', 'text'}
    level : {'debug', 'info', 'warning', 'error'}
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(role) if form == "json" else TextFormatter(role))
    handler.addFilter(lambda record: NOISE.search(record.getMessage()) is None)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("aiokafka", "faust", "mode", "numba"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    repeats = Repeats()
    handler.addFilter(lambda record: not record.name.startswith(OF_OTHERS) or repeats.filter(record))
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What ends the process is a line of the log as well."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger(__name__).critical("%s: %s", kind.__name__, error, exc_info=(kind, error, trace))


def _uncaught_in_thread(of: threading.ExceptHookArgs) -> None:
    name = of.thread.name if of.thread is not None else "a thread"
    logging.getLogger(__name__).critical("%s failed", name, exc_info=of.exc_value)
