"""Rules of detection in a file of their own, for a replay."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aiops.cli import main
from aiops.detect.rules import DetectConfig, EntityRule, MetricRule, problems
from aiops.errors import UserError
from aiops.section_file import read_section
from aiops.simulate import Simulation, write


def read_rules(path: Path) -> DetectConfig:
    return read_section(path, DetectConfig, problems)


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_rules_are_read_from_json(tmp_path):
    rules = {"metrics": [{"metric": "cpu.*", "watch": "off"}], "entities": [{"name": "host", "attribute": "host.id"}]}
    config = read_rules(written(tmp_path / "rules.json", json.dumps(rules)))
    assert config.metrics == (MetricRule(metric="cpu.*", watch="off"),)
    assert config.entities == (EntityRule("host", "host.id"),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "truncated"),
        ('{"metric": []}', "unknown field `metric`"),
        ('{"metrics": [{"watch": "sometimes"}]}', "sometimes"),
        ('{"metrics": [{"bar": 0.5}]}', r"detect.metrics\[0\].bar: 0.5 is below 2"),
    ],
)
def test_what_is_wrong_is_said_with_the_name_of_the_file(tmp_path, text, said):
    with pytest.raises(UserError, match=rf"rules.json: .*{said}"):
        read_rules(written(tmp_path / "rules.json", text))
    with pytest.raises(UserError, match=r"nowhere\.json: No such file"):
        read_rules(tmp_path / "nowhere.json")


def test_a_replay_obeys_the_rules_that_it_is_given(tmp_path):
    write(Simulation(7, 0.5, None, rate=1.0, wrong_clock=False), tmp_path / "day")
    (tmp_path / "day" / "traces.jsonl").unlink(missing_ok=True)
    config = written(tmp_path / "rules.json", '{"metrics": [{"metric": "*", "watch": "off"}], "full_series": 0}')
    out = tmp_path / "incidents.jsonl"
    anomalies = tmp_path / "anomalies.jsonl"
    assert (
        main(
            ["replay", str(tmp_path / "day"), "--detect", str(config), "--out", str(out), "--anomalies", str(anomalies)]
        )
        == 0
    )
    kinds = {json.loads(line)["kind"] for line in anomalies.read_text().splitlines()}
    assert "metric" not in kinds
    wrong = written(tmp_path / "wrong.json", '{"rules": []}')
    assert main(["replay", str(tmp_path / "day"), "--detect", str(wrong), "--out", str(out)]) == 2
