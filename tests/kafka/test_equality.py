"""Incidents and the topology on a real broker are those of the embedded engine, byte for byte, also when processes die."""

from __future__ import annotations

import subprocess

import pytest

from tests.kafka.deployment import ROLES, Deployment, torment

pytestmark = pytest.mark.timeout(400)


def test_one_process_of_each_role(kafka, prefix, tmp_path, faulty_hour, faulty_incidents, faulty_topology):
    with Deployment(kafka.client(), prefix, tmp_path, dict.fromkeys(ROLES, 1)) as d:
        assert d.produce(faulty_hour.folder).wait() == 0
        assert d.until_equal(faulty_incidents, 120) == faulty_incidents, d.logs()
        assert d.until_equal(faulty_topology, 60, d.topology) == faulty_topology, d.logs()
        exporting = d.aiops("topology", "export", "--format", "mermaid", stdout=subprocess.PIPE)
        drawn, _ = exporting.communicate()
        assert exporting.returncode == 0
        arrows = drawn.count(b"-->") + drawn.count(b"-.->")  # calls, and what runs on a machine
        assert arrows == faulty_topology.count(b'"kind":"edge"')
        assert d.ended == []


def test_a_death_in_every_role(kafka, prefix, tmp_path, faulty_hour, faulty_incidents):
    processes = {"ingest": 2, "assemble": 1, "detect": 2, "respond": 1}
    with Deployment(kafka.client(), prefix, tmp_path, processes) as d:
        produced = d.produce(faulty_hour.folder, speed=120)
        hits = torment(d, seed=1, each=1, seconds=20, freeze=False)
        assert produced.wait() == 0
        assert d.until_equal(faulty_incidents, 180) == faulty_incidents, d.logs()
        assert sum(hits.values()) == 4
