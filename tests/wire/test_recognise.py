"""Which encoding a payload is in: a protobuf request may look like white space and a brace."""

from __future__ import annotations

import random

import pytest

from aiops.wire import SIGNALS, Tables, decode_logs, decode_spans, recognise
from aiops.wire.lenient import STRICT
from tests.wire import odd_batches


@pytest.mark.parametrize(
    "payload", [b"{}", b" {}", b'\n{\n "resourceLogs": []}', b"\n{ }\n", b'\xef\xbb\xbf{"a": 1}', b'\t{"\xc3\xa9"']
)
def test_json_is_recognised(payload):
    assert recognise(payload) == "otlp_json"


@pytest.mark.parametrize(
    "payload", [b"", b"\n", b"\n\x00", b"\n{", b'\n{\n"\n\x00', b"\x0a\x7b\x0a\x22\x0a", b"plain text", b"[]"]
)
def test_everything_else_is_protobuf(payload):
    assert recognise(payload) == "otlp_proto"


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_request_of_every_length_is_protobuf(signal):
    # Length 0x7b after the tag 0x0a reads as a line feed and a brace.
    field = {"logs": "resource_logs", "traces": "resource_spans", "metrics": "resource_metrics"}[signal]
    seen = set()
    for size in range(200):
        request = STRICT[signal]()
        group = getattr(request, field).add()
        group.resource.attributes.add(key="service.name").value.string_value = "x" * size
        payload = request.SerializeToString()
        seen.add(payload[1:2])
        assert recognise(payload) == "otlp_proto"
        request = STRICT[signal]()
        getattr(request, field).add(schema_url="x" * size)
        assert recognise(request.SerializeToString()) == "otlp_proto"
    assert b"{" in seen


def test_random_requests_are_protobuf(seed):
    rnd = random.Random(seed)
    assert all(recognise(odd_batches.logs(rnd).SerializeToString()) == "otlp_proto" for _ in range(300))


def test_a_given_encoding_is_obeyed_and_an_unknown_one_is_refused():
    _, refused = decode_logs([b"{}"], Tables(), "otlp_proto")
    assert [r.message for r in refused] == [0]
    _, refused = decode_spans([b""], Tables(), "otlp_json")
    assert [r.message for r in refused] == [0]
    with pytest.raises(ValueError, match="encoding 'xml' is not one of 'auto'"):
        decode_logs([], Tables(), "xml")


def test_no_payloads_are_no_items():
    batch, refused = decode_logs([], Tables())
    assert len(batch) == 0
    assert not refused
