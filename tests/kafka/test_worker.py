"""A worker whose clients have forgotten all brokers begins again with new ones: nothing is lost, nothing changes places."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from streams.known_brokers import KnownBrokers
from streams.messages import TRANSPORT, offset_of
from streams.metrics_reading import TaskReading
from streams.progress import Committer, Saving
from streams.records import Out
from streams.settings import Settings
from streams.worker import Worker
from tests.kafka.topics import create, read
from tests.kafka.waiting import until

pytestmark = pytest.mark.timeout(120)

WAIT = 60.0  # seconds
PARTITIONS = 2


@dataclass
class Copy:
    position: int
    saved: int = -1


@dataclass
class Copying:
    """Copies a topic record by record, and saves after each turn."""

    source: str
    target: str
    group: str
    name: str = "copy"
    topics: list[str] = field(default_factory=list)
    opened: list[int] = field(default_factory=list)  # offsets that had been committed

    def __post_init__(self) -> None:
        self.topics = [self.source]

    def open(self, place: TopicPartition, committed: TopicPartition) -> tuple[Copy, int]:
        del place
        self.opened.append(committed.offset)
        return Copy(committed.offset), committed.offset

    def begin(self, task: Copy, offset: int) -> None:
        task.position = offset

    def take(self, task: Copy, messages: list[Message]) -> Iterator[Out]:
        for message in messages:
            task.position = offset_of(message) + 1
            yield Out(self.target, message.partition(), message.value(), [])

    def beat(self, task: Copy, idle: Callable[[], bool]) -> Iterator[Out]:
        del task, idle
        return iter(())

    def due(self, task: Copy) -> bool:
        return task.position > max(task.saved, 0)

    def save(self, task: Copy, worker: Committer, place: TopicPartition) -> Saving:
        position = task.position
        yield worker.sender.mark()
        worker.commit(place, position, "")
        task.saved = position

    def position(self, task: Copy) -> int:
        return task.position

    def reading(self, task: Copy, at_end: bool) -> TaskReading:
        del task, at_end
        return TaskReading()


class Copier:
    """A worker of that role, and what it is given to copy."""

    def __init__(self, client: dict[str, str], prefix: str) -> None:
        self.client, self.sent = client, 0
        self.role = Copying(f"{prefix}source", f"{prefix}target", f"{prefix}copy")
        for topic in (self.role.source, self.role.target):
            create(client, topic, PARTITIONS)
        settings = Settings(kafka=client, consumer={"session.timeout.ms": "6000"})
        consumer = settings.consumer_properties(self.role.group)
        self.worker = Worker(self.role, consumer, settings.producer_properties())
        self.worker._subscribe()  # as `run` does

    def produce(self, n: int) -> None:
        producer = Producer(self.client)
        for number in range(self.sent, self.sent + n):
            producer.produce(self.role.source, b"%d" % number, partition=number % PARTITIONS)
        producer.flush()
        self.sent += n

    def copied(self) -> list[list[int]]:
        """What has arrived, by partition."""
        found: list[list[int]] = [[] for _ in range(PARTITIONS)]
        for message in read(self.client, self.role.target):
            found[message.partition() or 0].append(int(message.value() or b""))
        return found

    def until_copied(self) -> list[list[int]]:
        whole = [list(range(p, self.sent, PARTITIONS)) for p in range(PARTITIONS)]

        def all_there() -> bool:
            self.worker.step()
            positions = sorted(task.position for task in self.worker.tasks.values())
            return positions == [len(of) for of in whole] and len(self.worker.sender) == 0

        until(all_there, WAIT, pause=lambda: None)
        assert self.worker.sender.flush(WAIT)
        found = self.copied()
        assert [sorted(set(of)) for of in found] == whole
        return found

    def until_saved(self) -> None:
        def saved() -> bool:
            self.worker.step()
            at = [TopicPartition(self.role.source, p) for p in range(PARTITIONS)]
            return sum(place.offset for place in self.worker.consumer.committed(at, timeout=10)) == self.sent

        until(saved, WAIT)


@pytest.fixture
def copier(kafka, prefix) -> Iterator[Copier]:
    made = Copier(kafka.client(), prefix)
    yield made
    made.worker.consumer.close()


class Mute:
    """A client that has forgotten all brokers, as far as anybody can tell from outside."""

    def list_topics(self, *_: object, **__: object) -> object:
        raise KafkaException(KafkaError(TRANSPORT))


def forget(known: KnownBrokers, monkeypatch: pytest.MonkeyPatch, client: Mute | None = None) -> None:
    """From now on, this client has had to do with no broker; `client` is asked in its stead."""
    monkeypatch.setattr(known, "none", lambda: True)
    if client is not None:
        asked = known.forgotten
        monkeypatch.setattr(known, "forgotten", lambda _, topic: asked(client, topic))


def test_a_consumer_that_knows_nobody_is_replaced_and_goes_on_where_progress_was_saved(copier, monkeypatch):
    copier.produce(100)
    copier.until_copied()
    copier.until_saved()
    before = copier.worker.consumer, copier.worker.sender
    forget(copier.worker._reading_from, monkeypatch, Mute())
    until(lambda: copier.worker.step() or copier.worker.consumer is not before[0], WAIT)
    assert copier.worker.tasks == {}
    assert copier.worker.sender is before[1]
    copier.produce(100)
    found = copier.until_copied()
    assert copier.role.opened == [-1001, -1001, 50, 50]
    assert [len(of) for of in found] == [100, 100]  # nothing that was saved was read again


def test_a_producer_that_knows_nobody_is_replaced_and_its_partitions_are_taken_anew(copier, monkeypatch):
    copier.produce(100)
    copier.until_copied()
    copier.until_saved()
    before = copier.worker.sender
    forget(copier.worker._sending_to, monkeypatch, Mute())
    until(lambda: copier.worker.step() or copier.worker.sender is not before, WAIT)
    assert copier.worker.sender.totals() == before.totals()
    assert copier.worker.tasks == {}
    copier.produce(100)
    copier.until_copied()


def test_clients_that_need_nobody_are_asked_before_they_are_replaced(copier, monkeypatch):
    copier.produce(10)
    copier.until_copied()
    before = copier.worker.consumer, copier.worker.sender
    for known in (copier.worker._reading_from, copier.worker._sending_to):
        forget(known, monkeypatch)
    copier.worker._look_for_brokers()
    assert (copier.worker.consumer, copier.worker.sender) == before


def test_a_client_is_kept_while_the_cluster_answers_nobody(kafka, monkeypatch):
    away = KnownBrokers({"bootstrap.servers": "127.0.0.1:1", "group.id": "g"})
    forget(away, monkeypatch)
    assert not away.forgotten(Mute(), "any")
    there = KnownBrokers({**kafka.client(), "group.id": "g"})
    forget(there, monkeypatch)
    assert there.forgotten(Mute(), "any")
