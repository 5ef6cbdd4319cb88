"""Rules and dashboards speak of metrics that there are, and of pages that there are; promtool agrees."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aiops.engine import Engine

yaml = pytest.importorskip("yaml", reason="pyyaml comes with the extra kafka")

ROOT = Path(__file__).resolve().parents[1]
PROMETHEUS, GRAFANA = ROOT / "deploy" / "prometheus", ROOT / "deploy" / "grafana"
RULES = [yaml.safe_load((PROMETHEUS / f"aiops-{name}.yml").read_text()) for name in ("recording", "alerts")]
ENTRIES = [rule for file in RULES for group in file["groups"] for rule in group["rules"]]
ALERTS = [rule for rule in ENTRIES if "alert" in rule]
DASHBOARDS = sorted(GRAFANA.glob("*.json"))


def metrics():
    """Names that the engine's processes expose, as its documents and gauges name them, and those that rules record."""
    said = set(re.findall(r"\baiops_\w+", (ROOT / "docs" / "operating.md").read_text()))
    engine = Engine(
        {f"{signal}/0": signal for signal in ("metrics", "logs", "traces", "changes", "alerts", "commands")}
    )
    said |= {f"aiops_stage_{name}" for name in engine.gauges()}
    said |= {f"{name}_bucket" for name in said if name.endswith("_seconds")}
    return said | {rule["record"] for rule in ENTRIES if "record" in rule} | {"up"}


def asked(expression):
    names = set(re.findall(r"\b(?:aiops[_:][\w:]+|process_\w+|up)\b(?!\s*\()", re.sub(r"\{[^}]*\}", "", expression)))
    return {name for name in names if not name.startswith("process_")}


@pytest.mark.parametrize("rule", ENTRIES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_for_metrics_that_there_are(rule):
    assert asked(rule["expr"])
    assert not asked(rule["expr"]) - metrics()


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_has_a_page_that_says_what_to_do(rule):
    assert rule["labels"]["severity"] in {"page", "ticket"}
    page = ROOT / rule["annotations"]["runbook_url"]
    text = page.read_text()
    assert text.startswith(f"# {rule['alert']}\n")
    assert all(f"**{part}.**" in text for part in ("Means", "Impact", "Look at", "Do"))


def test_there_is_no_page_without_its_alert():
    pages = {path.stem for path in (ROOT / "docs" / "runbooks").glob("*.md")} - {"README"}
    assert pages == {rule["alert"] for rule in ALERTS}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_a_dashboard_asks_for_metrics_that_there_are(path):
    board = json.loads(path.read_text())
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert len(panels) > 8
    for panel in panels:
        assert panel["datasource"]["uid"] == "${datasource}"
        for target in panel["targets"]:
            assert not asked(target["expr"]) - metrics(), panel["title"]


def test_the_dashboards_are_what_the_code_builds():
    pytest.importorskip("grafana_foundation_sdk", reason="grafana-foundation-sdk comes with the extra test-kafka")
    done = subprocess.run(
        [sys.executable, GRAFANA / "build.py", "--check"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert len(DASHBOARDS) == 2


@pytest.mark.parametrize(
    "arguments",
    [("check", "rules", "aiops-recording.yml", "aiops-alerts.yml"), ("test", "rules", "aiops-tests.yml")],
    ids=["check", "test"],
)
def test_promtool_agrees(arguments):
    program = shutil.which("promtool")
    if program is None:
        reason = "promtool is not installed: apt-get install prometheus"
        if os.environ.get("AIOPS_REQUIRE_TOOLS") == "1":
            pytest.fail(f"AIOPS_REQUIRE_TOOLS is 1, and {reason}", pytrace=False)
        pytest.skip(reason)
    done = subprocess.run([program, *arguments], check=False, capture_output=True, text=True, cwd=PROMETHEUS)
    assert done.returncode == 0, done.stdout + done.stderr
