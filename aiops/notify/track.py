"""What was told of one incident, and what is still to be delivered: the state of the policy, as it is saved."""

from __future__ import annotations

import msgspec

from aiops.notify.message import Message
from aiops.notify.notification import Notification
from aiops.records import Incident

HELD = 10  # texts of what was kept short
RECENT = 20  # ids of decisions whose deliveries are remembered


class Job(msgspec.Struct):
    """A message on its way.

    Attributes
    ----------
    waiting : list of str
        Sinks that have not taken or refused it yet.
    record : Notification
        The decision, with what became of its deliveries so far.
    """

    message: Message
    waiting: list[str]
    record: Notification


class Track(msgspec.Struct):
    """One incident, or one trouble of the engine; times in Unix ns of event time, -1 = none.

    Attributes
    ----------
    version : int
        Of the incident, the greatest that was seen.
    seen : int
        When that was.
    sequence : int
        Records of decisions written: the version of the next is one more.
    due : int
        When to look at it again though no version comes.
    told : list of str
        Sinks that hold it open; empty where nobody does.
    episode : int
        That was told last, 0 = none.
    severity : str
        The greatest that was told of the episode.
    cause : list of str
        Service and kind of the first cause that was told, empty = none was confident.
    times : list of int
        Of what was told within an hour.
    held : list of str
        What was kept short since.
    labels : dict
        As they were when it was told first.
    jobs : list of Job
        In the order in which they were decided.
    shown : Message or None
        The last one that was told while it fires: what is sent again to sinks that forget.
    refs : dict, sink -> how the sink calls it
    changes : list of str
        Ids of changes that were sent as such.
    """

    key: str
    tenant: str
    environment: str
    incident: Incident | None = None
    version: int = 0
    seen: int = -1
    sequence: int = 0
    due: int = -1
    told: list[str] = []
    episode: int = 0
    severity: str = ""
    cause: list[str] = []
    times: list[int] = []
    held: list[str] = []
    labels: dict[str, str] = {}
    jobs: list[Job] = []
    shown: Message | None = None
    refs: dict[str, str] = {}
    changes: list[str] = []

    @property
    def over(self) -> bool:
        """Is there nothing left to tell?"""
        return (
            not self.told and self.due < 0 and (self.incident is None or self.incident.state in ("resolved", "merged"))
        )


def packed(track: Track) -> bytes:
    """For the store."""
    return _ENCODER.encode(track)


def unpacked(value: bytes) -> Track:
    """Of the store.

    Raises
    ------
    msgspec.DecodeError
    """
    return _DECODER.decode(value)


_ENCODER = msgspec.json.Encoder(order="deterministic")
_DECODER = msgspec.json.Decoder(Track)
