"""A recording sent to a real broker and read again: what arrives is what the engine would have read from the files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
from confluent_kafka import Producer

from aiops.config import EngineConfig
from aiops.engine import TICK
from aiops.findings import EDGE_TERMS, TERMS, Findings
from aiops.ingest.stage import Message
from aiops.recording import MS, Recording, Sourced
from aiops.records import encode
from aiops.replay import Options, findings_json, replay
from aiops.signals import SECOND
from aiops.simulate import Simulation, write
from streams.cli import main
from streams.codec import encode_findings
from streams.produce_partition import partition_of
from streams.records import clock_record, headers_of
from tests.kafka.topics import SIGNALS, WAIT, Cluster, incidents_sent, records_of, versions
from tests.kafka.waiting import until
from tests.replaying import driven, last_incidents
from tests.test_records import ANOMALY, INCIDENT, NOTICE, TOPOLOGY

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    folder = tmp_path_factory.mktemp("day")
    write(Simulation(7, 1.0, "auto", rate=1.5), folder)
    return folder


@pytest.fixture
def cluster(kafka, prefix, tmp_path):
    return Cluster(kafka, prefix, tmp_path)


def command(capfd, *arguments):
    """Status, stdout and stderr of a command."""
    status: object
    try:
        status = main([str(a) for a in arguments])
    except SystemExit as left:
        status = left.code
    out, err = capfd.readouterr()
    return status, out, err


def produced(capfd, cluster, folder, *arguments, **more):
    status, out, err = command(capfd, "produce", folder, "--config", cluster.configuration(**more), *arguments)
    assert (status, out) == (0, ""), err
    return err


def telemetry(cluster, name):
    return [m for m in cluster.read(cluster.prefix + name) if not m.headers()]


# ---- produce ------------------------------------------------------------------------------------------------------------
def test_an_engine_that_reads_the_topics_finds_the_incidents_of_the_replay_byte_for_byte(day, cluster, capfd, tmp_path):
    cluster.create_raw(4)
    produced(capfd, cluster, day, "--end")
    sources: dict[str, str] = {}
    order: list[Sourced] = []
    for name, of in SIGNALS.items():
        sources |= {f"{name}/{p}": of for p in range(4)}
        for m in telemetry(cluster, name):
            message = Message(m.offset(), m.timestamp()[1] * MS, m.value())
            order.append(Sourced(f"{name}/{m.partition()}", message))
    order.sort(key=lambda s: (s.message.arrival, s.source, s.message.offset))
    with (tmp_path / "out").open("w+b") as out:
        replay(Recording(day), out, Options(final=True))
        out.seek(0)
        expected = out.read()
    assert last_incidents(driven(sources, order)) == expected
    assert expected


def test_timestamps_are_the_arrivals_of_the_recording_and_never_fall_within_a_partition(day, cluster, capfd):
    cluster.create_raw(3)
    produced(capfd, cluster, day)
    arrivals: dict[str, set[int]] = {of: set() for of in SIGNALS.values()}
    for source, message in Recording(day).messages():
        arrivals[source.partition("/")[0]].add(message.arrival // MS)
    for name, of in SIGNALS.items():
        stamps: dict[int, list[int]] = {p: [] for p in range(3)}
        for m in telemetry(cluster, name):
            stamps[m.partition()].append(m.timestamp()[1])
        assert {t for some in stamps.values() for t in some} == arrivals[of]
        assert all(some == sorted(some) for some in stamps.values())


def test_the_end_of_input_is_the_last_record_of_every_partition_of_every_raw_topic(day, cluster, capfd):
    cluster.create_raw(2)
    shown = produced(capfd, cluster, day, "--end")
    last = max(m.arrival for _, m in Recording(day).messages())
    clock = last // TICK * TICK + EngineConfig().drain
    for name in SIGNALS:
        records = cluster.read(cluster.prefix + name)
        for partition in range(2):
            end = [m for m in records if m.partition() == partition][-1]
            assert end.headers() == [("aiops.control", b"end")]
            assert (end.value(), end.timestamp()[1]) == (b"%d" % clock, last // MS)
            assert sum(bool(m.headers()) for m in records if m.partition() == partition) == 1
    assert "of input in 10 partitions" in shown


def test_the_drain_of_the_configuration_moves_the_end(day, cluster, capfd):
    cluster.create_raw(1)
    produced(capfd, cluster, day, "--end", "--until", "2030-01-01T00:00:00Z", engine={"drain": "20s"})
    last = max(m.arrival for _, m in Recording(day).messages())
    assert cluster.read(cluster.prefix + "logs")[-1].value() == b"%d" % (last // TICK * TICK + 20 * SECOND)


def test_a_span_of_time_is_what_a_replay_of_it_would_read(day, cluster, capfd):
    cluster.create_raw(1)
    arrivals = [m.arrival for _, m in Recording(day).messages()]
    begin, end = arrivals[len(arrivals) // 3] // SECOND, arrivals[len(arrivals) // 2] // SECOND
    produced(capfd, cluster, day, "--from", begin, "--until", end)
    for name, of in SIGNALS.items():
        expected = sum(
            s == f"{of}/0" and begin * SECOND <= m.arrival < end * SECOND for s, m in Recording(day).messages()
        )
        assert len(telemetry(cluster, name)) == expected
    status, _, err = command(
        capfd, "produce", day, "--config", cluster.configuration(), "--from", "2040-01-01T00:00:00Z"
    )
    assert (status, err) == (2, f"aiops produce: {day}: nothing arrived from 2040-01-01T00:00:00.000Z\n")


def test_partitions_of_traces_are_those_that_a_java_client_would_choose(cluster):
    topic = cluster.create("keys", 7)
    keys = [os.urandom(16) for _ in range(200)]
    producer = Producer({**cluster.client, "partitioner": "murmur2"})
    for key in keys:
        producer.produce(topic, b"", key)
    assert producer.flush(WAIT) == 0
    found = {m.key(): m.partition() for m in cluster.read(topic)}
    assert found == {key: partition_of(key, 7) for key in keys}


def test_a_line_that_does_not_decode_arrives_as_it_stands_and_is_counted(cluster, capfd, tmp_path):
    cluster.create_raw(2)
    good = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": 1740988800000000000}]}]}]})
    bad = '{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"traceId": "xyz"}]}]}]}'
    (tmp_path / "logs.jsonl").write_text(f"{good}\n{bad}\n\n{good}\n")
    shown = produced(capfd, cluster, tmp_path)
    messages = telemetry(cluster, "logs")
    assert [m.value() for m in messages if m.value()[:1] == b"{"] == [bad.encode()]
    assert len(messages) == 3
    assert next(line for line in shown.splitlines() if "logs" in line).split()[1:] == [
        "3", "3", "2", str(sum(len(m.value()) for m in messages)), "1",
    ]  # fmt: skip


def test_a_queue_of_two_messages_holds_the_producer_back_and_loses_nothing(day, cluster, capfd):
    cluster.create_raw(2)
    produced(capfd, cluster, day, producer={"queue.buffering.max.messages": "2", "linger.ms": "0"})
    assert len(telemetry(cluster, "changes")) == sum(s == "changes/0" for s, _ in Recording(day).messages())


def test_a_message_that_the_topic_does_not_take_is_named_and_ends_the_command(cluster, capfd, tmp_path):
    cluster.create_raw(1)
    cluster.admin.delete_topics([cluster.prefix + "logs"])[cluster.prefix + "logs"].result(WAIT)
    until(lambda: cluster.prefix + "logs" not in cluster.admin.list_topics(timeout=WAIT).topics, WAIT)
    cluster.create("logs", 1, retention_ms="-1", max_message_bytes="2000")
    record = {"timeUnixNano": 1740988800000000000, "body": {"stringValue": os.urandom(3000).hex()}}
    (tmp_path / "logs.jsonl").write_text(
        "\n" + json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}) + "\n"
    )
    status, out, err = command(capfd, "produce", tmp_path, "--config", cluster.configuration())
    assert (status, out) == (2, "")
    assert err.startswith(f"aiops produce: line 2 of logs.jsonl was not taken by {cluster.prefix}logs/0: ")
    assert "max.message.bytes" in err
    assert err.count("\n") == 1


def test_topics_that_would_spoil_the_recording_are_named(day, cluster, capfd):
    configuration = cluster.configuration()
    status, _, err = command(capfd, "produce", day, "--config", configuration)
    assert (status, err) == (
        2, f"aiops produce: topic '{cluster.prefix}metrics' does not exist: aiops topics create makes it\n",
    )  # fmt: skip
    for name in ("changes", "metrics", "spans"):
        cluster.create(name, 1, retention_ms=str(2 * 3_600_000))
    cluster.create("logs", 1, message_timestamp_type="LogAppendTime")
    status, _, err = command(capfd, "produce", day, "--config", configuration)
    assert status == 2
    assert f"'{cluster.prefix}logs' has message.timestamp.type=LogAppendTime" in err
    cluster.admin.delete_topics([cluster.prefix + "logs"])[cluster.prefix + "logs"].result(WAIT)
    (cluster.folder / "day").mkdir()
    (cluster.folder / "day" / "traces.jsonl.gz").write_bytes(next(day.glob("traces.jsonl.gz")).read_bytes())
    err = produced(capfd, cluster, cluster.folder / "day")
    assert f"warning: topic '{cluster.prefix}spans' keeps messages for 2 h by their timestamps" in err


def test_a_cluster_that_does_not_answer_is_named_with_the_reason(day, capfd, monkeypatch):
    monkeypatch.setattr("streams.clients_common.PATIENCE", 1.0)
    status, _, err = command(capfd, "produce", day, "--bootstrap", "127.0.0.1:1")
    assert status == 2
    assert err.startswith("aiops produce: no answer from Kafka at 127.0.0.1:1: ")
    assert "Connection refused" in err
    assert err.count("\n") == 1


def test_a_signal_without_a_raw_topic_that_takes_protobuf_is_an_error(day, cluster, capfd):
    cluster.create_raw(1)
    raw = [{"topic": cluster.prefix + "metrics", "signal": "metrics"}]
    status, _, err = command(capfd, "produce", day, "--config", cluster.configuration(raw=raw))
    assert (status, err) == (
        2, "aiops produce: the configuration has no raw topic for changes, which the recording holds\n",
    )  # fmt: skip
    raw = [{"topic": cluster.prefix + n, "signal": s} for n, s in SIGNALS.items() if n != "logs"]
    raw.append({"topic": cluster.prefix + "logs", "signal": "logs", "encoding": "otlp_json"})
    status, _, err = command(capfd, "produce", day, "--config", cluster.configuration(raw=raw))
    assert status == 2
    assert "no raw topic for logs takes protobuf" in err


def test_a_paced_recording_takes_its_time(cluster, capfd, tmp_path):
    cluster.create_raw(1)
    times = [1740988800_000000000, 1740988860_000000000, 1740988890_000000000]
    lines = [{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": t}]}]}]} for t in times]
    (tmp_path / "logs.jsonl").write_text("\n".join(map(json.dumps, lines)))
    begun = time.monotonic()
    produced(capfd, cluster, tmp_path, "--speed", "60")
    assert time.monotonic() - begun >= 1.5
    assert [m.timestamp()[1] * MS for m in telemetry(cluster, "logs")] == times


# ---- tail ---------------------------------------------------------------------------------------------------------------
def test_final_incidents_are_the_greatest_versions_by_id_as_a_replay_writes_them(cluster, capfd):
    expected = incidents_sent(cluster)
    status, out, err = command(
        capfd, "tail", "incidents", "--final", "--json", "--bootstrap", cluster.client["bootstrap.servers"],
        "--prefix", cluster.prefix + "aiops",
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert out.encode() == b"".join(encode(i) + b"\n" for i in expected)


def test_incidents_in_words_are_a_line_each(cluster, capfd):
    incidents_sent(cluster)
    status, out, _ = command(capfd, "tail", "incidents", "--final", "--config", cluster.configuration())
    assert status == 0
    first, second = out.splitlines()
    assert f"{INCIDENT.severity.upper()} updated: " in first
    assert first.endswith("[aa v3]")
    assert second.endswith("[bb v5]")


def test_following_shows_what_comes_and_ends_cleanly_with_ctrl_c(cluster):
    topic = cluster.create("aiops.incidents", 2)
    cluster.send(topic, *records_of(versions("old", 1)))
    configuration = cluster.configuration()
    arguments = [sys.executable, "-m", "streams.cli", "tail", "incidents", "--json", "--config", str(configuration)]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tail:
        assert tail.stdout is not None
        os.set_blocking(tail.stdout.fileno(), False)
        out, number, end = b"", 0, time.monotonic() + WAIT
        while b'"incident_id":"new-' not in out:  # nobody says when it has begun to follow
            assert time.monotonic() < end
            number += 1
            cluster.send(topic, *records_of(versions(f"new-{number}", 1)))
            time.sleep(0.1)
            out += tail.stdout.read() or b""
        tail.send_signal(signal.SIGINT)
        _, err = tail.communicate(timeout=WAIT)
    assert (tail.returncode, err) == (130, b"")
    assert b'"incident_id":"old"' not in out
    shown = out.splitlines()
    first = int(json.loads(shown[0])["incident_id"].removeprefix("new-"))
    assert shown[0] == encode(versions(f"new-{first}", 1)[0])


def first_lines(cluster, what, count, *arguments):
    """What a tail from the beginning shows first."""
    given = [what, "--from-beginning", "--config", str(cluster.configuration()), *arguments]
    with subprocess.Popen(
        [sys.executable, "-m", "streams.cli", "tail", *given], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as tail:
        assert tail.stdout is not None
        lines = [tail.stdout.readline() for _ in range(count)]
        tail.send_signal(signal.SIGINT)
        _, err = tail.communicate(timeout=WAIT)
    assert tail.returncode == 130
    return lines, err.decode()


def test_anomalies_and_notices_are_shown_and_what_does_not_decode_is_named(cluster):
    topic = cluster.create("aiops.anomalies")
    hostile = msgspec.structs.replace(ANOMALY, statement="red \x1b[31m\nalert")
    cluster.send(topic, (b"x", b"{}", []), (b"a", encode(hostile), []))
    (line,), err = first_lines(cluster, "anomalies", 1)
    assert b"\x1b" not in line
    assert f"[{ANOMALY.anomaly_id} v{ANOMALY.version}]" in line.decode()
    assert err.startswith(f"aiops tail: {topic}/0 offset 0 does not decode: anomaly: ")
    cluster.send(cluster.create("aiops.notices"), (None, encode(NOTICE), []))
    (line,), err = first_lines(cluster, "notices", 1)
    assert NOTICE.text in line.decode()
    assert err == ""


def test_the_topology_is_a_line_a_service_or_edge(cluster, capfd):
    topic = cluster.create("aiops.topology")
    older = msgspec.structs.replace(TOPOLOGY, version=1, calls_per_minute=3.0)
    cluster.send(topic, (b"e", encode(TOPOLOGY), []), (b"e", encode(older), []), (b"f", None, []))
    status, out, _ = command(capfd, "tail", "topology", "--final", "--config", cluster.configuration())
    assert status == 0
    assert out.count("\n") == 1
    assert "rate: edge checkout -> payment in production, 12.5 a minute; last seen" in out
    (_, _, gone), _ = first_lines(cluster, "topology", 3)
    assert gone == b"forgotten  [f]\n"
    status, out, _ = command(capfd, "topology", "export", "--config", cluster.configuration())
    assert (status, json.loads(out)["edges"][0]["calls_per_minute"]) == (0, 12.5)


def test_findings_are_shown_among_the_clocks_of_their_topic(cluster):
    found = Findings(
        "default", "prod", 1740988800 * SECOND, ["cart", "pay"], np.zeros((2, len(TERMS))), np.ones(2), np.zeros(2),
        [("cart", "pay")], np.zeros((1, len(EDGE_TERMS))), np.ones(1), anomalies=[ANOMALY], totals={"logs": 4},
    )  # fmt: skip
    topic = cluster.create("aiops.findings")
    clock = clock_record(topic, 0, "s", 5)
    headers = headers_of("findings", "s")
    cluster.send(
        topic, (None, clock.value, clock.headers), (None, encode_findings(found), headers), (None, b"?", headers)
    )
    (line,), _ = first_lines(cluster, "findings", 1, "--json")
    assert line == findings_json(found) + b"\n"
    lines, _ = first_lines(cluster, "findings", 1)
    assert "prod: 2 services, 1 edges, 4 items; anomalies: " in lines[0].decode()


def test_wrong_uses_of_tail_are_one_clear_line(cluster, capfd):
    configuration = cluster.configuration()
    for arguments, words in (
        (
            ("notices", "--final"),
            "--final is for what has versions, incidents, anomalies and topology: notices have none",
        ),
        (("incidents", "--final", "--from-beginning"), "leave out --from-beginning"),
        (("incidents", "--final"), f"topic '{cluster.prefix}aiops.incidents' does not exist"),
    ):
        status, out, err = command(capfd, "tail", *arguments, "--config", configuration)
        assert (status, out) == (2, "")
        assert words in err
        assert err.count("\n") == 1
