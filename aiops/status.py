"""The record of how far the engine sees: of each environment its clock, what it heard last, and how much of it is known."""

from __future__ import annotations

import msgspec

from aiops.codec import PublicRecord, Time, decode
from aiops.records import Probability


class Status(PublicRecord, frozen=True, kw_only=True):
    """An environment as of ``clock``, event time: up to there everything has been judged.

    ``since`` is when the first of its telemetry was judged, ``heard`` the end of the last window that held any.  ``learned``: how
    much of its ``services`` is known, a service counting as known when it has been seen for an hour.  ``silent`` are signals that
    stopped while others go on.  Written every 10 s of event time and compacted; consumers keep the newest of an environment.
    """

    tenant: str
    environment: str
    clock: Time
    since: Time
    heard: Time | None = None
    services: int = 0
    learned: Probability = 0.0
    silent: tuple[str, ...] = ()
    open_incidents: int = 0


def decode_status(data: bytes) -> Status:
    """Read a record of schema 1.x; fields that this release does not know are ignored.

    Raises
    ------
    RecordError
        Naming the field at fault.
    """
    return decode("status", _STATUS, data)


_STATUS = msgspec.json.Decoder(Status)
