"""Text such as ``30s`` or ``5min`` <-> whole nanoseconds."""

from __future__ import annotations

import re

UNITS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
LONGEST = 1 << 62  # ns, 146 years: sums of two still fit 64 bits
_TEXT = re.compile(r"(\d+(?:\.\d+)?) ?([a-z]+)")


def parse(text: str) -> int:
    """Nanoseconds of a number with a unit.

    Raises
    ------
    ValueError
        The message says what is wrong, without the path of the setting.

    Examples
    --------
    >>> parse("250ms"), parse("1.5h")
    (250000000, 5400000000000)
    """
    match = _TEXT.fullmatch(text.strip())
    if match is None or match[2] not in UNITS:
        raise ValueError(f"{text!r} is no duration: write a number and a unit, as 250ms, 30s, 5min, 2h or 7d")
    whole, _, part = match[1].partition(".")
    unit = UNITS[match[2]]
    parts: int = 10 ** len(part)
    ns, rest = divmod(int(whole + part) * unit, parts)
    if rest:
        raise ValueError(f"{text!r} is no whole number of nanoseconds")
    if ns >= LONGEST:
        raise ValueError(f"{text!r} is longer than {LONGEST // UNITS['d']} days")
    return ns


def text(ns: int) -> str:
    """The shortest text that ``parse`` reads as `ns`, of whole units.

    Examples
    --------
    >>> text(300_000_000_000), text(90_000_000_000), text(0)
    ('5min', '90s', '0s')
    """
    if ns == 0:
        return "0s"
    name, unit = next((name, unit) for name, unit in reversed(UNITS.items()) if ns % unit == 0)
    return f"{ns // unit}{name}"
