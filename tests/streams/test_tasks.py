"""The roles as functions of their logs: the same incidents as embedded, whatever the partitions, turns and crashes."""

from __future__ import annotations

import pytest

from aiops.recording import Recording
from streams.layout import Layout
from streams.tasks import detect
from tests.streams.log import Cluster
from tests.telling import answered_alert, replayed

WHOLE = (
    pytest.mark.acceptance
)  # each takes half a minute of a slow core, and one of its kind is enough for every change


@pytest.mark.parametrize(
    ("raw", "traces", "signals", "findings", "part"),
    [(1, 1, 1, 1, 900_000), pytest.param(4, 4, 4, 2, 900_000, marks=WHOLE), (2, 3, 5, 1, 700)],
)
def test_partitions_and_turns_change_no_byte(
    faulty_hour, faulty_incidents, faulty_topology, monkeypatch, raw, traces, signals, findings, part
):
    if part < 1_000:  # records are small: so are those of findings
        monkeypatch.setattr(detect, "MOST_ANOMALIES", 1)
    layout = Layout(traces=traces, signals=signals, findings=findings, part=part)
    cluster = Cluster(layout, raw, seed=raw)
    cluster.produce(faulty_hour)
    assert cluster.run() == faulty_incidents
    assert cluster.topology() == faulty_topology
    records = (record for p in range(findings) for record in cluster.log.of["aiops.findings", p])
    assert any("portion" in record.headers for record in records) == (part < 1_000)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=WHOLE), pytest.param(3, marks=WHOLE)])
def test_crashes_at_any_moment_change_no_byte(faulty_hour, faulty_incidents, faulty_topology, seed):
    cluster = Cluster(Layout(traces=2, signals=2, findings=2, part=2_000), 2, seed)
    cluster.produce(faulty_hour)
    assert cluster.run(crashes=60) == faulty_incidents
    assert cluster.topology() == faulty_topology
    assert cluster.crashes == 60


@pytest.mark.parametrize("findings", [pytest.param(1, marks=WHOLE), 3])
def test_alerts_and_commands_are_obeyed_alike_through_the_log_and_crashes(tmp_path, findings):
    answered_alert(tmp_path)
    expected = replayed(tmp_path)
    assert b'"restarted"' in expected
    cluster = Cluster(Layout(traces=1, signals=2, findings=findings), 2, seed=findings)
    cluster.produce(Recording(tmp_path))
    assert cluster.run(crashes=30) == expected
    assert cluster.crashes == 30
    anomalies = cluster.log.public["aiops.anomalies"]
    assert {b'"state":"open"' in (out.value or b"") for out in anomalies if b'"external"' in (out.value or b"")} == {
        True,
        False,
    }
