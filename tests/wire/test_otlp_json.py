"""OTLP JSON: the same columns as protobuf, and what the specification allows and forbids."""

from __future__ import annotations

import json
import math
import random

import pytest

from aiops.wire import SIGNALS, Tables, decode_logs, decode_metrics, decode_spans
from tests.wire import odd_batches
from tests.wire.odd_batches import json_bytes
from tests.wire.rows import DECODE, ROWS

MAKE = {"logs": odd_batches.logs, "traces": odd_batches.traces, "metrics": odd_batches.metrics}


@pytest.mark.parametrize("signal", SIGNALS)
def test_json_and_protobuf_of_the_same_request_give_the_same_columns(signal, seed):
    rnd, tables = random.Random(seed), Tables()
    for _ in range(120):
        requests = [MAKE[signal](rnd, odd_ids=False) for _ in range(3)]
        a, refused_a = DECODE[signal]([r.SerializeToString() for r in requests], tables, "otlp_proto")
        size = tables.size
        b, refused_b = DECODE[signal]([json_bytes(r) for r in requests], tables, "otlp_json")
        assert not refused_a
        assert not refused_b
        assert ROWS[signal](a, tables) == ROWS[signal](b, tables)
        assert a.message.tolist() == b.message.tolist()
        codes = "series" if signal == "metrics" else "resource"
        assert getattr(a, codes).tolist() == getattr(b, codes).tolist()
        if signal != "metrics":
            assert tables.size - size <= 3 * 4  # other spellings of resources at most


@pytest.mark.parametrize("signal", SIGNALS)
def test_json_first_describes_its_tables_as_protobuf_first_does(signal, seed):
    rnd = random.Random(seed + 1)
    requests = [MAKE[signal](rnd, odd_ids=False) for _ in range(60)]
    a, b = Tables(), Tables()
    DECODE[signal]([r.SerializeToString() for r in requests], a)
    DECODE[signal]([json_bytes(r) for r in requests], b)
    assert a.resources.entities == b.resources.entities
    assert repr(a.resources.attributes) == repr(b.resources.attributes)  # text: NaN is not equal to itself
    assert a.resources.identity.tolist() == b.resources.identity.tolist()
    assert a.operations.raw == b.operations.raw
    assert a.series.identity.tolist() == b.series.identity.tolist()
    described = [[repr(t.series.describe(i)) for i in range(len(t.series))] for t in (a, b)]
    assert described[0] == described[1]


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_batch_may_mix_the_encodings_and_keeps_the_order_of_its_messages(signal, seed):
    rnd = random.Random(seed + 2)
    for _ in range(30):
        requests = [MAKE[signal](rnd, odd_ids=False) for _ in range(6)]
        plain = [r.SerializeToString() for r in requests]
        mixed = [json_bytes(r) if rnd.random() < 0.5 else p for r, p in zip(requests, plain, strict=True)]
        mixed[2], plain[2] = b"{]", b"\x0a\xff\x01"
        a, refused_a = DECODE[signal](plain, tables := Tables())
        b, refused_b = DECODE[signal](mixed, others := Tables())
        assert ROWS[signal](a, tables) == ROWS[signal](b, others)
        assert a.message.tolist() == b.message.tolist()
        assert [r.message for r in refused_a] == [r.message for r in refused_b] == [2]


# ---- one log record, span or point, spelled out ---------------------------------------------------------------------
def log(**record):
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()


def span(**fields):
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [fields]}]}]}).encode()


def metric(**fields):
    return json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [fields]}]}]}).encode()


def gauge(**fields):
    return metric(name="m", gauge={"dataPoints": [fields]})


def taken(payload):
    for key, decode in (("Logs", decode_logs), ("Spans", decode_spans), ("Metrics", decode_metrics)):
        if f"resource{key}".encode() in payload:
            batch, refused = decode([payload], Tables())
            assert not refused
            assert len(batch) == 1
            return batch
    raise AssertionError(payload)


def reason(payload, decode=None):
    if decode is None:
        decode = decode_logs if b"Logs" in payload else decode_spans if b"Spans" in payload else decode_metrics
    batch, refused = decode([payload], Tables())
    assert len(batch) == 0
    assert [r.message for r in refused] == [0]
    return refused[0].reason


