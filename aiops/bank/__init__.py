"""The metric bank: values of series in; how unusual each is for its own series, why, and what was expected out.

One row a series in arrays, O(1) a point, one set of constants for every series, no labels and no look at the future.  What a
point gets depends on the earlier points of its own series only, so batches may be cut anywhere.

Examples
--------
Ten hours of a value that repeats every hour, then a jump:

>>> import numpy as np
>>> from aiops.bank import TERMS, Bank
>>> bank = Bank()
>>> bank.grow(2)
>>> minute = np.arange(601)
>>> value = 50.0 + minute % 60
>>> value[-1] = 900.0
>>> out = bank.feed(np.zeros(601, np.int64), minute * 60_000_000_000, value)
>>> bool(out.score[-1] >= 4.0), bool(out.alert[-1]), TERMS[out.term[-1]]
(True, True, 'beyond all values seen')
>>> bool(out.lower[-1] <= out.expected[-1] <= out.upper[-1] < 900.0)
True
>>> bank.learning(np.array([0, 1])).tolist()
[1.0, 0.0]

Only what changed since the last state is written again:

>>> saved = bank.state()
>>> _ = bank.feed(np.array([1]), np.array([0]), np.array([3.0]))
>>> bank.changed()["rows"].tolist()
[1]
"""

from aiops.bank.bank import KINDS, Bank, Scores
from aiops.bank.columns import TERMS
from aiops.bank.layout import BYTES

__all__ = ["BYTES", "KINDS", "TERMS", "Bank", "Scores"]
