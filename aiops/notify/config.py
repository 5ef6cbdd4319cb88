"""What the configuration says of notifications, as it is written down: when, to whom, how often, and what is kept quiet."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from aiops.errors import UserError
from aiops.records import CauseKind, unix_ns
from aiops.signals import SECOND
from aiops.told import Severity

MINUTE = 60 * SECOND
HOUR = 3600 * SECOND

Duration = Annotated[int, msgspec.Meta(ge=0, extra={"text": "duration"})]
"""ns; in the file a number with a unit."""
Secret = Annotated[str, msgspec.Meta(extra={"text": "secret"})]
"""A text that is never shown."""
Named = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Kind = Literal["alertmanager", "pagerduty", "webhook", "slack", "apprise"]

HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_URL = re.compile(r"https?://[^\s/?#]+\S*")


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which incidents, and when; all that is given must hold, of a list any.

    Attributes
    ----------
    environment, service, team : patterns
        `*` is any text; the whole name must match. Of services one that takes part is enough.
    severity : list of critical, high, medium, low or info
        Severity of the incident.
    cause : list of resource, network, code, dependency, change, external or unknown
        Kind of the first cause; an incident without a confident one is `unknown`.
    hours : text
        `08:00-18:00`; `22:00-06:00` goes over midnight.
    days : list of mon, tue, wed, thu, fri, sat or sun
        Days of the week; hours over midnight belong to the day on which they begin.
    zone : text
        Time zone of hours and days, as `Europe/Berlin`.
    """

    environment: tuple[str, ...] = ()
    service: tuple[str, ...] = ()
    team: tuple[str, ...] = ()
    severity: tuple[Severity, ...] = ()
    cause: tuple[CauseKind, ...] = ()
    hours: str = ""
    days: tuple[Day, ...] = ()
    zone: str = "UTC"

    def __post_init__(self) -> None:
        """Refuse hours and zones that are none."""
        found = HOURS.fullmatch(self.hours)
        if self.hours and found is None:
            raise UserError(f"hours: {self.hours!r} is not HH:MM-HH:MM, as 08:00-18:00")
        if found is not None and (
            (found[3] == "24" and found[4] != "00") or found[1] + found[2] == found[3] + found[4]
        ):
            raise UserError(f"hours: {self.hours!r} is no span of a day; leave it out where any time is meant")
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise UserError(f"zone: {self.zone!r} is no time zone, as UTC or Europe/Berlin") from None


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where notifications go.

    Attributes
    ----------
    sinks : list
        Names of sinks; an empty list: nobody is told.
    go_on : true or false
        Routes below are looked at as well.
    """

    sinks: tuple[Named, ...]
    match: Match = Match()
    go_on: bool = False


class Silence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept quiet until a time, and who said so.

    Attributes
    ----------
    author : text
        Who wants it.
    reason : text
        Why.
    begin, until : RFC 3339
        From when until when; without a beginning it holds already.
    """

    author: Named
    reason: Named
    until: str
    match: Match = Match()
    begin: str = ""

    def __post_init__(self) -> None:
        """Refuse times that are none."""
        for name in ("begin", "until"):
            text = getattr(self, name)
            try:
                if text or name == "until":
                    unix_ns(text)
            except ValueError as error:
                raise UserError(f"{name}: {error}") from None
        if self.begin and unix_ns(self.begin) >= unix_ns(self.until):
            raise UserError(f"until: {self.until} is not after {self.begin}")


