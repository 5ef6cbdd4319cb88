"""Instances that fall silent: who is missing, who was replaced, and when nobody can tell."""

from __future__ import annotations

import numpy as np
import pytest

from aiops import state
from aiops.detect.directory import Directory
from aiops.detect.heartbeat import SETTLE, Heartbeat
from aiops.signals import SECOND, WINDOW, ServiceKey

T = 1_000_000 * SECOND
PODS = ("web-a", "web-b", "web-c")
LOUD = 4.0


class Cluster:
    """Instances of services that report every `cadence`; one evidence a window."""

    def __init__(self, cadence: int = 10 * SECOND, environments: tuple[str, ...] = ("prod",)) -> None:
        self.directory = Directory()
        self.heartbeat = Heartbeat(self.directory)
        self.cadence, self.now = cadence, T
        self.services = {
            (name, environment): self.directory.service(ServiceKey("default", environment, name))
            for environment in environments
            for name in ("web", "db")
        }

    def live(self, seconds: float, *web: str, db: tuple[str, ...] = ("db-0",), environment: str = "prod"):
        """Let these report for so long; the scores of each window."""
        out = []
        for _ in range(int(seconds * SECOND / WINDOW)):
            self.now += WINDOW
            if self.now % self.cadence == 0:
                who = [("web", pod) for pod in web] + [("db", pod) for pod in db]
                codes = [self.heartbeat.instance(self.services[name, environment], pod) for name, pod in who]
                self.heartbeat.beat(np.array(codes, np.int64), np.full(len(codes), self.now - SECOND))
            out.append(
                {self.directory.services[c].service: (s, told) for c, s, told in self.heartbeat.evidence(self.now)}
            )
        return out


def test_one_instance_of_three_that_falls_silent_is_found_and_named():
    cluster = Cluster()
    assert not any(cluster.live(600, *PODS))
    told = cluster.live(240, *PODS[:2])
    score, candidate = told[-1]["web"]
    assert score >= LOUD
    assert (candidate.observed, candidate.expected) == (2.0, pytest.approx(3.0, abs=0.1))
    assert candidate.statement == "2 of usually 3 instances of web report: silent are web-c"
    assert "db" not in told[-1]
    assert T + 600 * SECOND < candidate.onset <= cluster.now - 30 * SECOND


def test_a_service_without_any_instance_left_is_found():
    cluster = Cluster()
    cluster.live(600, *PODS)
    score, candidate = cluster.live(240)[-1]["web"]
    assert score >= LOUD
    assert candidate.observed == 0.0
    assert candidate.statement.startswith("no instance of web has reported")


def test_a_pause_of_a_few_cadences_is_no_silence():
    cluster = Cluster()
    cluster.live(600, *PODS)
    assert not any(cluster.live(50, *PODS[:2]) + cluster.live(300, *PODS))


def test_when_the_whole_environment_is_silent_nobody_is_missing():
    cluster = Cluster()
    cluster.live(600, *PODS)
    assert not any(cluster.live(900, db=()))


def test_what_was_missing_before_is_not_told_while_the_whole_environment_is_silent():
    cluster = Cluster()
    cluster.live(600, *PODS)
    assert cluster.live(240, *PODS[:2])[-1]
    assert not any(cluster.live(300, db=())[13:])


def test_silence_of_one_environment_is_measured_by_its_own_instances():
    cluster = Cluster(environments=("prod", "test"))
    cluster.live(600, *PODS)
    assert not any(cluster.live(900, *PODS, environment="test"))


def test_a_deployment_that_replaces_the_instances_one_by_one_is_no_loss():
    cluster = Cluster()
    cluster.live(600, *PODS)
    told = cluster.live(20, *PODS, "new-a") + cluster.live(40, "web-b", "web-c", "new-a")
    told += cluster.live(40, "web-c", "new-a", "new-b") + cluster.live(600, "new-a", "new-b", "new-c")
    assert not any(told)


def test_a_deployment_that_comes_back_with_fewer_is_a_loss():
    cluster = Cluster()
    cluster.live(600, *PODS)
    assert cluster.live(240, "new-a")[-1]["web"][0] >= LOUD


def test_the_smaller_number_becomes_the_usual_one():
    cluster = Cluster()
    cluster.live(600, *PODS)
    assert any(cluster.live(2 * SETTLE / SECOND, *PODS[:2]))
    assert not any(cluster.live(600, *PODS[:2]))


def test_a_habit_of_losing_instances_lowers_the_score():
    cluster, worst = Cluster(), []
    for _ in range(4):
        cluster.live(3600, *PODS)
        told = cluster.live(2 * SETTLE / SECOND, *PODS[:2])
        worst.append(max(row["web"][0] for row in told if row))
    assert worst == sorted(worst, reverse=True)
    assert worst[-1] < worst[0]


@pytest.mark.parametrize("cadence", [10, 30, 60])
def test_the_grace_follows_the_cadence_of_each_instance(cadence):
    cluster = Cluster(cadence * SECOND)
    assert not any(cluster.live(1800, *PODS))
    told = cluster.live(3 * cadence + 15 + 30 + 2 * cadence + 20, *PODS[:2])
    assert told[-1]["web"][0] >= LOUD
    silent = 3 * cadence + 15
    assert not any(told[: silent // 10 - 1])


def test_an_instance_that_said_goodbye_is_gone_at_once():
    cluster = Cluster()
    cluster.live(600, *PODS)
    code = cluster.heartbeat.instance(cluster.services["web", "prod"], "web-c")
    cluster.heartbeat.end(np.array([code]), np.array([cluster.now]))
    assert cluster.live(50, *PODS[:2])[-1]["web"][0] >= LOUD
    assert not any(cluster.live(50, *PODS)), "and is back when it reports again"


def test_many_instances_are_told_apart():
    cluster, pods = Cluster(), [f"web-{k}" for k in range(200)]
    cluster.live(600, *pods)
    _, candidate = cluster.live(240, *pods[:100])[-1]["web"]
    assert candidate.observed == 100.0


def test_a_restored_heartbeat_has_the_same_future():
    one, two = Cluster(), Cluster()
    plan = [(600, PODS), (100, PODS[:2]), (400, PODS[:1]), (100, ("new-a", *PODS)), (900, ("new-a",)), (300, PODS)]
    for seconds, pods in plan:
        for _ in range(seconds // 50):
            packed = state.pack(one.heartbeat.state())
            two.heartbeat.restore(state.unpack(packed))
            assert state.pack(two.heartbeat.state()) == packed
            assert two.live(50, *pods) == one.live(50, *pods)
