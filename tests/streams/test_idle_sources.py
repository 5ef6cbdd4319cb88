"""Sources that say nothing: when their clock is moved for them."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import TopicPartition

from aiops.signals import SECOND, WINDOW
from streams.layout import Layout
from streams.records import CLOCK
from streams.roles import IngestRole
from streams.settings import RawTopic
from tests.churning import T

NOW = T + 7 * SECOND  # T is a multiple of a window


class Wall:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


def clocks(role: IngestRole, kept, at_end: bool = True) -> list[int]:
    """Clocks told by a beat, each once though several partitions are told."""
    assert NOW % WINDOW
    out = list(role.beat(kept, lambda: at_end))
    assert {dict(record.headers)["kind"] for record in out} <= {CLOCK.encode()}
    return sorted({int(record.value or b"") for record in out})


def opened(signal: Any, idle_after: float | None):
    wall = Wall()
    role = IngestRole([RawTopic("raw", signal)], Layout(), "g", idle_after, 10.0, wall)
    return wall, role, role.open(TopicPartition("raw", 0), TopicPartition("raw", 0, 0))[0]


@pytest.mark.parametrize("signal", ["changes", "alerts", "commands"])
def test_what_the_engine_is_told_holds_nothing_back_once_it_has_been_read(signal):
    wall, role, kept = opened(signal, 30.0)
    assert clocks(role, kept, at_end=False) == []
    assert clocks(role, kept) == [NOW // WINDOW * WINDOW]
    assert clocks(role, kept) == []
    wall.now += WINDOW
    assert clocks(role, kept) == [wall.now // WINDOW * WINDOW]


@pytest.mark.parametrize("signal", ["metrics", "logs", "traces"])
def test_telemetry_is_waited_for(signal):
    _, role, kept = opened(signal, 30.0)
    assert clocks(role, kept) == []
    kept.heard -= 31.0
    assert clocks(role, kept) == [(NOW - 30 * SECOND) // WINDOW * WINDOW]


@pytest.mark.parametrize("signal", ["metrics", "commands"])
def test_a_replay_ends_by_a_record_alone(signal):
    _, role, kept = opened(signal, None)
    kept.heard -= 1000.0
    assert clocks(role, kept) == []
