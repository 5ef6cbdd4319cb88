"""What the benchmark of root causes counts, and how it reads the public sets; on small made-up ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from aiops.causes.rank import N_TERMS
from benchmarks import root_cause, root_cause_bench, root_cause_petshop
from benchmarks.root_cause_days import Row, Table, since
from benchmarks.root_cause_onsets import Onset, failing_first, log_onset, series_onset
from benchmarks.root_cause_peers import ranking

COMMITS = [
    {"sha": "good", "message": "tidy handler", "files_changed": ["services/api/handler.go"], "timestamp": "2026-01-01T10:20:00Z",
     "diff": "@@ note: token\n-old\n+new"},
    {"sha": "bad", "message": "shorten token cache", "files_changed": ["pkg/token.go"], "timestamp": "2026-01-01T10:10:00Z",
     "diff": None},
    {"sha": "later", "message": "more", "files_changed": ["services/api/x.go"], "timestamp": "2026-01-01T10:59:00Z", "diff": ""},
]  # fmt: skip


def at(minute: float) -> str:
    return f"2026-01-01T10:{int(minute):02d}:{round(minute % 1 * 60):02d}Z"


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """``web`` calls ``api``, whose token cache was shortened at 10:25; both fail from 10:30 on, ``web`` alerts."""
    folder = tmp_path / "a-case"
    (folder / "data" / "context").mkdir(parents=True)
    lines = [{"timestamp": at(m), "service": s, "severity_text": "INFO", "msg": f"served {m} requests"}
             for m in range(0, 30, 2) for s in ("web", "api")]  # fmt: skip
    for m in (30, 31, 32):
        lines.append(
            {"timestamp": at(m), "service": "api", "severity_text": "ERROR", "msg": f"token expired for user {m}"}
        )
        lines.append(
            {"timestamp": at(m + 0.5), "service": "web", "severity_text": "ERROR", "msg": "upstream api answered 500"}
        )
    metrics = [f"{at(m)},{s},errors,{5.0 if m >= 30 else 0.1 + m % 2 / 100}" for m in range(34) for s in ("web", "api")]
    spans: list[dict[str, object]] = [
        {"trace_id": "t", "span_id": "a", "parent_id": None, "service": "web", "duration_ms": 9},
        {
            "trace_id": "same",
            "span_id": "b",
            "parent_id": "a",
            "service": "api",
            "duration_ms": 5,
            "error": "token expired",
        },
    ]
    spans = [{"name": "GET", "start": at(31), "status": "ERROR", **span} for span in spans]
    deploys = [{"timestamp": at(25), "service": "api", "commit_sha": "bad", "version": "v2"},
               {"timestamp": at(29), "service": "api", "commit_sha": "gone", "version": "v3"},
               {"timestamp": at(29.5), "service": "mail", "commit_sha": "other", "version": "v3"}]  # fmt: skip
    flags = [{"timestamp": at(20), "flag": "new_ui", "service": "web", "change": "off->on", "actor": "x"}]
    truth = {"root_cause_commit": "bad", "first_failing_service": "api", "decoy_deploy_commits": ["good"]}
    for name, of in (
        ("data/alert.json", {"service": "web", "fired_at": at(33)}),
        ("data/traces.json", spans),
        ("data/context/commits.json", COMMITS),
        ("data/context/deploys.json", deploys),
        ("data/context/flags.json", flags),
        ("ground_truth.json", truth),
    ):
        (folder / name).write_text(json.dumps(of))
    (folder / "data" / "logs.ndjson").write_text("\n".join(map(json.dumps, lines)))
    (folder / "data" / "metrics.csv").write_text("\n".join(["timestamp,service,metric,value", *metrics]))
    return folder


def test_places_are_counted_on_distinct_services():
    assert root_cause.place(["a", "a", "b"], "b") == 2
    assert root_cause.place(["a"], "b") is None
    assert root_cause.shares([1, 2, None, 4]) == {"n": 4, "ac1": 0.25, "ac3": 0.5, "avg5": 0.55}


def test_chance_of_ten_services():
    assert root_cause.chance(10) == pytest.approx({"ac1": 0.1, "ac3": 0.3, "avg5": 0.3})


def test_evidence_counts_from_the_onset_until_the_end_that_is_given():
    def row(time: int, value: float) -> Row:
        return Row(time, np.full((1, N_TERMS), value), np.array([value]))

    peak, first = since([row(1, 8.0), row(2, 3.5), row(3, 4.0), row(4, 9.0)], 1, 3, 2)
    assert peak.max() == 4.0
    assert first.tolist() == [2.0, np.inf]


def test_what_is_over_counts_by_half_and_what_lasts_in_full():
    def row(time: int, burst: float, fault: float) -> Row:
        return Row(time, np.array([[burst] * N_TERMS, [fault] * N_TERMS]), np.array([burst, fault]))

    rows = [row(time, 8.0 if time <= 6 else 0.0, 6.0) for time in range(1, 11)]
    peak, _ = since(rows, 0, 10, 2)
    lasting, _ = since(rows, 0, 10, 2, lasting=True)
    assert peak[0, 0] > peak[1, 0]
    assert lasting[:, 0].tolist() == [4.0, 6.0]


def test_peers_rank_by_the_best_column_and_one_sided():
    rows = np.array([[1.0, 5.0, 5.0], [2.0, 6.0, 6.0], [3.0, 7.0, 7.0]])
    table = Table(["a x", "b x", "b y"], ["a", "b", "b"], rows, np.array([[3.0, 9.0, 0.0], [2.0, 8.0, 1.0]]))
    assert ranking(table, "baro") == ranking(table, "nsigma") == ["b", "a"]
    fell = Table(["a x", "b x"], ["a", "b"], rows[:, :2], np.array([[2.5, -9.0], [2.4, -8.0]]))
    assert ranking(fell, "baro") == ["a", "b"]
    still = Table(["a x", "b x"], ["a", "b"], rows[:, :2], np.array([[2.5, 90.0], [2.4, 90.0]]))
    assert ranking(still, "baro") == ["a"], "what stands still is left out"


def test_an_onset_is_the_first_of_two_points_outside_of_what_was_usual():
    times, values = np.arange(40.0), np.tile([1.0, 1.02], 20)
    assert series_onset(times, values) is None
    values[20] = 9.0
    assert series_onset(times, values) is None, "one odd point is nothing"
    values[30:] = 0.2
    assert series_onset(times, values) == 30.0, "down counts as up does"
    assert series_onset(times[:6], values[:6]) is None


def test_a_line_that_was_there_before_is_no_onset():
    lines = [(1.0, 17, "retry"), (50.0, 17, "retry"), (60.0, 13, "slow"), (70.0, 9, "hello"), (80.0, 17, "lost")]
    assert log_onset(lines, 0.0, 100.0) == (60.0, True)
    assert log_onset(lines[:2], 0.0, 100.0) == (None, False)


def test_the_deepest_that_fails_below_the_alert_failed_first():
    found = {"web": Onset(100.0, True), "api": Onset(90.0, True), "db": Onset(80.0, True), "mail": Onset(10.0, False)}
    assert failing_first(found, [("web", "api"), ("api", "db"), ("web", "mail")], "web") == ["db", "api", "web", "mail"]


def test_a_callee_that_does_not_fail_or_fails_later_is_not_followed():
    quiet = {"web": Onset(100.0, True), "api": Onset(90.0, False)}
    assert failing_first(quiet, [("web", "api")], "web")[0] == "web"
    late = {"web": Onset(100.0, True), "api": Onset(400.0, True)}
    assert failing_first(late, [("web", "api")], "web")[0] == "web"
    circle = {"web": Onset(100.0, True), "api": Onset(90.0, True)}
    assert failing_first(circle, [("web", "api"), ("api", "web")], "web")[0] == "api"


def test_an_incident_of_the_bench_is_followed_to_the_service_that_failed_first(case):
    read = root_cause_bench.read(case)
    assert root_cause_bench.calls(read) == {("web", "api")}
    assert root_cause_bench.services(read) == ["api", "web"]


def test_a_change_that_the_errors_name_is_blamed_and_the_latest_is_not(case):
    read = root_cause_bench.read(case)
    found = root_cause_bench.blames(read)
    assert found[0].change.id == "bad"
    assert found[0].related > 0.0
    assert root_cause_bench.latest(read) == "other"
    assert "bad" not in {b.change.id for b in root_cause_bench.blames(read, withhold="bad")}


def test_commits_ride_along_with_the_next_deploy_of_their_folder_and_remarks_are_left_out(case):
    shipped = {c.id: c for c in root_cause_bench.read(case).shipped}
    assert set(shipped) == {"bad", "gone", "other", "good", "new_ui"}, "later was never deployed"
    assert shipped["good"].at == shipped["bad"].at
    assert "note" not in shipped["good"].text
    assert "+new" in shipped["good"].text


def test_a_case_becomes_messages_that_the_engine_reads(case):
    lines = root_cause_bench.engine_lines(root_cause_bench.read(case))
    assert {line.source for line in lines} == {"metrics/0", "logs/0", "traces/0", "changes/0"}
    assert [line.message.arrival for line in lines] == sorted(line.message.arrival for line in lines)
    root_cause_bench.through_engine(root_cause_bench.read(case))


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    """Four nodes: ``web`` calls ``cart`` and ``mail``, ``cart`` calls ``db``; ``cart`` is slow since the second row."""
    folder = tmp_path / "low_traffic"
    nodes = ["web", "cart", "db", "mail"]
    graph = {("web", "cart"), ("web", "mail"), ("cart", "db")}
    level, calls, rng = [0.1, 0.05, 0.02, 0.03], [100, 100, 200, 50], np.random.default_rng(1)
    for where, n, excess in (("noissue", 200, 0.0), ("train/issue_0", 5, 0.05)):
        (folder / where).mkdir(parents=True)
        lines = [["microservice", *nodes, *nodes], ["metric", *["latency"] * 4, *["requests"] * 4]]
        lines += [["statistic", *["Average"] * 4, *["Sum"] * 4], ["unix_timestamp", *[""] * 8]]
        for i in range(n):
            more = excess if 1 <= i <= 3 else 0.0
            values = [v * (1 + 0.01 * rng.normal()) + (more if k < 2 else 0.0) for k, v in enumerate(level)]
            lines.append([str(1e6 + 300 * i), *map(str, values), *map(str, calls)])
        lines[-1][4] = ""
        (folder / where / "metrics.csv").write_text("\n".join(map(",".join, lines)) + "\n")
    rows = [["", *nodes], *([a, *("1.0" if (a, b) in graph else "0.0" for b in nodes)] for a in nodes)]
    (folder / "graph.csv").write_text("\n".join(map(",".join, rows)) + "\n")
    target = {
        "target": {"node": "web", "metric": "latency", "agg": "Average", "timestamp": 1e6 + 400},
        "root_cause": {"node": "cart"},
    }
    (folder / "train" / "issue_0" / "target.json").write_text(json.dumps(target))
    return folder


def test_a_petshop_case_is_read_and_its_cause_found(scenario):
    (case,) = root_cause_petshop.cases(scenario)
    assert [case.nodes[a] + case.nodes[b] for a, b in case.edges] == ["webcart", "webmail", "cartdb"]
    assert np.isnan(case.rows.values["latency", "Average"][-1, case.nodes.index("mail")])
    assert root_cause_petshop.ranking(case)[0] == "cart"
    assert root_cause_petshop.traversal(case)[0] == "cart"


def test_peers_get_every_metric_of_a_case_since_its_onset(scenario):
    (case,) = root_cause_petshop.cases(scenario)
    table = root_cause_petshop.table(case)
    assert len(table.columns) == 8
    assert (table.normal.shape, table.fault.shape) == ((200, 8), (4, 8))


def test_planted_faults_reach_the_symptom_and_are_found(scenario):
    (case,) = root_cause_petshop.cases(scenario)
    planted = list(root_cause_petshop.planted(case, every=20))
    assert {root for _, root in planted} == {"web", "cart", "db", "mail"}
    assert [root_cause_petshop.ranking(one)[0] for one, _ in planted] == [root for _, root in planted]


def test_speed_is_measured(capsys):
    tally = root_cause.Tally(None)
    root_cause.speed(tally)
    assert set(tally.found) == {"root_cause.speed.evidence", "root_cause.speed.graph"}
    assert "CPU seconds" in capsys.readouterr().out
