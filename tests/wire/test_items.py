"""What ``aiops decode`` shows of payloads and files."""

from __future__ import annotations

import gzip
import json
import math
import random

import msgspec
import pytest

from aiops.columns import KINDS
from aiops.wire import SIGNALS, Tables
from aiops.wire.files import signal_of
from aiops.wire.items import decode_files, items
from aiops.wire.lenient import STRICT
from tests.wire import odd_batches
from tests.wire.odd_batches import T0, json_bytes
from tests.wire.rows import DECODE


def logs_request(body="order placed", service="cart"):
    request = STRICT["logs"]()
    group = request.resource_logs.add()
    for key, value in {"service.name": service, "deployment.environment.name": "prod", "host.name": "h"}.items():
        group.resource.attributes.add(key=key).value.string_value = value
    record = group.scope_logs.add().log_records.add(
        time_unix_nano=T0,
        observed_time_unix_nano=T0 + 5,
        severity_number=17,
        severity_text="ERROR",
        trace_id=b"\1" * 16,
    )
    record.body.string_value = body
    record.attributes.add(key="ratio").value.double_value = math.nan
    record.attributes.add(key="raw").value.bytes_value = b"\xff"
    return request


def test_a_log_record_in_full():
    assert list(items("logs", [logs_request().SerializeToString()])) == [
        {
            "time": "2025-08-01T12:00:00.000Z",
            "time_unix_nano": T0,
            "signal": "logs",
            "environment": "prod",
            "service": "cart",
            "instance": "h",
            "node": "h",
            "zone": "",
            "host": False,
            "resource": {"service.name": "cart", "deployment.environment.name": "prod", "host.name": "h"},
            "severity": 17,
            "observed_time_unix_nano": T0 + 5,
            "severity_text": "ERROR",
            "trace_id": "01" * 16,
            "body": "order placed",
            "attributes": {"ratio": "NaN", "raw": "/w=="},
        }
    ]


def test_the_observed_time_is_shown_where_it_is_another():
    request = logs_request()
    record = request.resource_logs[0].scope_logs[0].log_records[0]
    record.time_unix_nano = 0
    item = next(items("logs", [request.SerializeToString()]))
    assert item["time_unix_nano"] == T0 + 5
    assert "observed_time_unix_nano" not in item


def test_a_span_says_whether_it_is_an_error():
    request = STRICT["traces"]()
    span = (
        request.resource_spans.add()
        .scope_spans.add()
        .spans.add(
            trace_id=b"\1" * 16,
            span_id=b"\2" * 8,
            name="GET /",
            kind=2,
            start_time_unix_nano=T0,
            end_time_unix_nano=T0 + 7,
        )
    )
    span.attributes.add(key="http.response.status_code").value.int_value = 503
    item = next(items("traces", [request.SerializeToString()]))
    assert item["is_error"] is True
    assert (item["status"], item["kind"], item["duration_ns"]) == ("unset", "server", 7)
    assert item["time_unix_nano"] == T0 + 7
    assert (item["trace_id"], item["span_id"]) == ("01" * 16, "02" * 8)
    assert "parent_span_id" not in item


def test_metric_points_of_every_kind():
    request = STRICT["metrics"]()
    scope = request.resource_metrics.add().scope_metrics.add()
    scope.metrics.add(name="g", unit="s").gauge.data_points.add(as_double=math.inf)
    total = scope.metrics.add(name="s").sum
    total.aggregation_temporality, total.is_monotonic = 2, True
    total.data_points.add(as_int=5, flags=1, start_time_unix_nano=T0)
    h = scope.metrics.add(name="h").histogram.data_points.add(count=3, explicit_bounds=[1.0], bucket_counts=[1, 2])
    h.sum = 4.5
    e = scope.metrics.add(name="e").exponential_histogram.data_points.add(count=3, scale=2, zero_count=1)
    e.positive.offset = 4
    e.positive.bucket_counts.append(2)
    scope.metrics.add(name="q").summary.data_points.add(count=1, sum=2).quantile_values.add(quantile=0.5, value=2)
    g, s, h, e, q = items("metrics", [request.SerializeToString()])
    assert [x["kind"] for x in (g, s, h, e, q)] == list(KINDS)
    assert (g["value"], g["unit"], g["time"]) == ("Infinity", "s", None)
    assert (s["value"], s["stale"], s["temporality"], s["monotonic"]) == (None, True, "cumulative", True)
    assert s["start_time_unix_nano"] == T0
    assert (h["value"], h["count"], h["bounds"], h["buckets"]) == (4.5, 3, [1.0], [1, 2])
    assert (e["value"], e["scale"], e["positive"]) == (None, 2, {"offset": 4, "buckets": [2]})
    assert q["quantiles"] == [[0.5, 2.0]]


