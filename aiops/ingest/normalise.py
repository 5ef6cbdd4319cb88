"""Event times of a batch, made plausible by arrival times; and how far each message moves the source's clock.

A time of 0 or below, more than 7 days before its arrival or more than 5 minutes after it is no event time: it is
replaced by the arrival and counted.  A host whose clock is years off can thus neither move a clock nor lose its data.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aiops.signals import SECOND

PAST = 7 * 86_400 * SECOND
FUTURE = 300 * SECOND

I64 = NDArray[np.int64]


class Times(NamedTuple):
    """Event times of a batch.

    time : int64 array, shape (n,), Unix ns
    reached : int64 array, shape (n_messages,)
        Greatest min(event time, arrival) of each message, -1 where it has no item: how far it moves the source's clock.
    newest : int64 array, shape (n_messages,)
        Greatest event time of each message, -1 where it has no item.
    replaced : int64 array, shape (n_messages,)
        How many times of each message were replaced.
    """

    time: I64
    reached: I64
    newest: I64
    replaced: I64


@njit(nogil=True, cache=True)
def _plausible(time: Any, message: Any, arrival: Any, past: Any, future: Any, newest: Any, replaced: Any) -> None:
    for i in range(len(time)):
        m = message[i]
        a, t = arrival[m], time[i]
        if t <= 0 or t < a - past or t > a + future:
            time[i] = t = a
            replaced[m] += 1
        newest[m] = max(newest[m], t)


def plausible_times(time: I64, message: NDArray[np.int32], arrival: I64) -> Times:
    """Replace what is no event time by the arrival of its message.

    Parameters
    ----------
    time : int64 array, shape (n,), Unix ns
    message : int32 array, shape (n,)
        Which message an item came in.
    arrival : int64 array, shape (n_messages,), Unix ns
    """
    out = time.copy()
    newest, replaced = np.full(len(arrival), -1, np.int64), np.zeros(len(arrival), np.int64)
    _plausible(out, message, arrival, PAST, FUTURE, newest, replaced)
    return Times(out, np.minimum(newest, arrival), newest, replaced)
