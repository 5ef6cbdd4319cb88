"""The section `detect` of the configuration: what it may say, what is wrong, and how it is shown."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiops.config import EngineConfig
from aiops.detect.rules import Challenger, EntityRule, MetricRule
from aiops.errors import UserError
from streams.settings_text import as_yaml, reference
from tests.streams.configured import configured

RULES = """
detect:
  full_series: 500
  metrics:
    - {metric: "http.*", service: web, kind: latency, direction: both, least: 0.5, least_share: 0.3, bar: 5, watch: full}
    - {metric: "*.cache.*", watch: off}
  entities:
    - {name: device, attribute: device.id, value: max, most: 50}
  challengers:
    - {detector: HalfSpaceTrees, parameters: {n_trees: 5, seed: "3"}, watch: "http.*"}
"""


@pytest.fixture
def read(tmp_path: Path) -> Any:
    return partial(configured, tmp_path)


def test_rules_are_read_and_enter_the_digest(read):
    detect = read(RULES).engine_config().detect
    assert detect.full_series == 500
    assert detect.metrics[0] == MetricRule("http.*", "web", "*", "latency", "both", 0.5, 0.3, 5.0, "full")
    assert detect.metrics[1] == MetricRule(metric="*.cache.*", watch="off")
    assert detect.entities == (EntityRule("device", "device.id", value="max", most=50),)
    assert detect.challengers == (Challenger("HalfSpaceTrees", {"n_trees": "5", "seed": "3"}, "http.*"),)
    assert read(RULES).engine_config().digest() != EngineConfig().digest()
    assert read("").engine_config().digest() == EngineConfig().digest()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{metrics: [{name: x, bar: 3}]}", r"line 2: detect.metrics\[0\].name: no such setting"),
        ("{metrics: [{metric: x, direction: sideways}]}", r"detect.metrics\[0\].direction: .*sideways"),
        ("{metrics: [{metric: x}]}", r"detect.metrics\[0\]: it decides nothing"),
        ("{metrics: [{least: -3}]}", r"detect.metrics\[0\].least: -3 is below 0"),
        ("{metrics: [{bar: 1}]}", r"detect.metrics\[0\].bar: 1 is below 2"),
        ("{full_series: -1}", r"line 2: detect.full_series: expected `int` >= 0"),
        ("{entities: [{name: a, attribute: b}, {name: a, attribute: c}]}", "detect.entities: 'a' is there twice"),
        ("{entities: [{name: a}]}", "attribute is required"),
        ("{challengers: [{detector: Prophet}]}", r"detect.challengers\[0\].detector: 'Prophet' is none of"),
        ("{watch: off}", "line 2: detect.watch: no such setting"),
    ],
)
def test_what_is_wrong_is_named(read, text, said):
    with pytest.raises(UserError, match=said):
        read(f"detect: {text}")


def test_what_is_shown_can_be_read_again(read):
    settings = read(RULES)
    shown = yaml.safe_load(as_yaml(settings))
    assert shown["detect"]["metrics"][1] == {
        "metric": "*.cache.*", "service": "*", "environment": "*", "kind": "any", "watch": "off",
    }  # fmt: skip
    again = read("detect: " + yaml.safe_dump(shown["detect"], default_flow_style=True, width=10_000))
    assert again.detect == settings.detect


def test_every_field_of_a_rule_is_in_the_reference():
    said = reference()
    for field in (*MetricRule.__struct_fields__, "full_series"):
        assert f".{field}`" in said
    assert "`detect.challengers[].most` | number | `200`" in said
