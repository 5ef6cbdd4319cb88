"""Readers of further public topics, as ``streams.client`` has them of incidents and anomalies."""

from __future__ import annotations

from aiops.notify.notification import Notification, decode_notification
from aiops.status import Status, decode_status
from streams.client import Reader


class Notifications(Reader[Notification]):
    """Decisions: who was told what of an incident, and why not; parameters as of ``Reader``."""

    default_topic = "aiops.notifications"
    decode = staticmethod(decode_notification)


class Statuses(Reader[Status]):
    """How far the engine sees; parameters as of ``Reader``."""

    default_topic = "aiops.status"
    decode = staticmethod(decode_status)
