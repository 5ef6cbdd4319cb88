"""What usually heals by itself waits, as long as it usually takes, and says why; what is serious does not wait."""

from __future__ import annotations

import pytest

from aiops.incidents import pause
from aiops.incidents.lifecycle import Policy
from aiops.incidents.noise_names import Identity
from aiops.incidents.pause import KEPT, LONGEST, Durations
from aiops.records import unix_ns
from aiops.signals import SECOND, WINDOW
from tests.incidents.noise_world import MINUTE, NoisyWorld, alert, closed
from tests.incidents.world import anomaly

CPU = Identity("db", "metric", "cpu", "", "")
SHORT = {"db": {"resource": 8.0}}
APART = 2400 * SECOND  # so that it does not flap


def lasted(*seconds: float | None) -> Durations:
    found = Durations()
    for s in seconds:
        found.add(CPU, None if s is None else round(s * SECOND))
    return found


# ---- what is learned ---------------------------------------------------------------------------------------------------------
def test_too_few_are_no_habit():
    assert lasted(*[60] * 7).wait(CPU) is None
    assert lasted(*[60] * 8).wait(CPU) == (70 * SECOND, 8, 8)


@pytest.mark.parametrize(
    ("longer", "waits"), [([], True), ([600], False), ([600] + [60] * 9, True), ([600, 600] + [60] * 17, False)]
)
def test_nine_in_ten_must_be_expected_to_heal(longer: list[float], waits: bool):
    assert (lasted(*[60] * 8, *longer).wait(CPU) is not None) is waits


def test_the_wait_is_as_long_as_most_took_and_no_longer_than_a_few_minutes():
    assert lasted(*range(10, 90, 10)).wait(CPU) == (90 * SECOND, 8, 8)
    assert lasted(*[175] * 8).wait(CPU) == (LONGEST, 8, 8)
    assert lasted(*[LONGEST / SECOND + 1] * 32).wait(CPU) is None


def test_what_did_not_heal_by_itself_counts_against_it():
    assert lasted(*[60] * 8, None).wait(CPU) is None


def test_only_the_last_ones_count():
    assert lasted(*[None] * 100, *[60] * KEPT).wait(CPU) == (70 * SECOND, KEPT, KEPT)
    assert lasted(*[60] * KEPT, *[None] * 4).wait(CPU) is None


def test_each_signal_has_its_own_habit_whatever_the_instance():
    found = lasted(*[60] * 8)
    assert found.wait(CPU._replace(instance="db-1")) is not None
    assert found.wait(CPU._replace(signal="mem")) is None


def test_signals_without_end_take_bounded_memory(monkeypatch):
    monkeypatch.setattr(pause, "MAX_SIGNALS", 100)
    found = Durations()
    for k in range(1000):
        found.add(CPU._replace(signal=f"s{k}"), SECOND)
        assert len(found) <= 100
    assert found.evicted == 900
    back = Durations()
    back.restore(found.state())
    assert back.state() == found.state()


# ---- what comes of it --------------------------------------------------------------------------------------------------------
def habitual(restarted: bool = False) -> NoisyWorld:
    """A world in which the processor of `db` has been at its limit for a minute eight times, without any evidence."""
    world = NoisyWorld(restarted)
    world.last_for(60)
    world.come_and_go(8, APART)
    world.last_for(60)
    assert world.said == []
    assert not world.noise.flapping.now
    return world


def test_an_anomaly_that_usually_heals_waits_as_long_as_it_takes_and_says_so():
    world = habitual()
    begun = world.now
    opened = anomaly("db", begun)
    world.window(SHORT, anomalies=[opened])
    world.last_for(50, SHORT)
    assert world.said == []
    assert world.noise.gauges()["held_back"] == 1
    world.last_for(30, SHORT)
    found = world.only
    assert unix_ns(found.opened_at) == begun + 70 * SECOND
    assert unix_ns(found.onset_at) == begun + WINDOW, "evidence went on adding up"
    (said,) = [r.statement for r in found.correlation.reasons if "later" in r.statement]
    assert said == "opened 60 s later than it could have been: cpu of db was over within 70 s in 8 of 8 times"
    assert world.noise.gauges()["held_back"] == 0


