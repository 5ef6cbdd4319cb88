"""Event times of recorded lines, by resource."""

from __future__ import annotations

import json

import pytest

from aiops.event_times import event_times


def log_line(*times, resource="a"):
    records = [dict(zip(("timeUnixNano", "observedTimeUnixNano"), pair, strict=False)) for pair in times]
    return {"resource": {"attributes": [resource]}, "scopeLogs": [{"logRecords": records}]}


def logs(*resources):
    return json.dumps({"resourceLogs": list(resources)}).encode()


def newest(signal, line):
    return sorted(event_times(signal)(line).values())


def test_a_log_has_its_time_or_else_the_time_it_was_observed_at():
    assert newest("logs", logs(log_line(("5", "9")))) == [5]
    assert newest("logs", logs(log_line(("0", "9")))) == [9]
    assert newest("logs", logs(log_line((None, "9")))) == [9]


def test_each_resource_has_its_newest_time():
    line = logs(log_line(("5",), ("7",)), log_line(("3",), resource="b"), log_line(("6",)))
    assert newest("logs", line) == [3, 7]


def test_numbers_are_times_as_well_as_text():
    assert newest("logs", logs(log_line((5,)))) == [5]


def test_a_span_has_the_time_it_ended_at():
    spans = [{"startTimeUnixNano": "3", "endTimeUnixNano": "8"}, {"endTimeUnixNano": "7"}, {}]
    assert newest("traces", json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()) == [8]


@pytest.mark.parametrize("kind", ["gauge", "sum", "histogram", "exponentialHistogram", "summary"])
@pytest.mark.parametrize("value", ["1.5", "NaN", "Infinity"])
def test_points_of_every_kind_have_a_time_whatever_their_value(kind, value):
    points = f'[{{"timeUnixNano": "4", "asDouble": {value}}}, {{"timeUnixNano": "6"}}]'
    metrics = f'[{{"name": "m", "{kind}": {{"dataPoints": {points}}}}}]'
    assert newest("metrics", f'{{"resourceMetrics": [{{"scopeMetrics": [{{"metrics": {metrics}}}]}}]}}'.encode()) == [6]


def test_a_change_has_its_own_time():
    line = b'{"change_id": "1", "time": "1970-01-01T01:00:00.000000007+01:00", "kind": "deploy", "service": "a", '
    assert event_times("changes")(line + b'"environment": "e"}') == {"a": 7}


def test_an_alert_has_the_time_at_which_it_was_sent_or_at_which_what_it_says_happened():
    line = b'{"name": "a", "status": "firing", "starts_at": "1970-01-01T00:00:05Z", "source": "am"}'
    ended = line.replace(b"firing", b"resolved").replace(b"}", b', "ends_at": "1970-01-01T00:00:08Z"}')
    sent = ended.replace(b"}", b', "sent_at": "1970-01-01T00:00:09Z"}')
    assert [event_times("alerts")(one)["am"] for one in (line, ended, sent)] == [5 * 10**9, 8 * 10**9, 9 * 10**9]


def test_a_change_planned_for_the_next_century_has_no_time():
    line = b'{"change_id": "1", "time": "2200-01-01T00:00:00Z", "kind": "deploy", "service": "a", "environment": "e"}'
    assert event_times("changes")(line) == {}


@pytest.mark.parametrize("signal", ["metrics", "traces", "logs", "changes", "alerts", "commands"])
@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"null", b"[]", b"\xff", b"{}", b"NaN", b"[" * 100_000, b'{"resourceLogs": 1, "resourceSpans": null}'],
    ids=lambda line: line[:8],
)
def test_lines_that_cannot_be_read_have_no_times(signal, line):
    assert event_times(signal)(line) == {}


@pytest.mark.parametrize("time", ["-5", "0", str(2**62), str(2**63 - 1), str(2**63), str(2**64 - 1), "9" * 400])
def test_what_no_clock_can_show_is_no_time(time):
    assert newest("logs", logs(log_line((time,)))) == []
