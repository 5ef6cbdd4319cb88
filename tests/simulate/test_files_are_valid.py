"""The lines are OTLP/JSON as a Collector's file exporter writes it, in an order in which they could have arrived."""

from __future__ import annotations

import gzip
import re
from typing import Any

import orjson
import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from aiops.records import Change
from aiops.simulate import Fault, Simulation, write
from aiops.simulate.calls import TIMEOUT_S
from aiops.simulate.delivery import MAX_DELAY_S
from aiops.simulate.pods import STEP

REQUESTS: dict[str, Any] = {
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "traces": ExportTraceServiceRequest,
}
HEX = re.compile(r"[0-9a-f]+")
TIME = re.compile(rb'"(?:timeUnixNano|endTimeUnixNano)":"(\d+)"')
LONG = {"timeUnixNano", "observedTimeUnixNano", "startTimeUnixNano", "endTimeUnixNano", "asInt", "intValue", "count"}


def members(value):
    """Every (name, value) of all objects in a JSON document."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name, inner
            yield from members(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from members(inner)


@pytest.mark.parametrize("signal", REQUESTS)
def test_a_line_has_the_fields_of_the_protocol_and_no_others(quiet, signal):
    lines = [line for _, kind, line in quiet.lines if kind == signal]
    for line in lines[:: max(1, len(lines) // 25)]:
        json_format.Parse(line, REQUESTS[signal]())  # raises on unknown fields; it mangles ids


@pytest.mark.parametrize("signal", REQUESTS)
def test_wide_integers_are_text_and_ids_are_hex(quiet, signal):
    lines = [line for _, kind, line in quiet.lines if kind == signal]
    for line in lines[:: max(1, len(lines) // 25)]:
        for name, value in members(orjson.loads(line)):
            if name in LONG:
                assert isinstance(value, str)
                assert value.isdigit()
            elif name in ("traceId", "spanId", "parentSpanId"):
                assert HEX.fullmatch(value)
                assert len(value) == (32 if name == "traceId" else 16)
            elif name == "bucketCounts":
                assert all(count.isdigit() for count in value)


def test_histograms_are_consistent(quiet):
    found = 0
    for _, signal, line in quiet.lines[::5]:
        if signal == "metrics" and b"bucketCounts" in line:
            for name, value in members(orjson.loads(line)):
                if name == "histogram":
                    for point in value["dataPoints"]:
                        assert sum(map(int, point["bucketCounts"])) == int(point["count"])
                        assert len(point["bucketCounts"]) == len(point["explicitBounds"]) + 1
                        found += 1
    assert found > 100


def test_sums_grow_until_their_start_moves(with_fault):
    seen = with_fault("memory_leak", "search")
    last: dict[str, tuple[float, float]] = {}
    resets = 0
    for p in seen.points:
        if p.name == "http.server.request.duration":
            start, value = last.get(p.pod, (p.start, 0.0))
            resets += p.start > start
            assert p.start > start or (p.start == start and p.value >= value)
            last[p.pod] = (p.start, p.value)
    assert resets


def test_every_span_has_its_parent_in_the_same_trace_and_lies_within_it(with_fault, quiet):
    for seen in (quiet, with_fault("gc_pause", "recommendation", strength=2.0)):
        by_id = {s.id: s for s in seen.spans}
        assert len(by_id) == len(seen.spans)
        roots = {s.trace for s in seen.spans if not s.parent}
        for s in seen.spans:
            assert s.end >= s.start
            assert s.trace in roots
            if not s.parent:
                assert s.service == "gateway"
                continue
            parent = by_id[s.parent]
            assert parent.trace == s.trace
            gave_up = parent.kind == 3 and parent.end - parent.start >= TIMEOUT_S - 0.001
            if s.kind != 5 and not gave_up:
                assert parent.start - 1e-6 <= s.start
                assert s.end <= parent.end + 1e-6


def test_spans_of_one_trace_arrive_in_several_requests(quiet):
    requests: dict[bytes, set[int]] = {}
    for number, (_, signal, line) in enumerate(quiet.lines):
        if signal == "traces":
            for trace in re.findall(rb'"traceId":"(\w+)"', line):
                requests.setdefault(trace, set()).add(number)
    assert max(map(len, requests.values())) > 3


def test_most_logs_belong_to_a_trace_and_some_do_not(quiet):
    bound = [line for line in quiet.logs if line.trace]
    assert 0.8 < len(bound) / len(quiet.logs) < 0.99
    traces = {s.trace for s in quiet.spans}
    assert all(line.trace in traces for line in bound)


def test_lines_stand_in_order_of_arrival_soon_after_what_they_tell(quiet, with_fault):
    for seen in (quiet, with_fault("gc_pause", "recommendation", strength=2.0)):
        newest = last_arrival = 0.0
        for arrival, signal, line in seen.lines:
            if signal == "changes":
                continue
            assert arrival >= last_arrival
            last_arrival = arrival
            times = [int(ns) / 1e9 - seen.simulation.start_unix for ns in TIME.findall(line)]
            assert max(times) <= arrival, "nothing arrives before it has happened"
            assert min(times) >= arrival - STEP - MAX_DELAY_S - 0.2
            assert max(times) >= newest - 10.0
            newest = max(newest, *times)


def test_one_host_with_a_wrong_clock_is_wrong_by_a_constant(observed):
    simulation = Simulation(3, 0.1, None)
    seen = observed(simulation)
    offset = simulation.wrong_clock_ns / 1e9
    assert offset
    wrong = {p.node for p in seen.points if not -10.0 < p.time < 500.0}
    assert len(wrong) == 1
    for p in seen.points:
        assert -1.0 < p.time - (offset if p.node in wrong else 0.0) < 400.0
    services = {p.service for p in seen.points if p.node in wrong} - {""}
    assert services
    assert services <= {p.service for p in seen.points if p.node not in wrong}, "each has a pod with a right clock"


def test_a_folder_holds_the_lines_the_truth_and_changes_that_the_engine_reads(tmp_path):
    faults = [Fault("bad_deploy", 300.0, 300.0, "search")]
    simulation = Simulation(4, 0.25, faults, rate=1.0, change_spacing_s=200.0)
    written = write(simulation, tmp_path)
    spans = gzip.decompress((tmp_path / "traces.jsonl.gz").read_bytes()).count(b'"spanId"')
    assert spans == written.spans > 1000
    rows = (tmp_path / "changes.jsonl").read_bytes().splitlines()
    assert len(rows) == written.changes == len(simulation.changes())
    names = {"change_id", "time", "kind", "service", "environment", "version_from", "version_to", "state", "summary"}
    for row in map(orjson.loads, rows):
        assert set(row) == names | {"author", "url"}
        Change(**row)
    truth = orjson.loads((tmp_path / "truth.json").read_bytes())
    context = orjson.loads((tmp_path / "context.json").read_bytes())
    assert {"time_unix", "duration_s", "service", "pod", "kind"} <= set(truth["faults"][0])
    assert context["end_unix"] - context["start_unix"] == 900.0
    assert ["gateway", "catalog"] in context["calls"]


def test_the_wrong_clock_may_be_chosen():
    assert Simulation(3, 0.1, None, wrong_clock=-90.0).truth()["wrong_clock_offset_s"] == -90
    assert Simulation(3, 0.1, None, wrong_clock=False).truth()["wrong_clock_offset_s"] == 0
