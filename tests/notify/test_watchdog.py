"""Silence of the engine is noticed: blind, gaps, heartbeats."""

from __future__ import annotations

import pytest

from aiops.notify.config import NotifyConfig, Watchdog
from aiops.notify.watchdog import GONE
from aiops.notify.watchdog import Watchdog as Dog
from aiops.records import Notice, rfc3339
from aiops.status import Status
from tests.notify.stories import HOOK, MINUTE, Office, T

CONFIG = NotifyConfig(sinks=(HOOK,), watchdog=Watchdog(blind_after=5 * MINUTE))


def status(at, heard=None, **fields):
    return Status(
        tenant="default", environment="prod", clock=rfc3339(T + at), since=rfc3339(T),
        heard=rfc3339(T + (at if heard is None else heard)),
        services=4, learned=0.5, **fields,
    )  # fmt: skip


class Kennel:
    def __init__(self):
        self.office = Office(CONFIG)
        self.dog = Dog(CONFIG, self.office.policy.tracks)

    def look(self, wall):
        for track, decided in self.dog.look(T + wall):
            self.office.say(track, decided)
        new, self.office.records = self.office.records, []
        return [
            (
                r.trigger,
                r.title,
                next(j.message.firing for j in self.office.policy.tracks[_key(r, self.office)].jobs[::-1]),
            )
            for r in new
        ]


def _key(record, office):
    return next(
        k
        for k, t in office.policy.tracks.items()
        if any(j.record.notification_id == record.notification_id for j in t.jobs)
    )


def test_an_environment_whose_clock_stands_is_blind_and_sees_again_when_it_goes():
    kennel = Kennel()
    kennel.dog.status(status(0), T)
    assert kennel.look(5 * MINUTE) == []
    assert kennel.look(5 * MINUTE + 1) == [("blind", "the engine is blind", True)]
    assert kennel.look(9 * MINUTE) == [], "it is told once"
    kennel.dog.status(status(10 * MINUTE), T + 10 * MINUTE)
    assert kennel.look(10 * MINUTE) == [("blind", "the engine is blind", False)]


def test_an_environment_of_which_nothing_is_heard_is_blind_though_its_clock_goes():
    kennel = Kennel()
    kennel.dog.status(status(5 * MINUTE, heard=0), T + 5 * MINUTE)
    assert kennel.look(5 * MINUTE)[0][0] == "blind"
    assert (
        "no logs, no metrics, no traces"
        in kennel.office.policy.tracks["watch/blind/default/prod"].jobs[0].message.lines[0]
    )


def test_a_signal_that_is_missing_is_a_gap_and_over_when_it_is_back():
    kennel = Kennel()
    kennel.dog.status(status(0, silent=("logs", "traces")), T)
    assert kennel.look(1) == [("gap", "telemetry is missing", True)]
    kennel.dog.status(status(MINUTE), T + MINUTE)
    assert kennel.look(MINUTE) == [("gap", "telemetry is missing", False)]


def test_a_source_that_was_let_go_is_told_of_and_a_refused_command_is_not():
    kennel = Kennel()
    kennel.dog.notice(
        Notice(
            kind="straggler", tenant="default", environment="", source="otlp_logs/1", since=rfc3339(T), text="let go"
        )
    )
    kennel.dog.notice(
        Notice(kind="command", tenant="default", environment="prod", source="ann", since=rfc3339(T), text="refused")
    )
    assert kennel.look(1) == [("straggler", "the engine cannot keep up", True)]
    over = Notice(
        kind="straggler",
        tenant="default",
        environment="",
        source="otlp_logs/1",
        since=rfc3339(T),
        until=rfc3339(T),
        text="back",
    )
    kennel.dog.notice(over)
    assert kennel.look(2)[0][2] is False
    assert kennel.look(3) == []


def test_what_was_told_survives_a_restart():
    kennel = Kennel()
    kennel.dog.status(status(0), T)
    kennel.look(6 * MINUTE)
    kept = dict(kennel.office.changes())
    after = Kennel()
    for key, value in sorted(kept.items(), key=lambda item: item[0] != "clocks"):
        after.office.restore(key, value or b"")
    after.dog.status(status(0), T)
    assert after.look(7 * MINUTE) == []
    after.dog.status(status(8 * MINUTE), T + 8 * MINUTE)
    assert after.look(8 * MINUTE) == [("blind", "the engine is blind", False)]


def test_an_environment_that_is_no_more_is_not_blind_for_ever():
    kennel = Kennel()
    kennel.dog.status(status(0), T)
    kennel.look(6 * MINUTE)
    assert kennel.look(GONE + 1) == [("blind", "the engine is blind", False)]
    assert kennel.look(GONE + 2) == []


def test_a_heartbeat_says_how_much_is_known_and_ceases_when_nothing_is_seen():
    kennel = Kennel()
    assert kennel.dog.alive(T) is None, "nobody has said that anything is seen"
    kennel.dog.status(status(0, open_incidents=2), T)
    message = kennel.dog.alive(T + MINUTE)
    assert message is not None
    assert "50 % of 4 services known, 2 incidents open" in message.lines[0]
    assert kennel.dog.alive(T + 6 * MINUTE) is None


@pytest.mark.parametrize("trigger", ["blind", "gap", "overload", "straggler"])
def test_what_the_watchdog_says_has_a_severity(trigger):
    from aiops.notify.watchdog import SEVERITY

    assert SEVERITY[trigger] in ("high", "medium")
