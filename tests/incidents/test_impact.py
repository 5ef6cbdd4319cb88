"""Whom an incident touches, what share of requests fails because of it, and how severe that is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aiops.causes.rank import N_TERMS
from aiops.errors import UserError
from aiops.findings import EDGE_TERMS, TERMS, Findings
from aiops.incidents.criticality import Criticalities, ServicesConfig
from aiops.incidents.environment import Environment
from aiops.incidents.impact import affected
from aiops.incidents.lifecycle import Case, Policy
from aiops.incidents.stage import Respond
from aiops.records import Incident
from aiops.section_file import read_section
from aiops.signals import SECOND
from tests.incidents.world import DETECT, T, Terms, World

P = Policy()
CONFIRM = P.confirm / SECOND + 20
CART: Terms = {"cart": {"own": 8.0, "lost": 7.0, "loss": 7.0}}
MAIL: Terms = {"spam": {"own": 8.0, "lost": 7.0, "loss": 7.0}}


def opened(terms: Terms, criticality: dict[str, Any] | None = None, **more: Any) -> dict[str, Incident]:
    """The incidents of some evidence that lasts, by the names of their services."""
    world = World(Respond([DETECT], services=ServicesConfig(criticality or {})))
    world.last_for(120)
    world.last_for(CONFIRM, terms, **more)
    return {" ".join(incident.services): incident for incident in world.latest.values()}


def place(edges: list[tuple[str, str]], visits: dict[str, float], failed: dict[str, float]) -> Environment:
    names = sorted({name for edge in edges for name in edge})
    environment = Environment("default", "prod")
    environment.update(
        Findings(
            "default", "prod", T, names, np.zeros((len(names), len(TERMS))),
            np.array([visits.get(n, 0.0) for n in names]), np.array([failed.get(n, 0.0) for n in names]),
            edges, np.zeros((len(edges), len(EDGE_TERMS))), np.full(len(edges), 5.0),
        )
    )  # fmt: skip
    return environment


def shares(environment: Environment, *incidents: str) -> list[float]:
    """Share of each of some incidents, each given by the names of its services."""
    n = len(environment.services)
    cases = [
        Case("", T, T, {environment.index[s] for s in names.split()}, np.zeros((n, N_TERMS)), np.full(n, np.inf))
        for names in incidents
    ]
    return [round(share, 4) for share in affected(cases, environment)]


# ---- share of requests ---------------------------------------------------------------------------------------------------
SHOP = [("gate", "a1"), ("a1", "a2"), ("gate", "b1"), ("b1", "b2"), ("mail", "spool")]
VISITS = dict.fromkeys(("gate", "a1", "a2", "b1", "b2", "mail", "spool"), 100.0)


def test_only_requests_that_can_reach_an_incident_count():
    environment = place(SHOP, VISITS, {"gate": 40.0, "a2": 40.0, "mail": 7.0, "spool": 7.0})
    assert shares(environment, "a2", "spool") == [0.4, 0.07]


def test_two_incidents_behind_one_door_each_have_what_their_services_explain():
    environment = place(SHOP, VISITS, {"gate": 12.0, "a1": 10.0, "a2": 10.0, "b2": 2.0})
    assert shares(environment, "a1 a2", "b2") == [0.1, 0.02]
    assert shares(environment, "a1 a2") == [0.1]


def test_an_incident_that_holds_the_door_explains_what_the_others_leave():
    environment = place(SHOP, VISITS, {"gate": 12.0, "b2": 2.0})
    assert shares(environment, "gate a1", "b2") == [0.1, 0.02]
    assert shares(environment, "gate a1") == [0.12]


def test_what_is_explained_twice_is_shared():
    environment = place(SHOP, VISITS, {"gate": 6.0, "a2": 50.0, "b2": 50.0})
    assert shares(environment, "a2", "b2") == [0.03, 0.03]


def test_without_a_door_its_own_services_count_and_without_requests_nothing_is_known():
    circle = [("a", "b"), ("b", "a")]
    assert shares(place(circle, {"a": 50.0, "b": 50.0}, {"a": 10.0}), "a") == [0.2]
    assert shares(place(circle, {}, {}), "a") == [-1.0]


def test_a_service_that_calls_itself_is_still_a_door():
    environment = place([("gate", "gate"), ("gate", "a")], {"gate": 10.0, "a": 10.0}, {"gate": 5.0, "a": 5.0})
    assert shares(environment, "a") == [0.5]


def test_two_incidents_at_once_do_not_share_a_figure():
    found = opened({**CART, **MAIL}, failed={"web": 15.0, "cart": 15.0})
    assert found["cart"].impact.requests_affected_ratio == 0.5
    assert found["spam"].impact.requests_affected_ratio == 0.0
    assert (found["cart"].severity, found["spam"].severity) == ("critical", "high")


# ---- who feels it --------------------------------------------------------------------------------------------------------
def test_a_caller_that_shows_nothing_may_feel_it_and_one_that_fails_does():
    quiet, loud = opened(CART)["cart"], opened({**CART, "web": {"errors": 6.0, "novel": 6.0}})["cart web"]
    assert (quiet.impact.services, quiet.impact.felt) == (("web",), ())
    assert (loud.impact.services, loud.impact.felt, loud.impact.blast_radius) == (("web",), ("web",), 1)
    assert "Callers that may feel it: web." in quiet.summary
    assert "Callers that feel it: web." in loud.summary
    assert "may feel" not in loud.summary


# ---- severity ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("terms", "failed", "severity", "why"),
    [
        ({"db": {"resource": 8.0}}, {}, "info", "no symptom seen"),
        ({"db": {"resource": 8.0, "own": 4.0}}, {}, "low", "no request of its callers is seen to fail"),
        ({"db": {"heartbeat": 8.0}}, {}, "medium", "instances are lost"),
        ({"cart": {"errors": 4.5, "own": 8.0}}, {}, "medium", "requests to its services fail"),
        (CART, {}, "high", "beyond doubt"),
        (CART, {"web": 3.0, "cart": 3.0}, "high", "10.0 % of the requests that can reach it fail"),
        (CART, {"web": 9.0, "cart": 9.0}, "critical", "30.0 % of the requests that can reach it fail, and"),
    ],
)
def test_severity_says_why(terms, failed, severity, why):
    (incident,) = opened(terms, failed=failed).values()
    assert incident.severity == severity
    assert why in incident.severity_reason


@pytest.mark.parametrize(
    ("criticality", "severity", "why"),
    [
        ({"db": "high"}, "medium", "db is of high criticality"),
        ({"d*": "low"}, "info", "one step less"),
        ({"d?": "low", "*": "high"}, "info", "one step less"),
        ({"web": "high"}, "low", ""),  # it calls what is slow, and shows nothing
    ],
)
def test_how_much_a_service_matters_moves_severity_by_a_step(criticality, severity, why):
    (incident,) = opened({"db": {"resource": 8.0, "own": 4.0}}, criticality).values()
    assert incident.severity == severity
    assert why in incident.severity_reason
    assert bool(why) == ("criticality" in incident.severity_reason)


def test_what_nobody_feels_is_more_than_info_where_it_matters():
    (incident,) = opened({"db": {"resource": 8.0}}, {"db": "high"}).values()
    assert incident.severity == "low"
    assert incident.suppressed_by == ()


def test_nothing_is_more_than_critical():
    (incident,) = opened(CART, {"*": "high"}, failed={"web": 9.0, "cart": 9.0}).values()
    assert incident.severity == "critical"


def test_one_normal_service_keeps_the_severity():
    (incident,) = opened({**CART, "web": {"errors": 6.0}}, {"cart": "low"}).values()
    assert incident.severity == "high"


def test_the_first_pattern_that_matches_counts_and_the_whole_name_must_match():
    of = Criticalities(ServicesConfig({"cart": "low", "cart*": "high"})).of
    assert [of(name) for name in ("cart", "carts", "my-cart")] == ["low", "high", "normal"]


def test_a_file_of_services_is_read_and_what_is_wrong_is_named(tmp_path):
    path = tmp_path / "services.json"
    path.write_text('{"criticality": {"cart": "high"}}')
    assert read_section(path, ServicesConfig) == ServicesConfig({"cart": "high"})
    path.write_text('{"criticality": {"cart": "huge"}}')
    with pytest.raises(UserError, match="huge"):
        read_section(path, ServicesConfig)
    with pytest.raises(UserError, match="No such file"):
        read_section(tmp_path / "nothing", ServicesConfig)
