"""The record of the topology: a service or an edge, how it is, and how it was; the value of a message on a public topic."""

from __future__ import annotations

from typing import Literal

import msgspec

from aiops.codec import PublicRecord, Time, decode, utc
from aiops.records import Probability, Version

TopologyKind = Literal["service", "edge"]
TopologyEntity = Literal["service", "node", "zone"]
TopologyRelation = Literal["calls", "runs_on"]
TopologyState = Literal["present", "gone"]
TopologyReason = Literal["new", "rate", "errors", "seen", "gone", "back"]


class TopologySpan(msgspec.Struct, frozen=True, kw_only=True):
    """How a service or an edge was from ``since`` on, until the next such entry; null: not known."""

    since: Time
    state: TopologyState
    calls_per_minute: float | None = None
    error_ratio: Probability | None = None


class Topology(PublicRecord, frozen=True, kw_only=True):
    """A service, or an edge: the calls from one service to another.

    ``entity`` says what ``service`` names where it is none: a machine (``node``) or a ``zone``.  An edge whose ``relation`` is
    ``runs_on`` leads from a service (``caller``) to a machine that instances of it run on (``callee``), or from a machine to its
    zone; neither has rates.

    ``calls_per_minute`` are the requests that a service answers, or the calls of an edge; ``error_ratio`` is the share of them
    that fail; null: not known.  They hold from ``since`` on; ``earlier`` is how it was before that, oldest first, bounded:
    ``earlier_truncated`` says that older entries were left out.  ``last_seen`` is as of ``updated_at``.  ``reason`` is why this
    version was written: ``new``, the ``rate`` or the share of ``errors`` changed, still ``seen``, ``gone`` because it was not
    seen for a day, or ``back``.  Consumers upsert by ``topology_id`` and keep the greatest ``version``, which rises in steps.
    """

    topology_id: str
    version: Version
    tenant: str
    environment: str
    kind: TopologyKind
    service: str | None = None
    caller: str | None = None
    callee: str | None = None
    state: TopologyState
    calls_per_minute: float | None = None
    error_ratio: Probability | None = None
    since: Time
    first_seen: Time
    last_seen: Time
    updated_at: Time
    reason: TopologyReason
    earlier: tuple[TopologySpan, ...] = ()
    earlier_truncated: bool = False
    entity: TopologyEntity = "service"
    relation: TopologyRelation = "calls"


def decode_topology(data: bytes) -> Topology:
    """Read a record of schema 1.x; fields that this release does not know are ignored.

    Raises
    ------
    RecordError
        Naming the field at fault.
    """
    record = decode("topology", _TOPOLOGY, data)
    for field in ("since", "first_seen", "last_seen", "updated_at"):
        utc("topology", field, getattr(record, field))
    for span in record.earlier:
        utc("topology", "earlier.since", span.since)
    return record


_TOPOLOGY = msgspec.json.Decoder(Topology)
