"""Names of the terms of a bank, and of the columns of its two tables of scalars."""

from __future__ import annotations

TERMS = (
    "unseen shape of the last 22 points",
    "unseen shape of the last 32 points",
    "unseen shape of the last 4 points",
    "beyond all values seen",
    "a rare change of level",
    "unusual for this time of day",
    "off what this time of day and the last points led to expect",
    "level has shifted",
    "swings more or less than usual",
    "trend has changed",
    "stuck at one value",
)
WIDE, LONG, SHORT, NOVELTY, TRANSITION, TIME_OF_DAY, FORECAST, SHIFT, VARIANCE, TREND, STUCK = range(len(TERMS))
CALIBRATED = STUCK  # terms below it have a tail; what is stuck is a probability already

# Columns of `number` (float32).  Values are relative to an origin and a unit of the series: so float32 serves gauges
# of any size.
(
    LEVEL, SPREAD, LOW, HIGH, LOW_BEFORE, HIGH_BEFORE, RANGE_LOW, RANGE_WIDTH, LAST_ALERT, MEAN_WIDE, MEAN_LONG, MEAN_SHORT,
    MIDDLE, MIDDLE_ERROR, STEP, BIAS, FORECAST_ERROR, DAY_ERROR, RECENT_ERROR, SLOT_SUM, SLOT_ERROR, WEEK_ERROR,
    NO_WEEK_ERROR, SLOW_MEAN, FAST_MEAN, SHIFT_SCALE, SWING, SWING_LOG, SWING_SCALE, TREND_LEVEL, TREND_NOW, TREND_SLOW,
    TREND_SCALE,
) = range(33)  # fmt: skip
NUMBERS = 33
# Columns of `integer` (int32).
(
    POINTS, ALERT_AT, RANGE_AT, ABSURD_RUN, BORROWED, SLOT_NOW, SLOT_POINTS, DAY_POINTS, RUN, CHANGES, RUNS, REPEATED, REPEATS,
) = range(13)  # fmt: skip
INTEGERS = 13
