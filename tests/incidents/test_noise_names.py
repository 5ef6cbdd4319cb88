"""What an anomaly is an anomaly of: the same after a restart of a pod, never the same by a bare name."""

from __future__ import annotations

import msgspec
import pytest

from aiops.incidents import noise_names
from aiops.incidents.noise_names import family, identity_of, normal, urgent
from tests.incidents.noise_world import alert
from tests.incidents.world import T, anomaly


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cart-6d9f7c5b48-x2vqz", "cart-7b64c9d5f6-q8k2m"),
        ("node-exporter-x2vqz", "node-exporter-q8k2m"),
        ("calls to 10.2.0.17:8080", "calls to 10.2.9.4:9090"),
        ("queue 7f3e9a2c11 depth", "queue 0b12cd34ef depth"),
        ("job 20240131 failed", "job 20240201 failed"),
        ("order 8f14e45f-ceea-467f-a830-1f2b3c4d5e6f", "order 0cc175b9-c0f1-b6a8-31c3-99e269772661"),
    ],
)
def test_what_a_restart_or_the_hour_replaces_does_not_tell_names_apart(one: str, other: str):
    assert normal(one) == normal(other) != one


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http.server.duration p99", "http.server.duration p50"),
        ("status 500", "status 404"),
        ("disk.io{device=sda1}", "disk.io{device=sdb1}"),
        ("web-0", "web-1"),
        ("host-a", "host-b"),
        ("kafka-consumer-lag", "kafka-consumer-rate"),
    ],
)
def test_what_tells_things_apart_stays(one: str, other: str):
    assert (normal(one), normal(other)) == (one, other)


def test_identity_is_service_kind_signal_instance_and_peer_but_no_detector_and_no_time():
    first = anomaly("cart", T)
    assert identity_of(first) == identity_of(msgspec.structs.replace(anomaly("cart", T + 10), detector="bank"))
    for change in ({"service": "pay"}, {"kind": "log"}, {"signal": "mem"}, {"instance": "cart-0"}, {"peer": "db"}):
        assert identity_of(first) != identity_of(msgspec.structs.replace(first, **change)), change


def test_alerts_of_one_name_are_told_apart_by_what_their_tool_calls_them_or_by_their_labels():
    one, other = alert("cart", T, number=1), alert("cart", T, number=2)
    assert identity_of(one) != identity_of(other)
    labelled = [msgspec.structs.replace(one, attributes={"label.route": route}) for route in ("/", "/pay", "/")]
    assert identity_of(labelled[0]) == identity_of(labelled[2]) != identity_of(labelled[1])


def test_names_of_any_length_and_number_take_bounded_memory():
    assert len(normal("x" * 1000)) == noise_names.LONGEST
    assert normal.cache_info().maxsize == family.cache_info().maxsize == noise_names.CACHED


def test_a_family_is_what_is_left_without_attributes_quotations_and_numbers():
    assert family("http.server.duration{route=/cart} p99") == family("http.server.duration{route=/pay} p99")
    assert family('log line "a <*>"') == family('log line "b"') == "log line"


def test_only_what_says_that_it_is_critical_or_high_is_urgent():
    assert [urgent(alert("cart", T, s)) for s in ("critical", "high", "medium", "low")] == [True, True, False, False]
    assert not urgent(anomaly("cart", T, 8.0))


def test_what_changes_while_an_alert_fires_does_not_change_what_it_is_an_alert_of():
    one = alert("cart", T)
    labels = {"label.route": "/", "label.pod": "cart-1", "label.value": "93.5"}
    first = msgspec.structs.replace(one, attributes=labels)
    later = msgspec.structs.replace(one, attributes={**labels, "label.pod": "cart-2", "label.value": "97.1"})
    assert identity_of(first) == identity_of(later)
