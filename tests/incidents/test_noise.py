"""Noise reduction as incidents show it: what flaps is told once, what nobody feels is told quietly, and all of it is counted."""

from __future__ import annotations

import pytest

from aiops.incidents import noise_figures
from aiops.incidents.flapping import CALM
from aiops.incidents.noise import REMARKS
from aiops.incidents.noise_figures import EVERY, LISTED, OTHER, REASONS, Figures
from aiops.incidents.stage import Respond
from aiops.noise_report import decode_noise_report
from aiops.records import encode, unix_ns
from aiops.signals import SECOND, WINDOW, due
from tests.incidents.noise_world import NoisyWorld, alert, closed
from tests.incidents.world import DETECT, T, World, anomaly, change, findings

SHORT = {"db": {"resource": 8.0}}
FAILING = {"cart": {"errors": 8.0}}


# ---- symptoms ------------------------------------------------------------------------------------------------------------------
def test_a_resource_at_its_limit_that_nobody_feels_is_told_quietly_and_says_so():
    world = NoisyWorld()
    world.last_for(60)
    world.last_for(60, SHORT)
    assert world.only.severity == "info"
    (why,) = world.only.suppressed_by
    assert (why.by, why.reason.startswith("no symptom seen")) == ("no-symptom", True)
    assert "no symptom seen" in world.only.severity_reason


@pytest.mark.parametrize(
    "symptom",
    [{"db": {"resource": 8.0, "own": 4.0}}, {**SHORT, "cart": {"errors": 4.0}}, {**SHORT, "cart": {"own": 4.0}}],
    ids=["slow itself", "its caller fails", "its caller is slow"],
)
def test_it_is_an_incident_like_any_other_once_it_is_felt(symptom):
    world = NoisyWorld()
    world.last_for(60)
    world.last_for(60, SHORT)
    world.last_for(30, symptom)
    assert world.only.severity in ("low", "medium")
    assert world.only.suppressed_by == ()
    world.last_for(60, SHORT)
    assert world.only.severity in ("low", "medium"), "what was felt was felt"


def test_a_symptom_far_away_is_none_of_it():
    world = NoisyWorld()
    world.last_for(60)
    world.last_for(60, {**SHORT, "spam": {"own": 4.0}})
    assert world.only.severity == "info"


def test_a_symptom_after_it_has_settled_counts_too():
    world = NoisyWorld()
    world.last_for(60)
    world.last_for(400, SHORT)
    assert (world.only.settled, world.only.severity) == (True, "info")
    world.last_for(10, {**SHORT, "cart": {"errors": 4.0}})
    assert world.only.severity != "info"


@pytest.mark.parametrize("felt", [FAILING, {"db": {"heartbeat": 8.0}}, {"cart": {"own": 8.0, "lost": 7.0}}])
def test_what_fails_is_slow_or_gone_is_told_as_ever(felt):
    world = NoisyWorld()
    world.last_for(60)
    world.last_for(200, felt)
    assert world.only.severity != "info"
    assert world.only.suppressed_by == ()


# ---- flapping ------------------------------------------------------------------------------------------------------------------
def flapping(terms, times: int, restarted: bool = False) -> NoisyWorld:
    """An anomaly of `cart` that is open for a minute in every three, during an incident."""
    world = NoisyWorld(restarted)
    world.last_for(60)
    world.last_for(60, terms, anomalies=[anomaly("cart", T, signal="first")])
    for _ in range(times):
        opened = anomaly("cart", world.now)
        world.window(terms, anomalies=[opened])
        world.last_for(100, terms)
        world.window(terms, anomalies=[closed(opened, world.now + WINDOW)])
        world.last_for(60, terms)
    return world


def test_what_flaps_counts_as_one_and_makes_no_version_a_change():
    still, world = flapping(FAILING, 0), flapping(FAILING, 4)
    still.last_for(4 * 180, FAILING)
    assert world.only.flapping
    assert not still.only.flapping
    # Its first opening is news, as a member; that it begins to flap is the other one.
    assert len(world.said) - len(still.said) <= 2
    assert sorted(m.signal for m in world.only.members) == ["cpu", "first"]
    (version,) = [i for i in world.said if i.flapping][:1]
    assert version.counts.anomalies == 2
    assert version.counts.suppressed >= 1
    assert version.suppressed_by == (), "what fails is never told more quietly"


def test_an_incident_of_nothing_but_what_flaps_says_that_it_was_told_once():
    slow = {"cart": {"own": 8.0}}
    world = NoisyWorld()
    world.last_for(60)
    world.come_and_go(3, 300 * SECOND, service="cart")
    assert world.noise.flapping.now
    world.last_for(300, slow, anomalies=[anomaly("cart", world.now)])
    found = world.only
    assert found.flapping
    assert [s.by for s in found.suppressed_by] == ["flapping"]
    assert "changes between open and closed" in found.suppressed_by[0].reason


def test_it_is_no_longer_flapping_after_a_calm():
    world = NoisyWorld()
    world.last_for(60)
    world.come_and_go(3, 300 * SECOND, service="cart")
    lasting = anomaly("cart", world.now)
    world.window(FAILING, anomalies=[lasting])
    world.last_for(60, FAILING)
    assert world.only.flapping
    world.last_for(CALM / SECOND - 100, FAILING)
    assert [i.flapping for i in world.said][-1]
    world.last_for(60, FAILING)
    assert not world.said[-1].flapping
    assert world.noise.gauges()["flapping"] == 0


def test_what_flaps_opens_nothing_on_its_own_for_a_while():
    world = NoisyWorld()
    world.last_for(60)
    world.come_and_go(3, 300 * SECOND)
    assert world.noise.flapping.now
    begun = world.now
    world.window(SHORT, anomalies=[anomaly("db", begun)])
    world.last_for(120, SHORT)
    assert world.said == []
    world.last_for(120, SHORT)
    assert unix_ns(world.only.opened_at) == begun + 180 * SECOND
    assert any("flaps" in r.statement for r in world.only.correlation.reasons)


