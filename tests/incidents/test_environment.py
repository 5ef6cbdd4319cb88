"""Services that respond forgets: their numbers go to new ones, and nothing that still needs them is touched."""

from __future__ import annotations

import numpy as np

from aiops import state
from aiops.findings import EDGE_TERMS, TERMS, Findings
from aiops.incidents.environment import EDGE_LIFE, FORGET_EVERY, SERVICE_LIFE, Environment
from aiops.signals import SECOND

T = 1_700_000_000 * SECOND // FORGET_EVERY * FORGET_EVERY
HOUR = 3600 * SECOND


def said(time: int, services: list[str], edges: list[tuple[str, str]] | None = None, calls: float = 9.0) -> Findings:
    n, edges = len(services), edges or []
    return Findings(
        "default", "prod", time, services, np.zeros((n, len(TERMS))), np.full(n, 30.0), np.zeros(n), edges,
        np.zeros((len(edges), len(EDGE_TERMS))), np.full(len(edges), calls),
    )  # fmt: skip


def step(environment: Environment, found: Findings, held: set[int] | None = None) -> None:
    environment.update(found)
    environment.forget(found.time, held or set())


def test_a_service_that_is_named_no_more_is_forgotten_and_its_number_is_given_to_the_next():
    environment = Environment("default", "prod")
    step(environment, said(T, ["cart", "old", "web"]))
    step(environment, said(T + SERVICE_LIFE, ["cart", "web"]))
    assert environment.sizes == (3, 0)
    step(environment, said(T + SERVICE_LIFE + FORGET_EVERY, ["cart", "web"]))
    assert environment.sizes == (2, 0)
    assert environment.evicted == 1
    step(environment, said(T + 2 * HOUR, ["cart", "new", "web", "xen"]))
    assert environment.index == {"cart": 0, "new": 1, "web": 2, "xen": 3}
    assert [environment.services[k] for k in range(4)] == ["cart", "new", "web", "xen"]


def test_what_an_incident_holds_keeps_its_number():
    environment = Environment("default", "prod")
    step(environment, said(T, ["cart", "old"]))
    step(environment, said(T + 2 * HOUR, ["cart"]), held={1})
    assert environment.index == {"cart": 0, "old": 1}
    step(environment, said(T + 3 * HOUR, ["cart"]))
    assert environment.index == {"cart": 0}


def test_a_service_with_an_edge_stays_until_the_edge_is_forgotten():
    environment = Environment("default", "prod")
    step(environment, said(T, ["cart"], [("client", "cart")]))
    step(environment, said(T + EDGE_LIFE - HOUR, ["cart"]))
    assert set(environment.index) == {"cart", "client"}
    step(environment, said(T + EDGE_LIFE + HOUR, ["cart"]))
    assert set(environment.index) == {"cart"}
    assert environment.near(0) == set()


def test_churn_over_days_leaves_it_small_and_a_restart_anywhere_changes_nothing():
    whole = restarted = Environment("default", "prod")
    for k in range(3 * 24 * 6):
        names = sorted(["cart", "web", *(f"preview-{n}" for n in range(k, k + 3))])
        found = said(T + k * FORGET_EVERY, names, [("web", "cart"), (f"preview-{k}", f"preview-{k + 1}")])
        if k == 0:
            restarted = Environment("default", "prod")
        step(whole, found)
        step(restarted, found)
        restarted = Environment.of(state.unpack(state.pack(restarted.state())))
        assert state.pack(restarted.state()) == state.pack(whole.state())
    assert whole.evicted > 250
    assert len(whole.services) < 160  # the edges of a day
    assert whole.callees[whole.index["web"]] == {whole.index["cart"]}
