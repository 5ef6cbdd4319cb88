from __future__ import annotations

import pytest

from aiops.errors import UserError
from aiops.notify.config import Match, NotifyConfig, Route, Silence, Sink
from aiops.notify.matching import matches, silence_of, sinks_of
from aiops.records import unix_ns
from tests.notify.stories import Story, T, cause

INCIDENT = Story(severity="high", team="shop").at(0)
MONDAY_NOON = unix_ns("2024-03-04T12:00:00Z")


@pytest.mark.parametrize(
    ("match", "meant"),
    [
        (Match(), True),
        (Match(service=("we?",)), True),
        (Match(service=("pay", "cart")), True),
        (Match(service=("car",)), False),
        (Match(environment=("prod",), severity=("high",)), True),
        (Match(environment=("prod",), severity=("low",)), False),
        (Match(team=("shop",)), True),
        (Match(team=("*",), cause=("code",)), True),
        (Match(cause=("network",)), False),
    ],
)
def test_all_that_is_given_must_hold(match, meant):
    assert matches(match, INCIDENT, T) is meant


def test_a_cause_that_is_not_confident_is_unknown():
    unsure = Story(no_confident_cause=True).at(0)
    assert matches(Match(cause=("unknown",)), unsure, T)
    assert not matches(Match(cause=("code",)), unsure, T)
    assert matches(Match(cause=("unknown",)), Story(causes=()).at(0), T)


def test_a_team_may_come_as_a_label():
    assert matches(Match(team=("pay",)), Story(labels={"team": "pay"}, causes=(cause(),)).at(0), T)


@pytest.mark.parametrize(
    ("hours", "days", "zone", "at", "meant"),
    [
        ("08:00-18:00", (), "UTC", "2024-03-04T08:00:00Z", True),
        ("08:00-18:00", (), "UTC", "2024-03-04T18:00:00Z", False),
        ("00:00-24:00", ("mon",), "UTC", "2024-03-04T23:59:59Z", True),
        ("22:00-06:00", ("mon",), "UTC", "2024-03-05T05:00:00Z", True),  # the night that began on Monday
        ("22:00-06:00", ("mon",), "UTC", "2024-03-04T05:00:00Z", False),  # that of Sunday
        ("22:00-06:00", (), "UTC", "2024-03-04T12:00:00Z", False),
        ("08:00-18:00", (), "Europe/Berlin", "2024-03-04T07:30:00Z", True),  # 8:30 there
        ("08:00-18:00", (), "Europe/Berlin", "2024-07-01T06:30:00Z", True),  # summer time
        ("", ("sat", "sun"), "UTC", "2024-03-04T12:00:00Z", False),
        ("", ("mon",), "America/Los_Angeles", "2024-03-05T07:00:00Z", True),  # still Monday there
    ],
)
def test_times_of_day_and_days_of_the_week_are_those_of_the_zone(hours, days, zone, at, meant):
    assert matches(Match(hours=hours, days=days, zone=zone), INCIDENT, unix_ns(at)) is meant


@pytest.mark.parametrize("hours", ["8-18", "08:00-08:00", "08:60-09:00", "24:00-08:00", "09:00-24:30", "08:00"])
def test_hours_that_are_none_are_refused(hours):
    with pytest.raises(UserError, match="hours"):
        Match(hours=hours)


def test_a_zone_that_is_none_is_refused():
    for zone in ("Mars/Base", "../etc/passwd", ""):
        with pytest.raises(UserError, match="zone"):
            Match(zone=zone)


def test_without_routes_all_sinks_are_told_and_an_empty_route_tells_nobody():
    sinks = (Sink("a", "webhook", url="http://h/"), Sink("b", "webhook", url="http://h/"))
    assert sinks_of(NotifyConfig(sinks=sinks), INCIDENT, T)[0] == ("a", "b")
    assert sinks_of(NotifyConfig(sinks=sinks, routes=(Route(()),)), INCIDENT, T) == ((), "route 1")


def test_of_several_silences_that_which_lasts_longest_counts():
    several = tuple(
        Silence("ann", why, until) for why, until in (("a", "2024-03-04T13:00:00Z"), ("b", "2024-03-04T14:00:00Z"))
    )
    found = silence_of(NotifyConfig(silences=several), INCIDENT, MONDAY_NOON)
    assert found is not None
    assert found.reason == "b"
    assert silence_of(NotifyConfig(silences=several), INCIDENT, MONDAY_NOON + 2 * 3600 * 10**9) is None
