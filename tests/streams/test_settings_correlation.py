"""The sections `correlation` and `noise` of the configuration: what they may say, what is wrong, and how they are shown."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiops.config import EngineConfig
from aiops.errors import UserError
from aiops.incidents.correlation import CorrelationRule
from aiops.signals import SECOND
from streams.settings_text import as_yaml, reference
from tests.streams.configured import configured

RULES = """
correlation:
  rules:
    - name: one volume
      when: kind == "metric" && signal.startsWith("disk")
      group_by: [labels.volume, environment]
      window: 10min
      title: "Volume {labels.volume}"
"""


@pytest.fixture
def read(tmp_path: Path) -> Any:
    return partial(configured, tmp_path)


def test_rules_are_read_and_enter_the_digest(read):
    config = read(RULES).engine_config()
    assert config.correlation.rules == (
        CorrelationRule(
            "one volume", 'kind == "metric" && signal.startsWith("disk")', ("labels.volume", "environment"), 600 * SECOND,
            "Volume {labels.volume}",
        ),
    )  # fmt: skip
    assert config.digest() != EngineConfig().digest() == read("").engine_config().digest()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("correlation: {rules: [{name: a}]}", "correlation.rules.0.: when is required|when"),
        (
            "correlation: {rules: [{name: a, when: 'servce == \"x\"'}]}",
            r"\(a\).when: line 1, column 1: there is no field",
        ),
        ("correlation: {rules: [{name: a, when: 'true &&'}]}", r"\(a\).when: line 1"),
        ("correlation: {rules: [{name: a, when: 'true', window: 5}]}", "window"),
        (
            "correlation: {rules: [{name: a, when: 'true', goup_by: [service]}]}",
            "did you mean correlation.rules.0..group_by",
        ),
        ("noise: {storm_leave: 300}", "noise.storm_leave: greater than storm_enter"),
        ("noise: {flapping_changes: 1}", "noise.flapping_changes"),
        ("noise: {storm_calm: 0s}", "noise.storm_calm: 0s is too short"),
    ],
)
def test_what_is_wrong_is_named(read, text, said):
    with pytest.raises(UserError, match=said):
        read(text)


def test_bounds_of_noise_are_read_and_enter_the_digest(read):
    config = read("noise: {flapping_changes: 9, flapping_calm: 20min, storm_enter: 500}").engine_config()
    assert (config.noise.flapping_changes, config.noise.flapping_calm, config.noise.storm_enter) == (
        9,
        1200 * SECOND,
        500,
    )
    assert config.digest() != EngineConfig().digest()


def test_what_is_shown_can_be_read_again(read):
    settings = read(RULES + "noise: {storm_first: 5}\n")
    shown = yaml.safe_load(as_yaml(settings))
    again = {name: shown[name] for name in ("correlation", "noise")}
    assert read(yaml.safe_dump(again)).correlation == settings.correlation
    assert read(yaml.safe_dump(again)).noise == settings.noise


def test_they_are_in_the_reference():
    assert "`correlation.rules[].when` | condition | required |" in reference()
    assert "`noise.storm_enter` | number | `200` |" in reference()
