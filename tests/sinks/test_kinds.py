"""What is said to each kind of sink, and what its answers mean."""

from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec
import pytest

from aiops.errors import UserError
from aiops.notify.config import Sink
from aiops.notify.payloads import native
from streams.sinks.kinds import PASSING, Alertmanager, PagerDuty, Slack, Webhook, speaker
from streams.sinks.post import Answer
from tests.notify import strict
from tests.notify.stories import T
from tests.notify.test_payloads import CHANGE, ended, message_of


class Wire:
    """Stands for the network."""

    def __init__(self, *answers):
        self.answers, self.calls = list(answers), []

    def __call__(self, url, body, headers, _timeout):
        self.calls.append((url, msgspec.json.decode(body), dict(headers), body))
        return self.answers.pop(0) if self.answers else Answer(202)


def made(kind, sink, *answers):
    wire = Wire(*answers)
    return kind(sink, wire, lambda: T), wire


class TestPagerDuty:
    sink = Sink("p", "pagerduty", secret="r0uting")

    def test_an_event_and_then_changes_that_were_not_sent_before(self):
        pager, wire = made(PagerDuty, self.sink)
        message = message_of(changes=(CHANGE, msgspec.structs.replace(CHANGE, change_id="d2")))
        assert pager.send(message, "", ["d1"]).changes == ("d2",)
        urls = [url for url, *_ in wire.calls]
        assert urls == ["https://events.pagerduty.com/v2/enqueue", "https://events.pagerduty.com/v2/change/enqueue"]
        assert strict.pagerduty_event(wire.calls[0][1]) == []
        assert strict.pagerduty_change(wire.calls[1][1]) == []

    def test_a_heartbeat_is_a_change_event_that_wakes_nobody(self):
        pager, wire = made(PagerDuty, self.sink)
        message = msgspec.structs.replace(message_of(), trigger="heartbeat", incident=None)
        assert pager.send(message, "", ()).done
        assert [url.rpartition("/v2/")[2] for url, *_ in wire.calls] == ["change/enqueue"]
        assert strict.pagerduty_change(wire.calls[0][1]) == []

    def test_the_key_does_not_come_back_in_errors(self):
        pager, _ = made(PagerDuty, self.sink, Answer(400, body=b'{"errors":["r0uting is invalid"]}'))
        sent = pager.send(message_of(), "", ())
        assert (sent.done, sent.hopeless) == (False, True)
        assert "r0uting" not in sent.said


class TestWebhook:
    def test_the_body_is_signed_as_standard_webhooks_say(self):
        secret = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
        hook, wire = made(Webhook, Sink("w", "webhook", url="http://h/", secret=secret, token="t0ken"))
        message = message_of()
        assert hook.send(message, "", ()).done
        _, body, headers, raw = wire.calls[0]
        assert body["type"] == native.TYPE
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + raw
        mac = hmac.new(b"0123456789abcdef01234567", signed, hashlib.sha256).digest()
        assert headers["webhook-signature"] == f"v1,{base64.b64encode(mac).decode()}"
        assert headers["webhook-id"] == message.notification_id
        assert headers["Authorization"] == "Bearer t0ken"

    def test_the_id_is_the_same_at_every_attempt(self):
        hook, wire = made(Webhook, Sink("w", "webhook", url="http://h/"), Answer(500), Answer(200))
        message = message_of()
        assert [hook.send(message, "", ()).done for _ in range(2)] == [False, True]
        assert len({headers["webhook-id"] for _, _, headers, _ in wire.calls}) == 1

    def test_it_may_be_as_alertmanager_sends_it(self):
        hook, wire = made(Webhook, Sink("w", "webhook", url="http://h/", body="alertmanager"))
        hook.send(message_of(), "", ())
        assert (wire.calls[0][1]["version"], wire.calls[0][1]["receiver"]) == ("4", "w")


class TestSlack:
    def test_an_incoming_webhook_is_sent_blocks(self):
        slack, wire = made(Slack, Sink("s", "slack", url="https://hooks.example/T/B/x"))
        assert slack.send(message_of(), "", ()).done
        assert strict.slack(wire.calls[0][1]) == []

    def test_a_bot_keeps_an_incident_in_one_thread(self):
        answers = [Answer(200, body=b'{"ok":true,"ts":"17.1"}'), Answer(200, body=b'{"ok":true,"ts":"17.2"}')]
        slack, wire = made(Slack, Sink("s", "slack", secret="xoxb-1", channel="C1"), *answers)
        first, last = ended()
        ref = slack.send(first, "", ()).ref
        assert ref == "17.1"
        assert slack.send(last, ref, ()).ref == "17.1"
        assert [call[1].get("thread_ts") for call in wire.calls] == [None, "17.1"]
        assert wire.calls[0][1]["metadata"]["event_payload"]["id"] == first.notification_id
        assert wire.calls[0][2]["Authorization"] == "Bearer xoxb-1"

    @pytest.mark.parametrize(
        ("body", "done", "hopeless"),
        [
            (b'{"ok":false,"error":"ratelimited"}', False, False),
            (b'{"ok":false,"error":"invalid_blocks"}', False, True),
            (b'{"ok":false,"error":"not_in_channel"}', False, False),
            (b"<html>", False, False),
        ],
    )
    def test_an_answer_of_200_may_be_a_refusal(self, body, done, hopeless):
        slack, _ = made(Slack, Sink("s", "slack", secret="xoxb-1", channel="C1"), Answer(200, body=body))
        sent = slack.send(message_of(), "", ())
        assert (sent.done, sent.hopeless) == (done, hopeless)


def test_alertmanager_is_sent_several_at_once():
    am, wire = made(Alertmanager, Sink("a", "alertmanager", url="http://am:9093/"))
    assert am.all(list(ended())).done
    assert wire.calls[0][0] == "http://am:9093/api/v2/alerts"
    assert strict.alerts(wire.calls[0][1]) == []


@pytest.mark.parametrize("status", [400, 413, 422, 429, 401, 404, 500, 502, 0])
def test_what_people_or_time_mend_is_tried_again_and_a_wrong_body_is_not(status):
    hook, _ = made(Webhook, Sink("w", "webhook", url="http://h/"), Answer(status, "no answer"))
    sent = hook.send(message_of(), "", ())
    assert not sent.done
    assert sent.hopeless == (status in (400, 413, 422))
    assert not (PASSING & {400, 413, 422})


@pytest.mark.filterwarnings("ignore:.imghdr. is deprecated:DeprecationWarning")  # by a plugin of Apprise
def test_apprise_delivers_what_it_is_given():
    pytest.importorskip("apprise", reason="the extra apprise is not installed")
    from tests.sinks.faulty import Endpoint

    with Endpoint() as there:
        sent = speaker(Sink("x", "apprise", url=f"json://127.0.0.1:{there.port}/")).send(message_of(), "", ())
    assert sent.done
    assert "[CRITICAL opened] prod" in there.bodies()[0]["title"]
    assert "cart (code" in there.bodies()[0]["message"]
    with pytest.raises(UserError, match="no address that Apprise knows"):
        speaker(Sink("x", "apprise", url="nothing-of-the-kind"))
