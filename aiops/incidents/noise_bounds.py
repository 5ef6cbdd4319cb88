"""What the configuration says of noise: when an identity flaps, and how many anomalies are a storm."""

from __future__ import annotations

from typing import Annotated

import msgspec

from aiops.signals import SECOND

Span = Annotated[int, msgspec.Meta(ge=0, extra={"text": "duration"})]


class NoiseConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When more of the same is no news.

    Attributes
    ----------
    flapping_changes : number
        Changes between open and closed within `flapping_span` from which an identity flaps; at least 2.
    flapping_span : duration
        How long these changes may take in all.
    flapping_calm : duration
        Without a change for so long it flaps no more.
    storm_enter : number
        Anomalies that open within a minute, from which it is a storm.
    storm_leave : number
        The storm ends when fewer open within a minute for `storm_calm`; at most `storm_enter`.
    storm_calm : duration
        For how long there must be fewer.
    storm_first : number
        Of each storyline so many stay anomalies of their own in a storm.
    """

    flapping_changes: Annotated[int, msgspec.Meta(ge=2, le=100)] = (
        5  # BigPanda's public default: more than four in an hour
    )
    flapping_span: Span = 3600 * SECOND
    flapping_calm: Span = 900 * SECOND  # BigPanda looks again after as long
    storm_enter: Annotated[int, msgspec.Meta(ge=1)] = 200
    storm_leave: Annotated[int, msgspec.Meta(ge=0)] = 50
    storm_calm: Span = 120 * SECOND
    storm_first: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 3


def problems(config: NoiseConfig) -> list[str]:
    """What is wrong with a configuration that its types allow, a line each."""
    found = [
        f"noise.{name}: 0s is too short"
        for name in ("flapping_span", "flapping_calm", "storm_calm")
        if not getattr(config, name)
    ]
    if config.storm_leave > config.storm_enter:
        found.append("noise.storm_leave: greater than storm_enter, so that a storm would end as it begins")
    return found
