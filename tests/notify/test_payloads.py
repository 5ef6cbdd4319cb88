"""Bodies for tools: within their documented limits whatever an incident says, and stable where they must be."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.alert_formats import decode_alerts
from aiops.notify.config import NotifyConfig
from aiops.notify.message import brief
from aiops.notify.payloads import alertmanager, native, pagerduty, slack
from aiops.notify.payloads.text import headline
from aiops.records import (
    Evidence,
    FirstSymptom,
    Impact,
    Member,
    RelatedChange,
    SimilarIncident,
    encode,
    rfc3339,
    unix_ns,
)
from tests.notify import strict
from tests.notify.stories import HOOK, MINUTE, Office, Story, T, cause

CHANGE = RelatedChange(change_id="d1", summary="deploy v2", reason="5 min before", score=1.0)
LINKED = NotifyConfig(sinks=(HOOK,), link="https://aiops.example/i/{incident_id}")


def message_of(**fields):
    office, story = Office(LINKED), Story(severity="critical", **fields)
    office.see(story.at(0))
    return office.policy.tracks["i1"].jobs[0].message


def ended(**fields):
    office, story = Office(LINKED), Story(severity="critical", **fields)
    office.see(
        story.at(0),
        story.at(100, severity="low", causes=(cause("db"),), services=("db",)),
        story.at(500, state="resolved"),
    )
    first, last = office.policy.tracks["i1"].jobs
    return first.message, last.message


FULL = {
    "changes": (CHANGE,),
    "first_symptom": FirstSymptom(service="web", signal="errors", at=rfc3339(T)),
    "impact": Impact(services=("web",), blast_radius=1, requests_affected_ratio=0.25, felt=("web",)),
    "similar_incidents": (
        SimilarIncident(incident_id="old", score=0.9, title="cart was slow", resolution="restarted"),
    ),
    "team": "shop",
}


def test_a_person_reads_cause_impact_changes_and_what_helped_last_time():
    message = message_of(**FULL)
    text = "\n".join(message.lines)
    for said in (
        "web, errors",
        "1. cart (code, confidence 0.80)",
        "25.0 % of requests",
        "deploy v2",
        "restarted",
        "is critical",
    ):
        assert said in text
    assert headline(message) == "[CRITICAL opened] prod: i1: cart is slow"


class TestAlertmanager:
    def test_labels_do_not_change_through_the_life_of_an_incident(self):
        first, last = ended(**FULL)
        posted, resolved = alertmanager.posted(first, T + MINUTE), alertmanager.posted(last, T + 600 * 10**9)
        assert posted["labels"] == resolved["labels"]
        assert posted["labels"] == {
            "alertname": "AIOpsIncident", "incident_id": "i1", "tenant": "default", "environment": "prod", "service": "cart",
            "severity": "critical", "team": "shop",
        }  # fmt: skip
        assert resolved["annotations"]["severity"] == "low", "what it is now is an annotation"
        assert strict.alerts([posted, resolved]) == []
        assert unix_ns(posted["endsAt"]) == T + MINUTE + alertmanager.LASTS
        assert unix_ns(resolved["endsAt"]) == T + 500 * 10**9

    def test_an_end_is_not_before_the_beginning_even_if_clocks_differ(self):
        _, last = ended()
        assert strict.alerts([alertmanager.posted(last, T - 3600 * 10**9)]) == []

    def test_names_that_no_version_takes_are_mended_and_empty_values_left_out(self):
        message = msgspec.structs.replace(
            message_of(), labels={"alertname": "A", "k8s.pod/name": "p", "0x": "1", "team": "", "ü": "v"}
        )
        assert strict.alerts([alertmanager.posted(message, T)]) == []

    def test_the_webhook_of_version_4_is_read_by_our_own_input(self):
        first, last = ended(**FULL)
        (firing,) = decode_alerts(msgspec.json.encode(alertmanager.webhook(first, "hook")))
        (over,) = decode_alerts(msgspec.json.encode(alertmanager.webhook(last, "hook")))
        assert (firing.status, over.status, firing.alert_id) == ("firing", "resolved", over.alert_id)
        assert (firing.severity, firing.service, firing.ends_at) == ("critical", "cart", None)


class TestPagerDuty:
    def test_what_fires_triggers_and_what_is_over_resolves_under_one_key(self):
        first, last = ended(**FULL)
        events = [pagerduty.event(m, "key") for m in (first, last)]
        assert [strict.pagerduty_event(e) for e in events] == [[], []]
        assert [(e["event_action"], e["dedup_key"]) for e in events] == [("trigger", "i1"), ("resolve", "i1")]
        assert events[0]["payload"]["severity"] == "critical"
        assert events[0]["links"][0]["href"] == "https://aiops.example/i/i1"
        assert strict.pagerduty_change(pagerduty.change(CHANGE, first, "key")) == []

    def test_what_is_too_large_loses_its_details_and_not_the_event(self):
        huge = tuple(
            msgspec.structs.replace(
                cause(f"s{k}"),
                evidence=tuple(Evidence(type="log", statement="x" * 90_000, weight=1.0) for _ in range(3)),
            )
            for k in range(3)
        )
        event = pagerduty.event(message_of(causes=huge), "key")
        assert strict.pagerduty_event(event) == []
        assert "left out" in event["payload"]["custom_details"]["note"]


class TestSlack:
    def test_blocks_are_within_the_limits(self):
        assert strict.slack(slack.body(message_of(**FULL))) == []

    def test_telemetry_cannot_mention_anybody_or_link_anywhere(self):
        body = slack.body(message_of(title="<!channel> <https://evil.example|click> *bold*"))
        assert strict.slack(body) == []
        assert "<!channel>" not in body["text"]


def test_the_native_body_holds_the_incident_as_the_engine_writes_it():
    first, _ = ended(**FULL)
    body = native.body(first)
    assert (body["id"], body["key"], body["firing"]) == (first.notification_id, "i1", True)
    assert body["incident"]["causes"][0]["service"] == "cart"
    msgspec.json.encode(body)


def test_a_message_keeps_some_kilobytes_of_an_incident_of_megabytes():
    members = tuple(
        Member(anomaly_id=f"a{k}", service="cart", signal="s" * 500, state="open", onset=rfc3339(T), score=1.0)
        for k in range(2_000)
    )
    incident = Story(members=members, causes=tuple(cause(f"c{k}") for k in range(10))).at(0)
    assert len(encode(incident)) > 1_000_000
    assert len(encode(brief(incident))) < 10_000
    assert [c.service for c in brief(incident).causes] == ["c0", "c1", "c2"]


TEXT = st.text(max_size=400) | st.text("<>&*_`@!|#:/\x00\n ü€", max_size=5_000)


@settings(max_examples=80, deadline=None)
@given(TEXT, TEXT, st.lists(TEXT, max_size=60), st.dictionaries(TEXT, TEXT, max_size=8))
def test_whatever_telemetry_says_tools_accept_it(title, name, lines, labels):
    message = message_of(title=title, services=(name,), causes=(cause(name),))
    message = msgspec.structs.replace(message, lines=lines, labels={"alertname": "AIOpsIncident", **labels})
    if message.labels["alertname"] == "":
        message.labels["alertname"] = "A"
    message = msgspec.json.decode(msgspec.json.encode(message), type=type(message))
    assert strict.pagerduty_event(pagerduty.event(message, "key")) == []
    assert [x for x in strict.slack(slack.body(message)) if x != "section"] == []
    assert strict.alerts([alertmanager.posted(message, T)]) == []


@pytest.mark.parametrize("kind", ["firing", "over"])
def test_every_trigger_has_words(kind):
    first, last = ended()
    assert headline(first if kind == "firing" else last).startswith("[")
