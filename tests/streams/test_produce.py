"""Recorded lines become protobuf messages that say the same, each item once, whatever the number of partitions."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from itertools import islice
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiops.recording import Recording
from aiops.simulate import Simulation, write
from aiops.wire import SIGNALS, Tables
from aiops.wire.json_values import write as write_message
from aiops.wire.lenient import STRICT
from aiops.wire.otlp_json import request
from streams.produce_partition import murmur2, partition_of
from streams.produce_split import LIMIT, Split
from tests.wire import odd_batches
from tests.wire.rows import DECODE, ROWS
from tests.wire.test_otlp_json import MAKE

RECORDED = ("2022-08-22", "2023-01-29")


def rows(signal, payloads, encoding, tables):
    batch, refused = DECODE[signal](payloads, tables, encoding)
    return ROWS[signal](batch, tables), refused


def assert_the_same(signal, lines, partitions=4, limit=LIMIT):
    """What is decoded of the lines' messages is what is decoded of the lines; returns the messages."""
    split, tables = Split(signal, partitions, limit), Tables()
    messages = []
    for line in lines:
        parts = split.parts(line)
        messages += parts
        expected, refused = rows(signal, [line], "otlp_json", tables)
        if refused:
            assert [(p.value, p.refused, p.items) for p in parts] == [(line, True, 0)]
            continue
        assert not any(p.refused for p in parts)
        found, refused = rows(signal, [p.value for p in parts], "otlp_proto", tables)
        assert not refused
        assert sum(p.items for p in parts) == len(expected)
        if partitions == 1:
            assert found == expected
        else:
            assert Counter(map(repr, found)) == Counter(map(repr, expected))
        assert all(0 <= p.partition < partitions for p in parts)
    return messages


# ---- requests that hypothesis makes -----------------------------------------------------------------------------------
def some(**fields):
    """An object with some of the fields."""
    return st.fixed_dictionaries({}, optional=fields)