# ---- figures -------------------------------------------------------------------------------------------------------------------
def test_every_five_minutes_it_is_said_how_much_became_how_little():
    world = flapping(FAILING, 4)
    world.last_for(EVERY / SECOND)  # it is calm
    assert world.reports
    for report in world.reports:
        assert decode_noise_report(encode(report)) == report
        assert unix_ns(report.until) % EVERY == 0
    assert sum(r.incidents for r in world.reports) == 1
    assert sum(r.anomalies for r in world.reports) == 5
    assert sum(r.records for r in world.reports) >= 9
    suppressed = [reason for r in world.reports for reason, n in r.suppressed.items() for _ in range(n)]
    # Of four, the first is a member; the opening of the third is the fifth change.
    assert sorted(suppressed) == ["flapping", "flapping", "repeat"]
    (cart,) = {of.name for r in world.reports for of in r.services}
    assert cart == "cart"
    assert {of.name for r in world.reports for of in r.detectors} == {"levels"}
    assert {h.by for r in world.reports for h in r.held_back} == {"flapping"}


def test_a_quiet_environment_says_nothing():
    world = NoisyWorld()
    world.last_for(1200)
    assert world.reports == []


def test_a_report_is_bounded_and_says_what_it_leaves_out(monkeypatch):
    monkeypatch.setattr(noise_figures, "MAX_NAMES", 100)
    figures = Figures()
    figures.window(T, 1)
    for k in range(1000):
        figures.opened(anomaly(f"service-{k}", T), False)
    found = figures.report(T + EVERY, ("default", "prod"), False, [], [])
    assert found is not None
    assert (len(found.services), found.not_listed) == (LISTED, 101 - LISTED)
    assert found.anomalies == 1000
    assert found.services[0].name == OTHER
    assert found.services[0].anomalies == 900


def test_every_reason_has_a_counter_and_gauges_hold_no_data():
    names = set(World().respond.gauges())
    for reason in REASONS:
        assert f"respond_noise_suppressed_{reason.replace('-', '_')}_total" in names
    world = flapping(FAILING, 2)
    assert set(world.respond.gauges()) == names


# ---- determinism ---------------------------------------------------------------------------------------------------------------
def stories(world: NoisyWorld, rng) -> None:
    """More than an hour of everything at once: faults, habits, flapping, alerts, a storm, changes."""
    alerts = 0
    live = {}
    for k in range(400):
        quiet = k % 90 < 30
        terms = {} if quiet else {**FAILING, **(SHORT if k % 90 > 60 else {})}
        if k % 45 < 6:
            terms = {**terms, "spam": {"resource": 8.0}}
        found = []
        for service in ("cart", "db", "spam"):
            period = {"cart": 18, "db": 61, "spam": 45}[service]
            if k % period == 0:
                live[service] = anomaly(service, world.now, signal=f"cpu {service}")
                found.append(live[service])
            elif k % period == 12 and service in live:
                found.append(closed(live.pop(service), world.now + WINDOW))
        many = 60 if 200 <= k < 206 else int(rng.integers(0, 2))
        for _ in range(many):
            severity = ("critical", "high", "medium", "low")[rng.integers(4)]
            found.append(alert(("cart", "pay", "mta")[rng.integers(3)], world.now, severity, "Slow", alerts))
            alerts += 1
        if k % 100 == 18:
            world.respond.tell("changes/0", k, "changes", change("cart", world.now, f"c{k}"), world.now + 15 * SECOND)
        world.window(terms, anomalies=found)


@pytest.fixture(scope="module")
def told() -> NoisyWorld:
    import numpy as np

    world = NoisyWorld()
    stories(world, np.random.default_rng(7))
    return world


def test_the_story_has_all_of_it(told):
    gauges = told.noise.gauges()
    for name in (
        "storms_total",
        "identities",
        "learned_signals",
        "suppressed_storm_total",
        "suppressed_flapping_total",
    ):
        assert gauges[name] > 0, name
    assert any(i.flapping for i in told.said)
    assert {n.until is None for n in told.notices if n.kind == "overload"} == {True, False}
    assert told.reports
    assert all(len(i.correlation.reasons) <= 12 + REMARKS for i in told.said)


def test_a_restart_after_every_window_changes_no_byte(told):
    import numpy as np

    restarted = NoisyWorld(restarted=True)
    stories(restarted, np.random.default_rng(7))
    assert restarted.all_bytes() == told.all_bytes()


def test_findings_handed_over_together_give_what_they_give_one_by_one():
    plain, together = NoisyWorld(), Respond([DETECT])
    given = []
    for k in range(60):
        found = [alert("cart", plain.now, "medium", "Slow", 100 * k + j) for j in range(50 if 20 < k < 30 else 1)]
        given.append(findings(plain.now + WINDOW, FAILING if k > 12 else {}, anomalies=found))
        plain.window(FAILING if k > 12 else {}, anomalies=found)
    together.process(DETECT, given)
    out = together.advance(DETECT, due(T + 60 * WINDOW))
    assert (out.incidents, out.notices, out.noise) == (plain.said, plain.notices, plain.reports)
    assert plain.reports
    assert plain.notices


def test_urgent_alerts_add_up_through_all_of_it(told):
    gauges = told.noise.gauges()
    came = gauges["urgent_anomalies_total"] + gauges["urgent_again_total"]
    went = sum(gauges[f"urgent_{name}"] for name in ("joined_total", "expired_total", "waiting", "storyline_total"))
    assert came == went > 100