class Sink(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place that is told; which settings each kind takes is in docs/sinks.md.

    Attributes
    ----------
    name : text
        How routes name it.
    kind : alertmanager, pagerduty, webhook, slack or apprise
        What speaks there.
    url : secret
        Where: of an Alertmanager its own address, without `/api/v2`.
    secret : secret
        Routing key of PagerDuty; key with which bodies to a webhook are signed; token of a Slack bot.
    token : secret
        Sent as `Authorization: Bearer`, to a webhook or an Alertmanager.
    channel : text
        Id of the channel in which the Slack bot writes.
    body : native or alertmanager
        What a webhook is sent.
    rate : number
        Requests a minute at most.
    timeout : duration
        For one request, answer included.
    give_up : duration
        A notification that could not be delivered for this long is given up.
    heartbeat : duration or never
        How often it is told that the engine is alive.
    dry_run : true or false
        Everything is decided and recorded, and nothing is sent.
    """

    name: str
    kind: Kind
    url: Secret = ""
    secret: Secret = ""
    token: Secret = ""
    channel: str = ""
    body: Literal["native", "alertmanager"] = "native"
    rate: Annotated[int, msgspec.Meta(ge=1, le=60_000)] = 120
    timeout: Duration = 10 * SECOND
    give_up: Duration = 24 * HOUR
    heartbeat: Duration | None = None
    dry_run: bool = False

    def __repr__(self) -> str:
        return f"Sink(name={self.name!r}, kind={self.kind!r})"

    def __post_init__(self) -> None:
        """Refuse what the kind of sink cannot use, and what it lacks."""
        if found := list(_wrong(self)):
            raise UserError(f"sink {self.name!r}: {'; '.join(found)}")


class Watchdog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When the engine itself is in trouble.

    Attributes
    ----------
    sinks : list
        Who is told that it is blind, that a signal is missing, or that a source was let go; empty: all.
    blind_after : duration
        An environment whose clock stands for so long, or of which nothing is heard, is blind.
    """

    sinks: tuple[Named, ...] = ()
    blind_after: Duration = 5 * MINUTE


class NotifyConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Notifications.

    Attributes
    ----------
    settle : duration
        An incident is told of so long after it opened, in event time; a critical one at once.
    limit : number
        Notifications of an incident within an hour; what is beyond comes in one digest. Its end, and that it becomes
        critical, are always told.
    learning : duration
        Nothing is told of an environment for so long after its first telemetry, unless another tool's alert is part of it.
    link : text
        Address of an incident's page; `{incident_id}` stands for its id.
    routes : list
        Read from top to bottom; the first that matches counts, and those below where it says `go_on`. Without any, all sinks
        are told.
    silences : list
        What is kept quiet.
    sinks : list
        Places that are told.
    """

    settle: Duration = MINUTE
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 4
    learning: Duration = 3 * HOUR
    link: str = ""
    routes: tuple[Route, ...] = ()
    silences: tuple[Silence, ...] = ()
    sinks: tuple[Sink, ...] = ()
    watchdog: Watchdog = Watchdog()

    def __post_init__(self) -> None:
        """Refuse names that nothing has."""
        names = [sink.name for sink in self.sinks]
        found = [
            f"sinks: the name {name!r} is there twice" for name in sorted({n for n in names if names.count(n) > 1})
        ]
        used = {f"routes[{i}].sinks": route.sinks for i, route in enumerate(self.routes)}
        used["watchdog.sinks"] = self.watchdog.sinks
        for where, those in used.items():
            found += [f"{where}: there is no sink {name!r}" for name in those if name not in names]
        if self.link and not _URL.fullmatch(self.link):
            found.append(f"link: {self.link!r} is no http or https address")
        if self.watchdog.blind_after < 30 * SECOND:
            found.append("watchdog.blind_after: at least 30s; the clock lags by as much where a source is silent")
        if found:
            raise UserError("; ".join(found))


# Settings that a kind of sink needs, and those that it may have beside the common ones.
_NEEDS: dict[str, tuple[str, ...]] = {
    "alertmanager": ("url",), "pagerduty": ("secret",), "webhook": ("url",), "slack": (), "apprise": ("url",),
}  # fmt: skip
_TAKES: dict[str, tuple[str, ...]] = {
    "alertmanager": ("url", "token"), "pagerduty": ("url", "secret"), "webhook": ("url", "secret", "token", "body"),
    "slack": ("url", "secret", "channel"), "apprise": ("url",),
}  # fmt: skip


def _wrong(sink: Sink) -> list[str]:
    found = []
    if not _NAME.fullmatch(sink.name):
        found.append("name: letters, digits, '_' and '-', at most 64 of them")
    found += [f"a sink of kind {sink.kind} needs {name}" for name in _NEEDS[sink.kind] if not getattr(sink, name)]
    unset = {"url": "", "secret": "", "token": "", "channel": "", "body": "native"}
    takes = _TAKES[sink.kind]
    found += [
        f"{name} means nothing to a sink of kind {sink.kind}"
        for name, default in unset.items()
        if name not in takes and getattr(sink, name) != default
    ]
    if sink.kind == "slack" and bool(sink.url) == bool(sink.secret and sink.channel):
        found.append("a sink of kind slack needs url (an incoming webhook), or secret and channel (a bot)")
    if sink.url and sink.kind != "apprise" and not _URL.fullmatch(sink.url):
        found.append("url is no http or https address")
    if sink.timeout == 0 or sink.timeout > 5 * MINUTE:
        found.append("timeout: above 0s, at most 5min")
    if sink.give_up < MINUTE:
        found.append("give_up: at least 1min")
    if sink.heartbeat is not None and sink.heartbeat < 10 * SECOND:
        found.append("heartbeat: at least 10s")
    return found