def test_what_heals_meanwhile_opens_nothing_and_is_counted():
    world = habitual()
    opened = anomaly("db", world.now)
    world.window(SHORT, anomalies=[opened])
    world.last_for(30, SHORT)
    world.last_for(60)
    world.window(anomalies=[closed(opened, world.now + WINDOW)])
    world.last_for(300)
    assert world.said == []
    gauges = world.noise.gauges()
    assert (gauges["suppressed_pause_total"], gauges["healed_total"], gauges["held_back"]) == (1, 1, 0)
    told = [(h.service, h.by, h.reason) for report in world.reports for h in report.held_back]
    assert {by for _, by, _ in told} <= {"pause"}
    assert sum(report.suppressed.get("pause", 0) for report in world.reports) == 1


def test_an_anomaly_without_a_habit_opens_at_once():
    world = NoisyWorld()
    world.last_for(60)
    world.window(SHORT, anomalies=[anomaly("db", world.now)])
    assert world.only.services == ("db",)


@pytest.mark.parametrize(
    "serious",
    [
        {"db": {"resource": 8.0, "errors": 6.0}},
        {"db": {"resource": 8.0, "heartbeat": 6.0}},
        {"db": {"resource": 8.0}, "cart": {"own": 6.0}},
    ],
    ids=["fails", "gone", "joined"],
)
def test_what_fails_is_gone_or_is_joined_by_others_does_not_wait(serious):
    world = habitual()
    world.window(serious, anomalies=[anomaly("db", world.now)])
    assert len(world.said) == 1


def test_what_is_joined_while_it_waits_opens_then():
    world = habitual()
    world.window(SHORT, anomalies=[anomaly("db", world.now)])
    world.last_for(20, SHORT)
    assert world.said == []
    world.window({**SHORT, "cart": {"errors": 6.0}})
    assert world.only.services == ("cart", "db")


@pytest.mark.parametrize("other", [anomaly, alert], ids=["without a habit", "urgent"])
def test_another_anomaly_of_the_service_ends_the_wait(other):
    world = habitual()
    world.window(
        SHORT, anomalies=[anomaly("db", world.now), other("db", world.now, 7.0 if other is anomaly else "high", "x")]
    )
    assert len(world.said) == 1


def test_evidence_without_an_anomaly_does_not_wait():
    world = habitual()
    world.window(SHORT)
    assert len(world.said) == 1


def test_what_was_part_of_a_serious_incident_is_no_habit_of_healing():
    world = NoisyWorld()
    world.last_for(60)
    failing = {"db": {"resource": 8.0, "errors": 8.0}}
    for _ in range(9):
        opened = anomaly("db", world.now)
        world.window(failing, anomalies=[opened])
        world.last_for(50, failing)
        world.last_for(60)
        world.window(anomalies=[closed(opened, world.now + WINDOW)])
        world.now += APART
    assert world.noise.durations.wait(CPU) is None


def test_an_incident_opens_no_later_than_after_the_longest_wait():
    world = NoisyWorld()
    world.last_for(60)
    world.come_and_go(9, APART, lasts=round(LONGEST / SECOND - 20) * SECOND)
    begun = world.now
    world.window(SHORT, anomalies=[anomaly("db", begun)])
    world.last_for(240, SHORT)
    assert begun + MINUTE < unix_ns(world.only.opened_at) <= begun + LONGEST + WINDOW
    assert Policy().settle >= LONGEST


def test_a_wait_survives_restarts():
    plain, restarted = habitual(), habitual(restarted=True)
    for world in (plain, restarted):
        world.window(SHORT, anomalies=[anomaly("db", world.now)])
        world.last_for(400, SHORT)
    assert plain.all_bytes() == restarted.all_bytes()
    assert plain.said
