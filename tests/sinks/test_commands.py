"""aiops sinks and aiops route on a recorded hour, without Kafka."""

from __future__ import annotations

import json

import pytest

from aiops.notify.config import NotifyConfig
from aiops.records import encode
from streams.cli import main
from tests.notify.stories import HOOK, Story
from tests.sinks.faulty import Endpoint
from tests.streams.configured import MINIMAL


@pytest.fixture
def file(tmp_path):
    story, calm = Story(severity="critical"), Story("i2", severity="low")
    versions = [
        story.at(0),
        calm.at(5),
        calm.at(20, state="resolved"),
        story.at(90, severity="high"),
        story.at(400, state="resolved"),
    ]
    path = tmp_path / "incidents.jsonl"
    path.write_bytes(b"".join(encode(v) + b"\n" for v in versions))
    return path


def configured(tmp_path, url, more=""):
    path = tmp_path / "aiops.yaml"
    path.write_text(f"{MINIMAL}notify:\n  sinks: [{{name: hook, kind: webhook, url: '{url}'}}]\n{more}")
    return str(path)


def test_a_route_is_tried_on_a_file(tmp_path, file, capsys):
    config = configured(tmp_path, "http://127.0.0.1:1/")
    assert main(["route", "test", str(file), "--config", config]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert "told to hook: opened: it opened, and is critical" in lines[0]
    assert [line.split("  ")[1].partition(":")[0] for line in lines] == ["told to hook", "waits", "told to hook"]
    assert err.startswith("2 incidents, 1 told of; 2 notifications, 1.00 an incident")
    assert main(["route", "test", str(file), "--config", config, "--json", "--all"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5


def test_a_file_is_delivered_and_recorded(tmp_path, file, capsys):
    with Endpoint() as there:
        config = configured(tmp_path, there.url)
        record = tmp_path / "records.jsonl"
        command = ["sinks", "run", "--config", config, "--file", str(file), "--record", str(record)]
        assert main(command) == 0
        assert "delivered 2, refused or given up 0, left for the next run 0" in capsys.readouterr().err
        assert main(command) == 0
        assert "delivered 0" in capsys.readouterr().err
    assert [body["trigger"] for body in there.bodies()] == ["opened", "resolved"]
    states = [
        json.loads(line)["deliveries"][0]["state"] for line in record.read_text().splitlines() if '"hook"' in line
    ]
    assert states.count("delivered") == 2


def test_a_dry_run_sends_nothing(tmp_path, file):
    with Endpoint() as there:
        config = configured(tmp_path, there.url)
        assert main(["sinks", "run", "--config", config, "--file", str(file), "--dry-run"]) == 0
    assert there.requests == 0


def test_what_a_sink_refuses_is_told_by_the_status(tmp_path, file, capsys):
    with Endpoint(default=400) as there:
        config = configured(tmp_path, there.url)
        assert main(["sinks", "run", "--config", config, "--file", str(file)]) == 1
    assert "refused or given up 2" in capsys.readouterr().err


def test_every_sink_can_be_tried(tmp_path, capsys):
    with Endpoint([200, 500]) as there:
        config = configured(tmp_path, there.url)
        assert main(["sinks", "test", "--config", config]) == 0
        assert capsys.readouterr().out == "hook: delivered\n"
        assert main(["sinks", "test", "--config", config, "--sink", "hook"]) == 1
        assert capsys.readouterr().out == "hook: HTTP 500: ok\n"
    assert main(["sinks", "test", "--config", config, "--sink", "nobody"]) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--state", "x"], "--state is for --file"),
        (["--file", "/nowhere/at.all"], "/nowhere/at.all"),
    ],
)
def test_wrong_options_are_named(tmp_path, capsys, options, said):
    assert main(["sinks", "run", "--config", configured(tmp_path, "http://127.0.0.1:1/"), *options]) == 2
    assert said in capsys.readouterr().err


def test_a_line_that_is_no_incident_is_named(tmp_path, capsys):
    path = tmp_path / "x.jsonl"
    path.write_text("{}\n")
    assert main(["route", "test", str(path), "--config", configured(tmp_path, "http://127.0.0.1:1/")]) == 2
    assert "line 1" in capsys.readouterr().err


def test_nobody_to_tell_is_an_error(tmp_path, file, capsys):
    path = tmp_path / "aiops.yaml"
    path.write_text(MINIMAL)
    for more in (["--file", str(file)], []):
        assert main(["sinks", "run", "--config", str(path), *more]) == 2
        assert "names nobody to tell" in capsys.readouterr().err
    assert NotifyConfig(sinks=(HOOK,)).sinks
