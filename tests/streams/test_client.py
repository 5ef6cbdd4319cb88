"""Reading of the public topics, as far as it needs no broker: events, errors, where values are at fault."""

from __future__ import annotations

import pytest

from aiops.errors import UserError
from aiops.records import encode
from streams import clients_common
from streams.client import Event, Incidents
from streams.settings import Settings
from tests.test_records import INCIDENT


def event(record=None, error="", value=b""):
    return Event(record, error, value, b"key", {}, "aiops.incidents", 2, 17, 5)


def test_an_event_gives_its_record_by_name():
    assert event(INCIDENT, value=encode(INCIDENT)).incident is INCIDENT
    assert not event(INCIDENT).tombstone


def test_an_event_without_a_record_says_which_and_why():
    with pytest.raises(UserError, match=r"aiops.incidents/2 offset 17: a tombstone"):
        _ = event(value=None).incident
    with pytest.raises(UserError, match=r"aiops.incidents/2 offset 17: incident: no version"):
        _ = event(error="incident: no version").anomaly


def test_a_wrong_choice_is_refused_before_anything_is_connected():
    with pytest.raises(ValueError, match="start 'newest' is not one of 'earliest', 'latest'"):
        Incidents({"bootstrap.servers": "127.0.0.1:1"}, start="newest")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="undecodable 'skip' is not one of 'raise', 'yield'"):
        Incidents({"bootstrap.servers": "127.0.0.1:1"}, undecodable="skip")  # type: ignore[arg-type]


@pytest.mark.parametrize("group", [None, "oncall-console"])
def test_a_cluster_that_does_not_answer_is_an_error_with_its_reason_and_without_secrets(monkeypatch, group):
    monkeypatch.setattr(clients_common, "PATIENCE", 0.5)
    properties = {"bootstrap.servers": "127.0.0.1:1", "sasl.password": "127.0.0.1:1/bootstrap"}
    with pytest.raises(UserError, match=r"no answer from Kafka at 127.0.0.1:1: .*refused") as raised:
        Incidents(properties, group=group)
    assert "127.0.0.1:1/bootstrap" not in str(raised.value)


def test_a_property_that_does_not_exist_is_named():
    settings = Settings(kafka={"bootstrap.servers": "127.0.0.1:1", "security.protocoll": "ssl"})
    with pytest.raises(UserError, match=r"no property 'security.protocoll'; did you mean 'security.protocol'"):
        Incidents(settings)
