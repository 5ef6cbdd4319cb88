"""Event times of a batch, made plausible by arrival times; and how far each message moves the source's clock.

A time of 0 or below, more than 7 days before its arrival or more than 5 minutes after it is no event time: it is
replaced by the arrival and counted.  A host whose clock is years off can thus neither move a clock nor lose its data.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.signals import SECOND

PAST = 7 * 86_400 * SECOND
FUTURE = 300 * SECOND

I64 = NDArray[np.int64]


@njit(nogil=True, cache=True)
def _plausible(time: Any, message: Any, arrival: Any, past: Any, future: Any, reached: Any) -> Any:
    replaced = 0
    for i in range(len(time)):
        a, t = arrival[message[i]], time[i]
        if t <= 0 or t < a - past or t > a + future:
            time[i] = t = a
            replaced += 1
        t = min(t, a)
        if t > reached[message[i]]:
            reached[message[i]] = t
    return replaced


def plausible_times(time: I64, message: NDArray[np.int32], arrival: I64) -> tuple[I64, I64, int]:
    """Replace what is no event time by the arrival of its message.

    Parameters
    ----------
    time : int64 array, shape (n,), Unix ns
    message : int32 array, shape (n,)
        Which message an item came in.
    arrival : int64 array, shape (n_messages,), Unix ns

    Returns
    -------
    time : int64 array, shape (n,)
    reached : int64 array, shape (n_messages,)
        Greatest min(event time, arrival) of each message, -1 where it has no item.
    replaced : int
        How many times were replaced.
    """
    out = time.copy()
    reached = np.full(len(arrival), -1, np.int64)
    replaced = int(_plausible(out, message, arrival, PAST, FUTURE, reached))
    return out, reached, replaced


def clocks_before(clock: int, reached: I64) -> tuple[I64, int]:
    """The source's clock when each message arrives, and after the last one.

    A clock moves after a whole message, never inside it: items of one message are not late for each other, and how a
    poll cut the messages does not matter.
    """
    after = np.maximum.accumulate(np.concatenate([[clock], reached]))
    return after[:-1], int(after[-1])
