"""Logs of the processes themselves: one JSON object a line, or text for eyes."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

import orjson

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
            **{name: value for name, value in vars(record).items() if name not in _OF_RECORD},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


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
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("aiokafka", "faust", "mode", "numba"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
