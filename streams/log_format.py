"""Logs of the processes themselves: one JSON object a line, or text for eyes."""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType

import orjson

LIBRDKAFKA = logging.getLogger("librdkafka")
"""For what Kafka's client has to say; it writes to stderr, in a form of its own, unless it is given one."""

NOISE = re.compile(
    r"Missing sensor state for rebalance|Timer \S+ (is overlapping|woke up too)|enable\.gapless\.guarantee is experimental"
)
"""What means nothing here: Faust has no sensor of ours, and its timers drift while a step takes long; the property is chosen."""

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
