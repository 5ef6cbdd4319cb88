"""What crosses the internal topics comes back as it was, and is the same bytes whoever sends it."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from aiops.findings import EDGE_TERMS, TERMS, Findings
from aiops.records import encode
from aiops.signals import CELL, LogRow, MetricRows, TraceRows, WindowRows
from aiops.traces.assemble import Assemble
from aiops.traces.items import LogColumns, SpanColumns, TraceItems
from aiops.wire.resources import Entity
from streams import codec
from streams.codec_items import DecodedNames, DecodedShapes
from streams.codec_metrics import DescribedSeries, Metric
from tests.detect.telemetry import T
from tests.streams.sampled import Sample, ingested, sample


@pytest.fixture(scope="module")
def sent() -> Sample:
    return sample()


def named_rows(rows: WindowRows) -> Any:
    """All that window rows say, by names instead of codes."""
    metrics = [
        (
            part.series.tolist(), [part.table.describe(code) for code in part.codes.tolist()], part.cells.tobytes(),
            np.diff(part.bucket_offsets).tolist(), part.buckets.tobytes(),
            part.table.temporality[part.codes].tolist(),
        )
        for part in rows.metrics
    ]  # fmt: skip
    traces = named_traces(rows.traces) if rows.traces is not None else None
    return rows.source, rows.tenant, rows.window, rows.totals, metrics, rows.logs, traces


def named_traces(rows: TraceRows) -> Any:
    names, operations = rows.services, rows.operations

    def counted(codes: Any, counts: Any, *of: Any) -> list[Any]:
        named = [tuple(table[c] if table else c for table, c in zip(of, row, strict=True)) for row in codes.tolist()]
        return sorted(zip(named, counts.tolist(), strict=True))

    visits = zip(
        [names[s] for s in rows.visit.tolist()], rows.visit_hash.tolist(), rows.visit_counts.tolist(), strict=True
    )
    return (
        counted(rows.op, rows.op_counts, names, operations), counted(rows.call, rows.call_counts, names, operations),
        counted(rows.duration, rows.duration_counts, names, operations, None),
        counted(rows.own, rows.own_counts, names, operations, None), counted(rows.edge, rows.edge_counts, names, names),
        counted(rows.gap, rows.gap_counts, names, names, None),
        counted(rows.unseen, rows.unseen_counts, names, names, None), sorted(visits), rows.visit_events, rows.events,
    )  # fmt: skip


def named_items(items: TraceItems) -> Any:
    out: list[Any] = [items.source, items.tenant]
    for part in (items.spans, items.logs):
        if part is None:
            out.append(None)
            continue
        columns = {f.name: getattr(part, f.name) for f in fields(part)}
        columns["service"] = [items.services[k] for k in columns["service"].tolist()]
        if isinstance(part, SpanColumns):
            columns["name"] = [part.operations.raw[k] for k in part.name.tolist()]
            columns["peer"] = [part.peers.raw[k] if k >= 0 else None for k in part.peer.tolist()]
        else:
            columns["shape"] = [(part.shapes.texts[k], part.shapes.stems[k]) for k in part.shape.tolist()]
        out.append({
            name: (str(column.dtype), column.tolist()) if isinstance(column, np.ndarray) else column
            for name, column in columns.items() if name not in {"operations", "peers", "shapes"}
        })  # fmt: skip
    return out


def named_findings(found: Findings) -> Any:
    arrays = (found.terms, found.visits, found.failed, found.edge_terms, found.calls, found.placed)
    return (
        found.tenant, found.environment, found.time, found.services, found.edges, found.notes, found.totals, found.machines,
        [encode(a) for a in found.anomalies], [(a.shape, a.dtype, a.tobytes()) for a in arrays],
    )  # fmt: skip


# ---- there and back -----------------------------------------------------------------------------------------------------
def test_window_rows_come_back_as_they_were(sent):
    assert any(rows.metrics for rows in sent.rows)
    assert any(rows.logs for rows in sent.rows)
    assert any(rows.traces is not None for rows in sent.rows)
    for rows in sent.rows:
        assert named_rows(codec.decode_rows(codec.encode_rows(rows))) == named_rows(rows)


def test_trace_items_come_back_as_they_were(sent):
    assert {(items.spans is None, items.logs is None) for items in sent.items} == {(False, True), (True, False)}
    for items in sent.items:
        assert named_items(codec.decode_items(codec.encode_items(items))) == named_items(items)


def test_findings_come_back_as_they_were(sent):
    assert any(found.anomalies for found in sent.findings)
    assert any(found.notes for found in sent.findings)
    assert any(np.isnan(found.edge_terms).any() for found in sent.findings)
    for found in sent.findings:
        assert named_findings(codec.decode_findings(codec.encode_findings(found))) == named_findings(found)


def test_decoded_columns_can_be_written_to_and_are_aligned(sent):
    """Kernels are compiled for such arrays; others would be compiled for again."""
    spans = next(codec.decode_items(codec.encode_items(items)).spans for items in sent.items if items.spans is not None)
    assert spans is not None
    for name in ("trace", "span", "start", "service", "error"):
        flags = getattr(spans, name).flags
        assert (flags.writeable, flags.aligned, flags.c_contiguous) == (True, True, True), name


def items_of(n: int, peers: list[bytes]) -> TraceItems:
    """Spans and log records in one value."""
    numbers, codes = np.arange(n, dtype=np.uint64), np.arange(n, dtype=np.int32)
    trace = np.stack([numbers, numbers + np.uint64(1 << 63)], 1)
    spans = SpanColumns(
        DecodedNames([b"GET /%d" % k for k in range(n)]), DecodedNames(peers), np.arange(n, dtype=np.int64), trace, numbers,
        numbers, codes % 2, codes, codes % (len(peers) + 1) - np.int32(1), codes % 6, codes % 3 == 0,
        np.arange(n) + T, np.arange(n) + T + 5,
    )  # fmt: skip
    logs = LogColumns(
        DecodedShapes([b"shape <*> %d" % k for k in range(n)], [b"shape"] * n), np.arange(n, dtype=np.int64), trace, numbers,
        np.ones(n, np.int32), codes, codes % 2 == 0, np.arange(n) + T,
    )  # fmt: skip
    return TraceItems("otlp/0", "default", [("prod", "web"), ("prod", "cart")], spans, logs)


@pytest.mark.parametrize("n", [0, 1, 300, 70_000])
def test_tables_of_any_size_keep_their_codes_apart(n):
    """Codes take 1, 2 or 4 bytes, by the size of the table."""
    items = items_of(n, [b"db.shop.svc", b"10.0.0.7"])
    assert named_items(codec.decode_items(codec.encode_items(items))) == named_items(items)


def test_values_without_anything_in_them():
    rows = WindowRows("s/0", "default", T)
    assert named_rows(codec.decode_rows(codec.encode_rows(rows))) == named_rows(rows)
    nothing = np.empty(0)
    found = Findings(
        "default",
        "prod",
        T,
        [],
        np.empty((0, len(TERMS))),
        nothing,
        nothing,
        [],
        np.empty((0, len(EDGE_TERMS))),
        nothing,
    )
    assert named_findings(codec.decode_findings(codec.encode_findings(found))) == named_findings(found)
    items = TraceItems("s/0", "default", [("prod", "web")])
    assert named_items(codec.decode_items(codec.encode_items(items))) == [items.source, items.tenant, None, None]


def test_cells_of_one_point_or_many_come_back_bit_for_bit(rng):
    points = [0.0, 1.5, -2.25e-310, 1.7e307, -1e-5, 3.0, 0.0]
    ns = [T + 1 + k for k in range(len(points))]

    def series(k: int) -> Any:
        """Series `k` has the first points, as many as the draw says; the others are of any magnitude."""
        some = list(zip(ns, points, strict=True))[k % 7 :][: 1 + k % 3]
        data = [
            {"timeUnixNano": str(t), "startTimeUnixNano": str(T - k), "asDouble": v * float(rng.choice([1, 1e-3, 7]))}
            for t, v in some
        ]
        data += [{"timeUnixNano": str(T + 9), "flags": 1}] if k % 5 == 0 else []
        return {"name": f"m{k}", "gauge": {"dataPoints": data}}

    body = {"resourceMetrics": [{"resource": {}, "scopeMetrics": [{"metrics": [series(k) for k in range(60)]}]}]}
    (rows,), _ = ingested("metrics", body)
    cells = rows.metrics[0].cells
    assert {1, 2} <= set(cells["points"].tolist())
    assert (cells["stale_time"] > 0).any()
    assert named_rows(codec.decode_rows(codec.encode_rows(rows))) == named_rows(rows)


def gauges(n: int, resources: list[Any]) -> WindowRows:
    """`n` series of one point each, spread over resources."""
    point = {"timeUnixNano": str(T + 1), "asDouble": 0.25}
    parts = [
        {
            "resource": resource,
            "scopeMetrics": [
                {
                    "metrics": [{"name": f"m{k}", "gauge": {"dataPoints": [point]}} for k in range(n)][
                        i :: len(resources)
                    ]
                }
            ],
        }
        for i, resource in enumerate(resources)
    ]
    (rows,), _ = ingested("metrics", {"resourceMetrics": parts})
    return rows


def two_points(n: int = 3) -> WindowRows:
    """`n` series of two points each."""
    data = [{"timeUnixNano": str(T + 1 + k), "asDouble": 0.5 + k} for k in range(2)]
    metrics = [{"name": f"m{k}", "gauge": {"dataPoints": data}} for k in range(n)]
    (rows,), _ = ingested("metrics", {"resourceMetrics": [{"resource": {}, "scopeMetrics": [{"metrics": metrics}]}]})
    return rows


def test_a_cell_of_one_point_is_sent_as_that_point():
    rows = gauges(2000, [{}])
    # Besides identity and value: flags, time, entity and attributes are the same for all, and each series is a metric.
    assert len(codec.encode_rows(rows)) / 2000 < 8 + 8 + 2 + 20
    rows = two_points(2000)
    assert len(codec.encode_rows(rows)) / 2000 < 8 + 2 + 20 < CELL.itemsize


def test_resources_of_one_entity_are_one_entry():
    names = [{"key": "service.name", "value": {"stringValue": "web"}}]
    versions = [{"key": "telemetry.sdk.version", "value": {"stringValue": v}} for v in ("1", "2", "3")]
    rows = gauges(30, [{"attributes": [*names, version]} for version in versions])
    table = codec.decode_rows(codec.encode_rows(rows)).metrics[0].table
    assert isinstance(table, DescribedSeries)
    assert [entity.service for entity in table.entities] == ["web"]
    assert {table.describe(k).service for k in range(30)} == {"web"}


def test_cells_that_no_point_explains_come_back_bit_for_bit(rng):
    n = 200
    cells = np.frombuffer(rng.bytes(n * CELL.itemsize), CELL).copy()
    cells["points"] = rng.integers(0, 3, n)
    cells["stale_time"] = 0
    cells["first_time"] = cells["last_time"] = T + 5
    table = DescribedSeries(
        [Metric(b"m", b"s", 0, 0, False, b"")], np.zeros(n, np.int32), [Entity("prod", "web", "web-0")],
        np.zeros(n, np.int32), np.empty(0, np.uint8), np.zeros(2, np.int64), np.zeros(n, np.int32),
    )  # fmt: skip
    series = np.sort(rng.choice(1 << 62, n, replace=False)).astype(np.uint64)
    part = MetricRows(series, np.arange(n, dtype=np.int32), cells, np.zeros(n + 1, np.int64), np.empty(0), table)
    rows = WindowRows("s/0", "default", T, metrics=[part])
    assert named_rows(codec.decode_rows(codec.encode_rows(rows))) == named_rows(rows)


def test_descriptions_hold_every_kind_of_metric_and_attribute():
    value = {"timeUnixNano": str(T + 1), "startTimeUnixNano": str(T)}
    attributes = [
        {"key": "route", "value": {"stringValue": "/a\u00e9"}}, {"key": "n", "value": {"intValue": "-7"}},
        {"key": "ok", "value": {"boolValue": True}}, {"key": "x", "value": {"doubleValue": 0.5}},
        {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "1"}]}}},
        {"key": "long", "value": {"stringValue": "y" * 300}},
    ]  # fmt: skip
    histogram = {"count": "3", "sum": 1.0, "bucketCounts": ["1", "2", "0"], "explicitBounds": [0.5, 1.5]}
    exponential = {
        "count": "3",
        "sum": 4.0,
        "scale": 2,
        "zeroCount": "1",
        "positive": {"offset": 1, "bucketCounts": ["2"]},
    }
    metrics = [
        {"name": "g", "unit": "By", "gauge": {"dataPoints": [{**value, "asDouble": 1.0, "attributes": attributes}]}},
        {
            "name": "s",
            "sum": {"dataPoints": [{**value, "asInt": "4"}], "aggregationTemporality": 1, "isMonotonic": True},
        },
        {"name": "h", "histogram": {"dataPoints": [{**value, **histogram}], "aggregationTemporality": 2}},
        {"name": "e", "exponentialHistogram": {"dataPoints": [{**value, **exponential}], "aggregationTemporality": 1}},
        {"name": "q", "summary": {"dataPoints": [{**value, "count": "3", "sum": 2.0}]}},
    ]
    (rows,), _ = ingested("metrics", {"resourceMetrics": [{"resource": {}, "scopeMetrics": [{"metrics": metrics}]}]})
    part = codec.decode_rows(codec.encode_rows(rows)).metrics[0]
    found = {info.name: info for info in map(part.table.describe, part.codes.tolist())}
    assert {info.kind for info in found.values()} == {0, 1, 2, 3, 4}
    assert ("n", "-7") in found["g"].attributes
    assert found["h"].bounds == (0.5, 1.5)
    assert len(found["e"].bounds) > 100
    assert named_rows(codec.decode_rows(codec.encode_rows(rows))) == named_rows(rows)
    with pytest.raises(IndexError, match="series 5 is not one of 5"):
        part.table.describe(5)


# ---- the same bytes -----------------------------------------------------------------------------------------------------
def test_equal_content_is_equal_bytes_whatever_the_codes_of_the_sender(sent):
    other = sample(prelude=True)
    codes = [[part.codes.tolist() for rows in s.rows for part in rows.metrics] for s in (sent, other)]
    assert codes[0] != codes[1], "the senders have the same codes: nothing is compared"
    names = [[items.services for items in s.items] for s in (sent, other)]
    assert names[0] != names[1]
    assert [codec.encode_rows(rows) for rows in sent.rows] == [codec.encode_rows(rows) for rows in other.rows]
    assert [codec.encode_items(items) for items in sent.items] == [codec.encode_items(items) for items in other.items]


def test_what_was_decoded_is_encoded_to_the_same_bytes(sent):
    for data in map(codec.encode_rows, sent.rows):
        assert codec.encode_rows(codec.decode_rows(data)) == data
    for data in map(codec.encode_items, sent.items):
        assert codec.encode_items(codec.decode_items(data)) == data
    for data in map(codec.encode_findings, sent.findings):
        assert codec.encode_findings(codec.decode_findings(data)) == data


def test_trace_rows_are_the_same_bytes_in_whatever_order_they_were_counted(sent, rng):
    rows = next(rows for rows in sent.rows if rows.traces is not None)
    traces = rows.traces
    shuffled: dict[str, Any] = {}
    for name in ("op", "duration", "own", "edge", "gap", "unseen", "call", "visit"):
        order = rng.permutation(len(getattr(traces, name)))
        shuffled |= {column: getattr(traces, column)[order] for column in (name, f"{name}_counts")}
        if name == "visit":
            shuffled["visit_hash"] = traces.visit_hash[order]
    shuffled["visit_events"] = dict(reversed(traces.visit_events.items()))
    other = replace(rows, traces=replace(traces, **shuffled))
    assert other.traces.op.tolist() != traces.op.tolist()
    assert codec.encode_rows(other) == codec.encode_rows(rows)


def test_totals_and_notes_are_written_in_the_order_of_their_names(sent):
    rows = WindowRows("s/0", "default", T, {("b", "logs"): 1, ("a", "traces"): 2})
    assert codec.encode_rows(rows) == codec.encode_rows(replace(rows, totals=dict(reversed(rows.totals.items()))))
    found = next(found for found in sent.findings if len(found.notes) > 1)
    other = replace(found, notes=dict(reversed(found.notes.items())), totals=dict(reversed(found.totals.items())))
    assert codec.encode_findings(other) == codec.encode_findings(found)


def test_only_the_entries_of_a_table_that_are_used_travel():
    items = items_of(10, [b"db"])
    assert items.spans is not None
    spans = items.spans
    fuller = replace(items, spans=replace(spans, operations=DecodedNames([*spans.operations.raw, b"x" * 10_000])))
    assert codec.encode_items(fuller) == codec.encode_items(items)


def test_a_log_row_travels_with_its_exemplar():
    row = LogRow("prod", "web", b"request <*> took <*> ms \xff", 3, 1, 17, T + 4, "request 1 took 7 ms \ufffd")
    rows = WindowRows("s/0", "default", T, logs=[row, row._replace(service="cart")])
    assert codec.decode_rows(codec.encode_rows(rows)).logs == rows.logs


# ---- what the receiver keeps --------------------------------------------------------------------------------------------
def test_assemble_makes_the_same_rows_of_decoded_items_and_keeps_no_table_of_a_message(sent):
    direct, behind = (Assemble("t/0", ["otlp_logs/0", "otlp_spans/0"]) for _ in range(2))
    sizes = []
    for items in sent.items:
        direct.process(items)
        behind.process(codec.decode_items(codec.encode_items(items)))
        sizes.append(sum(len(codes) for _, codes in behind._maps._of.values()))
    assert behind.snapshot() == direct.snapshot()
    assert len(behind._maps._of) == 4, "services and operations or shapes of each of two sources"
    assert max(sizes[len(sizes) // 2 :]) <= max(sizes[: len(sizes) // 2]) + 2
