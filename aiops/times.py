"""Unix nanoseconds <-> RFC 3339 text, exact: no float on the way.

The engine's one clock type is an ``int`` of nanoseconds since 1970 (UTC); text appears only in records that leave it.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_FIRST = -62_135_596_800 * SECOND  # 0001-01-01T00:00:00Z
_LAST = 253_402_300_800 * SECOND - 1  # 9999-12-31T23:59:59.999999999Z

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:([Zz])|([+-])(\d\d):(\d\d))",
    re.ASCII,  # other scripts' digits would pass \d and int(), and are no RFC 3339
)


def rfc3339(ns: int) -> str:
    """UTC text of a Unix time: three fractional digits for whole milliseconds, else nine.

    Times before year 1 and after year 9999, which the format cannot write, become the first and the last it can.

    >>> rfc3339(1_700_000_000_000_000_000), rfc3339(1_700_000_000_123_456_789)
    ('2023-11-14T22:13:20.000Z', '2023-11-14T22:13:20.123456789Z')
    """
    seconds, fraction = divmod(min(max(int(ns), _FIRST), _LAST), SECOND)
    moment = (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]
    milliseconds, rest = divmod(fraction, 1_000_000)
    return f"{moment}.{fraction:09d}Z" if rest else f"{moment}.{milliseconds:03d}Z"


def unix_ns(text: str) -> int:
    """Unix time of an RFC 3339 text with any offset; digits beyond the ninth are cut, a leap second is the next second.

    >>> unix_ns("2023-11-15T00:13:20.5+02:00")
    1700000000500000000

    Raises
    ------
    ValueError
        What is wrong, with the text.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:64]!r} is no RFC 3339 time such as 2023-11-14T22:13:20.000Z")
    year, month, day, hour, minute, second = (int(match[i]) for i in range(1, 7))
    offset_hour, offset_minute = int(match[10] or 0), int(match[11] or 0)
    if hour > 23 or minute > 59 or second > 60 or offset_hour > 23 or offset_minute > 59:
        raise ValueError(
            f"{text[:64]!r} is no time of day: hours go to 23, minutes to 59, seconds to 60 (leap), offsets to 23:59"
        )
    try:
        days = date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError as error:
        raise ValueError(f"{text[:64]!r} is no date: {error}") from None
    offset = (offset_hour * 60 + offset_minute) * (-60 if match[9] == "-" else 60)
    fraction = int((match[7] or "")[:9].ljust(9, "0"))
    return (((days * 24 + hour) * 60 + minute) * 60 + second - offset) * SECOND + fraction
