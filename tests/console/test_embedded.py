"""An engine behind a console: the same incidents as a replay's, and commands that it obeys."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from aiops.engine import Engine
from aiops.errors import UserError
from aiops.recording import Recording
from aiops.records import Command, Incident, encode
from aiops.replay import drive
from aiops.simulate import Simulation, write
from streams.history import incident_queries, queries
from streams.history.incident_queries import Filter
from tests.console.serving import OPERATOR, Running, console, until


@dataclass(frozen=True)
class Hour:
    """A console over the hour, and what its store held before anybody commanded."""

    running: Running
    folder: Path
    incidents: dict[str, Incident]


@pytest.fixture(scope="module")
def hour(faulty_hour, tmp_path_factory):
    folder = tmp_path_factory.mktemp("console")
    with console(faulty_hour, folder) as running:
        yield Hour(running, folder, stored(running.store))


def stored(store):
    with store.reading() as connection:
        items, _ = incident_queries.page(connection, Filter(), 200)
        records = [incident_queries.one(connection, item.incident_id) for item in items]
    return {record.incident_id: record for record in records if record is not None}


def post(running, path, body):
    headers = {"Authorization": f"Bearer {OPERATOR}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{running.address}/api/v1{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def test_the_store_holds_the_incidents_of_a_replay_byte_for_byte(hour, faulty_incidents):
    found = hour.incidents
    assert b"".join(encode(found[name]) + b"\n" for name in sorted(found)) == faulty_incidents


def test_evidence_and_changes_are_kept_beside_the_incidents(hour):
    with hour.running.store.reading() as connection:
        rows = queries.sizes(connection)
        changes = queries.changes(connection, 50)
    assert rows["evidence"] > 300
    assert changes


def test_commands_are_obeyed_within_a_second_and_their_log_is_one_that_a_replay_obeys_alike(
    hour, faulty_hour, tmp_path
):
    running, name = hour.running, min(hour.incidents)
    given = [("feedback", {"verdict": "true"}), ("comment", {"text": "seen"})]
    for n, (command, arguments) in enumerate(given, 1):
        post(running, f"/incidents/{name}/commands", {"command": command, "arguments": arguments})
        assert until(lambda n=n: len(stored(running.store)[name].log) == n) < 1.0
    expected = stored(running.store)[name]
    assert [d.effect for d in expected.log] == ["feedback: true", "seen"]
    assert (expected.feedback.verdict, expected.feedback.author) == ("true", "ann")

    for path in faulty_hour.files.values():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "commands.jsonl").write_bytes((hour.folder / "said.jsonl").read_bytes())
    recording = Recording(tmp_path)
    last = {
        i.incident_id: i for at in drive(Engine(recording.sources), recording.messages()) for i in at.step.incidents
    }
    assert [d.effect for d in last[name].log] == [d.effect for d in expected.log]
    assert last[name].causes == expected.causes
    assert last[name].feedback is not None


def test_a_recording_that_breaks_off_is_said_and_what_was_found_stays(tmp_path):
    broken = tmp_path / "broken"
    write(Simulation(1, 0.2, [], rate=1.0), broken)
    path = broken / "metrics.jsonl.gz"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (tmp_path / "store").mkdir()
    with console(Recording(broken), tmp_path / "store") as running:
        assert "metrics" in str(running.backend.status().trouble)
        with pytest.raises(UserError, match="the engine has ended"):
            running.backend.send(Command(command="comment", incident_id="x", author="a", time="2024-01-01T00:00:00Z"))
