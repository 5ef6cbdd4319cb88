"""When an incident is told of, and why not: the policy by itself, in event time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.notify.config import Match, NotifyConfig, Route, Silence, Sink
from aiops.notify.desk import Desk
from aiops.records import rfc3339
from tests.notify.stories import CONFIG, HOOK, HOUR, MINUTE, PLACE, Office, Story, T, cause, known, quiet


class TestOpening:
    def test_an_incident_is_told_of_when_it_has_stood_for_a_minute_of_event_time(self):
        office, story = Office(), Story()
        assert office.see(story.at(0)) == ["opened waits"]
        assert office.clock(59) == []
        assert office.clock(60) == ["opened told"]
        assert office.told()[0].time == rfc3339(T + MINUTE)

    def test_the_next_version_says_as_well_that_time_has_passed(self):
        office, story = Office(), Story()
        office.see(story.at(0))
        assert office.see(story.at(300, severity="low")) == ["opened told", "update silent"]
        assert office.said[1].time == rfc3339(T + MINUTE)
        assert office.said[1].severity == "medium", "it is told of as it was then"

    def test_a_version_at_the_very_time_comes_first(self):
        office, story = Office(), Story()
        office.see(story.at(0))
        assert office.see(story.at(60, severity="high")) == ["opened told"]
        assert office.told()[0].severity == "high"

    def test_a_critical_one_is_told_of_at_once(self):
        office, story = Office(), Story(severity="critical")
        assert office.see(story.at(0)) == ["opened told"]

    def test_one_that_becomes_critical_while_it_waits_is_told_of_at_once(self):
        office, story = Office(), Story()
        assert office.see(story.at(0), story.at(20, severity="critical")) == ["opened waits", "opened told"]

    def test_what_is_over_before_it_was_told_of_is_never_told_of(self):
        office, story = Office(), Story()
        assert office.see(story.at(0), story.at(40, state="resolved")) == ["opened waits", "resolved silent"]
        assert office.clock(3600) == []

    def test_an_incident_of_another_environment_does_not_move_the_clock(self):
        office = Office()
        office.see(Story().at(0))
        assert office.see(Story("i2", environment="staging").at(500)) == ["opened told"]
        assert office.clock(59) == []


class TestGoingOn:
    def opened(self, config=CONFIG, **fields):
        office, story = Office(config), Story(**fields)
        office.see(story.at(0))
        office.clock(60)
        return office, story

    def test_more_severe_is_told_and_less_severe_is_not(self):
        office, story = self.opened()
        assert office.see(story.at(70, severity="low")) == ["update silent"]
        assert office.see(story.at(80, severity="medium")) == ["update silent"], "it had been told as medium"
        assert office.see(story.at(90, severity="high")) == ["severity told"]
        assert "from medium to high" in office.said[-1].reason

    def test_another_first_cause_is_told_once_the_causes_are_settled(self):
        office, story = self.opened()
        assert office.see(story.at(120, causes=(cause("db"),))) == ["update silent"]
        assert office.see(story.at(300, settled=True)) == ["cause told"]
        assert office.see(story.at(310, settled=True)) == ["update silent"]

    def test_a_cause_that_was_not_known_before_is_told_and_one_that_is_unsure_is_not(self):
        office, story = self.opened(no_confident_cause=True)
        assert office.see(story.at(300, settled=True)) == ["update silent"]
        assert office.see(story.at(400, no_confident_cause=False)) == ["cause told"]
        assert office.see(story.at(500, no_confident_cause=True, causes=(cause("db"),))) == ["update silent"]

    def test_members_texts_acknowledgement_and_comments_are_silent(self):
        office, story = self.opened()
        versions: list[dict[str, Any]] = [
            {"counts": known()},
            {"title": "x"},
            {"state": "acknowledged", "acknowledged_by": "ann"},
            {"labels": {"a": "b"}},
        ]
        for k, fields in enumerate(versions):
            assert office.see(story.at(70 + k, **fields)) == ["update silent"]

    def test_the_end_is_told_to_those_who_know_of_it(self):
        office, story = self.opened()
        assert office.see(story.at(400, state="resolved")) == ["resolved told"]
        assert office.see(story.at(410)) == ["resolved silent"]

    def test_a_merged_incident_ends_where_it_was_told_of(self):
        office, story = self.opened()
        assert office.see(story.at(90, state="merged", merged_into="i9")) == ["merged told"]
        assert "i9" in office.said[-1].reason

    def test_what_comes_back_is_told_at_once(self):
        office, story = self.opened()
        office.see(story.at(400, state="resolved"))
        assert office.see(story.again(700)) == ["reopened told"]
        assert office.see(story.at(900, state="resolved")) == ["resolved told"]

    def test_a_person_who_reopens_it_is_told_of_too(self):
        office, story = self.opened()
        office.see(story.at(100, state="resolved"))
        assert office.see(story.at(200, state="open", resolved_at=None)) == ["reopened told"]


class TestRepeats:
    def test_a_version_that_was_seen_says_nothing(self):
        office, story = Office(), Story(severity="critical")
        one, two = story.at(0), story.at(10, severity="high")
        assert office.see(one, two) == ["opened told", "update silent"]
        assert office.see(one, two, one) == []

    def test_what_is_older_than_what_is_remembered_is_history(self):
        office = Office(begin=T)
        assert office.see(Story(begin=T - HOUR, severity="critical").at(0)) == ["opened stale"]
        assert office.see(Story("i2").at(0)) == ["opened waits"]

    def test_an_incident_that_was_forgotten_does_not_begin_again_when_the_topic_is_read_anew(self):
        office, story = Office(), Story(severity="critical")
        versions = [story.at(0), story.at(100, state="resolved")]
        office.see(*versions)
        for job in list(office.policy.tracks["i1"].jobs):
            office.policy.tracks["i1"].jobs.remove(job)
        office.clock(30 * 3600)
        assert "i1" not in office.policy.tracks
        assert office.see(*versions) == ["opened stale", "resolved stale"]

    def test_the_id_of_a_decision_stays_while_its_version_rises(self):
        office, story = Office(), Story()
        office.see(story.at(0))
        office.clock(60)
        waits, told = office.said
        assert (waits.notification_id, waits.version) == (told.notification_id, told.version - 1)


class TestQuiet:
    def test_an_incident_that_somebody_silenced_is_told_of_when_the_silence_is_over(self):
        office, story = Office(), Story(severity="critical")
        assert office.see(story.at(0, suppressed_by=(quiet(until=T + HOUR),))) == ["opened suppressed"]
        assert "silence by ann until" in office.said[-1].reason
        assert office.see(story.at(3600, suppressed_by=())) == ["opened told"]

    def test_the_end_is_told_though_it_is_silenced_for_those_who_hold_it_open(self):
        office, story = Office(), Story(severity="critical")
        office.see(story.at(0))
        assert office.see(story.at(10, suppressed_by=(quiet("maintenance"),), state="resolved")) == ["resolved told"]

    def test_a_silence_of_the_configuration_names_its_author_and_ends_by_itself(self):
        silence = Silence("bob", "move of the database", rfc3339(T + 10 * MINUTE), Match(service=("ca*",)))
        office, story = Office(NotifyConfig(sinks=(HOOK,), silences=(silence,))), Story()
        assert office.see(story.at(0)) == ["opened suppressed"]
        assert "bob" in office.said[0].reason
        assert "move of the database" in office.said[0].reason
        assert office.clock(599) == []
        assert office.clock(600) == ["opened told"]

    def test_a_silence_that_has_not_begun_or_is_of_others_silences_nothing(self):
        later = Silence("bob", "x", rfc3339(T + 2 * HOUR), begin=rfc3339(T + HOUR))
        other = Silence("bob", "x", rfc3339(T + HOUR), Match(environment=("staging",)))
        office = Office(NotifyConfig(sinks=(HOOK,), silences=(later, other)))
        assert office.see(Story(severity="critical").at(0)) == ["opened told"]

    def test_flapping_and_what_nobody_feels_are_quiet_as_the_engine_says(self):
        office = Office()
        assert office.see(Story(severity="info").at(0, suppressed_by=(quiet("no-symptom"),))) == ["opened suppressed"]


class TestLearning:
    def test_nothing_is_told_in_the_first_hours_of_an_environment(self):
        office, story = Office(), Story(severity="critical")
        office.policy.known_since(PLACE, T - HOUR)
        assert office.see(story.at(0)) == ["opened learning"]
        assert office.clock(2 * 3600 - 1) == []
        assert office.clock(2 * 3600) == ["opened told"], "what lasts is told of when enough is known"

    def test_unless_another_tools_alert_is_part_of_it(self):
        office, story = Office(), Story(severity="critical")
        office.policy.known_since(PLACE, T - HOUR)
        assert office.see(story.at(0), story.at(10, counts=known(1))) == ["opened learning", "opened told"]


class TestLimit:
    def shaken(self, config=CONFIG):
        """Told four times within ten minutes."""
        office, story = Office(config), Story(severity="low")
        office.see(story.at(0))
        office.clock(60)
        office.see(story.at(100, severity="medium"), story.at(200, severity="high"))
        office.see(story.at(300, settled=True, causes=(cause("db"),)))
        return office, story

    def test_beyond_four_in_an_hour_one_digest_says_what_was_held(self):
        office, story = self.shaken()
        assert len(office.told()) == 4
        assert (
            office.see(story.at(400, causes=(cause("pay"),)), story.at(500, causes=(cause("web"),)))
            == ["cause limited"] * 2
        )
        assert office.clock(3659) == []
        assert office.clock(3660) == ["digest told"]
        message = office.policy.tracks["i1"].jobs[-1].message
        assert "pay (code)" in message.lines[1]
        assert "web (code)" in message.lines[1]
        assert office.clock(9999) == []

    def test_that_it_becomes_critical_and_that_it_ends_is_told_whatever_the_limit(self):
        office, story = self.shaken()
        assert office.see(story.at(400, severity="critical")) == ["severity told"]
        assert office.see(story.at(500, state="resolved")) == ["resolved told"]

    def test_what_comes_back_beyond_the_limit_is_told_when_there_is_room(self):
        office, story = self.shaken()
        office.see(story.at(400, state="resolved"))
        assert office.see(story.again(500)) == ["reopened limited"]
        assert office.clock(3660) == ["reopened told"]


class TestRoutes:
    sinks = (Sink("page", "webhook", url="http://h/"), Sink("chat", "webhook", url="http://h/"))

    def names(self, record):
        return [d.sink for d in record.deliveries]

    def test_the_first_route_that_matches_counts_and_more_where_it_says_so(self):
        routes = (
            Route(("page",), Match(severity=("critical",)), go_on=True),
            Route(("chat",), Match(team=("shop",))),
            Route(("page",)),
        )
        office = Office(NotifyConfig(sinks=self.sinks, routes=routes))
        office.see(Story("a", severity="critical", team="shop").at(0), Story("b", severity="critical").at(1))
        assert [self.names(r) for r in office.told()] == [["page", "chat"], ["page"]]
        assert [r.reason.rpartition("; ")[2] for r in office.told()] == ["routes 1, 2", "routes 1, 3"]

    def test_without_a_route_nobody_is_told_until_one_matches(self):
        routes = (Route(("page",), Match(severity=("high", "critical"))),)
        office, story = Office(NotifyConfig(sinks=self.sinks, routes=routes)), Story(severity="low")
        office.see(story.at(0))
        assert office.clock(60) == ["opened unrouted"]
        assert office.see(story.at(90, severity="high")) == ["opened told"]

    def test_who_was_told_hears_the_end_though_the_route_is_another_by_then(self):
        routes = (Route(("page",), Match(severity=("critical",))), Route(("chat",)))
        office, story = Office(NotifyConfig(sinks=self.sinks, routes=routes)), Story()
        office.see(story.at(0))
        office.clock(60)
        office.see(story.at(90, severity="critical"))
        office.see(story.at(120, severity="low", state="resolved"))
        assert [self.names(r) for r in office.told()] == [["chat"], ["page", "chat"], ["page", "chat"]]


# ---- the whole, whatever comes ---------------------------------------------------------------------------------------------
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["i1", "i2", "i3"]),
        st.integers(1, 900),
        st.sampled_from(["same", "low", "high", "critical", "db", "resolved", "back", "silenced", "loud"]),
    ),
    max_size=40,
)


def versions_of(steps):
    stories: dict[str, Story] = {}
    at, out = 0, []
    for name, wait, what in steps:
        at += wait
        story = stories.setdefault(name, Story(name, severity="medium", settled=True))
        if story.now.version == 0:
            story.now = msgspec.structs.replace(story.now, opened_at=rfc3339(T + at * 10**9))
        told: dict[str, dict[str, Any]] = {
            "low": {"severity": "low"}, "high": {"severity": "high"}, "critical": {"severity": "critical"},
            "db": {"causes": (cause("db" if story.now.causes[0].service != "db" else "cart"),)},
            "silenced": {"suppressed_by": (quiet(),)},
            "loud": {"suppressed_by": ()}, "same": {},
        }  # fmt: skip
        if what == "resolved":
            out.append(story.at(at, state="resolved"))
        elif what == "back" and story.now.state == "resolved":
            out.append(story.again(at))
        else:
            out.append(story.at(at, **told.get(what, {})))
    return out


def decided(versions, restart=False, clocks=(), begin=0):
    """All decisions; restored after every version, or with clocks between."""
    office = Office(begin=begin)
    store: dict[str, bytes] = {}
    for k, version in enumerate(versions):
        office.see(version)
        if clocks:
            nxt = versions[k + 1].updated_at if k + 1 < len(versions) else None
            office.advance(PLACE, min(T + clocks[k % len(clocks)] * 10**9, _ns(nxt) - 1) if nxt else T)
            office.look()
        if restart:
            for key, value in office.changes():
                store.pop(key, None) if value is None else store.update({key: value})
            said, office = office.said, Office(begin=begin)
            office.said = said
            for key in sorted(store, key=lambda name: (name != "clocks", name)):
                office.restore(key, store[key])
    office.clock(10**6)
    return office


def _ns(text):
    from aiops.records import unix_ns

    return unix_ns(text)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_restarts_and_clocks_change_no_decision(steps):
    versions = versions_of(steps)
    plain = decided(versions).said
    assert decided(versions, restart=True).said == plain
    assert decided(versions, clocks=[0, 700, 3000, 10**6]).said == plain


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_what_is_told_begins_before_it_ends_and_stays_within_the_limit(steps):
    office = decided(versions_of(steps))
    by_incident: dict[str, list[Any]] = {}
    for record in office.told():
        by_incident.setdefault(record.incident_id or "", []).append(record)
    for told in by_incident.values():
        firing = False
        for record in told:
            assert firing == (record.trigger not in ("opened", "reopened"))
            firing = record.trigger not in ("resolved", "merged")
        counted = [_ns(r.time) for r in told if r.trigger not in ("resolved", "merged") and r.severity != "critical"]
        for k, at in enumerate(counted):
            assert sum(at - HOUR < other <= at for other in counted[: k + 1]) <= CONFIG.limit
        assert len({r.notification_id for r in told}) == len(told)


def test_memory_is_bounded_and_what_is_over_goes_first(monkeypatch):
    monkeypatch.setattr("aiops.notify.policy.MAX_TRACKS", 16)
    office = Office()
    for k in range(40):
        office.see(Story(f"over{k}").at(0, state="resolved"))
        office.see(Story(f"open{k}" if k < 8 else "open0").at(0))
    assert len(office.policy.tracks) <= 16
    assert {f"open{k}" for k in range(8)} <= set(office.policy.tracks)
    assert office.gauges()["sinks_evicted_total"] == office.policy.evicted > 0


def test_a_track_that_is_saved_is_the_track():
    office, story = Office(), Story(severity="critical")
    office.see(story.at(0))
    (due,) = office.unsaved()
    kept = dict(office.changes())
    other = Desk(CONFIG)
    for key in sorted(kept, key=lambda name: name != "clocks"):
        other.restore(key, kept[key] or b"")
    assert [d.message for d in other.waiting()] == [due.message]
    assert other.policy.clocks == office.policy.clocks
    other.delivery(other.waiting()[0], "delivered", 1, T, "", ref="r", changes=("c",))
    assert other.waiting() == []
    assert (other.policy.tracks["i1"].refs, other.policy.tracks["i1"].changes) == ({"hook": "r"}, ["c"])
    assert other.records[-1].deliveries[0].state == "delivered"
    assert other.records[-1].version > office.said[-1].version


@pytest.mark.parametrize("state", ["refused", "given_up", "dry_run"])
def test_a_delivery_that_ends_leaves_nothing_waiting(state):
    office = Office()
    office.see(Story(severity="critical").at(0))
    office.delivery(office.unsaved()[0], state, 3, T, "HTTP 400: no")
    assert office.waiting() == []
    assert office.records[-1].deliveries[0].error == ("" if state == "dry_run" else "HTTP 400: no")
