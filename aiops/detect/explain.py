"""A deviation of a metric -> what a person wants to know of it, in words and numbers.

What was seen, what was expected and within which bounds, how rare that is for this very series, since when, what spoke, and how
much of the series has been learned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aiops.detect.tails import CAP
from aiops.detect.values import FACETS
from aiops.records import rfc3339

if TYPE_CHECKING:
    from aiops.wire.tables import SeriesInfo

LONGEST_SIGNAL, LONGEST_STATEMENT = 400, 2_000  # characters of a name, an attribute; of a sentence


class Deviation(NamedTuple):
    """What a detector knows of one value.

    ``score`` is -log10 of a tail probability, ``since`` Unix ns (-1: unknown), ``spoke`` the words of the term that found it,
    ``learned`` the share of what the detector needs to know of the series, 0 .. 1.
    """

    score: float
    observed: float
    expected: float
    lower: float
    upper: float
    since: int
    spoke: str
    learned: float


def label(info: SeriesInfo, facet: int) -> str:
    """Name of a facet of a series, as people read it."""
    attributes = ", ".join(f"{key}={value}" for key, value in info.attributes)
    return info.name + (f"{{{attributes}}}" if attributes else "") + (f" {FACETS[facet]}" if facet else "")


def short(text: str, most: int) -> str:
    """A text of `most` characters at most: what a producer names at length would fill the records of all incidents."""
    return text if len(text) <= most else text[: most - 3] + "..."


def number(value: float) -> str:
    """A number with four significant digits."""
    return f"{value:.4g}"


def once_in(score: float) -> float:
    """In how many points of the series a score is seen once, to two digits.

    >>> once_in(4.0), once_in(2.5)
    (10000.0, 320.0)
    """
    return float(f"{10.0**score:.1e}")


def statement(info: SeriesInfo, facet: int, found: Deviation) -> str:
    """One sentence."""
    where = f" of {info.instance}" if info.instance else ""
    unit = f" {info.unit}" if info.unit not in ("", "1") else ""
    said = (
        f"{label(info, facet)}{where} is {number(found.observed)}{unit}, usually {number(found.expected)}"
        f" (within {number(found.lower)} .. {number(found.upper)}): {found.spoke}, {rarity(found.score)}"
    )
    if found.since >= 0:
        said += f", since {rfc3339(found.since)[11:19]} UTC"
    if found.learned < 1.0:
        said += f"; still learning, {100.0 * found.learned:.0f} % of what it takes"
    return said


def rarity(score: float, of: str = "points") -> str:
    """How rare a score is, in words; `of` is what comes once in so many.

    >>> rarity(4.3), rarity(8.0, "windows")
    ('about once in 20,000 points', 'less than once in 100,000,000 windows')
    """
    if score >= CAP:
        return f"less than once in {10.0**CAP:,.0f} {of}"
    return f"about once in {float(f'{10.0**score:.0e}'):,.0f} {of}"
