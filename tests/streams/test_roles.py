"""When a source of ingest counts as silent, and what its clock is then."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("confluent_kafka", reason="needs the extra 'kafka'")

from confluent_kafka import TIMESTAMP_CREATE_TIME, TopicPartition

from aiops.signals import SECOND
from streams import roles
from streams.layout import Layout
from streams.records import CLOCK, CONTROL, END, Out
from streams.roles import IngestRole
from streams.settings import RawTopic
from tests.streams.test_ingest_task import change, logs

NOW = 1_700_000_000 * SECOND


class Message:
    """As a consumer hands it over."""

    def __init__(self, offset: int, value: bytes, at: int) -> None:
        self._offset, self._value, self._ms = offset, value, at // 1_000_000

    def offset(self) -> int:
        return self._offset

    def value(self) -> bytes:
        return self._value

    def key(self) -> None:
        return None

    def headers(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return TIMESTAMP_CREATE_TIME, self._ms


class Source:
    """One partition, and a clock of the wall that the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, signal: Any, idle_after: float | None = 30.0) -> None:
        self.passed, self.offset = 0.0, 0
        monkeypatch.setattr(roles, "time", SimpleNamespace(monotonic=lambda: self.passed))
        self.role = IngestRole(
            [RawTopic("raw", signal)], Layout(), "g", idle_after, 10.0, now=lambda: NOW + round(self.passed * SECOND)
        )
        self.kept, _ = self.role.open(TopicPartition("raw", 0), TopicPartition("raw", 0, 0))
        self.role.begin(self.kept, 0)
        self.kept.heard = 0.0

    def take(self, value: bytes) -> list[Out]:
        message: Any = Message(self.offset, value, NOW + round(self.passed * SECOND))
        self.offset += 1
        return list(self.role.take(self.kept, [message]))

    def beat(self, passed: float, at_end: bool = True) -> list[int]:
        """Clocks that are told so many seconds later."""
        self.passed += passed
        out = self.role.beat(self.kept, lambda: at_end)
        return sorted({int(o.value or b"") for o in out if dict(o.headers)["kind"] == CLOCK.encode()})


def test_a_change_is_passed_on_although_the_clock_has_passed_it(monkeypatch):
    source = Source(monkeypatch, "changes")
    assert source.beat(25.0) == [NOW + 20 * SECOND]
    message: Any = Message(0, change(0, NOW).value, NOW)
    (out,) = source.role.take(source.kept, [message])
    assert dict(out.headers)["arrival"] == b"%d" % NOW


def test_messages_without_an_item_keep_nobody_waiting(monkeypatch):
    source = Source(monkeypatch, "logs")
    source.take(logs(0, NOW).value)
    for _ in range(5):
        source.passed += 8.0
        source.take(b"")
        source.take(b"\x00\xff nonsense")
    assert source.beat(5.0) == [NOW + 10 * SECOND]
    source.take(logs(0, NOW + 45 * SECOND).value)
    assert source.beat(29.0) == []


def test_an_end_of_input_moves_no_live_clock_into_the_future(monkeypatch):
    for idle_after, clock in ((30.0, NOW), (None, NOW + 600 * SECOND)):
        source = Source(monkeypatch, "logs", idle_after)
        message: Any = Message(0, b"%d" % (NOW + 600 * SECOND), NOW)
        message.headers = lambda: [(CONTROL, END)]
        list(source.role.take(source.kept, [message]))
        assert source.kept.task.clock == clock
