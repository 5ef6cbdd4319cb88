from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.times import SECOND, rfc3339, unix_ns

FIRST, LAST = -62_135_596_800 * SECOND, 253_402_300_800 * SECOND - 1


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (1_709_164_799_123_000_000, "2024-02-28T23:59:59.123Z"),
        (1_709_164_799_123_000_001, "2024-02-28T23:59:59.123000001Z"),
        (1_709_251_199_999_999_999, "2024-02-29T23:59:59.999999999Z"),  # a float would round this into March
        (2**63 - 1, "2262-04-11T23:47:16.854775807Z"),
        (FIRST, "0001-01-01T00:00:00.000Z"),
        (LAST, "9999-12-31T23:59:59.999999999Z"),
    ],
)
def test_times_are_written_and_read_exactly(ns, text):
    assert rfc3339(ns) == text
    assert unix_ns(text) == ns


@pytest.mark.parametrize(
    ("ns", "text"), [(FIRST - 1, rfc3339(FIRST)), (LAST + 1, rfc3339(LAST)), (2**100, rfc3339(LAST))]
)
def test_times_that_the_format_cannot_write_become_its_first_or_last(ns, text):
    assert rfc3339(ns) == text


@given(st.integers(FIRST, LAST))
def test_no_nanosecond_is_lost(ns):
    text = rfc3339(ns)
    assert unix_ns(text) == ns
    assert len(text) in {24, 30}


@given(st.integers(0, 2**62), st.integers(0, 2**62))
def test_texts_of_whole_milliseconds_sort_as_their_times_do(a, b):
    a, b = a - a % 1_000_000, b - b % 1_000_000
    assert (rfc3339(a) < rfc3339(b)) == (a < b)


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1900, 1, 1)))  # noqa: DTZ001  # hypothesis wants it naive
def test_the_standard_library_agrees(moment):
    micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // (datetime.resolution)
    assert unix_ns(moment.isoformat()) == micros * 1000


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-01T05:30:00+05:30",
        "2023-12-31T16:00:00-08:00",
        "2024-01-01t00:00:00z",
        "2024-01-01 00:00:00Z",
        "2023-12-31T23:59:60Z",  # leap second
        "2024-01-01T00:00:00.0000000009Z",  # the tenth digit is cut
        "2024-01-01T00:00:00-00:00",
    ],
)
def test_every_way_to_write_a_time_is_read(text):
    assert unix_ns(text) == 1_704_067_200 * SECOND


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024-01-01",
        "2024-01-01T00:00:00",
        "2024-1-1T00:00:00Z",
        "2024-02-30T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:60:00Z",
        "2024-01-01T00:00:61Z",
        "2024-01-01T00:00:00.Z",
        "2024-01-01T00:00:00+24:00",
        "2024-01-01T00:00:00+0100",
        "0000-01-01T00:00:00Z",
        "2024-01-01T00:00:00Z\n",
        "٢٠٢٤-01-01T00:00:00Z",
        "1704067200",
    ],
)
def test_what_is_no_time_is_refused_with_its_text(text):
    with pytest.raises(ValueError, match="is no") as error:
        unix_ns(text)
    assert repr(text) in str(error.value)
