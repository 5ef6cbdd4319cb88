"""A recording with alerts and commands beside its telemetry: a replay of the log obeys, however it is read."""

from __future__ import annotations

import io
import json
import shutil

import msgspec
import pytest

from aiops.recording import Recording, RecordingError
from aiops.records import (
    Alert,
    Command,
    Incident,
    RecordError,
    decode_alert,
    decode_anomaly,
    decode_change,
    decode_command,
    decode_incident,
    decode_notice,
    rfc3339,
    unix_ns,
)
from aiops.replay import Options, replay
from aiops.simulate import Fault, Simulation, write
from aiops.told import LONGEST_TEXT, decode_told
from aiops.wire.resources import LONGEST
from tests.replaying import in_order, replayed, spread
from tests.streams.partitioned import partitioned
from tests.telling import write_alerts, write_commands

SECOND = 10**9


def incidents(lines: bytes) -> list[Incident]:
    """Those among the last records of a replay."""
    return [decode_incident(line) for line in lines.splitlines() if b'"incident_id"' in line[:60]]


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Recording:
    """Half an hour; after twenty minutes shipping throws at every estimate."""
    folder = tmp_path_factory.mktemp("plain")
    faults = [Fault("code_error", 1200.0, 300.0, "shipping", strength=1.0)]
    write(Simulation(7, 0.5, faults, rate=2.0, wrong_clock=False), folder)
    return Recording(folder)


@pytest.fixture(scope="module")
def found(plain) -> Incident:
    """The incident that the telemetry alone tells of."""
    return max(incidents(replayed(*in_order(plain), 64, ticks=True)), key=lambda i: len(i.members))


@pytest.fixture(scope="module")
def said(plain, found, tmp_path_factory) -> Recording:
    """The same with what a tool and two people say."""
    folder = tmp_path_factory.mktemp("said")
    shutil.copytree(plain.folder, folder, dirs_exist_ok=True)
    opened, incident, environment = unix_ns(found.opened_at), found.incident_id, found.environment

    def at(seconds: float) -> str:
        return rfc3339(opened + int(seconds * SECOND))

    service = found.causes[0].service
    alert = Alert(
        name="Errors", status="firing", starts_at=at(-20), service=service, severity="critical", environment=environment,
        source="am", sent_at=at(15), alert_id="f",
    )  # fmt: skip
    again = msgspec.structs.replace(alert, sent_at=at(60))
    ended = msgspec.structs.replace(alert, status="resolved", ends_at=at(90), sent_at=None)
    alerts = [alert, again, ended]

    def command(name, seconds, who="ann", **arguments):
        return Command(
            command=name,
            incident_id=incident,
            author=who,
            time=at(seconds),
            arguments=arguments,
            environment=environment,
        )

    commands = [
        command("acknowledge", 30), command("comment", 31, "bob", text="mine"), command("confirm", 40, service=service),
        command("merge", 45, into=incident), command("feedback", 50, verdict="true"), command("resolve", 100, "bob"),
    ]  # fmt: skip
    write_alerts(folder, *alerts)
    write_commands(folder, *commands)
    with (folder / "commands.jsonl").open("ab") as file:
        file.write(b'{"command": "dance"}\n')
    return Recording(folder)


@pytest.fixture(scope="module")
def expected(said) -> bytes:
    return replayed(*in_order(said), 64, ticks=True)