ITEM = {
    "logs": "$.resourceLogs[0].scopeLogs[0].logRecords[0]",
    "spans": "$.resourceSpans[0].scopeSpans[0].spans[0]",
    "points": "$.resourceMetrics[0].scopeMetrics[0].metrics[0].gauge.dataPoints[0]",
}


def test_64_bit_integers_are_text_or_numbers():
    assert taken(log(timeUnixNano="1544712660300000000")).time[0] == 1544712660300000000
    assert taken(log(timeUnixNano=1544712660300000000)).time[0] == 1544712660300000000
    assert taken(gauge(asInt="-7")).value[0] == -7
    assert taken(gauge(asInt=-7)).value[0] == -7


@pytest.mark.parametrize("value", [2**64, str(2**64), -1, "-1", "1" * 5000, "1.0", "0x10", " 1", "1_0", "", "\u0661"])
def test_integers_beyond_64_bits_or_of_another_form_are_refused_with_their_path(value):
    assert f"`{ITEM['logs']}.timeUnixNano`" in reason(log(timeUnixNano=value))


@pytest.mark.parametrize("value", [2**63, str(2**63), -(2**63) - 1, 1.5])
def test_as_int_beyond_int64_is_refused(value):
    assert f"`{ITEM['points']}.asInt`" in reason(gauge(asInt=value))


def test_enums_are_numbers_and_no_text():
    assert taken(log(severityNumber=17)).severity[0] == 17
    assert taken(span(kind=2, status={"code": 2})).error[0]
    assert "severityNumber`" in reason(log(severityNumber="SEVERITY_NUMBER_ERROR"))
    assert "severityNumber`" in reason(log(severityNumber="17"))
    assert "kind`" in reason(span(kind="SPAN_KIND_SERVER"))
    assert "status.code`" in reason(span(status={"code": "STATUS_CODE_ERROR"}))
    assert "severityNumber`" in reason(log(severityNumber=2**31))
    assert "aggregationTemporality`" in reason(
        metric(sum={"aggregationTemporality": "AGGREGATION_TEMPORALITY_DELTA", "dataPoints": [{"asInt": 1}]})
    )


def test_ids_are_hex_of_the_right_length_or_absent():
    batch = taken(log(traceId="5B8EFFF798038103D269B633813FC60C", spanId="eee19b7ec3c1b174"))
    assert batch.trace[0].tolist() == [0x5B8EFFF798038103, 0xD269B633813FC60C]
    assert batch.span[0] == 0xEEE19B7EC3C1B174
    for absent in ({}, {"traceId": "", "spanId": ""}, {"traceId": None, "spanId": None}):
        batch = taken(log(**absent))
        assert not batch.trace.any()
        assert not batch.span.any()
    assert taken(span()).bad_id[0]


@pytest.mark.parametrize(
    "value",
    [
        "W47/95gDgQPSabYzgT/GDA==",
        "5b8efff798038103d269b633813fc6",
        "zb8efff798038103d269b633813fc60c",
        "0x5b8efff798038103d269b633813fc6",
        "5b8efff7 98038103 d269b633 8138 ",
    ],
)
def test_a_trace_id_in_base64_or_of_another_length_or_no_hex_is_refused(value):
    assert f"`{ITEM['logs']}.traceId`" in reason(log(traceId=value))
    assert f"`{ITEM['spans']}.traceId`" in reason(span(traceId=value))
    assert f"`{ITEM['spans']}.parentSpanId`" in reason(span(parentSpanId=value))


def test_unknown_fields_are_ignored():
    assert taken(log(timeUnixNano="5", whatIsThis={"deep": [1, None, {"x": "y"}]})).time[0] == 5


def test_keys_in_snake_case_are_not_taken_for_others():
    assert taken(log(timeUnixNano="5", trace_id="5B8EFFF798038103D269B633813FC60C")).trace.any() == False  # noqa: E712
    payload = json.dumps({"resource_logs": [{"scope_logs": [{"log_records": [{"body": {"string_value": "x"}}]}]}]})
    assert "no 'resourceLogs'" in reason(payload.encode(), decode_logs)