@pytest.mark.parametrize("signal", SIGNALS)
def test_every_item_is_shown_once_as_valid_json_and_equal_in_both_encodings(signal, seed):
    rnd = random.Random(seed)
    for _ in range(40):
        request = getattr(odd_batches, signal)(rnd, odd_ids=False)
        payload = request.SerializeToString()
        batch, _ = DECODE[signal]([payload], Tables())
        shown = list(items(signal, [payload]))
        assert len(shown) == len(batch)
        assert shown == list(items(signal, [json_bytes(request)]))
        json.dumps(shown, allow_nan=False)
        msgspec.json.encode(shown)


def test_a_body_that_is_no_utf8_is_shown_with_replacement():
    payload = logs_request("abcXYZ").SerializeToString().replace(b"XYZ", b"\xff\xfeZ")
    assert next(items("logs", [payload]))["body"] == "abc\ufffd\ufffdZ"


def test_a_refused_payload_is_an_error_and_stops_nothing():
    good = logs_request().SerializeToString()
    shown = list(items("logs", [b"{nonsense", good, b"\x0a\x05a"]))
    assert [x.get("message") for x in shown] == [0, None, 2]
    assert str(shown[0]["error"]).startswith("not OTLP logs: not JSON")
    with pytest.raises(ValueError, match="signal 'spans' is not one of 'logs', 'metrics', 'traces'"):
        next(items("spans", []))


# ---- files ----------------------------------------------------------------------------------------------------------
def test_files_of_every_form_are_read(tmp_path):
    request = logs_request()
    (tmp_path / "a.bin").write_bytes(request.SerializeToString())
    (tmp_path / "b.json").write_bytes(json_bytes(request))
    (tmp_path / "c.json.gz").write_bytes(gzip.compress(json_bytes(request)))
    lines = json_bytes(request) + b"\n\n" + json_bytes(logs_request(service="other")) + b"\n{bad\n"
    (tmp_path / "d.jsonl").write_bytes(lines)
    (tmp_path / "e.ndjson.gz").write_bytes(gzip.compress(lines))
    shown = list(decode_files(sorted(tmp_path.iterdir())))
    names = [(str(x["file"]).rpartition("/")[2], x.get("line"), x.get("service")) for x in shown]
    assert names == [
        ("a.bin", None, "cart"), ("b.json", None, "cart"), ("c.json.gz", None, "cart"),
        ("d.jsonl", 1, "cart"), ("d.jsonl", 3, "other"), ("d.jsonl", 4, None),
        ("e.ndjson.gz", 1, "cart"), ("e.ndjson.gz", 3, "other"), ("e.ndjson.gz", 4, None),
    ]  # fmt: skip
    assert ["error" in x for x in shown] == [service is None for _, _, service in names]


def test_an_unreadable_file_is_an_error_and_stops_nothing(tmp_path):
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(json_bytes(logs_request()))[:-20])
    (tmp_path / "plain.json.gz").write_bytes(b"no gzip")
    (tmp_path / "good.bin").write_bytes(logs_request().SerializeToString())
    paths = [tmp_path / "absent", tmp_path, tmp_path / "cut.json.gz", tmp_path / "plain.json.gz", tmp_path / "good.bin"]
    shown = list(decode_files(paths))
    assert [str(x.get("error", ""))[:11] for x in shown] == ["cannot read"] * 4 + [""]


@pytest.mark.parametrize("signal", SIGNALS)
def test_the_signal_of_a_real_payload_is_found(signal):
    rnd = random.Random(7)
    request = max((getattr(odd_batches, signal)(rnd, odd_ids=False) for _ in range(20)), key=lambda r: r.ByteSize())
    assert signal_of(request.SerializeToString()) == signal
    assert signal_of(json_bytes(request)) == signal


def test_a_field_that_a_signal_does_not_know_rules_it_out():
    request = STRICT["traces"]()
    request.resource_spans.add().scope_spans.add().spans.add(end_time_unix_nano=5)
    assert signal_of(request.SerializeToString()) == "traces"


def test_an_unclear_signal_asks_for_the_option(tmp_path):
    for name, payload in {"empty": b"", "noise": b"\xff\xff", "json": b'{"a": 1}'}.items():
        (tmp_path / name).write_bytes(payload)
        (shown,) = decode_files([tmp_path / name])
        assert "pass --signal" in str(shown["error"])
    (tmp_path / "tiny").write_bytes(b"\x0a\x04\x12\x02\x12\x00")
    (shown,) = decode_files([tmp_path / "tiny"])
    assert "this decodes as logs and as metrics and as traces" in str(shown["error"])
    (shown,) = decode_files([tmp_path / "tiny"], signal="logs")
    assert shown["signal"] == "logs"
