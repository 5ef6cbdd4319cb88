"""Attributes as text: what is remembered of short ones is what a fresh look says."""

from __future__ import annotations

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from aiops.wire.values import pair, text, worded

VALUES = [
    AnyValue(string_value="GET"), AnyValue(bool_value=True), AnyValue(double_value=0.5), AnyValue(bytes_value=b"\xff"),
    AnyValue(), AnyValue(string_value="long " * 200),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
def test_an_attribute_reads_the_same_however_often(value):
    raw = KeyValue(key="k", value=value).SerializeToString()
    found = pair(raw)
    assert found is not None
    for _ in range(2):
        assert worded(raw) == (found[0], text(found[1]))


@pytest.mark.parametrize("raw", [b"\xff\xff", b"\xff" * 1_000])
def test_what_is_no_attribute_has_no_words(raw):
    assert worded(raw) is None
    assert worded(raw) is None
