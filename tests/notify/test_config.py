from __future__ import annotations

import pytest

from aiops.errors import UserError
from aiops.notify.config import NotifyConfig, Sink
from streams.cli import main
from tests.streams.configured import MINIMAL, configured

FULL = """
notify:
  settle: 2min
  link: "https://aiops.example/incidents/{incident_id}"
  routes:
    - sinks: [pager, chat]
      match: {severity: [critical], environment: [prod*], hours: "08:00-18:00", days: [mon, tue], zone: Europe/Berlin}
      go_on: true
    - sinks: [am]
  silences:
    - {author: ann, reason: move, begin: 2024-01-01T00:00:00Z, until: 2024-01-02T00:00:00Z, match: {service: [db]}}
  watchdog: {sinks: [am], blind_after: 2min}
  sinks:
    - {name: am, kind: alertmanager, url: "http://am:9093", heartbeat: 1min}
    - {name: pager, kind: pagerduty, secret: "${KEY}"}
    - {name: chat, kind: slack, url: "https://hooks.slack.example/secret-path"}
"""


def test_a_whole_section_is_read(tmp_path, monkeypatch):
    path = tmp_path / "aiops.yaml"
    path.write_text(MINIMAL + FULL)
    from streams.settings import load

    config = load(path, {"KEY": "r0ut1ng"}).notify
    assert config.routes[0].match.severity == ("critical",)
    assert config.sinks[1].secret == "r0ut1ng"
    assert config.sinks[0].heartbeat == 60 * 10**9
    assert config.settle == 120 * 10**9
    assert "r0ut1ng" not in repr(config)
    monkeypatch.setenv("KEY", "r0ut1ng")
    assert main(["config", "check", str(path)]) == 0


def test_secrets_and_addresses_are_not_shown(tmp_path, monkeypatch, capsys):
    path = tmp_path / "aiops.yaml"
    path.write_text(MINIMAL + FULL)
    monkeypatch.setenv("KEY", "r0ut1ng")
    assert main(["config", "show", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "r0ut1ng" not in shown
    assert "secret-path" not in shown
    assert "name: pager" in shown


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("sinks: [{name: a, kind: webhook}]", "needs url"),
        (
            "sinks: [{name: a, kind: pagerduty, secret: k, channel: c}]",
            "channel means nothing to a sink of kind pagerduty",
        ),
        ("sinks: [{name: a, kind: slack, secret: t}]", "needs url"),
        ("sinks: [{name: a, kind: webhook, url: 'ftp://h'}]", "no http or https address"),
        ("sinks: [{name: 'a b', kind: webhook, url: 'http://h/'}]", "name"),
        (
            "sinks: [{name: a, kind: webhook, url: 'http://h/'}, {name: a, kind: webhook, url: 'http://h/'}]",
            "there twice",
        ),
        ("sinks: [{name: a, kind: webhook, url: 'http://h/', give_up: 1s}]", "give_up"),
        ("sinks: [{name: a, kind: webhook, url: 'http://h/', heartbeat: 1s}]", "heartbeat"),
        ("sinks: [{name: a, kind: telegram, url: 'http://h/'}]", "telegram"),
        ("routes: [{sinks: [nobody]}]", "there is no sink 'nobody'"),
        ("watchdog: {sinks: [nobody]}", "there is no sink 'nobody'"),
        ("watchdog: {blind_after: 1s}", "blind_after"),
        ("link: incidents", "link"),
        ("silences: [{author: a, reason: r, until: tomorrow}]", "until"),
        ("silences: [{author: a, reason: r, until: 2024-01-01T00:00:00Z, begin: 2024-01-02T00:00:00Z}]", "not after"),
        ("silences: [{reason: r, until: 2024-01-01T00:00:00Z}]", "author"),
        ("routes: [{sinks: [], match: {severity: [awful]}}]", "awful"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, section, said):
    with pytest.raises(UserError, match=said):
        configured(tmp_path, f"notify: {{{section}}}\n")


def test_defaults_tell_nobody():
    assert NotifyConfig().sinks == ()
    assert Sink("a", "alertmanager", url="http://am:9093").heartbeat is None
