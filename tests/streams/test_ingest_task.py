"""A partition of a raw topic: what is sent, what is saved, what is dead."""

from __future__ import annotations

import orjson
import pytest

from aiops.signals import SECOND
from streams.layout import Layout
from streams.records import CONTROL, END, Out, Raw
from streams.tasks import ingest as module
from streams.tasks.ingest import IngestTask, Progress

T = 1_700_000_000 * SECOND
LAYOUT = Layout(traces=2, signals=3, findings=2)


def logs(offset: int, at: int, text: str = "hello", trace: str = "") -> Raw:
    record = {"timeUnixNano": str(at), "body": {"stringValue": text}, "severityNumber": 9}
    if trace:
        record |= {"traceId": trace, "spanId": "a1" * 8}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}]}
    value = orjson.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]})
    return Raw(offset, -(-at // 1_000_000) * 1_000_000, b"k", value, [])


def change(offset: int, at: int, service: str = "cart") -> Raw:
    body = {"change_id": f"c{offset}", "time": "2023-11-14T22:13:20Z", "kind": "deploy", "service": service}
    body |= {"environment": "production", "state": "finished", "summary": "s"}
    return Raw(offset, at, None, orjson.dumps(body), [])


def task(signal: str = "logs", progress: Progress | None = None) -> IngestTask:
    return IngestTask(f"otlp_{signal}", 1, signal, "auto", LAYOUT, progress)


def kinds(out: list[Out]) -> list[str]:
    return [dict(o.headers).get("kind", b"dead").decode() for o in out]


def test_a_window_goes_to_every_partition_and_the_clock_after_it():
    ingest = task()
    out = ingest.process([logs(0, T), logs(1, T + 5 * SECOND)])
    assert kinds(out) == ["clock"] * 5  # 2 traces partitions, 3 signals partitions
    out = ingest.process([logs(2, T + 31 * SECOND)])
    assert kinds(out) == ["rows"] * 3 + ["clock"] * 5
    assert [(o.topic, o.partition) for o in out[:3]] == [("aiops.signals", p) for p in range(3)]


def test_a_clock_is_told_only_when_it_passes_a_window():
    ingest = task()
    ingest.process([logs(0, T)])
    assert ingest.process([logs(1, T + SECOND), logs(2, T + 9 * SECOND)]) == []


def test_lines_of_a_trace_go_to_one_traces_partition():
    ingest = task()
    out = ingest.process([logs(k, T, trace="0b" * 16) for k in range(20)])
    items = [o for o in out if o.topic == "aiops.traces" and dict(o.headers)["kind"] == b"items"]
    assert len(items) == 1


def test_a_successor_begins_where_an_open_window_does_and_makes_no_closed_one_again():
    ingest = task()
    ingest.process([logs(0, T), logs(1, T + 12 * SECOND), logs(2, T + 31 * SECOND)])
    assert ingest.needed_from == 2  # windows at 0 and 10 s are closed at 31 s
    progress = Progress.of(ingest.progress.text())
    assert progress == Progress(ingest.clock, 3)
    again = task(progress=progress).process([logs(0, T), logs(1, T + 12 * SECOND), logs(2, T + 31 * SECOND)])
    assert "rows" not in kinds(again)


def test_a_foreign_commit_is_no_progress():
    for text in (None, "", "x", "[]", '{"closed_until": "soon"}'):
        assert Progress.of(text) == Progress()


def test_a_source_that_ticks_closes_its_windows():
    ingest = task()
    ingest.process([logs(0, T)])
    assert kinds(ingest.tick(T + 30 * SECOND)) == ["rows"] * 3 + ["clock"] * 5
    assert ingest.tick(T) == []


def test_what_does_not_decode_is_a_dead_letter_once():
    ingest = task()
    bad = Raw(1, T, b"key", b"\x00\xff nonsense", [("h", b"1")])
    out = ingest.process([logs(0, T), bad, logs(2, T)])
    dead = [o for o in out if o.topic == "otlp_logs.dlq"]
    assert [(o.key, o.value) for o in dead] == [(b"key", bad.value)]
    headers = dict(dead[0].headers)
    assert headers["h"] == b"1"
    assert headers["dlq.offset"] == b"1"
    assert headers["dlq.reason"]
    successor = task(progress=ingest.progress)
    assert not [o for o in successor.process([logs(0, T), bad]) if o.topic.endswith(".dlq")]


@pytest.mark.parametrize("value", [b"soon", b"", b"9" * 30, b"-5"])
def test_an_end_that_names_no_clock_is_a_message_like_any_other(value):
    out = task().process([Raw(0, T, None, value, [(CONTROL, END)])])
    assert "clock" not in kinds(out)


def test_the_end_of_input_moves_the_clock_but_no_further_than_an_hour():
    ingest = task()
    ingest.process([logs(0, T)])
    out = ingest.process([Raw(1, T, None, b"%d" % (T + 600 * SECOND), [(CONTROL, END)])])
    assert kinds(out)[:3] == ["rows"] * 3
    assert ingest.clock == T + 600 * SECOND
    ingest.process([Raw(2, T, None, b"%d" % (T + 10**6 * SECOND), [(CONTROL, END)])])
    assert ingest.clock == T + 3600 * SECOND


def test_changes_go_to_the_partition_of_their_environment_with_their_arrival():
    ingest = task("changes")
    out = ingest.process([change(0, T), Raw(1, T, None, b"{}", []), change(2, T + 12 * SECOND)])
    assert kinds(out) == ["change", "dead", "change", "clock", "clock"]
    headers = dict(out[0].headers)
    assert (headers["offset"], headers["arrival"]) == (b"0", b"%d" % T)
    assert out[0].partition == out[2].partition
    assert ingest.clock == T + 12 * SECOND - 1
    assert ingest.needed_from == 3


@pytest.mark.parametrize(
    ("signal", "kind", "body"),
    [
        ("alerts", "alert", {"name": "Slow", "status": "firing", "starts_at": "2023-11-14T22:13:20Z"}),
        (
            "commands",
            "command",
            {"command": "comment", "incident_id": "c", "author": "ann", "time": "2023-11-14T22:13:20Z"},
        ),
    ],
)
def test_alerts_and_commands_travel_as_changes_do(signal, kind, body):
    ingest = task(signal)
    said = [Raw(k, T + k, None, orjson.dumps({**body, "environment": "production"}), []) for k in range(2)]
    out = ingest.process([*said, Raw(2, T + 2, None, b'{"x": 1}', [])])
    assert kinds(out) == [kind, kind, "dead", "clock", "clock"]
    assert dict(out[1].headers)["arrival"] == b"%d" % (T + 1)
    assert {o.partition for o in out[:2]} == {task("changes").process([change(0, T)])[0].partition}
    assert ingest.needed_from == 3


def test_a_dead_letter_fits_a_record_whatever_the_message(monkeypatch):
    monkeypatch.setattr(module, "DEAD_VALUE", 100)
    ingest = task()
    bad = b"\x00\xff nonsense" * 20
    out = ingest.process([Raw(0, T, b"k", bad, [("h", b"1")]), Raw(1, T, b"k" * 70_000, bad[:50], [("h", b"1")])])
    (cut, bare) = [o for o in out if o.topic == "otlp_logs.dlq"]
    assert (cut.key, cut.value, dict(cut.headers)["h"]) == (b"k", bad[:100], b"1")
    assert dict(cut.headers)["dlq.cut"] == b"%d" % len(bad)
    assert (bare.key, bare.value) == (None, bad[:50])
    assert all(name.startswith("dlq.") and name != "dlq.cut" for name, _ in bare.headers)
