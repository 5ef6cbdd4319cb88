"""Columns against the official opentelemetry-proto objects, on odd batches and on mutated bytes."""

from __future__ import annotations

import random

import pytest
from google.protobuf.message import DecodeError

from aiops.columns import HISTOGRAM
from aiops.wire import SIGNALS, Tables
from aiops.wire.lenient import STRICT
from tests.wire import odd_batches, official
from tests.wire.rows import DECODE, ROWS

MAKE = {"logs": odd_batches.logs, "traces": odd_batches.traces, "metrics": odd_batches.metrics}
OFFICIAL = {"logs": official.logs, "traces": official.traces, "metrics": official.metrics}


def difference(signal, expected, got):
    """None when equal; series are compared as a partition: equal codes exactly where what makes one is equal."""
    if len(expected) != len(got):
        return f"{len(expected)} items expected, {len(got)} decoded"
    if signal == "metrics":
        pairs = {(a[0], b[0]) for a, b in zip(expected, got, strict=True)}
        if not len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}):
            return f"series differ: {pairs}"
        expected, got = [a[1:] for a in expected], [b[1:] for b in got]
    return next((f"expected {a}, got {b}" for a, b in zip(expected, got, strict=True) if a != b), None)


@pytest.mark.parametrize("signal", SIGNALS)
def test_columns_hold_what_the_official_objects_hold(signal, seed):
    rnd, tables, compared = random.Random(seed), Tables(), 0
    for _ in range(150):
        requests = [MAKE[signal](rnd) for _ in range(rnd.randrange(1, 5))]
        batch, refused = DECODE[signal]([r.SerializeToString() for r in requests], tables, "otlp_proto")
        assert not refused
        got = ROWS[signal](batch, tables)
        if signal == "metrics":
            expected = [row for kind in range(5) for r in requests for row in official.metrics(r) if row[1][1] == kind]
        else:
            expected = [row for r in requests for row in OFFICIAL[signal](r)]
        assert difference(signal, expected, got) is None
        per_message = [len(list(OFFICIAL[signal](r))) for r in requests]
        assert [batch.message.tolist().count(i) for i in range(len(requests))] == per_message
        compared += len(expected)
    assert compared > 500


@pytest.mark.parametrize("signal", SIGNALS)
def test_where_both_accept_mutated_bytes_both_read_the_same(signal, seed):
    rnd, equal = random.Random(seed + 1), 0
    for _ in range(600):
        payload = mutated(rnd, MAKE[signal](rnd).SerializeToString())
        try:
            request = STRICT[signal].FromString(payload)
        except DecodeError:
            request = None
        tables = Tables()
        batch, refused = DECODE[signal]([payload], tables, "otlp_proto")
        if request is None or refused or twice(request, tables):
            continue
        assert difference(signal, list(OFFICIAL[signal](request)), ROWS[signal](batch, tables)) is None
        equal += 1
    assert equal > 60


def twice(request, tables):
    """Whether mutation made what the comparison does not model: a broken resource, an enum out of its range."""
    if tables.resources.broken:
        return True
    known = {"service.name", "", "service.namespace", *odd_batches.RESOURCE_KEYS}
    groups = getattr(request, next(iter(request.DESCRIPTOR.fields_by_name)))
    keys = [[p.key for p in g.resource.attributes] for g in groups]
    if any(len(set(k)) != len(k) or not set(k) <= known for k in keys):
        return True
    for g in groups:
        for s in getattr(g, "scope_metrics", ()):
            for m in s.metrics:
                data = getattr(m, m.WhichOneof("data") or "gauge")
                if not 0 <= getattr(data, "aggregation_temporality", 0) <= 2:
                    return True
    return False


def mutated(rnd, payload):
    data = bytearray(payload)
    if rnd.random() < 0.15:
        return bytes(data[: rnd.randrange(len(data) + 1)])
    for _ in range(rnd.choice([1, 1, 1, 2, 4])):
        if data:
            i, action = rnd.randrange(len(data)), rnd.random()
            if action < 0.6:
                data[i] = rnd.randrange(256)
            elif action < 0.8:
                del data[i : i + rnd.choice([1, 1, 4])]
            else:
                data[i:i] = rnd.randbytes(rnd.choice([1, 2, 9]))
    return bytes(data)


def test_bucket_vectors_of_one_series_have_one_length(seed):
    rnd, tables = random.Random(seed), Tables()
    lengths: dict[int, set[int]] = {}
    for _ in range(200):
        batch, _ = DECODE["metrics"]([MAKE["metrics"](rnd).SerializeToString()], tables)
        for code, n in zip(
            batch.series.tolist(), (batch.bucket_offsets[1:] - batch.bucket_offsets[:-1]).tolist(), strict=True
        ):
            if n:
                lengths.setdefault(code, set()).add(n)
    assert all(len(n) == 1 for n in lengths.values())
    for code, n in lengths.items():
        info = tables.series.describe(code)
        assert n == {len(info.bounds) + 1}
        assert info.kind >= HISTOGRAM
