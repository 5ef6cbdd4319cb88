"""Messages of one source -> sealed windows: neither polls nor repeats nor a restart change a row."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from aiops.detect.metric_rows import merge_rows
from aiops.ingest import stage
from aiops.ingest.normalise import FUTURE
from aiops.ingest.stage import Ingest, IngestOutput, Message
from aiops.signals import LATENESS, SECOND, WINDOW, due

START = 1_700_000_000 * SECOND
SIGNALS = ("metrics", "logs", "traces")
END = START + 10_000 * SECOND


def attributes(**values: str) -> list[Any]:
    return [{"key": k.replace("_", "."), "value": {"stringValue": v}} for k, v in values.items()]


def resource(service: str, instance: str = "") -> Any:
    return {
        "attributes": attributes(
            service_name=service, deployment_environment="prod", service_instance_id=instance or f"{service}-0"
        )
    }


def metric_message(service: str, points: list[tuple[str, int, float]]) -> bytes:
    """Points (name, time, value); names ending in _total are sums, so that kinds are mixed."""
    metrics: list[Any] = []
    for name, time, value in points:
        data: Any = {"dataPoints": [{"timeUnixNano": str(time), "asDouble": value}]}
        if name.endswith("_total"):
            metrics.append({"name": name, "sum": {**data, "aggregationTemporality": 2, "isMonotonic": True}})
        else:
            metrics.append({"name": name, "gauge": data})
    body = {"resourceMetrics": [{"resource": resource(service), "scopeMetrics": [{"metrics": metrics}]}]}
    return json.dumps(body).encode()


def log_message(service: str, lines: list[tuple[int, str, int]]) -> bytes:
    records = [
        {
            "timeUnixNano": str(t), "severityNumber": severity, "body": {"stringValue": text},
            "traceId": f"{1 + t % 7:032x}", "spanId": f"{3:016x}",
        }
        for t, text, severity in lines
    ]  # fmt: skip
    return json.dumps(
        {"resourceLogs": [{"resource": resource(service), "scopeLogs": [{"logRecords": records}]}]}
    ).encode()


def span_message(service: str, ends: list[tuple[int, str]]) -> bytes:
    spans = [
        {
            "traceId": f"{1 + end % 7:032x}", "spanId": f"{1 + i:016x}", "name": name, "kind": 2,
            "startTimeUnixNano": str(end - 5_000_000), "endTimeUnixNano": str(end),
        }
        for i, (end, name) in enumerate(ends)
    ]  # fmt: skip
    return json.dumps({"resourceSpans": [{"resource": resource(service), "scopeSpans": [{"spans": spans}]}]}).encode()


def drawn(signal: str, rng: np.random.Generator, n: int = 60) -> list[Message]:
    """A stream of about three minutes: late and early items, wrong clocks, repeats, garbage."""
    out: list[Message] = []
    for offset in range(n):
        arrival = START + offset * 3 * SECOND + int(rng.integers(SECOND))
        service = f"svc{rng.integers(3)}"
        if out and rng.random() < 0.1:
            out.append(Message(100 + offset, arrival, out[-1 - int(rng.integers(min(3, len(out))))].value))
            continue
        if rng.random() < 0.04:
            out.append(Message(100 + offset, arrival, b'{"not": otlp'))
            continue
        times = [arrival - int(rng.exponential(9 * SECOND)) for _ in range(int(rng.integers(1, 6)))]
        if rng.random() < 0.1:
            times.append(arrival + int(rng.integers(60 * SECOND)))
        if rng.random() < 0.1:
            times.append(int(rng.choice([0, arrival + 2 * FUTURE, 5])))
        if signal == "metrics":
            points = [(str(rng.choice(["cpu", "rps_total", "mem"])), t, float(rng.normal())) for t in times]
            value = metric_message(service, points)
        elif signal == "logs":
            value = log_message(
                service, [(t, f"took {t % 90} ms {rng.choice(list('abc'))}", int(rng.choice([9, 17]))) for t in times]
            )
        else:
            value = span_message(service, [(t, f"GET /{rng.choice(list('abc'))}") for t in times])
        out.append(Message(100 + offset, arrival, value))
    return out


def metric_content(parts: list[Any]) -> list[Any]:
    found = merge_rows(parts)
    if found is None:
        return []
    series, cells, offsets, buckets, source, place = found
    out = []
    for i, identity in enumerate(series.tolist()):
        part, row = parts[source[i]], place[i]
        info = part.table.describe(int(part.codes[row]))
        out.append((identity, info, cells[i].tobytes(), buckets[offsets[i] : offsets[i + 1]].tobytes()))
    return out


def sealed(outputs: list[IngestOutput]) -> list[Any]:
    """Rows of all outputs, free of codes and tables."""
    return [
        (r.source, r.tenant, r.window, sorted(r.totals.items()), metric_content(r.metrics), r.logs)
        for out in outputs
        for r in out.rows
    ]


def items(outputs: list[IngestOutput]) -> list[Any]:
    """What was routed on by trace, in order, by names."""
    out: list[Any] = []
    for found in outputs:
        if found.items is None:
            continue
        names, spans, logs = found.items.services, found.items.spans, found.items.logs
        if spans is not None:
            columns: Any = (
                spans.offset,
                spans.trace,
                spans.span,
                spans.parent,
                spans.kind,
                spans.error,
                spans.start,
                spans.end,
            )
            texts = zip(spans.service.tolist(), spans.name.tolist(), strict=True)
            told = [(names[service], spans.operations.raw[name]) for service, name in texts]
            out += zip(told, *(c.tolist() for c in columns), strict=True)
        if logs is not None:
            columns = (logs.offset, logs.trace, logs.span, logs.error, logs.time)
            texts = zip(logs.service.tolist(), logs.shape.tolist(), strict=True)
            told = [(names[service], logs.shapes.texts[shape]) for service, shape in texts]
            out += zip(told, *(c.tolist() for c in columns), strict=True)
    return [repr(item) for item in out]


def run(signal: str, messages: list[Message], size: int, ingest: Ingest | None = None, end: int = END):
    ingest = ingest or Ingest("raw/0", signal)
    outputs = [ingest.process(messages[i : i + size]) for i in range(0, len(messages), size)]
    outputs.append(ingest.advance(end))
    return ingest, outputs


@pytest.mark.parametrize("signal", SIGNALS)
def test_poll_sizes_change_neither_rows_nor_items_nor_counters(signal, rng):
    messages = drawn(signal, rng)
    one, outputs = run(signal, messages, len(messages))
    assert len(sealed(outputs)) > 10
    assert one.counters.late > 0
    assert one.counters.repeats > 0
    assert one.counters.replaced_times > 0
    for size in (1, 7):
        other, again = run(signal, messages, size)
        assert sealed(again) == sealed(outputs)
        assert items(again) == items(outputs)
        assert other.counters == one.counters
        assert other.clock == one.clock


@pytest.mark.parametrize("signal", SIGNALS)
def test_new_tables_at_every_poll_change_nothing(signal, rng, monkeypatch):
    messages = drawn(signal, rng)
    _, outputs = run(signal, messages, 5)
    monkeypatch.setattr(stage, "MAX_TABLE", 1)
    ingest, again = run(signal, messages, 5)
    assert ingest._tables.size < 12, "the tables were begun anew"
    assert sealed(again) == sealed(outputs)
    assert items(again) == items(outputs)


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_restart_from_the_oldest_needed_message_makes_the_rows_that_were_still_to_come(signal, rng):
    messages = drawn(signal, rng)
    for cut in range(3, len(messages), 4):
        first = Ingest("raw/0", signal)
        for message in messages[:cut]:
            first.process([message])
        needed = first.needed_from if first.needed_from is not None else messages[cut].offset
        rest = [first.process([message]) for message in messages[cut:]]
        rest.append(first.advance(END))
        second = Ingest("raw/0", signal, closed_until=_clock_after(signal, messages[:cut]))
        again = [m for m in messages if m.offset >= min(needed, messages[cut].offset)]
        _, outputs = run(signal, again, 3, second)
        assert sealed(outputs) == sealed(rest)
        assert set(items(outputs)) >= set(items(rest))


def _clock_after(signal: str, messages: list[Message]) -> int:
    ingest = Ingest("raw/0", signal)
    ingest.process(messages)
    return ingest.clock


def test_the_oldest_needed_message_is_the_oldest_of_any_kind_of_point():
    ingest = Ingest("raw/0", "metrics")
    sum_, gauge = metric_message("a", [("rps_total", START, 1.0)]), metric_message("a", [("cpu", START, 1.0)])
    ingest.process([Message(7, START, sum_), Message(8, START, gauge)])
    assert ingest.needed_from == 7


def test_nothing_is_needed_when_nothing_is_open():
    ingest = Ingest("raw/0", "logs")
    needed = [ingest.needed_from]
    ingest.process([Message(3, START, log_message("a", [(START, "x", 9)]))])
    needed.append(ingest.needed_from)
    ingest.advance(END)
    assert [*needed, ingest.needed_from] == [None, 3, None]


@pytest.mark.parametrize(("lag", "late"), [(0, 0), (WINDOW + LATENESS - 1, 0), (WINDOW + LATENESS, 1)])
def test_an_item_is_late_from_the_moment_its_window_is_due(lag, late):
    ingest, window = Ingest("raw/0", "logs"), START - START % WINDOW
    now = window + lag
    outputs = [
        ingest.process([Message(0, now, log_message("a", [(now, "now", 9)]))]),
        ingest.process([Message(1, now, log_message("b", [(window, "then", 9)]))]),
        ingest.advance(END),
    ]
    assert ingest.counters.late == late
    rows = [row for out in outputs for r in out.rows for row in r.logs if row.service == "b"]
    assert len(rows) == 1 - late


def test_items_of_one_message_are_not_late_for_each_other():
    ingest = Ingest("raw/0", "logs")
    ingest.process([Message(0, START, log_message("a", [(START, "now", 9), (START - 3600 * SECOND, "then", 9)]))])
    assert ingest.counters.late == 0


def test_a_window_is_sealed_once_when_the_clock_has_passed_it_by_the_lateness():
    ingest, window = Ingest("raw/0", "logs"), START - START % WINDOW
    ingest.process([Message(0, START, log_message("a", [(START, "now", 9)]))])
    assert ingest.advance(due(window) - 1).rows == []
    assert [r.window for r in ingest.advance(due(window)).rows] == [window]
    assert ingest.advance(END).rows == []


def test_a_tick_never_turns_a_clock_back():
    ingest = Ingest("raw/0", "logs")
    ingest.process([Message(0, START, log_message("a", [(START, "now", 9)]))])
    assert ingest.advance(START - 5).clock == START


def test_a_repeat_is_counted_and_not_summed():
    ingest = Ingest("raw/0", "metrics")
    value = metric_message("a", [("cpu", START, 2.0)])
    outputs = [
        ingest.process([Message(0, START, value), Message(1, START + 4 * SECOND, value)]),
        ingest.process([Message(2, START + 5 * SECOND, value)]),
        ingest.advance(END),
    ]
    assert ingest.counters.repeats == 2
    assert [r.metrics[0].cells["points"].tolist() for out in outputs for r in out.rows] == [[1]]
    assert ingest.counters.items == 1


def test_a_repeat_of_items_ahead_of_their_arrival_is_found_as_long_as_their_window_is_open():
    ingest = Ingest("raw/0", "metrics")
    value = metric_message("a", [("cpu", START + 200 * SECOND, 2.0)])
    ingest.process([Message(0, START, value)])
    ingest.process([Message(1, START + 150 * SECOND, metric_message("b", [("cpu", START + 150 * SECOND, 1.0)]))])
    ingest.process([Message(2, START + 160 * SECOND, value)])
    assert ingest.counters.repeats == 1


def test_messages_without_times_of_their_own_may_be_equal_and_real():
    ingest = Ingest("raw/0", "logs")
    value = log_message("a", [(0, "started", 9)])
    ingest.process([Message(0, START, value), Message(1, START, value)])
    assert (ingest.counters.repeats, ingest.counters.items) == (0, 2)


def test_what_cannot_be_decoded_is_refused_by_its_offset_each_time_it_comes():
    ingest = Ingest("raw/0", "logs")
    good = log_message("a", [(START, "x", 9)])
    out = ingest.process([Message(5, START, b"{"), Message(6, START, good), Message(9, START, b"{")])
    assert [r.message for r in out.refused] == [5, 9]
    assert ingest.counters.refused == 2
    assert ingest.counters.items == 1


def test_values_that_are_not_finite_are_counted_and_left_out():
    ingest = Ingest("raw/0", "metrics")
    body = metric_message("a", [("cpu", START, 1.0), ("mem", START, 7.5)]).replace(b"7.5", b'"NaN"')
    ingest.process([Message(0, START, body)])
    (rows,) = ingest.advance(END).rows
    assert ingest.counters.not_finite == 1
    assert len(rows.metrics[0].series) == 1
    assert rows.totals == {("prod", "metrics"): 1}


def test_a_span_whose_end_was_replaced_keeps_its_length():
    ingest = Ingest("raw/0", "traces")
    out = ingest.process([Message(0, START, span_message("a", [(START + 3 * FUTURE, "GET")]))])
    assert out.items is not None
    assert out.items.spans is not None
    assert (int(out.items.spans.start[0]), int(out.items.spans.end[0])) == (START - 5_000_000, START)


def test_totals_count_what_each_environment_sent():
    ingest = Ingest("raw/0", "logs")
    a, b = log_message("a", [(START, "x", 9)] * 3), log_message("b", [(START, "y", 9)] * 2)
    ingest.process([Message(0, START, a), Message(1, START, b.replace(b'"prod"', b'"test"'))])
    (rows,) = ingest.advance(END).rows
    assert rows.totals == {("prod", "logs"): 3, ("test", "logs"): 2}


def test_a_signal_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="'profiles' is not one of"):
        Ingest("raw/0", "profiles")


def test_tables_are_begun_anew_when_most_of_what_they_hold_is_gone(monkeypatch):
    """Pods come and go; and a name may be as long as a message."""
    monkeypatch.setattr(stage, "LEAST_TABLE", 40)
    ingest, sizes = Ingest("raw/0", "metrics"), []
    for window in range(60):
        at = START + window * WINDOW
        ingest.process([Message(window, at, metric_message("a", [(f"cpu.{window}.{k}", at, 1.0) for k in range(5)]))])
        sizes.append(ingest._tables.size)
    assert max(sizes) < 60
    monkeypatch.setattr(stage, "LEAST_TABLE", 10_000)
    monkeypatch.setattr(stage, "MAX_TABLE_BYTES", 20_000)
    for window in range(60, 90):
        at = START + window * WINDOW
        ingest.process([Message(window, at, metric_message("a", [(f"{window} " + "x" * 3_000, at, 1.0)]))])
        sizes.append(ingest._tables.text_bytes)
    assert max(sizes[60:]) < 30_000
