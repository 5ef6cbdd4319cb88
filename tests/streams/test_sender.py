"""Sleep is noticed before anything is sent; acknowledgements are counted to their mark; a failure is one of the worker."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("confluent_kafka", reason="needs the extra 'kafka'")

from streams import sender as module
from streams.records import Out
from streams.sender import ZOMBIE, DeliveryError, Fence, Sender


class Wall:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_process_that_slept_for_longer_than_its_session_leaves(capsys):
    wall, left = Wall(), list[int]()
    fence = Fence(6.0, left.append, wall)
    for _ in range(10):
        wall.now += 5.0
        fence.check()
    assert left == []
    wall.now += 6.5
    fence.check()
    assert left == [ZOMBIE]
    assert "did not run for 6.5 s, longer than its session of 6 s" in capsys.readouterr().err


class Broker:
    """A producer whose acknowledgements come when the test says."""

    def __init__(self, _properties: Any) -> None:
        self.waiting: list[Any] = []
        self.room = 10**9
        self.got: list[Any] = []
        self.purged = False

    def __len__(self) -> int:
        return len(self.waiting)

    def produce(self, topic: str, value: Any, key: Any, partition: int, on_delivery: Any, headers: Any) -> None:
        if len(self.waiting) >= self.room:
            raise BufferError
        self.got.append((topic, partition, value, key, headers))
        self.waiting.append(on_delivery)

    def poll(self, _timeout: float) -> int:
        return 0

    def flush(self, _timeout: float) -> int:
        return len(self.waiting)

    def purge(self, in_queue: bool, in_flight: bool, blocking: bool) -> None:
        assert in_queue
        assert not in_flight
        assert not blocking
        self.purged = True

    def acknowledge(self, at: int = 0, error: Any = None) -> None:
        self.waiting.pop(at)(error, Message())


class Message:
    def topic(self) -> str:
        return "signals"

    def partition(self) -> int:
        return 3


class Error:
    def str(self) -> str:
        return "Broker: Message size too large"


@pytest.fixture
def sender(monkeypatch) -> Sender:
    monkeypatch.setattr(module, "Producer", Broker)
    return Sender({}, Fence(100.0))


def broker(sender: Sender) -> Any:
    return sender._producer


def out(*values: bytes) -> list[Out]:
    return [Out("t", 1, value, []) for value in values]


def test_a_mark_is_reached_when_everything_before_it_has_been_acknowledged_in_whatever_order(sender):
    sender.send(out(b"a", b"b"))
    first = sender.mark()
    sender.send(out(b"c"))
    second = sender.mark()
    broker(sender).acknowledge(2)
    assert not sender.acknowledged(first)
    assert not sender.acknowledged(second)
    broker(sender).acknowledge(1)
    broker(sender).acknowledge(0)
    assert sender.acknowledged(second)
    assert sender.acknowledged(first)
    assert sender.acknowledged(sender.mark())


def test_what_does_not_fit_waits_in_order(sender):
    broker(sender).room = 2
    sender.send(out(b"a", b"b", b"c", b"d"))
    assert len(sender) == 2
    assert not sender.pump()
    mark = sender.mark()
    for _ in range(4):
        broker(sender).acknowledge()
        sender.pump()
    assert [value for _, _, value, _, _ in broker(sender).got] == [b"a", b"b", b"c", b"d"]
    assert sender.acknowledged(mark)


def test_a_record_that_is_refused_is_an_error_that_names_its_place(sender):
    sender.send(out(b"a"))
    broker(sender).acknowledge(0, Error())
    with pytest.raises(DeliveryError, match="signals/3: a record was refused: Broker: Message size too large"):
        sender.pump()
    assert broker(sender).purged


def test_flush_says_whether_there_was_time(sender):
    sender.send(out(b"a"))
    assert not sender.flush(0.01)
    broker(sender).acknowledge()
    assert sender.flush(0.01)