def test_a_replay_takes_in_alerts_and_obeys_commands(said, found, tmp_path):
    out, files = io.BytesIO(), {name: tmp_path / name for name in ("anomalies", "notices", "refused")}
    summary = replay(said, out, Options(final=True, **files))
    last = {i.incident_id: i for i in incidents(out.getvalue())}
    incident = last[found.incident_id]
    assert (incident.state, incident.acknowledged_by, incident.severity) == ("resolved", "ann", "critical")
    assert [d.command for d in incident.log] == ["acknowledge", "comment", "confirm", "merge", "feedback", "resolve"]
    assert [d.refused for d in incident.log] == [False, False, False, True, False, False]
    assert (incident.causes[0].service, incident.causes[0].verdict) == (found.causes[0].service, "confirmed")
    assert (incident.counts.alerts, incident.counts.anomalies) == (1, found.counts.anomalies + 1)
    external = [a for a in map(decode_anomaly, files["anomalies"].read_bytes().splitlines()) if a.kind == "external"]
    assert [a.state for a in external] == ["open", "closed"]
    refusals = [n for n in map(decode_notice, files["notices"].read_bytes().splitlines()) if n.kind == "command"]
    assert ["into itself" in n.text for n in refusals] == [True]
    (line,) = files["refused"].read_bytes().splitlines()
    assert (json.loads(line)["source"], json.loads(line)["line"]) == ("commands/0", 7)
    assert {s: n for s, n in summary.items.items() if s in ("alerts/0", "commands/0")} == {
        "alerts/0": 3,
        "commands/0": 6,
    }


def test_what_the_engine_says_beneath_is_what_it_says_without_anybody_speaking(found, expected):
    incident = next(i for i in incidents(expected) if i.incident_id == found.incident_id)
    assert (incident.services, incident.onset_at, incident.opened_at) == (
        found.services,
        found.onset_at,
        found.opened_at,
    )
    assert {(c.service, c.kind, c.score) for c in incident.causes} == {
        (c.service, c.kind, c.score) for c in found.causes
    }


@pytest.mark.parametrize(
    ("batch", "restart_every"), [pytest.param(1, 0, marks=pytest.mark.acceptance), (10**9, 0), (20, 15)]
)
def test_batches_and_restarts_change_no_byte(said, expected, batch, restart_every):
    assert replayed(*in_order(said), batch, restart_every=restart_every) == expected


def test_sources_that_are_read_in_random_turns_change_no_byte(said, expected):
    sources, order = spread(said, 3, seed=5)
    assert replayed(sources, order, 20, restart_every=40) == expected


@pytest.mark.acceptance
def test_partitions_change_no_byte(said, expected):
    assert partitioned(*in_order(said), 64, (2, 3, 2)) == expected


def test_what_is_told_counts_among_no_telemetry(tmp_path):
    for name in ("alerts", "commands", "changes"):
        (tmp_path / f"{name}.jsonl").touch()
    with pytest.raises(RecordingError, match="holds no telemetry"):
        Recording(tmp_path)


def test_records_of_each_kind_are_read_by_their_signal():
    line = b'{"name": "a", "status": "firing", "starts_at": "2024-01-01T00:00:00Z"}'
    assert isinstance(decode_told("alerts", line), Alert)


def test_names_and_texts_of_any_length_count_to_a_bound_so_that_no_incident_outgrows_its_topic():
    name, text = "n" * 100_000, "s" * 100_000
    alert = decode_alert(
        msgspec.json.encode({
            "name": name, "status": "firing", "starts_at": "2024-01-01T00:00:00Z", "service": name, "environment": name,
            "instance": name, "source": name, "summary": text, "url": text, "alert_id": name,
        })
    )  # fmt: skip
    assert alert.service == alert.environment == alert.instance == alert.source == alert.name == "n" * LONGEST
    assert (len(alert.summary), len(alert.url or ""), alert.alert_id) == (LONGEST_TEXT, LONGEST_TEXT, name)
    told = {"change_id": "c", "time": "2024-01-01T00:00:00Z", "kind": "flag", "service": name, "environment": "e"}
    change = decode_change(msgspec.json.encode({**told, "summary": text}))
    assert (change.service, len(change.summary)) == ("n" * LONGEST, LONGEST_TEXT)
    for wrong, words in (({"change_id": name}, "change_id is longer"), ({"environment": ""}, "environment is empty")):
        with pytest.raises(RecordError, match=words):
            decode_change(msgspec.json.encode({**told, **wrong}))
    said = {"command": "reopen", "incident_id": "i", "author": name, "time": "2024-01-01T00:00:00Z"}
    assert decode_command(msgspec.json.encode(said)).author == "n" * LONGEST
