"""The section `services` of the configuration: what it may say, what is wrong, and how it is shown."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiops.config import EngineConfig
from aiops.errors import UserError
from streams.settings_text import as_yaml, reference
from tests.streams.configured import configured

SERVICES = "services: {criticality: {checkout: high, 'batch-*': low, password-store: high}}\n"


@pytest.fixture
def read(tmp_path: Path) -> Any:
    return partial(configured, tmp_path)


def test_criticality_is_read_in_its_order_and_enters_the_digest(read):
    config = read(SERVICES).engine_config()
    assert list(config.services.criticality.items()) == [
        ("checkout", "high"), ("batch-*", "low"), ("password-store", "high"),
    ]  # fmt: skip
    assert config.digest() != EngineConfig().digest() == read("").engine_config().digest()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{criticality: {a: huge}}", "services.criticality.*'huge'"),
        ("{criticality: {a: }}", "services.criticality.a: a value is expected"),
        ("{criticality: {a: low, a: high}}", "services.criticality.a: is there twice"),
        ("{importance: {a: high}}", "services.importance: no such setting"),
    ],
)
def test_what_is_wrong_is_named(read, text, said):
    with pytest.raises(UserError, match=said):
        read(f"services: {text}")


def test_what_is_shown_can_be_read_again_whatever_services_are_called(read):
    settings = read(SERVICES)
    shown = yaml.safe_load(as_yaml(settings))["services"]
    assert shown == {"criticality": {"checkout": "high", "batch-*": "low", "password-store": "high"}}
    assert read("services: " + yaml.safe_dump(shown, default_flow_style=True)).services == settings.services


def test_it_is_in_the_reference():
    assert "`services.criticality` | names and values | none |" in reference()
