"""Where instances run, from the attributes of their resources to counts by service and machine."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.detect import metrics, placement
from aiops.findings import Findings, merged
from aiops.signals import SECOND
from streams import codec
from tests.detect.scraped import Point, Scraped

NODES = {"web-0": "n1", "web-1": "n2", "web-2": "n3", "db-0": "n1"}


def point(pod: str, node: str | None = None, value: float = 0.2, zone: str = "") -> Point:
    service = pod.partition("-")[0]
    return Point(
        pod, "process.cpu.utilization", value, service=service, node=NODES[pod] if node is None else node, zone=zone
    )


def host(node: str, value: float = 0.3) -> Point:
    return Point("", "system.cpu.utilization", value, node=node, about=(("host.name", node),))


def rows(found: Findings) -> list[tuple[str, str, str, bool, int, int, int]]:
    """(service, machine, zone, is it the machine itself, instances, gone, deviating)"""
    return [(found.services[s], *found.machines[m], bool(h), *counts) for s, m, h, *counts in found.placed.tolist()]


def fed(windows: int, *points: Point, scraped: Scraped | None = None) -> Scraped:
    scraped = scraped or Scraped()
    for _ in range(windows):
        scraped.take(list(points))
    return scraped


def test_instances_are_counted_by_service_and_machine():
    scraped = fed(5, *(point(pod) for pod in NODES))
    assert rows(scraped.findings[-1]) == [
        ("db", "n1", "", False, 1, 0, 0), ("web", "n1", "", False, 1, 0, 0), ("web", "n2", "", False, 1, 0, 0),
        ("web", "n3", "", False, 1, 0, 0),
    ]  # fmt: skip


def test_what_does_not_say_where_it_runs_is_not_there():
    assert rows(fed(5, point("web-0", "")).findings[-1]) == []


def test_a_machine_that_sends_metrics_is_told_from_what_runs_on_it():
    scraped = fed(5, point("web-0", zone="a"), host("n1"))
    assert rows(scraped.findings[-1]) == [("n1", "n1", "", True, 1, 0, 0), ("web", "n1", "a", False, 1, 0, 0)]


def test_an_instance_that_is_overdue_is_gone_while_its_service_lacks_one():
    scraped = fed(45, *(point(pod) for pod in NODES))
    fed(5, *(point(pod) for pod in NODES if pod != "web-1"), scraped=scraped)
    counts = {row[:2]: row[4:] for row in rows(scraped.findings[-1])}
    assert counts["web", "n2"] == (1, 1, 0), "30 s, when others have to wait for 50 to 85"
    assert counts["web", "n1"] == (1, 0, 0)
    fed(70, *(point(pod) for pod in NODES if pod != "web-1"), scraped=scraped)
    assert ("web", "n2") not in {row[:2] for row in rows(scraped.findings[-1])}


def test_an_instance_that_was_replaced_is_not_gone():
    NODES.update({"web-9": "n2"})
    scraped = fed(45, *(point(pod) for pod in ("web-0", "web-1")))
    fed(6, point("web-0"), point("web-9"), scraped=scraped)
    assert all(row[5] == 0 for row in rows(scraped.findings[-1]))


def test_an_instance_whose_latency_or_utilisation_is_too_high_deviates(rng):
    scraped = Scraped()
    for k in range(140):
        noise = rng.normal(size=3) * 0.01
        hot = 0.5 if k >= 120 else 0.0
        pods = [point("web-0", value=0.2 + noise[0] + hot), point("web-1", value=0.2 + noise[1])]
        scraped.take([*pods, host("n1", 0.3 + noise[2] + hot)])
    counts = {row[:2]: row[4:] for row in rows(scraped.findings[-1])}
    assert counts == {("web", "n1"): (1, 0, 1), ("web", "n2"): (1, 0, 0), ("n1", "n1"): (1, 0, 1)}


def test_an_instance_is_where_it_said_last():
    scraped = fed(5, point("web-0", "n1"))
    fed(4, point("web-0", "n2"), scraped=scraped)
    assert [row[:2] for row in rows(scraped.findings[-1])] == [("web", "n2")]
    fed(4, point("web-0", "n1"), scraped=scraped)  # series that are known already
    assert [row[:2] for row in rows(scraped.findings[-1])] == [("web", "n1")]


def test_machines_are_bounded(monkeypatch):
    monkeypatch.setattr(placement, "MAX_PLACES", 2)
    scraped = fed(3, *(point(pod) for pod in ("web-0", "web-1", "web-2")))
    assert len(rows(scraped.findings[-1])) == 2
    assert scraped.detect.gauges()["detect_ignored_machines_total"] == 1
    assert scraped.detect.gauges()["detect_machines"] == 2


def test_a_machine_goes_with_the_last_that_ran_on_it(monkeypatch):
    monkeypatch.setattr(metrics, "BRIEF", 600 * SECOND)
    scraped = fed(3, *(point(pod) for pod in NODES))
    assert scraped.detect.gauges()["detect_machines"] == 3
    fed(430, point("web-0"), scraped=scraped)  # an hour ends in it
    assert scraped.detect.gauges()["detect_machines"] == 1
    assert [row[:2] for row in rows(scraped.findings[-1])] == [("web", "n1")]


def test_a_restart_changes_nothing():
    plain, restarted = Scraped(), Scraped()
    for k in range(60):
        points = [point(pod) for pod in ("web-0", "web-1", "db-0") if k < 45 or pod != "web-1"]
        points += [point("web-2", "n3" if k % 20 < 10 else "n4")]
        for scraped in (plain, restarted):
            scraped.take(points)
        restarted.restart()
    assert [rows(f) for f in plain.findings] == [rows(f) for f in restarted.findings]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_parts_of_several_partitions_are_one(order):
    one, other = (
        fed(45, *(point(pod, zone="a") for pod in pods)).findings[-1] for pods in (("web-0", "web-1"), ("db-0",))
    )
    whole = fed(45, *(point(pod, zone="a") for pod in ("web-0", "web-1", "db-0"))).findings[-1]
    together = merged([(one, other)[k] for k in order])
    assert rows(together) == rows(whole)
    assert together.placed.dtype == np.int32


def test_it_crosses_the_topic():
    found = fed(5, point("web-0", zone="a"), host("n1")).findings[-1]
    again = codec.decode_findings(codec.encode_findings(found))
    assert rows(again) == rows(found)
