"""Recordings replayed: what is read, in which order, and what is written."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import cast

import pytest
from msgspec import structs

from aiops.engine import Engine, Step
from aiops.ingest.stage import Message
from aiops.recording import Recording, RecordingError, Sourced
from aiops.records import decode_anomaly, decode_incident, decode_notice, unix_ns
from aiops.replay import At, Options, Pace, Summary, drive, replay
from aiops.simulate import Fault, Simulation, write

SECOND = 10**9


@pytest.fixture(scope="module")
def day(tmp_path_factory) -> Path:
    """Half an hour; after twenty minutes shipping throws at every estimate."""
    folder: Path = tmp_path_factory.mktemp("day")
    faults = [Fault("code_error", 1200.0, 300.0, "shipping", strength=1.0)]
    write(Simulation(7, 0.5, faults, rate=2.0, wrong_clock=False), folder)
    return folder


@pytest.fixture(scope="module")
def run(day):
    """Replays the day; returns the lines written and the summary."""

    def replayed(**options):
        out = io.BytesIO()
        summary = replay(Recording(day), out, Options(**options))
        return out.getvalue().splitlines(), summary

    return replayed


@pytest.fixture(scope="module")
def everything(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    files = {name: folder / f"{name}.jsonl" for name in ("anomalies", "findings", "notices", "refused")}
    lines, summary = run(**files)
    return lines, summary, {name: path.read_bytes().splitlines() for name, path in files.items()}


def line_of(signal, second, service="a"):
    if signal == "changes":
        at = f"1970-01-02T00:{second // 60:02d}:{second % 60:02d}Z"
        row = {"change_id": f"c{second}", "time": at, "kind": "deploy", "service": service, "environment": "e"}
        return json.dumps(row).encode()
    time = str((86_400 + second) * SECOND)
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    if signal == "logs":
        record = {"timeUnixNano": time, "body": {"stringValue": f"request {second} handled"}}
        scopes = {"scopeLogs": [{"logRecords": [record]}]}
        return json.dumps({"resourceLogs": [{"resource": resource, **scopes}]}).encode()
    point = {"timeUnixNano": time, "asDouble": 1.0}
    scopes = {"scopeMetrics": [{"metrics": [{"name": "m", "gauge": {"dataPoints": [point]}}]}]}
    return json.dumps({"resourceMetrics": [{"resource": resource, **scopes}]}).encode()


def written(folder, **files):
    for signal, lines in files.items():
        (folder / f"{signal}.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    return Recording(folder)


# ---- reading ---------------------------------------------------------------------------------------------------------
def test_messages_of_all_files_come_in_order_of_arrival(tmp_path):
    recording = written(
        tmp_path,
        logs=[line_of("logs", s) for s in (0, 10, 30)],
        metrics=[line_of("metrics", s) for s in (5, 20)],
        changes=[line_of("changes", 7)],
    )
    got = [(source, m.arrival // SECOND - 86_400, m.offset) for source, m in recording.messages()]
    assert got[:3] == [("logs/0", 0, 0), ("metrics/0", 5, 0), ("changes/0", 7, 0)]
    assert got[3:] == [("logs/0", 10, 1), ("metrics/0", 20, 1), ("logs/0", 30, 2)]
    assert recording.sources == {"logs/0": "logs", "metrics/0": "metrics", "changes/0": "changes"}


def test_a_change_planned_for_long_after_the_telemetry_does_not_move_its_end(tmp_path):
    changes = [line_of("changes", second) for second in (5, 1000, 3000)]
    recording = written(tmp_path, logs=[line_of("logs", s) for s in (0, 10, 2000)], changes=changes)
    got = [(source, m.arrival // SECOND - 86_400) for source, m in recording.messages()]
    assert got[:3] == [("logs/0", 0), ("changes/0", 5), ("logs/0", 10)]
    assert got[3:] == [("changes/0", 1000), ("logs/0", 2000), ("changes/0", 2000)]


def test_an_offset_is_the_number_of_the_line_less_one_also_after_empty_lines(tmp_path):
    recording = written(tmp_path, logs=[line_of("logs", 0), b"", b"  ", line_of("logs", 1)])
    assert [m.offset for _, m in recording.messages()] == [0, 3]


def test_a_gzipped_file_reads_like_a_plain_one(tmp_path):
    recording = written(tmp_path, logs=[line_of("logs", s) for s in range(200)])
    plain = list(recording.messages())
    assert recording.read == recording.size
    text = (tmp_path / "logs.jsonl").read_bytes()
    (tmp_path / "logs.jsonl").unlink()
    (tmp_path / "logs.jsonl.gz").write_bytes(
        gzip.compress(text[: len(text) // 2]) + gzip.compress(text[len(text) // 2 :])
    )
    assert list(Recording(tmp_path).messages()) == plain


def test_split_spreads_the_same_messages_with_the_same_arrivals(tmp_path):
    recording = written(
        tmp_path, logs=[line_of("logs", s) for s in range(100)], changes=[line_of("changes", s) for s in (3, 9)]
    )
    split = recording.split(3, seed=1)
    assert sorted(split) == [f"{signal}/{i}" for signal in ("changes", "logs") for i in range(3)]
    assert all([m.offset for m in part] == list(range(len(part))) for part in split.values())
    together = sorted((m.arrival, m.value) for part in split.values() for m in part)
    assert together == sorted((m.arrival, m.value) for _, m in recording.messages())
    assert min(len(split[f"logs/{i}"]) for i in range(3)) > 10
    assert recording.split(3, seed=1) == split
    assert recording.split(3, seed=2) != split


def test_a_folder_without_telemetry_is_named(tmp_path):
    with pytest.raises(RecordingError, match="nowhere is no directory"):
        Recording(tmp_path / "nowhere")
    with pytest.raises(RecordingError, match=r"holds no telemetry: none of metrics\.jsonl"):
        Recording(tmp_path)
    (tmp_path / "changes.jsonl").touch()
    with pytest.raises(RecordingError, match="holds no telemetry"):
        Recording(tmp_path)


def test_a_signal_in_two_files_is_refused(tmp_path):
    (tmp_path / "logs.jsonl").touch()
    (tmp_path / "logs.jsonl.gz").touch()
    with pytest.raises(RecordingError, match="are both there"):
        Recording(tmp_path)


@pytest.mark.parametrize("damage", ["not gzip", "cut", "flipped"])
def test_a_damaged_gzip_file_is_named_with_the_line_before_the_damage(tmp_path, damage):
    packed = gzip.compress(b"".join(line_of("logs", s) + b"\n" for s in range(5000)))
    broken = {"not gzip": b"plain text\n", "cut": packed[:-100], "flipped": packed[:-8] + b"\0" * 8}[damage]
    (tmp_path / "logs.jsonl.gz").write_bytes(broken)
    with pytest.raises(RecordingError, match=r"logs\.jsonl\.gz is no readable gzip file: .*after line \d+"):
        list(Recording(tmp_path).messages())


# ---- end to end ------------------------------------------------------------------------------------------------------
def test_a_fault_becomes_an_incident_that_names_its_service(everything):
    lines, summary, _ = everything
    incidents = [decode_incident(line) for line in lines]
    assert summary.incidents == len({i.incident_id for i in incidents}) >= 1
    assert any(i.causes and i.causes[0].service == "shipping" for i in incidents)


def test_versions_of_an_incident_rise(everything):
    versions: dict[str, list[int]] = {}
    for line in everything[0]:
        incident = decode_incident(line)
        versions.setdefault(incident.incident_id, []).append(incident.version)
    assert all(seen == sorted(set(seen)) for seen in versions.values())


def test_final_is_the_last_version_of_each_sorted_by_id(everything, run):
    last = {}
    for line in everything[0]:
        last[decode_incident(line).incident_id] = line
    final, _ = run(final=True)
    assert final == [last[i] for i in sorted(last)]


def test_the_size_of_batches_changes_no_last_version(run):
    assert run(final=True, batch=1)[0] == run(final=True, batch=1000)[0]


def test_anomalies_findings_and_notices_are_written(everything):
    _, summary, files = everything
    opened = [a for a in map(decode_anomaly, files["anomalies"]) if a.state == "open"]
    assert len(opened) == summary.anomalies > 0
    assert len(files["findings"]) == summary.windows > 0
    assert len(list(map(decode_notice, files["notices"]))) == summary.notices
    findings = [json.loads(line) for line in files["findings"]]
    times = [unix_ns(f["time"]) for f in findings]
    assert times == sorted(times)
    assert any("shipping" in f["services"] and f["services"]["shipping"].get("novel", 0) > 1 for f in findings)
    assert any(edge["callee"] == "shipping" for f in findings for edge in f["edges"])


def test_the_summary_counts_every_item_once(everything, day):
    _, summary, _ = everything
    marks = {"traces": b'"spanId":', "logs": b'"severityNumber":', "metrics": b'"timeUnixNano":'}
    files = {s: gzip.decompress((day / f"{s}.jsonl.gz").read_bytes()) for s in marks}
    expected = {f"{s}/0": files[s].count(mark) for s, mark in marks.items()}
    changes = len((day / "changes.jsonl").read_bytes().splitlines())
    assert {s: n for s, n in summary.items.items() if n} == {**expected, **({"changes/0": changes} if changes else {})}
    assert not any(summary.refused.values())


def test_from_and_until_take_what_arrived_in_between(run, day):
    arrivals = [m.arrival for _, m in Recording(day).messages()]
    begin, until = arrivals[len(arrivals) // 3], arrivals[len(arrivals) // 2]
    _, summary = run(begin=begin, until=until)
    assert summary.messages == sum(begin <= a < until for a in arrivals)
    assert begin <= summary.begin <= summary.until < until


def test_a_span_without_arrivals_is_an_error(run):
    with pytest.raises(RecordingError, match=r"nothing arrived from 2030-01-01T00:00:00\.000Z"):
        run(begin=unix_ns("2030-01-01T00:00:00Z"))


def test_lines_that_do_not_decode_are_refused_by_number_and_the_rest_is_read(tmp_path):
    logs = [line_of("logs", s) for s in range(60)]
    logs[3:3] = [b"", b'{"resourceLogs": [']
    changes = [line_of("changes", 5), b'{"change_id": "x"}', b"[]"]
    recording = written(tmp_path, logs=logs, changes=changes)
    summary = replay(recording, io.BytesIO(), Options(refused=tmp_path / "refused"))
    refused = [json.loads(line) for line in (tmp_path / "refused").read_bytes().splitlines()]
    assert sorted((r["source"], r["line"]) for r in refused) == [("changes/0", 2), ("changes/0", 3), ("logs/0", 5)]
    assert all(r["reason"] for r in refused)
    assert summary.refused == {"changes/0": 2, "logs/0": 1}
    assert summary.items["logs/0"] == 60
    assert summary.items["changes/0"] == 1


# ---- the engine driven by hand ---------------------------------------------------------------------------------------
class Calls:
    """An engine that only writes down what it is told."""

    def __init__(self):
        self.made = []

    def process(self, source, messages):
        self.made.append((source, [m.offset for m in messages]))
        return Step()

    def idle(self, arrival):
        self.made.append(("idle", arrival))
        return Step()

    def end(self, arrival):
        self.made.append(("end", arrival))
        return Step()


def test_each_batch_is_taken_by_source_and_then_idle_sources_hear_of_it_and_at_last_of_the_end():
    engine = Calls()
    order = [("a", 0, 5), ("b", 0, 6), ("a", 1, 7), ("b", 1, 9), ("b", 2, 9)]
    messages = [Sourced(source, Message(offset, arrival, b"")) for source, offset, arrival in order]
    steps = list(drive(cast(Engine, engine), messages, batch=3))
    assert engine.made == [("a", [0, 1]), ("b", [0]), ("idle", 7), ("b", [1, 2]), ("idle", 9), ("end", 9)]
    assert [at.arrival for at in steps] == [7, 7, 7, 9, 9, 9]


def test_final_is_sorted_whatever_the_order_of_opening(run, everything, monkeypatch):
    one = decode_incident(everything[0][-1])
    versions = [structs.replace(one, incident_id=i, version=v) for i, v in (("b", 1), ("c", 1), ("a", 1), ("b", 2))]
    monkeypatch.setattr("aiops.replay.drive", lambda *_: iter([At(1, Step(incidents=versions))]))
    monkeypatch.setattr("aiops.replay.Summary", lambda: Summary(messages=1))
    out = [decode_incident(line) for line in run(final=True)[0]]
    assert [(i.incident_id, i.version) for i in out] == [("a", 1), ("b", 2), ("c", 1)]


# ---- pace ------------------------------------------------------------------------------------------------------------
class Wall:
    def __init__(self):
        self.now, self.slept = 0.0, []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


def test_a_paced_replay_takes_event_time_divided_by_the_speed():
    wall = Wall()
    messages = [Sourced("logs/0", Message(s, (86_400 + s) * SECOND, line_of("logs", s))) for s in range(0, 101, 5)]
    steps = drive(Engine({"logs/0": "logs"}), messages, pace=Pace(10.0, wall.sleep, lambda: wall.now))
    taken = [(at.arrival // SECOND - 86_400, wall.now) for at in steps]
    assert wall.now == pytest.approx(10.0)
    assert all(now <= second / 10.0 + 0.5 for second, now in taken[:-1])  # nothing waits for what comes after it


def test_without_messages_the_engine_takes_no_step():
    assert list(drive(Engine({"logs/0": "logs"}), [])) == []
