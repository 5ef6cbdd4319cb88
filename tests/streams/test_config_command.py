"""``aiops config``: a file is checked, and shown with all its defaults and without its secrets."""

from __future__ import annotations

import pytest
import yaml

from aiops.config import EngineConfig
from streams.cli import main
from streams.settings import load
from tests.streams.configured import MINIMAL


@pytest.fixture
def file(tmp_path):
    def file(text):
        path = tmp_path / "aiops.yaml"
        path.write_text(text)
        return str(path)

    return file


def test_check_says_that_all_is_right_and_which_defaults_count(file, capsys, monkeypatch):
    monkeypatch.delenv("AIOPS_TENANT", raising=False)
    assert main(["config", "check", file(MINIMAL + "tenant: ${AIOPS_TENANT:-default}")]) == 0
    out, err = capsys.readouterr()
    assert EngineConfig().digest() in out
    assert "AIOPS_TENANT is not set" in err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("consumer: {sesion.timeout.ms: 1}", "librdkafka has no property 'sesion.timeout.ms'"),
        ("producer: {linger.ms: soon}", "'soon' is no value of the property 'linger.ms'"),
        ("tennant: a", "did you mean tenant?"),
    ],
)
def test_check_ends_with_2_and_one_line(file, capsys, text, said):
    assert main(["config", "check", file(MINIMAL + text)]) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert (out, err.count("\n")) == ("", 1)


def test_check_asks_faust_as_well(file, capsys):
    assert (
        main(["config", "check", file(MINIMAL.replace("}", ", security.protocol: ssl, ssl.cipher.suites: AES}"))]) == 2
    )
    assert "kafka.ssl.cipher.suites is not known to Faust" in capsys.readouterr().err


def test_show_prints_all_settings_without_secrets(file, capsys):
    text = MINIMAL.replace("}", ", sasl.password: hunter2}") + "clocks: {idle_after: never}\nidentity_key: 424242\n"
    assert main(["config", "show", file(text)]) == 0
    out = capsys.readouterr().out
    assert "hunter2" not in out
    assert "424242" not in out
    shown = yaml.safe_load(out)
    assert shown["clocks"] == {"idle_after": "never", "tick_every": "10s", "hold_limit": "5min"}
    assert shown["kafka"] == {"bootstrap.servers": "localhost:9092", "sasl.password": "***"}
    assert shown["engine"]["policy"]["confirm"] == "30s"


def test_what_show_prints_is_a_configuration_with_the_same_meaning(file, capsys):
    assert main(["config", "show", file(MINIMAL + "topics: {partitions: {raw: 9}}")]) == 0
    out = capsys.readouterr().out
    again = load(file(out.replace("identity_key: '***'\n", "")))
    assert again == load(file(MINIMAL + "topics: {partitions: {raw: 9}}"))


def test_show_all_adds_the_properties_of_clients(file, capsys):
    assert main(["config", "show", "--all", file(MINIMAL.replace("}", ", sasl.password: hunter2}"))]) == 0
    out = capsys.readouterr().out
    assert "hunter2" not in out
    _, clients = yaml.safe_load_all(out)
    assert clients["producer"]["acks"] == "all"
