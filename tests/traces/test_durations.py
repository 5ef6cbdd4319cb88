"""Bins of durations: a logarithmic scale from 1 us to 71 minutes, without a gap."""

from __future__ import annotations

from fractions import Fraction

import pytest

from aiops.traces.durations import BINS, PER_OCTAVE, duration_bin, milliseconds

US = 1000


def plain(us: int) -> int:
    """The greatest b with 2**(b / 8) <= us, by whole numbers: 2**b <= us**8."""
    return min(BINS - 1, (us**PER_OCTAVE).bit_length() - 1) if us >= 1 else 0


@pytest.mark.parametrize("octave", range(34))
def test_every_octave_is_cut_into_eight_equal_ratios(octave):
    for k in range(64):
        us = (1 << octave) + (k << octave) // 64
        assert duration_bin(us * US) == plain(us), us


def test_bins_never_fall_as_durations_grow():
    bins = [duration_bin(int(1.01**k)) for k in range(4000) if 1.01**k < 2**62]
    assert bins == sorted(bins)
    assert bins[-1] == BINS - 1


@pytest.mark.parametrize("ns", [0, -5, 1, 999])
def test_nothing_is_shorter_than_the_first_bin(ns):
    assert duration_bin(ns) == 0


def test_the_middle_of_a_bin_is_within_nine_percent_of_what_fell_into_it():
    for ns in (3_000_000, 17_500_000, 999_000_000, 59_000_000_000, 3_000_000_000_000):
        assert abs(milliseconds(duration_bin(ns)) / float(Fraction(ns, 1_000_000)) - 1.0) < 0.05
