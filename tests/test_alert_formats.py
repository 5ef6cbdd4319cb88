"""Alerts of other tools as they send them: real messages, vendors' documented ones, mappings, and hostile ones."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.alert_formats import LARGEST, MOST, UNTOLD, FieldMapping, decode_alerts, mapped_alerts
from aiops.records import Alert, RecordError, encode
from aiops.telling import decode_all, latest, number
from tests.telling import replayed

SENT = Path(__file__).parent / "alerts_in"
ARRIVAL = "2024-01-01T12:00:00.000Z"

# From Grafana's documentation of webhook notifications, unified alerting.
GRAFANA = {
    "receiver": "My Super Webhook", "status": "firing", "orgId": 1, "version": "1", "title": "[FIRING:1]", "state": "alerting",
    "groupKey": "{}:{}", "truncatedAlerts": 0, "groupLabels": {}, "commonLabels": {"team": "blue"}, "commonAnnotations": {},
    "externalURL": "https://play.grafana.org/", "message": "**Firing**",
    "alerts": [
        {
            "status": "firing", "labels": {"alertname": "High memory usage", "team": "blue", "zone": "us-1"},
            "annotations": {"description": "The system has high memory usage", "runbook_url": "https://myrunbook.com/runbook"},
            "startsAt": "2021-10-12T09:51:03.157076+02:00", "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "https://play.grafana.org/alerting/1afz29v7z/edit", "fingerprint": "c6eadffa33fcdf37",
            "values": {"B": 44.23943737541908, "C": 1},
        }
    ],
}  # fmt: skip
OLD_GRAFANA = {
    "dashboardId": 1, "evalMatches": [{"value": 1, "metric": "Count", "tags": {}}], "message": "Notification Message", "orgId": 1,
    "panelId": 2, "ruleId": 1, "ruleName": "Panel Title alert", "ruleUrl": "http://localhost:3000/d/x", "state": "alerting",
    "tags": {"service": "cart", "severity": "page"}, "title": "[Alerting] Panel Title alert",
}  # fmt: skip


def test_a_real_webhook_of_alertmanager_is_read_and_its_end_is_of_the_same_alert():
    (firing,) = decode_alerts((SENT / "alertmanager-01.json").read_bytes())
    (over,) = decode_alerts((SENT / "alertmanager-02.json").read_bytes())
    assert (firing.name, firing.service, firing.severity, firing.summary) == (
        "HighErrorRate",
        "checkout",
        "critical",
        "5xx on /pay",
    )
    assert (firing.status, firing.ends_at, over.status) == ("firing", None, "resolved")
    assert firing.alert_id == over.alert_id == "009f26c9cb292178"
    assert firing.labels["route"] == "/pay"
    assert firing.url is not None
    (pushed,) = decode_alerts((SENT / "alertmanager-05.json").read_bytes())
    assert (pushed.severity, pushed.url) == ("medium", None)


def test_posts_to_alertmanagers_api_are_read():
    body = [
        {"labels": {"alertname": "Slow", "service": "cart", "env": "prod"}, "startsAt": "2024-01-01T00:00:00Z"},
        {
            "labels": {"alertname": "Down"},
            "annotations": {"description": "no answer"},
            "endsAt": "2024-01-01T00:05:00Z",
        },
    ]
    slow, down = decode_alerts(json.dumps(body).encode(), "staging")
    assert (slow.environment, down.environment) == ("prod", "staging")
    assert (down.starts_at, down.ends_at, down.summary) == (
        "2200-01-01T00:00:00.000Z",
        "2024-01-01T00:05:00.000Z",
        "no answer",
    )
    assert down.starts_at.startswith(UNTOLD[:10])


def test_grafanas_webhooks_are_read():
    (alert,) = decode_alerts(json.dumps(GRAFANA).encode())
    assert (alert.source, alert.name, alert.alert_id) == ("grafana", "High memory usage", "c6eadffa33fcdf37")
    assert alert.starts_at == "2021-10-12T07:51:03.157076000Z"
    assert alert.summary == "The system has high memory usage"
    (old,) = decode_alerts(json.dumps(OLD_GRAFANA).encode())
    assert (old.name, old.status, old.service, old.severity) == ("Panel Title alert", "firing", "cart", "critical")
    (over,) = decode_alerts(json.dumps({**OLD_GRAFANA, "state": "ok"}).encode())
    assert (over.status, over.alert_id) == ("resolved", old.alert_id)


def test_the_engines_own_record_stays_as_it_is():
    alert = Alert(name="Slow", status="firing", starts_at=ARRIVAL, source="am", labels={"a": "b"})
    assert decode_alerts(encode(alert)) == [alert]


class TestMapping:
    checks = FieldMapping(
        "checks",
        {
            "name": "check.name", "status": "check.state", "service": "host.app", "starts_at": "since", "severity": "prio",
            "summary": "text", "environment": "=prod", "alert_id": "id",
        },
        items="events", labels="tags",
    )  # fmt: skip

    def read(self, **event):
        base = {
            "check": {"name": "disk", "state": "DOWN"},
            "host": {"app": "cart"},
            "id": 7,
            "prio": "p2",
            "tags": {"x": 1},
        }
        return mapped_alerts(json.dumps({"events": [{**base, **event}]}).encode(), self.checks, ARRIVAL)

    def test_places_in_the_json_become_an_alert(self):
        (alert,) = self.read()
        assert (alert.name, alert.status, alert.service, alert.environment) == ("disk", "firing", "cart", "prod")
        assert (alert.alert_id, alert.severity, alert.labels, alert.source) == ("7", "high", {"x": "1"}, "checks")
        assert alert.starts_at == ARRIVAL
        (over,) = self.read(check={"name": "disk", "state": "ok"})
        assert over.status == "resolved"

    @pytest.mark.parametrize("event", [{"since": "yesterday"}, {"check": "disk"}, {"tags": [1]}])
    def test_what_does_not_fit_is_refused_by_name(self, event):
        with pytest.raises(RecordError, match=r"alert: .*number 0"):
            self.read(**event)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{}", b"null", b"7", b'"x"', b"[1]", b"\xff\xfe", b'{"alerts":[]', b'{"alerts":[],"groupKey":"g"}',
        b'{"alerts":[{"status":"firing","labels":{}}],"groupKey":"g"}',
        b'{"alerts":[{"status":"burning","labels":{"alertname":"x"}}],"groupKey":"g"}',
        b'{"alerts":[{"status":"firing","labels":[],"startsAt":"x"}],"groupKey":"g"}',
        b'{"alerts":[{"status":"firing","labels":{"alertname":"x"},"startsAt":7}],"groupKey":"g"}',
        b'[{"labels":{"alertname":"x"},"startsAt":"0000-00-00"}]', b"[" * 100_000, b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b'{"ruleName":"x","state":"odd"}', b'[{"labels":{"alertname":"x"},"endsAt":"9999-01-01T00:00:00Z"}]',
    ],
)  # fmt: skip
def test_what_is_no_alert_is_refused_with_a_reason(body):
    with pytest.raises(RecordError, match="alert"):
        decode_alerts(body)


def test_sizes_are_bounded():
    one = {"labels": {"alertname": "x" * 10_000, **{f"l{k}": "v" * 10_000 for k in range(100)}}}
    (alert,) = decode_alerts(json.dumps([one]).encode())
    assert len(encode(alert)) < 64 * 600 + 10_000
    with pytest.raises(RecordError, match="1001 alerts"):
        decode_alerts(json.dumps([{"labels": {"alertname": "x"}}] * (MOST + 1)).encode())
    with pytest.raises(RecordError, match="bytes"):
        decode_alerts(b" " * (LARGEST + 1))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from("alerts groupKey labels alertname status startsAt endsAt ruleName state name".split()),
        inner, max_size=6,
    ),
    max_leaves=30,
)  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(JSON)
def test_whatever_comes_is_read_or_refused(value):
    try:
        alerts = decode_alerts(json.dumps(value).encode())
    except RecordError:
        return
    assert alerts
    assert [msgspec.json.decode(encode(a), type=Alert) for a in alerts] == alerts


def test_alerts_of_one_message_have_numbers_of_their_own():
    body = json.dumps(
        [{"labels": {"alertname": f"a{k}"}, "startsAt": f"2024-01-01T00:0{k}:00Z"} for k in range(3)]
    ).encode()
    several = decode_all("alerts", body)
    assert [a.name for a in several if isinstance(a, Alert)] == ["a0", "a1", "a2"]
    assert number(5, 2) < number(6, 0) < number(6, 1)
    assert latest(several)[1] == 1_704_067_320_000_000_000


def test_a_recording_may_hold_webhooks_as_they_came(tmp_path):
    from aiops.recording import Recording
    from aiops.records import decode_incident, rfc3339
    from aiops.simulate import Simulation, write

    simulation = Simulation(3, 0.2, None, rate=1.0, wrong_clock=False)
    write(simulation, tmp_path)
    arrivals = [message.arrival for _, message in Recording(tmp_path).messages()]
    begin = rfc3339((arrivals[0] + arrivals[-1]) // 2)
    labels = {"severity": "page", "environment": simulation.environment, "service": min(simulation.mesh.by_name)}
    alerts = [
        {
            "status": "firing",
            "labels": {"alertname": name, **labels},
            "annotations": {},
            "startsAt": begin,
            "fingerprint": name,
        }
        for name in ("a1", "a2")
    ]
    line = json.dumps({"version": "4", "groupKey": "g", "alerts": alerts}).encode()
    (tmp_path / "alerts.jsonl").write_bytes(line + b"\n")
    (incident,) = map(decode_incident, replayed(tmp_path).splitlines())
    assert (incident.severity, incident.counts.alerts) == ("critical", 2)
