from __future__ import annotations

import json
import math
from typing import get_type_hints

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops import records
from aiops.records import (
    Alert,
    Anomaly,
    Cause,
    Change,
    Command,
    Correlation,
    Counts,
    Decision,
    Episode,
    Evidence,
    Exemplars,
    Feedback,
    FirstSymptom,
    Impact,
    Incident,
    Link,
    Member,
    Notice,
    Reason,
    RecordError,
    RelatedChange,
    SimilarIncident,
    SloBurn,
    Suppression,
    Window,
    decode_alert,
    decode_anomaly,
    decode_change,
    decode_command,
    decode_incident,
    decode_notice,
    encode,
    rfc3339,
)
from aiops.topology import Topology, TopologySpan, decode_topology

AT = rfc3339(1_700_000_000_000_000_000)
LATER = rfc3339(1_700_000_042_000_000_001)

ANOMALY = Anomaly(
    anomaly_id="b51bfe87f5c492c13fbbe3e1028b8c8d",
    version=2,
    state="update",
    tenant="default",
    environment="production",
    service="checkout",
    instance="checkout-1",
    peer="payment",
    kind="edge",
    signal="error ratio",
    onset=AT,
    window=Window(start=AT, end=LATER),
    observed=0.12,
    expected=0.004,
    lower=0.0,
    upper=0.01,
    direction="up",
    score=6.1,
    detector="robust",
    detector_version="3",
    statement="12 % of calls to payment fail (expected 0.4 %)",
    exemplars=Exemplars(logs=("timeout ü",), trace_ids=("0af7651916cd43dd8448eb211c80319c",)),
    attributes={"operation": "POST /pay"},
)
INCIDENT = Incident(
    incident_id="c",
    version=7,
    tenant="default",
    environment="production",
    state="open",
    severity="high",
    title="checkout: error ratio 12 %",
    summary="…",
    opened_at=LATER,
    onset_at=AT,
    updated_at=LATER,
    episodes=(Episode(opened_at=LATER),),
    settled=True,
    services=("checkout", "payment"),
    labels={"team": "shop"},
    causes=(
        Cause(
            rank=1,
            service="payment",
            kind="change",
            score=0.74,
            confidence=0.68,
            summary="deploy v2",
            evidence=(Evidence(type="change", ref="deploy-1", statement="42 s before", weight=1.9, onset=AT),),
            caveats=("few traces",),
        ),
    ),
    first_symptom=FirstSymptom(service="checkout", signal="error ratio", at=AT),
    impact=Impact(
        services=("web",), blast_radius=3, requests_affected_ratio=0.12, slo=(SloBurn(name="s", burn_rate=14.4),)
    ),
    correlation=Correlation(reasons=(Reason(type="topology", statement="2 hops"),)),
    counts=Counts(anomalies=37, suppressed=160, signals=12),
    members=(Member(anomaly_id="b5", service="checkout", signal="error ratio", state="open", onset=AT, score=6.1),),
    changes=(RelatedChange(change_id="deploy-1", summary="v2", reason="most_recent", score=0.9),),
    similar_incidents=(SimilarIncident(incident_id="d", score=0.8, resolution="rolled back", resolved_at=AT),),
    suppressed_by=(Suppression(by="maintenance", reason="planned"),),
    links=(Link(href="https://example.org", text="runbook"),),
    models={"metric": "robust@3"},
    engine_version="0.1.0",
    config_hash="0",
    log=(Decision(time=LATER, author="ann", command="assign", asked="team=shop", effect="assigned: team shop"),),
    feedback=Feedback(verdict="expected", author="ann", time=LATER),
)
CHANGE = Change(
    change_id="deploy-1", time=AT, kind="deploy", service="payment", environment="production", version_to="v2"
)
ALERT = Alert(
    alert_id="009f26c9cb292178", name="HighErrorRate", status="firing", starts_at=AT, service="checkout", severity="critical",
    labels={"route": "/pay"}, summary="5xx on /pay", source="alertmanager",
)  # fmt: skip
NOTICE = Notice(
    kind="silence",
    tenant="default",
    environment="production",
    source="otlp_spans-3",
    signal="spans",
    since=AT,
    text="no spans",
)
COMMAND = Command(command="merge", incident_id="c", author="ann", time=AT, arguments={"into": "d"})
TOPOLOGY = Topology(
    topology_id="e", version=9, tenant="default", environment="production", kind="edge", caller="checkout", callee="payment",
    state="present", calls_per_minute=12.5, since=LATER, first_seen=AT, last_seen=LATER, updated_at=LATER, reason="rate",
    earlier=(TopologySpan(since=AT, state="present", calls_per_minute=3.0, error_ratio=0.01),),
)  # fmt: skip

