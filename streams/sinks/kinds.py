"""A sink of the configuration -> what it sends for a message, and what an answer means; one class a kind."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from aiops.errors import UserError
from aiops.notify.config import Sink
from aiops.notify.message import Message
from aiops.notify.payloads import alertmanager, native, pagerduty, slack
from aiops.notify.payloads.text import headline, plain
from aiops.signals import SECOND
from streams.sinks.post import Answer, post

PAGERDUTY = "https://events.pagerduty.com"
SLACK_API = "https://slack.com/api/chat.postMessage"
# What people mend, or time does: tried again until the notification is given up.  All else of 4xx is about the body.
PASSING = frozenset({401, 402, 403, 404, 405, 407, 408, 409, 410, 423, 425, 429})

Post = Callable[[str, bytes, Mapping[str, str], float], Answer]


class Sent(NamedTuple):
    """What came of an attempt.

    Attributes
    ----------
    done : bool
        The sink has it.
    hopeless : bool
        It never will: the body is refused.
    said : str
        What the sink answered, where it is not done.
    ref : str
        How the sink calls what it was told, where later messages need it.
    changes : tuple of str
        Ids of changes that were sent along.
    """

    done: bool
    hopeless: bool = False
    said: str = ""
    retry_after: float | None = None
    ref: str = ""
    changes: tuple[str, ...] = ()


class Speaker(Protocol):
    """How a kind of sink is spoken to."""

    def send(self, message: Message, ref: str, changes: Sequence[str]) -> Sent:
        """Send a message.

        Parameters
        ----------
        ref : str
            What the sink called the first message about the same; empty: there was none.
        changes : list of str
            Ids of changes that were sent along before.
        """


class Speaking:
    """What all kinds that speak HTTP share; ``now`` is the wall clock, Unix ns."""

    def __init__(self, sink: Sink, send: Post = post, now: Callable[[], int] = time.time_ns) -> None:
        self.sink, self.now = sink, now
        self._post = send

    def request(self, url: str, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
        """Post JSON."""
        return self.raw(url, msgspec.json.encode(body), headers)

    def raw(self, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """Post bytes of JSON."""
        given = {"Content-Type": "application/json", **(headers or {})}
        if self.sink.token:
            given["Authorization"] = f"Bearer {self.sink.token}"
        return self._post(url, body, given, self.sink.timeout / SECOND)


def judged(answer: Answer, secrets: Sequence[str] = ()) -> Sent:
    """What an answer means, by its status alone."""
    if 200 <= answer.status < 300:
        return Sent(True)
    said = answer.said
    for secret in secrets:  # what answers may repeat what was sent
        said = said.replace(secret, "***") if len(secret) > 3 else said
    hopeless = 400 <= answer.status < 500 and answer.status not in PASSING
    return Sent(False, hopeless, said, answer.retry_after)


class Alertmanager(Speaking):
    """Alerts by ``POST /api/v2/alerts``."""

    def send(self, message: Message, ref: str, changes: Sequence[str]) -> Sent:
        """As ``Speaker``."""
        del ref, changes
        return self.all([message])

    def all(self, messages: Sequence[Message]) -> Sent:
        """Several at once: what is sent again before it expires."""
        lasts = max(alertmanager.LASTS, 3 * (self.sink.heartbeat or 0))
        alerts = [alertmanager.posted(message, self.now(), lasts) for message in messages]
        return judged(self.request(f"{self.sink.url.rstrip('/')}/api/v2/alerts", alerts), [self.sink.token])


class PagerDuty(Speaking):
    """Events API v2: an alert for each incident, change events for changes that it names."""

    def send(self, message: Message, ref: str, changes: Sequence[str]) -> Sent:
        """As ``Speaker``."""
        del ref
        base, key = self.sink.url.rstrip("/") or PAGERDUTY, self.sink.secret
        if message.trigger == "heartbeat":
            return judged(self.request(f"{base}/v2/change/enqueue", pagerduty.heartbeat(message, key)), [key])
        sent = judged(self.request(f"{base}/v2/enqueue", pagerduty.event(message, key)), [key])
        if not sent.done or not message.firing or message.incident is None:
            return sent
        told = []
        for related in message.incident.changes:
            if related.change_id in changes:
                continue
            # A change event has no key by which a repeat would be known, so it is tried once.
            self.request(f"{base}/v2/change/enqueue", pagerduty.change(related, message, key))
            told.append(related.change_id)
        return sent._replace(changes=tuple(told))


class Webhook(Speaking):
    """A body of ours or one as Alertmanager sends it, signed as Standard Webhooks say where there is a key."""

    def send(self, message: Message, ref: str, changes: Sequence[str]) -> Sent:
        """As ``Speaker``."""
        del ref, changes
        native_body = self.sink.body == "native"
        body = msgspec.json.encode(
            native.body(message) if native_body else alertmanager.webhook(message, self.sink.name)
        )
        seconds = str(self.now() // SECOND)
        headers = {"webhook-id": message.notification_id, "webhook-timestamp": seconds}
        if self.sink.secret:
            headers["webhook-signature"] = signature(self.sink.secret, message.notification_id, seconds, body)
        return judged(self.raw(self.sink.url, body, headers), [self.sink.secret, self.sink.token])


def signature(secret: str, about: str, seconds: str, body: bytes) -> str:
    """HMAC-SHA256 over id, time and body, as Standard Webhooks write it; a secret that begins with ``whsec_`` is base64.

    >>> signature(
    ...     "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ...     "msg_p5jXN8AQM9LWM0D4loKWxJek",
    ...     "1614265330",
    ...     b'{"test": 2432232314}',
    ... )
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
    mac = hmac.new(key, f"{about}.{seconds}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(mac.digest()).decode()}"


class Slack(Speaking):
    """An incoming webhook, or a bot that keeps all about an incident in one thread."""

    def send(self, message: Message, ref: str, changes: Sequence[str]) -> Sent:
        """As ``Speaker``."""
        del changes
        body = slack.body(message)
        if self.sink.url:
            return judged(self.request(self.sink.url, body), [self.sink.url])
        event = {
            "event_type": "aiops_notification",
            "event_payload": {"id": message.notification_id, "key": message.key},
        }
        body |= {"channel": self.sink.channel, "metadata": event, "unfurl_links": False}
        if ref:
            body |= {"thread_ts": ref, "reply_broadcast": message.trigger in ("severity", "reopened")}
        answer = self.request(self.api, body, {"Authorization": f"Bearer {self.sink.secret}"})
        sent = judged(answer, [self.sink.secret])
        return _slack_said(answer, ref) if sent.done else sent

    api = SLACK_API


# What Slack refuses for good; anything else, as a missing right or a limit, may pass.
_SLACK_HOPELESS = frozenset({
    "invalid_blocks", "invalid_blocks_format", "msg_too_long", "no_text", "invalid_arguments", "msg_blocks_too_long",
})  # fmt: skip


def _slack_said(answer: Answer, ref: str) -> Sent:
    """The API answers 200 also where it refuses."""
    try:
        said = msgspec.json.decode(answer.body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Sent(False, said="no answer of Slack's API")
    if said.get("ok") is True:
        return Sent(True, ref=ref or str(said.get("ts", "")))
    error = str(said.get("error", "unknown"))[:100]
    return Sent(False, error in _SLACK_HOPELESS, f"Slack: {error}", answer.retry_after)


class Apprise:
    """Whatever Apprise knows: mail, Teams, and a hundred more.

    Raises
    ------
    UserError
        Apprise is not installed, or does not know such an address.
    """

    def __init__(self, sink: Sink) -> None:
        try:
            import apprise  # an extra, and a tenth of a second to import
        except ModuleNotFoundError:
            raise UserError(f"sink {sink.name!r}: Apprise is not installed: pip install 'aiops[apprise]'") from None
        self._types: Any = {
            "critical": apprise.NotifyType.FAILURE, "high": apprise.NotifyType.FAILURE, "medium": apprise.NotifyType.WARNING,
        }  # fmt: skip
        self._over, self._else = apprise.NotifyType.SUCCESS, apprise.NotifyType.INFO
        self._format = apprise.NotifyFormat.TEXT
        self._apprise = apprise.Apprise()
        if not self._apprise.add(sink.url):
            raise UserError(f"sink {sink.name!r}: url is no address that Apprise knows")

    def send(self, message: Message, ref: str, changes: Sequence[str]) -> Sent:
        """As ``Speaker``; all that Apprise says is whether it worked."""
        del ref, changes
        kind = self._types.get(message.severity, self._else) if message.firing else self._over
        done = self._apprise.notify(
            title=headline(message), body=plain(message), notify_type=kind, body_format=self._format
        )
        return Sent(bool(done), said="" if done else "Apprise could not deliver it")


_KINDS: dict[str, type[Any]] = {
    "alertmanager": Alertmanager, "pagerduty": PagerDuty, "webhook": Webhook, "slack": Slack, "apprise": Apprise,
}  # fmt: skip


def speaker(sink: Sink) -> Speaker:
    """What speaks to a sink.

    Raises
    ------
    UserError
    """
    made: Speaker = _KINDS[sink.kind](sink)
    return made