def test_a_document_of_another_signal_or_of_something_else_is_refused_and_not_lost():
    assert "'resourceMetrics', which is another signal" in reason(gauge(asInt=1), decode_logs)
    assert "no 'resourceSpans'" in reason(b'{"log": "hello"}', decode_spans)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"resourceLogs": None},
        {"resourceLogs": []},
        {"resourceLogs": [{}]},
        {"resourceLogs": [{"resource": None}]},
        {"resourceLogs": [{"resource": {}, "scopeLogs": None}]},
        {"resourceLogs": [{"scopeLogs": [{"scope": None}]}]},
        {"resourceLogs": [{"resource": {"attributes": None}, "scopeLogs": [{"scope": {}, "logRecords": []}]}]},
    ],
)
def test_optional_parts_may_be_absent_or_null(document):
    batch, refused = decode_logs([json.dumps(document).encode()], Tables())
    assert not refused
    assert len(batch) == 0


def test_an_empty_item_is_an_item():
    assert taken(log()).text.raw(0) == b""
    assert taken(log(body=None, attributes=None, timeUnixNano=None)).time[0] == 0
    assert taken(log(body={})).text.raw(0) == b""
    assert taken(span()).name[0] == 0
    assert taken(gauge()).stale[0]


def test_observed_time_stands_in_for_an_absent_time():
    assert taken(log(timeUnixNano="0", observedTimeUnixNano="7")).time[0] == 7


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, 1.0), (-2.5, -2.5), ("1.5", 1.5), ("1e3", 1e3), ("Infinity", math.inf), ("-Infinity", -math.inf)],
)
def test_doubles_are_numbers_or_text(value, expected):
    assert taken(gauge(asDouble=value)).value[0] == expected


def test_nan_may_be_text_or_the_bare_token_that_python_writes():
    assert math.isnan(taken(gauge(asDouble="NaN")).value[0])
    bare = gauge(asDouble=math.nan, attributes=[{"key": "a", "value": {"doubleValue": -math.inf}}])
    assert b"NaN" in bare
    assert b"-Infinity" in bare
    assert math.isnan(taken(bare).value[0])
    assert taken(gauge(asDouble=math.inf)).value[0] == math.inf
    assert "asDouble`" in reason(gauge(asDouble="nan"))
    assert "asDouble`" in reason(gauge(asDouble="1_0"))


def test_a_lone_surrogate_costs_itself_and_not_the_batch():
    assert taken(log(body={"stringValue": "a\ud800b"})).text.raw(0) == b"a?b"
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "a\ud800b"}}]}
    decode_logs([json.dumps({"resourceLogs": [{"resource": resource}]}).encode()], tables := Tables())
    assert tables.resources.entities[0].service == "a?b"