DECODERS = [
    (ANOMALY, decode_anomaly),
    (INCIDENT, decode_incident),
    (CHANGE, decode_change),
    (ALERT, decode_alert),
    (NOTICE, decode_notice),
    (COMMAND, decode_command),
    (TOPOLOGY, decode_topology),
]
NAMES = ["anomaly", "incident", "change", "alert", "notice", "command", "topology"]
EACH = pytest.mark.parametrize(("record", "decode"), DECODERS, ids=NAMES)
RECORD = pytest.mark.parametrize("record", [record for record, _ in DECODERS], ids=NAMES)


def change_line(**fields: object) -> bytes:
    return json.dumps({**json.loads(encode(CHANGE)), **fields}).encode()


@EACH
def test_what_is_written_is_read_again(record, decode):
    assert decode(encode(record)) == record
    assert encode(decode(encode(record))) == encode(record)


@RECORD
def test_every_field_is_written_in_order_of_declaration(record):
    written = json.loads(encode(record))
    assert list(written) == list(record.__struct_fields__)
    assert written["schema_version"] == "1.0"


@RECORD
def test_records_cannot_be_changed_in_place(record):
    with pytest.raises(AttributeError):
        record.schema_version = "2.0"


@EACH
def test_fields_of_a_later_minor_version_are_ignored(record, decode):
    later = {**json.loads(encode(record)), "schema_version": "1.7", "added_later": [1, {"a": None}]}
    assert msgspec.structs.replace(decode(json.dumps(later).encode()), schema_version="1.0") == record


@EACH
def test_another_major_version_is_refused(record, decode):
    with pytest.raises(RecordError, match=r"schema_version '2.0' is not 1.x"):
        decode(json.dumps({**json.loads(encode(record)), "schema_version": "2.0"}).encode())


def test_the_bytes_of_an_anomaly_never_change():
    # Golden: "same telemetry, same incidents" is a promise about these bytes.
    assert encode(msgspec.structs.replace(ANOMALY, exemplars=Exemplars(), attributes={"b": "2", "a": "1"})) == (
        b'{"schema_version":"1.0","anomaly_id":"b51bfe87f5c492c13fbbe3e1028b8c8d","version":2,"state":"update",'
        b'"tenant":"default","environment":"production","service":"checkout","instance":"checkout-1","peer":"payment",'
        b'"kind":"edge","signal":"error ratio","onset":"2023-11-14T22:13:20.000Z","window":{"start":'
        b'"2023-11-14T22:13:20.000Z","end":"2023-11-14T22:14:02.000000001Z"},"observed":0.12,"expected":0.004,'
        b'"lower":0.0,"upper":0.01,"direction":"up","score":6.1,"detector":"robust","detector_version":"3",'
        b'"statement":"12 % of calls to payment fail (expected 0.4 %)","exemplars":{"logs":[],"trace_ids":[]},'
        b'"attributes":{"a":"1","b":"2"},"one_in":null,"term":null,"learned":null,"tier":null}'
    )


@given(st.permutations(["a", "b", "c", "ä", "a.b"]))
def test_the_order_in_which_labels_came_does_not_show(keys):
    ordered = msgspec.structs.replace(INCIDENT, labels=dict.fromkeys(sorted(keys), "x"))
    assert encode(msgspec.structs.replace(INCIDENT, labels=dict.fromkeys(keys, "x"))) == encode(ordered)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back_to_the_last_bit(value):
    back = decode_anomaly(encode(msgspec.structs.replace(ANOMALY, observed=value))).observed
    assert back is not None
    assert (back, math.copysign(1.0, back)) == (value, math.copysign(1.0, value))


