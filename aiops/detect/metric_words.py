"""What the detectors of metrics found of one signal -> a candidate for an anomaly, with everything that a person asks.

Which gates hold it back is decided here too, by what the policy says of the signal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aiops.detect.anomalies import OPEN, STAY, Candidate
from aiops.detect.exhaustion import MINUTES, SCORE
from aiops.detect.explain import Deviation, label, number, rarity, statement
from aiops.detect.full_series import spoke
from aiops.detect.gates import ENTITY, held_back
from aiops.detect.values import RATE

if TYPE_CHECKING:
    import numpy as np

    from aiops.detect.entities import Entity
    from aiops.detect.exhaustion import Filling
    from aiops.detect.policy import Watched
    from aiops.records import Tier
    from aiops.signals import ServiceKey
    from aiops.wire.tables import SeriesInfo

BELOW = 0.01  # by which what may only keep an anomaly open stays below the score that opens one


class Signal(NamedTuple):
    """A facet of a series; ``head`` is its row of ``Levels``, ``entity`` whether an entity is judged in its place."""

    service: ServiceKey
    info: SeriesInfo
    facet: int
    watched: Watched
    head: np.void
    entity: bool


def of_level(signal: Signal, score: float, learned: float) -> Candidate:
    """A deviation from the level of the last hour; `score` is signed."""
    head = signal.head
    expected, spread = float(head["expected"]), float(head["spread"])
    found = Deviation(
        abs(score), float(head["value"]), expected, expected - spread, expected + spread, int(head["deviates"]),
        "far from its level of the last hour", learned,
    )  # fmt: skip
    return _candidate(signal, found, "levels", "level", score > 0, "light")


def of_bank(signal: Signal, score: float, newest: np.void, level_score: float, learned: float) -> Candidate:
    """What the bank found of a signal that is off its level; both scores are signed.

    A level that is still off keeps an anomaly open that the bank has begun to take for granted, but opens none.
    """
    strongest = max(abs(score), min(abs(level_score), OPEN - BELOW))
    term = spoke(int(newest["term"])) if abs(score) >= STAY else "far from its level of the last hour"
    found = Deviation(
        strongest, float(newest["value"]), float(newest["expected"]), float(newest["lower"]), float(newest["upper"]),
        int(signal.head["deviates"]), term, learned,
    )  # fmt: skip
    return _candidate(signal, found, "bank", term, (score or level_score) > 0, "full")


def of_siblings(signal: Signal, score: float, siblings: int, middle: float, spread: float, since: int) -> Candidate:
    """An instance that differs from those that do the same; `score` is signed."""
    value = float(signal.head["value"])
    unit = f" {signal.info.unit}" if signal.info.unit not in ("", "1") else ""
    said = (
        f"{label(signal.info, signal.facet)} of {signal.info.instance or 'one instance'} is {number(value)}{unit}, its"
        f" {siblings} siblings are at {number(middle)} (within {number(middle - 3 * spread)} .."
        f" {number(middle + 3 * spread)}): it differs from them as {rarity(abs(score))}"
    )
    found = Deviation(abs(score), value, middle, middle - 3 * spread, middle + 3 * spread, since, "siblings", 1.0)
    return _candidate(signal, found, "siblings", "differs from its siblings", score > 0, "light", said)


def of_entity(signal: Signal, score: float, learned: float, entity: Entity, head: np.void) -> Candidate:
    """A deviation of an entity from its own level; `signal` is one of its series, `head` the entity's row of ``Levels``."""
    expected, spread = float(head["expected"]), float(head["spread"])
    found = Deviation(
        abs(score), float(head["value"]), expected, expected - spread, expected + spread, int(head["deviates"]),
        "far from its level of the last hour", learned,
    )  # fmt: skip
    info = signal.info._replace(instance="", attributes=((entity.attribute, entity.name),))
    one = signal._replace(info=info, entity=False)
    out = _candidate(one, found, "entities", "level", score > 0, "light")
    out.attributes |= {"entity": entity.rule, entity.attribute: entity.name}
    return out


def of_exhaustion(signal: Signal, filling: Filling) -> Candidate:
    """A share of a limit that grows until nothing is left."""
    said = (
        f"{label(signal.info, signal.facet)} of {signal.info.instance or 'one instance'} has grown steadily for {MINUTES}"
        f" minutes, from {number(filling.first)} to {number(filling.last)} of its limit even where it was least: at that rate"
        f" it is full in {filling.left:.0f} min"
    )
    found = Deviation(SCORE, filling.last, filling.first, 0.0, 1.0, -1, "exhaustion", 1.0)
    return _candidate(signal, found, "exhaustion", "grows", True, "light", said)


def _candidate(
    signal: Signal, found: Deviation, detector: str, term: str, up: bool, tier: Tier, said: str | None = None
) -> Candidate:
    info, watched = signal.info, signal.watched
    # Counters count events; over how long tells how many there were.
    counted_for = float(signal.head["cadence"]) / 1e9 if signal.facet == RATE else 0.0
    score = found.score if up else -found.score
    gate = ENTITY if signal.entity else held_back(watched, score, found.observed, found.expected, counted_for)
    return Candidate(
        signal.service, "metric", label(info, signal.facet), detector, found.score,
        said or statement(info, signal.facet, found), "up" if up else "down", info.instance or None, None, found.observed,
        found.expected, found.lower, found.upper, found.since if found.since >= 0 else None, (),
        {"unit": info.unit} if info.unit else {}, bar=watched.bar, gate=gate, term=term,
        learned=found.learned, tier=tier,
    )  # fmt: skip