def requests_of(signal, wrong):
    """Requests, `wrong` ones with a value here and there that OTLP does not allow."""

    def rarely(bad, good):
        return st.one_of(*[good] * 60, st.sampled_from(bad)) if wrong else good

    def identifier(digits):
        right = st.one_of(
            st.text("0123456789abcdefABCDEF", min_size=digits, max_size=digits), st.sampled_from(["", None])
        )
        return rarely(["abc", "zz" * (digits // 2), " " * digits], st.one_of(right, st.just("0" * digits)))

    def data(points, **more):
        return st.fixed_dictionaries({"dataPoints": st.lists(points, min_size=1, max_size=3)}, optional=more)

    texts = st.one_of(st.text(max_size=6), st.sampled_from(["\x00", "a" * 300, "\N{GRINNING FACE}"]))
    numbers = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 2**63).map(str), st.none(), st.just(0))
    whole = rarely([-1, 2**64, "1.5", "", "x", True], numbers)
    unread = st.one_of(numbers, st.sampled_from([-1, 2**32, "x", "1.5"]))  # by the engine: no reason to refuse
    small = rarely(
        [-(2**31) - 1, 2**31, "a"], st.one_of(st.integers(-(2**31), 2**31 - 1), st.none(), st.sampled_from([2, 3]))
    )
    bits = rarely([-1, 2**32, "a"], st.one_of(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, "1", None])))
    finite = st.one_of(
        st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["NaN", "-Infinity", "1e5", 7])
    )
    doubles = rarely(["", "1e", "inf", "0x1"], finite)
    unread_doubles = st.one_of(finite, st.sampled_from(["", "inf"]))
    signed = rarely(
        [2**63, "1_0", 1.5], st.integers(-(2**63), 2**63 - 1).flatmap(lambda n: st.sampled_from([n, str(n)]))
    )
    any_value = st.deferred(
        lambda: some(
            stringValue=texts,
            boolValue=st.booleans(),
            intValue=signed,
            doubleValue=doubles,
            bytesValue=rarely(["*"], st.sampled_from(["", "AQID"])),
            arrayValue=some(values=st.lists(any_value, max_size=2)),
            kvlistValue=some(values=st.lists(some(key=texts, value=any_value), max_size=2)),
        )
    )
    keys = st.one_of(st.sampled_from(["service.name", "http.status_code", "host.name", "peer.service", None]), texts)
    attributes = st.one_of(st.none(), st.lists(some(key=keys, value=any_value), max_size=2))
    resource = st.one_of(st.none(), some(attributes=attributes, droppedAttributesCount=bits))
    scope = st.one_of(st.none(), some(name=texts, version=texts, attributes=attributes, droppedAttributesCount=unread))
    trace = st.one_of(st.sampled_from(TRACES), identifier(32))
    if signal == "logs":
        groups, scopes, members = "resourceLogs", "scopeLogs", "logRecords"
        member = some(
            timeUnixNano=whole, observedTimeUnixNano=whole, severityNumber=small, severityText=texts, body=any_value,
            attributes=attributes, droppedAttributesCount=unread, flags=unread, traceId=trace, spanId=identifier(16),
            eventName=texts,
        )  # fmt: skip
    elif signal == "traces":
        groups, scopes, members = "resourceSpans", "scopeSpans", "spans"
        event = some(timeUnixNano=whole, name=texts, attributes=attributes)
        link = some(traceId=identifier(32), spanId=identifier(16), attributes=attributes)
        member = some(
            traceId=trace, spanId=identifier(16), parentSpanId=identifier(16), name=texts, kind=small, traceState=texts,
            startTimeUnixNano=whole, endTimeUnixNano=whole, attributes=attributes, flags=unread,
            status=st.one_of(st.none(), some(code=small, message=texts)),
            events=st.lists(event, max_size=2), links=st.lists(link, max_size=2),
        )  # fmt: skip
    else:
        groups, scopes, members = "resourceMetrics", "scopeMetrics", "metrics"
        counts = st.lists(whole.filter(lambda n: n is not None), max_size=4)
        common = {"timeUnixNano": whole, "startTimeUnixNano": whole, "attributes": attributes, "flags": bits}
        distribution = {**common, "count": whole, "sum": doubles, "min": unread_doubles, "max": unread_doubles}
        numeric = some(**common, asDouble=doubles, asInt=signed)
        buckets = some(offset=small, bucketCounts=counts)
        bounds = st.lists(doubles, max_size=3)
        exponential = {
            "scale": st.integers(-10, 20), "zeroCount": whole, "positive": buckets, "negative": buckets,
        }  # fmt: skip
        quantile = some(quantile=unread_doubles, value=unread_doubles)
        member = some(
            name=texts, unit=texts, description=texts,
            gauge=data(numeric),
            sum=data(numeric, aggregationTemporality=small, isMonotonic=st.booleans()),
            histogram=data(
                some(**distribution, bucketCounts=counts, explicitBounds=bounds), aggregationTemporality=small
            ),
            exponentialHistogram=data(some(**distribution, **exponential), aggregationTemporality=small),
            summary=data(some(**distribution, quantileValues=st.lists(quantile, max_size=2))),
        )  # fmt: skip
    inner = st.fixed_dictionaries(
        {members: st.lists(member, min_size=1, max_size=3)}, optional={"scope": scope, "schemaUrl": texts}
    )
    outer = st.fixed_dictionaries(
        {scopes: st.lists(inner, min_size=1, max_size=2)}, optional={"resource": resource, "schemaUrl": texts}
    )
    made = st.fixed_dictionaries({groups: st.lists(outer, min_size=1, max_size=2)})
    return made.map(lambda request: json.dumps(request).encode())


TRACES = ["8b51e36eaee3265bec099d0c5c63fd37", "00000000000000000000000000000001", "0" * 32]
MANY = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("wrong", [False, True], ids=["right", "wrong"])
@pytest.mark.parametrize("signal", SIGNALS)
def test_the_messages_of_any_request_hold_what_it_holds_and_what_is_refused_goes_as_it_stands(signal, wrong):
    seen: Counter[str] = Counter()

    @MANY
    @given(st.lists(requests_of(signal, wrong), min_size=1, max_size=2), st.sampled_from([1, 3]))
    def check(lines, partitions):
        for part in assert_the_same(signal, lines, partitions):
            seen["refused" if part.refused else "items"] += 1

    check()
    assert seen["items"] > (10 if wrong else 80)
    assert (seen["refused"] > 5) is wrong


@pytest.mark.parametrize("signal", SIGNALS)
def test_odd_requests_of_the_decoder_tests_survive_and_so_do_they_cut_into_small_messages(signal, seed):
    rnd = random.Random(seed)
    lines = [odd_batches.json_bytes(MAKE[signal](rnd, odd_ids=False)) for _ in range(150)]
    whole_messages = assert_the_same(signal, lines, 1)
    cut = assert_the_same(signal, lines, 1, limit=60)
    assert len(cut) > 2 * len(whole_messages)


