"""What the benchmarks share: which cases run, and what is written of them."""

from __future__ import annotations

import json

import pytest

from benchmarks import results

IDS = ["logs_500", "logs_100", "spans_4"]


def test_cases_are_chosen_by_a_word_of_their_id():
    assert results.options("A title.", IDS, 1.0, "a case", []).cases == IDS
    assert results.options("A title.", IDS, 1.0, "a case", ["--only", "logs"]).cases == IDS[:2]


def test_a_word_that_no_case_has_is_an_error_that_names_the_cases(capsys):
    with pytest.raises(SystemExit):
        results.options("A title.", IDS, 1.0, "a case", ["--only", "metrics"])
    said = capsys.readouterr().err
    assert "--only metrics: no case has that in its id; there are logs_500, logs_100, spans_4" in said


def test_results_are_written_with_where_they_come_from(tmp_path):
    path = tmp_path / "results.json"
    results.write(path, {"ingest.x": {"ratio": 2.0}}, quick=True)
    written = json.loads(path.read_text())
    assert written["results"] == {"ingest.x": {"ratio": 2.0}}
    assert written["about"]["quick"] is True
    assert {"python", "machine", "cores", "load_average"} < written["about"].keys()
