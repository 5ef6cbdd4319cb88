"""An incident and a time -> the sinks of the routes that match, and the silence that keeps it quiet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from aiops.notify.config import DAYS, HOURS, Match, NotifyConfig, Silence
from aiops.records import Incident, unix_ns
from aiops.signals import SECOND

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def matches(match: Match, incident: Incident, at: int) -> bool:
    """Is the incident meant at event time `at` (Unix ns)?"""
    return (
        _any(match.environment, (incident.environment,))
        and _any(match.service, incident.services)
        and _any(match.team, (incident.team or incident.labels.get("team", ""),))
        and (not match.severity or incident.severity in match.severity)
        and (not match.cause or cause_kind(incident) in match.cause)
        and _in_time(match, at)
    )


def cause_kind(incident: Incident) -> str:
    """Kind of the first cause, ``unknown`` where none is named with confidence."""
    return "unknown" if incident.no_confident_cause or not incident.causes else incident.causes[0].kind


def sinks_of(config: NotifyConfig, incident: Incident, at: int) -> tuple[tuple[str, ...], str]:
    """Names of the sinks to tell, in the order of the configuration, and in words why those."""
    if not config.routes:
        return tuple(sink.name for sink in config.sinks), "there are no routes: all sinks"
    named: set[str] = set()
    matched = []
    for i, route in enumerate(config.routes):
        if matches(route.match, incident, at):
            named.update(route.sinks)
            matched.append(str(i + 1))
            if not route.go_on:
                break
    if not matched:
        return (), "no route matches"
    which = f"route {matched[0]}" if len(matched) == 1 else f"routes {', '.join(matched)}"
    return tuple(sink.name for sink in config.sinks if sink.name in named), which


def silence_of(config: NotifyConfig, incident: Incident, at: int) -> Silence | None:
    """The silence of the configuration that holds at event time `at` (Unix ns), that which lasts longest."""
    found = [
        silence
        for silence in config.silences
        if (not silence.begin or unix_ns(silence.begin) <= at)
        and at < unix_ns(silence.until)
        and matches(silence.match, incident, at)
    ]
    return max(found, key=lambda silence: unix_ns(silence.until), default=None)


def _any(patterns: tuple[str, ...], names: tuple[str, ...]) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def _in_time(match: Match, at: int) -> bool:
    if not match.hours and not match.days:
        return True
    moment = (_EPOCH + timedelta(seconds=at // SECOND)).astimezone(ZoneInfo(match.zone))
    day = moment.weekday()
    if match.hours:
        found = HOURS.fullmatch(match.hours)
        assert found is not None
        begin, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
        minute = moment.hour * 60 + moment.minute
        if begin < end:
            if not begin <= minute < end:
                return False
        elif minute < end:
            day = (day - 1) % 7  # after midnight: it began yesterday
        elif minute < begin:
            return False
    return not match.days or DAYS[day] in match.days