# ---- recordings ---------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def day(tmp_path_factory):
    folder = tmp_path_factory.mktemp("day")
    write(Simulation(11, 1.0, "auto", rate=1.5), folder)
    return folder


def lines_of(path):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        yield from (line.strip() for line in file)


def assert_all_fields_are_kept(signal, lines):
    """Also those that the engine does not read."""
    split = Split(signal, 1)
    for line in lines:
        write_message(request(signal, line), expected := STRICT[signal]())
        found = STRICT[signal]()
        for part in split.parts(line):
            found.MergeFromString(part.value)
        assert found == expected


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_simulated_day_is_the_same_in_protobuf(day, signal):
    path = Recording(day).files[f"{signal}/0"]
    messages = assert_the_same(signal, lines_of(path))
    assert {p.partition for p in messages} == {0, 1, 2, 3}
    assert_all_fields_are_kept(signal, islice(lines_of(path), 50))


@pytest.mark.data
@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("name", RECORDED)
def test_recorded_days_are_the_same_in_protobuf(recorded_data, name, signal):
    path = Recording(recorded_data / "nezha" / name).files[f"{signal}/0"]
    assert_the_same(signal, islice(lines_of(path), 200))
    assert_all_fields_are_kept(signal, islice(lines_of(path), 5))


# ---- what goes where ----------------------------------------------------------------------------------------------------
def traced(*ids, service="cart"):
    about = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    spans = [{"traceId": t, "spanId": f"{i + 1:016x}", "endTimeUnixNano": 5} for i, t in enumerate(ids)]
    return json.dumps({"resourceSpans": [{"resource": about, "scopeSpans": [{"spans": spans}]}]}).encode()


def logged(*ids, service="cart"):
    about = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    records = [{"traceId": t, "timeUnixNano": 7} for t in ids]
    return json.dumps({"resourceLogs": [{"resource": about, "scopeLogs": [{"logRecords": records}]}]}).encode()


def gauges(*services, value=1.0):
    return json.dumps({
        "resourceMetrics": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
                "scopeMetrics": [
                    {"metrics": [{"name": "m", "gauge": {"dataPoints": [{"timeUnixNano": 9, "asDouble": value}]}}]}
                ],
            }
            for service in services
        ]
    }).encode()  # fmt: skip


@pytest.mark.parametrize(
    ("key", "signed"),
    [("21", -973932308), ("foobar", -790332482), ("a-little-bit-long-string", -985981536), ("abc", 479470107)],
)
def test_the_hash_of_a_key_is_that_of_kafkas_java_client(key, signed):
    assert murmur2(key.encode()) == signed % 2**32


def test_spans_and_log_records_of_a_trace_go_to_the_partition_of_its_id():
    rnd = random.Random(1)
    ids = [f"{rnd.getrandbits(128):032x}" for _ in range(40)]
    for split, line in ((Split("traces", 5), traced(*ids)), (Split("logs", 5), logged(*ids))):
        parts = split.parts(line)
        assert sum(p.items for p in parts) == 40
        assert sorted(p.partition for p in parts) == sorted({partition_of(bytes.fromhex(t), 5) for t in ids})
        for part in parts:
            found = STRICT[split.signal].FromString(part.value)
            for group in found.resource_spans if split.signal == "traces" else found.resource_logs:
                for inner in group.scope_spans if split.signal == "traces" else group.scope_logs:
                    for item in inner.spans if split.signal == "traces" else inner.log_records:
                        assert partition_of(item.trace_id, 5) == part.partition


def test_a_message_of_one_trace_has_its_id_as_key_and_one_of_several_has_none():
    (one,) = Split("traces", 1).parts(traced(TRACES[0], TRACES[0]))
    (several,) = Split("traces", 1).parts(traced(TRACES[0], TRACES[1]))
    assert one.key == bytes.fromhex(TRACES[0])
    assert several.key is None


def test_what_belongs_to_no_trace_goes_to_the_partition_of_its_resource_in_whatever_order_its_attributes_come():
    pairs = [{"key": k, "value": {"stringValue": v}} for k, v in (("service.name", "cart"), ("host.name", "h1"))]
    found = []
    for attributes in (pairs, pairs[::-1]):
        made = {"resource": {"attributes": attributes}, "scopeLogs": [{"logRecords": [{}, {"traceId": "0" * 32}]}]}
        found += Split("logs", 64).parts(json.dumps({"resourceLogs": [made]}).encode())
    assert len({(p.key, p.partition) for p in found}) == 1
    assert found[0].key is not None
    assert partition_of(found[0].key, 64) == found[0].partition
    spread = {Split("metrics", 8).parts(gauges(f"service-{i}"))[0].partition for i in range(60)}
    assert spread == set(range(8))


