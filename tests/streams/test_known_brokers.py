"""Clients that have forgotten all brokers are told from those whose brokers are away, and from those that need none."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("confluent_kafka", reason="needs the extra 'kafka'")

from confluent_kafka import Consumer

from streams.known_brokers import PATIENCE, KnownBrokers
from tests.kafka.waiting import until


class Wall:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


def statistics(*brokers: tuple[str, str]) -> str:
    """Of a client with brokers of these sources and states."""
    return json.dumps({"brokers": {str(n): {"source": of, "state": state} for n, (of, state) in enumerate(brokers)}})


FORGOTTEN = statistics(("learned", "INIT"), ("logical", "TRY_CONNECT"), ("internal", "UP"))


def test_a_client_whose_brokers_are_all_dropped_knows_none_after_a_while(wall):
    known = KnownBrokers({}, wall)
    known.report(FORGOTTEN)
    assert not known.none()
    wall.now += PATIENCE
    known.report(FORGOTTEN)
    assert known.none()


def test_a_client_without_any_broker_knows_none(wall):
    known = KnownBrokers({}, wall)
    known.report(statistics())
    wall.now += PATIENCE
    assert known.none()


@pytest.mark.parametrize("state", ["UP", "DOWN", "TRY_CONNECT", "CONNECT", "APIVERSION_QUERY", "AUTH_REQ"])
def test_a_broker_that_is_there_or_is_tried_is_known(wall, state):
    known = KnownBrokers({}, wall)
    for _ in range(10):
        known.report(statistics(("learned", "INIT"), ("configured", state), ("logical", "TRY_CONNECT")))
        wall.now += PATIENCE
    assert not known.none()


def test_a_client_that_has_begun_again_knows_them(wall):
    known = KnownBrokers({}, wall)
    known.report(FORGOTTEN)
    wall.now += PATIENCE
    known.report(statistics(("configured", "CONNECT")))
    assert not known.none()
    known.report(FORGOTTEN)
    assert not known.none()


def test_a_client_that_has_said_nothing_yet_is_not_suspected(wall):
    known = KnownBrokers({}, wall)
    wall.now += 10 * PATIENCE
    assert not known.none()


def test_clients_report_where_they_are_polled(monkeypatch):
    said: list[str] = []
    known = KnownBrokers({})
    monkeypatch.setattr(known, "report", said.append)
    given = {"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": "0"}
    client = Consumer(known.watched(given))
    try:
        until(lambda: client.consume(1, 0.1) or said, 30)
        assert "brokers" in json.loads(said[0])
    finally:
        client.close()
    assert set(given) == {"bootstrap.servers", "group.id", "log_level"}
