"""What the benchmark of anomalies counts: what is quiet, what tells of a fault, and by chance."""

from __future__ import annotations

import pytest

from aiops.scoring import Fault
from benchmarks import alarms
from benchmarks.alarm_days import AFTER, Day, Opening, simulated

FAULT = Fault(10_000.0, "cart", "cpu")


def opening(at: float, service: str = "cart", detector: str = "levels") -> Opening:
    return Opening(at, service, detector, "metric", "x", 5.0, "x is 3")


def day(*openings: Opening, early: float = 0.0, faults: tuple[Fault, ...] = (FAULT,)) -> Day:
    return Day("a day", 0.0, 20_000.0, early, list(faults), ["cart", "web"], list(openings), 4000.0, 4.0)


def told(of: Day) -> float | None:
    (one,) = alarms.tellings(of)
    return one.delay


def test_a_fault_is_told_by_what_opens_on_its_service_in_time():
    assert told(day(opening(10_060.0), opening(10_030.0))) == 30.0
    assert told(day(opening(10_000.0 + alarms.WITHIN))) == alarms.WITHIN
    assert told(day(opening(10_001.0 + alarms.WITHIN))) is None
    assert told(day(opening(10_060.0, service="web"))) is None


def test_what_opens_before_a_fault_does_not_tell_of_it_but_where_labels_are_late():
    assert told(day(opening(9_950.0))) is None
    assert told(day(opening(9_950.0), early=90.0)) == -50.0


def test_quiet_is_what_no_fault_can_have_done():
    quiet = [opening(9_909.0), opening(10_001.0 + AFTER)]
    of = day(*quiet, opening(9_911.0), opening(10_300.0), early=90.0)
    assert alarms.false_ones(of) == quiet
    assert alarms.false_ones(day(opening(20_500.0))) == [], "what comes after the day is no part of it"


def test_openings_are_held_against_signal_hours_and_by_detector():
    of = day(opening(1.0), opening(2.0, "web", "duration-shift"), opening(3.0), faults=())
    result = alarms.quiet_result([of, of])
    assert result["series_hours"] == 8000
    assert result["per_2000_series_hours"] == pytest.approx(6 / 4)
    assert result["by_detector"] == {"duration-shift metric": 2, "levels metric": 4}
    assert 0.0 < result["by_chance"] < 0.1


def test_kinds_have_their_share_their_delay_and_who_told_first():
    result = alarms.fault_results(alarms.tellings(day(opening(10_040.0))) + alarms.tellings(day()))["cpu"]
    assert (result["faults"], result["told"], result["share"], result["median_delay_s"]) == (2, 1, 0.5, 40.0)
    assert result["told_first_by"] == {"levels metric": 1}
    assert result["not_told"] == ["a day cart"]


def test_a_simulated_day_has_hours_watched_signals_and_faults():
    quiet = simulated(3, 0.2, 1.0, faults=False)
    assert quiet.hours == pytest.approx(0.2, abs=0.02)
    assert quiet.watched > 20.0
    assert quiet.faults == []


def test_a_wrong_range_of_seeds_is_an_error_in_words(capsys):
    with pytest.raises(SystemExit):
        alarms.main(["--seeds", "a-b"])
    assert "--seeds: a-b: it must be one number, or the first and the last: 11-15" in capsys.readouterr().err