def test_resources_and_scopes_stay_as_they_were_around_their_items():
    line = json.dumps({
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": s}}]},
                "schemaUrl": f"r-{s}",
                "scopeSpans": [
                    {"scope": {"name": n}, "schemaUrl": f"s-{n}", "spans": [{"traceId": t, "name": n} for t in TRACES[:2]]}
                    for n in ("x", "y")
                ],
            }
            for s in ("cart", "cart", "pay")
        ]
    }).encode()  # fmt: skip
    for part in Split("traces", 64).parts(line):
        shape = [
            (
                g.resource.attributes[0].value.string_value,
                g.schema_url,
                [(s.scope.name, s.schema_url) for s in g.scope_spans],
            )
            for g in STRICT["traces"].FromString(part.value).resource_spans
        ]
        scopes = [("x", "s-x"), ("y", "s-y")]
        assert shape == [("cart", "r-cart", scopes), ("cart", "r-cart", scopes), ("pay", "r-pay", scopes)]


def test_a_line_greater_than_a_message_may_be_is_cut_between_items_and_between_points():
    spans = traced(*TRACES[:1] * 500)
    parts = Split("traces", 1, limit=2000).parts(spans)
    assert len(parts) > 10
    assert max(len(p.value) for p in parts) < 2500
    points = [{"timeUnixNano": i, "asInt": i} for i in range(500)]
    metrics = [{"name": "m", "sum": {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": points}}]
    parts = assert_the_same(
        "metrics", [json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}).encode()], 1, limit=1000
    )
    assert len(parts) > 5


def test_equal_lines_give_equal_messages_and_equal_parts_of_other_lines_do_not():
    split = Split("metrics", 64)  # enough that each service has a partition of its own
    first, other, third = gauges("cart", "pay"), gauges("cart", "web"), gauges("cart", "db")
    of_cart = [split.parts(line)[:] for line in (first, other, third, first, other)]
    key = Split("metrics", 64).parts(gauges("cart"))[0].key
    values = [next(p.value for p in parts if p.key == key) for parts in of_cart]
    assert len(set(values)) == 3
    assert values[3:] == values[:2]
    tables = Tables()
    decoded = [rows("metrics", [value], "otlp_proto", tables) for value in values]
    assert all(found == decoded[0] for found in decoded)


def test_a_part_that_comes_in_ever_new_lines_grows_by_some_bytes_only():
    split = Split("metrics", 64)
    sizes = []
    key = split.parts(gauges("cart"))[0].key
    for i in range(3000):
        sizes += [len(p.value) for p in split.parts(gauges("cart", f"s{i}")) if p.key == key and p.items == 1]
    assert max(sizes) - min(sizes) <= 4 * 12


def test_alerts_and_commands_go_by_what_must_stay_in_order():
    alert = {
        "name": "Slow",
        "status": "firing",
        "starts_at": "2025-03-03T08:00:00Z",
        "alert_id": "f1",
        "service": "cart",
    }
    said = {"command": "comment", "incident_id": "c", "author": "ann", "time": "2025-03-03T08:00:00Z"}
    for signal, record, key in (("alerts", alert, b"f1"), ("commands", said, b"c")):
        line = json.dumps(record).encode()
        assert Split(signal, 6).parts(line) == [(partition_of(key, 6), key, line, 1, False)]


def test_changes_go_as_they_stand_to_the_partition_of_their_service():
    change = {
        "change_id": "c1", "time": "2025-03-03T08:00:00Z", "kind": "deploy", "service": "cart", "environment": "prod",
    }  # fmt: skip
    line = json.dumps(change).encode()
    assert Split("changes", 6).parts(line) == [(partition_of(b"cart", 6), b"cart", line, 1, False)]
    (broken,) = Split("changes", 6).parts(b'{"change_id": 1}')
    assert (broken.key, broken.value, broken.refused) == (None, b'{"change_id": 1}', True)


@pytest.mark.parametrize(("depth", "as_it_stands"), [(40, False), (60, True), (120, True)])
def test_what_is_nested_deeper_than_protobuf_is_read_goes_as_it_stands(depth, as_it_stands):
    value: dict[str, Any] = {"stringValue": "x"}
    for _ in range(depth):
        value = {"arrayValue": {"values": [value]}}
    line = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": value}]}]}]}).encode()
    (part,) = Split("logs", 4).parts(line)
    assert (part.value == line) is part.refused is as_it_stands
