"""Waiting for what a cluster or a process does in its own time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(
    what: Callable[[], T],
    seconds: float,
    why: Callable[[], object] = lambda: "",
    pause: Callable[[], object] = lambda: time.sleep(0.1),
) -> T:
    """What `what` returns as soon as that is true; the test fails, and tells what `why` returns, when time is up."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, why()
        pause()
    return found
