"""The public record of noise figures: how much telemetry became how few incidents, by service, detector and reason."""

from __future__ import annotations

import msgspec

from aiops.codec import PublicRecord, Time, decode


class NoiseOf(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one service or one detector; ``incidents``: of which it is the first cause, or has members."""

    name: str
    records: int
    anomalies: int
    suppressed: int
    incidents: int


class HeldBack(msgspec.Struct, frozen=True, kw_only=True):
    """What is told more quietly or later, by which rule, and why; ``until`` is null where only calm ends it."""

    service: str
    by: str
    reason: str
    since: Time
    until: Time | None = None


class Storyline(msgspec.Struct, frozen=True, kw_only=True):
    """Anomalies of one service and kind that a storm put together: ``anomalies`` are counted here and shown nowhere else.

    ``urgent`` of them say that they are critical or high.  ``incident_id``: the incident that counts them.
    """

    service: str
    kind: str
    signal: str
    anomalies: int
    urgent: int
    since: Time
    last: Time
    incident_id: str | None = None
    statement: str


class NoiseReport(PublicRecord, frozen=True, kw_only=True):
    """How much became how little in an environment from ``since`` to ``until``: telemetry, anomalies, incidents.

    ``items`` of telemetry (points, records, spans) gave ``records`` of ``anomalies`` that opened, and those ``incidents``, or
    further episodes of some.  ``suppressed`` counts by reason what was not shown by itself, not opened, or not told aloud.
    Lists hold the 50 greatest; ``not_listed`` are the others.
    """

    tenant: str
    environment: str
    since: Time
    until: Time
    items: int
    records: int
    anomalies: int
    incidents: int
    suppressed: dict[str, int] = msgspec.field(default_factory=dict)
    storm: bool = False
    services: tuple[NoiseOf, ...] = ()
    detectors: tuple[NoiseOf, ...] = ()
    held_back: tuple[HeldBack, ...] = ()
    storylines: tuple[Storyline, ...] = ()
    not_listed: int = 0


def decode_noise_report(data: bytes) -> NoiseReport:
    """Read noise figures of schema 1.x; fields that this release does not know are ignored."""
    return decode("noise report", _NOISE_REPORT, data)


_NOISE_REPORT = msgspec.json.Decoder(NoiseReport)