def test_a_byte_order_mark_and_white_space_are_skipped():
    assert taken(b"\xef\xbb\xbf" + log(timeUnixNano="5")).time[0] == 5
    assert taken(b" \r\n\t" + log(timeUnixNano="5")).time[0] == 5


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        (b'{"resourceLogs": {}}', "$.resourceLogs"),
        (b'{"resourceLogs": [1]}', "$.resourceLogs[0]"),
        (b'{"resourceLogs": [null]}', "$.resourceLogs[0]"),
        (b'{"resourceLogs": [{"resource": 5}]}', "$.resourceLogs[0].resource"),
        (
            b'{"resourceLogs": [{}, {"resource": {"attributes": [{"key": 1}]}}]}',
            "$.resourceLogs[1].resource.attributes[0].key",
        ),
        (
            b'{"resourceLogs": [{"resource": {"attributes": [{"key": "a", "value": {"intValue": "x"}}]}}]}',
            "$.resourceLogs[0].resource.attributes[0].value.intValue",
        ),
        (log(body="text"), ITEM["logs"] + ".body"),
        (log(body={"stringValue": 5}), ITEM["logs"] + ".body.stringValue"),
        (log(body={"bytesValue": "?"}), ITEM["logs"] + ".body.bytesValue"),
        (
            log(body={"arrayValue": {"values": [{"intValue": "1.5"}]}}),
            ITEM["logs"] + ".body.arrayValue.values[0].intValue",
        ),
        (log(attributes={"a": "b"}), ITEM["logs"] + ".attributes"),
        (log(attributes=[{"key": "a", "value": "b"}]), ITEM["logs"] + ".attributes[0].value"),
        (log(attributes=[{"key": "a", "value": {"intValue": "x"}}]), ITEM["logs"] + ".attributes[0].value.intValue"),
        (
            b'{"resourceLogs": [{"scopeLogs": [{"scope": {"attributes": "x"}}]}]}',
            "$.resourceLogs[0].scopeLogs[0].scope.attributes",
        ),
        (span(events=[{"name": "e", "timeUnixNano": "9" * 70}]), ITEM["spans"] + ".events[0].timeUnixNano"),
        (span(links=[{"traceId": "G" * 32}]), ITEM["spans"] + ".links[0].traceId"),
        (span(links=[{"traceId": "1" * 32, "spanId": "1234"}]), ITEM["spans"] + ".links[0].spanId"),
        (span(links=[1]), ITEM["spans"] + ".links[0]"),
        (
            span(attributes=[{"key": "a", "value": {"bytesValue": "!"}}]),
            ITEM["spans"] + ".attributes[0].value.bytesValue",
        ),
        (log(traceId=5), ITEM["logs"] + ".traceId"),
        (span(name=5), ITEM["spans"] + ".name"),
        (span(status=2), ITEM["spans"] + ".status"),
        (gauge(asDouble=True), ITEM["points"] + ".asDouble"),
        (gauge(asInt=1, flags=-1), ITEM["points"] + ".flags"),
        (
            gauge(asInt=1, attributes=[{"key": "a", "value": {"intValue": str(2**63)}}]),
            ITEM["points"] + ".attributes[0].value.intValue",
        ),
        (metric(sum={"isMonotonic": "true"}), "$.resourceMetrics[0].scopeMetrics[0].metrics[0].sum.isMonotonic"),
        (
            metric(histogram={"dataPoints": [{"bucketCounts": ["1", "-1"]}]}),
            "$.resourceMetrics[0].scopeMetrics[0].metrics[0].histogram.dataPoints[0].bucketCounts[1]",
        ),
        (
            metric(exponentialHistogram={"dataPoints": [{"positive": {"offset": 2**31}}]}),
            "$.resourceMetrics[0].scopeMetrics[0].metrics[0].exponentialHistogram.dataPoints[0].positive.offset",
        ),
    ],
)
def test_a_wrong_type_is_refused_with_its_path(payload, path):
    assert f"`{path}`" in reason(payload)


@pytest.mark.parametrize(
    "payload", [b"{", b'{"resourceLogs": [}', b'{"resourceLogs": []} x', b'{"resourceLogs": ["\xff"]}', b"{NaN}"]
)
def test_what_is_no_json_is_refused(payload):
    assert "not OTLP JSON logs" in reason(payload, decode_logs)


def test_a_refused_payload_leaves_nothing_in_the_columns_of_the_others():
    rnd = random.Random(3)
    good = max((json_bytes(odd_batches.metrics(rnd)) for _ in range(50)), key=len)
    late = json.loads(good)
    late["resourceMetrics"].append(
        {
            "scopeMetrics": [
                {
                    "metrics": [
                        {
                            "name": "h",
                            "histogram": {
                                "dataPoints": [
                                    {"count": "1", "bucketCounts": ["1", "1"], "explicitBounds": [1], "flags": "x"}
                                ]
                            },
                        }
                    ]
                }
            ]
        }
    )
    a, refused_a = decode_metrics([good, good], tables := Tables())
    b, refused_b = decode_metrics([good, json.dumps(late).encode(), good], others := Tables())
    assert not refused_a
    assert [r.message for r in refused_b] == [1]
    assert ROWS["metrics"](a, tables) == ROWS["metrics"](b, others)
    assert set(b.message.tolist()) == {0, 2}


def test_an_http_status_makes_a_span_an_error_as_number_and_as_text():
    def status(**value):
        return taken(span(attributes=[{"key": "a"}, {"key": "http.response.status_code", "value": value}])).error[0]

    assert status(intValue="500")
    assert status(intValue=503)
    assert status(stringValue="502")
    assert status(doubleValue=500.0)
    assert not status(intValue="499")
    assert not status(stringValue="50x")