def test_numpy_scalars_are_written_as_the_numbers_they_hold():
    scalars = msgspec.structs.replace(ANOMALY, version=np.int64(2), observed=np.float64(0.12), score=np.float64(6.1))
    assert encode(scalars) == encode(ANOMALY)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_what_json_cannot_write_is_null_where_null_is_allowed_and_refused_where_not(value):
    assert decode_anomaly(encode(msgspec.structs.replace(ANOMALY, expected=value))).expected is None
    with pytest.raises(ValueError, match="anomaly score is"):
        msgspec.structs.replace(ANOMALY, score=value)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2024-03-31T02:30:00+02:00", "2024-03-31T00:30:00.000Z"),
        ("2023-12-31T19:00:00.5-05:00", "2024-01-01T00:00:00.500Z"),
        ("2024-01-01T00:00:00.123456789Z", "2024-01-01T00:00:00.123456789Z"),
    ],
)
def test_a_change_or_command_may_carry_any_offset_and_comes_back_in_utc(text, utc):
    assert decode_change(change_line(time=text)).time == utc
    line = json.dumps({**json.loads(encode(COMMAND)), "time": text}).encode()
    assert decode_command(line).time == utc


def test_a_change_needs_only_what_identifies_it():
    line = b'{"change_id":"1","time":"2024-01-01T00:00:00Z","kind":"flag","service":"web","environment":"production"}'
    assert decode_change(line).version_to is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"", "truncated"),
        (b"[]", "Expected `object`"),
        (b'{"change_id":"1"}', "time"),
        (change_line(time="yesterday"), "time 'yesterday' is no RFC 3339"),
        (change_line(time="2300-01-01T00:00:00Z"), "time '2300-01-01T00:00:00Z' is outside"),
        (change_line(time=1_700_000_000), "`$.time`"),
        (change_line(kind="party"), "`$.kind`"),
        (change_line(service=None), "`$.service`"),
        (change_line(service=""), "service is empty"),
        (change_line(change_id=""), "change_id is empty"),
        (b'{"change_id":"\xff"}', "change: "),
        (b'{"change_id":"\\ud800"}', "change: "),
        (b'{"x":' + b"[" * 100_000, "change: "),
    ],
    ids=repr,
)
def test_a_bad_change_is_refused_with_the_name_of_the_field(line, message):
    with pytest.raises(RecordError) as error:
        decode_change(line)
    assert message in str(error.value)
    assert str(error.value).startswith("change: ")


def test_an_alert_needs_a_name_and_since_when_and_takes_the_end_that_is_none():
    line = b'{"name": "Slow", "status": "firing", "starts_at": "2024-01-01T02:00:00+02:00", "ends_at": "0001-01-01T00:00:00Z"}'
    alert = decode_alert(line)
    assert (alert.starts_at, alert.ends_at, alert.environment) == ("2024-01-01T00:00:00.000Z", None, "default")
    for bad, said in ((b"Slow", "name is empty"), (b"firing", "`$.status`"), (b"2024-01-01T02", "starts_at")):
        with pytest.raises(RecordError, match=r"^alert: ") as error:
            decode_alert(line.replace(bad, b""))
        assert said in str(error.value)


def test_a_command_needs_an_author():
    with pytest.raises(RecordError, match="author is empty"):
        decode_command(encode(msgspec.structs.replace(COMMAND, author="")))


@given(st.binary(max_size=64))
def test_no_bytes_break_a_decoder(data):
    for _, decode in DECODERS:
        with pytest.raises(RecordError):
            decode(data)


def test_every_time_says_so_in_its_type():
    plain = [
        f"{record.__name__}.{name}"
        for record in vars(records).values()
        if isinstance(record, type) and issubclass(record, msgspec.Struct)
        for name, hint in get_type_hints(record, include_extras=True).items()
        if (name.endswith("_at") or name in {"onset", "time", "since", "until", "start", "end"}) and hint is str
    ]
    assert not plain
