"""The chain and the wide mesh: their shape, their telemetry, and that every kind of fault finds somebody in one of them."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.simulate import ALL_KINDS, DISTURBANCES, Simulation
from aiops.simulate.hindrances import LEAKED, POOL_SIZE, POOL_WAIT_S, RETRY_BURST, Budget, Pool
from aiops.simulate.kinds import edge_rates, quiet_edges, targets
from aiops.simulate.mesh import demand
from aiops.simulate.meshes import MESHES, mesh_named
from tests.simulate.conftest import observe


@pytest.fixture(scope="module", params=["chain", "wide"])
def seen(request):
    return observe(Simulation(3, 0.05, None, rate=2.0, mesh=request.param, wrong_clock=False))


def test_spans_nest_and_every_parent_is_there(seen):
    by_id = {span.id: span for span in seen.spans}
    assert len(by_id) == len(seen.spans) > 2000
    for span in seen.spans:
        if not span.parent:
            assert span.service == "gateway"
        elif span.kind != 5:
            parent = by_id[span.parent]
            assert parent.start - 1e-6 <= span.start <= span.end <= parent.end + 1e-6


def test_messages_are_published_by_one_and_consumed_by_another(seen):
    by_id = {span.id: span for span in seen.spans}
    consumed = [span for span in seen.spans if span.kind == 5]
    assert len({span.service for span in consumed}) == 3
    for span in consumed:
        assert by_id[span.parent].kind == 4
        assert by_id[span.parent].service != span.service
        assert span.start > by_id[span.parent].end


def test_nobody_sees_an_external_service_but_its_callers(seen):
    outside = {service.name for service in seen.simulation.mesh.services if service.runtime == "external"}
    assert len(outside) == 1
    spoken = {s.service for s in seen.spans} | {p.service for p in seen.points} | {r.service for r in seen.logs}
    assert not outside & spoken
    assert outside <= set(seen.simulation.context()["services"])
    called = {operation.name for name in outside for operation in seen.simulation.mesh.by_name[name].operations}
    assert called & {span.name for span in seen.spans if span.kind == 3}
    assert any(name.encode() in line for name in outside for _, signal, line in seen.lines if signal == "traces")


def test_every_service_is_asked_for_and_all_but_few_requests_succeed(seen):
    mesh = seen.simulation.mesh
    asked = demand(mesh)
    assert all(asked.service_visits(service.name) > 0.0 for service in mesh.services)
    assert np.mean([span.failed for span in seen.spans if not span.parent]) < 0.02


def test_pools_and_disks_are_measured(seen):
    names = {p.name for p in seen.points}
    assert {"db.client.connection.count", "db.client.connection.pending_requests"} <= names
    assert "container.filesystem.utilization" in names


def test_the_chain_is_deep_and_the_wide_mesh_is_wide():
    chain, wide = Simulation(1, 1.0, None, mesh="chain").mesh, Simulation(1, 1.0, None, mesh="wide").mesh
    depth = {"gateway": 0}
    for _ in chain.services:
        depth |= {
            callee: max(depth.get(callee, 0), depth[caller] + 1) for caller, callee in chain.edges() if caller in depth
        }
    assert max(depth.values()) >= 9
    callers = {name: len({caller for caller, callee in chain.edges() if callee == name}) for name in chain.by_name}
    assert callers["main-db"] == 8
    assert len([callee for caller, callee in wide.edges() if caller == "gateway"]) == 40
    assert len(wide.services) == 51


def test_a_seed_decides_the_mesh_and_another_seed_makes_another():
    for name in ("chain", "wide"):
        meshes = [Simulation(seed, 1.0, None, mesh=name).mesh for seed in (1, 1, 2)]
        assert meshes[0] == meshes[1] != meshes[2]
        assert set(meshes[0].by_name) == set(meshes[2].by_name)
    with pytest.raises(ValueError, match="no mesh 'ring': there are shop, chain, wide"):
        Simulation(1, 1.0, None, mesh="ring")


def test_every_kind_can_hit_somebody():
    meshes = [mesh_named(name, np.random.default_rng(5)) for name in MESHES]
    for kind in ALL_KINDS + DISTURBANCES:
        assert any(targets(mesh, kind, 2.0) for mesh in meshes), kind


@pytest.mark.parametrize("name", MESHES)
def test_quiet_edges_are_the_quietest_of_those_that_are_seen_at_all(name):
    mesh = mesh_named(name, np.random.default_rng(5))
    rates = edge_rates(mesh)
    edges = quiet_edges(mesh, 2.0)
    assert edges
    assert all(2.0 * rates[edge] >= 0.03 for edge in edges)
    assert max(rates[edge] for edge in edges) <= np.median(list(rates.values()))


@pytest.mark.parametrize("name", MESHES)
def test_a_plan_of_all_kinds_has_every_kind_that_can_hit_the_mesh(name):
    simulation = Simulation(4, 14.0, "all", mesh=name)
    expected = [kind for kind in ALL_KINDS if targets(simulation.mesh, kind, 2.0)]
    assert {fault.kind for fault in simulation.faults} == set(expected)
    assert len(expected) == len(ALL_KINDS) - (name == "shop")
    truth = simulation.truth()
    assert truth["mesh"] == name
    assert {row["service"] for row in truth["faults"]} <= set(simulation.context()["services"])


def test_a_pool_hands_out_connections_in_turn_and_lets_nobody_wait_for_ever():
    pool = Pool()
    for _ in range(POOL_SIZE):
        assert pool.take(1.0) == 1.0
        pool.give_back(3.0)
    assert pool.used(2.0) == POOL_SIZE
    assert pool.take(2.0) == 3.0
    pool.give_back(10.0)
    assert pool.waiting(2.5) == 1
    pool.leak(1.0)
    assert pool.take(20.0) is None
    assert pool.used(1e9) == POOL_SIZE
    assert pool.waiting(20.0 + 0.5 * POOL_WAIT_S) == 1
    assert pool.waiting(20.0 + 2.0 * POOL_WAIT_S) == 0
    assert float("inf") == LEAKED


def test_retries_are_a_share_of_the_calls_where_everything_fails():
    budget = Budget()
    retries = 0
    for _ in range(1000):
        budget.earn()
        retries += budget.spend()
    assert 100 <= retries <= 100 + RETRY_BURST
