"""Digests of the messages with an item in an open window: which messages are repeats, and the clock between messages.

One kernel over all messages of a poll: a Collector that routes by trace id sends messages of a handful of spans, and
there a dictionary would cost as much a span as everything else in ingest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.identity import mix
from aiops.ingest.normalise import Times
from aiops.signals import LATENESS, WINDOW

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]

_ROOM = 1024
_U0, _U1 = np.uint64(0), np.uint64(1)
_DUE = WINDOW + LATENESS


class SeenMessages:
    """Digest of a message with times of its own -> newest window that it has an item in."""

    __slots__ = ("_digests", "_windows", "size")

    def __init__(self) -> None:
        self.size = 0
        self._digests: U64 = np.zeros(_ROOM, np.uint64)  # open addressing; 0 is an empty slot
        self._windows: I64 = np.zeros(_ROOM, np.int64)

    def admit(self, digests: U64, times: Times, clock: int) -> tuple[I64, NDArray[np.bool_], int]:
        """Take in messages in the order of their offsets.

        The clock moves after a whole message, never inside it: items of one message are not late for each other, and
        how a poll cut the messages does not matter.

        Parameters
        ----------
        digests : uint64 array, shape (n,)
        times : Times of the same messages
        clock : int
            Of the source before the first of them, Unix ns.

        Returns
        -------
        before : int64 array, shape (n,), the clock when each message arrives
        repeat : bool array, shape (n,), whether it is one that was seen, with an item in a window still open
        clock : int, after the last message
        """
        if 2 * (self.size + len(digests)) > len(self._digests):
            self._rebuild(-1, self.size + len(digests))
        before: I64 = np.empty(len(digests), np.int64)
        repeat: NDArray[np.bool_] = np.zeros(len(digests), np.bool_)
        self.size, clock = _admit(
            digests, times.reached, times.newest, times.replaced, self._digests, self._windows, self.size, clock,
            before, repeat,
        )  # fmt: skip
        return before, repeat, int(clock)

    def forget(self, clock: int) -> None:
        """Forget the messages whose windows are all due at `clock`."""
        self._rebuild(clock, self.size)

    def _rebuild(self, clock: int, room: int) -> None:
        size = max(_ROOM, 1 << (2 * room).bit_length())
        digests: U64 = np.zeros(size, np.uint64)
        windows: I64 = np.zeros(size, np.int64)
        self.size = int(_copy(self._digests, self._windows, clock, digests, windows))
        self._digests, self._windows = digests, windows


@njit(inline="always")
def _slot(table: Any, digest: Any) -> Any:
    """Where `digest` stands in the table, or the empty slot where it belongs."""
    mask = np.uint64(len(table) - 1)
    slot = mix(digest) & mask
    while table[slot] != _U0 and table[slot] != digest:
        slot = (slot + _U1) & mask
    return slot


@njit(nogil=True, cache=True)
def _admit(
    digests: Any, reached: Any, newest: Any, replaced: Any, table: Any, windows: Any, size: Any, clock: Any,
    before: Any, repeat: Any,
) -> Any:  # fmt: skip
    for i in range(len(digests)):
        before[i] = clock
        if newest[i] >= 0 and replaced[i] == 0:
            digest = max(digests[i], _U1)
            slot = _slot(table, digest)
            if table[slot] == digest and windows[slot] + _DUE > clock:
                repeat[i] = True
                continue
            size += table[slot] == _U0
            table[slot], windows[slot] = digest, newest[i] - newest[i] % WINDOW
        clock = max(clock, reached[i])
    return size, clock


@njit(nogil=True, cache=True)
def _copy(table: Any, windows: Any, clock: Any, new_table: Any, new_windows: Any) -> Any:
    size = 0
    for i in range(len(table)):
        if table[i] != _U0 and windows[i] + _DUE > clock:
            slot = _slot(new_table, table[i])
            new_table[slot], new_windows[slot] = table[i], windows[i]
            size += 1
    return size
