"""Names of the terms of a bank, and of the columns of its two tables of scalars."""

from __future__ import annotations

TERMS = (
    "unseen shape of the last 22 points",
    "unseen shape of the last 32 points",
    "unseen shape of the last 4 points",
    "beyond all values seen",
    "a rare change of level",
    "unusual for this time of day",
)
WIDE, LONG, SHORT, NOVELTY, TRANSITION, TIME_OF_DAY = range(len(TERMS))

# Columns of `number` (float32).  Values are relative to an origin and a unit of the series: so float32 serves gauges
# of any size.
(
    LEVEL, SPREAD, LOW, HIGH, LOW_BEFORE, HIGH_BEFORE, RANGE_LOW, RANGE_WIDTH, LAST_ALERT, MEAN_WIDE, MEAN_LONG, MEAN_SHORT,
    FAST, FAST_ERROR, BIAS, DAY_ERROR, DAY_DEVIATION,
) = range(17)  # fmt: skip
NUMBERS = 17
# Columns of `integer` (int32).
POINTS, ALERT_AT, RANGE_AT, SLOT_POINTS, ABSURD_RUN, BORROWED = range(6)
INTEGERS = 6
