"""The section ``console`` of a configuration."""

from __future__ import annotations

import pytest

from aiops.errors import UserError
from streams.durations import UNITS
from streams.settings import load
from streams.settings_text import as_yaml

DIGEST = "0123456789abcdef" * 4


def read(tmp_path, text):
    path = tmp_path / "aiops.yaml"
    path.write_text(f'kafka: {{bootstrap.servers: "x:1"}}\nconsole:\n{text}')
    return load(path, {"DB": "topsecret"})


def test_the_defaults_listen_here_only_keep_a_file_and_let_nobody_in(tmp_path):
    console = read(tmp_path, "").console
    assert (console.host, console.port, console.tokens) == ("127.0.0.1", 8080, [])
    assert console.history.startswith("sqlite:///")


def test_times_are_durations_and_a_token_reads_unless_it_says_otherwise(tmp_path):
    text = f"  retention: {{incidents: 30d, evidence: 6h}}\n  tokens:\n    - {{name: ann, sha256: {DIGEST}}}\n"
    console = read(tmp_path, text).console
    assert (console.retention.incidents, console.retention.evidence) == (30 * UNITS["d"], 6 * UNITS["h"])
    assert console.retention.anomalies == 14 * UNITS["d"]
    assert console.tokens[0].role == "reader"


def test_the_password_of_the_database_is_shown_nowhere(tmp_path):
    settings = read(tmp_path, "  history: postgresql+psycopg://aiops:${DB}@h/d\n")
    assert "topsecret" in settings.console.history
    for shown in (as_yaml(settings), repr(settings), repr(settings.console)):
        assert "topsecret" not in shown
        assert "postgresql+psycopg://aiops:***@h/d" in shown


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("  retention: {evidence: 5min}\n", "console.retention.evidence: at least 1h"),
        ("  tokens: [{name: ann, sha256: abc}]\n", "64 hex digits"),
        (f"  tokens: [{{name: ann, sha256: {DIGEST}, role: admin}}]\n", "role"),
        (f"  tokens: [{{name: ann, sha256: {DIGEST}}}, {{name: ann, sha256: {DIGEST}}}]\n", "there twice"),
        ("  port: 70000\n", "port"),
        ("  tls: yes\n", "no such setting"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, text, why):
    with pytest.raises(UserError, match=why):
        read(tmp_path, text)
